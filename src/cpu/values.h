// SPDX-License-Identifier: MIT
// The values of a tensor, as the CPU's loops read and write them: floats, or bf16 in 16 bits where
// the device keeps its tensors so (cpu_is_bf16). A loop is written once for both, as a
// CPU_VALUE_KERNEL, in which `is_bf16` is a constant; it computes in float. What is stored is
// rounded to nearest even, subnormal numbers too, with the same bits on all instruction sets; a NaN
// stays one.
//
// A tensor is a `void *`, and places in it are counted in values.
#ifndef ADELE_CPU_VALUES_H
#define ADELE_CPU_VALUES_H

#include "cpu/lanes.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef uint32_t lanes_bits __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t lanes_bf16 __attribute__((vector_size(16), aligned(2), may_alias));
typedef float value_float __attribute__((may_alias));
typedef uint16_t value_bf16 __attribute__((may_alias));

#define VALUE_INLINE static inline __attribute__((always_inline))

// As CPU_KERNEL, with a last parameter `bool is_bf16` that the two lists leave out: every variant
// has the body twice, and `is_bf16` is a constant in each.
#define CPU_VALUE_LIST(...) __VA_ARGS__
#define CPU_VALUE_KERNEL(type, name, parameters, arguments)                                        \
    VALUE_INLINE void name##_values(CPU_VALUE_LIST parameters, const bool is_bf16);                \
    CPU_KERNEL(type, name, (CPU_VALUE_LIST parameters, bool is_bf16),                              \
               (CPU_VALUE_LIST arguments, is_bf16)) {                                              \
        if (is_bf16)                                                                               \
            name##_values(CPU_VALUE_LIST arguments, true);                                         \
        else                                                                                       \
            name##_values(CPU_VALUE_LIST arguments, false);                                        \
    }                                                                                              \
    VALUE_INLINE void name##_values(CPU_VALUE_LIST parameters, const bool is_bf16)

VALUE_INLINE size_t value_bytes(bool is_bf16) {
    return is_bf16 ? sizeof(uint16_t) : sizeof(float);
}

// The address of value i.
VALUE_INLINE void *value_address(const void *tensor, size_t i, bool is_bf16) {
    return (char *)(uintptr_t)tensor + i * value_bytes(is_bf16);
}

// The bf16 nearest to the float with those bits, ties to even: half a unit of the kept part is
// added, minus one bit where the kept part is even. A NaN keeps its sign and becomes quiet; an
// infinity stays one. `bits` is a uint32_t or a vector of them; is_nan is all ones for a NaN.
#define VALUE_NARROWED(bits, is_nan)                                                               \
    (((((bits) + 0x7fffU + (((bits) >> 16) & 1U)) & ~(is_nan)) |                                   \
      (((bits) | 0x00400000U) & (is_nan))) >>                                                      \
     16)

VALUE_INLINE float value_at(const void *tensor, size_t i, bool is_bf16) {
    const void *address = value_address(tensor, i, is_bf16);
    if (!is_bf16)
        return *(const value_float *)address;
    uint32_t bits = (uint32_t) * (const value_bf16 *)address << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

VALUE_INLINE void value_store(void *tensor, size_t i, float value, bool is_bf16) {
    void *address = value_address(tensor, i, is_bf16);
    uint32_t bits, is_nan = value != value ? 0xffffffffU : 0U;
    memcpy(&bits, &value, sizeof bits);
    if (is_bf16)
        *(value_bf16 *)address = (uint16_t)VALUE_NARROWED(bits, is_nan);
    else
        *(value_float *)address = value;
}

// The values i .. i + LANES - 1. GCC warns that such functions need AVX to be called, which never
// happens: they are inlined.
#pragma GCC diagnostic ignored "-Wpsabi"
VALUE_INLINE lanes lanes_at(const void *tensor, size_t i, const bool is_bf16) {
    const void *address = value_address(tensor, i, is_bf16);
    if (!is_bf16)
        return LANES_AT(address);
    lanes_bf16 from = *(const lanes_bf16 *)address;
    lanes_bits bits = {from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]};
    return (lanes)(bits << 16);
}

VALUE_INLINE void lanes_store(void *tensor, size_t i, lanes value, const bool is_bf16) {
    void *address = value_address(tensor, i, is_bf16);
    lanes_bits bits = (lanes_bits)value, is_nan = (lanes_bits)(value != value);
    if (is_bf16)
        *(lanes_bf16 *)address = __builtin_convertvector(VALUE_NARROWED(bits, is_nan), lanes_bf16);
    else
        LANES_STORE(address, value);
}

#endif
