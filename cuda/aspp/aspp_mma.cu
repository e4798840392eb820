// SPDX-License-Identifier: MIT
// The atrous pyramid on tensor cores: forward pass and data gradient, every rate in one launch.
//
// It improves on the plain kernel by reuse (a source vector in shared memory serves 32 to 128
// channels, a weight 128 pixels), by skipping the taps that lie in the padding for a whole tile,
// by adding up the centres of all branches before they are multiplied (SUM), by asynchronous copies
// three steps ahead and by mma.sync. SUM keeps the sum over the branches in registers: no tensor
// lies between. aspp_tile.cuh describes the copies, aspp_parts.cuh the order of pixels,
// conv2d_sums.cuh the products. Overwrites the target, or adds to it.
#include "aspp/aspp_tile.cuh"

namespace adele_cuda {

template <typename T, int math, int bn, int warps_m, int warps_n>
static adele_status choose(const struct aspp_gather *gather, struct aspp_launch *out) {
    return aspp_choose<T, math, struct mma_sums<T, math, ASPP_TILE, bn, warps_m, warps_n>, bn,
                       warps_m * warps_n>(gather, out);
}

template <typename T, int math>
static adele_status choose_width(const struct aspp_gather *gather, struct aspp_launch *out) {
    return aspp_is_narrow(gather) ? choose<T, math, 32, 4, 1>(gather, out)
                                  : choose<T, math, 128, 2, 2>(gather, out);
}

adele_status aspp_mma_choose(const struct cuda_context *context, const struct aspp_gather *gather,
                             enum conv2d_math math, struct aspp_launch *out) {
    if (context->storage == ADELE_PRECISION_BF16)
        return choose_width<bf16, CONV2D_BF16>(gather, out);
    if (math == CONV2D_BF16)
        return choose_width<float, CONV2D_BF16>(gather, out);
    return choose_width<float, CONV2D_TF32>(gather, out);
}

} // namespace adele_cuda
