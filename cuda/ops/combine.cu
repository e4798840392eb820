// SPDX-License-Identifier: MIT
// The sum of two vectors of plain floats, times a number. Elements are independent: nothing is
// summed over threads. Memory is read and written once; the loads of a warp lie side by side. There
// is one kernel for both engines.
#include "runtime/common.cuh"

namespace adele_cuda {

static const int n_threads = 256;

struct combine {
    struct cuda_op base;
    int64_t n_floats;
};

// `out` may be `a` or `b`; `b` may be NULL.
static __global__ void __launch_bounds__(n_threads)
    combine_kernel(int64_t n_floats, const float *a, const float *b, float scale, float *out) {
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n_floats; i += step)
        out[i] = (b != NULL ? a[i] + b[i] : a[i]) * scale;
}

adele_status cuda_combine_create(const struct adele_device *device,
                                 const struct adele_combine_desc *desc, struct adele_op **out) {
    struct combine *self = NULL;
    TRY(op_create(device, ADELE_OP_combine, &self, out));
    self->n_floats = desc->n_floats;
    self->base.op.flops_forward = 2.0 * (double)desc->n_floats;
    return ADELE_OK;
}

adele_status cuda_combine_forward(struct adele_op *op, const struct adele_combine_args *args) {
    int64_t n_floats = ((const struct combine *)op)->n_floats;
    return LAUNCH(context_of(op->device), combine_kernel, strided_grid(n_floats, n_threads),
                  n_threads, 0, n_floats, args->a, args->b, args->scale, args->out);
}

} // namespace adele_cuda
