// SPDX-License-Identifier: MIT
#include "report/plot.h"

#include "report/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FONT          "DejaVu Sans"
#define MIN_TEXT_SIZE 9.0
#define MAX_TEXT      512
#define N_X_TICKS     8
#define N_Y_TICKS     6
#define HALO_WIDTH    4.5
#define TICK_GAP      6.0 // from the plot area to a tick label
#define SMALL_SPAN    1e-9

// ---- text ---------------------------------------------------------------------------------------

void plot_set_colour(cairo_t *cairo, uint32_t colour, double alpha) {
    cairo_set_source_rgba(cairo, (double)(colour >> 16 & 0xFFu) / 255.0,
                          (double)(colour >> 8 & 0xFFu) / 255.0, (double)(colour & 0xFFu) / 255.0,
                          alpha);
}

static void select_font(cairo_t *cairo, struct plot_text_style style) {
    cairo_select_font_face(cairo, FONT, CAIRO_FONT_SLANT_NORMAL,
                           style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, style.size);
}

double plot_text_width(cairo_t *cairo, struct plot_text_style style, const char *text) {
    char mended[MAX_TEXT];
    (void)snprintf(mended, sizeof mended, "%s", text);
    text_mend_utf8(mended);
    cairo_text_extents_t extents;
    select_font(cairo, style);
    cairo_text_extents(cairo, mended, &extents);
    return extents.x_advance;
}

void plot_text(cairo_t *cairo, struct plot_text_style style, double x, double y, const char *format,
               ...) {
    char text[MAX_TEXT];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    text_mend_utf8(text);
    double shift = style.align == PLOT_LEFT ? 0.0 : plot_text_width(cairo, style, text);
    if (style.align == PLOT_CENTRE)
        shift /= 2.0;
    select_font(cairo, style);
    cairo_save(cairo);
    if (style.halo) {
        cairo_move_to(cairo, x - shift, y);
        cairo_text_path(cairo, text);
        plot_set_colour(cairo, 0xFFFFFF, 1.0);
        cairo_set_line_width(cairo, HALO_WIDTH);
        cairo_stroke(cairo);
    }
    cairo_move_to(cairo, x - shift, y);
    plot_set_colour(cairo, style.colour, 1.0);
    cairo_show_text(cairo, text);
    cairo_new_path(cairo); // show_text leaves a current point
    cairo_restore(cairo);
}

void plot_text_fit(cairo_t *cairo, struct plot_text_style style, double x, double y, double room,
                   const char *format, ...) {
    char text[MAX_TEXT];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    while (style.size > MIN_TEXT_SIZE && plot_text_width(cairo, style, text) > room)
        style.size -= 0.5;
    bool is_cut = false;
    size_t n = strlen(text);
    while (n > 1 && plot_text_width(cairo, style, text) > room) {
        do
            n--;
        while (n > 1 && ((unsigned char)text[n] & 0xC0) == 0x80); // a character of UTF-8 at a time
        text[n] = '\0';
        is_cut = true;
    }
    plot_text(cairo, style, x, y, "%s%s", text, is_cut ? "\xE2\x80\xA6" : "");
}

// ---- axes ---------------------------------------------------------------------------------------

double plot_nice_step(double span, int n_max) {
    if (!(span > SMALL_SPAN) || !isfinite(span))
        return 1.0;
    static const double factors[] = {1.0, 2.0, 5.0, 10.0};
    double power = pow(10.0, floor(log10(span / n_max)));
    for (int i = 0; i < 4; i++) {
        if (span / (factors[i] * power) <= n_max + SMALL_SPAN)
            return factors[i] * power;
    }
    return 10.0 * power;
}

double plot_axes_x(const struct plot_axes *axes, double x) {
    double span = axes->x_max - axes->x_min;
    return axes->x + (span > SMALL_SPAN ? (x - axes->x_min) / span : 0.5) * axes->width;
}

double plot_axes_y(const struct plot_axes *axes, double y) {
    double span = axes->y_max - axes->y_min;
    return axes->y + axes->height -
           (span > SMALL_SPAN ? (y - axes->y_min) / span : 0.5) * axes->height;
}

static void draw_y_ticks(cairo_t *cairo, const struct plot_axes *axes) {
    struct plot_text_style style = {axes->text_size, PLOT_MUTED, PLOT_RIGHT, false, false};
    double step = plot_nice_step(axes->y_max - axes->y_min, N_Y_TICKS);
    int n_digits = step < 0.0999 ? 2 : step < 0.999 ? 1 : 0;
    int i = (int)ceil(axes->y_min / step - 1e-6);
    for (; i * step <= axes->y_max + step * 1e-6; i++) {
        double y = plot_axes_y(axes, i * step);
        plot_set_colour(cairo, PLOT_GRID, 1.0);
        cairo_set_line_width(cairo, 1.0);
        cairo_move_to(cairo, axes->x, y);
        cairo_line_to(cairo, axes->x + axes->width, y);
        cairo_stroke(cairo);
        plot_text(cairo, style, axes->x - TICK_GAP, y + axes->text_size * 0.36, "%.*f", n_digits,
                  i * step);
    }
}

