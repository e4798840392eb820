// SPDX-License-Identifier: MIT
#include "data/planes.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/standardize.h"
#include "image/image.h"

#include <string.h>

static adele_status resize_plane(const float *in, int in_h, int in_w, float *out, int out_h,
                                 int out_w) {
    if (in_h != out_h || in_w != out_w)
        return resize_linear_f32(in, in_h, in_w, out, out_h, out_w);
    memcpy(out, in, (size_t)in_h * (size_t)in_w * sizeof *out);
    return ADELE_OK;
}

adele_status dataset_planes_fill(const struct dataset_planes *planes, struct dataset_images *out) {
    OWNED float *raw = NULL, *resized = NULL;
    TRY(ALLOCATE(&raw, (size_t)planes->height * (size_t)planes->width));
    TRY(ALLOCATE(&resized, dataset_images_plane_size(out)));
    for (int i = 0; i < planes->n; i++) {
        for (int channel = 0; channel < planes->n_channels; channel++) {
            size_t i_plane = (size_t)i * (size_t)planes->n_channels + (size_t)channel;
            planes->read(planes->context, i, channel, raw);
            TRY(resize_plane(raw, planes->height, planes->width, resized, out->h, out->w));
            standardize_plane(out, i_plane, resized, planes->normalize == NORMALIZE_IMAGENET);
        }
    }
    return ADELE_OK;
}

adele_status dataset_images_from_planes(const struct dataset_planes *planes, int height, int width,
                                        struct dataset_images *out) {
    memset(out, 0, sizeof *out);
    out->n = planes->n;
    out->c = planes->n_channels;
    out->h = height;
    out->w = width;
    out->is_f16 = planes->is_f16;
    adele_status status = dataset_images_allocate(out, false, false);
    if (status == ADELE_OK)
        status = dataset_planes_fill(planes, out);
    if (status != ADELE_OK)
        dataset_images_deinit(out);
    return status;
}
