// SPDX-License-Identifier: MIT
// Sum of two tensors of one shape, as two plain arrays: the padding channels of both are zero, and
// so are those of the sum.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/isa.h"

#include <string.h>

#define CHUNK 16384 // floats of one task

struct add {
    struct cpu_op base;
    size_t n_floats;
};

adele_status cpu_add_create(const struct adele_device *device, const struct adele_add_desc *desc,
                            struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_add, sizeof(struct add), out));
    struct add *self = (struct add *)*out;
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    self->n_floats = cpu_tensor_values(shape, cpu_block(device));
    self->base.op.flops_forward =
        (double)desc->n * (double)desc->c * (double)desc->h * (double)desc->w;
    return ADELE_OK;
}

CPU_KERNEL(static void, add_rows, (float *to, const float *a, const float *b, size_t count),
           (to, a, b, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] = a[i] + b[i];
}

static size_t chunk_length(size_t n_floats, size_t i) {
    return n_floats - i < CHUNK ? n_floats - i : CHUNK;
}

adele_status cpu_add_forward(struct adele_op *op, const struct adele_add_args *args) {
    size_t n_floats = ((const struct add *)op)->n_floats;
    const float *src0 = args->src0, *src1 = args->src1;
    float *dst = args->dst;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n_floats; i += CHUNK)
        add_rows(dst + i, src0 + i, src1 + i, chunk_length(n_floats, i));
    return ADELE_OK;
}

static void write_gradient(float *d_src, const float *d_dst, bool accumulate, size_t n_floats) {
    if (accumulate) {
        elementwise_add_tensor(d_src, d_dst, n_floats, false);
        return;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n_floats; i += CHUNK)
        memcpy(d_src + i, d_dst + i, chunk_length(n_floats, i) * sizeof(float));
}

adele_status cpu_add_backward(struct adele_op *op, const struct adele_add_args *args) {
    size_t n_floats = ((const struct add *)op)->n_floats;
    if (args->d_src0 != NULL)
        write_gradient(args->d_src0, args->d_dst, args->accumulate_d_src0, n_floats);
    if (args->d_src1 != NULL)
        write_gradient(args->d_src1, args->d_dst, args->accumulate_d_src1, n_floats);
    return ADELE_OK;
}
