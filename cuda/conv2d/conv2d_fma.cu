// SPDX-License-Identifier: MIT
// Convolution in full float precision: forward pass and data gradient of float tensors, any stride,
// dilation and padding, kernels up to 7 x 7.
//
// It improves on the plain kernel by reuse at two levels: a source or weight vector copied into
// shared memory serves the block's whole tile, and a thread multiplies 8 pixels with 4 or 8
// channels out of registers. conv2d_tile.cuh describes the copies and the main loop,
// conv2d_sums.cuh the products. Overwrites the target, or adds to it.
#include "conv2d/conv2d_sums.cuh"

namespace adele_cuda {

// Blocks that share a multiprocessor's registers: 16 warps leave 128 to a thread, which four warps
// of 64 sums a thread overrun by a few, as each copies more rows.
#define BLOCKS_RESIDENT(bm, bn, warps) ((bm) * (bn) == 128 * 64 ? 3 : 16 / (warps))

template <int bm, int bn, int warps_m, int warps_n>
static __global__ void __launch_bounds__(warps_m *warps_n * 32,
                                         BLOCKS_RESIDENT(bm, bn, warps_m *warps_n))
    fma_kernel(const struct conv2d_gather gather, const struct conv2d_product product) {
    conv2d_block<float, struct fma_sums<bm, bn, warps_m, warps_n>, bm, bn, warps_m * warps_n * 32>(
        gather, product);
}

adele_status conv2d_fma_choose(const struct conv2d_gather *gather, enum conv2d_tile tile,
                               struct conv2d_launch *out) {
    switch (tile) {
    case CONV2D_TILE_128x128:
        return CONV2D_TILE_LAUNCH(out, gather, (fma_kernel<128, 128, 4, 2>), 128, 128, 8);
    case CONV2D_TILE_128x64:
        return CONV2D_TILE_LAUNCH(out, gather, (fma_kernel<128, 64, 4, 1>), 128, 64, 4);
    case CONV2D_TILE_128x32:
        return CONV2D_TILE_LAUNCH(out, gather, (fma_kernel<128, 32, 4, 1>), 128, 32, 4);
    default:
        return CONV2D_TILE_LAUNCH(out, gather, (fma_kernel<64, 64, 2, 2>), 64, 64, 4);
    }
}

} // namespace adele_cuda
