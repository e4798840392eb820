// SPDX-License-Identifier: MIT
// An exponential average of predictions, kept in half precision. Rows of pixels are independent, so
// that the number of threads does not matter.
#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/softmax.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "cpu/vector_math.h"
#include "device/op_check.h"

#include <math.h>
#include <omp.h>

struct accumulate_maps_op {
    struct cpu_op base;
    struct adele_accumulate_maps_desc desc;
    int block, stride, n_threads;
    bool is_bf16; // of the logits
    size_t thread_floats;
    float *buffers; // (n_threads, thread_floats): the args have no workspace
};

static void release(struct cpu_op *base) {
    memory_free(((struct accumulate_maps_op *)base)->buffers);
}

adele_status cpu_accumulate_maps_create(const struct adele_device *device,
                                        const struct adele_accumulate_maps_desc *desc,
                                        struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_accumulate_maps, sizeof(struct accumulate_maps_op), out));
    struct accumulate_maps_op *op = (struct accumulate_maps_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->block = cpu_block(device);
    op->is_bf16 = cpu_is_bf16(device);
    op->stride = (desc->w + 15) / 16 * 16;
    op->n_threads = cpu_n_threads(device);
    // Logits, which become probabilities, and two lines for the softmax.
    op->thread_floats = ((size_t)desc->c + 2) * (size_t)op->stride;
    op->buffers = memory_aligned((size_t)op->n_threads * op->thread_floats * sizeof(float));
    return CHECK_MEMORY(op->buffers);
}

// Row y of category c of a blocked tensor, as a plain row.
CPU_VALUE_KERNEL(static void, gather_row, (const void *from, int block, int n, float *restrict to),
                 (from, block, n, to)) {
    for (int x = 0; x < n; x++)
        to[x] = value_at(from, (size_t)x * (size_t)block, is_bf16);
}

CPU_KERNEL(static void, blend_row,
           (const float *restrict p, int n, float beta, uint16_t *restrict map),
           (p, n, beta, map)) {
    float rest = 1.0f - beta;
    for (int x = 0; x < n; x++)
        map[x] =
            isfinite(p[x]) ? half_from_float(beta * half_to_float(map[x]) + rest * p[x]) : map[x];
}

static void process_row(const struct accumulate_maps_op *op,
                        const struct adele_accumulate_maps_args *args, float *buffer, int n,
                        int y) {
    const struct adele_accumulate_maps_desc *desc = &op->desc;
    const struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    int i_map = args->sample_ids != NULL ? args->sample_ids[n] : n;
    if (i_map < 0)
        return;
    size_t stride = (size_t)op->stride;
    float *lines = buffer + (size_t)desc->c * stride;
    for (int c = 0; c < desc->c; c++)
        gather_row(value_address(args->logits, cpu_tensor_index(shape, op->block, n, c, y, 0),
                                 op->is_bf16),
                   op->block, desc->w, buffer + (size_t)c * stride, op->is_bf16);
    softmax_row(buffer, desc->c, desc->w, op->stride, 1.0f, buffer, lines, lines + stride);
    for (int c = 0; c < desc->c; c++) {
        size_t at = (((size_t)i_map * (size_t)desc->c + (size_t)c) * (size_t)desc->h + (size_t)y) *
                    (size_t)desc->w;
        blend_row(buffer + (size_t)c * stride, desc->w, args->beta, args->maps + at);
    }
}

adele_status cpu_accumulate_maps_forward(struct adele_op *base,
                                         const struct adele_accumulate_maps_args *args) {
    struct accumulate_maps_op *op = (struct accumulate_maps_op *)base;
    TRY(op_check_accumulate_maps_args(args));
    int n_rows = op->desc.n * op->desc.h;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int row = 0; row < n_rows; row++)
        process_row(op, args, op->buffers + (size_t)omp_get_thread_num() * op->thread_floats,
                    row / op->desc.h, row % op->desc.h);
    return ADELE_OK;
}
