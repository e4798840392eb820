// SPDX-License-Identifier: MIT
// The weight gradient in float by fused multiply-add: the matrix product of
// conv2d_weight_gradient.cuh, tile by tile.
//
// src, d_dst: float tensors (N, H, W, P). Sums go to the call's sink (added to d_weight, or written
// as the partial sum of a split). Deterministic: a weight of a split is summed by one thread, pixel
// after pixel.
//
// What it improves on the plain kernel: a pixel's channels are read once for a tile of 64 or 128
// weights in either direction instead of once for each weight, and multiplied from registers: 16
// floats out of shared memory serve 64 multiply-adds.
#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

static const int n_rows = 16;  // pixels of a step: 8 KB an operand at tile 128
static const int n_stages = 3; // steps in flight; 48 KB at tile 128, so that two blocks fit

template <int tile> __host__ __device__ constexpr int threads_of() {
    return (tile / 8) * (tile / 8);
}

template <int tile> static constexpr int shared_bytes() {
    return n_stages * 2 * n_rows * tile * (int)sizeof(float);
}

// 8 of a pixel's `tile` floats: 4 in either half, so that neighbouring threads read neighbouring
// words.
template <int tile>
static __device__ inline void read_operand(const float *row, int i, float out[8]) {
    float4 low = *(const float4 *)(row + i * 4);
    float4 high = *(const float4 *)(row + tile / 2 + i * 4);
    out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
    out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

template <int tile>
static __device__ inline void multiply_step(const float *d_dst_tile, const float *src_tile,
                                            float sums[8][8]) {
    int i_row = threadIdx.x / (tile / 8), i_column = threadIdx.x % (tile / 8);
#pragma unroll
    for (int k = 0; k < n_rows; k++) {
        float a[8], b[8];
        read_operand<tile>(d_dst_tile + k * tile, i_row, a);
        read_operand<tile>(src_tile + k * tile, i_column, b);
#pragma unroll
        for (int m = 0; m < 8; m++)
#pragma unroll
            for (int n = 0; n < 8; n++)
                sums[m][n] = fmaf(a[m], b[n], sums[m][n]);
    }
}

// A block owns tile x tile weights (column blockIdx.x * tile, row blockIdx.y * tile) of split
// blockIdx.z; a thread 8 x 8 of them.
template <int tile>
static __global__ void __launch_bounds__(threads_of<tile>(), tile == 128 ? 2 : 6)
    weight_gradient_fma_kernel(struct conv2d_shape shape, struct weight_gradient_sink sink,
                               const float *src, const float *d_dst) {
    DYNAMIC_SHARED(bytes);
    int row = (int)blockIdx.y * tile, column = (int)blockIdx.x * tile, split = (int)blockIdx.z;
    struct tile_loader<float> loader;
    loader_init<float, tile, threads_of<tile>(), n_rows>(&loader, &shape, &sink, src, d_dst, row,
                                                         column, split);
    int begin = split_pixels(&loader.range, split, sink.n_splits, n_rows).begin;
    int n_steps = ceil_div(max(loader.end - begin, 0), n_rows);
    float sums[8][8] = {};
    weight_gradient_pipeline<tile, threads_of<tile>(), n_rows, tile, n_stages>(
        loader, shape, n_steps, (float *)bytes,
        [&](const float *d_dst_tile, const float *src_tile) {
            multiply_step<tile>(d_dst_tile, src_tile, sums);
        });
    row += (int)threadIdx.x / (tile / 8) * 4;
    column += (int)threadIdx.x % (tile / 8) * 4;
#pragma unroll
    for (int n = 0; n < 8; n++) {
        struct sink_column to;
        sink_column_init(&to, &sink, split, column + n % 4 + n / 4 * (tile / 2));
#pragma unroll
        for (int m = 0; m < 8; m++)
            sink_put(&to, row + m % 4 + m / 4 * (tile / 2), sums[m][n]);
    }
}

template <int tile> static adele_status run(const struct weight_gradient_call *call) {
    dim3 grid(ceil_div(call->sink.n_columns, tile), ceil_div(call->sink.c_out, tile),
              call->sink.n_splits);
    return LAUNCH(call->context, weight_gradient_fma_kernel<tile>, grid, threads_of<tile>(),
                  shared_bytes<tile>(), call->plan->shape, call->sink, (const float *)call->src,
                  (const float *)call->d_dst);
}

adele_status weight_gradient_fma(const struct weight_gradient_call *call) {
    return call->plan->tile == 128 ? run<128>(call) : run<64>(call);
}

adele_status weight_gradient_fma_prepare() {
    TRY(ALLOW_SHARED(weight_gradient_fma_kernel<64>, shared_bytes<64>()));
    return ALLOW_SHARED(weight_gradient_fma_kernel<128>, shared_bytes<128>());
}

} // namespace adele_cuda
