// SPDX-License-Identifier: MIT
// The files of a table of many runs.
#include "sweep/table_rows.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <math.h>

// ---- values for programs ------------------------------------------------------------------------

static adele_status add_both(struct buffer *out, const struct adele_spread *spread) {
    TRY(buffer_text(out, ","));
    TRY(buffer_number(out, spread->mean, ""));
    TRY(buffer_text(out, ","));
    return buffer_number(out, spread->deviation, "");
}

static adele_status add_csv(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out, "config,split,runs,best_mean,best_deviation,last_mean,last_deviation,"
                         "labels_last_mean,labels_last_deviation,noise,seconds_mean,"
                         "seconds_deviation\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        TRY(buffer_csv_field(out, row->config));
        TRY(buffer_printf(out, ",%s,%d", row->split, row->n_runs));
        TRY(add_both(out, &row->best));
        TRY(add_both(out, &row->last));
        TRY(add_both(out, &row->labels));
        TRY(buffer_text(out, ","));
        TRY(buffer_csv_field(out, row->noise));
        TRY(add_both(out, &row->seconds));
        TRY(buffer_text(out, "\n"));
    }
    return ADELE_OK;
}

static adele_status add_classes_csv(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out, "config,noise,class,split,runs,last_mean,last_deviation,labels_last_mean,"
                         "labels_last_deviation\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        for (int c = 0; c < row->n_classes; c++) {
            TRY(buffer_csv_field(out, row->config));
            TRY(buffer_text(out, ","));
            TRY(buffer_csv_field(out, row->noise));
            TRY(buffer_text(out, ","));
            TRY(buffer_csv_field(out, row->classes[c].name));
            TRY(buffer_printf(out, ",%s,%d", row->split, row->n_runs));
            TRY(add_both(out, &row->classes[c].last));
            TRY(add_both(out, &row->classes[c].labels));
            TRY(buffer_text(out, "\n"));
        }
    }
    return ADELE_OK;
}

static adele_status add_runs_csv(const struct table_plan *plan, struct buffer *out) {
    TRY(buffer_text(out, "run,config,noise,seed,best,best_epoch,last,labels_last,seconds\n"));
    for (int i = 0; i < plan->n_runs; i++) {
        const struct table_run *run = &plan->runs[i];
        const double values[] = {run->best, run->best_epoch, run->last, run->labels_last,
                                 run->seconds};
        if (!run->has_finished)
            continue;
        TRY(buffer_csv_field(out, run->name));
        TRY(buffer_text(out, ","));
        TRY(buffer_csv_field(out, plan->configs[run->i_config]));
        TRY(buffer_text(out, ","));
        TRY(buffer_csv_field(out, plan->noises[run->i_noise]));
        TRY(buffer_printf(out, ",%llu", (unsigned long long)run->seed));
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            TRY(buffer_text(out, ","));
            TRY(buffer_number(out, values[k], ""));
        }
        TRY(buffer_text(out, "\n"));
    }
    return ADELE_OK;
}

// ---- text for readers ---------------------------------------------------------------------------

static adele_status add_spread(struct buffer *out, const struct adele_spread *spread,
                               int n_decimals) {
    TRY(buffer_text(out, " | "));
    if (spread->n == 0)
        return buffer_text(out, "-");
    TRY(buffer_fixed(out, spread->mean, n_decimals));
    if (spread->n == 1)
        return ADELE_OK;
    TRY(buffer_text(out, " ± "));
    return buffer_fixed(out, spread->deviation, n_decimals);
}

static adele_status add_cell(struct buffer *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++)
        TRY(buffer_printf(out, *c == '|' ? "\\%c" : "%c", *c));
    return ADELE_OK;
}

static adele_status add_names(struct buffer *out, const struct adele_table_row *row) {
    TRY(buffer_text(out, "| "));
    TRY(add_cell(out, row->config));
    TRY(buffer_text(out, " | "));
    return add_cell(out, row->noise[0] != '\0' ? row->noise : "-");
}

static adele_status add_classes(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out, "\n| configuration | noise | class | last IoU | labels |\n"
                         "| --- | --- | --- | ---: | ---: |\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        for (int c = 0; c < row->n_classes; c++) {
            TRY(add_names(out, row));
            TRY(buffer_text(out, " | "));
            TRY(add_cell(out, row->classes[c].name));
            TRY(add_spread(out, &row->classes[c].last, 4));
            TRY(add_spread(out, &row->classes[c].labels, 4));
            TRY(buffer_text(out, " |\n"));
        }
    }
    return ADELE_OK;
}

static adele_status add_markdown(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out,
                    "| configuration | noise | split | runs | best mIoU | last mIoU | labels | "
                    "seconds |\n| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        TRY(add_names(out, row));
        TRY(buffer_printf(out, " | %s | %d", row->n_runs > 0 ? row->split : "-", row->n_runs));
        TRY(add_spread(out, &row->best, 4));
        TRY(add_spread(out, &row->last, 4));
        TRY(add_spread(out, &row->labels, 4));
        TRY(add_spread(out, &row->seconds, 0));
        TRY(buffer_text(out, " |\n"));
    }
    TRY(add_classes(table, out));
    return buffer_text(out,
                       "\nMean ± deviation over the runs (seeds). noise: - is the configuration's "
                       "own. mIoU: foreground mean on the split, of the best and the last epoch. "
                       "labels: foreground mIoU, or IoU of the class, of the training labels "
                       "against the truth after the last epoch. seconds: of a run's processes.\n");
}

static adele_status write_files(const struct adele_table *table, const struct table_plan *plan,
                                struct buffer *text) {
    const char *folder = plan->options->output;
    TRY(add_markdown(table, text));
    TRY(buffer_save(text, folder, "table.md"));
    buffer_clear(text);
    TRY(add_csv(table, text));
    TRY(buffer_save(text, folder, "table.csv"));
    buffer_clear(text);
    TRY(add_classes_csv(table, text));
    TRY(buffer_save(text, folder, "table_classes.csv"));
    buffer_clear(text);
    TRY(add_runs_csv(plan, text));
    return buffer_save(text, folder, "table_runs.csv");
}

adele_status table_files_write(const struct adele_table *table, const struct table_plan *plan) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    return write_files(table, plan, &text);
}
