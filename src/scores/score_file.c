// SPDX-License-Identifier: MIT
// scores.csv, written and read.
#include "scores/score_cases.h"

#include "base/buffer.h"
#include "base/csv.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

#define MAX_CLASSES 256
#define HINT        "Let `adele evaluate --csv` write it again."

enum {
    COLUMN_CASE,
    COLUMN_CLASS,
    COLUMN_UNIT,
    COLUMN_LABELLED,
    COLUMN_PREDICTED,
    COLUMN_BOTH,
    COLUMN_MEASURES,
    COLUMN_LESIONS = COLUMN_MEASURES + SCORE_N_MEASURES,
    N_COLUMNS = COLUMN_LESIONS + 3
};
static const char *const columns[N_COLUMNS] = {"case",
                                               "class",
                                               "unit",
                                               "labelled",
                                               "predicted",
                                               "both",
#define COLUMN(name, is_distance) #name,
                                               SCORE_MEASURES(COLUMN)
#undef COLUMN
                                                   "lesion_tp",
                                               "lesion_fp",
                                               "lesion_fn"};

// ---- writing ------------------------------------------------------------------------------------

static adele_status add_row(struct buffer *out, const struct case_scores *scores,
                            const struct scored_case *item, int c) {
    const struct class_score *score = &item->classes[c];
    TRY(buffer_csv_field(out, item->name));
    TRY(buffer_text(out, ","));
    TRY(buffer_csv_field(out, scores->class_names[c]));
    TRY(buffer_printf(out, ",%s,%lld,%lld,%lld", case_scores_unit(scores),
                      (long long)score->n_labelled, (long long)score->n_predicted,
                      (long long)score->n_both));
    for (int m = 0; m < SCORE_N_MEASURES; m++) {
        TRY(buffer_text(out, ","));
        TRY(buffer_number(out, score->measures[m], ""));
    }
    return buffer_printf(out, ",%lld,%lld,%lld\n", (long long)score->lesions.found,
                         (long long)score->lesions.falses, (long long)score->lesions.missed);
}

static adele_status add_rows(struct buffer *out, const struct case_scores *scores) {
    for (int k = 0; k < N_COLUMNS; k++)
        TRY(buffer_printf(out, "%s%s", columns[k], k + 1 < N_COLUMNS ? "," : "\n"));
    for (int i = 0; i < scores->n_cases; i++)
        for (int c = 0; c < scores->n_classes; c++)
            TRY(add_row(out, scores, &scores->cases[i], c));
    return ADELE_OK;
}

adele_status case_scores_write(const char *path, const struct case_scores *scores) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(add_rows(&text, scores));
    return file_write(path, text.data, text.n_bytes);
}

// ---- reading ------------------------------------------------------------------------------------

struct reader {
    struct csv csv;
    struct case_scores *scores;
    int n_rows; // of the case that is being read
};

static adele_status check_header(const struct csv *csv) {
    if (csv->n_columns != N_COLUMNS)
        return FAIL(ADELE_FORMAT, HINT, "%s, row 1: %d fields, not %d", csv->path, csv->n_columns,
                    N_COLUMNS);
    for (int k = 0; k < N_COLUMNS; k++)
        if (strcmp(csv->columns[k], columns[k]) != 0)
            return FAIL(ADELE_FORMAT, HINT, "%s: column %d is '%.40s', not '%s'", csv->path, k + 1,
                        csv->columns[k], columns[k]);
    return ADELE_OK;
}

static adele_status fail_number(const struct reader *reader, int column, const char *what) {
    return FAIL(ADELE_FORMAT, HINT, "%s, row %d: %s is '%.40s', not %s", reader->csv.path,
                reader->csv.line, columns[column], reader->csv.fields[column], what);
}

static adele_status read_measure(const struct reader *reader, int column, double largest,
                                 double *out) {
    const char *text = reader->csv.fields[column];
    char *end = NULL;
    *out = NAN;
    if (text[0] == '\0')
        return ADELE_OK;
    double value = number_parse(text, &end);
    if (*end != '\0' || !(value >= 0.0 && value <= largest))
        return fail_number(reader, column, largest == 1.0 ? "from 0 to 1" : "a distance");
    *out = value;
    return ADELE_OK;
}

static adele_status read_count(const struct reader *reader, int column, int64_t *out) {
    const char *text = reader->csv.fields[column];
    int64_t value = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 15 || text[n] != '\0')
        return fail_number(reader, column, "a whole number");
    for (size_t i = 0; i < n; i++)
        value = 10 * value + (text[i] - '0');
    *out = value;
    return ADELE_OK;
}

