// SPDX-License-Identifier: MIT
// Element types of tensors, and vectors of 8 channels.
#ifndef ADELE_CUDA_RUNTIME_NUMERIC_CUH
#define ADELE_CUDA_RUNTIME_NUMERIC_CUH

#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

namespace adele_cuda {

// The upper half of a float. Conversion rounds to nearest, ties to even; NaN stays NaN.
struct bf16 {
    uint16_t bits;
};

static __host__ __device__ inline float to_float(float value) {
    return value;
}

static __host__ __device__ inline float to_float(bf16 value) {
    uint32_t bits = (uint32_t)value.bits << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

template <typename T> __host__ __device__ inline T from_float(float value);

template <> __host__ __device__ inline float from_float<float>(float value) {
    return value;
}

template <> __host__ __device__ inline bf16 from_float<bf16>(float value) {
#if defined(__CUDA_ARCH__)
    bf16 out;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(value));
    return out;
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bf16 out;
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        out.bits = (uint16_t)((bits >> 16) | 0x40u);
    else
        out.bits = (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    return out;
#endif
}

// Two floats as a pair of bf16 in one word, `low` in the lower half.
static __host__ __device__ inline uint32_t pack_bf16(float low, float high) {
#if defined(__CUDA_ARCH__)
    uint32_t out; // both in one instruction, which names the upper half first
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    return out;
#else
    return (uint32_t)from_float<bf16>(low).bits | (uint32_t)from_float<bf16>(high).bits << 16;
#endif
}

static __host__ __device__ inline float unpack_low(uint32_t pair) {
    bf16 half = {(uint16_t)(pair & 0xffffu)};
    return to_float(half);
}

static __host__ __device__ inline float unpack_high(uint32_t pair) {
    bf16 half = {(uint16_t)(pair >> 16)};
    return to_float(half);
}

// 8 channels of a pixel; `from` and `to` are aligned to the 8 elements.
static __device__ inline void load8(const float *from, float out[8]) {
    float4 low = ((const float4 *)from)[0], high = ((const float4 *)from)[1];
    out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
    out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

static __device__ inline void load8(const bf16 *from, float out[8]) {
    uint4 words = *(const uint4 *)from;
    out[0] = unpack_low(words.x), out[1] = unpack_high(words.x);
    out[2] = unpack_low(words.y), out[3] = unpack_high(words.y);
    out[4] = unpack_low(words.z), out[5] = unpack_high(words.z);
    out[6] = unpack_low(words.w), out[7] = unpack_high(words.w);
}

static __device__ inline void store8(float *to, const float values[8]) {
    ((float4 *)to)[0] = make_float4(values[0], values[1], values[2], values[3]);
    ((float4 *)to)[1] = make_float4(values[4], values[5], values[6], values[7]);
}

static __device__ inline void store8(bf16 *to, const float values[8]) {
    *(uint4 *)to = make_uint4(pack_bf16(values[0], values[1]), pack_bf16(values[2], values[3]),
                              pack_bf16(values[4], values[5]), pack_bf16(values[6], values[7]));
}

// Half a vector.
static __device__ inline void store4(float *to, float4 values) {
    *(float4 *)to = values;
}

static __device__ inline void store4(bf16 *to, float4 values) {
    *(uint2 *)to = make_uint2(pack_bf16(values.x, values.y), pack_bf16(values.z, values.w));
}

} // namespace adele_cuda
#endif
