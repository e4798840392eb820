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
    int n_bits;          // of pictures: the widest file
    bool is_gray_as_rgb; // the one picture is gray, and all three channels
    unsigned notes;      // notes.h
    struct image pictures[DATASET_MAX_FILES];
    struct nifti_volume volumes[DATASET_MAX_FILES]; // voxels in the set's orientation; header and
                                                    // extents as stored
    struct nifti_order orders[DATASET_MAX_FILES];   // from the files' storage to it
};
// Checks that the files lie at one place, agree in size and have the data set's number of channels.
// `kind` (may be NULL) tells a report what went wrong.
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
    int orientation; // of a picture, as in struct image
    int32_t *values; // (S, H, W), as label_lookup.h says; whole numbers beyond int32 are its ends
    int n_bits;      // a picture's: 8 or 16
    struct image_palette palette; // of an indexed PNG; else n = 0
    struct nifti_volume volume;   // the header and the voxels' bytes, as in the file
    struct nifti_order order;     // from the file's storage to the order of `values`
};
// Values in the order of the file.
ADELE_MUST_CHECK adele_status case_labels_load(const struct dataset *dataset, const char *path,
                                               struct case_labels *out);
// Voxel i of a volume's file, as `values` has it.
int32_t case_labels_stored_value(const struct case_labels *labels, size_t i);
// Brings the values of a volume to the set's orientation. Fails, and leaves them as they are, when
// the label map does not lie where the case's image lies; *kind (may be NULL) is then what a report
// calls it. Nothing to do for pictures, and for an image whose header could not be read.
ADELE_MUST_CHECK adele_status case_labels_place(const struct dataset *dataset,
                                                const struct dataset_case *item, const char *path,
                                                struct case_labels *labels, enum check_kind *kind);
// Both, then the size beside `image` (NULL: not looked at) and all values: what training and noise
// begin with, and the order in which `check` finds problems.
ADELE_MUST_CHECK adele_status case_labels_load_checked(const struct dataset *dataset,
                                                       const struct dataset_case *item,
                                                       const char *path,
                                                       const struct case_image *image,
                                                       struct case_labels *out);
void case_labels_deinit(struct case_labels *labels);
// ADELE_DATA when the label's size is not the image's.
ADELE_MUST_CHECK adele_status case_labels_check_size(const char *label_path,
                                                     const struct case_labels *labels,
                                                     const char *image_path,
                                                     const struct case_image *image);
// ADELE_DATA when a value of the file is no category: names the first such pixel in the order of
// the file, its value, and how many there are.
ADELE_MUST_CHECK adele_status case_labels_check_values(const struct dataset *dataset,
                                                       const char *path,
                                                       const struct case_labels *labels);
// Values -> categories of one slice, (H, W); fails as case_labels_check_values.
ADELE_MUST_CHECK adele_status case_labels_map(const struct dataset *dataset, const char *path,
                                              const struct case_labels *labels, int slice,
                                              uint8_t *out);
// Writes a volume in the storage, data type, slope and header of its file; voxels whose value is
// the file's keep their bytes. ADELE_DATA when the data type cannot hold a new value.
ADELE_MUST_CHECK adele_status case_labels_save_volume(const char *path, struct case_labels *labels);
bool case_labels_has_foreground(const struct dataset *dataset, const struct case_labels *labels,
                                int slice);
#endif
