// SPDX-License-Identifier: MIT
// Sum of two tensors of one shape, as two plain arrays: the padding channels of both are zero, and
// so are those of the sum.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/values.h"

#include <string.h>

#define CHUNK 16384 // values of one task

struct add {
    struct cpu_op base;
    size_t n_values;
    bool is_bf16;
};

adele_status cpu_add_create(const struct adele_device *device, const struct adele_add_desc *desc,
                            struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_add, sizeof(struct add), out));
    struct add *self = (struct add *)*out;
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    self->n_values = cpu_tensor_values(shape, cpu_block(device));
    self->is_bf16 = cpu_is_bf16(device);
    self->base.op.flops_forward =
        (double)desc->n * (double)desc->c * (double)desc->h * (double)desc->w;
    return ADELE_OK;
}

CPU_VALUE_KERNEL(static void, add_values,
                 (void *to, const void *a, const void *b, size_t first, size_t end),
                 (to, a, b, first, end)) {
    for (size_t i = first; i < end; i++)
        value_store(to, i, value_at(a, i, is_bf16) + value_at(b, i, is_bf16), is_bf16);
}

static size_t chunk_end(size_t n_values, size_t i) {
    return n_values - i < CHUNK ? n_values : i + CHUNK;
}

adele_status cpu_add_forward(struct adele_op *op, const struct adele_add_args *args) {
    const struct add *self = (const struct add *)op;
    size_t n_values = self->n_values;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n_values; i += CHUNK)
        add_values(args->dst, args->src0, args->src1, i, chunk_end(n_values, i), self->is_bf16);
    return ADELE_OK;
}

static void write_gradient(const struct add *self, void *d_src, const void *d_dst,
                           bool accumulate) {
    bool is_bf16 = self->is_bf16;
    if (accumulate) {
        elementwise_add_tensor(d_src, d_dst, self->n_values, is_bf16);
        return;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < self->n_values; i += CHUNK)
        memcpy(value_address(d_src, i, is_bf16), value_address(d_dst, i, is_bf16),
               (chunk_end(self->n_values, i) - i) * value_bytes(is_bf16));
}

adele_status cpu_add_backward(struct adele_op *op, const struct adele_add_args *args) {
    const struct add *self = (const struct add *)op;
    if (args->d_src0 != NULL)
        write_gradient(self, args->d_src0, args->d_dst, args->accumulate_d_src0);
    if (args->d_src1 != NULL)
        write_gradient(self, args->d_src1, args->d_dst, args->accumulate_d_src1);
    return ADELE_OK;
}
