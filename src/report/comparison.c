// SPDX-License-Identifier: MIT
// The main figure: which run falls after its peak, and which one holds. One line per run, a ring
// around the best epoch, the last value at the end of the line.
#include "report/figures.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "report/plot.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH         1040
#define HEIGHT        540
#define MARGIN        28.0
#define TOP           92.0 // title and subtitle above the plots
#define BOTTOM        52.0
#define AXIS_LEFT     58.0 // tick labels and axis title
#define MAX_END_WIDTH 150.0
#define LABEL_GAP     32.0 // a value and a name below it
#define N_SIDE        2    // small plots at the right

// A run falls if its last epoch lies this far below its best one. Between epochs, the
// IoU of a test set of some tens of images moves by 0.01 to 0.03.
#define FALL 0.05

static const uint32_t run_colours[] = {PLOT_VERMILLION, PLOT_BLUE, PLOT_GREEN, PLOT_PURPLE,
                                       PLOT_ORANGE,     PLOT_SKY,  PLOT_INK,   PLOT_MUTED};
#define N_RUN_COLOURS ((int)(sizeof run_colours / sizeof run_colours[0]))

struct line {
    const char *name;
    const struct report_summary *summary;
    uint32_t colour;
    int n;
    const double *epochs;
    double *held_out;     // NULL: not recorded
    double *side[N_SIDE]; // labels_vs_true, memorization
};

struct end_label {
    double y, value;
    int i_line;
};

struct comparison {
    int n;
    struct line *lines;
    bool has_side[N_SIDE];
    const char *split; // "test", "validation" or "held-out" where the runs differ
    struct buffer title;
    struct end_label *labels; // (n), space for one plot at a time
};

// The first of several runs is the baseline, in the warning colour.
static uint32_t colour_of(int i, int n_runs) {
    return n_runs == 1 ? PLOT_BLUE : run_colours[i % N_RUN_COLOURS];
}

static bool is_falling(const struct report_summary *summary) {
    return summary->best - summary->last > FALL;
}

// ---- title --------------------- ----------------------------------------------------------------

static adele_status describe_run(struct buffer *out, const struct report_summary *summary) {
    TRY(buffer_text(out, summary->name));
    if (!isfinite(summary->best))
        return buffer_text(out, " has no result yet");
    if (!is_falling(summary))
        return buffer_printf(out, " holds (%.2f \xE2\x86\x92 %.2f)", summary->best, summary->last);
    // A run memorizes if it agrees more with the errors than with the truth.
    bool is_memorizing = summary->memorization_last > summary->early_learning_last;
    return buffer_printf(out, " %s (%.2f \xE2\x86\x92 %.2f)",
                         is_memorizing ? "memorizes the wrong labels" : "falls after its peak",
                         summary->best, summary->last);
}

static adele_status write_title(struct comparison *figure) {
    for (int i = 0; i < figure->n && i < 2; i++) {
        TRY(buffer_text(&figure->title, i > 0 ? ", " : ""));
        TRY(describe_run(&figure->title, figure->lines[i].summary));
    }
    return ADELE_OK;
}

static void draw_title(cairo_t *cairo, const struct comparison *figure) {
    struct plot_text_style title = {19.0, PLOT_INK, PLOT_LEFT, true, false};
    struct plot_text_style subtitle = {13.0, PLOT_MUTED, PLOT_LEFT, false, false};
    const char *text = figure->title.data;
    double room = WIDTH - 2.0 * MARGIN;
    while (text != NULL && title.size > 14.0 && plot_text_width(cairo, title, text) > room)
        title.size -= 1.0;
    if (figure->n > 2 || text == NULL || plot_text_width(cairo, title, text) > room)
        plot_text(cairo, title, MARGIN, 38.0, "Which run keeps what it learned?");
    else
        plot_text(cairo, title, MARGIN, 38.0, "%s", text);
    plot_text(cairo, subtitle, MARGIN, 60.0,
              "Foreground mIoU on %s images after each epoch. Ring: best epoch. "
              "Number at the end: last epoch.",
              figure->split);
}

// ---- lines and their labels ---------------------------------------------------------------------

static double *values_of(const struct line *line, int i_side) {
    return i_side < 0 ? line->held_out : line->side[i_side];
}

static double last_of(const struct line *line, int i_side, double *epoch) {
    const double *values = values_of(line, i_side);
    for (int i = line->n - 1; values != NULL && i >= 0; i--) {
        if (isfinite(values[i])) {
            *epoch = line->epochs[i];
            return values[i];
        }
    }
    return NAN;
}

