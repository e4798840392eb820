// SPDX-License-Identifier: MIT
// The forward pass of a 3 x 3 convolution on an image of at most 4 channels, for processors with
// AVX2 and FMA (blocks of 8 channels) and with AVX-512 (blocks of 16).
//
// What it improves on: in the blocked layout such an image is mostly padding channels, and oneDNN
// multiplies them all, as Winograd's algorithm does; here only channels that exist are read.
// Measured on one Zen core at (5, 1 -> 16, 128 x 128): 0.5 ms instead of 2.4 ms with AVX2. A task
// owns a few rows of one image, so the bits do not depend on the number of threads. Each sum has
// the same order with both instruction sets.
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "cpu/team.h"
#include "cpu/values.h"

#include <omp.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define KERNEL       3
#define GROUP        8  // floats of a vector of AVX2, and of a pixel in the row buffers
#define PAIR         16 // output channels of a register tile: two blocks of 8, or one of 16
#define TAPS         (KERNEL * KERNEL)
#define MAX_CHANNELS 4 // half a block of 8: beyond that oneDNN's kernel is faster
#define ROWS         8 // output rows of a task: they share input rows
#define WIDTH                                                                                      \
    6 // pixels of a register tile: 2 x 6 sums, 2 weights and 1 value make 15 of 16 registers
#define WIDTH_AVX512  12 // the same; more sums than a multiply-add has cycles of latency
#define NARROW_AVX512 4  // with a stride, and for the rest of a row

#if defined(__x86_64__)

bool conv2d_first_layer_plan(struct conv2d *self) {
    const struct adele_conv2d_desc *desc = &self->desc;
    enum cpu_isa needed = cpu_block(self->base.op.device) == PAIR ? CPU_ISA_AVX512 : CPU_ISA_AVX2;
    if (desc->kernel != KERNEL || desc->c_in > MAX_CHANNELS || cpu_isa() < needed)
        return false;
    struct conv2d_first_layer *plan = &self->first_layer;
    plan->n_filled = self->h_out < ROWS ? self->h_out : ROWS;
    plan->n_buffer_rows = conv2d_rows_read(desc, plan->n_filled);
    // Weights of 16 channels lie side by side, as do their biases; an odd last block of 8 is
    // paired with zeros.
    plan->packed_floats =
        ((size_t)self->c_out_padded + PAIR - 1) / PAIR * PAIR * ((size_t)desc->c_in * TAPS + 1);
    plan->weights_bytes = 2 * plan->packed_floats * sizeof(float); // as packed, and rounded
    plan->buffer_bytes = (size_t)cpu_n_threads(self->base.op.device) * (size_t)plan->n_buffer_rows *
                         ((size_t)desc->w_in + 2 * (size_t)desc->pad) * GROUP * sizeof(float);
    plan->is_used = true;
    return true;
}

// packed[pair][ky][i][kx][16], then the 16 biases of the pair; zeros where there is no channel.
static const float *pack_weights(const struct conv2d *self, const float *weight, const float *bias,
                                 float *packed) {
    const struct adele_conv2d_desc *desc = &self->desc;
    size_t n_taps = (size_t)desc->c_in * TAPS, n_floats = self->first_layer.packed_floats;
    size_t pair_floats = (n_taps + 1) * PAIR;
    memset(packed, 0, n_floats * sizeof(float));
    for (size_t o = 0; o < (size_t)desc->c_out; o++) {
        float *to = packed + o / PAIR * pair_floats + o % PAIR;
        const float *from = weight + o * n_taps;
        for (int ky = 0; ky < KERNEL; ky++)
            for (int i = 0; i < desc->c_in; i++)
                for (int kx = 0; kx < KERNEL; kx++, to += PAIR)
                    *to = from[(i * KERNEL + ky) * KERNEL + kx];
    }
    float *used = packed;
    if (self->rounds) {
        used = packed + n_floats;
        elementwise_round(used, packed, n_floats);
    }
    for (size_t o = 0; o < (size_t)desc->c_out && desc->has_bias; o++) // biases are not rounded
        used[o / PAIR * pair_floats + n_taps * PAIR + o % PAIR] = bias[o];
    return used;
}

// One row of 16 output channels.
struct row {
    const float *src;                 // of the padded input row of ky = 0
    size_t src_step, src_tap, src_ky; // floats from x to x + 1, kx to kx + 1, ky to ky + 1
    const float *weights;             // [ky][i][kx][16], biases
    int c_in;
    void *dst0, *dst1; // two blocks of 8, dst1 NULL for an odd last one; or one of 16 and NULL
    bool is_bf16;      // dst
};

