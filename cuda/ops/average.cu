// SPDX-License-Identifier: MIT
// The running average of a vector of plain floats: average += rest (values - average). Elements are
// independent: nothing is summed over threads. The loads of a warp lie side by side. There is one
// kernel for both engines.
#include "runtime/common.cuh"

namespace adele_cuda {

static const int n_threads = 256;

struct average {
    struct cuda_op base;
    int64_t n_floats;
};

static __global__ void __launch_bounds__(n_threads)
    average_kernel(int64_t n_floats, float *average, const float *values, float rest,
                   const int64_t *health) {
    if (health != NULL && health[ADELE_HEALTH_LAST_SKIPPED] != 0)
        return;
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n_floats; i += step)
        average[i] += rest * (values[i] - average[i]);
}

adele_status cuda_average_create(const struct adele_device *device,
                                 const struct adele_average_desc *desc, struct adele_op **out) {
    struct average *self = NULL;
    TRY(op_create(device, ADELE_OP_average, &self, out));
    self->n_floats = desc->n_floats;
    self->base.op.flops_forward = 3.0 * (double)desc->n_floats;
    return ADELE_OK;
}

adele_status cuda_average_forward(struct adele_op *op, const struct adele_average_args *args) {
    int64_t n_floats = ((const struct average *)op)->n_floats;
    return LAUNCH(context_of(op->device), average_kernel, strided_grid(n_floats, n_threads),
                  n_threads, 0, n_floats, args->average, args->values, 1.0f - args->decay,
                  args->health);
}

} // namespace adele_cuda
