// SPDX-License-Identifier: MIT
// Renders a drawing into memory and writes it atomically as PNG and SVG.
#include "report/plot.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <cairo/cairo-svg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXTENT 16000 // cairo's image surfaces end at 32767 pixels

cairo_status_t plot_write_to_buffer(void *closure, const unsigned char *data, unsigned n_bytes) {
    return buffer_add(closure, data, n_bytes) == ADELE_OK ? CAIRO_STATUS_SUCCESS
                                                          : CAIRO_STATUS_WRITE_ERROR;
}

void plot_set_font_options(cairo_t *cairo) {
    // Layout must not depend on how glyphs fall on pixels, or the PNG and the SVG would differ.
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cairo, options);
    cairo_font_options_destroy(options);
}

static cairo_status_t draw_on(cairo_surface_t *surface, double scale, plot_draw draw,
                              const void *context) {
    cairo_t *cairo = cairo_create(surface);
    cairo_scale(cairo, scale, scale);
    plot_set_font_options(cairo);
    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    plot_set_colour(cairo, 0xFFFFFF, 1.0);
    cairo_paint(cairo);
    draw(cairo, context);
    cairo_status_t result = cairo_status(cairo);
    cairo_destroy(cairo);
    return result;
}

static cairo_status_t render_png(int width, int height, plot_draw draw, const void *context,
                                 struct buffer *out) {
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, width * PLOT_PNG_SCALE, height * PLOT_PNG_SCALE);
    cairo_status_t result = draw_on(surface, PLOT_PNG_SCALE, draw, context);
    if (result == CAIRO_STATUS_SUCCESS)
        result = cairo_surface_write_to_png_stream(surface, plot_write_to_buffer, out);
    cairo_surface_destroy(surface);
    return result;
}

static cairo_status_t render_svg(int width, int height, plot_draw draw, const void *context,
                                 struct buffer *out) {
    cairo_surface_t *surface =
        cairo_svg_surface_create_for_stream(plot_write_to_buffer, out, width, height);
    cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
    cairo_status_t result = draw_on(surface, 1.0, draw, context);
    cairo_surface_finish(surface); // writes the file's end
    if (result == CAIRO_STATUS_SUCCESS)
        result = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return result;
}

// ---- names inside the SVG -----------------------------------------------------------------------

// cairo numbers surfaces and images over the whole process. Here they are numbered from 0 in each
// file, so that the bytes do not depend on what was drawn before.
struct numbering {
    long *seen;
    size_t n;
};

static adele_status renumber(struct numbering *numbering, long number, size_t *out) {
    for (*out = 0; *out < numbering->n; ++*out) {
        if (numbering->seen[*out] == number)
            return ADELE_OK;
    }
    TRY(GROW(&numbering->seen, numbering->n));
    numbering->seen[numbering->n++] = number;
    return ADELE_OK;
}

// The length of a counted name's letters behind the quote or '#' at `text`, 0 when none is there.
static size_t counted_name(const char *text) {
    // "source-" is cairo 1.18's; the others are older ones'.
    static const char *const names[] = {"source-", "surface", "image", "mask", "pattern"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(text, names[i], n) == 0 && text[n] >= '0' && text[n] <= '9')
            return n;
    }
    return 0;
}

static void numbering_deinit(struct numbering *numbering) {
    memory_free(numbering->seen);
}

static adele_status rewrite_names(const struct buffer *in, struct buffer *out) {
    CLEANUP(numbering_deinit) struct numbering numbering = {0};
    const char *done = in->data; // up to here, all is in `out`
    const char *c = in->data;
    while ((c = strpbrk(c, "\"#")) != NULL) {
        c++;
        size_t n = counted_name(c);
        if (n == 0)
            continue;
        char *end = NULL;
        size_t i = 0;
        TRY(renumber(&numbering, strtol(c + n, &end, 10), &i));
        TRY(buffer_add(out, done, (size_t)(c + n - done)));
        TRY(buffer_printf(out, "%zu", i));
        c = end;
        done = end;
    }
    return buffer_text(out, done);
}

// ---- files --------------------------------------------------------------------------------------

static adele_status save_as(const char *folder, const char *stem, const char *extension,
                            cairo_status_t result, const struct buffer *bytes) {
    OWNED char *path = memory_printf("%s/%s.%s", folder, stem, extension);
    TRY(CHECK_MEMORY(path));
    if (result == CAIRO_STATUS_SUCCESS)
        TRY(file_write(path, bytes->data, bytes->n_bytes));
    else
        return FAIL(result == CAIRO_STATUS_NO_MEMORY || result == CAIRO_STATUS_WRITE_ERROR
                        ? ADELE_NO_MEMORY
                        : ADELE_DATA,
                    "Close other programs, and check the space on the disk.", "%s: cannot draw: %s",
                    path, cairo_status_to_string(result));
    return ADELE_OK;
}

static adele_status save_png(const char *folder, const char *stem, int width, int height,
                             plot_draw draw, const void *context) {
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    cairo_status_t result = render_png(width, height, draw, context, &bytes);
    return save_as(folder, stem, "png", result, &bytes);
}

static adele_status save_svg(const char *folder, const char *stem, int width, int height,
                             plot_draw draw, const void *context) {
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    CLEANUP(buffer_deinit) struct buffer named = {0};
    cairo_status_t result = render_svg(width, height, draw, context, &bytes);
    if (result == CAIRO_STATUS_SUCCESS)
        TRY(rewrite_names(&bytes, &named));
    return save_as(folder, stem, "svg", result, &named);
}

adele_status plot_save(const char *folder, const char *stem, int width, int height, plot_draw draw,
                       const void *context) {
    if (width < 1 || height < 1 || width > MAX_EXTENT || height > MAX_EXTENT)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s/%s: a figure of %d x %d, at most %d fits",
                    folder, stem, width, height, MAX_EXTENT);
    TRY(save_png(folder, stem, width, height, draw, context));
    return save_svg(folder, stem, width, height, draw, context);
}
