// SPDX-License-Identifier: MIT
// Numbers in files of either byte order, read and written byte by byte so that the order of the
// machine does not matter.
#ifndef ADELE_IMAGE_BYTE_ORDER_H
#define ADELE_IMAGE_BYTE_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t bytes_get(const unsigned char *at, int n_bytes, bool is_big_endian) {
    uint64_t value = 0;
    for (int i = 0; i < n_bytes; ++i)
        value = value << 8 | at[is_big_endian ? i : n_bytes - 1 - i];
    return value;
}

static inline void bytes_put(unsigned char *at, int n_bytes, bool is_big_endian, uint64_t value) {
    for (int i = 0; i < n_bytes; ++i, value >>= 8)
        at[is_big_endian ? n_bytes - 1 - i : i] = (unsigned char)(value & 0xff);
}

static inline int16_t bytes_get_i16(const unsigned char *at, bool is_big_endian) {
    return (int16_t)bytes_get(at, 2, is_big_endian);
}

static inline int32_t bytes_get_i32(const unsigned char *at, bool is_big_endian) {
    return (int32_t)bytes_get(at, 4, is_big_endian);
}

static inline int64_t bytes_get_i64(const unsigned char *at, bool is_big_endian) {
    return (int64_t)bytes_get(at, 8, is_big_endian);
}

static inline float bytes_get_f32(const unsigned char *at, bool is_big_endian) {
    uint32_t bits = (uint32_t)bytes_get(at, 4, is_big_endian);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double bytes_get_f64(const unsigned char *at, bool is_big_endian) {
    uint64_t bits = bytes_get(at, 8, is_big_endian);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void bytes_put_f32(unsigned char *at, bool is_big_endian, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bytes_put(at, 4, is_big_endian, bits);
}

static inline void bytes_put_f64(unsigned char *at, bool is_big_endian, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bytes_put(at, 8, is_big_endian, bits);
}
#endif
