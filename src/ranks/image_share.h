// SPDX-License-Identifier: MIT
// Which images of a set a rank predicts. The batches of the set, whose boundaries are those of one
// process, are divided among the ranks, so that each image is predicted in the same batch whatever
// the number of ranks is, and has the same prediction to the bit.
#ifndef ADELE_RANKS_IMAGE_SHARE_H
#define ADELE_RANKS_IMAGE_SHARE_H

#include "ranks/ranks.h"

// Images first .. end - 1; first == end: none.
struct image_share {
    int first, end;
};

// Of rank i_rank of n_ranks. The shares differ by at most one batch; that of rank 0 has an image if
// the set has one.
struct image_share image_share_of(int n_images, int batch, int i_rank, int n_ranks);
struct image_share image_share_mine(const struct ranks *ranks, int n_images, int batch);
#endif
