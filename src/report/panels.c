// SPDX-License-Identifier: MIT
// Examples as rows; image, truth, noisy label, corrected label and prediction as columns. Labels
// lie on the image as a tint with a contour of full strength.
#include "report/figures.h"

#include "base/fail.h"
#include "report/class_colour.h"
#include "report/examples.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_ROWS   6
#define PANEL      184.0 // the longer side of a panel
#define MARGIN     28.0
#define GAP        10.0
#define TOP        134.0 // with one row of the legend
#define LEGEND_ROW 20.0
#define CAPTION    24.0 // below each panel
#define ROW_GAP    10.0
#define NAME_WIDTH 16.0 // the example's name, upright at the left
#define TINT       0.38
#define CONTOUR    1.7
#define MIN_WIDTH  760.0
#define VISIBLE    0.02 // smaller changes of a mean IoU are not worth a title

struct panels {
    const struct report_run *run;
    struct examples examples;
    int width, height;
    double panel_width, panel_height, scale;
    double top; // of the first panel
};

// ---- one panel ----------------------------------------------------------------------------------

// The colour of a pixel: the image, tinted where the label is foreground, paler where it is
// ignored.
static uint32_t tinted(const uint8_t *rgb, int category) {
    if (category == 0)
        return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    uint32_t colour = category == EXAMPLE_IGNORE ? 0xFFFFFFu : class_colour(category);
    uint32_t out = 0;
    for (int c = 0; c < 3; c++) {
        double tint = (double)(colour >> (16 - 8 * c) & 0xFFu);
        out = out << 8 | (uint32_t)(rgb[c] * (1.0 - TINT) + tint * TINT + 0.5);
    }
    return out;
}

// A surface with the border repeated once on each side, so that smoothing at the rim of the panel
// does not mix with the outside.
static cairo_surface_t *make_surface(const struct examples *examples, const uint8_t *rgb,
                                     const uint8_t *label) {
    int width = examples->width;
    int height = examples->height;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, width + 2, height + 2);
    unsigned char *data = cairo_image_surface_get_data(surface);
    if (data == NULL)
        return surface; // in error; so is the context that takes it as a source
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (int y = 0; y < height + 2; y++) {
        int v = y < 1 ? 0 : y > height ? height - 1 : y - 1;
        for (int x = 0; x < width + 2; x++) {
            int u = x < 1 ? 0 : x > width ? width - 1 : x - 1;
            size_t i = (size_t)v * (size_t)width + (size_t)u;
            uint32_t pixel = tinted(rgb + 3 * i, label != NULL ? label[i] : 0);
            memcpy(data + (size_t)y * stride + 4 * (size_t)x, &pixel, sizeof pixel);
        }
    }
    cairo_surface_mark_dirty(surface);
    return surface;
}

// Marching squares over the pixel centres: for each pattern of the four corners that belong
// (1: upper left, 2: upper right, 4: lower right, 8: lower left) the sides of the cell (0 top,
// 1 right, 2 bottom, 3 left) that its one or two segments join; -1 ends.
static const signed char segments[16][4] = {
    {-1, -1, -1, -1}, {3, 0, -1, -1}, {0, 1, -1, -1}, {3, 1, -1, -1},
    {1, 2, -1, -1},   {3, 0, 1, 2},   {0, 2, -1, -1}, {3, 2, -1, -1},
    {2, 3, -1, -1},   {2, 0, -1, -1}, {0, 1, 2, 3},   {2, 1, -1, -1},
    {1, 3, -1, -1},   {1, 0, -1, -1}, {0, 3, -1, -1}, {-1, -1, -1, -1}};

