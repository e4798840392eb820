// SPDX-License-Identifier: MIT
// Philox4x32-10 on the device: the streams of src/base/random.h, number for number. The key is the
// seed, the counter is (block, sample, epoch, purpose). And the double-precision arithmetic that
// has to give the CPU's bits: nvcc would otherwise join a product and a sum into one rounding.
#ifndef ADELE_CUDA_OPS_RANDOM_CUH
#define ADELE_CUDA_OPS_RANDOM_CUH

#include "base/random.h" // struct random_stream
#include "base/random_rule.h"

#include <cuda_runtime.h>
#include <stdint.h>

namespace adele_cuda {

static __device__ inline double rounded_product(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

static __device__ inline double rounded_sum(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dadd_rn(a, b);
#else
    return a + b;
#endif
}

static __device__ inline void philox_init(struct random_stream *stream, uint64_t seed,
                                          enum random_purpose purpose, uint32_t epoch,
                                          uint32_t sample) {
    stream->key[0] = (uint32_t)seed;
    stream->key[1] = (uint32_t)(seed >> 32);
    stream->counter[0] = 0;
    stream->counter[1] = sample;
    stream->counter[2] = epoch;
    stream->counter[3] = (uint32_t)purpose;
    stream->n_used = 4;
}

static __device__ inline uint32_t philox_u32(struct random_stream *stream) {
    if (stream->n_used >= 4) {
        philox_block(stream->counter, stream->key, stream->block);
        stream->counter[0]++;
        stream->n_used = 0;
    }
    // A choice instead of an index keeps the block in registers.
    int i = stream->n_used++;
    uint32_t low = i == 0 ? stream->block[0] : stream->block[1];
    uint32_t high = i == 2 ? stream->block[2] : stream->block[3];
    return i < 2 ? low : high;
}

// [0, 1): 32 bits over 2^32, exact.
static __device__ inline double philox_uniform(struct random_stream *stream) {
    return (double)philox_u32(stream) * (1.0 / 4294967296.0);
}

static __device__ inline double philox_range(struct random_stream *stream, double low,
                                             double high) {
    return rounded_sum(low, rounded_product(rounded_sum(high, -low), philox_uniform(stream)));
}

} // namespace adele_cuda
#endif
