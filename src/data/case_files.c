// SPDX-License-Identifier: MIT
// Decoding the files of one case.
#include "data/case_files.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- images -------------------------------------------------------------------------------------

void case_image_deinit(struct case_image *image) {
    for (int i = 0; i < DATASET_MAX_FILES; i++) {
        image_deinit(&image->pictures[i]);
        nifti_deinit(&image->volumes[i]);
    }
    memset(image, 0, sizeof *image);
}

// A picture becomes floats (or whole numbers, for labels) of four bytes beside its own pixels,
// plane by plane: that counts too, and is looked at before anything is decoded.
static adele_status check_extents(const char *path, size_t limit) {
    int width, height;
    TRY(image_probe(path, &width, &height));
    uint64_t bytes = (uint64_t)width * (uint64_t)height * (1 + sizeof(float));
    if (bytes > limit)
        return FAIL(ADELE_DATA, "Make the image smaller, or raise data.memory_limit_mb.",
                    "%s: %d x %d pixels take %llu bytes, the limit is %zu", path, width, height,
                    (unsigned long long)bytes, limit);
    return ADELE_OK;
}

static adele_status load_file(const struct dataset *dataset, const char *path, int i,
                              struct case_image *image, int *n_slices, int *height, int *width) {
    size_t limit = dataset_memory_limit(dataset);
    if (image->is_volume) {
        struct nifti_volume *volume = &image->volumes[i];
        TRY(nifti_load(path, limit, volume));
        *n_slices = volume->nz;
        *height = volume->ny;
        *width = volume->nx;
        image->n_channels++;
        return ADELE_OK;
    }
    struct image *picture = &image->pictures[i];
    TRY(check_extents(path, limit));
    TRY(image_load(path, limit, picture));
    *n_slices = 1;
    *height = picture->height;
    *width = picture->width;
    image->n_channels += picture->n_channels;
    if (picture->n_bits > image->n_bits)
        image->n_bits = picture->n_bits;
    return ADELE_OK;
}

static adele_status fail_channels(const struct dataset *dataset, const struct dataset_case *item,
                                  int n_channels) {
    return FAIL(ADELE_DATA,
                "Convert the image, or describe the channels in the data set (nnU-Net: "
                "channel_names in dataset.json).",
                "%s: %d channel%s, but the data set has %d", item->image_path[0], n_channels,
                n_channels == 1 ? "" : "s", dataset->n_channels);
}

static adele_status load_files(const struct dataset *dataset, const struct dataset_case *item,
                               enum check_kind *kind, struct case_image *out) {
    for (int i = 0; i < item->n_files; i++) {
        int n_slices, height, width;
        *kind = CHECK_UNREADABLE;
        TRY(load_file(dataset, item->image_path[i], i, out, &n_slices, &height, &width));
        out->n_files = i + 1;
        *kind = CHECK_SIZE_MISMATCH;
        if (i > 0 && (n_slices != out->n_slices || height != out->height || width != out->width))
            return FAIL(ADELE_DATA, "All channels of a case need one size.",
                        "%s: %d x %d x %d, but %s is %d x %d x %d (width, height, slices)",
                        item->image_path[i], width, height, n_slices, item->image_path[0],
                        out->width, out->height, out->n_slices);
        out->n_slices = n_slices;
        out->height = height;
        out->width = width;
    }
    *kind = CHECK_CHANNELS;
    return out->n_channels == dataset->n_channels ? ADELE_OK
                                                  : fail_channels(dataset, item, out->n_channels);
}

adele_status case_image_load(const struct dataset *dataset, const struct dataset_case *item,
                             enum check_kind *kind, struct case_image *out) {
    enum check_kind unused;
    memset(out, 0, sizeof *out);
    out->is_volume = dataset->is_volume;
    adele_status status = load_files(dataset, item, kind != NULL ? kind : &unused, out);
    if (status != ADELE_OK)
        case_image_deinit(out);
    return status;
}

void case_image_plane(const struct case_image *image, int slice, int channel, float *out) {
    size_t n = (size_t)image->height * (size_t)image->width;
    if (image->is_volume) {
        memcpy(out, image->volumes[channel].voxels + (size_t)slice * n, n * sizeof *out);
        return;
    }
    int i_file = 0;
    while (channel >= image->pictures[i_file].n_channels)
        channel -= image->pictures[i_file++].n_channels;
    const struct image *picture = &image->pictures[i_file];
    size_t step = (size_t)picture->n_channels;
    if (picture->n_bits == 16) {
        const uint16_t *pixels = (const uint16_t *)picture->pixels + channel;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)pixels[i * step] / 257.0f;
    } else {
        const uint8_t *pixels = (const uint8_t *)picture->pixels + channel;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)pixels[i * step];
    }
}

adele_status case_image_check_finite(const struct case_image *image,
                                     const struct dataset_case *item) {
    size_t plane = (size_t)image->height * (size_t)image->width;
    size_t n = plane * (size_t)image->n_slices;
    for (int file = 0; image->is_volume && file < image->n_files; file++) {
        const float *voxels = image->volumes[file].voxels;
        size_t n_bad = 0, first = 0;
        for (size_t i = 0; i < n; i++)
            if (!isfinite(voxels[i]) && n_bad++ == 0)
                first = i;
        if (n_bad > 0)
            return FAIL(ADELE_DATA, "Replace such voxels, by the value of air for a CT, say.",
                        "%s: voxel (x %zu, y %zu, z %zu) is %s; %zu voxel%s not finite",
                        item->image_path[file], first % (size_t)image->width,
                        first % plane / (size_t)image->width, first / plane,
                        isnan(voxels[first]) ? "NaN" : "infinite", n_bad,
                        n_bad == 1 ? " is" : "s are");
    }
    return ADELE_OK;
}

