// SPDX-License-Identifier: MIT
#include "base/csv.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

#define MAX_BYTES ((size_t)1 << 30)

void csv_close(struct csv *csv) {
    memory_free(csv->path);
    memory_free(csv->text);
    *csv = (struct csv){0};
}

// Unquotes the field at csv->rest in place, and moves rest behind it. *end is what followed it:
// ',', '\n' or 0.
static adele_status read_field(struct csv *csv, char **out, char *end) {
    char *from = csv->rest, *to = csv->rest;
    bool is_quoted = *from == '"';
    *out = to;
    from += is_quoted;
    while (*from != '\0' && (is_quoted || (*from != ',' && *from != '\n'))) {
        if (is_quoted && *from == '"') {
            if (from[1] != '"')
                break;
            from++;
        }
        *to++ = *from++;
    }
    if (is_quoted && *from++ != '"')
        return FAIL(ADELE_FORMAT, csv->hint, "%s, row %d: a quote is not closed", csv->path,
                    csv->line);
    if (!is_quoted && *from != ',' && to > *out && to[-1] == '\r')
        to--;
    if (is_quoted && *from == '\r')
        from++;
    *end = *from;
    if (*end != ',' && *end != '\n' && *end != '\0')
        return FAIL(ADELE_FORMAT, csv->hint, "%s, row %d: '%c' after a quoted field", csv->path,
                    csv->line, *end);
    csv->rest = *end != '\0' ? from + 1 : from;
    *to = '\0';
    return ADELE_OK;
}

static adele_status read_row(struct csv *csv, char **fields, int *n) {
    char end = ',';
    csv->line++;
    for (*n = 0; end == ','; (*n)++) {
        if (*n == CSV_MAX_FIELDS)
            return FAIL(ADELE_FORMAT, csv->hint, "%s, row %d: more than %d fields", csv->path,
                        csv->line, CSV_MAX_FIELDS);
        TRY(read_field(csv, &fields[*n], &end));
    }
    return ADELE_OK;
}

static adele_status open_file(const char *path, struct csv *out) {
    size_t n_bytes = 0;
    out->path = memory_strdup(path);
    TRY(CHECK_MEMORY(out->path));
    TRY(file_read(path, MAX_BYTES, &out->text, &n_bytes));
    if (memchr(out->text, '\0', n_bytes) != NULL)
        return FAIL(ADELE_FORMAT, out->hint, "%s is no text", path);
    out->rest = out->text;
    return read_row(out, out->columns, &out->n_columns);
}

adele_status csv_open(const char *path, const char *hint, struct csv *out) {
    *out = (struct csv){.hint = hint};
    adele_status status = open_file(path, out);
    if (status != ADELE_OK)
        csv_close(out);
    return status;
}

adele_status csv_next(struct csv *csv, bool *is_row) {
    int n = 0;
    *is_row = *csv->rest != '\0';
    if (!*is_row)
        return ADELE_OK;
    TRY(read_row(csv, csv->fields, &n));
    if (n == csv->n_columns)
        return ADELE_OK;
    return FAIL(ADELE_FORMAT, csv->hint, "%s, row %d: %d fields, not %d", csv->path, csv->line, n,
                csv->n_columns);
}

const char *csv_field(const struct csv *csv, const char *column) {
    for (int i = 0; i < csv->n_columns; i++)
        if (strcmp(csv->columns[i], column) == 0)
            return csv->fields[i];
    return "";
}

double csv_number(const struct csv *csv, const char *column) {
    const char *text = csv_field(csv, column);
    char *end = NULL;
    double value = number_parse(text, &end);
    return text[0] != '\0' && *end == '\0' ? value : NAN;
}