// Pixels x .. x + width - 1; `width` and `is_bf16` are constants where this is inlined.
__attribute__((target("avx2,fma"), always_inline)) static inline void
tile_avx2(const struct row *row, int x, const int width, const bool is_bf16) {
    __m256 sum0[WIDTH], sum1[WIDTH];
    const float *weights = row->weights;
    const float *bias = weights + (size_t)row->c_in * TAPS * PAIR;
#pragma GCC unroll 6
    for (int j = 0; j < width; j++) {
        sum0[j] = _mm256_loadu_ps(bias);
        sum1[j] = _mm256_loadu_ps(bias + GROUP);
    }
    for (int ky = 0; ky < KERNEL; ky++)
        for (int i = 0; i < row->c_in; i++) {
            const float *from =
                row->src + (size_t)ky * row->src_ky + (size_t)x * row->src_step + (size_t)i;
            for (int kx = 0; kx < KERNEL; kx++, from += row->src_tap, weights += PAIR) {
                __m256 a = _mm256_loadu_ps(weights), b = _mm256_loadu_ps(weights + GROUP);
#pragma GCC unroll 6
                for (int j = 0; j < width; j++) {
                    __m256 value = _mm256_broadcast_ss(from + (size_t)j * row->src_step);
                    sum0[j] = _mm256_fmadd_ps(a, value, sum0[j]);
                    sum1[j] = _mm256_fmadd_ps(b, value, sum1[j]);
                }
            }
        }
#pragma GCC unroll 6
    for (int j = 0; j < width; j++) {
        lanes_store(row->dst0, (size_t)(x + j) * GROUP, (lanes)sum0[j], is_bf16);
        if (row->dst1 != NULL)
            lanes_store(row->dst1, (size_t)(x + j) * GROUP, (lanes)sum1[j], is_bf16);
    }
}

__attribute__((target("avx2,fma"), always_inline)) static inline void
tiles_avx2(const struct row *row, int n_columns, const bool is_bf16) {
    int x = 0;
    for (; x + WIDTH <= n_columns; x += WIDTH)
        tile_avx2(row, x, WIDTH, is_bf16);
    for (; x < n_columns; x++)
        tile_avx2(row, x, 1, is_bf16);
}

__attribute__((target("avx2,fma"))) static void run_pair_avx2(const struct row *row,
                                                              int n_columns) {
    if (row->is_bf16)
        tiles_avx2(row, n_columns, true);
    else
        tiles_avx2(row, n_columns, false);
}

// The same for one block of 16; `step` is src_step, a constant where the stride is 1, so that one
// register addresses all pixels.
__attribute__((target("avx512f"), always_inline)) static inline void
tile_avx512(const struct row *row, int x, const int width, size_t step, const bool is_bf16) {
    __m512 sum[WIDTH_AVX512];
    const float *weights = row->weights;
    __m512 bias = _mm512_loadu_ps(weights + (size_t)row->c_in * TAPS * PAIR);
#pragma GCC unroll 12
    for (int j = 0; j < width; j++)
        sum[j] = bias;
    for (int ky = 0; ky < KERNEL; ky++)
        for (int i = 0; i < row->c_in; i++) {
            const float *from = row->src + (size_t)ky * row->src_ky + (size_t)x * step + (size_t)i;
            for (int kx = 0; kx < KERNEL; kx++, from += row->src_tap, weights += PAIR) {
                __m512 weight = _mm512_loadu_ps(weights);
#pragma GCC unroll 12
                for (int j = 0; j < width; j++)
                    sum[j] =
                        _mm512_fmadd_ps(weight, _mm512_set1_ps(from[(size_t)j * step]), sum[j]);
            }
        }
#pragma GCC unroll 12
    for (int j = 0; j < width; j++) {
        size_t at = (size_t)(x + j) * PAIR;
        lanes_store(row->dst0, at, (lanes)_mm512_castps512_ps256(sum[j]), is_bf16);
        lanes_store(row->dst0, at + LANES,
                    (lanes)_mm512_extractf64x4_pd(_mm512_castps_pd(sum[j]), 1), is_bf16);
    }
}

