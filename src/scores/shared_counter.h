// SPDX-License-Identifier: MIT
// Compares two label maps of a split on the device, class by class: each rank the images of its
// share, with counts that are summed over the ranks.
#ifndef ADELE_SCORES_SHARED_COUNTER_H
#define ADELE_SCORES_SHARED_COUNTER_H

#include "ranks/image_share.h"
#include "scores/map_counter.h"

struct shared_counter {
    struct ranks *ranks; // borrowed
    int batch;           // of which the share has whole ones
    struct image_share share;
    size_t map_bytes; // of one image
    int n_categories;
    struct map_counter counter; // of the share's images; zeroed: it has none
};

// The share of the set is by batches of `batch` images. Borrows device and ranks. After an error,
// shared_counter_deinit frees what was made.
ADELE_MUST_CHECK adele_status shared_counter_init(struct shared_counter *out,
                                                  const struct adele_device *device,
                                                  struct ranks *ranks,
                                                  const struct adele_sample_set *set,
                                                  int n_categories, int batch);
void shared_counter_deinit(struct shared_counter *counter); // zeroes it; legal on a zeroed struct

// Collective. The maps (n_images, H, W) lie on the device, and are read at the share's images
// alone. Counts and scores are those of the whole split, on every rank; see scores/map_counter.h.
ADELE_MUST_CHECK adele_status shared_counter_run(struct shared_counter *counter,
                                                 const uint8_t *prediction, const uint8_t *labels,
                                                 int64_t counts[3 * 256]);
ADELE_MUST_CHECK adele_status shared_counter_score(struct shared_counter *counter,
                                                   const uint8_t *prediction, const uint8_t *labels,
                                                   struct score *out);
#endif
