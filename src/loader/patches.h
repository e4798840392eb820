// SPDX-License-Identifier: MIT
// With data.patch the loader takes batches from random patches of the training images. In each
// epoch one patch of each image is cut on the host from the image at its own size and the current
// labels. The patches are a resident set with the images' ids, so that the other random numbers are
// those of the images.
#ifndef ADELE_LOADER_PATCHES_H
#define ADELE_LOADER_PATCHES_H

#include "loader/run_data.h"

// Makes data->patches, empty until the first cut, from the training split, which is loaded.
ADELE_MUST_CHECK adele_status patches_init(struct run_data *data,
                                           const struct resident_options *options);

// Fills data->patches for an epoch (from 1). Does nothing without data.patch. Waits for the device.
//
// Of the Philox stream (train.seed, RANDOM_PATCH, epoch, image): a uniform number; where it is
// below data.patch_foreground and the image has foreground, a foreground pixel, which lies in the
// middle of the patch or as near to it as the image allows; otherwise the patch's first row and
// column. Along an axis on which the image is smaller, it lies in the middle of the patch; pixels
// outside have the image's mean and the label 255.
ADELE_MUST_CHECK adele_status patches_cut(struct run_data *data, int epoch);

// For tests: the first row and column of a patch of that image. `labels` (h, w of the set).
struct patch_place {
    int y, x;
    bool is_on_foreground;
};
struct patch_place patch_find_place(const struct run_data *data, const uint8_t *labels, int i_image,
                                    int epoch);
#endif