// ---- labels -------------------------------------------------------------------------------------

void case_labels_deinit(struct case_labels *labels) {
    memory_free(labels->values);
    nifti_deinit(&labels->volume);
    memset(labels, 0, sizeof *labels);
}

static adele_status take_values(struct case_labels *labels, size_t n, const uint8_t *pixels,
                                const float *voxels) {
    labels->values = memory_calloc(n, sizeof *labels->values);
    if (labels->values == NULL)
        return FAIL_NO_MEMORY(n * sizeof *labels->values);
    for (size_t i = 0; pixels != NULL && i < n; i++)
        labels->values[i] = pixels[i];
    for (size_t i = 0; voxels != NULL && i < n; i++) {
        float rounded = rintf(voxels[i]);
        // Scaled integers may miss the whole number by a rounding error.
        bool is_value = rounded >= 0.0f && rounded <= (float)LABEL_MAX_VALUE &&
                        fabsf(voxels[i] - rounded) <= 1e-3f;
        labels->values[i] = is_value ? (int32_t)rounded : LABEL_NOT_A_VALUE;
    }
    return ADELE_OK;
}

adele_status case_labels_load(const struct dataset *dataset, const char *path,
                              struct case_labels *out) {
    size_t limit = dataset_memory_limit(dataset);
    adele_status status;
    memset(out, 0, sizeof *out);
    out->is_volume = dataset->is_volume;
    if (out->is_volume) {
        struct nifti_volume *volume = &out->volume;
        TRY(nifti_load(path, limit, volume));
        out->n_slices = volume->nz;
        out->height = volume->ny;
        out->width = volume->nx;
        size_t n = (size_t)volume->nx * (size_t)volume->ny * (size_t)volume->nz;
        status = take_values(out, n, NULL, volume->voxels);
        memory_free(volume->voxels);
        volume->voxels = NULL;
    } else {
        struct image picture = {0};
        TRY(check_extents(path, limit));
        TRY(image_load_label(path, limit, &picture));
        out->n_slices = 1;
        out->height = picture.height;
        out->width = picture.width;
        out->palette = picture.palette;
        size_t n = (size_t)picture.width * (size_t)picture.height;
        status = take_values(out, n, picture.pixels, NULL);
        image_deinit(&picture);
    }
    if (status != ADELE_OK)
        case_labels_deinit(out);
    return status;
}

adele_status case_labels_check_size(const char *label_path, const struct case_labels *labels,
                                    const char *image_path, const struct case_image *image) {
    if (labels->n_slices == image->n_slices && labels->height == image->height &&
        labels->width == image->width)
        return ADELE_OK;
    char slices[2][32] = {"", ""};
    if (image->is_volume) {
        (void)snprintf(slices[0], sizeof slices[0], " x %d", labels->n_slices);
        (void)snprintf(slices[1], sizeof slices[1], " x %d", image->n_slices);
    }
    return FAIL(ADELE_DATA, "Bring the label map to the size of its image.",
                "%s: %d x %d%s, but its image %s is %d x %d%s", label_path, labels->width,
                labels->height, slices[0], image_path, image->width, image->height, slices[1]);
}

static adele_status fail_value(const struct dataset *dataset, const char *path,
                               const struct case_labels *labels, size_t first) {
    size_t plane = (size_t)labels->height * (size_t)labels->width;
    size_t n = plane * (size_t)labels->n_slices, n_bad = 0;
    for (size_t i = 0; i < n; i++)
        n_bad += label_lookup_category(dataset->lookup, labels->values[i]) < 0;
    char place[96], value[48];
    size_t x = first % (size_t)labels->width, y = first % plane / (size_t)labels->width;
    if (labels->is_volume)
        (void)snprintf(place, sizeof place, "voxel (x %zu, y %zu, z %zu)", x, y, first / plane);
    else
        (void)snprintf(place, sizeof place, "pixel (x %zu, y %zu)", x, y);
    if (labels->values[first] == LABEL_NOT_A_VALUE)
        (void)snprintf(value, sizeof value, "no whole number from 0 to %d", LABEL_MAX_VALUE);
    else
        (void)snprintf(value, sizeof value, "%d", (int)labels->values[first]);
    if (dataset->map.n > 0)
        return FAIL(ADELE_DATA, "Name the value in data.label_map, or set data.label_map_other.",
                    "%s: %s is %s, which data.label_map does not name; %zu such in the file", path,
                    place, value, n_bad);
    return FAIL(ADELE_DATA,
                "Correct the label map, add the category to the data set's list of names, or "
                "merge values with data.label_map.",
                "%s: %s is %s, but categories are 0 to %d (%d = ignored); %zu such in the file",
                path, place, value, dataset->n_categories - 1, dataset->ignore_value, n_bad);
}

adele_status case_labels_map(const struct dataset *dataset, const char *path,
                             const struct case_labels *labels, int slice, uint8_t *out) {
    size_t n = (size_t)labels->height * (size_t)labels->width;
    const int32_t *values = labels->values + (size_t)slice * n;
    for (size_t i = 0; i < n; i++) {
        int category = label_lookup_category(dataset->lookup, values[i]);
        if (category < 0)
            return fail_value(dataset, path, labels, (size_t)slice * n + i);
        out[i] = (uint8_t)category;
    }
    return ADELE_OK;
}

bool case_labels_has_foreground(const struct dataset *dataset, const struct case_labels *labels,
                                int slice) {
    size_t n = (size_t)labels->height * (size_t)labels->width;
    const int32_t *values = labels->values + (size_t)slice * n;
    for (size_t i = 0; i < n; i++) {
        int category = label_lookup_category(dataset->lookup, values[i]);
        if (category > 0 && category != LABEL_IGNORE)
            return true;
    }
    return false;
}
