// SPDX-License-Identifier: MIT
// Loads files as resident images and label maps. Each case is loaded separately and the results are
// joined in the order of the cases, so that they do not depend on the number of threads.
//
// Volumes, and pictures of sets with 16-bit files, are standardized before they are stored as half
// floats (mean 0, inv_std 1), because raw intensities would lose their low bits there. 8-bit values
// stay raw; their mean and inv_std are those of the resident pixels.
#include "data/load.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/case_labels.h"
#include "data/foreground.h"
#include "data/label_values.h"
#include "data/notes.h"
#include "data/palette_check.h"
#include "data/picture_peek.h"
#include "data/planes.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

// Decoded volumes are large, so only a few are in memory at a time.
#define MAX_VOLUME_THREADS 4

struct case_slices {
    const struct case_image *image;
    const int *slices;
};

static void read_slice(const void *context, int i, int channel, float *out) {
    const struct case_slices *self = context;
    case_image_plane(self->image, self->slices[i], channel, out);
}

static adele_status fill_images(const struct dataset *dataset, const struct case_image *image,
                                const int *slices, struct dataset_images *out) {
    const struct case_slices context = {image, slices};
    const struct dataset_planes planes = {.n = out->n,
                                          .n_channels = out->c,
                                          .height = image->height,
                                          .width = image->width,
                                          .normalize = image->is_volume ? NORMALIZE_IMAGE
                                                                        : dataset->config.normalize,
                                          .read = read_slice,
                                          .context = &context};
    return dataset_planes_fill(&planes, out);
}

static adele_status fill_labels(const struct dataset *dataset, const char *path,
                                const struct case_labels *labels, const int *slices,
                                const struct dataset_images *out, uint8_t *maps) {
    size_t source = (size_t)labels->height * (size_t)labels->width;
    OWNED uint8_t *mapped = NULL;
    TRY(ALLOCATE(&mapped, source));
    for (int i = 0; i < out->n; i++) {
        TRY(case_labels_map(dataset, path, labels, slices[i], mapped));
        resize_nearest_u8(mapped, labels->height, labels->width,
                          maps + (size_t)i * dataset_images_plane_size(out), out->h, out->w);
    }
    return ADELE_OK;
}

// ---- one case -----------------------------------------------------------------------------------

struct case_plan {
    const struct dataset_case *item;
    enum dataset_split split;
    int i_case;
    bool keep_empty, is_f16;
    int height, width; // 0, 0 = the file's
};

static adele_status load_labels(const struct dataset *dataset, const char *path,
                                const struct case_plan *plan, const struct case_image *image,
                                struct case_labels *out) {
    if (path == NULL)
        return ADELE_OK;
    return case_labels_load_checked(dataset, plan->item, path, image, out);
}

// Selects the slices. The layout's own labels, where there are any, decide whether a slice is
// empty, so that noise that removes a category does not change which slices are trained on.
static adele_status choose_slices(const struct dataset *dataset, const struct case_plan *plan,
                                  const struct case_image *image, const struct case_labels *labels,
                                  int **out, int *n_out) {
    const char *own = plan->item->label_path;
    CLEANUP(case_labels_deinit) struct case_labels loaded = {0};
    bool keep_all = plan->keep_empty || !image->is_volume || labels == NULL ||
                    !dataset->config.foreground_slices_only;
    if (!keep_all && own != NULL && own != dataset_label_source(plan->item, plan->split)) {
        TRY(load_labels(dataset, own, plan, image, &loaded));
        labels = &loaded;
    }
    TRY(ALLOCATE(out, image->n_slices));
    *n_out = 0;
    for (int slice = 0; slice < image->n_slices; slice++)
        if (keep_all || case_labels_has_foreground(dataset, labels, slice))
            (*out)[(*n_out)++] = slice;
    return ADELE_OK;
}

