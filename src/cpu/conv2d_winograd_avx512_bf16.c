// SPDX-License-Identifier: MIT
// Winograd's convolution for blocks of 16 channels and processors that multiply pairs of bf16: the
// transforms and all sums are float, the factors of the products bf16. An instruction has twice as
// many products as one of floats.
//
// Rounding is to nearest even. The processor's instructions take subnormal numbers for zeros.
#include "cpu/conv2d_winograd.h"

#if defined(__x86_64__)

#include "cpu/conv2d_winograd_avx512.h"

#define NARROW(value)               (__m256i) _mm512_cvtneps_pbh(value)
#define PAIRED                      2
#define DOT(a, b, c)                _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define JOIN(a, b)                  join_avx512_bf16(a, b)
#define STORE_POINT(address, value) STORE_BF16(address, NARROW(value))
#define TARGET                      __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define NAME(stem)                  stem##_avx512_bf16
#define ISA                         "avx512_bf16"

// Lane i gets a's value i and, above it, b's.
TARGET static inline __attribute__((always_inline)) __m512 join_avx512_bf16(__m512 a, __m512 b) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (__m512)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

#include "cpu/conv2d_winograd_kernels.h"

#endif
