// SPDX-License-Identifier: MIT
// The decoded files of one case, at their own size.
#ifndef ADELE_DATA_CASE_FILES_H
#define ADELE_DATA_CASE_FILES_H

#include "data/dataset.h"
#include "data/finder.h"
#include "image/image.h"
#include "image/nifti.h"

// The image: one picture or volume a channel, or one picture with all channels.
struct case_image {
    bool is_volume;
    int n_files, n_channels, n_slices, height, width;
    int n_bits; // of pictures: the widest file
    struct image pictures[DATASET_MAX_FILES];
    struct nifti_volume volumes[DATASET_MAX_FILES];
};
// Checks that the files agree in size and have the data set's number of channels. `kind` (may be
// NULL) tells a report what went wrong.
ADELE_MUST_CHECK adele_status case_image_load(const struct dataset *dataset,
                                              const struct dataset_case *item,
                                              enum check_kind *kind, struct case_image *out);
void case_image_deinit(struct case_image *image);
// One channel of one slice as floats: 8-bit values as they are, 16-bit ones divided by 257 so that
// both span 0..255, voxels as they are.
void case_image_plane(const struct case_image *image, int slice, int channel, float *out);
// An error that names the first voxel that is NaN or infinite.
ADELE_MUST_CHECK adele_status case_image_check_finite(const struct case_image *image,
                                                      const struct dataset_case *item);

// A label file: its values before any mapping.
struct case_labels {
    bool is_volume;
    int n_slices, height, width;
    int32_t *values;              // (S, H, W); LABEL_NOT_A_VALUE where the file has no whole number
    struct image_palette palette; // of an indexed PNG; else n = 0
    struct nifti_volume volume;   // the header; no voxels
};
ADELE_MUST_CHECK adele_status case_labels_load(const struct dataset *dataset, const char *path,
                                               struct case_labels *out);
void case_labels_deinit(struct case_labels *labels);
// ADELE_DATA when the label's size is not the image's.
ADELE_MUST_CHECK adele_status case_labels_check_size(const char *label_path,
                                                     const struct case_labels *labels,
                                                     const char *image_path,
                                                     const struct case_image *image);
// Values -> categories of one slice, (H, W); ADELE_DATA names the first pixel whose value is none.
ADELE_MUST_CHECK adele_status case_labels_map(const struct dataset *dataset, const char *path,
                                              const struct case_labels *labels, int slice,
                                              uint8_t *out);
bool case_labels_has_foreground(const struct dataset *dataset, const struct case_labels *labels,
                                int slice);
#endif
