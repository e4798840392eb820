// SPDX-License-Identifier: MIT
// NIfTI files built byte by byte, in both versions and byte orders, so that the library's writer is
// not what its reader is tested with. Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_NIFTI_DRAFT_H
#define ADELE_TESTS_NIFTI_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A file in the making: header, extension and voxels.
struct nifti_draft {
    unsigned char bytes[8192];
    size_t n;
    int version;
    bool is_big;
};

// 3 x 2 x 2 voxels of 1.5 x 2 x 2.5 mm, data type 4 (int16), intent and display window set. Of
// version 1 or 2; the voxels are still to be added.
struct nifti_draft nifti_draft_begin(int version, bool is_big);
void nifti_draft_set_dimension(struct nifti_draft *draft, int i, int64_t extent);
// Of the axis i = 0, 1, 2.
void nifti_draft_set_size(struct nifti_draft *draft, int i, double mm);
void nifti_draft_set_slope(struct nifti_draft *draft, double slope, double intercept);
void nifti_draft_set_offset(struct nifti_draft *draft, double offset);
void nifti_draft_set_datatype(struct nifti_draft *draft, int datatype);
// A number at byte at_1 of a header of version 1, at_2 of version 2.
void nifti_draft_set_real(struct nifti_draft *draft, int at_1, int at_2, double value);
// n voxels: -500, -400, -300 ...
void nifti_draft_add_i16(struct nifti_draft *draft, int n);

// Writes it as volume.nii or packed.nii.gz of the scratch folder; the path is borrowed, see
// scratch_path.
const char *nifti_draft_store(void *const *state, const struct nifti_draft *draft);
const char *nifti_draft_store_packed(void *const *state, const struct nifti_draft *draft);

#endif