// Whole tenths around all values, for the axes of one plot.
static void set_range(const struct comparison *figure, int i_side, struct plot_axes *axes) {
    double low = INFINITY;
    double high = -INFINITY;
    axes->x_min = INFINITY;
    axes->x_max = -INFINITY;
    for (int i = 0; i < figure->n; i++) {
        const struct line *line = &figure->lines[i];
        const double *values = values_of(line, i_side);
        for (int k = 0; values != NULL && k < line->n; k++) {
            if (!isfinite(values[k]))
                continue;
            low = fmin(low, values[k]);
            high = fmax(high, values[k]);
        }
        axes->x_min = fmin(axes->x_min, line->epochs[0]);
        axes->x_max = fmax(axes->x_max, line->epochs[line->n - 1]);
    }
    if (!(low <= high)) {
        low = 0.0;
        high = 1.0;
    }
    axes->y_min = floor(low * 10.0 - 0.05) / 10.0;
    axes->y_max = ceil(high * 10.0 + 0.05) / 10.0;
    axes->y_min = fmax(axes->y_min, fmin(low, 0.0));
    axes->y_max = fmin(axes->y_max, fmax(high, 1.0));
    if (axes->y_max - axes->y_min < 0.1)
        axes->y_min = axes->y_max - 0.1;
}

// Moves labels apart, from the top down and back up, so that none covers another.
static void spread(int n, struct end_label *labels, double gap, double top, double bottom) {
    for (int i = 1; i < n; i++) { // insertion sort by height
        for (int k = i; k > 0 && labels[k].y < labels[k - 1].y; k--) {
            struct end_label swap = labels[k];
            labels[k] = labels[k - 1];
            labels[k - 1] = swap;
        }
    }
    for (int i = 0; i < n; i++) {
        double least = i == 0 ? top : labels[i - 1].y + gap;
        labels[i].y = fmax(labels[i].y, least);
    }
    for (int i = n - 1; i >= 0; i--) {
        double most = i == n - 1 ? bottom : labels[i + 1].y - gap;
        labels[i].y = fmin(labels[i].y, most);
    }
}

// The end labels, in the colour of their line; the big plot carries the runs' names as well.
static void draw_end_labels(cairo_t *cairo, const struct comparison *figure,
                            const struct plot_axes *axes, int i_side) {
    struct end_label *labels = figure->labels;
    int n = 0;
    double epoch = 0.0;
    for (int i = 0; i < figure->n; i++) {
        double value = last_of(&figure->lines[i], i_side, &epoch);
        if (isfinite(value))
            labels[n++] = (struct end_label){plot_axes_y(axes, value), value, i};
    }
    bool is_main = i_side < 0;
    double gap = fmin(is_main ? LABEL_GAP : 15.0, axes->height / fmax(n, 1));
    spread(n, labels, gap, axes->y, axes->y + axes->height);
    for (int i = 0; i < n; i++) {
        const struct line *line = &figure->lines[labels[i].i_line];
        struct plot_text_style style = {is_main ? 17.0 : 12.5, line->colour, PLOT_LEFT, true,
                                        false};
        double x = axes->x + axes->width + 12.0;
        plot_text(cairo, style, x, labels[i].y + style.size * 0.36 - (is_main ? 4.0 : 0.0), "%.3f",
                  labels[i].value);
        style.size = 12.5;
        style.bold = false;
        if (is_main)
            plot_text_fit(cairo, style, x, labels[i].y + 16.0, MAX_END_WIDTH, "%s", line->name);
    }
}

// A text of one line: `y` is its upper edge.
struct box {
    double x, y, width, height;
};

// How much a text in the box would cover: points of the curves, and of the boxes before it.
static int count_covered(const struct comparison *figure, const struct plot_axes *axes,
                         const struct box *box, int n_before, const struct box *before) {
    int n = 0;
    for (int i = 0; i < figure->n; i++) {
        const struct line *line = &figure->lines[i];
        for (int k = 0; line->held_out != NULL && k + 1 < line->n; k++)
            for (int j = 0; j < 8; j++) {
                double t = j / 8.0;
                double x = plot_axes_x(axes, line->epochs[k] * (1.0 - t) + line->epochs[k + 1] * t);
                double y =
                    plot_axes_y(axes, line->held_out[k] * (1.0 - t) + line->held_out[k + 1] * t);
                n += x >= box->x && x <= box->x + box->width && y >= box->y &&
                     y <= box->y + box->height; // never where a value is missing
            }
    }
    for (int i = 0; i < n_before; i++)
        if (fabs(before[i].x - box->x) < box->width && fabs(before[i].y - box->y) < box->height)
            n += 100;
    return n;
}

