// SPDX-License-Identifier: MIT
// Winograd's convolution for blocks of 16 channels and processors with AVX-512.
#include "cpu/conv2d_winograd.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define VECTOR                 __m512
#define WIDTH                  16
#define LOAD(address)          _mm512_loadu_ps(address)
#define STORE(address, value)  _mm512_storeu_ps(address, value)
#define STREAM(address, value) _mm512_stream_ps(address, value)
#define SAME(value)            _mm512_set1_ps(value)
#define MULTIPLY_ADD(a, b, c)  _mm512_fmadd_ps(a, b, c)
#define PAIRED                 1
#define DOT(a, b, c)           _mm512_fmadd_ps(a, b, c)
#define JOIN(a, b)             (a)
#define STORE_POINT            STORE
#define TILES                  12 // 2 x 12 sums, 2 weights and 1 value make 27 of 32 registers
#define ROWS                   8  // 2 x 8 sums
#define TARGET                 __attribute__((target("avx512f")))
#define NAME(stem)             stem##_avx512
#define ISA                    "avx512"
#include "cpu/conv2d_winograd_kernels.h"

const struct winograd_kernels *winograd_kernels_avx512(void) {
    return &kernels_avx512;
}

#else

const struct winograd_kernels *winograd_kernels_avx512(void) {
    return NULL;
}

#endif