static adele_status fill_case(const struct dataset *dataset, const struct case_plan *plan,
                              const struct case_image *image, struct dataset_images *out) {
    const char *label_path = dataset_label_source(plan->item, plan->split);
    const char *truth_path = plan->split == SPLIT_TRAIN ? plan->item->truth_path : NULL;
    CLEANUP(case_labels_deinit) struct case_labels labels = {0}, truth = {0};
    OWNED int *slices = NULL;
    TRY(load_labels(dataset, label_path, plan, image, &labels));
    if (label_path != NULL)
        TRY(palette_use_of(&labels, &out->palette));
    TRY(load_labels(dataset, truth_path, plan, image, &truth));
    TRY(choose_slices(dataset, plan, image, label_path != NULL ? &labels : NULL, &slices, &out->n));
    TRY(dataset_images_allocate(out, label_path != NULL, truth_path != NULL));
    TRY(fill_images(dataset, image, slices, out));
    if (label_path != NULL)
        TRY(fill_labels(dataset, label_path, &labels, slices, out, out->labels));
    if (truth_path != NULL)
        TRY(fill_labels(dataset, truth_path, &truth, slices, out, out->truth));
    for (int i = 0; i < out->n; i++)
        out->origin[i] = (struct dataset_origin){
            .i_case = plan->i_case, .slice = slices[i], image->height, image->width};
    return ADELE_OK;
}

static adele_status check_normalize(const struct dataset *dataset, const struct dataset_case *item,
                                    const struct case_image *image) {
    if (dataset->config.normalize != NORMALIZE_IMAGENET || image->is_volume ||
        image->n_channels == 3)
        return ADELE_OK;
    return FAIL(ADELE_CONFIG, "Set data.normalize: image.",
                "%s: %d channel(s), but data.normalize: imagenet is for RGB pictures",
                item->image_path[0], image->n_channels);
}

static adele_status load_case(const struct dataset *dataset, const struct case_plan *plan,
                              struct dataset_images *out) {
    CLEANUP(case_image_deinit) struct case_image image = {0};
    CLEANUP(dataset_images_deinit) struct dataset_images images = {0};
    memset(out, 0, sizeof *out);
    TRY(case_image_load(dataset, plan->item, NULL, &image));
    images.c = image.n_channels;
    images.h = plan->height != 0 ? plan->height : image.height;
    images.w = plan->width != 0 ? plan->width : image.width;
    images.is_f16 = plan->is_f16;
    images.notes = image.notes;
    TRY(case_image_check_finite(&image, plan->item));
    TRY(check_normalize(dataset, plan->item, &image));
    TRY(fill_case(dataset, plan, &image, &images));
    *out = images;
    images = (struct dataset_images){0};
    return ADELE_OK;
}

static bool case_is_wide(const struct dataset *dataset, const struct dataset_case *item) {
    if (dataset->is_volume)
        return true;
    for (int i = 0; i < item->n_files; i++) {
        struct image_traits peek;
        picture_peek(item->image_path[i], &peek);
        if (peek.n_bits == 16)
            return true;
    }
    return false;
}

adele_status dataset_read_case(const struct dataset *dataset, enum dataset_split split, int i_case,
                               int height, int width, struct dataset_images *out) {
    memset(out, 0, sizeof *out);
    if (i_case < 0 || i_case >= dataset->n_cases[split])
        return FAIL(ADELE_INVALID_ARGUMENT, "", "case %d of %d of the %s split", i_case,
                    dataset->n_cases[split], dataset_split_name(split));
    const struct dataset_case *item = &dataset->cases[split][i_case];
    struct case_plan plan = {.item = item,
                             .split = split,
                             .i_case = i_case,
                             .keep_empty = true,
                             .is_f16 = case_is_wide(dataset, item),
                             .height = height,
                             .width = width};
    return load_case(dataset, &plan, out);
}

adele_status dataset_note_case(const struct dataset *dataset, enum dataset_split split, int i_case,
                               const struct dataset_images *images) {
    const struct dataset_case *item = &dataset->cases[split][i_case];
    notes_log_case(dataset->logged_notes, images->notes, item->image_path[0]);
    return palette_check_add(dataset, dataset_label_source(item, split), images->palette);
}

