// SPDX-License-Identifier: MIT
#include "cpu/elementwise.h"

#include "cpu/isa.h"
#include "cpu/values.h"

#define CHUNK 16384

CPU_KERNEL(void, elementwise_round, (float *restrict to, const float *restrict from, size_t count),
           (to, from, count)) {
    for (size_t i = 0; i < count; i++) {
        uint16_t narrow;
        value_store(&narrow, 0, from[i], true);
        to[i] = value_at(&narrow, 0, true);
    }
}

CPU_KERNEL(void, elementwise_narrow,
           (uint16_t *restrict to, const float *restrict from, size_t count), (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        value_store(to, i, from[i], true);
}

CPU_KERNEL(void, elementwise_widen,
           (float *restrict to, const uint16_t *restrict from, size_t count), (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] = value_at(from, i, true);
}

CPU_VALUE_KERNEL(void, elementwise_add_values,
                 (void *restrict to, const void *restrict from, size_t count), (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        value_store(to, i, value_at(to, i, is_bf16) + value_at(from, i, is_bf16), is_bf16);
}

CPU_KERNEL(static void, add_floats,
           (uint16_t *restrict to, const float *restrict from, size_t count), (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        value_store(to, i, value_at(to, i, true) + from[i], true);
}

CPU_KERNEL(void, elementwise_average,
           (float *restrict average, const float *restrict values, float rest, size_t count),
           (average, values, rest, count)) {
    for (size_t i = 0; i < count; i++)
        average[i] += rest * (values[i] - average[i]);
}

void elementwise_add(float *to, const float *from, size_t count) {
    elementwise_add_values(to, from, count, false);
}

void elementwise_round_tensor(float *to, const float *from, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        elementwise_round(to + i, from + i, count - i < CHUNK ? count - i : CHUNK);
}

void elementwise_narrow_tensor(uint16_t *to, const float *from, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        elementwise_narrow(to + i, from + i, count - i < CHUNK ? count - i : CHUNK);
}

void elementwise_widen_tensor(float *to, const uint16_t *from, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        elementwise_widen(to + i, from + i, count - i < CHUNK ? count - i : CHUNK);
}

void elementwise_add_tensor(void *to, const void *from, size_t count, bool is_bf16) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        elementwise_add_values(value_address(to, i, is_bf16), value_address(from, i, is_bf16),
                               count - i < CHUNK ? count - i : CHUNK, is_bf16);
}

void elementwise_add_floats_tensor(uint16_t *to, const float *from, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        add_floats(to + i, from + i, count - i < CHUNK ? count - i : CHUNK);
}
