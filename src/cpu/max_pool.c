// SPDX-License-Identifier: MIT
// Max-pooling on blocked tensors (N, ceil(C / B), H, W, B).
//
// The backward pass finds the window's first pixel that equals dst again instead of storing
// indices: it reads src once more, and the forward pass writes nothing beside dst. Rows of windows
// that do not overlap own their rows of d_src; when they overlap one task owns a whole plane.
// Either way each element of d_src is added to in row order, so the bits do not depend on the
// number of threads. Where windows overlap, a bf16 d_src is added up as floats in the workspace, a
// plane of each thread, so that it is rounded once.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "device/op_check.h"

#include <omp.h>
#include <string.h>

struct max_pool {
    struct cpu_op base;
    struct adele_max_pool_desc desc;
    int h_out, w_out, block, n_blocks, n_threads;
    bool is_bf16, has_overlaps; // of the tensors; of windows
    size_t plane_in;            // values of a plane of src
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
    int64_t n_planes = (int64_t)desc->n * self->n_blocks;
    self->n_threads = cpu_n_threads(device);
    if (n_planes < self->n_threads)
        self->n_threads = (int)n_planes;
    self->is_bf16 = cpu_is_bf16(device);
    self->has_overlaps = desc->stride < desc->kernel;
    self->plane_in = (size_t)desc->h_in * (size_t)desc->w_in * (size_t)self->block;
    if (self->is_bf16 && self->has_overlaps)
        self->base.op.workspace_bytes = (size_t)self->n_threads * self->plane_in * sizeof(float);
    self->src = cpu_slice_of(desc->src, desc->c, self->block);
    double n_windows =
        (double)desc->n * (double)desc->c * (double)self->h_out * (double)self->w_out;
    self->base.op.flops_forward = n_windows * desc->kernel * desc->kernel;
    self->base.op.flops_backward = self->base.op.flops_forward;
    return ADELE_OK;
}

// ---- kernels: one row of windows of eight channels ----------------------------------------------
// src and d_src: of the plane of blocks; dst and d_dst: of the row. All from the first lane on.

struct row {
    int y_first, y_end; // rows of the input that the windows cover
    int w_in, w_out, kernel, stride, pad, block;
};

CPU_VALUE_KERNEL(static void, forward_row, (const struct row *row, const void *src, void *dst),
                 (row, src, dst)) {
    for (int x_out = 0; x_out < row->w_out; x_out++) {
        int start = x_out * row->stride - row->pad;
        int x_first = start > 0 ? start : 0;
        int x_end = start + row->kernel < row->w_in ? start + row->kernel : row->w_in;
        size_t first = (size_t)row->y_first * (size_t)row->w_in + (size_t)x_first;
        lanes best = lanes_at(src, first * (size_t)row->block, is_bf16);
        for (int y = row->y_first; y < row->y_end; y++)
            for (int x = x_first; x < x_end; x++) {
                size_t at = (size_t)y * (size_t)row->w_in + (size_t)x;
                lanes v = lanes_at(src, at * (size_t)row->block, is_bf16);
                lanes_mask is_more = (v > best) | (v != v); // a NaN is kept as the maximum
                best = (lanes)(((lanes_mask)v & is_more) | ((lanes_mask)best & ~is_more));
            }
        lanes_store(dst, (size_t)x_out * (size_t)row->block, best, is_bf16);
    }
}

