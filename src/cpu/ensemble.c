// SPDX-License-Identifier: MIT
// Adds one prediction, resampled to the accumulator's size and flipped back if its image was
// flipped, to the average over scales and flips.
#include "base/fail.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/resample.h"
#include "cpu/softmax.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "device/op_check.h"
#include <math.h>
#include <omp.h>

struct ensemble_op {
    struct cpu_op base;
    struct adele_ensemble_desc desc;
    int block, stride, n_threads;
    bool is_bf16; // of the logits
    struct adele_shape shape;
    struct resample_axis rows, columns;
    size_t thread_floats;
    float *buffers; // (n_threads, thread_floats): the args have no workspace
};

static void release(struct cpu_op *base) {
    struct ensemble_op *op = (struct ensemble_op *)base;
    resample_axis_deinit(&op->rows);
    resample_axis_deinit(&op->columns);
    memory_free(op->buffers);
}

adele_status cpu_ensemble_create(const struct adele_device *device,
                                 const struct adele_ensemble_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_ensemble, sizeof(struct ensemble_op), out));
    struct ensemble_op *op = (struct ensemble_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->block = cpu_block(device);
    op->is_bf16 = cpu_is_bf16(device);
    op->stride = (desc->w + 15) / 16 * 16;
    op->n_threads = cpu_n_threads(device);
    op->shape = (struct adele_shape){desc->n, desc->c, desc->h_in, desc->w_in};
    // Logits, probabilities, two lines for the softmax, scratch for the resampling.
    op->thread_floats = (2 * (size_t)desc->c + 2) * (size_t)op->stride +
                        ((size_t)desc->w_in + (size_t)desc->w) * (size_t)op->block;
    op->thread_floats = (op->thread_floats + 15) / 16 * 16;
    TRY(resample_axis_init(&op->rows, desc->h_in, desc->h));
    TRY(resample_axis_init(&op->columns, desc->w_in, desc->w));
    op->buffers = memory_aligned((size_t)op->n_threads * op->thread_floats * sizeof(float));
    return CHECK_MEMORY(op->buffers);
}

CPU_KERNEL(static void, accumulate_row,
           (const float *restrict row, int n, float weight, bool is_first, float *restrict out),
           (row, n, weight, is_first, out)) {
    for (int x = 0; x < n; x++)
        out[x] = is_first ? weight * row[x] : out[x] + weight * row[x];
}

static void reverse_row(float *row, int n) {
    for (int x = 0; x < n / 2; x++) {
        float left = row[x];
        row[x] = row[n - 1 - x];
        row[n - 1 - x] = left;
    }
}

static void process_row(const struct ensemble_op *op, const struct adele_ensemble_args *args,
                        float *buffer, int n, int y) {
    const struct adele_ensemble_desc *desc = &op->desc;
    size_t stride = (size_t)op->stride;
    float *z = buffer;
    float *p = z + (size_t)desc->c * stride;
    float *lines = p + (size_t)desc->c * stride;
    struct resample_tensor logits = {args->logits, op->is_bf16, op->shape, op->block};
    resample_row_forward(&logits, n, &op->rows, &op->columns, y, lines + 2 * stride, z, op->stride);
    if (desc->mode == ADELE_ENSEMBLE_PROBABILITIES)
        softmax_row(z, desc->c, desc->w, op->stride, 1.0f, p, lines, lines + stride);
    float *rows = desc->mode == ADELE_ENSEMBLE_PROBABILITIES ? p : z;
    for (int c = 0; c < desc->c; c++) {
        float *row = rows + (size_t)c * stride;
        size_t at = (((size_t)n * (size_t)desc->c + (size_t)c) * (size_t)desc->h + (size_t)y) *
                    (size_t)desc->w;
        if (args->flip)
            reverse_row(row, desc->w);
        accumulate_row(row, desc->w, args->weight, args->is_first, args->accumulator + at);
    }
}

adele_status cpu_ensemble_forward(struct adele_op *base, const struct adele_ensemble_args *args) {
    struct ensemble_op *op = (struct ensemble_op *)base;
    TRY(op_check_ensemble_args(args));
    int n_rows = op->desc.n * op->desc.h;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int row = 0; row < n_rows; row++)
        process_row(op, args, op->buffers + (size_t)omp_get_thread_num() * op->thread_floats,
                    row / op->desc.h, row % op->desc.h);
    return ADELE_OK;
}
