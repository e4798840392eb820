// SPDX-License-Identifier: MIT
// The atrous pyramid on tensor cores: forward pass and data gradient, every rate in one launch.
//
// It improves on the plain kernel by reuse (a source vector in shared memory serves 32 to 128
// channels, a weight 128 pixels), by skipping the taps that lie in the padding for a whole tile,
// by adding up the centres of all branches before they are multiplied (SUM), by asynchronous copies
// three steps ahead and by mma.sync. SUM keeps the sum over the branches in registers: no tensor
// lies between. aspp_tile.cuh tells the copies, aspp_parts.cuh the order of pixels.
//
// Operands: bf16 tensors as they are (k = 16 an instruction). Float tensors are rounded to TF32,
// or, when a bf16 pyramid is asked of them, to bf16, which TF32 holds exactly; k = 8. Weights were
// rounded by aspp_pack. Sums are float, one chain a target element, in the order of taps and
// channels: the same bits in every run. Overwrites the target, or adds to it.
#include "aspp/aspp_tile.cuh"

namespace adele_cuda {

// The words of a fragment, ready to multiply.
template <typename T, int math> static __device__ inline uint32_t operand_word(uint32_t word) {
    if (sizeof(T) == 2)
        return word;
    float value;
    memcpy(&value, &word, sizeof value);
    value = conv2d_round(value, (enum conv2d_math)math);
    memcpy(&word, &value, sizeof word);
    return word;
}

// A warp owns 16 n_m pixels x 8 n_n channels; sums are (n_m, n_n, 4). A half of 32 bytes of a row
// is one k of the instruction, for bf16 and for floats alike.
template <typename T, int math, int bn, int warps_m, int warps_n>
static __device__ inline void aspp_multiply(float *sums, unsigned char *stage) {
    const int n_m = ASPP_TILE / warps_m / 16, n_n = bn / warps_n / 8;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int row_a = warp / warps_n * (ASPP_TILE / warps_m) + lane % 16;
    int row_b = ASPP_TILE + warp % warps_n * (bn / warps_n) + lane % 8 + lane / 16 * 8;
#pragma unroll
    for (int half = 0; half < CONV2D_STEP_VECTORS; half += 2) {
        uint32_t b[n_n][2];
#pragma unroll
        for (int j = 0; j < n_n; j += 2) {
            uint32_t two[4];
            ldmatrix_x4(two, conv2d_slot(stage, row_b + j * 8, half + lane / 8 % 2));
            b[j][0] = two[0], b[j][1] = two[1], b[j + 1][0] = two[2], b[j + 1][1] = two[3];
        }
#pragma unroll
        for (int i = 0; i < n_m; i++) {
            uint32_t a[4];
            ldmatrix_x4(a, conv2d_slot(stage, row_a + i * 16, half + lane / 16));
#pragma unroll
            for (int word = 0; word < 4; word++)
                a[word] = operand_word<T, math>(a[word]);
#pragma unroll
            for (int j = 0; j < n_n; j++) {
                float *sum = sums + (i * n_n + j) * 4;
                if (sizeof(T) == 2)
                    mma_bf16_16x8x16(sum, a, b[j]);
                else
                    mma_tf32_16x8x8(sum, a, b[j]);
            }
        }
    }
}

template <int math, int bn, int warps_m, int warps_n>
static __device__ inline void aspp_stage_sums(const float *sums, float *tile) {
    const int n_m = ASPP_TILE / warps_m / 16, n_n = bn / warps_n / 8;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int row = warp / warps_n * (ASPP_TILE / warps_m) + lane / 4;
    int column = warp % warps_n * (bn / warps_n) + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < n_m; i++)
#pragma unroll
        for (int j = 0; j < n_n; j++) {
            const float *sum = sums + (i * n_n + j) * 4;
            float *to = tile + (row + i * 16) * CONV2D_TILE_PITCH(bn) + column + j * 8;
            *(float2 *)to = make_float2(sum[0], sum[1]);
            *(float2 *)(to + 8 * CONV2D_TILE_PITCH(bn)) = make_float2(sum[2], sum[3]);
        }
}

// ---- launching ----------------------------------------------------------------------------------

template <typename T, int math>
static adele_status go_wide(const struct cuda_context *context, const struct aspp_gather *gather,
                            const struct aspp_product *product) {
    return aspp_launch<T, math, 128, 2, 4>(context, gather, product);
}

template <typename T, int math>
static adele_status go_narrow(const struct cuda_context *context, const struct aspp_gather *gather,
                              const struct aspp_product *product) {
    return aspp_launch<T, math, 32, 4, 1>(context, gather, product);
}

static adele_status go(const struct cuda_context *context, const struct aspp_gather *gather,
                       enum conv2d_math math, bool is_narrow, const struct aspp_product *product) {
    if (context->storage == ADELE_PRECISION_BF16)
        return is_narrow ? go_narrow<bf16, CONV2D_BF16>(context, gather, product)
                         : go_wide<bf16, CONV2D_BF16>(context, gather, product);
    if (math == CONV2D_BF16)
        return is_narrow ? go_narrow<float, CONV2D_BF16>(context, gather, product)
                         : go_wide<float, CONV2D_BF16>(context, gather, product);
    return is_narrow ? go_narrow<float, CONV2D_TF32>(context, gather, product)
                     : go_wide<float, CONV2D_TF32>(context, gather, product);
}

adele_status aspp_mma_prepare(const struct cuda_context *context, enum conv2d_math math) {
    TRY(go(context, NULL, math, false, NULL));
    return go(context, NULL, math, true, NULL);
}

adele_status aspp_mma_run(const struct cuda_context *context, const struct aspp_gather *gather,
                          enum conv2d_math math, const struct aspp_product *product) {
    return go(context, gather, math, aspp_is_narrow(gather), product);
}

} // namespace adele_cuda
