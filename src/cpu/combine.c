// SPDX-License-Identifier: MIT
// The sum of two vectors. Elements are independent, so that the number of threads does not matter.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"

#define CHUNK_FLOATS 16384

struct combine {
    struct cpu_op base;
    int64_t n_floats;
};

adele_status cpu_combine_create(const struct adele_device *device,
                                const struct adele_combine_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_combine, sizeof(struct combine), out));
    struct combine *self = (struct combine *)*out;
    self->n_floats = desc->n_floats;
    self->base.op.flops_forward = 2.0 * (double)desc->n_floats;
    return ADELE_OK;
}

// `out` may be `a` or `b`: only elements of one place meet, which is what the pragma promises.
CPU_KERNEL(static void, add_run,
           (const float *a, const float *b, float scale, float *out, int64_t count),
           (a, b, scale, out, count)) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        out[i] = (a[i] + b[i]) * scale;
}

CPU_KERNEL(static void, scale_run, (const float *a, float scale, float *out, int64_t count),
           (a, scale, out, count)) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        out[i] = a[i] * scale;
}

adele_status cpu_combine_forward(struct adele_op *op, const struct adele_combine_args *args) {
    int64_t n = ((const struct combine *)op)->n_floats;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += CHUNK_FLOATS) {
        int64_t count = n - i < CHUNK_FLOATS ? n - i : CHUNK_FLOATS;
        if (args->b)
            add_run(args->a + i, args->b + i, args->scale, args->out + i, count);
        else
            scale_run(args->a + i, args->scale, args->out + i, count);
    }
    return ADELE_OK;
}
