// SPDX-License-Identifier: MIT
// What in a fingerprint may be a mistake: one line for each kind, however many cases there are.
#include "data/fingerprint_parts.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <stdio.h>

// A class is rare with fewer pixels, or in a smaller share of the masks.
#define RARE_PIXELS 0.001
#define RARE_CASES  0.05
// Training on fewer images, or slices of volumes, gives no usable network.
#define FEW_IMAGES 24
// So many names or values are listed in one line.
#define MAX_LISTED 5

static adele_status add(struct adele_fingerprint *out, char *line) {
    char **odd = (char **)out->odd;
    TRY(CHECK_MEMORY(line));
    adele_status status = GROW(&odd, out->n_odd);
    if (status != ADELE_OK) {
        memory_free(line);
        return status;
    }
    text_make_plain(line);
    odd[out->n_odd++] = line;
    out->odd = (const char *const *)odd;
    return ADELE_OK;
}

// "12 of 400 masks hold only background (first: PATH)".
static adele_status add_counts(struct adele_fingerprint *out,
                               const struct fingerprint_counts *counts, int n_all, const char *what,
                               const char *does) {
    if (counts->n == 0)
        return ADELE_OK;
    return add(out, memory_printf("%d of %d %s %s (first: %s)", counts->n, n_all, what, does,
                                  counts->first));
}

// ---- lists in one line --------------------------------------------------------------------------

struct list {
    struct buffer text;
    int n;
};

static void list_deinit(struct list *list) {
    buffer_deinit(&list->text);
}

static adele_status list_add(struct list *list, const char *text) {
    if (list->n++ >= MAX_LISTED)
        return ADELE_OK;
    return buffer_printf(&list->text, "%s%s", list->n > 1 ? ", " : "", text);
}

static adele_status list_finish(struct adele_fingerprint *out, struct list *list,
                                const char *before) {
    if (list->n > MAX_LISTED)
        TRY(buffer_printf(&list->text, ", and %d more", list->n - MAX_LISTED));
    return list->n > 0 ? add(out, memory_printf("%s: %s", before, list->text.data)) : ADELE_OK;
}

// ---- classes and values -------------------------------------------------------------------------

static adele_status add_classes(struct adele_fingerprint *out, bool is_absent) {
    CLEANUP(list_deinit) struct list list = {0};
    for (int c = 1; c < out->n_classes && out->n_masks > 0; c++) {
        const struct adele_class_share *item = &out->classes[c];
        char text[160];
        bool is_rare =
            item->share < RARE_PIXELS || item->n_cases < RARE_CASES * (double)out->n_masks;
        if ((item->n_cases == 0) != is_absent || !is_rare)
            continue;
        if (is_absent)
            (void)snprintf(text, sizeof text, "%.100s", item->name);
        else
            (void)snprintf(text, sizeof text, "%.100s (%.2g %% of the pixels, in %d of %d masks)",
                           item->name, 100.0 * item->share, item->n_cases, out->n_masks);
        TRY(list_add(&list, text));
    }
    return list_finish(out, &list, is_absent ? "classes in no mask" : "rare classes");
}

static adele_status add_values(struct adele_fingerprint *out, const struct dataset *dataset) {
    CLEANUP(list_deinit) struct list list = {0};
    for (int i = 0; i < out->n_values; i++) {
        char text[96];
        if (label_lookup_category(dataset->lookup, out->values[i].value) >= 0)
            continue;
        (void)snprintf(text, sizeof text, "%d (in %d of %d masks)", out->values[i].value,
                       out->values[i].n_cases, out->n_masks);
        TRY(list_add(&list, text));
    }
    return list_finish(out, &list, "values in masks that are no class");
}

// ---- images -------------------------------------------------------------------------------------

static adele_status add_few(struct adele_fingerprint *out) {
    bool has_slices = out->is_volume && out->extents[2].median > 0.0;
    double n = out->n_cases[SPLIT_TRAIN] * (has_slices ? out->extents[2].median : 1.0);
    if (n <= 0.0 || n >= FEW_IMAGES)
        return ADELE_OK;
    return add(out, memory_printf("few images: %.0f for training; a network needs some dozens", n));
}

static adele_status add_spacing(struct adele_fingerprint *out) {
    const struct adele_range *spacing = out->spacing;
    for (int axis = 0; axis < 3 && out->is_volume; axis++)
        if (spacing[axis].low > 0.0 && spacing[axis].high > 1.5 * spacing[axis].low)
            return add(out, memory_printf("voxels differ in size: %.3g to %.3g mm along %c; slices "
                                          "are resized without regard to it",
                                          spacing[axis].low, spacing[axis].high, "xyz"[axis]));
    return ADELE_OK;
}

adele_status fingerprint_find_odd(const struct fingerprint_notes *notes,
                                  const struct dataset *dataset, struct adele_fingerprint *out) {
    int n_all = out->n_cases[0] + out->n_cases[1] + out->n_cases[2];
    int n_labelled = out->n_cases[SPLIT_TRAIN] + out->n_cases[SPLIT_VAL];
    out->n_unreadable = notes->unreadable.n;
    out->n_other_size = notes->other_size.n;
    TRY(add_few(out));
    TRY(add_counts(out, &notes->unreadable, n_all, "cases", "have a file that cannot be read"));
    TRY(add_counts(out, &notes->no_image, n_all, "cases", "have no image"));
    TRY(add_counts(out, &notes->no_mask, n_labelled, "cases", "have no mask"));
    TRY(add_counts(out, &notes->other_size, out->n_masks, "masks",
                   "differ in size from the image"));
    TRY(add_counts(out, &notes->empty_mask, out->n_masks, "masks", "hold no foreground"));
    TRY(add_counts(out, &notes->constant, n_all, "images", "have one value everywhere"));
    if (notes->n_gray > 0 && notes->n_rgb > 0)
        TRY(add(out, memory_printf("gray and RGB pictures are mixed: %d and %d", notes->n_gray,
                                   notes->n_rgb)));
    if (notes->n_8 > 0 && notes->n_16 > 0)
        TRY(add(out, memory_printf("pictures of 8 and of 16 bits are mixed: %d and %d", notes->n_8,
                                   notes->n_16)));
    TRY(add_spacing(out));
    TRY(add_classes(out, true));
    TRY(add_classes(out, false));
    return add_values(out, dataset);
}
