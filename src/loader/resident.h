// SPDX-License-Identifier: MIT
// Loads a split into device memory: `sample` reads it there, and `correct` rewrites its labels.
// Images that do not fit stay in host memory, and those of one batch at a time are copied to the
// device while it works on the batch before (prefetch):
//
//     resident_prefetch(ids of batch 0)
//     for each batch: resident_swap; resident_prefetch(ids of the next); ops on resident_batch()
#ifndef ADELE_LOADER_RESIDENT_H
#define ADELE_LOADER_RESIDENT_H

#include "config/config.h"
#include "data/dataset.h"
#include "data/load.h"
#include "device/device.h"

struct resident {
    const struct adele_device *device; // borrowed
    struct adele_sample_set
        set;      // pointers into the blocks below; images NULL: they are on the host
    void *images; // in device memory, or in memory of alloc_pinned
    // `images` are the caller's, where the device's memory is that of the host and several
    // processes share them; and another process counts them.
    bool is_borrowed, is_counted_elsewhere;
    float *mean, *inv_std;
    uint8_t *labels; // current labels (N, H, W); NULL for unlabelled images
    uint8_t *noisy;  // the original ones: `labels` as uploaded
    uint8_t *truth;  // NULL when there is none
    // Images on the host:
    uint8_t *slots[2];  // device: (batch, C, H, W) each
    int batch, i_slot;  // the slot that ops read; the next batch is copied to the other one
    size_t image_bytes; // of one image
};

struct resident_options {
    bool with_noisy; // keep a second copy of the labels (training)
    enum residency residency;
    int batch; // the most images of one prefetch
};

// Uploads; `images` may be freed afterwards, unless they are shared by several processes and the
// device's memory is that of the host: those are used where they are. RESIDENCY_AUTO: images that
// do not fit into the device stay in host memory.
ADELE_MUST_CHECK adele_status resident_init(struct resident *out, const struct adele_device *device,
                                            const struct dataset_images *images,
                                            const struct resident_options *options);
// Whether the device's memory is host memory: then copies on the host take some of it too, and
// moving images to the host frees nothing.
bool resident_is_host_memory(const struct adele_device *device);
void resident_deinit(struct resident *resident); // also zeroes it; legal on a zeroed struct
size_t resident_map_bytes(const struct resident *resident);    // N * H * W
size_t resident_device_bytes(const struct resident *resident); // of the device, in all
size_t resident_host_bytes(const struct resident *resident);

// Room for another number of images in a prefetch. Nothing may be in progress on the device. After
// an error all is as before.
ADELE_MUST_CHECK adele_status resident_set_batch(struct resident *resident, int batch);

// Moves the images to the host. Nothing may be in progress on the device.
ADELE_MUST_CHECK adele_status resident_move_to_host(struct resident *resident);

// Begins to copy the images of a batch, at most `batch`, which ops read after the next swap. Rows
// with an id < 0 are not changed. Does nothing when the images are on the device, like the swap.
ADELE_MUST_CHECK adele_status resident_prefetch(struct resident *resident, const int32_t *ids,
                                                int n);
// The batch that was prefetched last becomes the one that ops read; the slot of the one before is
// free for the next prefetch.
ADELE_MUST_CHECK adele_status resident_swap(struct resident *resident);
// `batch_images` of the sample op; NULL when the images are on the device.
const void *resident_batch(const struct resident *resident);
#endif
