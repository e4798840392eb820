// SPDX-License-Identifier: MIT
// Data sets of a few small files, in the test's scratch folder. Paths are relative to that folder;
// any failure fails the test.
#ifndef ADELE_TESTS_TINY_DATASET_H
#define ADELE_TESTS_TINY_DATASET_H

#include "data/dataset.h"
#include "data/load.h"

#define TINY_H      6
#define TINY_W      8
#define TINY_SLICES 4

void tiny_text(void *const *state, const char *path, const char *text);
// Gray (1) or RGB (3) channels of 8 or 16 bits; `seed` changes the pixels.
void tiny_picture(void *const *state, const char *path, int height, int width, int n_channels,
                  int n_bits, int seed);
uint8_t tiny_label_value(int y, int x, int seed, int n_categories);
void tiny_label(void *const *state, const char *path, int height, int width, int n_categories,
                bool is_indexed, int seed);
// One pixel of a label file gets another value.
void tiny_label_set(void *const *state, const char *path, int y, int x, uint8_t value);
// The upper left part of a file of one channel and 8 bits takes its place.
void tiny_crop(void *const *state, const char *path, int height, int width);
// values (nz, TINY_H, TINY_W); NULL = a ramp.
void tiny_volume(void *const *state, const char *path, int nz, const float *values, int seed);

// nnU-Net: p1, p2, p3 train, p4 val (splits_final.json, two folds), t1 test; PNG, 3 categories.
void tiny_nnunet(void *const *state, const char *root);
// Volumes v1, v2 (no splits file); slices 1 and 2 of 4 have foreground (categories 1 and 2).
void tiny_volumes(void *const *state, const char *root);
// VOC: s1, s2 train, s3 val; RGB images, palette labels, class_names.txt of 3 names.
void tiny_voc(void *const *state, const char *root);
// img_ann: i1, i2 train, i3 val, i4 test without labels; RGB; classes.txt of 3 names.
void tiny_img_ann(void *const *state, const char *root);

// scratch/root, labels as they are; the path is good until the fourth call after this one.
struct dataset_config tiny_config(void *const *state, const char *root);
// dataset_open; dataset_close is the caller's.
struct dataset *tiny_open(const struct dataset_config *config);
// Opening fails with that status, a hint, and a message that contains `what`.
void tiny_refuse(const struct dataset_config *config, adele_status status, const char *what);
// dataset_load of a split that can be loaded; dataset_images_deinit is the caller's.
void tiny_load(const struct dataset *dataset, enum dataset_split split, bool keep_empty,
               struct dataset_images *out);
// Loading the training split fails with a hint, and a message that contains `what`.
void tiny_refuse_load(const struct dataset_config *config, const char *what);
// Case i of the split has that name, and paths that contain these texts; NULL: it has no label.
void tiny_assert_case(const struct dataset *dataset, enum dataset_split split, int i,
                      const char *name, const char *image, const char *label);
#endif
