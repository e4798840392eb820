// SPDX-License-Identifier: MIT
// Convolution in full float precision: forward pass and data gradient of float tensors, any stride,
// dilation and padding, kernels up to 5 x 5.
//
// It improves on the plain kernel by reuse at two levels: a source or weight vector copied into
// shared memory serves the block's whole tile, and a thread multiplies 8 pixels with 4 or 8
// channels out of registers: 64 products for 16 floats read. Copies run three steps ahead.
// conv2d_tile.cuh tells the copies and the layouts. Sums are one chain of fused multiply-adds a
// target element, in the order of taps and channels: the same bits in every run. Overwrites the
// target, or adds to it.
#include "conv2d/conv2d_tile.cuh"

namespace adele_cuda {

// A warp is 4 x 8 threads. Thread (y, x) of it owns 8 pixels and n_n channels, 8 rows apart each,
// so that one address and its place in the layout serve all of them. The 8 channel rows that a
// quarter of a warp reads follow one another; its pixel is the same for all. Pixel rows start at 2
// y, and a pair of warps takes the even and the odd ones of 64.
#define ROWS_APART 8
#define PIXELS     8 // of a thread

// sums += one stage, four k at a time; row_m, row_n: the thread's first rows. Not unrolled over k:
// the operands of two rounds would overrun the registers.
template <int n_n>
static __device__ inline void multiply_stage(float sums[PIXELS][n_n], unsigned char *stage,
                                             int row_m, int row_n) {
#pragma unroll 1
    for (int v = 0; v < CONV2D_STEP_VECTORS; v++) {
        unsigned char *from_m = conv2d_slot(stage, row_m, v);
        unsigned char *from_n = conv2d_slot(stage, row_n, v);
        float4 a[PIXELS];
#pragma unroll
        for (int i = 0; i < PIXELS; i++)
            a[i] = *(const float4 *)(from_m + i * ROWS_APART * CONV2D_ROW_BYTES);
#pragma unroll
        for (int j = 0; j < n_n; j++) {
            float4 b = *(const float4 *)(from_n + j * ROWS_APART * CONV2D_ROW_BYTES);
#pragma unroll
            for (int i = 0; i < PIXELS; i++) {
                sums[i][j] = fmaf(a[i].x, b.x, sums[i][j]);
                sums[i][j] = fmaf(a[i].y, b.y, sums[i][j]);
                sums[i][j] = fmaf(a[i].z, b.z, sums[i][j]);
                sums[i][j] = fmaf(a[i].w, b.w, sums[i][j]);
            }
        }
    }
}

// Blocks that share a multiprocessor's registers: 16 warps leave 128 to a thread, which four warps
// of 64 sums a thread overrun by a few, as each copies more rows.
#define BLOCKS_RESIDENT(bm, bn, warps) ((bm) * (bn) == 128 * 64 ? 3 : 16 / (warps))

// One block owns bm target pixels x bn target channels; warps_m x warps_n warps share them out. The
// blocks of one run of pixels follow one another, so that its source is read from memory once.
template <int bm, int bn, int warps_m, int warps_n>
static __global__ void __launch_bounds__(warps_m *warps_n * 32,
                                         BLOCKS_RESIDENT(bm, bn, warps_m *warps_n))
    fma_kernel(const struct conv2d_gather gather,
               const float *source,  // (n, h_source, w_source, p_source)
               const float *weights, // (rows, taps, p_source), packed
               const float *bias,    // (c_target) or NULL
               float *target,        // (n, h_target, w_target, p_target)
               bool accumulate) {
    const int n_threads = warps_m * warps_n * 32;
    const int n_n = bn / warps_n / ROWS_APART;
    DYNAMIC_SHARED(shared);
    SHARED(struct conv2d_rows<bm>, rows, );
    int n_columns = (gather.p_target + bn - 1) / bn;
    int channel_first = (int)blockIdx.x % n_columns * bn;
    int vectors_per_pixel = gather.p_source / 4;
    int weight_vectors = gather.kernel * gather.kernel * vectors_per_pixel;
    conv2d_list_rows<bm, n_threads>(gather, rows, (int)blockIdx.x / n_columns * bm,
                                    vectors_per_pixel);
    struct conv2d_loader<bm, n_threads> loader =
        conv2d_loader_begin<bm, n_threads>(rows, channel_first, vectors_per_pixel, weight_vectors);
    const uint4 *from = (const uint4 *)source;
    const uint4 *by = (const uint4 *)weights;
    const int stage_bytes = (bm + bn) * CONV2D_ROW_BYTES;
    int n_steps = (rows.n_live * vectors_per_pixel + CONV2D_STEP_VECTORS - 1) / CONV2D_STEP_VECTORS;

    for (int i = 0; i < CONV2D_STAGES - 1; i++) {
        if (i < n_steps)
            conv2d_loader_fill<bm, bn, n_threads>(loader, rows, from, by, vectors_per_pixel,
                                                  weight_vectors, shared + i * stage_bytes);
        cp_async_commit();
    }
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int warp_m = warp / warps_n;
    int row_m = warp_m / 2 * (2 * bm / warps_m) + warp_m % 2 + lane / 8 * 2;
    int row_n = warp % warps_n * (bn / warps_n) + lane % 8;
    float sums[PIXELS][n_n] = {};
    for (int step = 0; step < n_steps; step++) {
        cp_async_wait<CONV2D_STAGES - 2>();
        __syncthreads(); // this step's stage is whole, and the one before it is no longer read
        int ahead = step + CONV2D_STAGES - 1;
        if (ahead < n_steps)
            conv2d_loader_fill<bm, bn, n_threads>(loader, rows, from, by, vectors_per_pixel,
                                                  weight_vectors,
                                                  shared + ahead % CONV2D_STAGES * stage_bytes);
        cp_async_commit();
        multiply_stage<n_n>(sums, shared + step % CONV2D_STAGES * stage_bytes, row_m, bm + row_n);
    }
    cp_async_wait<0>();
    __syncthreads(); // the stages become the tile
    float *tile = (float *)shared;
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
#pragma unroll
        for (int j = 0; j < n_n; j++)
            tile[(row_m + i * ROWS_APART) * CONV2D_TILE_PITCH(bn) + row_n + j * ROWS_APART] =
                sums[i][j];
    __syncthreads();
    conv2d_tile_store<float, bm, bn, n_threads>(gather, rows, tile, channel_first, bias, target,
                                                accumulate);
}

// ---- launching ----------------------------------------------------------------------------------

// Allows shared memory when there is no product.
template <int bm, int bn, int warps_m, int warps_n>
static adele_status go(const struct cuda_context *context, const struct conv2d_gather *gather,
                       const struct conv2d_product *product) {
    if (product == NULL)
        return ALLOW_SHARED((fma_kernel<bm, bn, warps_m, warps_n>), conv2d_tile_allowed(bm, bn));
    int n_pixels = gather->first[gather->n_y * gather->n_x];
    int n_blocks = ceil_div(n_pixels, bm) * ceil_div(gather->p_target, bn);
    return LAUNCH(context, (fma_kernel<bm, bn, warps_m, warps_n>), n_blocks, warps_m * warps_n * 32,
                  conv2d_tile_bytes(bm, bn), *gather, (const float *)product->source,
                  (const float *)product->weights, product->bias, (float *)product->target,
                  product->accumulate);
}

static adele_status go_tile(const struct cuda_context *context, const struct conv2d_gather *gather,
                            enum conv2d_tile tile, const struct conv2d_product *product) {
    switch (tile) {
    case CONV2D_TILE_128x128:
        return go<128, 128, 4, 2>(context, gather, product);
    case CONV2D_TILE_128x64:
        return go<128, 64, 4, 1>(context, gather, product);
    case CONV2D_TILE_128x32:
        return go<128, 32, 4, 1>(context, gather, product);
    default:
        return go<64, 64, 2, 2>(context, gather, product);
    }
}

adele_status conv2d_fma_prepare(enum conv2d_tile tile) {
    return go_tile(NULL, NULL, tile, NULL);
}

adele_status conv2d_fma_run(const struct cuda_context *context, const struct conv2d_gather *gather,
                            enum conv2d_tile tile, const struct conv2d_product *product) {
    return go_tile(context, gather, tile, product);
}

} // namespace adele_cuda
