// SPDX-License-Identifier: MIT
// Winograd's convolution for blocks of 16 channels and processors with AVX-512.
#include "cpu/conv2d_winograd.h"

#if defined(__x86_64__)

#include "cpu/conv2d_winograd_avx512.h"

#define NARROW(value) narrow_avx512(value)
#define PAIRED        1
#define DOT(a, b, c)  _mm512_fmadd_ps(a, b, c)
#define JOIN(a, b)    (a)
#define STORE_POINT   STORE
#define TARGET        __attribute__((target("avx512f")))
#define NAME(stem)    stem##_avx512
#define ISA           "avx512"

// As VALUE_NARROWED of values.h.
TARGET static inline __attribute__((always_inline)) __m256i narrow_avx512(__m512 value) {
    __m512i bits = _mm512_castps_si512(value);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i nearest = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 is_nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    __m512i all = _mm512_mask_or_epi32(nearest, is_nan, bits, _mm512_set1_epi32(0x00400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(all, 16));
}

#include "cpu/conv2d_winograd_kernels.h"

#endif
