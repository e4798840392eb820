// SPDX-License-Identifier: MIT
// A data set of volumes, each of whose files may be stored in another order of its axes. Every
// failure fails the running CMocka test.
#ifndef ADELE_TESTS_TURNED_SET_H
#define ADELE_TESTS_TURNED_SET_H

#include "data/load.h"
#include "support/tiny_nifti.h"

#include <stdbool.h>

#define TURNED_NX    8
#define TURNED_NY    6
#define TURNED_NZ    4
#define TURNED_PLANE (TURNED_NX * TURNED_NY)

// Some of the 48 storage orders: flips, exchanges of two axes, cycles, and mixtures.
#define TURNED_N_ORDERS 6
struct turned_order {
    int axis[3], flip[3];
    const char *words;
};
extern const struct turned_order turned_orders[TURNED_N_ORDERS];
// The axes of the set itself, for volumes that stay as they are.
extern const int turned_straight[3], turned_no_flip[3];

// Voxels that the seed changes, or their labels.
void turned_volume(int seed, bool is_label, struct tiny_nifti *out);
// ROOT/PATH in the scratch folder: that volume, turned.
void turned_write(void *const *state, const char *root, const char *path, int seed, bool is_label,
                  const int axis[3], const int flip[3]);
// Cases a, b, c of two channels; no file is turned.
void turned_set_write(void *const *state, const char *root);
// The split "train". Free with dataset_images_deinit.
void turned_set_load(const struct dataset *dataset, struct dataset_images *out);

#endif
