// SPDX-License-Identifier: MIT
// Prediction of images of any size by a network that sees one window at a time (windows.h). The
// probabilities of the windows, each averaged over scales and mirror images as `inference` does,
// are added with the windows' weights, in the order of rows of windows and from left to right:
// the result does not depend on the batch. Memory: the image's rows under one row of windows, and
// as many rows of sums, one for each class.
#ifndef ADELE_PREDICT_SLIDING_H
#define ADELE_PREDICT_SLIDING_H

#include "base/memory.h"
#include "predict/inference.h"

struct sliding;

// Plans the network for windows of config->window_h x window_w pixels with c channels; call
// sliding_check_memory and network_allocate before the first run. Borrows device and network.
ADELE_MUST_CHECK adele_status sliding_create(const struct adele_device *device,
                                             struct network *network,
                                             const struct inference_config *config,
                                             int n_categories, int c, struct sliding **out);
ADELE_MUST_CHECK adele_status sliding_check_memory(const struct sliding *sliding,
                                                   struct network *network, int n_processes);
void sliding_destroy(struct sliding *sliding); // NULL is legal
OWNER(sliding_destroy, struct sliding)

// One image, whose rows are read once, from the first to the last.
struct sliding_image {
    int h, w;
    bool is_f16;                 // half floats, else u8
    const float *mean, *inv_std; // (C): (x - mean) * inv_std is what the network takes
    // The next n_rows rows: row r of channel k goes to out + k * plane_bytes + r * w pixels.
    adele_status (*read)(void *context, int n_rows, char *out, size_t plane_bytes);
    void *context;
};

// What is known of the image's rows y .. y + n_rows - 1; borrowed during the call.
struct sliding_rows {
    int y, n_rows, w;
    const uint8_t *classes; // (n_rows, w)
    // (n_rows, w) of class k at k * plane; NULL when they are not wanted.
    const float *probabilities;
    size_t plane;
};
struct sliding_output {
    // Called for all rows, from the first on.
    adele_status (*write)(void *context, const struct sliding_rows *rows);
    void *context;
    bool with_probabilities;
    bool without_crf; // this time, whatever the configuration says
    // Asked before every batch; NULL: never. ADELE_INTERRUPTED when it is true.
    bool (*should_stop)(void *context);
    void *stop_context;
};

// Pixels outside of an image that is smaller than a window have the image's mean, which is 0 for
// the network, but for the rounding of 8-bit pixels.
ADELE_MUST_CHECK adele_status sliding_run(struct sliding *sliding,
                                          const struct sliding_image *image,
                                          const struct sliding_output *output);
#endif
