// SPDX-License-Identifier: MIT
// Max-pooling on blocked tensors (N, ceil(C / B), H, W, B).
//
// The backward pass finds the window's first pixel that equals dst again instead of storing
// indices: it reads src once more, and the forward pass writes nothing beside dst. Rows of windows
// that do not overlap own their rows of d_src; when they overlap one task owns a whole plane.
// Either way each element of d_src is added to in row order, so the bits do not depend on the
// number of threads.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "device/op_check.h"

#include <string.h>

struct max_pool {
    struct cpu_op base;
    struct adele_max_pool_desc desc;
    int h_out, w_out, block, n_blocks;
    struct cpu_slice src;
};

adele_status cpu_max_pool_create(const struct adele_device *device,
                                 const struct adele_max_pool_desc *desc, struct adele_op **out) {
    TRY(op_check_slice("max_pool", desc->src, desc->c, cpu_block(device)));
    TRY(cpu_op_create(device, ADELE_OP_max_pool, sizeof(struct max_pool), out));
    struct max_pool *self = (struct max_pool *)*out;
    self->desc = *desc;
    self->h_out = adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1);
    self->w_out = adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1);
    self->block = cpu_block(device);
    self->n_blocks = (desc->c + self->block - 1) / self->block;
    self->src = cpu_slice_of(desc->src, desc->c, self->block);
    double n_windows =
        (double)desc->n * (double)desc->c * (double)self->h_out * (double)self->w_out;
    self->base.op.flops_forward = n_windows * desc->kernel * desc->kernel;
    self->base.op.flops_backward = self->base.op.flops_forward;
    return ADELE_OK;
}

// ---- kernels: one row of windows of eight channels ----------------------------------------------

struct row {
    int y_first, y_end; // rows of the input that the windows cover
    int w_in, w_out, kernel, stride, pad, block;
};

CPU_KERNEL(static void, forward_row, (const struct row *row, const float *src, float *dst),
           (row, src, dst)) {
    for (int x_out = 0; x_out < row->w_out; x_out++) {
        int start = x_out * row->stride - row->pad;
        int x_first = start > 0 ? start : 0;
        int x_end = start + row->kernel < row->w_in ? start + row->kernel : row->w_in;
        lanes best = LANES_AT(src + ((size_t)row->y_first * (size_t)row->w_in + (size_t)x_first) *
                                        (size_t)row->block);
        for (int y = row->y_first; y < row->y_end; y++)
            for (int x = x_first; x < x_end; x++) {
                lanes v = LANES_AT(src + ((size_t)y * (size_t)row->w_in + (size_t)x) *
                                             (size_t)row->block);
                lanes_mask is_more = (v > best) | (v != v); // a NaN is kept as the maximum
                best = (lanes)(((lanes_mask)v & is_more) | ((lanes_mask)best & ~is_more));
            }
        LANES_STORE(dst + (size_t)x_out * (size_t)row->block, best);
    }
}

CPU_KERNEL(static void, backward_row,
           (const struct row *row, const float *src, const float *dst, const float *d_dst,
            float *d_src),
           (row, src, dst, d_dst, d_src)) {
    for (int x_out = 0; x_out < row->w_out; x_out++) {
        int start = x_out * row->stride - row->pad;
        int x_first = start > 0 ? start : 0;
        int x_end = start + row->kernel < row->w_in ? start + row->kernel : row->w_in;
        lanes best = LANES_AT(dst + (size_t)x_out * (size_t)row->block);
        lanes g = LANES_AT(d_dst + (size_t)x_out * (size_t)row->block);
        for (int y = row->y_first; y < row->y_end; y++)
            for (int x = x_first; x < x_end; x++) {
                size_t at = ((size_t)y * (size_t)row->w_in + (size_t)x) * (size_t)row->block;
                lanes_mask is_best = LANES_AT(src + at) == best;
                LANES_STORE(d_src + at, LANES_AT(d_src + at) + LANES_KEEP(g, is_best));
                g = LANES_KEEP(g, ~is_best); // later equal pixels get no gradient
            }
    }
}

