// SPDX-License-Identifier: MIT
// Computes mean and deviation of a plane and stores it as resident pixels.
#ifndef ADELE_DATA_STANDARDIZE_H
#define ADELE_DATA_STANDARDIZE_H

#include "data/images.h"

// Stores plane i_plane (image * c + channel) of (H, W) floats in out->images, mean and inv_std.
// `is_imagenet`: with the statistics of ImageNet instead of the plane's own.
void standardize_plane(struct dataset_images *out, size_t i_plane, const float *plane,
                       bool is_imagenet);
#endif
