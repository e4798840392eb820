// SPDX-License-Identifier: MIT
// The metrics of the runs: as text for a terminal, as Markdown and as CSV.
#include "report/figures.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_COLUMNS  9
#define CELL_BYTES 256

static const char *const headings[N_COLUMNS] = {
    "run",         "split",    "epochs",
    "best mIoU",   "at epoch", "last mIoU",
    "last - best", "labels",   "agrees with truth/error"};

#define LABELS 7 // the columns that only runs with known true labels have
#define AGREES 8

struct cells {
    char text[N_COLUMNS][CELL_BYTES];
};

// The columns in which some run has a value: one of dashes alone says nothing.
struct columns {
    bool is_shown[N_COLUMNS];
};

static void set_number(char *cell, int n_digits, const char *sign, double value) {
    if (!isfinite(value))
        (void)snprintf(cell, CELL_BYTES, "-");
    else if (sign[0] == '+')
        (void)snprintf(cell, CELL_BYTES, "%+.*f", n_digits, value);
    else
        (void)snprintf(cell, CELL_BYTES, "%.*f", n_digits, value);
}

static void set_pair(char *cell, int n_digits, double first, const char *between, double second) {
    char a[CELL_BYTES / 4];
    char b[CELL_BYTES / 4];
    if (!isfinite(first) && !isfinite(second)) {
        (void)snprintf(cell, CELL_BYTES, "-");
        return;
    }
    (void)snprintf(a, sizeof a, "%.*f", n_digits, first);
    (void)snprintf(b, sizeof b, "%.*f", n_digits, second);
    (void)snprintf(cell, CELL_BYTES, "%s%s%s", isfinite(first) ? a : "-", between,
                   isfinite(second) ? b : "-");
}

static void set_cells(const struct report_summary *summary, struct cells *out) {
    (void)snprintf(out->text[0], CELL_BYTES, "%s", summary->name);
    (void)snprintf(out->text[1], CELL_BYTES, "%s", summary->split);
    (void)snprintf(out->text[2], CELL_BYTES, "%d", summary->n_epochs);
    set_number(out->text[3], 3, "", summary->best);
    set_number(out->text[4], 0, "", summary->best_epoch);
    set_number(out->text[5], 3, "", summary->last);
    set_number(out->text[6], 3, "+", summary->last - summary->best);
    set_pair(out->text[7], 3, summary->labels_first, " -> ", summary->labels_last);
    set_pair(out->text[8], 2, summary->early_learning_last, " / ", summary->memorization_last);
}

static struct columns find_columns(int n_runs, const struct report_summary *summaries) {
    struct columns columns = {{false}};
    struct cells cells = {0};
    for (int i = 0; i < n_runs; i++) {
        set_cells(&summaries[i], &cells);
        for (int k = 0; k < N_COLUMNS; k++)
            columns.is_shown[k] = columns.is_shown[k] || strcmp(cells.text[k], "-") != 0;
    }
    return columns;
}

// ---- terminal -----------------------------------------------------------------------------------

