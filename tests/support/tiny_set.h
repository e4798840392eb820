// SPDX-License-Identifier: MIT
// A data set that a network of width 4 learns in a few epochs: an nnU-Net folder of gray PNG files
// with a bright disc (category 1) and a brighter box (category 2) on a dark ground, whose places
// and sizes are drawn by the seed. Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_TINY_SET_H
#define ADELE_TESTS_TINY_SET_H

#include <stdint.h>

struct tiny_set {
    int n_train, n_val, n_test;
    int height,
        width; // at least 32 x 28: at scale 0.7 the U-Net still has a pixel at its lowest level
    uint64_t seed;
    int noise_px; // above 0: ROOT/noisyTr too, labels with every shape grown or shrunk by so many
                  // pixels
};

#define TINY_SET_TRAIN 18 // with batches of 4, the last of an epoch has 2 images
#define TINY_SET_VAL   3
#define TINY_SET_TEST  3

// The extents and counts above, 32 x 28, no noise.
struct tiny_set tiny_set_default(uint64_t seed);
// Case i of a split is named "train_00i", "val_00i", "test_00i".
void tiny_set_write(const char *root, const struct tiny_set *set);

// A configuration that trains on it within a second: width 4, batch 4, 5 epochs, and a correction
// by the paper's rule that begins with epoch 3. NULL `noisy` trains on the folder's own labels.
// Free with memory_free.
//
// With the seeds of tiny_run.h that holds for any order of sums. The IoU of the box rises by 0.25
// from epoch 1 to 2, which ends its flat start at a rise of 0.1; the correction then changes some
// 1,240, 145, 85 and 85 pixels in epochs 3 to 6. Rates that differ from 0.1 by up to 1e-3 of it,
// ten thousand times what roundings do, changed 1,230 to 1,250, 122 to 207, 54 to 203 and 60 to 130
// of them with AVX2 and with SSE4.1. Other seeds, or more epochs, promise nothing of the kind: a
// correction can wear all labels of so small a set away.
char *tiny_set_config(const char *root, const char *noisy);

#endif