static void draw_x_ticks(cairo_t *cairo, const struct plot_axes *axes) {
    struct plot_text_style style = {axes->text_size, PLOT_MUTED, PLOT_CENTRE, false, false};
    int n_max = axes->width < 300.0 ? N_X_TICKS / 2 + 1 : N_X_TICKS;
    double step = plot_nice_step(axes->x_max - axes->x_min, n_max);
    if (axes->integer_x && step < 1.0)
        step = 1.0;
    int n_digits = step < 0.999 ? 1 : 0;
    double bottom = axes->y + axes->height;
    int i = (int)ceil(axes->x_min / step - 1e-6);
    for (; i * step <= axes->x_max + step * 1e-6; i++) {
        double x = plot_axes_x(axes, i * step);
        plot_set_colour(cairo, PLOT_AXIS, 1.0);
        cairo_set_line_width(cairo, 1.0);
        cairo_move_to(cairo, x, bottom);
        cairo_line_to(cairo, x, bottom + 4.0);
        cairo_stroke(cairo);
        plot_text(cairo, style, x, bottom + TICK_GAP + axes->text_size, "%.*f", n_digits, i * step);
    }
}

void plot_axes_draw(cairo_t *cairo, const struct plot_axes *axes) {
    draw_y_ticks(cairo, axes);
    draw_x_ticks(cairo, axes);
    double bottom = axes->y + axes->height;
    plot_set_colour(cairo, PLOT_AXIS, 1.0);
    cairo_set_line_width(cairo, 1.0);
    cairo_move_to(cairo, axes->x, bottom);
    cairo_line_to(cairo, axes->x + axes->width, bottom);
    cairo_stroke(cairo);
    struct plot_text_style style = {axes->text_size, PLOT_MUTED, PLOT_CENTRE, false, false};
    if (axes->x_title != NULL)
        plot_text(cairo, style, axes->x + axes->width / 2.0, bottom + 2.7 * axes->text_size + 4.0,
                  "%s", axes->x_title);
    if (axes->y_title != NULL) {
        cairo_save(cairo);
        cairo_translate(cairo, axes->x - TICK_GAP - 2.9 * axes->text_size,
                        axes->y + axes->height / 2.0);
        cairo_rotate(cairo, -M_PI / 2.0);
        plot_text(cairo, style, 0.0, 0.0, "%s", axes->y_title);
        cairo_restore(cairo);
    }
}

// ---- curves -------------------------------------------------------------------------------------

static void clip_to_axes(cairo_t *cairo, const struct plot_axes *axes, double margin) {
    cairo_rectangle(cairo, axes->x - margin, axes->y - margin, axes->width + 2.0 * margin,
                    axes->height + 2.0 * margin);
    cairo_clip(cairo);
}

void plot_curve(cairo_t *cairo, const struct plot_axes *axes, int n, const double *x,
                const double *y, uint32_t colour, double width) {
    cairo_save(cairo);
    clip_to_axes(cairo, axes, width);
    cairo_new_path(cairo);
    for (int i = 0; i < n; i++) {
        // The first line_to of a path is a move_to.
        if (isfinite(x[i]) && isfinite(y[i]))
            cairo_line_to(cairo, plot_axes_x(axes, x[i]), plot_axes_y(axes, y[i]));
    }
    plot_set_colour(cairo, colour, 1.0);
    cairo_set_line_width(cairo, width);
    cairo_stroke(cairo);
    cairo_restore(cairo);
}

void plot_points(cairo_t *cairo, const struct plot_axes *axes, int n, const double *x,
                 const double *y, uint32_t colour, double radius) {
    cairo_save(cairo);
    clip_to_axes(cairo, axes, 2.0 * radius);
    plot_set_colour(cairo, colour, 1.0);
    for (int i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]))
            continue;
        cairo_new_path(cairo);
        cairo_arc(cairo, plot_axes_x(axes, x[i]), plot_axes_y(axes, y[i]), radius, 0.0, 2.0 * M_PI);
        cairo_fill(cairo);
    }
    cairo_restore(cairo);
}

void plot_dashed_line(cairo_t *cairo, double x0, double y0, double x1, double y1, uint32_t colour,
                      double width) {
    static const double dashes[] = {5.0, 4.0};
    cairo_save(cairo);
    cairo_set_dash(cairo, dashes, 2, 0.0);
    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_BUTT);
    plot_set_colour(cairo, colour, 1.0);
    cairo_set_line_width(cairo, width);
    cairo_move_to(cairo, x0, y0);
    cairo_line_to(cairo, x1, y1);
    cairo_stroke(cairo);
    cairo_restore(cairo);
}
