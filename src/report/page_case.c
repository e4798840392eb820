// SPDX-License-Identifier: MIT
// The panels of one image: the picture is stored once, as the background of all panels, and each
// label is a PNG that is transparent where it says nothing.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"
#include "report/class_colour.h"
#include "report/html.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define JPEG_QUALITY  88
#define MIN_EXTENT    256 // labels of small images are drawn larger, with thin contours
#define TINT          0.42
#define CONTOUR_SHARE 160 // of the larger extent: the width of a contour
#define HATCH         6

// What a pixel of the difference panel says where the truth is known.
enum difference { DIFFERENCE_NONE, DIFFERENCE_CHANGED, DIFFERENCE_WRONG, DIFFERENCE_LEFT };
// Otherwise the new class: 1 is the background, which has a colour here, and 255 also stands for
// what comes after it.
#define NEW_CLASS(category) (uint8_t)((category) < UINT8_MAX ? (category) + 1 : UINT8_MAX)
#define BACKGROUND_COLOUR   0xFFFFFFu

// ---- one overlay --------------------------------------------------------------------------------

struct overlay {
    int width, height, factor; // of the PNG: the label's extents times `factor`
    int contour;               // pixels of the PNG
};

static uint32_t premultiplied(uint32_t rgb, double alpha) {
    uint32_t out = (uint32_t)(alpha * 255.0 + 0.5) << 24;
    for (int shift = 0; shift < 24; shift += 8)
        out |= (uint32_t)((rgb >> shift & 0xFFu) * alpha + 0.5) << shift;
    return out;
}

static int label_at(const struct examples *size, const uint8_t *label, int x, int y, int factor) {
    return label[(size_t)(y / factor) * (size_t)size->width + (size_t)(x / factor)];
}

static bool is_contour(const struct overlay *overlay, const struct examples *size,
                       const uint8_t *label, int x, int y) {
    static const int dx[] = {-1, 1, 0, 0}, dy[] = {0, 0, -1, 1};
    int own = label_at(size, label, x, y, overlay->factor);
    for (int k = 0; k < 4; k++) {
        int u = x + dx[k] * overlay->contour, v = y + dy[k] * overlay->contour;
        if (u >= 0 && v >= 0 && u < overlay->width && v < overlay->height &&
            label_at(size, label, u, v, overlay->factor) != own)
            return true;
    }
    return false;
}

static uint32_t label_pixel(const struct overlay *overlay, const struct examples *size,
                            const uint8_t *label, int x, int y) {
    int category = label_at(size, label, x, y, overlay->factor);
    if (category == 0)
        return 0;
    if (category == EXAMPLE_IGNORE)
        return (x + y) / HATCH % 2 == 0 ? premultiplied(0xFFFFFF, 0.6) : premultiplied(0, 0.35);
    bool is_line = is_contour(overlay, size, label, x, y);
    return premultiplied(class_colour(category), is_line ? 1.0 : TINT);
}

OWNER(cairo_surface_destroy, cairo_surface_t)

// Colours are those of the classes, unless the label is a difference and has others.
static adele_status add_overlay(struct buffer *html, const struct examples *size,
                                const uint8_t *label, const uint32_t *difference_colours) {
    int larger = size->width > size->height ? size->width : size->height;
    struct overlay overlay = {.factor = larger < MIN_EXTENT ? MIN_EXTENT / larger : 1};
    overlay.width = size->width * overlay.factor;
    overlay.height = size->height * overlay.factor;
    overlay.contour = 1 + larger * overlay.factor / CONTOUR_SHARE;
    CLEANUP(buffer_deinit) struct buffer png = {0};
    OWNED_BY(cairo_surface_destroy)
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_ARGB32, overlay.width, overlay.height);
    unsigned char *data = cairo_image_surface_get_data(surface);
    TRY(CHECK_MEMORY(data));
    for (int y = 0; y < overlay.height; y++)
        for (int x = 0; x < overlay.width; x++) {
            uint32_t pixel = difference_colours == NULL
                                 ? label_pixel(&overlay, size, label, x, y)
                                 : difference_colours[label_at(size, label, x, y, overlay.factor)];
            if (difference_colours != NULL && pixel != 0)
                pixel = premultiplied(pixel, 0.85);
            memcpy(data + (size_t)y * (size_t)cairo_image_surface_get_stride(surface) +
                       4 * (size_t)x,
                   &pixel, sizeof pixel);
        }
    cairo_surface_mark_dirty(surface);
    if (cairo_surface_write_to_png_stream(surface, plot_write_to_buffer, &png) !=
        CAIRO_STATUS_SUCCESS)
        return FAIL_NO_MEMORY((size_t)overlay.width * (size_t)overlay.height * 4);
    return html_data_uri(html, "image/png", png.data, png.n_bytes);
}

// ---- panels -------------------------------------------------------------------------------------

static const char *const keys[LAYER_COUNT] = {"truth", "noisy", "corrected", "prediction"};
static const char *const names[LAYER_COUNT] = {"truth", "noisy label", "corrected label",
                                               "prediction"};

