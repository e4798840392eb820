// SPDX-License-Identifier: MIT
#include "data/images.h"

#include "base/available_memory.h"
#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <string.h>

void dataset_images_deinit(struct dataset_images *images) {
    if (images->pixels.block != NULL)
        shared_memory_release(&images->pixels);
    else
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
    size_t planes = (size_t)images->n * (size_t)images->c;
    images->images = memory_calloc(planes * dataset_images_plane_size(images) + 1,
                                   dataset_images_pixel_bytes(images));
    TRY(CHECK_MEMORY(images->images));
    return dataset_images_allocate_maps(images, has_labels, has_truth);
}

adele_status dataset_images_allocate_maps(struct dataset_images *images, bool has_labels,
                                          bool has_truth) {
    size_t n = (size_t)images->n, planes = n * (size_t)images->c,
           plane = dataset_images_plane_size(images);
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
        if (dataset->config.is_padded) {
            out->h = part->h > out->h ? part->h : out->h;
            out->w = part->w > out->w ? part->w : out->w;
        } else if (part->h != first->h || part->w != first->w)
            return FAIL(ADELE_DATA, "Set data.size to bring all images to one size.",
                        "%s: %d x %d, but %s is %d x %d (height x width)",
                        dataset->cases[split][i].image_path[0], part->h, part->w,
                        dataset->cases[split][i_first].image_path[0], first->h, first->w);
        if (part->n > INT32_MAX - out->n)
            return FAIL(ADELE_DATA, "Use fewer images.", "%s: more than %d images", dataset->root,
                        INT32_MAX);
        out->n += part->n;
    }
    return ADELE_OK;
}

// ---- images of several sizes --------------------------------------------------------------------

// n pixels that are 0 when they are standardized, but for the rounding of 8-bit ones.
static void fill_mean(const struct dataset_images *images, size_t i_plane, size_t n) {
    float mean = images->mean[i_plane];
    if (images->is_f16)
        memset((uint16_t *)images->images + i_plane * n, 0, n * sizeof(uint16_t)); // the mean is 0
    else
        memset((uint8_t *)images->images + i_plane * n, (int)(mean + 0.5f), n);
}

// Plane i_from becomes the upper left part of the larger plane i_plane of `out`.
static void place_plane(const struct dataset_images *part, size_t i_from, size_t i_plane,
                        struct dataset_images *out) {
    size_t bytes = dataset_images_pixel_bytes(out), plane = dataset_images_plane_size(out);
    size_t row = (size_t)part->w * bytes;
    const char *from = (const char *)part->images + i_from * (size_t)part->h * row;
    char *to = (char *)out->images + i_plane * plane * bytes;
    fill_mean(out, i_plane, plane);
    for (size_t y = 0; y < (size_t)part->h; y++)
        memcpy(to + y * (size_t)out->w * bytes, from + y * row, row);
}

static void place_maps(const struct dataset_images *part, const uint8_t *from, size_t at,
                       const struct dataset_images *out, uint8_t *to) {
    size_t plane = dataset_images_plane_size(out), w = (size_t)part->w, h = (size_t)part->h;
    if (to == NULL)
        return;
    memset(to + at * plane, LABEL_IGNORE, (size_t)part->n * plane);
    for (size_t i = 0; from != NULL && i < (size_t)part->n; i++)
        for (size_t y = 0; y < h; y++)
            memcpy(to + (at + i) * plane + y * (size_t)out->w, from + (i * h + y) * w, w);
}

static void place_part(const struct dataset_images *part, int at, struct dataset_images *out) {
    size_t c = (size_t)out->c, first = (size_t)at * c;
    for (size_t k = 0; k < (size_t)part->n * c; k++)
        place_plane(part, k, first + k, out);
    place_maps(part, part->labels, (size_t)at, out, out->labels);
    place_maps(part, part->truth, (size_t)at, out, out->truth);
}

void dataset_images_ignore_padding(struct dataset_images *images) {
    uint8_t *const maps[2] = {images->labels, images->truth};
    for (size_t i = 0; i < (size_t)images->n; i++)
        for (int y = 0; y < images->h; y++) {
            int from = y < images->origin[i].height ? images->origin[i].width : 0;
            size_t at = (i * (size_t)images->h + (size_t)y) * (size_t)images->w + (size_t)from;
            for (int m = 0; m < 2; m++)
                if (maps[m] != NULL && from < images->w)
                    memset(maps[m] + at, LABEL_IGNORE, (size_t)(images->w - from));
        }
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
    memcpy(out->mean + i * c, part->mean, n * c * sizeof *out->mean);
    memcpy(out->inv_std + i * c, part->inv_std, n * c * sizeof *out->inv_std);
    memcpy(out->origin + i, part->origin, n * sizeof *out->origin);
    if (part->h != out->h || part->w != out->w) {
        place_part(part, at, out);
        return;
    }
    memcpy((char *)out->images + i * c * plane * bytes, part->images, n * c * plane * bytes);
    copy_maps(out->labels != NULL ? out->labels + i * plane : NULL, part->labels, n * plane);
    copy_maps(out->truth != NULL ? out->truth + i * plane : NULL, part->truth, n * plane);
}

adele_status dataset_images_stack(const struct dataset_images *const *parts, int n,
                                  struct dataset_images *out) {
    const struct dataset_images *first = parts[0];
    bool has_labels = false, has_truth = false;
    *out = (struct dataset_images){
        .c = first->c, .h = first->h, .w = first->w, .is_f16 = first->is_f16};
    for (int i = 0; i < n; i++) {
        out->n += parts[i]->n;
        has_labels = has_labels || parts[i]->labels != NULL;
        has_truth = has_truth || parts[i]->truth != NULL;
    }
    TRY(dataset_images_allocate(out, has_labels, has_truth));
    for (int i = 0, at = 0; i < n; at += parts[i++]->n)
        copy_part(parts[i], at, out);
    return ADELE_OK;
}

// Padding may take far more memory than the files' pixels: that is said before it is tried.
static adele_status check_memory(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_images *parts, size_t n_maps,
                                 const struct dataset_images *out) {
    size_t pixel = (size_t)out->c * dataset_images_pixel_bytes(out) + n_maps, sum = 0;
    size_t padded = (size_t)out->n * dataset_images_plane_size(out) * pixel;
    size_t available = available_memory();
    for (int i = 0; i < dataset->n_cases[split]; i++)
        sum += (size_t)parts[i].n * dataset_images_plane_size(&parts[i]) * pixel;
    if (padded <= sum || padded <= available)
        return ADELE_OK;
    return FAIL(ADELE_NO_MEMORY,
                "Cut the largest images into several, or set data.size instead of data.patch.",
                "%s: %d images of the %s split, all padded to %d x %d pixels (height x width), "
                "take %zu MB instead "
                "of %zu MB; %zu MB are available",
                dataset->root, out->n, dataset_split_name(split), out->h, out->w, padded / 1000000,
                sum / 1000000, available / 1000000);
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
    TRY(check_memory(dataset, split, parts, (size_t)has_labels + (size_t)has_truth, out));
    TRY(dataset_images_allocate(out, has_labels, has_truth));
    int at = 0;
    for (int i = 0; i < n_cases; i++) {
        copy_part(&parts[i], at, out);
        at += parts[i].n;
        dataset_images_deinit(&parts[i]); // one by one, so that the set is never in memory twice
    }
    return ADELE_OK;
}
