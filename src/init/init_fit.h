// SPDX-License-Identifier: MIT
// The size of images, or of patches of large ones, the width of the U-Net and the batch with which
// a training fits into the memory of a device.
#ifndef ADELE_INIT_INIT_FIT_H
#define ADELE_INIT_INIT_FIT_H

#include "adele/data.h"
#include "data/dataset.h"
#include "device/device.h"

struct init_fit {
    int height, width;             // that are trained on: of whole images, or of patches
    bool is_patch;                 // of images at the files' own size
    int whole_height, whole_width; // is_patch: what whole images would be reduced to
    int channels;                  // of the network's first level
    int batch, epochs;
    bool is_gpu;
    size_t needed_bytes, free_bytes; // free_bytes: SIZE_MAX when it is not known
};
// Patches where whole images would lose too much, if there is memory for all images at their own
// size. Tries smaller batches, then narrower networks, then smaller images or patches.
// ADELE_NO_MEMORY when nothing fits.
ADELE_MUST_CHECK adele_status init_fit(const struct adele_device *device,
                                       const struct dataset *dataset,
                                       const struct adele_fingerprint *fingerprint,
                                       struct init_fit *out);
#endif
