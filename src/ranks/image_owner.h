// SPDX-License-Identifier: MIT
// Which rank has predicted which training image, and therefore corrects its labels. Every rank
// computes the same owners from the configuration and the number of ranks.
#ifndef ADELE_RANKS_IMAGE_OWNER_H
#define ADELE_RANKS_IMAGE_OWNER_H

#include "ranks/image_share.h"

// `owners` is (n_images) below.

// Of a prediction in batches of `batch` images (image_share.h).
void image_owners_of_shares(int n_images, int batch, int n_ranks, int *owners);

// Of an epoch: all of `batch` images but the last one.
struct epoch_batches {
    int batch, n_steps, n_last_images;
};
// Of the training pass, of which n_steps steps of epoch `epoch` are done: the rank whose part of a
// batch held the image last. An image that no step has held yet is of rank 0, as it has the same
// (empty) prediction on every rank.
ADELE_MUST_CHECK adele_status image_owners_of_training(const struct epoch_batches *batches,
                                                       uint64_t seed, int epoch, int n_steps,
                                                       int n_images, int n_ranks, int *owners);

// The next images behind *range, neighbours, that are not of that rank; begin with {0, 0}. False:
// there are none left.
bool image_owners_next_others(const int *owners, int n_images, int rank, struct image_share *range);
#endif