static adele_status begin_panel(struct page *page, const struct examples *size, const char *key) {
    return buffer_printf(&page->html,
                         "<figure class=\"k-%s\"><div class=\"picture\" "
                         "style=\"aspect-ratio:%d/%d\"",
                         key, size->width, size->height);
}

static bool is_empty(const struct examples *size, const uint8_t *label) {
    size_t n = (size_t)size->width * (size_t)size->height;
    for (size_t i = 0; i < n; i++)
        if (label[i] != 0)
            return false;
    return true;
}

static adele_status add_caption(struct page *page, const struct examples *size,
                                const struct example *example, int layer) {
    if (layer == LAYER_PREDICTION && is_empty(size, example->labels[layer]))
        return buffer_text(&page->html, "<span class=\"small\">nothing predicted</span>");
    if (layer == LAYER_CORRECTED && !example->is_corrected)
        return buffer_text(&page->html, "<span class=\"small\">unchanged</span>");
    if (!isfinite(example->miou[layer]))
        return ADELE_OK;
    return html_printf(&page->html, "<span class=\"small\">mIoU %.2f</span>", example->miou[layer]);
}

static adele_status add_label(struct page *page, const struct examples *size,
                              const struct example *example, int layer, const char *name) {
    struct buffer *html = &page->html;
    if (example->labels[layer] == NULL)
        return ADELE_OK;
    TRY(begin_panel(page, size, keys[layer]));
    TRY(html_printf(html, "><img alt=\"%s of %s\" src=\"", names[layer], name));
    TRY(add_overlay(html, size, example->labels[layer], NULL));
    TRY(buffer_printf(html, "\"></div><figcaption>%s", names[layer]));
    TRY(add_caption(page, size, example, layer));
    return buffer_text(html, "</figcaption></figure>\n");
}

// Without the truth, a pixel that differs has the colour of its new class.
static uint8_t difference_of(int before, int after, int truth, bool is_known) {
    if (!is_known)
        return before != after ? NEW_CLASS(after) : DIFFERENCE_NONE;
    if (truth == EXAMPLE_IGNORE)
        return before != after ? DIFFERENCE_CHANGED : DIFFERENCE_NONE;
    if (before != after)
        return after != truth ? DIFFERENCE_WRONG : DIFFERENCE_CHANGED;
    return after != truth ? DIFFERENCE_LEFT : DIFFERENCE_NONE;
}

static void fill_colours(bool has_truth, uint32_t colours[UINT8_MAX + 1]) {
    static const uint32_t by_truth[] = {0, PLOT_BLUE, PLOT_VERMILLION, PLOT_YELLOW};
    memset(colours, 0, (UINT8_MAX + 1) * sizeof *colours);
    if (has_truth) {
        memcpy(colours, by_truth, sizeof by_truth);
        return;
    }
    colours[NEW_CLASS(0)] = BACKGROUND_COLOUR;
    for (int c = 1; c <= UINT8_MAX; c++)
        colours[NEW_CLASS(c)] = class_colour(c);
}

// Without a corrected label: where the prediction is another class than the label.
static adele_status add_difference(struct page *page, const struct examples *size,
                                   const struct example *example, const char *name) {
    struct buffer *html = &page->html;
    const uint8_t *before = example->labels[LAYER_NOISY];
    const uint8_t *after = example->labels[LAYER_CORRECTED];
    const uint8_t *truth = example->labels[LAYER_TRUTH];
    const char *what = after != NULL ? "noisy to corrected" : "label against prediction";
    after = after != NULL ? after : example->labels[LAYER_PREDICTION];
    if (before == NULL || after == NULL)
        return ADELE_OK;
    size_t n = (size_t)size->width * (size_t)size->height;
    OWNED uint8_t *difference = NULL;
    TRY(ALLOCATE(&difference, n));
    for (size_t i = 0; i < n; i++) {
        // An ignored pixel says nothing that a prediction could contradict.
        if (example->labels[LAYER_CORRECTED] == NULL && before[i] == EXAMPLE_IGNORE)
            continue;
        difference[i] =
            difference_of(before[i], after[i], truth != NULL ? truth[i] : 0, truth != NULL);
    }
    uint32_t colours[UINT8_MAX + 1];
    fill_colours(truth != NULL, colours);
    TRY(begin_panel(page, size, "difference"));
    TRY(html_printf(html, "><img alt=\"difference of %s\" src=\"", name));
    TRY(add_overlay(html, size, difference, colours));
    return buffer_printf(html,
                         "\"></div><figcaption>difference<span class=\"small\">%s%s</span>"
                         "</figcaption></figure>\n",
                         what, is_empty(size, difference) ? ": none" : "");
}

