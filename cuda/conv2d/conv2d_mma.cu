// SPDX-License-Identifier: MIT
// Convolution on tensor cores: forward pass and data gradient, any stride, dilation and padding,
// kernels up to 7 x 7. A 1 x 1 kernel with stride 1 is a plain matrix product here.
//
// It improves on the plain kernel by reuse: a source vector that a block has copied into shared
// memory is multiplied with 32 to 128 target channels, a weight with 64 to 128 pixels; by
// asynchronous copies three steps ahead; and by mma.sync. The warps of the largest tile own
// 64 x 64 of it: as 64 x 32, copies and ldmatrix would take as many cycles of shared memory as the
// products take on an A100's tensor cores (counted in bench/results/2026-11-30-mma-tiles.md).
// conv2d_tile.cuh describes the copies and the main loop, conv2d_sums.cuh the products. Overwrites
// the target, or adds to it.
#include "conv2d/conv2d_sums.cuh"

namespace adele_cuda {

// Warps that share a multiprocessor's registers: 16 leave 128 to a thread, which rounding in
// registers (float tensors) overruns. Sums of 64 x 64 take 128 registers by themselves.
#define WARPS_RESIDENT(T, bm, bn, warps)                                                           \
    ((bm) * (bn) / (warps) == 64 * 64 ? 8 : sizeof(T) == 4 && (warps) == 4 ? 12 : 16)

template <typename T, int math, int bm, int bn, int warps_m, int warps_n>
static __global__ void __launch_bounds__(warps_m *warps_n * 32,
                                         WARPS_RESIDENT(T, bm, bn, warps_m *warps_n) /
                                             (warps_m * warps_n))
    mma_kernel(const struct conv2d_gather gather, const struct conv2d_product product) {
    conv2d_block<T, struct mma_sums<T, math, bm, bn, warps_m, warps_n>, bm, bn,
                 warps_m * warps_n * 32>(gather, product);
}

template <typename T, int math>
static adele_status choose_tile(const struct conv2d_gather *gather, enum conv2d_tile tile,
                                struct conv2d_launch *out) {
    switch (tile) {
    case CONV2D_TILE_128x128:
        return CONV2D_TILE_LAUNCH(out, gather, (mma_kernel<T, math, 128, 128, 2, 2>), 128, 128, 4);
    case CONV2D_TILE_128x64:
        return CONV2D_TILE_LAUNCH(out, gather, (mma_kernel<T, math, 128, 64, 2, 2>), 128, 64, 4);
    case CONV2D_TILE_128x32:
        return CONV2D_TILE_LAUNCH(out, gather, (mma_kernel<T, math, 128, 32, 4, 1>), 128, 32, 4);
    default:
        return CONV2D_TILE_LAUNCH(out, gather, (mma_kernel<T, math, 64, 64, 2, 2>), 64, 64, 4);
    }
}

adele_status conv2d_mma_choose(const struct cuda_context *context,
                               const struct conv2d_gather *gather, enum conv2d_math math,
                               enum conv2d_tile tile, struct conv2d_launch *out) {
    if (context->storage == ADELE_PRECISION_BF16)
        return choose_tile<bf16, CONV2D_BF16>(gather, tile, out);
    if (math == CONV2D_BF16)
        return choose_tile<float, CONV2D_BF16>(gather, tile, out);
    return choose_tile<float, CONV2D_TF32>(gather, tile, out);
}

} // namespace adele_cuda