static void add_contour(cairo_t *cairo, const struct panels *figure, const uint8_t *label,
                        int category) {
    static const double side_x[4] = {0.5, 1.0, 0.5, 0.0};
    static const double side_y[4] = {0.0, 0.5, 1.0, 0.5};
    int width = figure->examples.width;
    for (int y = 0; y + 1 < figure->examples.height; y++) {
        for (int x = 0; x + 1 < width; x++) {
            const uint8_t *corner = label + (size_t)y * (size_t)width + (size_t)x;
            int pattern = (corner[0] == category) | (corner[1] == category) << 1 |
                          (corner[width + 1] == category) << 2 | (corner[width] == category) << 3;
            for (int k = 0; k < 4 && segments[pattern][k] >= 0; k += 2) {
                int from = segments[pattern][k];
                int to = segments[pattern][k + 1];
                cairo_move_to(cairo, (x + 0.5 + side_x[from]) * figure->scale,
                              (y + 0.5 + side_y[from]) * figure->scale);
                cairo_line_to(cairo, (x + 0.5 + side_x[to]) * figure->scale,
                              (y + 0.5 + side_y[to]) * figure->scale);
            }
        }
    }
}

static void hatch(cairo_t *cairo, double width, double height) {
    for (double x = -height; x < width; x += 5.0) {
        cairo_move_to(cairo, x, height);
        cairo_line_to(cairo, x + height, 0.0);
    }
    plot_set_colour(cairo, PLOT_INK, 0.75);
    cairo_set_line_width(cairo, 0.8);
    cairo_stroke(cairo);
}

// Diagonal lines over the pixels that are ignored.
static void hatch_ignored(cairo_t *cairo, const struct panels *figure, const uint8_t *label) {
    int width = figure->examples.width;
    bool any = false;
    cairo_save(cairo);
    cairo_new_path(cairo);
    for (int y = 0; y < figure->examples.height; y++) {
        const uint8_t *row = label + (size_t)y * (size_t)width;
        for (int x = 0; x < width; x++) {
            int first = x;
            while (x < width && row[x] == EXAMPLE_IGNORE)
                x++;
            if (x == first)
                continue;
            any = true;
            cairo_rectangle(cairo, first * figure->scale, y * figure->scale,
                            (x - first) * figure->scale, figure->scale);
        }
    }
    if (any) {
        cairo_clip(cairo);
        hatch(cairo, figure->panel_width, figure->panel_height);
    }
    cairo_restore(cairo);
}

static void draw_panel(cairo_t *cairo, const struct panels *figure, const uint8_t *rgb,
                       const uint8_t *label, double x, double y) {
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_rectangle(cairo, 0.0, 0.0, figure->panel_width, figure->panel_height);
    cairo_clip(cairo);
    cairo_save(cairo);
    cairo_scale(cairo, figure->scale, figure->scale);
    cairo_surface_t *surface = make_surface(&figure->examples, rgb, label);
    cairo_set_source_surface(cairo, surface, -1.0, -1.0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_GOOD);
    cairo_paint(cairo);
    cairo_surface_destroy(surface);
    cairo_restore(cairo);
    if (label != NULL) {
        hatch_ignored(cairo, figure, label);
        bool is_there[256] = {false};
        size_t n_pixels = (size_t)figure->examples.width * (size_t)figure->examples.height;
        for (size_t i = 0; i < n_pixels; i++)
            is_there[label[i]] = true;
        for (int c = 1; c < EXAMPLE_IGNORE; c++) {
            if (!is_there[c])
                continue;
            cairo_new_path(cairo);
            add_contour(cairo, figure, label, c);
            plot_set_colour(cairo, class_colour(c), 1.0);
            cairo_set_line_width(cairo, CONTOUR);
            cairo_stroke(cairo);
        }
    }
    cairo_restore(cairo);
    // A frame, because an image may be as white as the page.
    cairo_rectangle(cairo, x, y, figure->panel_width, figure->panel_height);
    plot_set_colour(cairo, PLOT_AXIS, 1.0);
    cairo_set_line_width(cairo, 0.6);
    cairo_stroke(cairo);
}

// ---- the figure ---------------------------------------------------------------------------------

