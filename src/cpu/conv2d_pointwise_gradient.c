// SPDX-License-Identifier: MIT
// The weight gradient of a 1 x 1 convolution of stride 1 on groups of 8 channels (a block of 8,
// or half a block of 16), d_weight[o][i] += sum over n, y, x of
// d_dst[n][o][y][x] src[n][i][y][x].
//
// What it improves on: oneDNN's kernel cuts the sum by the number of threads, so its last bits
// change with them. Here the pixels of the batch are cut into ranges by the shape alone, each range
// has its own sums, and those are added up in order.
#include "cpu/conv2d_parts.h"
#include "cpu/lanes.h"
#include "cpu/team.h"
#include "cpu/values.h"

#include <omp.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK       8
#define TILE_FLOATS (BLOCK * BLOCK)
#define MAX_SPLITS  64 // ranges of pixels: enough for any machine of this kind, cheap to sum up

bool conv2d_pointwise_gradient_plan(struct conv2d *self) {
    const struct adele_conv2d_desc *desc = &self->desc;
    if (desc->kernel != 1 || desc->stride != 1 || desc->pad != 0)
        return false;
    struct conv2d_weight_gradient *plan = &self->weight_gradient;
    int64_t n_rows = (int64_t)desc->n * desc->h_in;
    plan->n_splits = n_rows < MAX_SPLITS ? (int)n_rows : MAX_SPLITS;
    plan->partial_bytes = (size_t)plan->n_splits * self->padded_weight_bytes;
    if (self->is_bf16)
        plan->thread_floats = (size_t)(self->c_in_padded + self->c_out_padded) * (size_t)desc->w_in;
    plan->buffer_bytes =
        (size_t)cpu_n_threads(self->base.op.device) * plan->thread_floats * sizeof(float);
    plan->is_used = true;
    return true;
}