// Adds to d_src, or to its sums as floats, where there are some.
CPU_VALUE_KERNEL(static void, backward_row,
                 (const struct row *row, const void *src, const void *dst, const void *d_dst,
                  void *d_src, float *sums),
                 (row, src, dst, d_dst, d_src, sums)) {
    for (int x_out = 0; x_out < row->w_out; x_out++) {
        int start = x_out * row->stride - row->pad;
        int x_first = start > 0 ? start : 0;
        int x_end = start + row->kernel < row->w_in ? start + row->kernel : row->w_in;
        lanes best = lanes_at(dst, (size_t)x_out * (size_t)row->block, is_bf16);
        lanes g = lanes_at(d_dst, (size_t)x_out * (size_t)row->block, is_bf16);
        for (int y = row->y_first; y < row->y_end; y++)
            for (int x = x_first; x < x_end; x++) {
                size_t at = ((size_t)y * (size_t)row->w_in + (size_t)x) * (size_t)row->block;
                lanes_mask is_best = lanes_at(src, at, is_bf16) == best;
                if (is_bf16 && sums != NULL)
                    LANES_STORE(sums + at, LANES_AT(sums + at) + LANES_KEEP(g, is_best));
                else
                    lanes_store(d_src, at, lanes_at(d_src, at, is_bf16) + LANES_KEEP(g, is_best),
                                is_bf16);
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

// Of a tensor: the value of a lane of a plane's first pixel, or of one of its rows.
static size_t plane_of_src(const struct max_pool *self, int plane) {
    return cpu_slice_plane(self->src, plane, self->n_blocks) * self->plane_in;
}

static size_t row_of_dst(const struct max_pool *self, int plane, int y) {
    return ((size_t)plane * (size_t)self->h_out + (size_t)y) * (size_t)self->w_out *
           (size_t)self->block;
}

adele_status cpu_max_pool_forward(struct adele_op *op, const struct adele_max_pool_args *args) {
    const struct max_pool *self = (const struct max_pool *)op;
    bool is_bf16 = self->is_bf16;
    int n_planes = self->desc.n * self->n_blocks;
#pragma omp parallel for collapse(2) schedule(static)
    for (int plane = 0; plane < n_planes; plane++)
        for (int y = 0; y < self->h_out; y++) {
            struct row row = window_row(self, y);
            size_t in = plane_of_src(self, plane), out = row_of_dst(self, plane, y);
            for (size_t lane = 0; lane < (size_t)self->block; lane += LANES)
                forward_row(&row, value_address(args->src, in + lane, is_bf16),
                            value_address(args->dst, out + lane, is_bf16), is_bf16);
        }
    return ADELE_OK;
}

// One row of windows of one plane, all channels of the block. sums: of the plane, or NULL.
static void backward_windows(const struct max_pool *self, const struct adele_max_pool_args *args,
                             int plane, int y, float *sums) {
    bool is_bf16 = self->is_bf16;
    struct row row = window_row(self, y);
    size_t in = plane_of_src(self, plane), out = row_of_dst(self, plane, y);
    for (size_t lane = 0; lane < (size_t)self->block; lane += LANES)
        backward_row(&row, value_address(args->src, in + lane, is_bf16),
                     value_address(args->dst, out + lane, is_bf16),
                     value_address(args->d_dst, out + lane, is_bf16),
                     value_address(args->d_src, in + lane, is_bf16),
                     sums != NULL ? sums + lane : NULL, is_bf16);
}

static void zero_rows(const struct max_pool *self, void *d_src, int plane, int y_first, int y_end) {
    size_t row = (size_t)self->desc.w_in * (size_t)self->block;
    size_t first = plane_of_src(self, plane) + (size_t)y_first * row;
    if (y_end > y_first)
        memset(value_address(d_src, first, self->is_bf16), 0,
               (size_t)(y_end - y_first) * row * value_bytes(self->is_bf16));
}

// A plane of windows that overlap.
static void backward_plane(const struct max_pool *self, const struct adele_max_pool_args *args,
                           int plane) {
    float *sums = NULL;
    void *d_src = value_address(args->d_src, plane_of_src(self, plane), self->is_bf16);
    if (self->is_bf16)
        sums = (float *)args->workspace + (size_t)omp_get_thread_num() * self->plane_in;
    if (sums != NULL && args->accumulate_d_src)
        elementwise_widen(sums, d_src, self->plane_in);
    else if (sums != NULL)
        memset(sums, 0, self->plane_in * sizeof(float));
    else if (!args->accumulate_d_src)
        zero_rows(self, args->d_src, plane, 0, self->desc.h_in);
    for (int y = 0; y < self->h_out; y++)
        backward_windows(self, args, plane, y, sums);
    if (sums != NULL)
        elementwise_narrow(d_src, sums, self->plane_in);
}

adele_status cpu_max_pool_backward(struct adele_op *op, const struct adele_max_pool_args *args) {
    const struct max_pool *self = (const struct max_pool *)op;
    int n_planes = self->desc.n * self->n_blocks;
    int stride = self->desc.stride, h_in = self->desc.h_in;
    if (self->has_overlaps) {
#pragma omp parallel for schedule(static) num_threads(team_size(self->n_threads))
        for (int plane = 0; plane < n_planes; plane++)
            backward_plane(self, args, plane);
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
            backward_windows(self, args, plane, y, NULL);
        }
    return ADELE_OK;
}