adele_status dataset_load_case(const struct dataset *dataset, enum dataset_split split, int i_case,
                               struct dataset_images *out) {
    const struct dataset_config *config = &dataset->config;
    TRY(dataset_read_case(dataset, split, i_case, config->height, config->width, out));
    adele_status status = dataset_note_case(dataset, split, i_case, out);
    if (status != ADELE_OK)
        dataset_images_deinit(out);
    return status;
}

// ---- a split ------------------------------------------------------------------------------------

// Loads all cases in parallel. Error messages belong to a thread, so the first case that failed is
// loaded again on this one to get its message.
static adele_status load_parts(const struct dataset *dataset, struct case_plan *plans, int n_cases,
                               struct dataset_images *parts) {
    int i_failed = n_cases, n_threads = omp_get_max_threads();
    if (dataset->is_volume && n_threads > MAX_VOLUME_THREADS)
        n_threads = MAX_VOLUME_THREADS;
#pragma omp parallel for schedule(dynamic) num_threads(n_threads)
    for (int i = 0; i < n_cases; i++) {
        int limit;
#pragma omp atomic read
        limit = i_failed;
        if (i > limit || load_case(dataset, &plans[i], &parts[i]) == ADELE_OK)
            continue;
#pragma omp critical(dataset_load_failed)
        if (i < i_failed) {
#pragma omp atomic write
            i_failed = i;
        }
    }
    if (i_failed == n_cases)
        return ADELE_OK;
    TRY(load_case(dataset, &plans[i_failed], &parts[i_failed]));
    return FAIL(ADELE_IO, "Try again.", "%s: could not be read at the first try",
                plans[i_failed].item->image_path[0]);
}

static void log_notes(const struct dataset *dataset, enum dataset_split split,
                      const struct dataset_images *parts) {
    struct notes notes = {0};
    char where[32];
    for (int i = 0; i < dataset->n_cases[split]; i++)
        notes_add(&notes, parts[i].notes, dataset->cases[split][i].image_path[0]);
    (void)snprintf(where, sizeof where, " of the %s split", dataset_split_name(split));
    notes_log(&notes, where);
}

struct parts { // of the cases
    int n;
    struct dataset_images *images;
};

static void parts_deinit(struct parts *parts) {
    for (int i = 0; parts->images != NULL && i < parts->n; i++)
        dataset_images_deinit(&parts->images[i]);
    memory_free(parts->images);
}

adele_status dataset_load(const struct dataset *dataset, enum dataset_split split,
                          bool keep_empty_slices, struct dataset_images *out) {
    int n_cases = dataset->n_cases[split];
    CLEANUP(parts_deinit) struct parts parts = {.n = n_cases};
    CLEANUP(dataset_images_deinit)
    struct dataset_images images = {.c = dataset->n_channels,
                                    .h = dataset->config.height,
                                    .w = dataset->config.width,
                                    .is_f16 = dataset->is_volume};
    OWNED struct case_plan *plans = NULL;
    memset(out, 0, sizeof *out);
    TRY(ALLOCATE(&plans, (size_t)n_cases + 1));
    TRY(ALLOCATE(&parts.images, (size_t)n_cases + 1));
    bool is_f16 = false;
    for (int i = 0; i < n_cases && !is_f16; i++)
        is_f16 = case_is_wide(dataset, &dataset->cases[split][i]);
    for (int i = 0; i < n_cases; i++)
        plans[i] = (struct case_plan){.item = &dataset->cases[split][i],
                                      .split = split,
                                      .i_case = i,
                                      .keep_empty = keep_empty_slices,
                                      .is_f16 = is_f16,
                                      .height = dataset->config.height,
                                      .width = dataset->config.width};
    TRY(load_parts(dataset, plans, n_cases, parts.images));
    log_notes(dataset, split, parts.images);
    for (int i = 0; i < n_cases; i++)
        TRY(palette_check_add(dataset, dataset_label_source(&dataset->cases[split][i], split),
                              parts.images[i].palette));
    TRY(dataset_images_join(dataset, split, parts.images, &images));
    if (n_cases > 0 && images.n == 0)
        TRY(foreground_explain(dataset, split));
    *out = images;
    images = (struct dataset_images){0};
    return ADELE_OK;
}
