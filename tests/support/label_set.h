// SPDX-License-Identifier: MIT
// A data set of two small volumes whose label maps have any data type, slope and values. Every
// failure fails the running CMocka test.
#ifndef ADELE_TESTS_LABEL_SET_H
#define ADELE_TESTS_LABEL_SET_H

#include "data/dataset.h"
#include "data/load.h"
#include "support/tiny_nifti.h"

#define LABEL_NX    8
#define LABEL_NY    6
#define LABEL_NZ    4
#define LABEL_PLANE (LABEL_NX * LABEL_NY)

extern const int label_set_extents[3];
extern const double label_set_sizes[3]; // mm

// NIfTI's codes of the data types, and the bytes of a voxel.
struct label_set_type {
    int code, bytes;
};
#define LABEL_SET_TYPES 10
extern const struct label_set_type label_set_types[LABEL_SET_TYPES];

// A label map with foreground in slices 1 to 3; borrowed until the next call, or label_set_write.
struct tiny_nifti *label_set_map(int datatype);
// Writes "set", cases a and b; the label map of a is the given one, that of b a uint8 one.
void label_set_write(void *const *state, const struct tiny_nifti *label);
// The configuration of "set" as for training: slices without foreground are skipped.
struct dataset_config label_set_training_config(void *const *state);
// The training split; free it with dataset_images_deinit.
void label_set_load(const struct dataset *dataset, struct dataset_images *out);
// Loading for training, `check` and noise all fail with the same message, which contains `part`.
void label_set_refuse(void *const *state, const struct dataset_config *config, const char *part);
// Fails unless the text contains the part.
void assert_has(const char *text, const char *part);

#endif
