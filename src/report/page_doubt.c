// SPDX-License-Identifier: MIT
// The most doubtful images, where `adele audit` has ranked them: RUN/audit/audit.csv, or
// RUN/audit.csv, and the PNG files that it names.
#include "report/page.h"

#include "base/csv.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

#define MAX_ROWS   12
#define MAX_EXTENT 320
#define MEMORY     ((size_t)1 << 30) // bytes of a decoded picture

// ---- pictures -----------------------------------------------------------------------------------

static adele_status load_picture(const char *folder, const char *prefix, const char *what,
                                 struct image *out) {
    OWNED char *path = memory_printf("%s/%s_%s.png", folder, prefix, what);
    TRY(CHECK_MEMORY(path));
    bool is_label = strcmp(what, "image") != 0;
    TRY(is_label ? image_load_label(path, MEMORY, out) : image_load(path, MEMORY, out));
    if (out->n_bits != 8)
        return FAIL(ADELE_FORMAT, "Run adele audit again.", "%s: %d bits a channel, not 8", path,
                    out->n_bits);
    return ADELE_OK;
}

static void shrink(const struct image *image, int factor, const struct examples *size, int n_out,
                   uint8_t *out) {
    const uint8_t *pixels = image->pixels;
    size_t n = (size_t)image->n_channels;
    for (int y = 0; y < size->height; y++)
        for (int x = 0; x < size->width; x++)
            for (int c = 0; c < n_out; c++) {
                size_t v = (size_t)(y * factor + factor / 2), u = (size_t)(x * factor + factor / 2);
                *out++ = pixels[(v * (size_t)image->width + u) * n + (n == 3 ? (size_t)c : 0)];
            }
}

static adele_status take_pictures(const char *folder, const char *prefix, struct image images[3],
                                  struct examples *size, struct example *example) {
    static const char *const what[3] = {"image", "label", "prediction"};
    static const int layers[3] = {0, LAYER_NOISY, LAYER_PREDICTION};
    for (int k = 0; k < 3; k++) {
        TRY(load_picture(folder, prefix, what[k], &images[k]));
        if (images[k].width != images[0].width || images[k].height != images[0].height)
            return FAIL(ADELE_FORMAT, "Run adele audit again.",
                        "%s/%s_%s.png: %d x %d pixels, the image has %d x %d (height x width)",
                        folder, prefix, what[k], images[k].height, images[k].width,
                        images[0].height, images[0].width);
    }
    int larger = images[0].width > images[0].height ? images[0].width : images[0].height;
    int smaller = images[0].width + images[0].height - larger;
    int factor = (larger + MAX_EXTENT - 1) / MAX_EXTENT;
    factor = factor < smaller ? factor : smaller;
    size->width = images[0].width / factor;
    size->height = images[0].height / factor;
    size_t n = (size_t)size->width * (size_t)size->height;
    TRY(ALLOCATE(&example->rgb, 3 * n));
    shrink(&images[0], factor, size, 3, example->rgb);
    for (int k = 1; k < 3; k++) {
        TRY(ALLOCATE(&example->labels[layers[k]], n));
        shrink(&images[k], factor, size, 1, example->labels[layers[k]]);
    }
    return ADELE_OK;
}

static adele_status add_panels(struct page *page, const char *folder, const struct csv *csv) {
    const char *prefix = csv_field(csv, "overlay");
    OWNED char *path = memory_printf("%s/%s_image.png", folder, prefix);
    TRY(CHECK_MEMORY(path));
    if (!file_exists(path))
        return html_absent(&page->html, NULL, "Its pictures are not in the audit's folder.");
    struct image images[3] = {0};
    struct example example = {0};
    struct examples size = {0};
    for (int k = 0; k < LAYER_COUNT; k++)
        example.miou[k] = NAN;
    adele_status status = take_pictures(folder, prefix, images, &size, &example);
    if (status == ADELE_OK)
        status = page_panels(page, &size, &example, csv_field(csv, "case"), true);
    for (int k = 0; k < 3; k++)
        image_deinit(&images[k]);
    memory_free(example.rgb);
    for (int k = 0; k < LAYER_COUNT; k++)
        memory_free(example.labels[k]);
    return status;
}

// ---- the ranking --------------------------------------------------------------------------------

