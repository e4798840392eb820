// SPDX-License-Identifier: MIT
// How a convolution rounds its operands.
#ifndef ADELE_CUDA_CONV2D_CONV2D_ROUND_CUH
#define ADELE_CUDA_CONV2D_CONV2D_ROUND_CUH

#include "conv2d/conv2d_parts.cuh"
#include "runtime/tensor_core.cuh"

namespace adele_cuda {

static __device__ inline float conv2d_round(float value, enum conv2d_math math) {
    if (math == CONV2D_BF16)
        return to_float(from_float<bf16>(value));
    if (math == CONV2D_TF32) {
        uint32_t bits = to_tf32(value);
        memcpy(&value, &bits, sizeof value);
    }
    return value;
}

} // namespace adele_cuda
#endif
