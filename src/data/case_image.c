// SPDX-License-Identifier: MIT
#include "data/case_image.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/notes.h"
#include "data/orientation.h"

#include <math.h>
#include <string.h>

void case_image_deinit(struct case_image *image) {
    for (int i = 0; i < DATASET_MAX_FILES; i++) {
        image_deinit(&image->pictures[i]);
        nifti_deinit(&image->volumes[i]);
    }
    memset(image, 0, sizeof *image);
}

// Each pixel is converted to a value of four bytes, which counts beside the decoded picture. The
// limit is checked before anything is decoded.
adele_status case_image_check_extents(const char *path, size_t limit) {
    int width, height;
    TRY(image_probe(path, &width, &height));
    uint64_t bytes = (uint64_t)width * (uint64_t)height * (1 + sizeof(float));
    if (bytes > limit)
        return FAIL(ADELE_DATA, "Make the image smaller, or raise data.memory_limit_mb.",
                    "%s: %d x %d pixels (height x width) take %llu bytes, the limit is %zu", path,
                    height, width, (unsigned long long)bytes, limit);
    return ADELE_OK;
}

// Channel i brought to the set's orientation.
static adele_status place_volume(const struct dataset *dataset, const char *path,
                                 const char *first_path, int i, enum check_kind *kind,
                                 struct case_image *image) {
    struct nifti_volume *volume = &image->volumes[i];
    const struct nifti_geometry *first = &image->volumes[0].geometry;
    struct nifti_order order = orientation_of_image(dataset, first), match;
    if (i > 0) {
        TRY(orientation_match(ORIENTATION_CHANNEL, path, &volume->geometry, first_path, first, kind,
                              &match));
        order = nifti_order_compose(&match, &order);
    }
    image->orders[i] = order;
    if (nifti_order_is_identity(&order))
        return ADELE_OK;
    const int *n = volume->geometry.n;
    size_t n_voxels = (size_t)n[0] * (size_t)n[1] * (size_t)n[2];
    float *turned = NULL;
    TRY(ALLOCATE(&turned, n_voxels));
    nifti_order_apply(&order, n, sizeof *turned, volume->voxels, turned);
    memory_free(volume->voxels);
    volume->voxels = turned;
    return ADELE_OK;
}

static adele_status load_file(const struct dataset *dataset, const char *path,
                              const char *first_path, int i, enum check_kind *kind,
                              struct case_image *image, int *n_slices, int *height, int *width) {
    size_t limit = dataset_memory_limit(dataset);
    if (image->is_volume) {
        struct nifti_volume *volume = &image->volumes[i];
        TRY(nifti_load(path, limit, volume));
        TRY(place_volume(dataset, path, first_path, i, kind, image));
        int extents[3];
        nifti_order_extents(&image->orders[i], volume->geometry.n, extents);
        *width = extents[0];
        *height = extents[1];
        *n_slices = extents[2];
        image->n_channels++;
        return ADELE_OK;
    }
    struct image *picture = &image->pictures[i];
    TRY(case_image_check_extents(path, limit));
    TRY(image_load(path, limit, picture));
    *n_slices = 1;
    *height = picture->height;
    *width = picture->width;
    image->n_channels += picture->n_channels;
    image->notes |= picture->notes;
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

// Converts RGB that is gray in every pixel, as in screenshots, to one channel.
static adele_status make_gray(struct image *picture, const char *path) {
    size_t n = (size_t)picture->width * (size_t)picture->height;
    for (size_t i = 0; i < n; i++) {
        unsigned rgb[3];
        for (size_t c = 0; c < 3; c++)
            rgb[c] = picture->n_bits == 16 ? ((const uint16_t *)picture->pixels)[i * 3 + c]
                                           : ((const uint8_t *)picture->pixels)[i * 3 + c];
        if (rgb[0] != rgb[1] || rgb[1] != rgb[2])
            return FAIL(ADELE_DATA,
                        "Convert it to gray, or describe three channels in the data set (nnU-Net: "
                        "channel_names in dataset.json).",
                        "%s: 3 channels, but the data set has 1: not all of it is gray, "
                        "pixel (x %zu, y %zu) is (%u, %u, %u)",
                        path, i % (size_t)picture->width, i / (size_t)picture->width, rgb[0],
                        rgb[1], rgb[2]);
        if (picture->n_bits == 16)
            ((uint16_t *)picture->pixels)[i] = (uint16_t)rgb[0];
        else
            ((uint8_t *)picture->pixels)[i] = (uint8_t)rgb[0];
    }
    picture->n_channels = 1;
    return ADELE_OK;
}

// Converts between gray and RGB where nothing is lost.
static adele_status match_channels(const struct dataset *dataset, const struct dataset_case *item,
                                   struct case_image *image) {
    if (image->is_volume || image->n_channels == dataset->n_channels)
        return ADELE_OK;
    if (image->n_files == 1 && image->n_channels == 1 && dataset->n_channels == 3 &&
        dataset->has_rgb) {
        image->is_gray_as_rgb = true;
        image->n_channels = 3;
        image->notes |= CASE_NOTE_TO_RGB;
    }
    for (int i = 0; i < image->n_files && image->n_files == dataset->n_channels; i++) {
        if (image->pictures[i].n_channels == 1)
            continue;
        TRY(make_gray(&image->pictures[i], item->image_path[i]));
        image->n_channels -= 2;
        image->notes |= CASE_NOTE_TO_GRAY;
    }
    return ADELE_OK;
}

static adele_status load_files(const struct dataset *dataset, const struct dataset_case *item,
                               enum check_kind *kind, struct case_image *out) {
    for (int i = 0; i < item->n_files; i++) {
        int n_slices, height, width;
        *kind = CHECK_UNREADABLE;
        TRY(load_file(dataset, item->image_path[i], item->image_path[0], i, kind, out, &n_slices,
                      &height, &width));
        out->n_files = i + 1;
        *kind = CHECK_SIZE_MISMATCH;
        if (i > 0 && (n_slices != out->n_slices || height != out->height || width != out->width))
            return FAIL(ADELE_DATA, "All channels of a case need one size.",
                        "%s: %d x %d x %d, but %s is %d x %d x %d (height x width x slices)",
                        item->image_path[i], height, width, n_slices, item->image_path[0],
                        out->height, out->width, out->n_slices);
        out->n_slices = n_slices;
        out->height = height;
        out->width = width;
    }
    *kind = CHECK_CHANNELS;
    TRY(match_channels(dataset, item, out));
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
    if (image->is_gray_as_rgb)
        channel = 0;
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
    size_t n = (size_t)image->height * (size_t)image->width * (size_t)image->n_slices;
    for (int file = 0; image->is_volume && file < image->n_files; file++) {
        const float *voxels = image->volumes[file].voxels;
        size_t n_bad = 0, first = 0;
        for (size_t i = 0; i < n; i++)
            if (!isfinite(voxels[i]) && n_bad++ == 0)
                first = i;
        const int *stored = image->volumes[file].geometry.n;
        size_t at = nifti_order_stored_index(&image->orders[file], stored, first);
        size_t nx = (size_t)stored[0], plane = nx * (size_t)stored[1];
        if (n_bad > 0)
            return FAIL(ADELE_DATA, "Replace such voxels, by the value of air for a CT, say.",
                        "%s: voxel (x %zu, y %zu, z %zu) is %s; %zu voxel%s not finite",
                        item->image_path[file], at % nx, at % plane / nx, at / plane,
                        isnan(voxels[first]) ? "NaN" : "infinite", n_bad,
                        n_bad == 1 ? " is" : "s are");
    }
    return ADELE_OK;
}
