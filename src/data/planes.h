// SPDX-License-Identifier: MIT
// Planes of raw values -> images as the network takes them: resized, and standardized.
#ifndef ADELE_DATA_PLANES_H
#define ADELE_DATA_PLANES_H

#include "data/dataset.h"
#include "data/images.h"

// n images of one size in the memory of the caller, who gives access to them by `read`.
struct dataset_planes {
    int n, n_channels, height, width;
    bool is_f16; // as pictures of 16 bits: standardized, then stored as half floats
    enum image_normalize normalize;
    void (*read)(const void *context, int i, int channel, float *out); // out: (height, width)
    const void *context;
};

// Fills the pixels, mean and inv_std of `out`, whose extents are those after resizing.
ADELE_MUST_CHECK adele_status dataset_planes_fill(const struct dataset_planes *planes,
                                                  struct dataset_images *out);
// The same into new images of that size, without labels.
ADELE_MUST_CHECK adele_status dataset_images_from_planes(const struct dataset_planes *planes,
                                                         int height, int width,
                                                         struct dataset_images *out);
#endif
