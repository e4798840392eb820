// SPDX-License-Identifier: MIT
// NIfTI-1 and NIfTI-2 volumes (.nii, .nii.gz), read and written over zlib. The header is kept byte
// for byte, with its extensions, so that a file that is written has the source's geometry.
#ifndef ADELE_IMAGE_NIFTI_H
#define ADELE_IMAGE_NIFTI_H

#include "adele/status.h"
#include "image/nifti_geometry.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nifti_volume {
    int nx, ny, nz; // voxels; x fastest. 2-D files have nz = 1; more than 3 extents > 1 are refused
    float spacing[3];   // mm
    float *voxels;      // (nz, ny, nx), after scl_slope and scl_inter; NaN kept (check finds them);
                        // NULL after nifti_load_raw
    unsigned char *raw; // (nz, ny, nx) of value_bytes each, as in the file; NULL after
                        // nifti_load
    struct nifti_geometry geometry; // where the voxels lie
    unsigned char *header; // from byte 0 to the first voxel, as in the file (byte order too)
    size_t header_bytes;
    int is_big_endian;
    int version; // 1 or 2
    int datatype, value_bytes;
    double slope, intercept; // slope 0: values are taken as they are
};

void nifti_deinit(struct nifti_volume *volume); // also zeroes it
// Any of the numeric data types 2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280, both byte orders. The
// voxel memory is bounded by `memory_limit` bytes (0 = none) and never by a size the file claims: a
// truncated file is detected before memory is allocated for it. On failure `out` is zeroed.
ADELE_MUST_CHECK adele_status nifti_load(const char *path, size_t memory_limit,
                                         struct nifti_volume *out);
// Where the voxels lie, from the header.
ADELE_MUST_CHECK adele_status nifti_probe_geometry(const char *path, struct nifti_geometry *out);

// ---- nifti_raw.c: volumes that keep the bytes of the file ---------------------------------------
// As nifti_load, but the voxels' bytes are kept instead of their values.
ADELE_MUST_CHECK adele_status nifti_load_raw(const char *path, size_t memory_limit,
                                             struct nifti_volume *out);
// Voxel i after slope and intercept.
double nifti_raw_value(const struct nifti_volume *volume, size_t i);
// The same as text for messages, with the stored number where a slope changes it.
void nifti_raw_text(const struct nifti_volume *volume, size_t i, char *text, size_t size);
// Sets voxel i to the whole number `value`; false, without a change, when the data type and the
// slope cannot represent it.
bool nifti_raw_set(struct nifti_volume *volume, size_t i, int32_t value);
// Whether `value`, as read, is the whole number `whole` but for the rounding errors of a slope.
bool nifti_is_whole(double value, double whole);
// Writes header and voxels as they are in memory; unchanged voxels have the source's bytes.
ADELE_MUST_CHECK adele_status nifti_save_raw(const char *path, const struct nifti_volume *volume);
// The name of the data type, "int16" say. Static storage.
const char *nifti_datatype_name(int datatype);

// Writes label values (nz, ny, nx) with the geometry of `like`: the header is the source's with
// data type uint8, slope 1, intercept 0, no intent and no display window; gzip when the name ends
// in .gz (fixed time stamp: same labels, same bytes). Atomic.
ADELE_MUST_CHECK adele_status nifti_save_labels(const char *path, const struct nifti_volume *like,
                                                const uint8_t *labels);
// The same for whole numbers beyond 255: data type int32.
ADELE_MUST_CHECK adele_status nifti_save_integers(const char *path, const struct nifti_volume *like,
                                                  const int32_t *values);
#endif