static void draw_caption(cairo_t *cairo, const struct example *example, enum example_layer layer,
                         double x, double y) {
    struct plot_text_style style = {11.5, PLOT_MUTED, PLOT_CENTRE, false, false};
    if (layer == LAYER_CORRECTED && !example->is_corrected)
        plot_text(cairo, style, x, y, "unchanged");
    else if (isfinite(example->miou[layer]))
        plot_text(cairo, style, x, y, "mIoU %.2f", example->miou[layer]);
}

static void draw_row(cairo_t *cairo, const struct panels *figure, int i_row) {
    const struct example *example = &figure->examples.items[i_row];
    double y = figure->top + i_row * (figure->panel_height + CAPTION + ROW_GAP);
    double x = MARGIN + NAME_WIDTH;
    struct plot_text_style name = {11.0, PLOT_MUTED, PLOT_CENTRE, false, false};
    cairo_save(cairo);
    cairo_translate(cairo, x - 8.0, y + figure->panel_height / 2.0);
    cairo_rotate(cairo, -M_PI / 2.0);
    plot_text(cairo, name, 0.0, 0.0, "%s", example->name);
    cairo_restore(cairo);
    draw_panel(cairo, figure, example->rgb, NULL, x, y);
    for (int k = 0; k < LAYER_COUNT; k++) {
        if (example->labels[k] == NULL)
            continue;
        x += figure->panel_width + GAP;
        draw_panel(cairo, figure, example->rgb, example->labels[k], x, y);
        draw_caption(cairo, example, k, x + figure->panel_width / 2.0,
                     y + figure->panel_height + 15.0);
    }
}

static void draw_headings(cairo_t *cairo, const struct panels *figure) {
    static const char *const headings[LAYER_COUNT] = {"truth", "noisy label", "corrected label",
                                                      "prediction"};
    struct plot_text_style style = {13.5, PLOT_INK, PLOT_CENTRE, true, false};
    double x = MARGIN + NAME_WIDTH + figure->panel_width / 2.0;
    plot_text(cairo, style, x, figure->top - 10.0, "image");
    for (int k = 0; k < LAYER_COUNT; k++) {
        if (!figure->examples.has_layer[k])
            continue;
        x += figure->panel_width + GAP;
        plot_text(cairo, style, x, figure->top - 10.0, "%s", headings[k]);
    }
}

static void draw_swatch(cairo_t *cairo, int category, double x, double y) {
    cairo_save(cairo);
    cairo_translate(cairo, x, y - 11.0);
    cairo_rectangle(cairo, 0.0, 0.0, 14.0, 13.0);
    plot_set_colour(cairo, class_colour(category), 1.0);
    cairo_fill_preserve(cairo);
    cairo_clip(cairo);
    if (category == EXAMPLE_IGNORE)
        hatch(cairo, 14.0, 13.0);
    cairo_restore(cairo);
}

// The classes of these images, in as many rows as they take, and the number of rows. Draws nothing
// without `is_drawing`.
static int layout_legend(cairo_t *cairo, const struct panels *figure, bool is_drawing) {
    struct plot_text_style style = {12.0, PLOT_INK, PLOT_LEFT, false, false};
    const struct examples *examples = &figure->examples;
    double x = MARGIN, end = figure->width - MARGIN;
    int n_rows = 1;
    for (int c = 1; c <= EXAMPLE_IGNORE; c++) {
        char number[32];
        const char *text = c == EXAMPLE_IGNORE          ? "ignored (255)"
                           : c < examples->n_categories ? examples->categories[c]
                                                        : number;
        if (!examples->occurs[c])
            continue;
        (void)snprintf(number, sizeof number, "class %d", c);
        double width = fmin(20.0 + plot_text_width(cairo, style, text) + 18.0, end - MARGIN);
        if (x > MARGIN && x + width > end + 18.0) {
            x = MARGIN;
            n_rows++;
        }
        double y = 90.0 + LEGEND_ROW * (n_rows - 1);
        if (is_drawing) {
            draw_swatch(cairo, c, x, y);
            plot_text_fit(cairo, style, x + 20.0, y, end - x - 20.0, "%s", text);
        }
        x += width;
    }
    return n_rows;
}

