// SPDX-License-Identifier: MIT
// A split in device memory: uploaded once, read by `sample`, its labels rewritten by `correct`.
#ifndef ADELE_TRAIN_RESIDENT_H
#define ADELE_TRAIN_RESIDENT_H

#include "data/dataset.h"
#include "device/device.h"

struct resident {
    const struct adele_device *device; // borrowed
    struct adele_sample_set set;       // pointers into the blocks below
    void *images;
    float *mean, *inv_std;
    uint8_t *labels; // current labels (N, H, W); NULL for unlabelled images
    uint8_t *noisy;  // the original ones: `labels` as uploaded
    uint8_t *truth;  // NULL when there is none
};

// Uploads; `images` may be freed afterwards. `with_noisy` keeps a second copy of the labels
// (training).
ADELE_MUST_CHECK adele_status resident_init(struct resident *out, const struct adele_device *device,
                                            const struct dataset_images *images, bool with_noisy);
void resident_deinit(struct resident *resident); // also zeroes it; legal on a zeroed struct
size_t resident_map_bytes(const struct resident *resident); // N * H * W
#endif
