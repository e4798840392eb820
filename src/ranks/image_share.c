// SPDX-License-Identifier: MIT
#include "ranks/image_share.h"

// The first of the batches of rank i_rank. Rounded up, so that rank 0 has one wherever there is
// one: a rank without images is never images 0 .. 0, which predict/inference.h reads as all of
// them.
static int64_t first_batch(int64_t n_batches, int i_rank, int n_ranks) {
    return (n_batches * i_rank + n_ranks - 1) / n_ranks;
}

static int first_image(int n_images, int batch, int i_rank, int n_ranks) {
    int64_t n_batches = ((int64_t)n_images + batch - 1) / batch;
    int64_t first = first_batch(n_batches, i_rank, n_ranks) * batch;
    return first < n_images ? (int)first : n_images;
}

struct image_share image_share_of(int n_images, int batch, int i_rank, int n_ranks) {
    return (struct image_share){.first = first_image(n_images, batch, i_rank, n_ranks),
                                .end = first_image(n_images, batch, i_rank + 1, n_ranks)};
}

struct image_share image_share_mine(const struct ranks *ranks, int n_images, int batch) {
    return image_share_of(n_images, batch, ranks_index(ranks), ranks_count(ranks));
}