static adele_status add_case(struct page *page, const char *folder, const struct csv *csv) {
    struct buffer *html = &page->html;
    TRY(html_printf(html, "<article class=\"case\">\n<h3>%s", csv_field(csv, "case")));
    if (csv_number(csv, "slice") > 0.0)
        TRY(html_printf(html, ", slice %.0f", csv_number(csv, "slice")));
    TRY(html_printf(html,
                    "</h3>\n<p class=\"small\">agreement of label and prediction %.2f, lowest for "
                    "%s (%.2f); %.1f %% of its pixels are in doubtful regions</p>\n",
                    csv_number(csv, "score"), csv_field(csv, "worst_class"),
                    csv_number(csv, "worst_class_score"),
                    100.0 * csv_number(csv, "doubtful_fraction")));
    TRY(add_panels(page, folder, csv));
    return buffer_text(html, "</article>\n");
}

// Names lead to files: they stay inside of the audit's folder.
static adele_status check_prefix(const struct csv *csv) {
    const char *prefix = csv_field(csv, "overlay");
    if (prefix[0] != '/' && strstr(prefix, "..") == NULL)
        return ADELE_OK;
    return FAIL(ADELE_FORMAT, "Run adele audit again.",
                "%s, row %d: the overlay \"%s\" is outside of the folder", csv->path, csv->line,
                prefix);
}

static adele_status add_rows(struct page *page, const char *folder, struct csv *csv) {
    bool is_row = true;
    int n_shown = 0;
    while (n_shown < MAX_ROWS && page->html.n_bytes < page->max_bytes) {
        TRY(csv_next(csv, &is_row));
        if (!is_row || csv_field(csv, "overlay")[0] == '\0')
            break;
        TRY(check_prefix(csv));
        TRY(add_case(page, folder, csv));
        n_shown++;
    }
    if (page->html.n_bytes >= page->max_bytes && n_shown < MAX_ROWS)
        return html_absent(&page->html, NULL,
                           "Further images are left out, because the page would become too large.");
    if (n_shown == 0)
        return html_absent(&page->html, NULL, "The audit has no pictures of its images.");
    return ADELE_OK;
}

// The audit's pictures hold classes by number; the names are those of the run's own examples.
static adele_status add_cases(struct page *page, const struct report_run *run, const char *folder,
                              struct csv *csv) {
    struct page_layers layers = {.is_there = {[LAYER_NOISY] = true, [LAYER_PREDICTION] = true},
                                 .has_difference = true,
                                 .lacks_truth = true};
    CLEANUP(examples_deinit) struct examples named = {0};
    if (run->examples != NULL)
        TRY(examples_load(run, 1, true, MAX_EXTENT, &named));
    layers.n_classes = named.n_categories;
    layers.classes = named.categories;
    for (int c = 1; c < layers.n_classes; c++)
        layers.occurs[c] = true;
    TRY(page_gallery_begin(page, &layers));
    TRY(add_rows(page, folder, csv));
    return buffer_text(&page->html, "</div>\n");
}

static adele_status add_run(struct page *page, const struct report_run *run, const char *folder,
                            const char *path) {
    CLEANUP(csv_close) struct csv csv = {0};
    TRY(csv_open(path, "Write the file again with the command that made it, or remove it.", &csv));
    TRY(page_run_heading(page, run));
    return add_cases(page, run, folder, &csv);
}

static adele_status find_and_add(struct page *page, const struct report_run *run) {
    static const char *const folders[] = {"audit", "."};
    for (int k = 0; k < 2; k++) {
        OWNED char *folder = file_join(run->path, folders[k]);
        OWNED char *path = folder != NULL ? file_join(folder, "audit.csv") : NULL;
        TRY(CHECK_MEMORY(path));
        if (file_exists(path))
            return add_run(page, run, folder, path);
    }
    return html_absent(&page->html, run->name,
                       "no audit/audit.csv in the run folder. The command \"adele audit\" "
                       "ranks images by doubt and writes it.");
}

adele_status page_doubt(struct page *page) {
    TRY(buffer_text(&page->html,
                    "<section id=\"doubt\">\n<h2>Most doubtful labels</h2>\n<p class=\"soft\">"
                    "Images whose label and prediction agree least (adele audit).</p>\n"));
    for (int i = 0; i < page->n_runs; i++)
        TRY(find_and_add(page, &page->runs[i]));
    return buffer_text(&page->html, "</section>\n");
}
