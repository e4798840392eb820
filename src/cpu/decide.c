// SPDX-License-Identifier: MIT
// From the ensemble's average to prediction and confidence, stored under the number of the image.
#include "base/fail.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/softmax.h"
#include "cpu/team.h"
#include "device/op_check.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct decide_op {
    struct cpu_op base;
    struct adele_decide_desc desc;
    int stride, n_threads;
    size_t thread_floats;
    float *buffers; // (n_threads, thread_floats): the args have no workspace
};

static void release(struct cpu_op *base) {
    memory_free(((struct decide_op *)base)->buffers);
}

adele_status cpu_decide_create(const struct adele_device *device,
                               const struct adele_decide_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_decide, sizeof(struct decide_op), out));
    struct decide_op *op = (struct decide_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->stride = (desc->w + 15) / 16 * 16;
    op->n_threads = cpu_n_threads(device);
    op->thread_floats = (2 * (size_t)desc->c + 2) * (size_t)op->stride;
    op->buffers = memory_aligned((size_t)op->n_threads * op->thread_floats * sizeof(float));
    return CHECK_MEMORY(op->buffers);
}

static void process_row(const struct decide_op *op, const struct adele_decide_args *args,
                        float *buffer, int n, int y) {
    const struct adele_decide_desc *desc = &op->desc;
    int i_image = args->sample_ids != NULL ? args->sample_ids[n] : n;
    if (i_image < 0)
        return;
    size_t stride = (size_t)op->stride;
    size_t row_bytes = (size_t)desc->w * sizeof(float);
    float *z = buffer;
    float *p = z + (size_t)desc->c * stride;
    float *lines = p + (size_t)desc->c * stride;
    size_t image = (size_t)desc->h * (size_t)desc->w;
    size_t row = (size_t)y * (size_t)desc->w;
    size_t from = (size_t)n * (size_t)desc->c * image + row;
    for (int c = 0; c < desc->c; c++)
        memcpy(z + (size_t)c * stride, args->accumulator + from + (size_t)c * image, row_bytes);
    size_t to = (size_t)i_image * image + row;
    argmax_row(z, desc->c, desc->w, op->stride, lines, args->prediction + to);
    if (desc->mode == ADELE_ENSEMBLE_LOGITS)
        softmax_row(z, desc->c, desc->w, op->stride, (float)(1.0 / desc->temperature), p, lines,
                    lines + stride);
    else
        p = z;
    if (args->confidence_foreground != NULL)
        foreground_row(p, desc->c, desc->w, op->stride, args->confidence_foreground + to);
    if (args->confidence_background != NULL)
        memcpy(args->confidence_background + to, p, row_bytes);
    for (int c = 0; c < desc->c && args->probabilities != NULL; c++)
        memcpy(args->probabilities + from + (size_t)c * image, p + (size_t)c * stride, row_bytes);
}

adele_status cpu_decide_forward(struct adele_op *base, const struct adele_decide_args *args) {
    struct decide_op *op = (struct decide_op *)base;
    TRY(op_check_decide_args(args));
    int n_rows = op->desc.n * op->desc.h;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int row = 0; row < n_rows; row++)
        process_row(op, args, op->buffers + (size_t)omp_get_thread_num() * op->thread_floats,
                    row / op->desc.h, row % op->desc.h);
    return ADELE_OK;
}
