// SPDX-License-Identifier: MIT
#include "sweep/table_rows.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/class_correction.h"
#include "report/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct rows {
    struct adele_table table; // first, so that both have one address
    struct adele_table_row *rows;
    char *notes[MAX_NOTES];
};

void table_rows_destroy(struct adele_table *table) {
    struct rows *self = (struct rows *)table;
    if (self == NULL)
        return;
    for (int i = 0; self->rows != NULL && i < table->n_rows; i++) {
        struct adele_table_row *row = &self->rows[i];
        for (int c = 0; c < row->n_classes; c++)
            memory_free((char *)row->classes[c].name);
        memory_free((struct adele_table_class *)row->classes);
        memory_free((char *)row->config);
        memory_free((char *)row->noise);
    }
    for (int i = 0; i < MAX_NOTES; i++)
        memory_free(self->notes[i]);
    memory_free(self->rows);
    memory_free(self);
}
OWNER(table_rows_destroy, struct adele_table)

// ---- values -------------------------------------------------------------------------------------

static struct adele_spread spread_of(const double *values, int n) {
    struct adele_spread out = {0, NAN, NAN};
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < n; i++)
        if (isfinite(values[i])) {
            sum += values[i];
            out.n++;
        }
    if (out.n > 0)
        out.mean = sum / out.n;
    for (int i = 0; i < n; i++)
        if (isfinite(values[i]))
            squares += (values[i] - out.mean) * (values[i] - out.mean);
    if (out.n > 1)
        out.deviation = sqrt(squares / (out.n - 1));
    return out;
}

static struct adele_table_corrected corrected_of(const double *values, int n, int n_classes) {
    const struct adele_spread spread = spread_of(values, n);
    struct adele_table_corrected out = {spread.n, n_classes, spread.mean, NAN, NAN};
    for (int i = 0; i < n; i++) {
        out.min = fmin(out.min, values[i]); // of a NaN and a number, the number
        out.max = fmax(out.max, values[i]);
    }
    return out;
}

// The values of one row's finished runs. Classes are those of its first one.
struct values {
    double *best, *last, *labels, *seconds, *corrected; // (n)
    double *class_last, *class_labels;                  // (n_classes, n_runs)
    int n, n_runs;                                      // runs that are in; room for runs
    int n_foreground;
};

static void values_deinit(struct values *values) {
    memory_free(values->best);
    memory_free(values->last);
    memory_free(values->labels);
    memory_free(values->seconds);
    memory_free(values->corrected);
    memory_free(values->class_last);
    memory_free(values->class_labels);
}

static adele_status values_init(struct values *values, int n_runs) {
    values->n_runs = n_runs;
    TRY(ALLOCATE(&values->best, n_runs));
    TRY(ALLOCATE(&values->last, n_runs));
    TRY(ALLOCATE(&values->labels, n_runs));
    TRY(ALLOCATE(&values->corrected, n_runs));
    return ALLOCATE(&values->seconds, n_runs);
}

// The names behind "SPLIT/pred_vs_true/iou/" in the last record.
static adele_status find_classes(const struct report_run *run, const char *split,
                                 struct adele_table_row *row) {
    char prefix[64];
    struct adele_table_class *classes = NULL;
    int n_prefix = snprintf(prefix, sizeof prefix, "%s/pred_vs_true/iou/", split);
    const cJSON *item;
    cJSON_ArrayForEach(item, run->records.items[run->records.n - 1].values) {
        if (strncmp(item->string, prefix, (size_t)n_prefix) != 0)
            continue;
        TRY(GROW(&classes, row->n_classes));
        char *name = memory_strdup(item->string + n_prefix);
        row->classes = classes;
        classes[row->n_classes] = (struct adele_table_class){.name = name};
        TRY(CHECK_MEMORY(name));
        row->n_classes++;
    }
    return ADELE_OK;
}

// The last finite value of a metric; NaN without any.
static adele_status read_last(const struct report_run *run, const char *table, const char *name,
                              double *out) {
    OWNED double *values = NULL;
    *out = NAN;
    TRY(report_run_series(run, &values, "%s/iou/%s", table, name));
    for (int i = 0; values != NULL && i < run->records.n; i++)
        if (isfinite(values[i]))
            *out = values[i];
    return ADELE_OK;
}

