// SPDX-License-Identifier: MIT
// The engine cublas: a convolution with a 1 x 1 kernel, stride 1 and no padding is one matrix
// product over all pixels of the batch.
//
// Tensors are matrices (pixels, P) in row-major order. cuBLAS is column-major, so to it they are
// transposed: X' is P_in x pixels. With the filter W (P_out, P_in), to cuBLAS W':
//   dst'     = W X'          (P_out x pixels)
//   d_src'   = W' d_dst'     (P_in x pixels), or += on request
//   d_filter' = X' d_dst     (P_in x P_out), float, then added to d_weight by our own kernel.
// Padding channels have zero weights and zero gradients, so they stay zero. A dst of bf16 is
// rounded before the bias is added, too. Without atomics, which are off by default, cuBLAS gives
// the same bits from run to run on one stream.
#include "conv2d/conv2d_library.cuh"

#include "conv2d/conv2d_weight_gradient.cuh"

#include <limits.h>

namespace adele_cuda {

#ifndef ADELE_CUBLAS

bool conv2d_cublas_plan(const struct conv2d *self, enum conv2d_pass pass,
                        struct conv2d_library *out) {
    (void)self, (void)pass, (void)out;
    return false;
}

#else

// One product C (m x n) = op(A) op(B) (+ C) in column-major order.
struct product {
    cublasOperation_t op_a, op_b;
    int64_t m, n, k;
    const void *a, *b;
    int lda, ldb, ldc;
    void *c;
    bool is_float_c, accumulate;
};

static adele_status multiply(const struct conv2d *self, const struct product *product) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct libraries *libraries = context->libraries;
    bool is_bf16 = context->storage == ADELE_PRECISION_BF16;
    cudaDataType type = is_bf16 ? CUDA_R_16BF : CUDA_R_32F;
    cublasComputeType_t compute = is_bf16                     ? CUBLAS_COMPUTE_32F
                                  : self->math == CONV2D_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                  : self->math == CONV2D_BF16 ? CUBLAS_COMPUTE_32F_FAST_16BF
                                                              : CUBLAS_COMPUTE_32F;
    float one = 1.0f, beta = product->accumulate ? 1.0f : 0.0f;
    cublasStatus_t status = libraries->cublas.cublasGemmEx(
        libraries->cublas.handle, product->op_a, product->op_b, (int)product->m, (int)product->n,
        (int)product->k, &one, product->a, type, product->lda, product->b, type, product->ldb,
        &beta, product->c, product->is_float_c ? CUDA_R_32F : type, product->ldc, compute,
        CUBLAS_GEMM_DEFAULT);
    return status == CUBLAS_STATUS_SUCCESS
               ? ADELE_OK
               : FAIL(ADELE_DEVICE, "Use the device cuda/direct.",
                      "cuBLAS: status %d of a product of %lld x %lld x %lld", (int)status,
                      (long long)product->m, (long long)product->n, (long long)product->k);
}

static int64_t pixels_of(const struct conv2d *self) {
    return (int64_t)self->shape.n * self->shape.h_out * self->shape.w_out;
}

static adele_status run_forward(const struct conv2d *self, void *plan,
                                const struct adele_conv2d_args *args) {
    (void)plan;
    int p_in = self->shape.p_in, p_out = self->shape.p_out;
    const void *filter = NULL;
    TRY(conv2d_filter_pack(self, args, &filter));
    struct product product = {CUBLAS_OP_T, CUBLAS_OP_N, p_out, pixels_of(self), p_in,      filter,
                              args->src,   p_in,        p_in,  p_out,           args->dst, false,
                              false};
    TRY(multiply(self, &product));
    return self->desc.has_bias ? conv2d_bias_add(self, args->bias, args->dst) : ADELE_OK;
}

static adele_status run_data_gradient(const struct conv2d *self, void *plan,
                                      const struct adele_conv2d_args *args) {
    (void)plan;
    int p_in = self->shape.p_in, p_out = self->shape.p_out;
    const void *filter = NULL;
    TRY(conv2d_filter_pack(self, args, &filter));
    struct product product = {CUBLAS_OP_N,
                              CUBLAS_OP_N,
                              p_in,
                              pixels_of(self),
                              p_out,
                              filter,
                              args->d_dst,
                              p_in,
                              p_out,
                              p_in,
                              args->d_src,
                              false,
                              args->accumulate_d_src};
    return multiply(self, &product);
}

static adele_status run_weight_gradient(const struct conv2d *self, void *plan,
                                        const struct adele_conv2d_args *args) {
    (void)plan;
    int p_in = self->shape.p_in, p_out = self->shape.p_out;
    struct product product = {CUBLAS_OP_N,     CUBLAS_OP_T, p_in, p_out, pixels_of(self),
                              args->src,       args->d_dst, p_in, p_out, p_in,
                              args->workspace, true,        false};
    TRY(multiply(self, &product));
    TRY(conv2d_filter_add(self, args->workspace, true, args->d_weight));
    if (!self->desc.has_bias)
        return ADELE_OK;
    size_t at_bias = library_aligned(conv2d_filter_elements(self) * sizeof(float));
    return bias_gradient_run(context_of(self->base.op.device), &self->shape, self->math,
                             args->d_dst, args->d_bias, (char *)args->workspace + at_bias);
}

bool conv2d_cublas_plan(const struct conv2d *self, enum conv2d_pass pass,
                        struct conv2d_library *out) {
    const struct libraries *libraries = context_of(self->base.op.device)->libraries;
    const struct conv2d_shape *shape = &self->shape;
    memset(out, 0, sizeof *out);
    if (libraries == NULL || libraries->cublas_version == 0 || shape->kernel != 1 ||
        shape->stride != 1 || shape->pad != 0 || pixels_of(self) > INT_MAX)
        return false;
    out->name = "cublas";
    out->workspace_bytes = library_aligned(conv2d_filter_elements(self) * sizeof(float));
    out->run = pass == CONV2D_FORWARD         ? run_forward
               : pass == CONV2D_DATA_GRADIENT ? run_data_gradient
                                              : run_weight_gradient;
    if (pass == CONV2D_WEIGHT_GRADIENT)
        out->workspace_bytes += bias_gradient_workspace(shape);
    return true;
}

#endif

} // namespace adele_cuda
