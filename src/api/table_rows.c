// SPDX-License-Identifier: MIT
// The table of many runs: mean and deviation of each configuration.
#include "api/table_rows.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "report/run.h"

#include <math.h>
#include <string.h>

enum { N_VALUES = 3 };
static const char *const columns[N_VALUES] = {"best", "last", "labels_last"};

struct rows {
    struct adele_table table; // first, so that both have one address
    struct adele_table_row *rows;
    char **names;
};

void adele_table_destroy(struct adele_table *table) {
    struct rows *self = (struct rows *)table;
    if (self == NULL)
        return;
    for (int i = 0; self->names != NULL && i < table->n_rows; i++)
        memory_free(self->names[i]);
    memory_free(self->names);
    memory_free(self->rows);
    memory_free(self);
}

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

static adele_status read_run(const struct table_run *run, struct adele_table_row *row,
                             double values[N_VALUES]) {
    struct report_run loaded;
    struct report_summary summary;
    TRY(report_run_load(run->folder, &loaded));
    adele_status status = report_run_summarize(&loaded, &summary);
    report_run_deinit(&loaded);
    TRY(status);
    values[0] = summary.best;
    values[1] = summary.last;
    values[2] = summary.labels_last;
    row->split = summary.split; // static storage
    row->n_runs++;
    memory_free(summary.name);
    return ADELE_OK;
}

static adele_status fill_row(int i_config, int n_runs, const struct table_run *runs,
                             struct adele_table_row *row) {
    double *values[N_VALUES] = {NULL};
    struct adele_spread *const spreads[N_VALUES] = {&row->best, &row->last, &row->labels};
    adele_status status = ADELE_OK;
    for (int k = 0; k < N_VALUES; k++)
        TRY_GOTO(ALLOCATE(&values[k], n_runs), done);
    row->split = "";
    for (int i = 0; i < n_runs; i++) {
        double of_run[N_VALUES];
        if (runs[i].i_config != i_config || !runs[i].has_finished)
            continue;
        int n = row->n_runs;
        TRY_GOTO(read_run(&runs[i], row, of_run), done);
        for (int k = 0; k < N_VALUES; k++)
            values[k][n] = of_run[k];
    }
    for (int k = 0; k < N_VALUES; k++)
        *spreads[k] = spread_of(values[k], row->n_runs);
done:
    for (int k = 0; k < N_VALUES; k++)
        memory_free(values[k]);
    return status;
}

adele_status table_rows_create(const struct adele_table_options *options, char *const *names,
                               int n_runs, const struct table_run *runs, struct adele_table **out) {
    struct rows *self = NULL;
    adele_status status;
    TRY(ALLOCATE(&self, 1));
    TRY_GOTO(ALLOCATE(&self->rows, options->n_configs), fail);
    TRY_GOTO(ALLOCATE(&self->names, options->n_configs), fail);
    self->table.n_rows = options->n_configs;
    self->table.rows = self->rows;
    for (int i = 0; i < options->n_configs; i++) {
        self->names[i] = memory_strdup(names[i]);
        TRY_GOTO(CHECK_MEMORY(self->names[i]), fail);
        self->rows[i].config = self->names[i];
        TRY_GOTO(fill_row(i, n_runs, runs, &self->rows[i]), fail);
    }
    *out = &self->table;
    return ADELE_OK;
fail:
    adele_table_destroy(&self->table);
    return status;
}

// ---- files --------------------------------------------------------------------------------------

static adele_status add_csv(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out, "config,split,runs"));
    for (int k = 0; k < N_VALUES; k++)
        TRY(buffer_printf(out, ",%s_mean,%s_deviation", columns[k], columns[k]));
    TRY(buffer_text(out, "\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        const struct adele_spread *const spreads[N_VALUES] = {&row->best, &row->last, &row->labels};
        TRY(buffer_csv_field(out, row->config));
        TRY(buffer_printf(out, ",%s,%d", row->split, row->n_runs));
        for (int k = 0; k < N_VALUES; k++) {
            TRY(buffer_text(out, ","));
            TRY(buffer_number(out, spreads[k]->mean, ""));
            TRY(buffer_text(out, ","));
            TRY(buffer_number(out, spreads[k]->deviation, ""));
        }
        TRY(buffer_text(out, "\n"));
    }
    return ADELE_OK;
}

static adele_status add_spread(struct buffer *out, const struct adele_spread *spread) {
    TRY(buffer_text(out, " | "));
    if (spread->n == 0)
        return buffer_text(out, "-");
    TRY(buffer_fixed(out, spread->mean, 4));
    if (spread->n == 1)
        return ADELE_OK;
    TRY(buffer_text(out, " ± "));
    return buffer_fixed(out, spread->deviation, 4);
}

static adele_status add_markdown(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out, "| configuration | split | runs | best mIoU | last mIoU | labels |\n"
                         "| --- | --- | ---: | ---: | ---: | ---: |\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        TRY(buffer_text(out, "| "));
        for (const char *c = row->config; *c != '\0'; c++)
            TRY(buffer_printf(out, *c == '|' ? "\\%c" : "%c", *c));
        TRY(buffer_printf(out, " | %s | %d", row->n_runs > 0 ? row->split : "-", row->n_runs));
        TRY(add_spread(out, &row->best));
        TRY(add_spread(out, &row->last));
        TRY(add_spread(out, &row->labels));
        TRY(buffer_text(out, " |\n"));
    }
    return buffer_text(out,
                       "\nMean ± deviation over the runs (seeds). mIoU: foreground mean on the "
                       "split, of the best and the last epoch. labels: foreground mIoU of the "
                       "training labels against the truth after the last epoch.\n");
}

adele_status table_rows_write(const struct adele_table *table, const char *folder) {
    struct buffer text = {0};
    adele_status status;
    TRY_GOTO(add_markdown(table, &text), done);
    TRY_GOTO(buffer_save(&text, folder, "table.md"), done);
    buffer_clear(&text);
    TRY_GOTO(add_csv(table, &text), done);
    status = buffer_save(&text, folder, "table.csv");
done:
    buffer_deinit(&text);
    return status;
}