// Columns on a screen: continuation bytes of UTF-8 take none.
static int width_of(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static adele_status add_cell(struct buffer *out, const char *text, int width, bool is_first) {
    int n_spaces = width - width_of(text);
    if (is_first)
        return buffer_printf(out, "%s%*s", text, n_spaces, "");
    return buffer_printf(out, "  %*s%s", n_spaces, "", text);
}

static adele_status add_cells(struct buffer *out, const struct columns *columns, const int *widths,
                              const struct cells *cells) {
    for (int k = 0; k < N_COLUMNS; k++)
        if (columns->is_shown[k])
            TRY(add_cell(out, cells->text[k], widths[k], k == 0));
    return buffer_text(out, "\n");
}

static adele_status add_legend(struct buffer *out, const struct columns *columns) {
    TRY(buffer_text(out, "mIoU: foreground mean on the named split."));
    if (columns->is_shown[LABELS])
        TRY(buffer_text(out, " labels: foreground mIoU of the training labels\nagainst the truth, "
                             "first -> last epoch."));
    if (columns->is_shown[AGREES])
        TRY(buffer_text(out, " agrees with truth/error: IoU of the predictions\nwith the truth / "
                             "with the wrong label, on the wrong pixels, last epoch."));
    return buffer_text(out, "\n");
}

static adele_status print_table(int n_runs, const struct report_summary *summaries,
                                struct buffer *out) {
    const struct columns columns = find_columns(n_runs, summaries);
    int widths[N_COLUMNS];
    struct cells cells = {0};
    for (int k = 0; k < N_COLUMNS; k++) {
        (void)snprintf(cells.text[k], CELL_BYTES, "%s", headings[k]);
        widths[k] = width_of(headings[k]);
    }
    const struct cells names = cells;
    for (int i = 0; i < n_runs; i++) {
        set_cells(&summaries[i], &cells);
        for (int k = 0; k < N_COLUMNS; k++) {
            int width = width_of(cells.text[k]);
            widths[k] = width > widths[k] ? width : widths[k];
        }
    }
    TRY(add_cells(out, &columns, widths, &names));
    for (int k = 0; k < N_COLUMNS; k++) {
        TRY(buffer_text(out, k > 0 && columns.is_shown[k] ? "  " : ""));
        for (int i = 0; columns.is_shown[k] && i < widths[k]; i++)
            TRY(buffer_text(out, "-"));
    }
    TRY(buffer_text(out, "\n"));
    for (int i = 0; i < n_runs; i++) {
        set_cells(&summaries[i], &cells);
        TRY(add_cells(out, &columns, widths, &cells));
    }
    return add_legend(out, &columns);
}

adele_status report_table(int n_runs, const struct report_summary *summaries, char **out) {
    *out = NULL;
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(print_table(n_runs, summaries, &text));
    *out = text.data; // the caller frees it with memory_free
    text = (struct buffer){0};
    return ADELE_OK;
}

// ---- files --------------------------------------------------------------------------------------

// An unescaped bar would end the cell.
static adele_status add_markdown_text(struct buffer *out, const char *text) {
    for (; *text != '\0'; text++)
        TRY(buffer_text(out, *text == '|' ? "\\|" : (char[]){*text, '\0'}));
    return ADELE_OK;
}

static adele_status add_markdown_table(int n_runs, const struct report_summary *summaries,
                                       struct buffer *out) {
    const struct columns columns = find_columns(n_runs, summaries);
    struct cells cells = {0};
    for (int k = 0; k < N_COLUMNS; k++)
        if (columns.is_shown[k])
            TRY(buffer_printf(out, "| %s ", headings[k]));
    TRY(buffer_text(out, "|\n"));
    for (int k = 0; k < N_COLUMNS; k++)
        if (columns.is_shown[k])
            TRY(buffer_text(out, k < 2 ? "| --- " : "| ---: "));
    TRY(buffer_text(out, "|\n"));
    for (int i = 0; i < n_runs; i++) {
        set_cells(&summaries[i], &cells);
        for (int k = 0; k < N_COLUMNS; k++) {
            if (!columns.is_shown[k])
                continue;
            TRY(buffer_text(out, "| "));
            TRY(add_markdown_text(out, cells.text[k]));
            TRY(buffer_text(out, " "));
        }
        TRY(buffer_text(out, "|\n"));
    }
    TRY(buffer_text(out, "\nmIoU: foreground mean on the named split."));
    if (columns.is_shown[LABELS])
        TRY(buffer_text(out, " labels: foreground mIoU of the training labels against the truth, "
                             "first -> last epoch."));
    if (columns.is_shown[AGREES])
        TRY(buffer_text(out, " Agrees with truth/error: on the wrong pixels, IoU of the "
                             "predictions with the truth / with the wrong label, last epoch."));
    return buffer_text(out, "\n");
}

static adele_status add_markdown(int n_runs, const struct report_run *runs,
                                 const struct report_summary *summaries, struct buffer *out) {
    TRY(add_markdown_table(n_runs, summaries, out));
    for (int i = 0; i < n_runs; i++) {
        if (runs[i].config == NULL)
            continue;
        size_t n_bytes = strlen(runs[i].config);
        bool has_newline = n_bytes > 0 && runs[i].config[n_bytes - 1] == '\n';
        TRY(buffer_printf(out, "\n## Configuration of %s\n\n```yaml\n", runs[i].name));
        TRY(buffer_text(out, runs[i].config));
        TRY(buffer_text(out, has_newline ? "```\n" : "\n```\n"));
    }
    return ADELE_OK;
}

static adele_status add_csv(int n_runs, const struct report_summary *summaries,
                            struct buffer *out) {
    TRY(buffer_text(out, "run,split,epochs,best_miou_foreground,best_epoch,last_miou_foreground,"
                         "labels_first_miou_foreground,labels_last_miou_foreground,"
                         "early_learning_last_miou,memorization_last_miou\n"));
    for (int i = 0; i < n_runs; i++) {
        const struct report_summary *summary = &summaries[i];
        const double values[] = {summary->best,
                                 summary->best_epoch,
                                 summary->last,
                                 summary->labels_first,
                                 summary->labels_last,
                                 summary->early_learning_last,
                                 summary->memorization_last};
        TRY(buffer_csv_field(out, summary->name));
        TRY(buffer_printf(out, ",%s,%d", summary->split, summary->n_epochs));
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            TRY(buffer_text(out, ","));
            TRY(buffer_number(out, values[k], ""));
        }
        TRY(buffer_text(out, "\n"));
    }
    return ADELE_OK;
}

adele_status table_write(int n_runs, const struct report_run *runs,
                         const struct report_summary *summaries, const char *folder) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(add_markdown(n_runs, runs, summaries, &text));
    TRY(buffer_save(&text, folder, "table.md"));
    buffer_clear(&text);
    TRY(add_csv(n_runs, summaries, &text));
    return buffer_save(&text, folder, "table.csv");
}
