// SPDX-License-Identifier: MIT
// Computes mean and deviation of a plane and stores it as resident pixels.
#ifndef ADELE_DATA_STANDARDIZE_H
#define ADELE_DATA_STANDARDIZE_H

#include "data/images.h"

// The standardization (x - mean) * inv_std of one channel, from what is summed over its pixels.
// Of 8-bit values, from their counts; a constant channel has inv_std 1.
void standardize_from_counts(const uint64_t counts[256], size_t n, double *mean, double *inv_std);
// 1 / deviation, from the sum of the squared differences from the mean; 1 for a constant channel.
double standardize_inverse(double squares, size_t n);

// Stores plane i_plane (image * c + channel) of (H, W) floats in out->images, mean and inv_std.
// `is_imagenet`: with the statistics of ImageNet instead of the plane's own.
void standardize_plane(struct dataset_images *out, size_t i_plane, const float *plane,
                       bool is_imagenet);
// METHOD section 5: what brings a value from 0 to 255 of that channel of an RGB picture to the
// statistics of ImageNet.
#define IMAGENET_CHANNELS 3
void standardize_imagenet(int channel, double *mean, double *inv_std);
#endif
