// SPDX-License-Identifier: MIT
// When each category starts to be memorized: one column per category. Upper plot: IoU of the
// training-time predictions against the noisy labels, its fit, and the epoch at which correction
// begins. Lower plot, where the truth is known: on the wrong pixels, agreement with the truth
// (early learning) and with the error (memorization).
#include "report/figures.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/curves.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>

#define MARGIN      28.0
#define LEFT        66.0 // margin, axis title and tick labels of the first column
#define TOP         122.0
#define N_COLUMNS   4 // then the next row
#define MIN_WIDTH   960.0
#define PLOT_WIDTH  226.0
#define GAP         42.0 // between columns: tick labels
#define ROW_UPPER   170.0
#define ROW_LOWER   120.0
#define ROW_BETWEEN 34.0 // between upper and lower plot of a category
#define ROW_HEAD    26.0 // the category's name
#define ROW_FOOT    52.0 // ticks and axis title

struct onset_figure {
    const struct report_run *run;
    struct category_curves curves;
    int n_columns, n_rows, width, height;
    double plot_width, row_height;
    bool any_corrected;
};

// ---- legend -------------------------------------------------------------------------------------

enum key_kind { KEY_POINT, KEY_LINE, KEY_DASHED, KEY_TICK };

struct key {
    enum key_kind kind;
    uint32_t colour;
    const char *text;
};

static void draw_tick(cairo_t *cairo, double x, double y) {
    cairo_new_path(cairo);
    cairo_move_to(cairo, x, y - 7.0);
    cairo_line_to(cairo, x - 3.5, y);
    cairo_line_to(cairo, x + 3.5, y);
    cairo_close_path(cairo);
    plot_set_colour(cairo, PLOT_PURPLE, 1.0);
    cairo_fill(cairo);
}

static void draw_key(cairo_t *cairo, const struct key *key, double x, double y) {
    plot_set_colour(cairo, key->colour, 1.0);
    switch (key->kind) {
    case KEY_POINT:
        cairo_new_path(cairo);
        cairo_arc(cairo, x + 11.0, y - 4.0, 3.2, 0.0, 2.0 * M_PI);
        cairo_fill(cairo);
        break;
    case KEY_LINE:
        cairo_set_line_width(cairo, 2.4);
        cairo_move_to(cairo, x, y - 4.0);
        cairo_line_to(cairo, x + 22.0, y - 4.0);
        cairo_stroke(cairo);
        break;
    case KEY_DASHED:
        plot_dashed_line(cairo, x, y - 4.0, x + 22.0, y - 4.0, key->colour, 1.8);
        break;
    case KEY_TICK:
        draw_tick(cairo, x + 11.0, y);
        break;
    }
}

static void draw_legend(cairo_t *cairo, const struct onset_figure *figure) {
    static const struct key keys[] = {
        {KEY_POINT, PLOT_SKY, "IoU with noisy labels"},
        {KEY_LINE, PLOT_BLUE, "fit"},
        {KEY_DASHED, PLOT_INK, "onset"},
        {KEY_TICK, PLOT_PURPLE, "labels corrected"},
        {KEY_LINE, PLOT_GREEN, "agrees with the truth"},
        {KEY_LINE, PLOT_VERMILLION, "agrees with the error"},
    };
    struct plot_text_style style = {12.0, PLOT_INK, PLOT_LEFT, false, false};
    double x = MARGIN;
    for (int i = 0; i < (int)(sizeof keys / sizeof keys[0]); i++) {
        if ((i == 1 && !figure->curves.has_fit) || (i == 3 && !figure->any_corrected) ||
            (i >= 4 && !figure->curves.has_diagnostics))
            continue;
        draw_key(cairo, &keys[i], x, 90.0);
        plot_text(cairo, style, x + 28.0, 90.0, "%s", keys[i].text);
        x += 28.0 + plot_text_width(cairo, style, keys[i].text) + 16.0;
    }
}