__attribute__((target("avx512f"), always_inline)) static inline void
tiles_avx512(const struct row *row, int n_columns, const bool is_bf16) {
    int x = 0;
    for (; row->src_step == GROUP && x + WIDTH_AVX512 <= n_columns; x += WIDTH_AVX512)
        tile_avx512(row, x, WIDTH_AVX512, GROUP, is_bf16);
    for (; x + NARROW_AVX512 <= n_columns; x += NARROW_AVX512)
        tile_avx512(row, x, NARROW_AVX512, row->src_step, is_bf16);
    for (; x < n_columns; x++)
        tile_avx512(row, x, 1, row->src_step, is_bf16);
}

__attribute__((target("avx512f"))) static void run_block_avx512(const struct row *row,
                                                                int n_columns) {
    if (row->is_bf16)
        tiles_avx512(row, n_columns, true);
    else
        tiles_avx512(row, n_columns, false);
}

// Output rows y .. y + n_rows - 1 of image n, all channels.
static void run_rows(const struct conv2d *self, const void *src, const float *packed, void *dst,
                     int n, int y, int n_rows, float *buffer) {
    const struct adele_conv2d_desc *desc = &self->desc;
    size_t block = (size_t)cpu_block(self->base.op.device);
    size_t plane_in = (size_t)desc->h_in * (size_t)desc->w_in * block;
    size_t plane_out = (size_t)self->h_out * (size_t)self->w_out * block;
    size_t buffer_row = ((size_t)desc->w_in + 2 * (size_t)desc->pad) * GROUP;
    size_t pair_floats = ((size_t)desc->c_in * TAPS + 1) * PAIR;
    size_t n_blocks = (size_t)self->c_out_padded / block, n_in_pair = PAIR / block;
    // At most 4 channels: the image has one block.
    conv2d_fill_rows(self, value_address(src, (size_t)n * plane_in, self->is_bf16), y, n_rows,
                     buffer);
    for (int i = 0; i < n_rows; i++)
        for (size_t o = 0; o < n_blocks; o += n_in_pair) {
            size_t to = ((size_t)n * n_blocks + o) * plane_out +
                        (size_t)(y + i) * (size_t)self->w_out * block;
            bool has_two = n_in_pair == 2 && o + 1 < n_blocks;
            struct row row = {.src = buffer + (size_t)(i * desc->stride) * buffer_row,
                              .src_step = (size_t)desc->stride * GROUP,
                              .src_tap = (size_t)desc->dilation * GROUP,
                              .src_ky = (size_t)desc->dilation * buffer_row,
                              .weights = packed + o / n_in_pair * pair_floats,
                              .c_in = desc->c_in,
                              .dst0 = value_address(dst, to, self->is_bf16),
                              .dst1 = has_two ? value_address(dst, to + plane_out, self->is_bf16)
                                              : NULL,
                              .is_bf16 = self->is_bf16};
            if (block == PAIR)
                run_block_avx512(&row, self->w_out);
            else
                run_pair_avx2(&row, self->w_out);
        }
}

void conv2d_first_layer_run(const struct conv2d *self, const void *src, const float *weight,
                            const float *bias, void *dst, char *workspace) {
    const struct conv2d_first_layer *plan = &self->first_layer;
    const float *packed =
        pack_weights(self, weight, bias, (float *)(void *)(workspace + plan->at_weights));
    float *buffers = (float *)(void *)(workspace + plan->at_buffer);
    size_t buffer_floats = (size_t)plan->n_buffer_rows *
                           ((size_t)self->desc.w_in + 2 * (size_t)self->desc.pad) * GROUP;
    int n_images = self->desc.n;
    int h_out = self->h_out, step = plan->n_filled;
#pragma omp parallel for collapse(2) schedule(static)                                              \
    num_threads(team_size(cpu_n_threads(self->base.op.device)))
    for (int n = 0; n < n_images; n++)
        for (int y = 0; y < h_out; y += step)
            run_rows(self, src, packed, dst, n, y, y + step < h_out ? step : h_out - y,
                     buffers + (size_t)omp_get_thread_num() * buffer_floats);
}

#else

bool conv2d_first_layer_plan(struct conv2d *self) {
    (void)self;
    return false;
}

void conv2d_first_layer_run(const struct conv2d *self, const void *src, const float *weight,
                            const float *bias, void *dst, char *workspace) {
    (void)self, (void)src, (void)weight, (void)bias, (void)dst, (void)workspace;
}

#endif
