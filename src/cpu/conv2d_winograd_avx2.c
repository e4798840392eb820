// SPDX-License-Identifier: MIT
// Winograd's convolution for blocks of 8 channels and processors with AVX2 and FMA.
#include "cpu/conv2d_winograd.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define VECTOR                 __m256
#define WIDTH                  8
#define LOAD(address)          _mm256_loadu_ps(address)
#define STORE(address, value)  _mm256_storeu_ps(address, value)
#define STREAM(address, value) _mm256_stream_ps(address, value)
#define SAME(value)            _mm256_set1_ps(value)
#define MULTIPLY_ADD(a, b, c)  _mm256_fmadd_ps(a, b, c)
#define PAIRED                 1
#define DOT(a, b, c)           _mm256_fmadd_ps(a, b, c)
#define JOIN(a, b)             (a)
#define STORE_POINT            STORE
#define TILES                  6 // 2 x 6 sums, 2 weights and 1 value make 15 of 16 registers
#define ROWS                   4 // 2 x 4 sums, as many as two multiply-adds a cycle need
#define TARGET                 __attribute__((target("avx2,fma")))
#define NAME(stem)             stem##_avx2
#define ISA                    "avx2"
#include "cpu/conv2d_winograd_kernels.h"

const struct winograd_kernels *winograd_kernels_avx2(void) {
    return &kernels_avx2;
}

#else

const struct winograd_kernels *winograd_kernels_avx2(void) {
    return NULL;
}

#endif
