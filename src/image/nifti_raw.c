// SPDX-License-Identifier: MIT
// Voxels as the bytes of the file: a label map in which some voxels change is written with the
// file's type and slope, and all other voxels keep their bits.
#include "image/byte_order.h"
#include "image/nifti.h"
#include "image/nifti_header.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *nifti_datatype_name(int datatype) {
    static const struct {
        int datatype;
        const char *name;
    } names[] = {{NIFTI_U8, "uint8"},   {NIFTI_I8, "int8"},    {NIFTI_I16, "int16"},
                 {NIFTI_U16, "uint16"}, {NIFTI_I32, "int32"},  {NIFTI_U32, "uint32"},
                 {NIFTI_I64, "int64"},  {NIFTI_U64, "uint64"}, {NIFTI_F32, "float32"},
                 {NIFTI_F64, "float64"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].datatype == datatype)
            return names[i].name;
    return "unknown";
}

double nifti_stored_value(const unsigned char *at, int datatype, bool is_big_endian) {
    switch ((enum nifti_datatype)datatype) {
    case NIFTI_U8:
        return at[0];
    case NIFTI_I8:
        return (int8_t)at[0];
    case NIFTI_I16:
        return bytes_get_i16(at, is_big_endian);
    case NIFTI_U16:
        return (double)bytes_get(at, 2, is_big_endian);
    case NIFTI_I32:
        return bytes_get_i32(at, is_big_endian);
    case NIFTI_U32:
        return (double)bytes_get(at, 4, is_big_endian);
    case NIFTI_I64:
        return (double)bytes_get_i64(at, is_big_endian);
    case NIFTI_U64:
        return (double)bytes_get(at, 8, is_big_endian);
    case NIFTI_F32:
        return (double)bytes_get_f32(at, is_big_endian);
    case NIFTI_F64:
        return bytes_get_f64(at, is_big_endian);
    }
    return 0.0; // unreachable: the parser refuses other types
}

static const unsigned char *voxel(const struct nifti_volume *volume, size_t i) {
    return volume->raw + i * (size_t)volume->value_bytes;
}

double nifti_raw_value(const struct nifti_volume *volume, size_t i) {
    double value =
        nifti_stored_value(voxel(volume, i), volume->datatype, volume->is_big_endian != 0);
    return volume->slope != 0.0 ? value * volume->slope + volume->intercept : value;
}

bool nifti_is_whole(double value, double whole) {
    return fabs(value - whole) <= 1e-3 + 1.2e-7 * fabs(whole);
}

static bool is_scaled(const struct nifti_volume *volume) {
    return volume->slope != 0.0 && (volume->slope != 1.0 || volume->intercept != 0.0);
}

void nifti_raw_text(const struct nifti_volume *volume, size_t i, char *text, size_t size) {
    const unsigned char *at = voxel(volume, i);
    bool is_big = volume->is_big_endian != 0;
    double stored = nifti_stored_value(at, volume->datatype, is_big);
    if (is_scaled(volume)) {
        char plus[40] = "";
        if (volume->intercept != 0.0)
            (void)snprintf(plus, sizeof plus, " plus its intercept %.6g", volume->intercept);
        (void)snprintf(text, size, "%.6g (%.9g in the file, times its slope %.6g%s)",
                       nifti_raw_value(volume, i), stored, volume->slope, plus);
    } else if (volume->datatype == NIFTI_I64) {
        (void)snprintf(text, size, "%" PRId64, bytes_get_i64(at, is_big));
    } else if (volume->datatype == NIFTI_U64) {
        (void)snprintf(text, size, "%" PRIu64, bytes_get(at, 8, is_big));
    } else if (isnan(stored)) {
        (void)snprintf(text, size, "NaN");
    } else {
        (void)snprintf(text, size, "%.9g", stored);
    }
}

// The smallest and largest number of a whole type; false for floats.
static bool integer_range(int datatype, double *low, double *high) {
    int bits = 8 * nifti_datatype_bytes(datatype);
    if (datatype == NIFTI_F32 || datatype == NIFTI_F64)
        return false;
    bool has_sign = datatype == NIFTI_I8 || datatype == NIFTI_I16 || datatype == NIFTI_I32 ||
                    datatype == NIFTI_I64;
    *low = has_sign ? -ldexp(1.0, bits - 1) : 0.0;
    *high = ldexp(1.0, has_sign ? bits - 1 : bits) - 1.0;
    return true;
}

bool nifti_raw_set(struct nifti_volume *volume, size_t i, int32_t value) {
    unsigned char bytes[8];
    bool is_big = volume->is_big_endian != 0;
    double stored = value, low, high;
    if (volume->slope != 0.0)
        stored = (stored - volume->intercept) / volume->slope;
    if (volume->datatype == NIFTI_F32) {
        bytes_put_f32(bytes, is_big, (float)stored);
    } else if (!integer_range(volume->datatype, &low, &high)) {
        bytes_put_f64(bytes, is_big, stored);
    } else {
        stored = rint(stored);
        // The limits of 64-bit types are not exact in a double, but no label comes near them.
        if (!(stored >= low && stored <= high && fabs(stored) < 9e15))
            return false;
        bytes_put(bytes, volume->value_bytes, is_big, (uint64_t)(int64_t)stored);
    }
    double back = nifti_stored_value(bytes, volume->datatype, is_big);
    if (volume->slope != 0.0)
        back = back * volume->slope + volume->intercept;
    if (!nifti_is_whole(back, value))
        return false;
    memcpy(volume->raw + i * (size_t)volume->value_bytes, bytes, (size_t)volume->value_bytes);
    return true;
}
