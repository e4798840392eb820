// SPDX-License-Identifier: MIT
// The decoded label file of one case, at its own size.
#ifndef ADELE_DATA_CASE_LABELS_H
#define ADELE_DATA_CASE_LABELS_H

#include "data/case_image.h"

// A label file: its values before any mapping.
struct case_labels {
    bool is_volume;
    int n_slices, height, width;
    int orientation; // of a picture, as in struct image
    int32_t *values; // (S, H, W), see label_lookup.h; whole numbers outside of int32 are clamped
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
// Brings the values of a volume to the set's orientation. Fails without a change when the label map
// and the case's image have different positions in the world; *kind (may be NULL) is then the kind
// of problem. Does nothing for pictures and for an image whose header could not be read.
ADELE_MUST_CHECK adele_status case_labels_place(const struct dataset *dataset,
                                                const struct dataset_case *item, const char *path,
                                                struct case_labels *labels, enum check_kind *kind);
void case_labels_deinit(struct case_labels *labels);
// ADELE_DATA when the label's size is not the image's.
ADELE_MUST_CHECK adele_status case_labels_check_size(const char *label_path,
                                                     const struct case_labels *labels,
                                                     const char *image_path,
                                                     const struct case_image *image);
// Writes a volume in the storage, data type, slope and header of its file; voxels with an unchanged
// value keep their bytes. ADELE_DATA when the data type cannot represent a new value.
ADELE_MUST_CHECK adele_status case_labels_save_volume(const char *path, struct case_labels *labels);
#endif
