// SPDX-License-Identifier: MIT
// Which images of a set a rank predicts. The batches of the set, whose boundaries are those of one
// process, are divided among the ranks, so that each image is predicted in the same batch whatever
// the number of ranks is, and has the same prediction to the bit.
#ifndef ADELE_PREDICT_IMAGE_SHARE_H
#define ADELE_PREDICT_IMAGE_SHARE_H

#include "predict/set_inference.h"
#include "ranks/ranks.h"

// Images first .. end - 1; first == end: none.
struct image_share {
    int first, end;
};

// Of rank i_rank of n_ranks. The shares differ by at most one batch; that of rank 0 has an image if
// the set has one.
struct image_share image_share_of(int n_images, int batch, int i_rank, int n_ranks);
struct image_share image_share_mine(const struct ranks *ranks, int n_images, int batch);

// set_inference_run for a share, which may have no image: then nothing is done. first and end of
// `output` are not read.
ADELE_MUST_CHECK adele_status image_share_predict(struct image_share share,
                                                  struct set_inference *inference,
                                                  struct resident *resident,
                                                  const struct inference_output *output);
#endif