static int count_legend_rows(const struct panels *figure) {
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_t *cairo = cairo_create(surface);
    plot_set_font_options(cairo);
    int n_rows = layout_legend(cairo, figure, false);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return n_rows;
}

// The title states the result of these examples.
static void draw_title(cairo_t *cairo, const struct panels *figure) {
    const struct examples *examples = &figure->examples;
    const char *run = figure->run->name;
    double room = figure->width - 2.0 * MARGIN;
    struct plot_text_style style = {19.0, PLOT_INK, PLOT_LEFT, true, false};
    double noisy = examples_mean_miou(examples, LAYER_NOISY);
    double corrected = examples_mean_miou(examples, LAYER_CORRECTED);
    double prediction = examples_mean_miou(examples, LAYER_PREDICTION);
    double repeats = 0.0;
    for (int i = 0; i < examples->n; i++)
        repeats += examples->items[i].prediction_vs_noisy / examples->n;
    if (corrected - noisy > VISIBLE)
        plot_text_fit(cairo, style, MARGIN, 38.0, room,
                      "%s: corrected labels come closer to the truth (mIoU %.2f \xE2\x86\x92 %.2f)",
                      run, noisy, corrected);
    else if (repeats > prediction + VISIBLE)
        plot_text_fit(cairo, style, MARGIN, 38.0, room,
                      "%s: the prediction repeats the errors of the labels", run);
    else
        plot_text_fit(cairo, style, MARGIN, 38.0, room, "%s: labels and predictions", run);
    struct plot_text_style subtitle = {13.0, PLOT_MUTED, PLOT_LEFT, false, false};
    plot_text(cairo, subtitle, MARGIN, 60.0,
              examples->has_layer[LAYER_TRUTH]
                  ? "Training images after the last epoch. mIoU: foreground, against the truth."
                  : "Training images after the last epoch.");
}

static void draw(cairo_t *cairo, const void *context) {
    const struct panels *figure = context;
    draw_title(cairo, figure);
    (void)layout_legend(cairo, figure, true);
    draw_headings(cairo, figure);
    for (int i = 0; i < figure->examples.n; i++)
        draw_row(cairo, figure, i);
}

static void panels_deinit(struct panels *figure) {
    examples_deinit(&figure->examples);
}

adele_status figure_panels(const struct report_run *run, const char *folder, const char *stem) {
    if (run->examples == NULL)
        return ADELE_OK;
    CLEANUP(panels_deinit) struct panels figure = {.run = run};
    TRY(examples_load(run, MAX_ROWS, true, (int)(PANEL * PLOT_PNG_SCALE), &figure.examples));
    const struct examples *examples = &figure.examples;
    int larger = examples->width > examples->height ? examples->width : examples->height;
    figure.scale = PANEL / larger;
    figure.panel_width = examples->width * figure.scale;
    figure.panel_height = examples->height * figure.scale;
    int n_columns = 1;
    for (int k = 0; k < LAYER_COUNT; k++)
        n_columns += examples->has_layer[k];
    double width = 2.0 * MARGIN + NAME_WIDTH + n_columns * (figure.panel_width + GAP) - GAP;
    figure.width = (int)ceil(fmax(width, MIN_WIDTH));
    figure.top = TOP + LEGEND_ROW * (count_legend_rows(&figure) - 1);
    figure.height = (int)ceil(figure.top + examples->n * (figure.panel_height + CAPTION + ROW_GAP) +
                              MARGIN - 12.0);
    return plot_save(folder, stem, figure.width, figure.height, draw, &figure);
}
