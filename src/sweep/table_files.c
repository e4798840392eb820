// SPDX-License-Identifier: MIT
// The files of a table of many runs.
#include "sweep/table_rows.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <stdbool.h>

// ---- values for programs ------------------------------------------------------------------------

static adele_status add_numbers(struct buffer *out, size_t n, const double *values) {
    for (size_t i = 0; i < n; i++) {
        TRY(buffer_text(out, ","));
        TRY(buffer_number(out, values[i], ""));
    }
    return ADELE_OK;
}

static adele_status add_both(struct buffer *out, const struct adele_spread *spread) {
    return add_numbers(out, 2, (const double[]){spread->mean, spread->deviation});
}

static adele_status add_csv(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out, "config,split,runs,best_mean,best_deviation,last_mean,last_deviation,"
                         "labels_last_mean,labels_last_deviation,noise,seconds_mean,"
                         "seconds_deviation,corrected_mean,corrected_min,corrected_max,"
                         "foreground_classes\n"));
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
        const struct adele_table_corrected *corrected = &row->corrected;
        TRY(add_numbers(out, 3, (const double[]){corrected->mean, corrected->min, corrected->max}));
        TRY(buffer_printf(out, ",%d\n", corrected->n_classes));
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
    TRY(buffer_text(out, "run,config,noise,seed,best,best_epoch,last,labels_last,seconds,corrected,"
                         "foreground_classes\n"));
    for (int i = 0; i < plan->n_runs; i++) {
        const struct table_run *run = &plan->runs[i];
        const double values[] = {run->best,        run->best_epoch, run->last,
                                 run->labels_last, run->seconds,    run->corrected};
        if (!run->has_finished)
            continue;
        TRY(buffer_csv_field(out, run->name));
        TRY(buffer_text(out, ","));
        TRY(buffer_csv_field(out, plan->configs[run->i_config]));
        TRY(buffer_text(out, ","));
        TRY(buffer_csv_field(out, plan->noises[run->i_noise]));
        TRY(buffer_printf(out, ",%llu", (unsigned long long)run->seed));
        TRY(add_numbers(out, sizeof values / sizeof *values, values));
        TRY(buffer_printf(out, ",%d\n", run->n_foreground));
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

// "3/5" where all runs are alike, else "2.3/5 (1..3)".
static adele_status add_corrected(struct buffer *out,
                                  const struct adele_table_corrected *corrected) {
    bool is_same = corrected->min == corrected->max;
    TRY(buffer_text(out, " | "));
    if (corrected->n == 0)
        return buffer_text(out, "-");
    TRY(buffer_fixed(out, corrected->mean, is_same ? 0 : 1));
    TRY(buffer_printf(out, "/%d", corrected->n_classes));
    return is_same ? ADELE_OK : buffer_printf(out, " (%.0f..%.0f)", corrected->min, corrected->max);
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

static const char explanation[] =
    "\nMean ± deviation of a sample (n - 1) over the runs, one a seed. Rows are in the order of "
    "the configurations and, in each, of --noise.\n\n"
    "- noise: - is the configuration's own.\n"
    "- best mIoU, last mIoU: foreground mean on the split, of the best and the last epoch. The "
    "best epoch is chosen by the very images that are scored, so its value is optimistic: compare "
    "by the last one.\n"
    "- labels: foreground mIoU (below: IoU of the class) of the training labels, as corrected, "
    "against the truth after the last epoch; - where the truth is not known.\n"
    "- corrected: in how many foreground classes labels were corrected, of how many; where seeds "
    "differ, their mean (lowest..highest). - is without correction.\n"
    "- seconds: wall-clock time of a run's processes, from start to end. Runs at the same time "
    "(--jobs) slow each other down.\n";

static adele_status add_markdown(const struct adele_table *table, struct buffer *out) {
    TRY(buffer_text(out,
                    "| configuration | noise | split | runs | best mIoU | last mIoU | labels | "
                    "corrected | seconds |\n"
                    "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"));
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        TRY(add_names(out, row));
        TRY(buffer_printf(out, " | %s | %d", row->n_runs > 0 ? row->split : "-", row->n_runs));
        TRY(add_spread(out, &row->best, 4));
        TRY(add_spread(out, &row->last, 4));
        TRY(add_spread(out, &row->labels, 4));
        TRY(add_corrected(out, &row->corrected));
        TRY(add_spread(out, &row->seconds, 0));
        TRY(buffer_text(out, " |\n"));
    }
    for (int i = 0; i < table->n_notes; i++)
        TRY(buffer_printf(out, "\n**Note:** %s\n", table->notes[i]));
    TRY(add_classes(table, out));
    return buffer_text(out, explanation);
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
