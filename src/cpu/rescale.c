// SPDX-License-Identifier: MIT
// Bilinear rescaling with align-corners on blocked tensors (N, ceil(C / B), H, W, B), placed in a
// zero plane.
//
// Both directions are separable: a vertical pass into one row per thread, then a horizontal pass.
// The backward pass gathers: every source row (column) has a list of the target rows (columns) that
// read it, in ascending order, so the order of the sums is fixed and no two threads write the same
// element. The rows of the threads are floats, so that a bf16 result is rounded once.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "device/op_check.h"
#include "device/rescale_axis.h"

#include <omp.h>
#include <string.h>

struct rescale {
    struct cpu_op base;
    struct adele_rescale_desc desc;
    int block, n_blocks;
    bool is_bf16;
    struct cpu_slice dst;
    struct rescale_axis vertical, horizontal;
};

static void rescale_release(struct cpu_op *op) {
    struct rescale *self = (struct rescale *)op;
    rescale_axis_deinit(&self->vertical);
    rescale_axis_deinit(&self->horizontal);
}

adele_status cpu_rescale_create(const struct adele_device *device,
                                const struct adele_rescale_desc *desc, struct adele_op **out) {
    TRY(op_check_slice("rescale", desc->dst, desc->c, cpu_block(device)));
    TRY(cpu_op_create(device, ADELE_OP_rescale, sizeof(struct rescale), out));
    struct rescale *self = (struct rescale *)*out;
    self->base.release = rescale_release;
    self->desc = *desc;
    self->block = cpu_block(device);
    self->is_bf16 = cpu_is_bf16(device);
    self->n_blocks = (desc->c + self->block - 1) / self->block;
    self->dst = cpu_slice_of(desc->dst, desc->c, self->block);
    TRY(rescale_axis_init(&self->vertical, desc->h_in, desc->h_out, desc->h_dst, desc->top));
    TRY(rescale_axis_init(&self->horizontal, desc->w_in, desc->w_out, desc->w_dst, desc->left));
    double n_pixels = (double)desc->n * (double)desc->c * (double)desc->h_out * (double)desc->w_out;
    self->base.op.flops_forward = 8.0 * n_pixels;
    self->base.op.flops_backward = 8.0 * n_pixels;
    int longer = desc->w_in > desc->w_dst ? desc->w_in : desc->w_dst;
    self->base.op.workspace_bytes =
        (size_t)cpu_n_threads(device) * (size_t)longer * (size_t)self->block * sizeof(float);
    return ADELE_OK;
}

// ---- kernels ------------------------------------------------------------------------------------

CPU_VALUE_KERNEL(static void, mix_rows,
                 (const void *restrict row0, const void *restrict row1, float weight0,
                  float weight1, size_t n_values, float *restrict out),
                 (row0, row1, weight0, weight1, n_values, out)) {
    for (size_t i = 0; i < n_values; i++)
        out[i] = weight0 * value_at(row0, i, is_bf16) + weight1 * value_at(row1, i, is_bf16);
}

CPU_VALUE_KERNEL(static void, mix_columns,
                 (const float *row, const struct rescale_axis *axis, int block, void *dst),
                 (row, axis, block, dst)) {
    for (int x = 0; x < axis->n_dst; x++) {
        const struct rescale_tap *tap = &axis->taps[x];
        for (int lane = 0; lane < block; lane += LANES) {
            lanes value = {0};
            if (tap->i0 >= 0) {
                const float *from = row + (size_t)tap->i0 * (size_t)block + lane;
                value = LANES_AT(from) * tap->weight0;
                if (tap->weight1 != 0.0f)
                    value += LANES_AT(from + block) * tap->weight1;
            }
            lanes_store(dst, (size_t)x * (size_t)block + (size_t)lane, value, is_bf16);
        }
    }
}

CPU_VALUE_KERNEL(static void, add_scaled,
                 (float *restrict to, const void *restrict from, float weight, size_t n_values),
                 (to, from, weight, n_values)) {
    for (size_t i = 0; i < n_values; i++)
        to[i] += weight * value_at(from, i, is_bf16);
}

