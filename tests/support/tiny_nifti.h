// SPDX-License-Identifier: MIT
// Small NIfTI files of any storage order, place, data type and slope, made without the program's
// own code for them. Any failure fails the running CMocka test.
#ifndef ADELE_TESTS_TINY_NIFTI_H
#define ADELE_TESTS_TINY_NIFTI_H

#include <stddef.h>

#define TINY_NIFTI_MAX_VOXELS 8192

struct tiny_nifti {
    int n[3];
    double affine[3][4];
    int sform_code, qform_code; // of the affine; 0 = not given. A qform needs a diagonal affine
    int datatype;               // NIfTI's code: 2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280
    double slope, intercept;
    double values[TINY_NIFTI_MAX_VOXELS]; // as stored in the file, before the slope
};

// n voxels of the given sizes, axes along x, y, z from the origin on; sform code 1, float32, all 0.
void tiny_nifti_init(struct tiny_nifti *out, const int n[3], const double spacing[3]);
// The same voxels at the same places, stored in another order: axis i of the result is axis axis[i]
// of the source, read backwards where flip[i] is 1.
void tiny_nifti_turn(const struct tiny_nifti *from, const int axis[3], const int flip[3],
                     struct tiny_nifti *out);
// Creates the folder too. The name's ending says whether it is compressed.
void tiny_nifti_write(void *const *state, const char *path, const struct tiny_nifti *volume);
// A file without compression: all of its bytes; free with memory_free.
char *tiny_nifti_bytes(void *const *state, const char *path, size_t *n_bytes);

#endif
