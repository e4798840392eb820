// SPDX-License-Identifier: MIT
// Convolution on tensor cores: forward pass and data gradient, any stride, dilation and padding,
// kernels up to 5 x 5. A 1 x 1 kernel with stride 1 is a plain matrix product here.
//
// It improves on the plain kernel by reuse: a source vector that a block has copied into shared
// memory is multiplied with 32 to 128 target channels, a weight with 64 to 128 pixels; by
// asynchronous copies three steps ahead; and by mma.sync. conv2d_tile.cuh tells the copies and the
// layouts. A warp owns up to 64 x 32 of the block's tile, as fragments of 16 x 8 in registers.
//
// Operands: bf16 tensors as they are (k = 16 an instruction). Float tensors are rounded to TF32,
// or, when a bf16 convolution is asked of them, to bf16, which TF32 holds exactly; k = 8. Weights
// were rounded by conv2d_pack. Sums are float, one chain a target element, in the order of taps and
// channels: the same bits in every run. Overwrites the target, or adds to it.
#include "conv2d/conv2d_tile.cuh"

namespace adele_cuda {

// The words of a fragment, ready to multiply.
template <typename T, int math> static __device__ inline uint32_t operand_word(uint32_t word) {
    if (sizeof(T) == 2)
        return word;
    float value;
    memcpy(&value, &word, sizeof value);
    if (math == CONV2D_TF32)
        return to_tf32(value);
    value = to_float(from_float<bf16>(value));
    memcpy(&word, &value, sizeof word);
    return word;
}

template <typename T>
static __device__ inline void multiply(float sums[4], const uint32_t a[4], const uint32_t b[2]) {
    if (sizeof(T) == 2)
        mma_bf16_16x8x16(sums, a, b);
    else
        mma_tf32_16x8x8(sums, a, b);
}

// sums += one stage: the warp's rows of pixels from m_first and of weights from n_first. A half of
// 32 bytes is one k of the instruction, for bf16 and for floats alike.
template <typename T, int math, int bm, int n_m, int n_n>
static __device__ inline void multiply_stage(float sums[n_m][n_n][4], unsigned char *stage,
                                             int m_first, int n_first) {
    int lane = (int)threadIdx.x % 32;
    int row_a = m_first + lane % 16;
    int row_b = bm + n_first + lane % 8 + lane / 16 * 8;
#pragma unroll
    for (int half = 0; half < CONV2D_STEP_VECTORS; half += 2) {
        uint32_t a[n_m][4], b[n_n][2];
#pragma unroll
        for (int i = 0; i < n_m; i++)
            ldmatrix_x4(a[i], conv2d_slot(stage, row_a + i * 16, half + lane / 16));
#pragma unroll
        for (int j = 0; j < n_n; j += 2) {
            uint32_t two[4];
            ldmatrix_x4(two, conv2d_slot(stage, row_b + j * 8, half + lane / 8 % 2));
            b[j][0] = two[0], b[j][1] = two[1], b[j + 1][0] = two[2], b[j + 1][1] = two[3];
        }
#pragma unroll
        for (int i = 0; i < n_m; i++) {
#pragma unroll
            for (int word = 0; word < 4; word++)
                a[i][word] = operand_word<T, math>(a[i][word]);
#pragma unroll
            for (int j = 0; j < n_n; j++)
                multiply<T>(sums[i][j], a[i], b[j]);
        }
    }
}

// The warp's fragments into the tile in shared memory.
template <int bn, int n_m, int n_n>
static __device__ inline void stage_sums(const float sums[n_m][n_n][4], float *tile, int m_first,
                                         int n_first) {
    int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < n_m; i++)
#pragma unroll
        for (int j = 0; j < n_n; j++) {
            float *to = tile + (m_first + i * 16 + lane / 4) * CONV2D_TILE_PITCH(bn) + n_first +
                        j * 8 + lane % 4 * 2;
            *(float2 *)to = make_float2(sums[i][j][0], sums[i][j][1]);
            *(float2 *)(to + 8 * CONV2D_TILE_PITCH(bn)) = make_float2(sums[i][j][2], sums[i][j][3]);
        }
}

// Warps that share a multiprocessor's registers: 16 leave 128 to a thread, which rounding in
// registers (float tensors) overruns.
#define WARPS_RESIDENT(T, warps) (sizeof(T) == 4 && (warps) == 4 ? 12 : 16)

