// SPDX-License-Identifier: MIT
#include "report/csv.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

#define MAX_BYTES ((size_t)256 << 20)
#define HINT      "Write the file again with the command that made it, or remove it."

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
        return FAIL(ADELE_FORMAT, HINT, "%s: line %d: a quote is not closed", csv->path, csv->line);
    if (!is_quoted && *from != ',' && to > *out && to[-1] == '\r')
        to--;
    if (is_quoted && *from == '\r')
        from++;
    *end = *from;
    if (*end != ',' && *end != '\n' && *end != '\0')
        return FAIL(ADELE_FORMAT, HINT, "%s: line %d: '%c' after a quoted field", csv->path,
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
            return FAIL(ADELE_FORMAT, HINT, "%s: line %d: more than %d fields", csv->path,
                        csv->line, CSV_MAX_FIELDS);
        TRY(read_field(csv, &fields[*n], &end));
    }
    return ADELE_OK;
}

adele_status csv_open(const char *path, struct csv *out) {
    size_t n_bytes = 0;
    *out = (struct csv){0};
    adele_status status;
    out->path = memory_strdup(path);
    TRY_GOTO(CHECK_MEMORY(out->path), fail);
    TRY_GOTO(file_read(path, MAX_BYTES, &out->text, &n_bytes), fail);
    out->rest = out->text;
    TRY_GOTO(read_row(out, out->columns, &out->n_columns), fail);
    return ADELE_OK;
fail:
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
    return FAIL(ADELE_FORMAT, HINT, "%s: line %d: %d fields, the header has %d", csv->path,
                csv->line, n, csv->n_columns);
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
