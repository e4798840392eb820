// SPDX-License-Identifier: MIT
// The sums that a thread keeps in registers, and how it adds one stage of shared memory to them: by
// fused multiply-adds in float, or by tensor cores. The kernels of the convolution and of the
// pyramid share them. A tile of bm pixels x bn channels is shared out over warps_m x warps_n warps;
// stages are laid out as in conv2d_tile.cuh, rows of pixels first, then rows of channels. A sum
// is one chain in the order of the stages' vectors: the same bits in every run.
//
// Both types have: clear() at the start; multiply(stage): sums += one stage; store(tile): the sums
// as floats into the tile in shared memory.
#ifndef ADELE_CUDA_CONV2D_CONV2D_SUMS_CUH
#define ADELE_CUDA_CONV2D_CONV2D_SUMS_CUH

#include "conv2d/conv2d_tile.cuh"

namespace adele_cuda {

// ---- fused multiply-add -------------------------------------------------------------------------

// A warp is 4 x 8 threads. Thread (y, x) of it owns 8 pixels and n_n channels, 8 rows apart each,
// so that one address and its place in the layout serve all of them: 64 or 32 products for 16 or 12
// vectors read. The 8 channel rows that a quarter of a warp reads follow one another; its pixel is
// the same for all. Pixel rows start at 2 y, and a pair of warps takes the even and the odd ones of
// 64.
template <int bm, int bn, int warps_m, int warps_n> struct fma_sums {
    static const int rows_apart = 8, n_m = 8, n_n = bn / warps_n / rows_apart;
    float sums[n_m][n_n];
    int row_m, row_n; // the thread's first ones

    __device__ void clear() {
        int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, warp_m = warp / warps_n;
        row_m = warp_m / 2 * (2 * bm / warps_m) + warp_m % 2 + lane / 8 * 2;
        row_n = warp % warps_n * (bn / warps_n) + lane % 8;
#pragma unroll
        for (int i = 0; i < n_m; i++)
#pragma unroll
            for (int j = 0; j < n_n; j++)
                sums[i][j] = 0.0f;
    }

    // Four k at a time. Not unrolled over k: the operands of two rounds would overrun the
    // registers.
    __device__ void multiply(unsigned char *stage) {
#pragma unroll 1
        for (int v = 0; v < CONV2D_STEP_VECTORS; v++) {
            unsigned char *from_m = conv2d_slot(stage, row_m, v);
            unsigned char *from_n = conv2d_slot(stage, bm + row_n, v);
            float4 a[n_m];
#pragma unroll
            for (int i = 0; i < n_m; i++)
                a[i] = *(const float4 *)(from_m + i * rows_apart * CONV2D_ROW_BYTES);
#pragma unroll
            for (int j = 0; j < n_n; j++) {
                float4 b = *(const float4 *)(from_n + j * rows_apart * CONV2D_ROW_BYTES);
#pragma unroll
                for (int i = 0; i < n_m; i++) {
                    sums[i][j] = fmaf(a[i].x, b.x, sums[i][j]);
                    sums[i][j] = fmaf(a[i].y, b.y, sums[i][j]);
                    sums[i][j] = fmaf(a[i].z, b.z, sums[i][j]);
                    sums[i][j] = fmaf(a[i].w, b.w, sums[i][j]);
                }
            }
        }
    }

    __device__ void store(float *tile) const {
#pragma unroll
        for (int i = 0; i < n_m; i++)
#pragma unroll
            for (int j = 0; j < n_n; j++)
                tile[(row_m + i * rows_apart) * CONV2D_TILE_PITCH(bn) + row_n + j * rows_apart] =
                    sums[i][j];
    }
};

// ---- tensor cores -------------------------------------------------------------------------------

// A warp owns up to 64 x 64 of the tile as fragments of 16 x 8. Operands: bf16 tensors as they are
// (k = 16 an instruction). Float tensors are rounded to TF32, or, with that precision, to
// bf16, which TF32 holds exactly; k = 8. Weights were rounded when they were packed.
template <typename T, int math, int bm, int bn, int warps_m, int warps_n> struct mma_sums {
    static const int n_m = bm / warps_m / 16, n_n = bn / warps_n / 8;
    float sums[n_m][n_n][4];

    // The warp's first rows: computed where they are used, because a register for each would be two
    // too many.
    static __device__ int m_first() {
        return (int)threadIdx.x / 32 / warps_n * (bm / warps_m);
    }
    static __device__ int n_first() {
        return (int)threadIdx.x / 32 % warps_n * (bn / warps_n);
    }

    __device__ void clear() {
#pragma unroll
        for (int i = 0; i < n_m; i++)
#pragma unroll
            for (int j = 0; j < n_n; j++)
#pragma unroll
                for (int k = 0; k < 4; k++)
                    sums[i][j][k] = 0.0f;
    }

    // The words of a fragment, ready to multiply.
    static __device__ uint32_t operand_word(uint32_t word) {
        if (sizeof(T) == 2)
            return word;
        float value;
        memcpy(&value, &word, sizeof value);
        value = conv2d_round(value, (enum conv2d_math)math);
        memcpy(&word, &value, sizeof word);
        return word;
    }

    // A half of a row's 64 bytes is one k of the instruction, for bf16 and for floats alike.
    __device__ void multiply(unsigned char *stage) {
        int lane = (int)threadIdx.x % 32;
        int row_a = m_first() + lane % 16;
        int row_b = bm + n_first() + lane % 8 + lane / 16 * 8;
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
            for (int i = 0; i < n_m; i++) { // all of a at once would overrun the registers
                uint32_t a[4];
                ldmatrix_x4(a, conv2d_slot(stage, row_a + i * 16, half + lane / 16));
#pragma unroll
                for (int word = 0; word < 4; word++)
                    a[word] = operand_word(a[word]);
#pragma unroll
                for (int j = 0; j < n_n; j++) {
                    if (sizeof(T) == 2)
                        mma_bf16_16x8x16(sums[i][j], a, b[j]);
                    else
                        mma_tf32_16x8x8(sums[i][j], a, b[j]);
                }
            }
        }
    }

    __device__ void store(float *tile) const {
        int lane = (int)threadIdx.x % 32;
#pragma unroll
        for (int i = 0; i < n_m; i++)
#pragma unroll
            for (int j = 0; j < n_n; j++) {
                float *to = tile + (m_first() + i * 16 + lane / 4) * CONV2D_TILE_PITCH(bn) +
                            n_first() + j * 8 + lane % 4 * 2;
                *(float2 *)to = make_float2(sums[i][j][0], sums[i][j][1]);
                *(float2 *)(to + 8 * CONV2D_TILE_PITCH(bn)) =
                    make_float2(sums[i][j][2], sums[i][j][3]);
            }
    }
};

} // namespace adele_cuda
#endif