static adele_status read_scores(const struct reader *reader, struct class_score *out) {
    static const double largest[] = {
#define LARGEST(name, is_distance) (is_distance) ? 1e300 : 1.0,
        SCORE_MEASURES(LARGEST)
#undef LARGEST
    };
    int64_t *const lesions[] = {&out->lesions.found, &out->lesions.falses, &out->lesions.missed};
    TRY(read_count(reader, COLUMN_LABELLED, &out->n_labelled));
    TRY(read_count(reader, COLUMN_PREDICTED, &out->n_predicted));
    TRY(read_count(reader, COLUMN_BOTH, &out->n_both));
    for (int m = 0; m < SCORE_N_MEASURES; m++)
        TRY(read_measure(reader, COLUMN_MEASURES + m, largest[m], &out->measures[m]));
    for (int k = 0; k < 3; k++)
        TRY(read_count(reader, COLUMN_LESIONS + k, lesions[k]));
    return ADELE_OK;
}

// The rows of the first case name the classes: one more of them.
static adele_status add_class(struct reader *reader) {
    struct case_scores *scores = reader->scores;
    struct scored_case *first = &scores->cases[0];
    if (scores->n_classes == MAX_CLASSES)
        return FAIL(ADELE_FORMAT, HINT, "%s, row %d: case '%s' has more than %d classes",
                    reader->csv.path, reader->csv.line, first->name, MAX_CLASSES);
    TRY(GROW(&first->classes, scores->n_classes));
    TRY(GROW(&scores->class_names, scores->n_classes));
    char *name = memory_strdup(reader->csv.fields[COLUMN_CLASS]);
    TRY(CHECK_MEMORY(name));
    scores->class_names[scores->n_classes] = name;
    first->classes[scores->n_classes++] = (struct class_score){0};
    return ADELE_OK;
}

static adele_status check_complete(const struct reader *reader) {
    const struct case_scores *scores = reader->scores;
    if (scores->n_cases == 0 || reader->n_rows == scores->n_classes)
        return ADELE_OK;
    return FAIL(ADELE_FORMAT, HINT,
                "%s, row %d: %d rows of case '%s', not one for each of %d classes",
                reader->csv.path, reader->csv.line, reader->n_rows,
                scores->cases[scores->n_cases - 1].name, scores->n_classes);
}

// The case of the row: the last one, or a new one.
static adele_status find_case(struct reader *reader) {
    struct case_scores *scores = reader->scores;
    const char *name = reader->csv.fields[COLUMN_CASE];
    struct class_score *unused;
    if (scores->n_cases > 0 && strcmp(scores->cases[scores->n_cases - 1].name, name) == 0)
        return ADELE_OK;
    TRY(check_complete(reader));
    reader->n_rows = 0;
    return case_scores_add(scores, name, &unused);
}

static adele_status check_unit(const struct reader *reader) {
    const char *unit = reader->csv.fields[COLUMN_UNIT];
    if (strcmp(unit, case_scores_unit(reader->scores)) == 0)
        return ADELE_OK;
    return FAIL(ADELE_FORMAT, HINT, "%s, row %d: the unit is '%.40s', not '%s'", reader->csv.path,
                reader->csv.line, unit, case_scores_unit(reader->scores));
}

static adele_status read_row(struct reader *reader) {
    struct case_scores *scores = reader->scores;
    if (scores->n_cases == 0)
        scores->is_in_mm = strcmp(reader->csv.fields[COLUMN_UNIT], "mm") == 0;
    TRY(check_unit(reader));
    TRY(find_case(reader));
    if (scores->n_cases == 1)
        TRY(add_class(reader));
    const char *class = reader->csv.fields[COLUMN_CLASS];
    if (reader->n_rows == scores->n_classes ||
        strcmp(class, scores->class_names[reader->n_rows]) != 0)
        return FAIL(ADELE_FORMAT, HINT, "%s, row %d: class '%.40s' of case '%s', where %s%s is due",
                    reader->csv.path, reader->csv.line, class, reader->csv.fields[COLUMN_CASE],
                    reader->n_rows == scores->n_classes ? "the next case" : "class ",
                    reader->n_rows == scores->n_classes ? "" : scores->class_names[reader->n_rows]);
    struct scored_case *item = &scores->cases[scores->n_cases - 1];
    return read_scores(reader, &item->classes[reader->n_rows++]);
}

static adele_status read_rows(struct reader *reader) {
    bool is_row = false;
    TRY(check_header(&reader->csv));
    TRY(csv_next(&reader->csv, &is_row));
    while (is_row) {
        TRY(read_row(reader));
        TRY(csv_next(&reader->csv, &is_row));
    }
    TRY(check_complete(reader));
    if (reader->scores->n_cases > 0)
        return ADELE_OK;
    return FAIL(ADELE_FORMAT, HINT, "%s holds no case", reader->csv.path);
}

adele_status case_scores_read(const char *path, struct case_scores *out) {
    struct reader reader = {.scores = out};
    *out = (struct case_scores){0};
    TRY(csv_open(path, HINT, &reader.csv));
    adele_status status = read_rows(&reader);
    csv_close(&reader.csv);
    if (status != ADELE_OK)
        case_scores_deinit(out);
    return status;
}
