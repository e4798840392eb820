// SPDX-License-Identifier: MIT
// A small layer over cairo: the same drawing to PNG (two pixels a unit) and to SVG (one unit a
// pixel), text with alignment, axes, curves. All lengths are in units of the drawing, y downwards.
#ifndef ADELE_REPORT_PLOT_H
#define ADELE_REPORT_PLOT_H

#include "adele/status.h"
#include <cairo/cairo.h>
#include <stdbool.h>
#include <stdint.h>

#define PLOT_PNG_SCALE 2 // pixels a unit: sharp on dense screens and in print

// Colours as 0xRRGGBB. The hues are those of Okabe and Ito, told apart by colour-blind readers.
#define PLOT_ORANGE     0xE69F00u
#define PLOT_SKY        0x56B4E9u
#define PLOT_GREEN      0x009E73u
#define PLOT_YELLOW     0xF0E442u
#define PLOT_BLUE       0x0072B2u
#define PLOT_VERMILLION 0xD55E00u
#define PLOT_PURPLE     0xCC79A7u
#define PLOT_INK        0x1F2328u // text
#define PLOT_MUTED      0x59636Eu // secondary text, ticks
#define PLOT_GRID       0xE4E7EBu
#define PLOT_AXIS       0xA8B0B9u

enum plot_align { PLOT_LEFT, PLOT_CENTRE, PLOT_RIGHT };

struct plot_text_style {
    double size;
    uint32_t colour;
    enum plot_align align;
    bool bold;
    bool halo; // white rim, for text over lines
};

// Draws into `cairo`; failures of cairo stay in it and are found by plot_save.
typedef void (*plot_draw)(cairo_t *cairo, const void *context);

// Writes FOLDER/STEM.png and FOLDER/STEM.svg. Same drawing, same bytes.
ADELE_MUST_CHECK adele_status plot_save(const char *folder, const char *stem, int width, int height,
                                        plot_draw draw, const void *context);

// The font options of plot_save, for a context in which text is measured before.
void plot_set_font_options(cairo_t *cairo);
// For cairo's functions that write to a stream: `closure` is a struct buffer.
cairo_status_t plot_write_to_buffer(void *closure, const unsigned char *data, unsigned n_bytes);

void plot_set_colour(cairo_t *cairo, uint32_t colour, double alpha);
// The baseline begins (or is centred, or ends) at (x, y).
void plot_text(cairo_t *cairo, struct plot_text_style style, double x, double y, const char *format,
               ...) ADELE_PRINTF(5, 6);
// The same, smaller and then cut short where it would be wider than `room`.
void plot_text_fit(cairo_t *cairo, struct plot_text_style style, double x, double y, double room,
                   const char *format, ...) ADELE_PRINTF(6, 7);
double plot_text_width(cairo_t *cairo, struct plot_text_style style, const char *text);

struct plot_axes {
    double x, y, width, height; // the plot area
    double x_min, x_max, y_min, y_max;
    const char *x_title, *y_title; // NULL: none
    double text_size;
    bool integer_x; // ticks on whole numbers alone
};

// The largest of 1, 2, 5 times a power of ten that gives at most n_max steps over the span.
double plot_nice_step(double span, int n_max);
// Light grid, tick labels, the line at the bottom, titles.
void plot_axes_draw(cairo_t *cairo, const struct plot_axes *axes);
double plot_axes_x(const struct plot_axes *axes, double x);
double plot_axes_y(const struct plot_axes *axes, double y);
// A line through the values that are finite; it bridges those that are not. Clipped to the area.
void plot_curve(cairo_t *cairo, const struct plot_axes *axes, int n, const double *x,
                const double *y, uint32_t colour, double width);
void plot_points(cairo_t *cairo, const struct plot_axes *axes, int n, const double *x,
                 const double *y, uint32_t colour, double radius);
void plot_dashed_line(cairo_t *cairo, double x0, double y0, double x1, double y1, uint32_t colour,
                      double width);
#endif
