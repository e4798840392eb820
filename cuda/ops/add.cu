// SPDX-License-Identifier: MIT
// Sum of two tensors of one shape (N, H, W, P), and its gradient, which is d_dst for both. dst is
// overwritten; each d_src is overwritten, or added to on request. The zeros of the padding channels
// stay zeros. Memory is read and written once in vectors of 8 channels: there is one kernel for
// both engines.
#include "runtime/common.cuh"

namespace adele_cuda {

static const int n_threads = 256;

struct add {
    struct cuda_op base;
    int64_t n_vectors;
};

// One thread owns a vector of 8 elements: to = a + b, or a alone when b is NULL. `to` may be one of
// the two.
template <typename T>
static __global__ void add_kernel(int64_t n_vectors, const T *a, const T *b, T *to) {
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n_vectors; i += step) {
        float values[8], other[8] = {};
        load8(a + i * 8, values);
        if (b != NULL)
            load8(b + i * 8, other);
#pragma unroll
        for (int j = 0; j < 8; j++)
            values[j] += other[j];
        store8(to + i * 8, values);
    }
}

adele_status cuda_add_create(const struct adele_device *device, const struct adele_add_desc *desc,
                             struct adele_op **out) {
    struct add *self = NULL;
    TRY(op_create(device, ADELE_OP_add, &self, out));
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    self->n_vectors = tensor_elements(shape) / 8;
    self->base.op.flops_forward =
        (double)desc->n * (double)desc->c * (double)desc->h * (double)desc->w;
    return ADELE_OK;
}

static adele_status launch_add(const struct adele_op *op, const void *a, const void *b, void *to) {
    const struct cuda_context *context = context_of(op->device);
    int64_t n_vectors = ((const struct add *)op)->n_vectors;
    return WITH_STORAGE(context, T,
                        LAUNCH(context, add_kernel<T>, strided_grid(n_vectors, n_threads),
                               n_threads, 0, n_vectors, (const T *)a, (const T *)b, (T *)to));
}

adele_status cuda_add_forward(struct adele_op *op, const struct adele_add_args *args) {
    return launch_add(op, args->src0, args->src1, args->dst);
}

adele_status cuda_add_backward(struct adele_op *op, const struct adele_add_args *args) {
    if (args->d_src0 != NULL)
        TRY(launch_add(op, args->d_dst, args->accumulate_d_src0 ? args->d_src0 : NULL,
                       args->d_src0));
    if (args->d_src1 != NULL)
        TRY(launch_add(op, args->d_dst, args->accumulate_d_src1 ? args->d_src1 : NULL,
                       args->d_src1));
    return ADELE_OK;
}

} // namespace adele_cuda