static struct row window_row(const struct max_pool *self, int y_out) {
    int start = y_out * self->desc.stride - self->desc.pad;
    int end = start + self->desc.kernel;
    struct row row = {
        .y_first = start > 0 ? start : 0,
        .y_end = end < self->desc.h_in ? end : self->desc.h_in,
        .w_in = self->desc.w_in,
        .w_out = self->w_out,
        .kernel = self->desc.kernel,
        .stride = self->desc.stride,
        .pad = self->desc.pad,
        .block = self->block,
    };
    return row;
}

adele_status cpu_max_pool_forward(struct adele_op *op, const struct adele_max_pool_args *args) {
    const struct max_pool *self = (const struct max_pool *)op;
    size_t plane_in = (size_t)self->desc.h_in * (size_t)self->desc.w_in * (size_t)self->block;
    size_t row_out = (size_t)self->w_out * (size_t)self->block;
    const float *src = args->src;
    float *dst = args->dst;
    int n_planes = self->desc.n * self->n_blocks;
#pragma omp parallel for collapse(2) schedule(static)
    for (int plane = 0; plane < n_planes; plane++)
        for (int y = 0; y < self->h_out; y++) {
            struct row row = window_row(self, y);
            for (int lane = 0; lane < self->block; lane += LANES)
                forward_row(
                    &row, src + cpu_slice_plane(self->src, plane, self->n_blocks) * plane_in + lane,
                    dst + ((size_t)plane * (size_t)self->h_out + (size_t)y) * row_out + lane);
        }
    return ADELE_OK;
}

// One row of windows of one plane, all channels of the block.
static void backward_windows(const struct max_pool *self, const struct adele_max_pool_args *args,
                             int plane, int y) {
    size_t in = cpu_slice_plane(self->src, plane, self->n_blocks) * (size_t)self->desc.h_in *
                (size_t)self->desc.w_in * (size_t)self->block;
    size_t out = ((size_t)plane * (size_t)self->h_out + (size_t)y) * (size_t)self->w_out *
                 (size_t)self->block;
    struct row row = window_row(self, y);
    for (int lane = 0; lane < self->block; lane += LANES)
        backward_row(&row, (const float *)args->src + in + lane,
                     (const float *)args->dst + out + lane, (const float *)args->d_dst + out + lane,
                     (float *)args->d_src + in + lane);
}

static void zero_rows(const struct max_pool *self, float *d_src, int plane, int y_first,
                      int y_end) {
    size_t row = (size_t)self->desc.w_in * (size_t)self->block;
    if (y_end > y_first)
        memset(d_src +
                   (cpu_slice_plane(self->src, plane, self->n_blocks) * (size_t)self->desc.h_in +
                    (size_t)y_first) *
                       row,
               0, (size_t)(y_end - y_first) * row * sizeof(float));
}

adele_status cpu_max_pool_backward(struct adele_op *op, const struct adele_max_pool_args *args) {
    const struct max_pool *self = (const struct max_pool *)op;
    int n_planes = self->desc.n * self->n_blocks;
    int stride = self->desc.stride, h_in = self->desc.h_in;
    if (stride < self->desc.kernel) {
#pragma omp parallel for schedule(static)
        for (int plane = 0; plane < n_planes; plane++) {
            if (!args->accumulate_d_src)
                zero_rows(self, args->d_src, plane, 0, h_in);
            for (int y = 0; y < self->h_out; y++)
                backward_windows(self, args, plane, y);
        }
        return ADELE_OK;
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (int plane = 0; plane < n_planes; plane++)
        for (int y = 0; y < self->h_out; y++) {
            // The rows up to the next row of windows, or to the edge, belong to this one.
            int y_first = y == 0 ? 0 : y * stride - self->desc.pad;
            int y_end = y == self->h_out - 1 ? h_in : (y + 1) * stride - self->desc.pad;
            if (!args->accumulate_d_src)
                zero_rows(self, args->d_src, plane, y_first, y_end < h_in ? y_end : h_in);
            backward_windows(self, args, plane, y);
        }
    return ADELE_OK;
}