// ---- plots --------------------------------------------------------------------------------------

// The line is in both plots, its label in the upper one.
static void draw_onset(cairo_t *cairo, const struct plot_axes *axes,
                       const struct category_curve *curve, bool with_text) {
    if (!isfinite(curve->onset_epoch) || curve->onset_epoch > axes->x_max)
        return;
    double x = plot_axes_x(axes, fmax(curve->onset_epoch, axes->x_min));
    plot_dashed_line(cairo, x, axes->y, x, axes->y + axes->height, PLOT_INK, 1.4);
    if (!with_text)
        return;
    const char *text = curve->is_corrected ? "correction starts" : "memorization starts";
    struct plot_text_style style = {11.5, PLOT_INK, PLOT_LEFT, true, true};
    double room = axes->x + axes->width - x - 7.0;
    bool is_left = plot_text_width(cairo, style, text) > room;
    style.align = is_left ? PLOT_RIGHT : PLOT_LEFT;
    double x_text = x + (is_left ? -7.0 : 7.0);
    double y_text = axes->y + axes->height - 28.0;
    plot_text(cairo, style, x_text, y_text, "%s", text);
    style.bold = false;
    plot_text(cairo, style, x_text, y_text + 15.0, "epoch %.0f", curve->onset_epoch);
}

static void draw_upper(cairo_t *cairo, const struct plot_axes *axes,
                       const struct category_curve *curve) {
    plot_axes_draw(cairo, axes);
    plot_points(cairo, axes, curve->n, curve->epochs, curve->iou, PLOT_SKY, 2.6);
    if (curve->has_fit)
        plot_curve(cairo, axes, curve->n_fit, curve->fit_epochs, curve->fit_iou, PLOT_BLUE, 2.2);
    draw_onset(cairo, axes, curve, true);
    for (int i = 0; i < curve->n_corrected; i++) {
        if (curve->corrected[i] >= axes->x_min && curve->corrected[i] <= axes->x_max)
            draw_tick(cairo, plot_axes_x(axes, curve->corrected[i]), axes->y + axes->height);
    }
}

static void draw_lower(cairo_t *cairo, const struct plot_axes *axes, const struct report_run *run,
                       const struct category_curve *curve) {
    plot_axes_draw(cairo, axes);
    const double *const values[2] = {curve->early_learning, curve->memorization};
    static const uint32_t colours[2] = {PLOT_GREEN, PLOT_VERMILLION};
    for (int i = 0; i < 2; i++) {
        if (values[i] != NULL)
            plot_curve(cairo, axes, run->records.n, run->epochs, values[i], colours[i], 2.2);
    }
    draw_onset(cairo, axes, curve, false);
}

static double highest(int n, const double *values, double so_far) {
    for (int i = 0; values != NULL && i < n; i++)
        so_far = values[i] > so_far ? values[i] : so_far; // a NaN is never larger
    return so_far;
}

// The top of an axis over values from 0 to `high`: the next fifth, never above 1.
static double axis_top(double high) {
    return fmin(fmax(ceil(high * 5.0 + 0.1) / 5.0, 0.2), 1.0);
}

