// SPDX-License-Identifier: MIT
#include "data/images.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <string.h>

void dataset_images_deinit(struct dataset_images *images) {
    memory_free(images->images);
    memory_free(images->mean);
    memory_free(images->inv_std);
    memory_free(images->labels);
    memory_free(images->truth);
    memory_free(images->origin);
    memory_free(images->palette);
    memset(images, 0, sizeof *images);
}

size_t dataset_images_pixel_bytes(const struct dataset_images *images) {
    return images->is_f16 ? sizeof(uint16_t) : sizeof(uint8_t);
}

size_t dataset_images_plane_size(const struct dataset_images *images) {
    return (size_t)images->h * (size_t)images->w;
}

// At least one element each, so that n = 0 is legal.
adele_status dataset_images_allocate(struct dataset_images *images, bool has_labels,
                                     bool has_truth) {
    size_t n = (size_t)images->n, planes = n * (size_t)images->c,
           plane = dataset_images_plane_size(images);
    images->images = memory_calloc(planes * plane + 1, dataset_images_pixel_bytes(images));
    TRY(CHECK_MEMORY(images->images));
    TRY(ALLOCATE(&images->mean, planes + 1));
    TRY(ALLOCATE(&images->inv_std, planes + 1));
    TRY(ALLOCATE(&images->origin, n + 1));
    if (has_labels)
        TRY(ALLOCATE(&images->labels, n * plane + 1));
    return has_truth ? ALLOCATE(&images->truth, n * plane + 1) : ADELE_OK;
}

// ---- joining ------------------------------------------------------------------------------------

// The common size of all images; 0 by 0 in the configuration means that of the first file.
static adele_status join_extents(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_images *parts, struct dataset_images *out) {
    const struct dataset_images *first = NULL;
    int i_first = 0;
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        const struct dataset_images *part = &parts[i];
        if (first == NULL) {
            first = part;
            i_first = i;
            out->c = part->c;
            out->h = part->h;
            out->w = part->w;
            out->is_f16 = part->is_f16;
        }
        if (part->h != first->h || part->w != first->w)
            return FAIL(ADELE_DATA, "Set data.size to bring all images to one size.",
                        "%s: %d x %d, but %s is %d x %d", dataset->cases[split][i].image_path[0],
                        part->w, part->h, dataset->cases[split][i_first].image_path[0], first->w,
                        first->h);
        if (part->n > INT32_MAX - out->n)
            return FAIL(ADELE_DATA, "Use fewer images.", "%s: more than %d images", dataset->root,
                        INT32_MAX);
        out->n += part->n;
    }
    return ADELE_OK;
}

static void copy_maps(uint8_t *to, const uint8_t *from, size_t bytes) {
    if (to != NULL && from != NULL)
        memcpy(to, from, bytes);
    else if (to != NULL) // an unlabelled case among labelled ones
        memset(to, LABEL_IGNORE, bytes);
}

static void copy_part(const struct dataset_images *part, int at, struct dataset_images *out) {
    size_t n = (size_t)part->n, c = (size_t)out->c, plane = dataset_images_plane_size(out),
           i = (size_t)at;
    size_t bytes = dataset_images_pixel_bytes(out);
    memcpy((char *)out->images + i * c * plane * bytes, part->images, n * c * plane * bytes);
    memcpy(out->mean + i * c, part->mean, n * c * sizeof *out->mean);
    memcpy(out->inv_std + i * c, part->inv_std, n * c * sizeof *out->inv_std);
    memcpy(out->origin + i, part->origin, n * sizeof *out->origin);
    copy_maps(out->labels != NULL ? out->labels + i * plane : NULL, part->labels, n * plane);
    copy_maps(out->truth != NULL ? out->truth + i * plane : NULL, part->truth, n * plane);
}

adele_status dataset_images_join(const struct dataset *dataset, enum dataset_split split,
                                 struct dataset_images *parts, struct dataset_images *out) {
    bool has_labels = false, has_truth = false;
    int n_cases = dataset->n_cases[split];
    TRY(join_extents(dataset, split, parts, out));
    for (int i = 0; i < n_cases; i++) {
        has_labels = has_labels || parts[i].labels != NULL;
        has_truth = has_truth || parts[i].truth != NULL;
    }
    TRY(dataset_images_allocate(out, has_labels, has_truth));
    int at = 0;
    for (int i = 0; i < n_cases; i++) {
        copy_part(&parts[i], at, out);
        at += parts[i].n;
        dataset_images_deinit(&parts[i]); // one by one, so that the set is never in memory twice
    }
    return ADELE_OK;
}
