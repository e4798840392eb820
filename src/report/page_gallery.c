// SPDX-License-Identifier: MIT
// The gallery: images of all runs, those with the most changed labels first. Runs that show the
// same image stand below each other.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/html.h"

#include <stdlib.h>
#include <string.h>

#define MAX_EXAMPLES 24  // of a run
#define MAX_EXTENT   320 // of a picture

struct entry { // an example of a run
    int i_run, i_example;
};
struct gallery_case { // an image, in the runs that show it
    const char *name; // borrowed from the examples
    int i_same;       // which one of that name within a run
    double share;     // of changed pixels, the largest of the runs
    int order;        // in which it was found
    int n;
    struct entry *entries;
};
struct gallery {
    int n_runs;
    struct examples *examples; // (n_runs); n = 0: none
    int n;
    struct gallery_case *cases;
};

static void gallery_deinit(struct gallery *gallery) {
    for (int i = 0; gallery->examples != NULL && i < gallery->n_runs; i++)
        examples_deinit(&gallery->examples[i]);
    memory_free(gallery->examples);
    for (int i = 0; i < gallery->n; i++)
        memory_free(gallery->cases[i].entries);
    memory_free(gallery->cases);
}

static adele_status find_case(struct gallery *gallery, const char *name, int i_same,
                              struct gallery_case **out) {
    for (int i = 0; i < gallery->n; i++) {
        *out = &gallery->cases[i];
        if ((*out)->i_same == i_same && strcmp((*out)->name, name) == 0)
            return ADELE_OK;
    }
    TRY(GROW(&gallery->cases, gallery->n));
    *out = &gallery->cases[gallery->n];
    **out = (struct gallery_case){.name = name, .i_same = i_same, .order = gallery->n++};
    return ADELE_OK;
}

static adele_status add_example(struct gallery *gallery, int i_run, int i_example) {
    const struct examples *examples = &gallery->examples[i_run];
    const struct example *example = &examples->items[i_example];
    struct gallery_case *found = NULL;
    int i_same = 0;
    for (int i = 0; i < i_example; i++)
        i_same += strcmp(examples->items[i].name, example->name) == 0;
    TRY(find_case(gallery, example->name, i_same, &found));
    TRY(GROW(&found->entries, found->n));
    found->entries[found->n++] = (struct entry){i_run, i_example};
    double share = (double)example->n_changed / (double)example->n_pixels;
    found->share = share > found->share ? share : found->share;
    return ADELE_OK;
}

static int compare_cases(const void *left, const void *right) {
    const struct gallery_case *a = left, *b = right;
    if (a->share != b->share)
        return a->share > b->share ? -1 : 1;
    return a->order - b->order;
}

static adele_status load(const struct page *page, struct gallery *gallery) {
    TRY(ALLOCATE(&gallery->examples, page->n_runs));
    for (int i = 0; i < page->n_runs; i++) {
        struct examples *examples = &gallery->examples[i];
        if (page->runs[i].examples == NULL)
            continue;
        TRY(examples_load(&page->runs[i], MAX_EXAMPLES, false, MAX_EXTENT, examples));
        for (int k = 0; k < examples->n; k++)
            TRY(add_example(gallery, i, k));
    }
    if (gallery->n > 0)
        qsort(gallery->cases, (size_t)gallery->n, sizeof *gallery->cases, compare_cases);
    return ADELE_OK;
}

// ---- the page -----------------------------------------------------------------------------------

static bool is_same_picture(const struct gallery *gallery, struct entry a, struct entry b) {
    const struct examples *of_a = &gallery->examples[a.i_run], *of_b = &gallery->examples[b.i_run];
    return of_a->width == of_b->width && of_a->height == of_b->height &&
           memcmp(of_a->items[a.i_example].rgb, of_b->items[b.i_example].rgb,
                  (size_t)of_a->width * (size_t)of_a->height * 3) == 0;
}

static adele_status add_row(struct page *page, const struct gallery *gallery,
                            const struct gallery_case *item, struct entry entry) {
    struct buffer *html = &page->html;
    const struct examples *examples = &gallery->examples[entry.i_run];
    const struct example *example = &examples->items[entry.i_example];
    bool is_named = page->n_runs > 1;
    TRY(html_printf(html,
                    "<h4>%s%s<span class=\"small\">%'.0f pixel%s of the label changed (%.1f %%)"
                    "</span></h4>\n",
                    is_named ? page->runs[entry.i_run].name : "", is_named ? " " : "",
                    (double)example->n_changed, example->n_changed == 1 ? "" : "s",
                    100.0 * (double)example->n_changed / (double)example->n_pixels));
    return page_panels(page, examples, example, item->name,
                       !is_same_picture(gallery, item->entries[0], entry));
}