adele_status page_picture_style(struct page *page, const struct examples *size,
                                const struct example *example) {
    CLEANUP(buffer_deinit) struct buffer jpeg = {0};
    const struct image image = {.width = size->width,
                                .height = size->height,
                                .n_channels = 3,
                                .n_bits = 8,
                                .pixels = example->rgb};
    TRY(image_encode_jpeg(&image, JPEG_QUALITY, &jpeg));
    TRY(buffer_text(&page->html, " style=\"--picture:url("));
    TRY(html_data_uri(&page->html, "image/jpeg", jpeg.data, jpeg.n_bytes));
    return buffer_text(&page->html, ")\"");
}

adele_status page_panels(struct page *page, const struct examples *size,
                         const struct example *example, const char *name, bool with_picture) {
    static const int order[] = {LAYER_NOISY, LAYER_CORRECTED, LAYER_PREDICTION, LAYER_TRUTH};
    struct buffer *html = &page->html;
    TRY(buffer_text(html, "<div class=\"panels\""));
    if (with_picture)
        TRY(page_picture_style(page, size, example));
    TRY(buffer_text(html, ">\n"));
    TRY(begin_panel(page, size, "image"));
    TRY(html_printf(html,
                    " role=\"img\" aria-label=\"image of %s\"></div><figcaption>image"
                    "</figcaption></figure>\n",
                    name));
    for (int k = 0; k < LAYER_COUNT; k++)
        TRY(add_label(page, size, example, order[k], name));
    TRY(add_difference(page, size, example, name));
    return buffer_text(html, "</div>\n");
}

// ---- toggles and colours ------------------------------------------------------------------------

static adele_status add_toggle(struct page *page, const char *key, const char *name,
                               bool is_there) {
    return buffer_printf(&page->html,
                         "<button type=\"button\" data-layer=\"%s\" aria-pressed=\"%s\"%s>%s"
                         "</button>\n",
                         key, is_there ? "true" : "false", is_there ? "" : " disabled", name);
}

static adele_status add_colour(struct page *page, uint32_t colour, const char *text) {
    TRY(buffer_printf(&page->html, "<li><span class=\"swatch\" style=\"background:#%06x\"></span>",
                      (unsigned)colour));
    return html_printf(&page->html, "%s</li>", text);
}

// "difference: became heart", or where there is no corrected label: "predicted as".
static adele_status add_new_classes(struct page *page, const struct page_layers *layers) {
    const char *verb = layers->is_there[LAYER_CORRECTED] ? "became" : "predicted as";
    for (int c = 0; c < layers->n_classes && c < EXAMPLE_IGNORE; c++) {
        if (c > 0 && !layers->occurs[c])
            continue;
        OWNED char *text =
            memory_printf("%s%s %s", c == 0 ? "difference: " : "", verb, layers->classes[c]);
        TRY(CHECK_MEMORY(text));
        TRY(add_colour(page, c == 0 ? BACKGROUND_COLOUR : class_colour(c), text));
    }
    return ADELE_OK;
}

static adele_status add_colours(struct page *page, const struct page_layers *layers) {
    struct buffer *html = &page->html;
    TRY(buffer_text(html, "<ul class=\"key\" aria-label=\"Colours of classes\">"));
    for (int c = 1; c < EXAMPLE_IGNORE; c++) {
        char number[32];
        (void)snprintf(number, sizeof number, "class %d", c);
        if (layers->occurs[c])
            TRY(add_colour(page, class_colour(c),
                           c < layers->n_classes ? layers->classes[c] : number));
    }
    if (layers->has_ignored)
        TRY(add_colour(page, class_colour(EXAMPLE_IGNORE), "ignored (255), hatched"));
    TRY(buffer_text(html, "</ul>\n"));
    if (!layers->has_difference)
        return ADELE_OK;
    TRY(buffer_text(html, "<ul class=\"key\" aria-label=\"Colours of differences\">"));
    if (layers->is_there[LAYER_TRUTH]) {
        TRY(add_colour(page, PLOT_BLUE, "difference: changed, and right now"));
        TRY(add_colour(page, PLOT_VERMILLION, "changed, and wrong now"));
        TRY(add_colour(page, PLOT_YELLOW, "wrong, and not changed"));
    }
    if (layers->lacks_truth)
        TRY(add_new_classes(page, layers));
    return buffer_text(html, "</ul>\n");
}

adele_status page_gallery_begin(struct page *page, const struct page_layers *layers) {
    struct buffer *html = &page->html;
    TRY(buffer_text(html, "<div class=\"gallery\">\n"
                          "<div class=\"bar\" role=\"group\" aria-label=\"Panels that are "
                          "shown\" hidden>\n"));
    TRY(add_toggle(page, "image", "image", true));
    static const int order[] = {LAYER_NOISY, LAYER_CORRECTED, LAYER_PREDICTION, LAYER_TRUTH};
    for (int k = 0; k < LAYER_COUNT; k++)
        TRY(add_toggle(page, keys[order[k]], names[order[k]], layers->is_there[order[k]]));
    TRY(add_toggle(page, "difference", "difference", layers->has_difference));
    TRY(buffer_text(html, "</div>\n"));
    return add_colours(page, layers);
}
