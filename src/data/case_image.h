// SPDX-License-Identifier: MIT
// The decoded image of one case, at its own size.
#ifndef ADELE_DATA_CASE_IMAGE_H
#define ADELE_DATA_CASE_IMAGE_H

#include "data/check_report.h"
#include "data/dataset.h"
#include "image/image.h"
#include "image/nifti.h"

// The image: one picture or volume a channel, or one picture with all channels.
struct case_image {
    bool is_volume;
    int n_files, n_channels, n_slices, height, width;
    int n_bits;          // of pictures: the widest file
    bool is_gray_as_rgb; // one gray picture serves as all three channels
    unsigned notes;      // notes.h
    struct image pictures[DATASET_MAX_FILES];
    struct nifti_volume volumes[DATASET_MAX_FILES]; // voxels in the set's orientation; header and
                                                    // extents as stored
    struct nifti_order orders[DATASET_MAX_FILES];   // from the files' storage to it
};
// Checks that the files cover the same part of the world, agree in size and have the data set's
// number of channels. *kind (may be NULL) is set to the kind of problem after a failure.
ADELE_MUST_CHECK adele_status case_image_load(const struct dataset *dataset,
                                              const struct dataset_case *item,
                                              enum check_kind *kind, struct case_image *out);
void case_image_deinit(struct case_image *image);
// One channel of one slice as floats: 8-bit values as they are, 16-bit ones divided by 257 so that
// both span 0..255, voxels as they are.
void case_image_plane(const struct case_image *image, int slice, int channel, float *out);
// ADELE_DATA names the first voxel that is NaN or infinite.
ADELE_MUST_CHECK adele_status case_image_check_finite(const struct case_image *image,
                                                      const struct dataset_case *item);

// ADELE_DATA when decoding the picture takes more bytes than the limit.
ADELE_MUST_CHECK adele_status case_image_check_extents(const char *path, size_t limit);
#endif
