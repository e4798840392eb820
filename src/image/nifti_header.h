// SPDX-License-Identifier: MIT
// What reading and writing share about the headers of NIfTI-1 (348 bytes) and NIfTI-2 (540 bytes).
#ifndef ADELE_IMAGE_NIFTI_HEADER_H
#define ADELE_IMAGE_NIFTI_HEADER_H

#include "adele/status.h"
#include "image/byte_order.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nifti_volume;

#define NIFTI1_HEADER_BYTES 348
#define NIFTI2_HEADER_BYTES 540

enum nifti_datatype {
    NIFTI_U8 = 2,
    NIFTI_I16 = 4,
    NIFTI_I32 = 8,
    NIFTI_F32 = 16,
    NIFTI_F64 = 64,
    NIFTI_I8 = 256,
    NIFTI_U16 = 512,
    NIFTI_U32 = 768,
    NIFTI_I64 = 1024,
    NIFTI_U64 = 1280
};

struct nifti_header {
    int version; // 1 or 2
    bool is_big_endian;
    int nx, ny, nz;
    float spacing[3];   // mm
    double mm_per_unit; // of the file's lengths
    int datatype;       // of enum nifti_datatype
    int value_bytes;    // of one voxel in the file
    double slope;       // 0 = values are taken as they are
    double intercept;
    uint64_t voxel_offset;
};

// Where a field of the header begins in NIfTI-1 and in NIfTI-2.
struct nifti_field {
    int at_1, at_2;
};
static const struct nifti_field nifti_pixdim = {76, 104};
// Number i of a field of floats, in NIfTI-2 of doubles.
static inline double nifti_field_real(const unsigned char *bytes, const struct nifti_header *header,
                                      struct nifti_field field, int i) {
    bool is_big = header->is_big_endian;
    return header->version == 1 ? (double)bytes_get_f32(bytes + field.at_1 + 4 * i, is_big)
                                : bytes_get_f64(bytes + field.at_2 + 8 * i, is_big);
}

// The version and byte order from the first 4 bytes; ADELE_FORMAT when they fit neither.
ADELE_MUST_CHECK adele_status nifti_header_detect(const char *path, const unsigned char start[4],
                                                  struct nifti_header *out);
// Everything else, from a header of the detected version; the numbers are checked.
ADELE_MUST_CHECK adele_status nifti_header_parse(const char *path, const unsigned char *bytes,
                                                 struct nifti_header *header);
// Sets data type, slope 1, intercept 0, no intent and no display window; the geometry stays.
void nifti_header_set_datatype(unsigned char *bytes, int version, bool is_big_endian,
                               enum nifti_datatype datatype);
// Everything of `out` but its voxels, from a header whose bytes `out` has.
void nifti_volume_describe(const struct nifti_header *header, struct nifti_volume *out);
// The number that one voxel of the file holds, before slope and intercept.
double nifti_stored_value(const unsigned char *at, int datatype, bool is_big_endian);
// Bytes a voxel of that type takes; 0 for a type that is not read.
int nifti_datatype_bytes(int datatype);
#endif
