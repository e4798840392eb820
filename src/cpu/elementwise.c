// SPDX-License-Identifier: MIT
#include "cpu/elementwise.h"

#include "cpu/isa.h"

#define CHUNK_FLOATS 16384

// Round to nearest even: adds half a unit of the kept part, minus one bit when the kept part is
// even. A NaN keeps its sign and becomes quiet; an infinity stays one.
static inline uint32_t round_bits(uint32_t bits) {
    uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    uint32_t is_nan = (bits & 0x7fffffffu) > 0x7f800000u ? 0xffffffffu : 0u;
    return ((rounded & ~is_nan) | ((bits | 0x00400000u) & is_nan)) & 0xffff0000u;
}

CPU_KERNEL(static void, round_run,
           (uint32_t *restrict to, const uint32_t *restrict from, size_t count),
           (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] = round_bits(from[i]);
}

CPU_KERNEL(static void, narrow_run,
           (uint16_t *restrict to, const uint32_t *restrict from, size_t count),
           (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] = (uint16_t)(round_bits(from[i]) >> 16);
}

CPU_KERNEL(static void, add_run, (float *restrict to, const float *restrict from, size_t count),
           (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

CPU_KERNEL(void, elementwise_average,
           (float *restrict average, const float *restrict values, float rest, size_t count),
           (average, values, rest, count)) {
    for (size_t i = 0; i < count; i++)
        average[i] += rest * (values[i] - average[i]);
}

void elementwise_round(float *to, const float *from, size_t count) {
    round_run((uint32_t *)(void *)to, (const uint32_t *)(const void *)from, count);
}

void elementwise_add(float *to, const float *from, size_t count) {
    add_run(to, from, count);
}

void elementwise_round_tensor(float *to, const float *from, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK_FLOATS)
        elementwise_round(to + i, from + i, count - i < CHUNK_FLOATS ? count - i : CHUNK_FLOATS);
}

void elementwise_narrow_tensor(uint16_t *to, const float *from, size_t count) {
    const uint32_t *bits = (const uint32_t *)(const void *)from;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK_FLOATS)
        narrow_run(to + i, bits + i, count - i < CHUNK_FLOATS ? count - i : CHUNK_FLOATS);
}

void elementwise_add_tensor(float *to, const float *from, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK_FLOATS)
        elementwise_add(to + i, from + i, count - i < CHUNK_FLOATS ? count - i : CHUNK_FLOATS);
}
