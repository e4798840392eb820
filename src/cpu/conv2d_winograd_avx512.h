// SPDX-License-Identifier: MIT
// What conv2d_winograd_kernels.h needs of AVX-512, with and without products of bf16: vectors of 16
// floats, and 16 values of bf16 in memory.
#ifndef ADELE_CPU_CONV2D_WINOGRAD_AVX512_H
#define ADELE_CPU_CONV2D_WINOGRAD_AVX512_H

#include <immintrin.h>

#define VECTOR                 __m512
#define WIDTH                  16
#define LOAD(address)          _mm512_loadu_ps(address)
#define STORE(address, value)  _mm512_storeu_ps(address, value)
#define STREAM(address, value) _mm512_stream_ps(address, value)
#define LOAD_BF16(address)                                                                         \
    (__m512) _mm512_slli_epi32(                                                                    \
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(address))), 16)
#define BF16                        __m256i
#define STORE_BF16(address, value)  _mm256_storeu_si256((__m256i *)(void *)(address), value)
#define STREAM_BF16(address, value) _mm256_stream_si256((__m256i *)(void *)(address), value)
#define SAME(value)                 _mm512_set1_ps(value)
#define MULTIPLY_ADD(a, b, c)       _mm512_fmadd_ps(a, b, c)
#define TILES                       12 // 2 x 12 sums, 2 weights and 1 value make 27 of 32 registers
#define ROWS                        8  // 2 x 8 sums
#endif