// Beside an early peak the left is free, since curves rise to it from the lower left. *out has its
// width and height; of places above and below the ring it gets the one that covers least.
static void place_best(const struct comparison *figure, const struct plot_axes *axes, double x,
                       double y, int n_before, const struct box *before, struct box *out) {
    bool is_early = (x - axes->x) / axes->width < 0.5;
    const double lefts[] = {is_early ? x - out->width + 8.0 : x - out->width / 2.0,
                            x - out->width / 2.0, x - 8.0};
    const double tops[] = {y - 13.0 - out->height, y + 12.0, y - 30.0 - out->height, y + 30.0};
    struct box box = *out;
    int least = INT_MAX;
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
        for (size_t k = 0; k < sizeof lefts / sizeof *lefts; k++) {
            box.x = fmin(fmax(lefts[k], axes->x + 4.0), axes->x + axes->width - box.width);
            box.y = tops[i];
            int n = count_covered(figure, axes, &box, n_before, before);
            if (n < least) {
                least = n;
                *out = box;
            }
        }
}

static void draw_ring(cairo_t *cairo, const struct plot_axes *axes, const struct line *line) {
    const struct report_summary *summary = line->summary;
    if (!isfinite(summary->best))
        return;
    double x = plot_axes_x(axes, summary->best_epoch);
    double y = plot_axes_y(axes, summary->best);
    cairo_new_path(cairo);
    cairo_arc(cairo, x, y, 6.0, 0.0, 2.0 * M_PI);
    plot_set_colour(cairo, 0xFFFFFF, 1.0);
    cairo_fill_preserve(cairo);
    plot_set_colour(cairo, line->colour, 1.0);
    cairo_set_line_width(cairo, 2.5);
    cairo_stroke(cairo);
}

#define MOST_BEST 3 // texts beside rings

static void draw_best(cairo_t *cairo, const struct comparison *figure,
                      const struct plot_axes *axes) {
    struct box boxes[MOST_BEST];
    int n = 0;
    for (int i = 0; i < figure->n; i++)
        draw_ring(cairo, axes, &figure->lines[i]);
    for (int i = 0; i < figure->n && figure->n <= MOST_BEST; i++) {
        const struct report_summary *summary = figure->lines[i].summary;
        char text[64];
        if (!isfinite(summary->best))
            continue;
        (void)snprintf(text, sizeof text, "best %.3f, epoch %.0f", summary->best,
                       summary->best_epoch);
        struct plot_text_style style = {12.0, figure->lines[i].colour, PLOT_LEFT, false, true};
        boxes[n] = (struct box){.width = plot_text_width(cairo, style, text), .height = 12.0};
        place_best(figure, axes, plot_axes_x(axes, summary->best_epoch),
                   plot_axes_y(axes, summary->best), n, boxes, &boxes[n]);
        plot_text(cairo, style, boxes[n].x, boxes[n].y + boxes[n].height, "%s", text);
        n++;
    }
}

static void draw_plot(cairo_t *cairo, const struct comparison *figure, struct plot_axes *axes,
                      int i_side) {
    plot_axes_draw(cairo, axes);
    bool is_main = i_side < 0;
    for (int i = 0; i < figure->n; i++) {
        const struct line *line = &figure->lines[i];
        const double *values = values_of(line, i_side);
        double epoch = 0.0;
        double last = last_of(line, i_side, &epoch);
        if (!isfinite(last))
            continue;
        plot_curve(cairo, axes, line->n, line->epochs, values, line->colour, is_main ? 2.8 : 2.0);
        plot_points(cairo, axes, 1, &epoch, &last, line->colour, is_main ? 4.5 : 3.2);
    }
    if (is_main)
        draw_best(cairo, figure, axes);
    draw_end_labels(cairo, figure, axes, i_side);
}

// ---- layout -------------------------------------------------------------------------------------

