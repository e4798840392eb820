// SPDX-License-Identifier: MIT
#include "run_folder/records.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

// 1,000 epochs of 21 categories are some 10 MB.
#define MAX_FILE_BYTES ((size_t)512 << 20)

#define HINT_LINE "Remove the line, or train the run again."

void records_deinit(struct records *records) {
    for (int i = 0; i < records->n; i++)
        cJSON_Delete(records->items[i].values);
    memory_free(records->items);
    memory_free(records->text);
    *records = (struct records){0};
}

static adele_status parse_line(const char *path, int i_line, const char *line, size_t n_bytes,
                               bool is_last, struct record *out, bool *is_torn) {
    *is_torn = false;
    out->values = NULL;
    if (line[n_bytes - 1] == '\n' && memchr(line, '\0', n_bytes) == NULL)
        out->values = cJSON_ParseWithLength(line, n_bytes);
    if (out->values == NULL && is_last) {
        *is_torn = true;
        return ADELE_OK;
    }
    double epoch = 0.0;
    double step = 0.0;
    if (!cJSON_IsObject(out->values) || !json_whole(out->values, "epoch", INT_MAX, &epoch) ||
        !json_whole(out->values, "step", 9007199254740992.0, &step)) {
        cJSON_Delete(out->values);
        out->values = NULL;
        return FAIL(ADELE_FORMAT, HINT_LINE, "%s:%d: not a record {\"epoch\": N, \"step\": N, ...}",
                    path, i_line);
    }
    out->epoch = (int)epoch;
    out->step = (long)step;
    out->line = line;
    out->line_bytes = n_bytes;
    return ADELE_OK;
}

static adele_status parse_lines(const char *path, size_t n_bytes, int keep_epochs,
                                struct records *out) {
    const char *end = out->text + n_bytes;
    int last_epoch = -1;
    int i_line = 1;
    for (const char *line = out->text; line < end; i_line++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline != NULL ? newline + 1 : end;
        struct record record;
        bool is_torn = false;
        TRY(parse_line(path, i_line, line, (size_t)(next - line), next == end, &record, &is_torn));
        if (is_torn)
            return ADELE_OK;
        if (record.epoch <= last_epoch) {
            cJSON_Delete(record.values);
            return FAIL(ADELE_FORMAT, HINT_LINE, "%s:%d: epoch %d comes after epoch %d", path,
                        i_line, record.epoch, last_epoch);
        }
        last_epoch = record.epoch;
        if (record.epoch <= keep_epochs)
            out->items[out->n++] = record;
        else
            cJSON_Delete(record.values);
        line = next;
    }
    return ADELE_OK;
}

adele_status records_read(const char *path, int keep_epochs, struct records *out) {
    CLEANUP(records_deinit) struct records records = {0};
    *out = (struct records){0};
    size_t n_bytes = 0;
    TRY(file_read(path, MAX_FILE_BYTES, &records.text, &n_bytes));
    size_t n_lines = 1;
    for (size_t i = 0; i < n_bytes; i++)
        n_lines += records.text[i] == '\n';
    TRY(ALLOCATE(&records.items, n_lines));
    TRY(parse_lines(path, n_bytes, keep_epochs, &records));
    *out = records;
    records = (struct records){0};
    return ADELE_OK;
}
