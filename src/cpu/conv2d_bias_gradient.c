// SPDX-License-Identifier: MIT
// The gradient of a convolution's bias, d_bias[o] += sum over n, y, x of d_dst[n][o][y][x], beside
// our own weight gradients.
//
// What it improves on: threads once took eight channels each, of all images; so two of them read
// the same cache lines of a block of 16, and where one block has all channels, one thread did all.
// Here they take ranges of a block's plane.
//
// Sums: in double, those of each range by themselves, added up in the order of the ranges. A plane
// is cut by its size alone, so the bits do not depend on the number of threads.
#include "cpu/conv2d_parts.h"
#include "cpu/values.h"

// At most 256 KiB: a quarter of a second-level cache, enough for one task.
#define RANGE_VALUES ((size_t)65536)
#define PERIOD       32 // values, whole pixels of 8 or 16: four sums at once hide an add's latency
#define VECTOR       8  // doubles

typedef double doubles __attribute__((vector_size(64), aligned(8), may_alias));

// sums[j] = sum of values[i] over all i that leave j when divided by PERIOD.
CPU_VALUE_KERNEL(static void, sum_range, (const void *values, size_t count, double *sums),
                 (values, count, sums)) {
    doubles sum[PERIOD / VECTOR] = {{0}};
    size_t i = 0;
    for (; i + PERIOD <= count; i += PERIOD)
#pragma GCC unroll 4
        for (size_t j = 0; j < PERIOD / VECTOR; j++) {
            lanes value = lanes_at(values, i + j * VECTOR, is_bf16);
            doubles wide = {value[0], value[1], value[2], value[3],
                            value[4], value[5], value[6], value[7]};
            sum[j] += wide;
        }
#pragma GCC unroll 4
    for (size_t j = 0; j < PERIOD / VECTOR; j++)
        *(doubles *)(sums + j * VECTOR) = sum[j];
    for (size_t j = 0; i + j < count; j++)
        sums[j] += value_at(values, i + j, is_bf16);
}

static size_t plane_values(const struct conv2d *self) {
    return (size_t)self->h_out * (size_t)self->w_out * (size_t)cpu_block(self->base.op.device);
}

// Ranges of a plane.
static size_t n_ranges(const struct conv2d *self) {
    return (plane_values(self) + RANGE_VALUES - 1) / RANGE_VALUES;
}

size_t conv2d_bias_gradient_bytes(const struct conv2d *self) {
    return (size_t)self->desc.n * n_ranges(self) * (size_t)self->c_out_padded * sizeof(double);
}

// The sums of a block's channels over one range of one of its planes.
static void sum_block(const struct conv2d *self, const void *plane, size_t range, double *out) {
    size_t first = range * RANGE_VALUES, left = plane_values(self) - first;
    int block = cpu_block(self->base.op.device);
    double sums[PERIOD];
    sum_range(value_address(plane, first, self->is_bf16), left < RANGE_VALUES ? left : RANGE_VALUES,
              sums, self->is_bf16);
    for (int lane = 0; lane < block; lane++) {
        out[lane] = sums[lane];
        for (int j = lane + block; j < PERIOD; j += block)
            out[lane] += sums[j];
    }
}

void conv2d_bias_gradient(const struct conv2d *self, const void *d_dst, double *sums,
                          float *d_bias) {
    size_t block = (size_t)cpu_block(self->base.op.device), c_out = (size_t)self->c_out_padded;
    size_t n_cuts = n_ranges(self), n_parts = (size_t)self->desc.n * n_cuts;
    size_t n_blocks = c_out / block;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n_parts * n_blocks; i++) {
        size_t plane = i / n_cuts; // (image, block)
        size_t part = plane / n_blocks * n_cuts + i % n_cuts;
        sum_block(self, value_address(d_dst, plane * plane_values(self), self->is_bf16), i % n_cuts,
                  sums + part * c_out + plane % n_blocks * block);
    }
    for (size_t c = 0; c < (size_t)self->desc.c_out; c++) {
        double sum = 0.0;
        for (size_t part = 0; part < n_parts; part++)
            sum += sums[part * c_out + c];
        d_bias[c] += (float)sum;
    }
}
