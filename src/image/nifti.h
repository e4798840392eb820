// SPDX-License-Identifier: MIT
// NIfTI-1 and NIfTI-2 volumes (.nii, .nii.gz), read and written over zlib. The header is kept as it
// came, byte for byte, extensions too, so that what is written has the source's geometry.
#ifndef ADELE_IMAGE_NIFTI_H
#define ADELE_IMAGE_NIFTI_H

#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

struct nifti_volume {
    int nx, ny, nz; // voxels; x fastest. 2-D files have nz = 1; more than 3 extents > 1 are refused
    float spacing[3]; // mm
    float *voxels;    // (nz, ny, nx), after scl_slope and scl_inter; NaN kept (check finds them)
    unsigned char *header; // from byte 0 to the first voxel, as in the file (byte order too)
    size_t header_bytes;
    int is_big_endian;
    int version; // 1 or 2
};

void nifti_deinit(struct nifti_volume *volume); // also zeroes it
// Any of the numeric data types 2, 4, 8, 16, 64, 256, 512, 768, both byte orders. The voxel memory
// is bounded by `memory_limit` bytes (0 = none) and never by a size the file claims: a short file
// is found before memory is taken for it. On failure `out` is zeroed.
ADELE_MUST_CHECK adele_status nifti_load(const char *path, size_t memory_limit,
                                         struct nifti_volume *out);
// Extents only, from the header.
ADELE_MUST_CHECK adele_status nifti_probe(const char *path, int *nx, int *ny, int *nz);
// Writes label values (nz, ny, nx) with the geometry of `like`: the header is the source's with
// data type uint8, slope 1, intercept 0, no intent and no display window; gzip when the name ends
// in .gz (fixed time stamp: same labels, same bytes). Atomic.
ADELE_MUST_CHECK adele_status nifti_save_labels(const char *path, const struct nifti_volume *like,
                                                const uint8_t *labels);
// The same for float values (probabilities, test volumes): data type float32.
ADELE_MUST_CHECK adele_status nifti_save_floats(const char *path, const struct nifti_volume *like,
                                                const float *voxels);
// A plain NIfTI-1 volume for new data: extents and spacing in mm, identity orientation, voxels 0.
ADELE_MUST_CHECK adele_status nifti_init(struct nifti_volume *out, int nx, int ny, int nz,
                                         const float spacing[3]);
#endif