// tile[i][o] = sums over n_pixels neighbouring pixels of one pair of channel blocks, added to what
// is there. The plain form, for processors without AVX2; each product is rounded before it is
// added.
static void add_products_plain(const float *src, const float *d_dst, size_t step, size_t n_pixels,
                               float *tile) {
    for (int first = 0; first < BLOCK; first += 4) { // so many sums fit into the registers
        lanes sum[4];
        for (int i = 0; i < 4; i++)
            sum[i] = LANES_AT(tile + (first + i) * BLOCK);
        for (size_t p = 0; p < n_pixels; p++)
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                sum[i] += LANES_AT(d_dst + p * step) * src[p * step + (size_t)(first + i)];
        for (int i = 0; i < 4; i++)
            LANES_STORE(tile + (first + i) * BLOCK, sum[i]);
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static void
add_products_avx2(const float *src, const float *d_dst, size_t step, size_t n_pixels, float *tile) {
    __m256 sum[BLOCK];
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK; i++)
        sum[i] = _mm256_loadu_ps(tile + i * BLOCK);
    for (size_t p = 0; p < n_pixels; p++, src += step, d_dst += step) {
        __m256 g = _mm256_loadu_ps(d_dst);
#pragma GCC unroll 8
        for (int i = 0; i < BLOCK; i++)
            sum[i] = _mm256_fmadd_ps(g, _mm256_broadcast_ss(src + i), sum[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK; i++)
        _mm256_storeu_ps(tile + i * BLOCK, sum[i]);
}

static void add_products(const float *src, const float *d_dst, size_t step, size_t n_pixels,
                         float *tile) {
    if (cpu_isa() < CPU_ISA_AVX2)
        add_products_plain(src, d_dst, step, n_pixels, tile);
    else
        add_products_avx2(src, d_dst, step, n_pixels, tile);
}

#else

static void add_products(const float *src, const float *d_dst, size_t step, size_t n_pixels,
                         float *tile) {
    add_products_plain(src, d_dst, step, n_pixels, tile);
}

#endif

// A row of pixels of all groups of a tensor: where it lies, or its copy in floats.
struct row {
    const void *tensor;
    int n, y, n_channels;
    float *copy; // (groups, W, 8), where the tensor is bf16
};

static const void *row_in_tensor(const struct conv2d *self, const struct row *row, int i_group) {
    size_t w = (size_t)self->desc.w_in;
    const void *plane = conv2d_group(self, row->tensor, row->n, row->n_channels, i_group,
                                     (size_t)self->desc.h_in * w);
    return value_address(plane, (size_t)row->y * w * (size_t)cpu_block(self->base.op.device),
                         self->is_bf16);
}

static void copy_row(const struct conv2d *self, const struct row *row) {
    size_t w = (size_t)self->desc.w_in;
    for (int i = 0; self->is_bf16 && i < row->n_channels / BLOCK; i++)
        conv2d_copy_pixels(row->copy + (size_t)i * w * BLOCK, row_in_tensor(self, row, i),
                           (size_t)cpu_block(self->base.op.device), w, true);
}

static const float *row_of(const struct conv2d *self, const struct row *row, int i_group) {
    return self->is_bf16 ? row->copy + (size_t)i_group * (size_t)self->desc.w_in * BLOCK
                         : row_in_tensor(self, row, i_group);
}

// The rows first .. end - 1 of the batch against each other, for every pair of blocks.
static void run_range(const struct conv2d *self, const struct conv2d_pointers *pointers,
                      int64_t first, int64_t end, float *buffer, float *partial) {
    int n_o = self->c_out_padded / BLOCK, n_i = self->c_in_padded / BLOCK;
    size_t w = (size_t)self->desc.w_in;
    size_t step = self->is_bf16 ? BLOCK : (size_t)cpu_block(self->base.op.device);
    memset(partial, 0, self->padded_weight_bytes);
    for (int64_t at = first; at < end; at++) {
        int n = (int)(at / self->desc.h_in), y = (int)(at % self->desc.h_in);
        struct row src = {pointers->src, n, y, self->c_in_padded, buffer};
        struct row d_dst = {pointers->dst, n, y, self->c_out_padded,
                            buffer + (size_t)self->c_in_padded * w};
        copy_row(self, &src);
        copy_row(self, &d_dst);
        for (int o = 0; o < n_o; o++)
            for (int i = 0; i < n_i; i++)
                add_products(row_of(self, &src, i), row_of(self, &d_dst, o), step, w,
                             partial + ((size_t)o * (size_t)n_i + (size_t)i) * TILE_FLOATS);
    }
}

void conv2d_pointwise_gradient_run(const struct conv2d *self,
                                   const struct conv2d_pointers *pointers, float *d_weight) {
    int n_splits = self->weight_gradient.n_splits, n_i = self->c_in_padded / BLOCK;
    float *partial = (float *)(uintptr_t)pointers->weights;
    float *buffers = (float *)(uintptr_t)pointers->scratchpad;
    size_t part = self->padded_weight_bytes / sizeof(float);
    int64_t n_rows = (int64_t)self->desc.n * self->desc.h_in;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(team_size(cpu_n_threads(self->base.op.device)))
    for (int split = 0; split < n_splits; split++)
        run_range(self, pointers, n_rows * split / n_splits, n_rows * (split + 1) / n_splits,
                  buffers + (size_t)omp_get_thread_num() * self->weight_gradient.thread_floats,
                  partial + (size_t)split * part);
    for (int split = 1; split < n_splits; split++)
        elementwise_add(partial, partial + (size_t)split * part, part);
    for (int o = 0; o < self->desc.c_out; o++)
        for (int i = 0; i < self->desc.c_in; i++) {
            size_t tile = (size_t)(o / BLOCK) * (size_t)n_i + (size_t)(i / BLOCK);
            d_weight[(size_t)o * (size_t)self->desc.c_in + (size_t)i] +=
                partial[tile * TILE_FLOATS + (size_t)(i % BLOCK) * BLOCK + (size_t)(o % BLOCK)];
        }
}