// One block owns bm target pixels x bn target channels; warps_m x warps_n warps share them out. The
// blocks of one run of pixels follow one another, so that its source is read from memory once.
template <typename T, int math, int bm, int bn, int warps_m, int warps_n>
static __global__ void __launch_bounds__(warps_m *warps_n * 32,
                                         WARPS_RESIDENT(T, warps_m *warps_n) / (warps_m * warps_n))
    mma_kernel(const struct conv2d_gather gather,
               const T *source,   // (n, h_source, w_source, p_source)
               const T *weights,  // (rows, taps, p_source), packed
               const float *bias, // (c_target) or NULL
               T *target,         // (n, h_target, w_target, p_target)
               bool accumulate) {
    const int n_threads = warps_m * warps_n * 32;
    const int n_m = bm / warps_m / 16, n_n = bn / warps_n / 8;
    DYNAMIC_SHARED(shared);
    SHARED(struct conv2d_rows<bm>, rows, );
    int n_columns = (gather.p_target + bn - 1) / bn;
    int channel_first = (int)blockIdx.x % n_columns * bn;
    int vectors_per_pixel = gather.p_source * (int)sizeof(T) / 16;
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
    int warp = (int)threadIdx.x / 32;
    int m_first = warp / warps_n * (bm / warps_m), n_first = warp % warps_n * (bn / warps_n);
    float sums[n_m][n_n][4] = {};
    for (int step = 0; step < n_steps; step++) {
        cp_async_wait<CONV2D_STAGES - 2>();
        __syncthreads(); // this step's stage is whole, and the one before it is no longer read
        int ahead = step + CONV2D_STAGES - 1;
        if (ahead < n_steps)
            conv2d_loader_fill<bm, bn, n_threads>(loader, rows, from, by, vectors_per_pixel,
                                                  weight_vectors,
                                                  shared + ahead % CONV2D_STAGES * stage_bytes);
        cp_async_commit();
        multiply_stage<T, math, bm, n_m, n_n>(sums, shared + step % CONV2D_STAGES * stage_bytes,
                                              m_first, n_first);
    }
    cp_async_wait<0>();
    __syncthreads(); // the stages become the tile
    float *tile = (float *)shared;
    stage_sums<bn, n_m, n_n>(sums, tile, m_first, n_first);
    __syncthreads();
    conv2d_tile_store<T, bm, bn, n_threads>(gather, rows, tile, channel_first, bias, target,
                                            accumulate);
}

// ---- launching ----------------------------------------------------------------------------------

template <typename T, int math, int bm, int bn, int warps_m, int warps_n>
static adele_status launch(const struct cuda_context *context, const struct conv2d_gather *gather,
                           const struct conv2d_product *product) {
    int n_pixels = gather->first[gather->n_y * gather->n_x];
    int n_blocks = ceil_div(n_pixels, bm) * ceil_div(gather->p_target, bn);
    return LAUNCH(context, (mma_kernel<T, math, bm, bn, warps_m, warps_n>), n_blocks,
                  warps_m * warps_n * 32, conv2d_tile_bytes(bm, bn), *gather,
                  (const T *)product->source, (const T *)product->weights, product->bias,
                  (T *)product->target, product->accumulate);
}

// Allows shared memory when there is no product.
template <typename T, int math, int bm, int bn, int warps_m, int warps_n>
static adele_status go(const struct cuda_context *context, const struct conv2d_gather *gather,
                       const struct conv2d_product *product) {
    if (product == NULL)
        return ALLOW_SHARED((mma_kernel<T, math, bm, bn, warps_m, warps_n>),
                            conv2d_tile_allowed(bm, bn));
    return launch<T, math, bm, bn, warps_m, warps_n>(context, gather, product);
}

template <typename T, int math>
static adele_status go_tile(const struct cuda_context *context, const struct conv2d_gather *gather,
                            enum conv2d_tile tile, const struct conv2d_product *product) {
    switch (tile) {
    case CONV2D_TILE_128x128:
        return go<T, math, 128, 128, 2, 4>(context, gather, product);
    case CONV2D_TILE_128x64:
        return go<T, math, 128, 64, 2, 2>(context, gather, product);
    case CONV2D_TILE_128x32:
        return go<T, math, 128, 32, 4, 1>(context, gather, product);
    default:
        return go<T, math, 64, 64, 2, 2>(context, gather, product);
    }
}

static adele_status go_math(const struct cuda_context *context, const struct conv2d_gather *gather,
                            enum conv2d_math math, enum conv2d_tile tile,
                            const struct conv2d_product *product) {
    if (context->storage == ADELE_PRECISION_BF16)
        return go_tile<bf16, CONV2D_BF16>(context, gather, tile, product);
    if (math == CONV2D_BF16)
        return go_tile<float, CONV2D_BF16>(context, gather, tile, product);
    return go_tile<float, CONV2D_TF32>(context, gather, tile, product);
}

adele_status conv2d_mma_prepare(const struct cuda_context *context, enum conv2d_math math,
                                enum conv2d_tile tile) {
    return go_math(context, NULL, math, tile, NULL);
}

adele_status conv2d_mma_run(const struct cuda_context *context, const struct conv2d_gather *gather,
                            enum conv2d_math math, enum conv2d_tile tile,
                            const struct conv2d_product *product) {
    return go_math(context, gather, math, tile, product);
}

} // namespace adele_cuda
