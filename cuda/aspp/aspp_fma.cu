// SPDX-License-Identifier: MIT
// The atrous pyramid in full float precision: forward pass and data gradient of float tensors,
// every rate in one launch. What it improves on the plain kernel: as aspp_mma.cu, with a thread's
// sums in registers in place of tensor cores: 4 pixels times 4 or 8 channels are 16 or 32 products
// for 8 or 12 floats read. Sums are one chain of fused multiply-adds a target element, in the
// order of taps and channels: the same bits in every run. Overwrites the target, or adds to it.
#include "aspp/aspp_tile.cuh"

namespace adele_cuda {

// A warp is 4 x 8 threads; thread (y, x) owns pixels y + 4 i and channels x + 8 j of the warp's
// tile: the 8 rows of weights that a quarter of a warp reads follow one another, which is what the
// layout keeps apart in banks, and its pixel is the same for all.
#define LANES_M 4
#define LANES_N 8

static __device__ inline float4 read_vector(unsigned char *stage, int row, int v) {
    return *(const float4 *)conv2d_slot(stage, row, v);
}

// Sums are (n_m, n_n), four k at a time, and four pixels: eight would not leave registers for the
// copies.
template <typename T, int math, int bn, int warps_m, int warps_n>
static __device__ inline void aspp_multiply(float *sums, unsigned char *stage) {
    const int n_m = ASPP_TILE / warps_m / LANES_M, n_n = bn / warps_n / LANES_N;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int row_m = warp / warps_n * (ASPP_TILE / warps_m) + lane / LANES_N;
    int row_n = ASPP_TILE + warp % warps_n * (bn / warps_n) + lane % LANES_N;
#pragma unroll
    for (int step = 0; step < CONV2D_STEP_VECTORS * (n_m / 4); step++) {
        int v = step / (n_m / 4), first = step % (n_m / 4) * 4;
        float4 a[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            a[i] = read_vector(stage, row_m + (first + i) * LANES_M, v);
#pragma unroll
        for (int j = 0; j < n_n; j++) {
            float4 b = read_vector(stage, row_n + j * LANES_N, v);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float *sum = sums + (first + i) * n_n + j;
                *sum = fmaf(a[i].x, b.x, *sum);
                *sum = fmaf(a[i].y, b.y, *sum);
                *sum = fmaf(a[i].z, b.z, *sum);
                *sum = fmaf(a[i].w, b.w, *sum);
            }
        }
    }
}

template <int math, int bn, int warps_m, int warps_n>
static __device__ inline void aspp_stage_sums(const float *sums, float *tile) {
    const int n_m = ASPP_TILE / warps_m / LANES_M, n_n = bn / warps_n / LANES_N;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int row = warp / warps_n * (ASPP_TILE / warps_m) + lane / LANES_N;
    int column = warp % warps_n * (bn / warps_n) + lane % LANES_N;
#pragma unroll
    for (int i = 0; i < n_m; i++)
#pragma unroll
        for (int j = 0; j < n_n; j++)
            tile[(row + i * LANES_M) * CONV2D_TILE_PITCH(bn) + column + j * LANES_N] =
                sums[i * n_n + j];
}

// ---- launching ----------------------------------------------------------------------------------

static adele_status go(const struct cuda_context *context, const struct aspp_gather *gather,
                       bool is_narrow, const struct aspp_product *product) {
    return is_narrow ? aspp_launch<float, CONV2D_FMA, 32, 4, 1>(context, gather, product)
                     : aspp_launch<float, CONV2D_FMA, 128, 4, 2>(context, gather, product);
}

adele_status aspp_fma_prepare(void) {
    TRY(go(NULL, NULL, false, NULL));
    return go(NULL, NULL, true, NULL);
}

adele_status aspp_fma_run(const struct cuda_context *context, const struct aspp_gather *gather,
                          const struct aspp_product *product) {
    return go(context, gather, aspp_is_narrow(gather), product);
}

} // namespace adele_cuda