static void draw_sides(cairo_t *cairo, const struct comparison *figure, double x) {
    static const char *const titles[N_SIDE] = {"Training labels against the truth",
                                               "Agreement with the wrong labels"};
    static const char *const details[N_SIDE] = {
        "foreground mIoU; it rises where labels are corrected",
        "IoU on the wrong pixels; high = memorized"};
    int n = figure->has_side[0] + figure->has_side[1];
    double slot = (HEIGHT - TOP - 8.0) / (n > 0 ? n : 1);
    int i_slot = 0;
    for (int i = 0; i < N_SIDE; i++) {
        if (!figure->has_side[i])
            continue;
        double y = TOP + slot * i_slot++;
        struct plot_text_style style = {13.5, PLOT_INK, PLOT_LEFT, true, false};
        plot_text(cairo, style, x + 34.0, y + 4.0, "%s", titles[i]);
        style = (struct plot_text_style){11.0, PLOT_MUTED, PLOT_LEFT, false, false};
        plot_text(cairo, style, x + 34.0, y + 20.0, "%s", details[i]);
        struct plot_axes axes = {.x = x + 34.0,
                                 .y = y + 32.0,
                                 .width = WIDTH - x - 34.0 - 64.0,
                                 .height = slot - 32.0 - (i_slot == n ? BOTTOM - 8.0 : 44.0),
                                 .x_title = i_slot == n ? "epoch" : NULL,
                                 .text_size = 11.0,
                                 .integer_x = true};
        set_range(figure, i, &axes);
        draw_plot(cairo, figure, &axes, i);
    }
}

static void draw(cairo_t *cairo, const void *context) {
    const struct comparison *figure = context;
    struct plot_text_style style = {12.5, PLOT_INK, PLOT_LEFT, false, false};
    double end_width = 62.0;
    for (int i = 0; i < figure->n; i++)
        end_width = fmax(end_width, plot_text_width(cairo, style, figure->lines[i].name));
    end_width = fmin(end_width, MAX_END_WIDTH) + 16.0;
    bool has_sides = figure->has_side[0] || figure->has_side[1];
    double right = has_sides ? 650.0 : WIDTH - MARGIN + 10.0;
    char y_title[64];
    (void)snprintf(y_title, sizeof y_title, "foreground mIoU on %s", figure->split);
    struct plot_axes axes = {.x = MARGIN + AXIS_LEFT - 12.0,
                             .y = TOP,
                             .width = right - end_width - MARGIN - AXIS_LEFT + 12.0,
                             .height = HEIGHT - TOP - BOTTOM,
                             .x_title = "epoch",
                             .y_title = y_title,
                             .text_size = 12.5,
                             .integer_x = true};
    draw_title(cairo, figure);
    set_range(figure, -1, &axes);
    draw_plot(cairo, figure, &axes, -1);
    if (has_sides)
        draw_sides(cairo, figure, right + 12.0);
}

static adele_status load_line(const struct report_run *run, struct line *line) {
    const char *split = line->summary->split;
    TRY(report_run_series(run, &line->held_out, "%s/pred_vs_true/miou_foreground", split));
    TRY(report_run_series(run, &line->side[0], "train/labels_vs_true/miou_foreground"));
    return report_run_foreground(run, &line->side[1], "train/memorization");
}

static void comparison_deinit(struct comparison *figure) {
    for (int i = 0; figure->lines != NULL && i < figure->n; i++) {
        memory_free(figure->lines[i].held_out);
        for (int k = 0; k < N_SIDE; k++)
            memory_free(figure->lines[i].side[k]);
    }
    memory_free(figure->lines);
    memory_free(figure->labels);
    buffer_deinit(&figure->title);
}

adele_status figure_comparison(int n_runs, const struct report_run *runs,
                               const struct report_summary *summaries, const char *folder,
                               const char *stem) {
    CLEANUP(comparison_deinit) struct comparison figure = {.n = n_runs};
    TRY(ALLOCATE(&figure.lines, n_runs));
    TRY(ALLOCATE(&figure.labels, n_runs));
    bool same_split = true;
    for (int i = 0; i < n_runs; i++) {
        struct line *line = &figure.lines[i];
        line->name = summaries[i].name;
        line->summary = &summaries[i];
        line->colour = colour_of(i, n_runs);
        line->n = runs[i].records.n;
        line->epochs = runs[i].epochs;
        TRY(load_line(&runs[i], line));
        for (int k = 0; k < N_SIDE; k++)
            figure.has_side[k] = figure.has_side[k] || line->side[k] != NULL;
        same_split = same_split && strcmp(summaries[i].split, summaries[0].split) == 0;
    }
    figure.split = !same_split                              ? "held-out"
                   : strcmp(summaries[0].split, "val") == 0 ? "validation"
                                                            : "test";
    TRY(write_title(&figure));
    return plot_save(folder, stem, WIDTH, HEIGHT, draw, &figure);
}
