// SPDX-License-Identifier: MIT
#include "run_folder/tensorboard.h"

#include "base/fail.h"
#include "base/memory.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define CRC32C_POLYNOMIAL 0x82F63B78u // Castagnoli's, bits reversed
#define MASK_OFFSET       0xA282EAD8u

enum wire_type { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_BYTES = 2, WIRE_32_BITS = 5 };

// Bit by bit: an epoch's record is a few kilobytes, too little for a table to be worth it.
uint32_t tensorboard_crc32c(const void *data, size_t n_bytes) {
    const unsigned char *bytes = data;
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= bytes[i];
        for (int i_bit = 0; i_bit < 8; i_bit++)
            crc = crc >> 1 ^ (CRC32C_POLYNOMIAL & (0u - (crc & 1u)));
    }
    return ~crc;
}

uint32_t tensorboard_mask(uint32_t crc) {
    return (crc >> 15 | crc << 17) + MASK_OFFSET;
}

static adele_status add_little_endian(struct buffer *out, uint64_t value, int n_bytes) {
    unsigned char bytes[8];
    for (int i = 0; i < n_bytes; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    return buffer_add(out, bytes, (size_t)n_bytes);
}

static adele_status add_varint(struct buffer *out, uint64_t value) {
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((value & 0x7Fu) | (value > 0x7Fu ? 0x80u : 0u));
        value >>= 7;
    } while (value != 0);
    return buffer_add(out, bytes, n);
}

static adele_status add_key(struct buffer *out, int field, enum wire_type type) {
    return add_varint(out, (uint64_t)field << 3 | (uint64_t)type);
}

static adele_status add_bytes(struct buffer *out, int field, const void *data, size_t n_bytes) {
    TRY(add_key(out, field, WIRE_BYTES));
    TRY(add_varint(out, n_bytes));
    return buffer_add(out, data, n_bytes);
}

static adele_status add_record(struct buffer *file, const struct buffer *event) {
    CLEANUP(buffer_deinit) struct buffer length = {0};
    TRY(add_little_endian(&length, event->n_bytes, 8));
    TRY(buffer_add(file, length.data, 8));
    TRY(add_little_endian(file, tensorboard_mask(tensorboard_crc32c(length.data, 8)), 4));
    TRY(buffer_add(file, event->data, event->n_bytes));
    uint32_t crc = tensorboard_crc32c(event->data, event->n_bytes);
    return add_little_endian(file, tensorboard_mask(crc), 4);
}

static adele_status add_wall_time(struct buffer *event, double wall_time) {
    uint64_t bits;
    memcpy(&bits, &wall_time, sizeof bits);
    TRY(add_key(event, 1, WIRE_64_BITS));
    return add_little_endian(event, bits, 8);
}

adele_status tensorboard_add_version(struct buffer *file, double wall_time) {
    static const char version[] = "brain.Event:2";
    CLEANUP(buffer_deinit) struct buffer event = {0};
    TRY(add_wall_time(&event, wall_time));
    TRY(add_bytes(&event, 3, version, sizeof version - 1));
    return add_record(file, &event);
}

static uint32_t float_bits(double value) {
    if (!isfinite(value))
        return 0x7FC00000u;
    // Converting a double beyond float's range is undefined in C.
    float narrow = fabs(value) <= FLT_MAX ? (float)value : (value > 0 ? INFINITY : -INFINITY);
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return bits;
}

adele_status tensorboard_add_scalar(struct buffer *summary, const char *tag, double value) {
    CLEANUP(buffer_deinit) struct buffer scalar = {0};
    TRY(add_bytes(&scalar, 1, tag, strlen(tag)));
    TRY(add_key(&scalar, 2, WIRE_32_BITS));
    TRY(add_little_endian(&scalar, float_bits(value), 4));
    return add_bytes(summary, 1, scalar.data, scalar.n_bytes);
}

adele_status tensorboard_add_event(struct buffer *file, double wall_time, int64_t step,
                                   const struct buffer *summary) {
    CLEANUP(buffer_deinit) struct buffer event = {0};
    TRY(add_wall_time(&event, wall_time));
    TRY(add_key(&event, 2, WIRE_VARINT));
    TRY(add_varint(&event, (uint64_t)step));
    TRY(add_bytes(&event, 5, summary->data, summary->n_bytes));
    return add_record(file, &event);
}

// ---- reading ------------------------------------------------------------------------------------

#define HEADER_BYTES   12u // the length and its checksum
#define CHECKSUM_BYTES 4u

static uint64_t little_endian(const unsigned char *bytes, int n_bytes) {
    uint64_t value = 0;
    for (int i = 0; i < n_bytes; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

// An Event as it is written here begins with its time, 9 bytes, and has its step next.
static int64_t step_of(const unsigned char *event, size_t n_bytes) {
    uint64_t step = 0;
    if (n_bytes < 11 || event[9] != (2 << 3 | WIRE_VARINT))
        return 0;
    for (size_t i = 10, shift = 0; i < n_bytes && shift < 64; i++, shift += 7) {
        step |= (uint64_t)(event[i] & 0x7Fu) << shift;
        if (!(event[i] & 0x80u))
            break;
    }
    return (int64_t)step;
}

bool tensorboard_next_record(const void *data, size_t n_bytes, size_t *at, size_t *begin,
                             int64_t *step) {
    const unsigned char *record = (const unsigned char *)data + *at;
    size_t n_left = n_bytes - *at;
    if (n_left < HEADER_BYTES + CHECKSUM_BYTES)
        return false;
    uint64_t n_event = little_endian(record, 8);
    if (little_endian(record + 8, 4) != tensorboard_mask(tensorboard_crc32c(record, 8)) ||
        n_event > n_left - HEADER_BYTES - CHECKSUM_BYTES)
        return false;
    const unsigned char *event = record + HEADER_BYTES;
    if (little_endian(event + n_event, 4) !=
        tensorboard_mask(tensorboard_crc32c(event, (size_t)n_event)))
        return false;
    *begin = *at;
    *at += HEADER_BYTES + (size_t)n_event + CHECKSUM_BYTES;
    *step = step_of(event, (size_t)n_event);
    return true;
}
