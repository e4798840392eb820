// SPDX-License-Identifier: MIT
// Weights of a convolution, from the plain float array (c_out, c_in, taps) into the order in which
// the tuned kernels read them: (rows, taps, p_source), a row for each target channel, so that the
// weights of a target channel are one run, vectors of 8 source channels at a time. Rows
// are the output channels in the forward pass and the input channels in the data gradient, which is
// where the transposition happens. Rounded once here instead of at every use; zeros beyond the
// last channels. Overwrites `packed`.
//
// A network packs all of its convolutions at once, when weights have changed (pack.cu); the kernel
// here is for a convolution on its own.
#include "conv2d/conv2d_pack.cuh"

namespace adele_cuda {

struct conv2d_packing conv2d_packing_make(int c_out, int c_in, int kernel, enum conv2d_pass pass) {
    struct conv2d_packing packing = {};
    bool is_forward = pass == CONV2D_FORWARD;
    packing.n_taps = kernel * kernel;
    packing.c_target = is_forward ? c_out : c_in;
    packing.c_source = is_forward ? c_in : c_out;
    packing.p_source = padded_channels(packing.c_source);
    // The widest tile's rows: whatever tile an op chooses, it finds the rows that it reads.
    packing.n_rows = ceil_div(packing.c_target, 128) * 128;
    int64_t inner = packing.n_taps, outer = inner * c_in;
    packing.target_stride = is_forward ? outer : inner;
    packing.source_stride = is_forward ? inner : outer;
    return packing;
}

size_t conv2d_packing_bytes(const struct cuda_context *context,
                            const struct conv2d_packing *packing) {
    size_t element = context->storage == ADELE_PRECISION_BF16 ? sizeof(bf16) : sizeof(float);
    return (size_t)packing->n_rows * (size_t)packing->n_taps * (size_t)packing->p_source * element;
}

template <typename T>
static __global__ void pack_kernel(const struct conv2d_packing packing, enum conv2d_math math,
                                   const float *weight, T *packed) {
    DYNAMIC_SHARED(shared);
    conv2d_pack_tile(packing, math, (int)blockIdx.x * conv2d_pack_rows(packing.n_taps),
                     (int)blockIdx.y * CONV2D_PACK_CHANNELS, weight, (float *)shared, packed);
}

adele_status conv2d_pack(const struct cuda_context *context, const struct conv2d_packing *packing,
                         enum conv2d_math math, const float *weight, void *packed) {
    dim3 grid((unsigned)ceil_div(packing->n_rows, conv2d_pack_rows(packing->n_taps)),
              (unsigned)ceil_div(packing->p_source, CONV2D_PACK_CHANNELS));
    return WITH_STORAGE(context, T,
                        LAUNCH(context, pack_kernel<T>, grid, CONV2D_PACK_THREADS,
                               conv2d_pack_shared_bytes(packing->n_taps), *packing, math, weight,
                               (T *)packed));
}

} // namespace adele_cuda
