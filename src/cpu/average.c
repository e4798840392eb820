// SPDX-License-Identifier: MIT
// The running average of a vector. Elements are independent, so that the number of threads does not
// matter.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"

#define CHUNK_FLOATS 16384

struct average {
    struct cpu_op base;
    int64_t n_floats;
};

adele_status cpu_average_create(const struct adele_device *device,
                                const struct adele_average_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_average, sizeof(struct average), out));
    struct average *self = (struct average *)*out;
    self->n_floats = desc->n_floats;
    self->base.op.flops_forward = 3.0 * (double)desc->n_floats;
    return ADELE_OK;
}

adele_status cpu_average_forward(struct adele_op *op, const struct adele_average_args *args) {
    int64_t n = ((const struct average *)op)->n_floats;
    float rest = 1.0f - args->decay;
    if (args->health != NULL && args->health[ADELE_HEALTH_LAST_SKIPPED])
        return ADELE_OK;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += CHUNK_FLOATS) {
        int64_t count = n - i < CHUNK_FLOATS ? n - i : CHUNK_FLOATS;
        elementwise_average(args->average + i, args->values + i, rest, (size_t)count);
    }
    return ADELE_OK;
}
