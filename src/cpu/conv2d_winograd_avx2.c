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
#define LOAD_BF16(address)                                                                         \
    (__m256) _mm256_slli_epi32(                                                                    \
        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(address))), 16)
#define BF16                        __m128i
#define NARROW(value)               narrow_avx2(value)
#define STORE_BF16(address, value)  _mm_storeu_si128((__m128i *)(void *)(address), value)
#define STREAM_BF16(address, value) _mm_stream_si128((__m128i *)(void *)(address), value)
#define SAME(value)                 _mm256_set1_ps(value)
#define MULTIPLY_ADD(a, b, c)       _mm256_fmadd_ps(a, b, c)
#define PAIRED                      1
#define DOT(a, b, c)                _mm256_fmadd_ps(a, b, c)
#define JOIN(a, b)                  (a)
#define STORE_POINT                 STORE
#define TILES                       6 // 2 x 6 sums, 2 weights and 1 value make 15 of 16 registers
#define ROWS                        4 // 2 x 4 sums, as many as two multiply-adds a cycle need
#define TARGET                      __attribute__((target("avx2,fma")))
#define NAME(stem)                  stem##_avx2
#define ISA                         "avx2"

// As VALUE_NARROWED of values.h.
TARGET static inline __attribute__((always_inline)) __m128i narrow_avx2(__m256 value) {
    __m256i bits = _mm256_castps_si256(value), is_nan = (__m256i)(value != value);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i nearest = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
    __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(nearest, quiet, is_nan), 16);
    __m256i packed = _mm256_packus_epi32(high, high); // of each half, twice
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}

#include "cpu/conv2d_winograd_kernels.h"

#endif
