// SPDX-License-Identifier: MIT
// Elementwise loops: to += from, a running average, and rounding to bf16 (to nearest even), as
// floats or as 16 bits. The _tensor forms run on all threads. is_bf16: the values that `to` and
// `from` point to are bf16, otherwise floats (values.h).
#ifndef ADELE_CPU_ELEMENTWISE_H
#define ADELE_CPU_ELEMENTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void elementwise_add(float *to, const float *from, size_t count);
void elementwise_add_values(void *to, const void *from, size_t count, bool is_bf16);
void elementwise_add_tensor(void *to, const void *from, size_t count, bool is_bf16);
// Floats to a tensor of bf16.
void elementwise_add_floats_tensor(uint16_t *to, const float *from, size_t count);
// average += rest (values - average); the arrays lie apart.
void elementwise_average(float *average, const float *values, float rest, size_t count);
void elementwise_round(float *to, const float *from, size_t count);
void elementwise_round_tensor(float *to, const float *from, size_t count);
void elementwise_narrow(uint16_t *to, const float *from, size_t count);
void elementwise_narrow_tensor(uint16_t *to, const float *from, size_t count);
void elementwise_widen(float *to, const uint16_t *from, size_t count);
void elementwise_widen_tensor(float *to, const uint16_t *from, size_t count);

#endif
