// SPDX-License-Identifier: MIT
// Our own small kernels around the libraries' convolutions: add a bias, add a gradient. All are
// bound by memory. Everything here is added to (+=), one
// thread an element, so the bits are the same from run to run.
#include "conv2d/conv2d_library.cuh"

namespace adele_cuda {

static const int block_threads = 256;

// A thread owns 8 channels of a pixel of dst (pixels, P).
template <typename T>
static __global__ void bias_add_kernel(int64_t n_vectors, int c, int p, const float *bias, T *dst) {
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_vectors; i += stride) {
        float values[8];
        int first = (int)(i % (p / 8)) * 8;
        load8(dst + i * 8, values);
        for (int j = 0; j < 8; j++)
            values[j] = first + j < c ? values[j] + bias[first + j] : 0.0f;
        store8(dst + i * 8, values);
    }
}

// A thread owns 8 neighbouring elements.
template <typename T>
static __global__ void tensor_add_kernel(int64_t n_vectors, const T *from, T *to) {
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_vectors; i += stride) {
        float added[8], values[8];
        load8(from + i * 8, added);
        load8(to + i * 8, values);
        for (int j = 0; j < 8; j++)
            values[j] += added[j];
        store8(to + i * 8, values);
    }
}

// A thread owns one weight: d_weight (c_out, c_in, taps) += d_filter (P_out, taps, P_in).
template <typename T>
static __global__ void filter_add_kernel(struct conv2d_shape shape, const T *d_filter,
                                         float *d_weight) {
    int taps = shape.kernel * shape.kernel;
    int64_t n_weights = (int64_t)shape.c_out * taps * shape.c_in;
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t id = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; id < n_weights;
         id += stride) {
        int i = (int)(id % shape.c_in), tap = (int)(id / shape.c_in % taps);
        int64_t o = id / shape.c_in / taps;
        d_weight[(o * shape.c_in + i) * taps + tap] +=
            to_float(d_filter[(o * taps + tap) * shape.p_in + i]);
    }
}

template <typename T>
static adele_status run_filter(const struct conv2d *self, const void *d_filter, float *d_weight) {
    const struct conv2d_shape *shape = &self->shape;
    int64_t n_weights = (int64_t)shape->c_out * shape->kernel * shape->kernel * shape->c_in;
    return LAUNCH(context_of(self->base.op.device), filter_add_kernel<T>,
                  strided_grid(n_weights, block_threads), block_threads, 0, *shape,
                  (const T *)d_filter, d_weight);
}

size_t conv2d_filter_elements(const struct conv2d *self) {
    return (size_t)self->shape.p_out * (size_t)self->shape.kernel * (size_t)self->shape.kernel *
           (size_t)self->shape.p_in;
}

adele_status conv2d_filter_pack(const struct conv2d *self, const struct adele_conv2d_args *args,
                                const void **filter) {
    *filter = conv2d_packed(self, CONV2D_FORWARD, args);
    if (*filter != NULL)
        return ADELE_OK;
    *filter = args->workspace;
    struct conv2d_packing packing = conv2d_packing_make(self->shape.c_out, self->shape.c_in,
                                                        self->shape.kernel, CONV2D_FORWARD);
    packing.n_rows = self->shape.p_out;
    return conv2d_pack(context_of(self->base.op.device), &packing, self->math, args->weight,
                       args->workspace);
}

adele_status conv2d_filter_add(const struct conv2d *self, const void *d_filter, bool is_float,
                               float *d_weight) {
    if (is_float)
        return run_filter<float>(self, d_filter, d_weight);
    return WITH_STORAGE(context_of(self->base.op.device), T,
                        run_filter<T>(self, d_filter, d_weight));
}

adele_status conv2d_bias_add(const struct conv2d *self, const float *bias, void *dst) {
    const struct conv2d_shape *shape = &self->shape;
    int64_t n_vectors = (int64_t)shape->n * shape->h_out * shape->w_out * (shape->p_out / 8);
    return WITH_STORAGE(context_of(self->base.op.device), T,
                        LAUNCH(context_of(self->base.op.device), bias_add_kernel<T>,
                               strided_grid(n_vectors, block_threads), block_threads, 0, n_vectors,
                               shape->c_out, shape->p_out, bias, (T *)dst));
}

adele_status conv2d_d_src_add(const struct conv2d *self, const void *from, void *d_src) {
    const struct conv2d_shape *shape = &self->shape;
    int64_t n_vectors = (int64_t)shape->n * shape->h_in * shape->w_in * (shape->p_in / 8);
    return WITH_STORAGE(context_of(self->base.op.device), T,
                        LAUNCH(context_of(self->base.op.device), tensor_add_kernel<T>,
                               strided_grid(n_vectors, block_threads), block_threads, 0, n_vectors,
                               (const T *)from, (T *)d_src));
}

} // namespace adele_cuda
