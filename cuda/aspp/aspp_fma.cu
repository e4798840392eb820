// SPDX-License-Identifier: MIT
// The atrous pyramid in full float precision: forward pass and data gradient of float tensors,
// every rate in one launch. What it improves on the plain kernel: as aspp_mma.cu, with fused
// multiply-adds in place of tensor cores. Overwrites the target, or adds to it.
#include "aspp/aspp_tile.cuh"

namespace adele_cuda {

template <int bn, int warps_m, int warps_n>
static adele_status choose(const struct aspp_gather *gather, struct aspp_launch *out) {
    return aspp_choose<float, CONV2D_FMA, struct fma_sums<ASPP_TILE, bn, warps_m, warps_n>, bn,
                       warps_m * warps_n>(gather, out);
}

adele_status aspp_fma_choose(const struct aspp_gather *gather, struct aspp_launch *out) {
    return aspp_is_narrow(gather) ? choose<32, 4, 1>(gather, out) : choose<128, 4, 2>(gather, out);
}

} // namespace adele_cuda