static void draw_category(cairo_t *cairo, const struct onset_figure *figure, int i_category,
                          double upper_top, double lower_top) {
    const struct category_curve *curve = &figure->curves.items[i_category];
    const struct report_run *run = figure->run;
    int i_column = i_category % figure->n_columns;
    double x = LEFT + i_column * (figure->plot_width + GAP);
    double y = TOP + i_category / figure->n_columns * figure->row_height;
    bool has_lower = figure->curves.has_diagnostics;
    struct plot_text_style heading = {14.0, PLOT_INK, PLOT_LEFT, true, false};
    plot_text(cairo, heading, x, y + 13.0, "%s", curve->name);
    struct plot_axes axes = {.x = x,
                             .y = y + ROW_HEAD,
                             .width = figure->plot_width,
                             .height = ROW_UPPER,
                             .x_min = fmin(run->epochs[0], curve->epochs[0]),
                             .x_max =
                                 fmax(run->epochs[run->records.n - 1], curve->epochs[curve->n - 1]),
                             .y_max = upper_top,
                             .x_title = has_lower ? NULL : "epoch",
                             .y_title = i_column == 0 ? "IoU with noisy labels" : NULL,
                             .text_size = 11.0,
                             .integer_x = true};
    draw_upper(cairo, &axes, curve);
    if (!has_lower)
        return;
    axes.y += ROW_UPPER + ROW_BETWEEN;
    axes.height = ROW_LOWER;
    axes.y_max = lower_top;
    axes.x_title = "epoch";
    axes.y_title = i_column == 0 ? "IoU on wrong pixels" : NULL;
    draw_lower(cairo, &axes, run, curve);
}

static void draw(cairo_t *cairo, const void *context) {
    const struct onset_figure *figure = context;
    struct plot_text_style title = {19.0, PLOT_INK, PLOT_LEFT, true, false};
    struct plot_text_style subtitle = {13.0, PLOT_MUTED, PLOT_LEFT, false, false};
    plot_text_fit(cairo, title, MARGIN, 38.0, figure->width - 2.0 * MARGIN,
                  figure->any_corrected ? "%s: each class is corrected once its own curve flattens"
                                        : "%s: each class starts to be memorized at its own time",
                  figure->run->name);
    plot_text_fit(
        cairo, subtitle, MARGIN, 60.0, figure->width - 2.0 * MARGIN,
        "Training-time predictions by epoch. The signal is the flattening of the fitted curve: "
        "it needs no ground truth.");
    draw_legend(cairo, figure);
    double upper = 0.0;
    double lower = 0.0;
    for (int i = 0; i < figure->curves.n; i++) {
        const struct category_curve *curve = &figure->curves.items[i];
        upper = highest(curve->n, curve->iou, upper);
        lower = highest(figure->run->records.n, curve->early_learning, lower);
        lower = highest(figure->run->records.n, curve->memorization, lower);
    }
    for (int i = 0; i < figure->curves.n; i++)
        draw_category(cairo, figure, i, axis_top(upper), axis_top(lower));
}

static void set_layout(struct onset_figure *figure) {
    int n = figure->curves.n;
    figure->n_columns = n < N_COLUMNS ? n : N_COLUMNS;
    figure->n_rows = (n + figure->n_columns - 1) / figure->n_columns;
    double gaps = (figure->n_columns - 1) * GAP;
    double width = LEFT + figure->n_columns * PLOT_WIDTH + gaps + MARGIN;
    width = fmax(width, MIN_WIDTH);
    figure->plot_width = (width - LEFT - MARGIN - gaps) / figure->n_columns;
    figure->row_height = ROW_HEAD + ROW_UPPER + ROW_FOOT +
                         (figure->curves.has_diagnostics ? ROW_BETWEEN + ROW_LOWER : 0.0);
    figure->width = (int)ceil(width);
    figure->height = (int)ceil(TOP + figure->n_rows * figure->row_height);
}

static void figure_deinit(struct onset_figure *figure) {
    category_curves_deinit(&figure->curves);
}

adele_status figure_onset(const struct report_run *run, const char *folder, const char *stem) {
    if (run->onset == NULL)
        return ADELE_OK;
    CLEANUP(figure_deinit) struct onset_figure figure = {.run = run};
    TRY(category_curves_load(run, &figure.curves));
    if (figure.curves.n == 0)
        return ADELE_OK; // no epoch has been counted yet
    for (int i = 0; i < figure.curves.n; i++)
        figure.any_corrected = figure.any_corrected || figure.curves.items[i].is_corrected;
    set_layout(&figure);
    return plot_save(folder, stem, figure.width, figure.height, draw, &figure);
}
