// SPDX-License-Identifier: MIT
// Whether what a network has planned fits into the device, checked before network_allocate.
#ifndef ADELE_NN_MEMORY_CHECK_H
#define ADELE_NN_MEMORY_CHECK_H

#include "nn/network.h"

// How an epoch's last batch is treated when it is smaller than the others.
enum last_batch {
    LAST_KEPT,
    LAST_JOINED,     // a single image goes to the batch before it
    LAST_NOT_SINGLE, // a single image is left out
    LAST_DROPPED
};
// Images of an epoch's last step; `batch` is at most n_images, or n_images is 0.
int last_batch_images(enum last_batch kind, int n_images, int batch);
// Images of an epoch that no step takes.
int last_batch_left_out(enum last_batch kind, int n_images, int batch);

struct memory_request {
    const struct adele_device *device;
    struct network *network;
    // The plans of a batch, which a smaller batch makes smaller; the network may have others.
    struct plan *const *plans;
    int n_plans;
    int n_parts;  // of a batch, which the plans compute one at a time: told are the images of all
                  // of them. 0 is 1
    int n_images; // of an epoch, for one of the parts, whose last batch has plans of its own; 0: it
                  // has none
    enum last_batch last_batch;
    bool is_training;
    size_t allocated_bytes;  // of the device, already; messages count them as needed and available
    size_t later_bytes;      // of the device, allocated after network_allocate for any batch
    const char *batch_hint;  // how to choose the batch that is named
    const char *single_hint; // what to do when not even one image fits
};

// ADELE_NO_MEMORY says what is needed, what is free, and names the largest batch that fits.
ADELE_MUST_CHECK adele_status memory_check(const struct memory_request *request);
#endif