static adele_status add_case(struct page *page, const struct gallery *gallery,
                             const struct gallery_case *item) {
    struct buffer *html = &page->html;
    const struct examples *first = &gallery->examples[item->entries[0].i_run];
    TRY(buffer_text(html, "<article class=\"case\""));
    TRY(page_picture_style(page, first, &first->items[item->entries[0].i_example]));
    TRY(html_printf(html, ">\n<h3>%s</h3>\n", item->name[0] != '\0' ? item->name : "image"));
    for (int i = 0; i < item->n; i++)
        TRY(add_row(page, gallery, item, item->entries[i]));
    return buffer_text(html, "</article>\n");
}

static struct page_layers find_layers(const struct page *page, const struct gallery *gallery) {
    struct page_layers layers = {0};
    for (int i = 0; i < page->n_runs; i++) {
        const struct examples *examples = &gallery->examples[i];
        for (int k = 0; k < LAYER_COUNT; k++)
            layers.is_there[k] = layers.is_there[k] || examples->has_layer[k];
        layers.has_ignored = layers.has_ignored || examples->has_ignored;
        layers.has_difference = layers.has_difference || examples->n > 0;
        layers.lacks_truth =
            layers.lacks_truth || (examples->n > 0 && !examples->has_layer[LAYER_TRUTH]);
        for (int c = 0; c < 256; c++)
            layers.occurs[c] = layers.occurs[c] || examples->occurs[c];
        if (examples->n_categories > layers.n_classes) {
            layers.n_classes = examples->n_categories;
            layers.classes = examples->categories;
        }
    }
    return layers;
}

static adele_status add_absent(struct page *page, const struct gallery *gallery) {
    for (int i = 0; i < page->n_runs; i++) {
        const char *name = page->runs[i].name;
        if (page->runs[i].examples == NULL)
            TRY(html_absent(&page->html, name,
                            "no examples.safetensors in the run folder, which a run writes when it "
                            "has finished: no pictures."));
        else if (!gallery->examples[i].has_layer[LAYER_TRUTH])
            TRY(html_absent(&page->html, name,
                            "the run did not know the truth of its training images: no panel "
                            "\"truth\"."));
        if (gallery->examples[i].n < gallery->examples[i].n_in_file)
            TRY(html_printf(&page->html,
                            "<p class=\"absent\">%s: the first %d of %d images of "
                            "examples.safetensors.</p>\n",
                            name, gallery->examples[i].n, gallery->examples[i].n_in_file));
    }
    return ADELE_OK;
}

static adele_status add_gallery(struct page *page, const struct gallery *gallery) {
    struct buffer *html = &page->html;
    const struct page_layers layers = find_layers(page, gallery);
    int n_shown = 0;
    if (gallery->n == 0)
        return ADELE_OK;
    TRY(page_gallery_begin(page, &layers));
    while (n_shown < gallery->n && html->n_bytes < page->max_bytes)
        TRY(add_case(page, gallery, &gallery->cases[n_shown++]));
    if (n_shown < gallery->n)
        TRY(buffer_printf(html,
                          "<p class=\"absent\">%d more images of the run folders are left out, "
                          "because the page would become too large.</p>\n",
                          gallery->n - n_shown));
    return buffer_text(html, "</div>\n");
}

adele_status page_gallery(struct page *page) {
    CLEANUP(gallery_deinit) struct gallery gallery = {.n_runs = page->n_runs};
    TRY(buffer_text(&page->html,
                    "<section id=\"gallery\">\n<h2>Gallery</h2>\n<p class=\"soft\">Training "
                    "images after the last epoch, at the size of the training: the most "
                    "changed ones first, then some that are spread over the set. mIoU: "
                    "foreground, against the truth.</p>\n"));
    TRY(load(page, &gallery));
    TRY(add_absent(page, &gallery));
    TRY(add_gallery(page, &gallery));
    return buffer_text(&page->html, "</section>\n");
}