CPU_VALUE_KERNEL(static void, gather_columns,
                 (const float *row, const struct rescale_axis *axis, int block, bool accumulate,
                  void *d_src),
                 (row, axis, block, accumulate, d_src)) {
    for (int x = 0; x < axis->n_in; x++) {
        const struct rescale_read *reads = axis->reads + axis->readers[x].first;
        for (int lane = 0; lane < block; lane += LANES) {
            size_t to = (size_t)x * (size_t)block + (size_t)lane;
            lanes sum = {0};
            if (accumulate)
                sum = lanes_at(d_src, to, is_bf16);
            for (int i = 0; i < axis->readers[x].count; i++)
                sum += LANES_AT(row + (size_t)reads[i].target * (size_t)block + lane) *
                       reads[i].weight;
            lanes_store(d_src, to, sum, is_bf16);
        }
    }
}

// ---- passes -------------------------------------------------------------------------------------

static float *thread_row(const struct rescale *self, void *workspace) {
    int longer = self->desc.w_in > self->desc.w_dst ? self->desc.w_in : self->desc.w_dst;
    return (float *)workspace + (size_t)omp_get_thread_num() * (size_t)longer * (size_t)self->block;
}

// Row y of the placed plane of src along rows, as floats: in src itself or in `row`. The row has an
// input.
static const float *source_row(const struct rescale *self, const void *src, int plane,
                               const struct rescale_tap *tap, float *row) {
    size_t n_values = (size_t)self->desc.w_in * (size_t)self->block;
    size_t first = ((size_t)plane * (size_t)self->desc.h_in + (size_t)tap->i0) * n_values;
    const void *row0 = value_address(src, first, self->is_bf16);
    const void *row1 = value_address(src, first + n_values, self->is_bf16);
    if (tap->weight1 != 0.0f)
        mix_rows(row0, row1, tap->weight0, tap->weight1, n_values, row, self->is_bf16);
    else if (self->is_bf16)
        elementwise_widen(row, row0, n_values);
    else
        return row0;
    return row;
}

adele_status cpu_rescale_forward(struct adele_op *op, const struct adele_rescale_args *args) {
    const struct rescale *self = (const struct rescale *)op;
    size_t row_dst = (size_t)self->desc.w_dst * (size_t)self->block;
    bool is_bf16 = self->is_bf16;
    int n_planes = self->desc.n * self->n_blocks, h_dst = self->desc.h_dst;
#pragma omp parallel for collapse(2) schedule(static)                                              \
    num_threads(team_size(cpu_n_threads(op->device)))
    for (int plane = 0; plane < n_planes; plane++)
        for (int y = 0; y < h_dst; y++) {
            const struct rescale_tap *tap = &self->vertical.taps[y];
            size_t dst_plane = cpu_slice_plane(self->dst, plane, self->n_blocks);
            void *dst = value_address(args->dst, (dst_plane * (size_t)h_dst + (size_t)y) * row_dst,
                                      is_bf16);
            if (tap->i0 < 0) {
                memset(dst, 0, row_dst * value_bytes(is_bf16));
                continue;
            }
            const float *row =
                source_row(self, args->src, plane, tap, thread_row(self, args->workspace));
            mix_columns(row, &self->horizontal, self->block, dst, is_bf16);
        }
    return ADELE_OK;
}

adele_status cpu_rescale_backward(struct adele_op *op, const struct adele_rescale_args *args) {
    const struct rescale *self = (const struct rescale *)op;
    size_t block = (size_t)self->block;
    size_t row_in = (size_t)self->desc.w_in * block, row_dst = (size_t)self->desc.w_dst * block;
    bool is_bf16 = self->is_bf16;
    int n_planes = self->desc.n * self->n_blocks, h_in = self->desc.h_in;
#pragma omp parallel for collapse(2) schedule(static)                                              \
    num_threads(team_size(cpu_n_threads(op->device)))
    for (int plane = 0; plane < n_planes; plane++)
        for (int y = 0; y < h_in; y++) {
            const struct rescale_readers *readers = &self->vertical.readers[y];
            const struct rescale_read *reads = self->vertical.reads + readers->first;
            size_t d_dst = cpu_slice_plane(self->dst, plane, self->n_blocks) *
                           (size_t)self->desc.h_dst * row_dst;
            float *row = thread_row(self, args->workspace);
            memset(row, 0, row_dst * sizeof(float));
            for (int i = 0; i < readers->count; i++)
                add_scaled(
                    row,
                    value_address(args->d_dst, d_dst + (size_t)reads[i].target * row_dst, is_bf16),
                    reads[i].weight, row_dst, is_bf16);
            size_t d_src = ((size_t)plane * (size_t)h_in + (size_t)y) * row_in;
            gather_columns(row, &self->horizontal, self->block, args->accumulate_d_src,
                           value_address(args->d_src, d_src, is_bf16), is_bf16);
        }
    return ADELE_OK;
}