static adele_status read_classes(const struct report_run *run, const char *split,
                                 struct adele_table_row *row, struct values *values) {
    char table[64];
    (void)snprintf(table, sizeof table, "%s/pred_vs_true", split);
    if (values->n == 0) {
        TRY(find_classes(run, split, row));
        size_t n = (size_t)row->n_classes * (size_t)values->n_runs;
        TRY(ALLOCATE(&values->class_last, n + 1));
        TRY(ALLOCATE(&values->class_labels, n + 1));
    }
    for (int c = 0; c < row->n_classes; c++) {
        int at = c * values->n_runs + values->n;
        TRY(read_last(run, table, row->classes[c].name, &values->class_last[at]));
        TRY(read_last(run, "train/labels_vs_true", row->classes[c].name,
                      &values->class_labels[at]));
    }
    return ADELE_OK;
}

static void count_corrected(const struct report_run *loaded, struct table_run *run) {
    const cJSON *node;
    run->n_foreground = 0;
    cJSON_ArrayForEach(node, cJSON_GetObjectItemCaseSensitive(loaded->onset, "categories")) {
        struct class_correction read;
        run->n_foreground++;
        if (!class_correction_read(loaded->onset, node, &read))
            continue;
        run->corrected = isnan(run->corrected) ? 0 : run->corrected;
        run->corrected += read.first_epoch > 0;
    }
}

static adele_status read_run(struct table_run *run, struct adele_table_row *row,
                             struct values *values) {
    CLEANUP(report_run_deinit) struct report_run loaded = {0};
    struct report_summary summary = {0};
    TRY(report_run_load(run->folder, &loaded));
    TRY(report_run_summarize(&loaded, &summary));
    memory_free(summary.name);
    TRY(read_classes(&loaded, summary.split, row, values));
    run->best = values->best[values->n] = summary.best;
    run->last = values->last[values->n] = summary.last;
    run->labels_last = values->labels[values->n] = summary.labels_last;
    run->best_epoch = summary.best_epoch;
    count_corrected(&loaded, run);
    values->corrected[values->n] = run->corrected;
    values->n_foreground = run->n_foreground;
    values->seconds[values->n] = run->seconds;
    row->split = summary.split; // static storage
    values->n++;
    return ADELE_OK;
}

static void fill_class(const struct values *values, int c, struct adele_table_class *class) {
    const double *last = values->class_last + c * values->n_runs;
    class->last = spread_of(last, values->n);
    class->labels = spread_of(values->class_labels + c * values->n_runs, values->n);
    class->lowest = NAN;
    for (int i = 0; i < values->n; i++) {
        class->lowest = fmin(class->lowest, last[i]);
        class->n_below += last[i] < ADELE_TABLE_LOW_IOU;
    }
}

static adele_status fill_row(struct table_plan *plan, int i_row, struct adele_table_row *row) {
    CLEANUP(values_deinit) struct values values = {NULL};
    row->split = "";
    TRY(values_init(&values, plan->options->n_seeds));
    for (int i = 0; i < plan->n_runs; i++)
        if (plan->runs[i].i_row == i_row && plan->runs[i].has_finished)
            TRY(read_run(&plan->runs[i], row, &values));
    row->n_runs = values.n;
    row->best = spread_of(values.best, values.n);
    row->last = spread_of(values.last, values.n);
    row->labels = spread_of(values.labels, values.n);
    row->seconds = spread_of(values.seconds, values.n);
    row->corrected = corrected_of(values.corrected, values.n, values.n_foreground);
    for (int c = 0; c < row->n_classes; c++)
        fill_class(&values, c, (struct adele_table_class *)&row->classes[c]);
    return ADELE_OK;
}

adele_status table_rows_create(struct table_plan *plan, struct adele_table **out) {
    struct rows *self = NULL;
    TRY(ALLOCATE(&self, 1));
    OWNED_BY(table_rows_destroy) struct adele_table *table = &self->table;
    TRY(ALLOCATE(&self->rows, plan->n_rows));
    table->n_rows = plan->n_rows;
    table->rows = self->rows;
    for (int i = 0; i < plan->n_rows; i++) {
        struct adele_table_row *row = &self->rows[i];
        row->config = memory_strdup(plan->configs[i / plan->n_noises]);
        TRY(CHECK_MEMORY(row->config));
        row->noise = memory_strdup(plan->noises[i % plan->n_noises]);
        TRY(CHECK_MEMORY(row->noise));
        TRY(fill_row(plan, i, row));
    }
    TRY(table_notes_create(table, self->notes));
    while (table->n_notes < MAX_NOTES && self->notes[table->n_notes] != NULL)
        table->n_notes++;
    table->notes = (const char *const *)self->notes;
    *out = table;
    table = NULL;
    return ADELE_OK;
}
