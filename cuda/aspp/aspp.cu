// SPDX-License-Identifier: MIT
// Atrous spatial pyramid pooling (device/network_ops.h): DeepLab's heads of METHOD section 5.
// Forward pass and data gradient are one launch each over all rates, after one that packs the
// weights; weight gradients run branch by branch through the convolution's kernels, CONCAT's on a
// copy of the branch's channels of d_dst.
//
// Who accumulates, and the workspace: dst and d_src are overwritten (d_src is added to on request),
// parameters' gradients are added to. Determinism: every sum has one order, given by the shapes.
#include "aspp/aspp_parts.cuh"

#include <limits.h>
#include <stdio.h>
#include <string.h>

namespace adele_cuda {

enum aspp_kernel_kind { ASPP_PLAIN, ASPP_DIRECT, ASPP_HOPPER };
// How one direction runs. DIRECT: aspp_fma.cu or aspp_mma.cu.
struct aspp_pass {
    enum aspp_kernel_kind kind;
    struct aspp_gather gather;          // all but PLAIN, whose weights are packed
    struct aspp_launch launch;          // DIRECT
    struct hopper_part hopper;          // HOPPER
    size_t biases_offset, slots_offset; // HOPPER: in the workspace, behind the packed weights
};
struct aspp {
    struct cuda_op base;
    struct adele_aspp_desc desc;
    enum conv2d_math math;
    struct aspp_pass forward, data_gradient;
    struct weight_gradient_plan branches[ADELE_MAX_RATES];
    size_t slice_bytes; // CONCAT: one branch's channels of d_dst
    char engine[128];
};

// ---- create -------------------------------------------------------------------------------------

// As conv2d_math_of; the next best of tensor cores for TF32 is float.
static enum conv2d_math math_of(const struct cuda_context *context,
                                enum adele_precision precision) {
    if (context->storage == ADELE_PRECISION_BF16 || precision == ADELE_PRECISION_BF16)
        return CONV2D_BF16;
    bool is_tf32 = precision == ADELE_PRECISION_TF32 &&
                   !family_is_disabled(&context->device, ADELE_FAMILY_aspp_mma);
    return is_tf32 ? CONV2D_TF32 : CONV2D_FMA;
}

// The tuned kernels count vectors of 16 bytes, and pixels, in 32 bits.
static bool is_large(const struct adele_aspp_desc *desc) {
    int64_t c = desc->c_in > aspp_dst_channels(desc) ? desc->c_in : aspp_dst_channels(desc);
    return (double)desc->n * desc->h * desc->w * (double)(c + 8) / 4 > INT_MAX / 2;
}

// A branch as the convolution that its weight gradient is.
static struct conv2d_shape branch_shape(const struct adele_aspp_desc *desc, int r) {
    struct conv2d_shape shape = {};
    shape.n = desc->n;
    shape.h_in = shape.h_out = desc->h;
    shape.w_in = shape.w_out = desc->w;
    shape.c_in = desc->c_in, shape.p_in = padded_channels(desc->c_in);
    shape.c_out = desc->c_out, shape.p_out = padded_channels(desc->c_out);
    shape.kernel = aspp_kernel_size(desc->rates[r]), shape.stride = 1;
    shape.pad = desc->rates[r];
    shape.dilation = desc->rates[r] > 0 ? desc->rates[r] : 1;
    return shape;
}

static void set_sizes(struct aspp *self) {
    const struct adele_aspp_desc *desc = &self->desc;
    double n_pixels = (double)desc->n * desc->h * desc->w;
    for (int r = 0; r < desc->n_rates; r++) {
        int kernel = aspp_kernel_size(desc->rates[r]);
        self->base.op.flops_forward += 2.0 * kernel * kernel * desc->c_in * desc->c_out * n_pixels;
    }
    self->base.op.flops_backward = (desc->needs_d_src ? 2.0 : 1.0) * self->base.op.flops_forward;
    struct adele_shape branch = {desc->n, desc->c_out, desc->h, desc->w};
    if (desc->form == ADELE_ASPP_CONCAT)
        self->slice_bytes = (size_t)tensor_elements(branch) * sizeof(float);
}

static size_t round_up(size_t bytes) {
    return (bytes + 255) / 256 * 256;
}

// *bytes: the most that any pass needs.
static adele_status prepare_pass(struct aspp *self, bool is_data_gradient, struct aspp_pass *pass,
                                 size_t *bytes) {
    const struct adele_device *device = self->base.op.device;
    const struct cuda_context *context = context_of(device);
    const bool is_fma = self->math == CONV2D_FMA;
    if (context->engine == CUDA_ENGINE_PLAIN || is_large(&self->desc))
        return family_check(device, ADELE_FAMILY_aspp_plain);
    aspp_gather_list(&self->desc, is_data_gradient, &pass->gather);
    size_t packed = aspp_packed_bytes(context, &pass->gather);
    if (aspp_hopper_fits(context, &self->desc, &pass->gather, self->math)) {
        pass->kind = ASPP_HOPPER;
        TRY(aspp_hopper_create(&self->base, &pass->gather, &pass->hopper));
        pass->biases_offset = round_up(packed);
        pass->slots_offset = round_up(
            pass->biases_offset + (size_t)ceil_div(pass->gather.p_target, 64) * 64 * sizeof(float));
        *bytes = max(*bytes, pass->slots_offset + hopper_part_slot_bytes(&pass->hopper));
        return ADELE_OK;
    }
    if (family_is_disabled(device, is_fma ? ADELE_FAMILY_aspp_fma : ADELE_FAMILY_aspp_mma))
        return family_check(device, ADELE_FAMILY_aspp_plain);
    pass->kind = ASPP_DIRECT;
    *bytes = max(*bytes, packed);
    TRY(aspp_gather_tables(&self->base, &pass->gather));
    return is_fma ? aspp_fma_choose(&pass->gather, &pass->launch)
                  : aspp_mma_choose(context, &pass->gather, self->math, &pass->launch);
}

static bool has_data_gradient(const struct aspp *self) {
    return self->desc.is_training && self->desc.needs_d_src;
}

static adele_status prepare(struct aspp *self) {
    const struct adele_device *device = self->base.op.device;
    const struct adele_aspp_desc *desc = &self->desc;
    const struct cuda_context *context = context_of(device);
    size_t bytes = 0;
    TRY(prepare_pass(self, false, &self->forward, &bytes));
    if (has_data_gradient(self))
        TRY(prepare_pass(self, true, &self->data_gradient, &bytes));
    for (int r = 0; r < desc->n_rates && desc->is_training; r++) {
        struct conv2d_shape shape = branch_shape(desc, r);
        struct weight_gradient_plan *plan = &self->branches[r];
        TRY(weight_gradient_choose(&self->base, &shape, self->math,
                                   context->engine == CUDA_ENGINE_PLAIN || is_large(desc), plan));
        if (plan->kernel == WEIGHT_GRADIENT_PLAIN)
            TRY(family_check(device, ADELE_FAMILY_weight_gradient_plain));
        size_t gradient = self->slice_bytes + plan->workspace_bytes;
        bytes = gradient > bytes ? gradient : bytes;
    }
    self->base.op.workspace_bytes = bytes;
    return ADELE_OK;
}

static void name_pass(const struct aspp_pass *pass, char *text, size_t bytes) {
    if (pass->kind == ASPP_HOPPER)
        snprintf(text, bytes, "wgmma bf16 128x%d%s", pass->hopper.work.bn,
                 pass->hopper.work.n_slots > 0 ? " split" : "");
    else
        snprintf(text, bytes, "%s", pass->kind == ASPP_PLAIN ? "plain" : "mma bf16");
}

// "plain" and "direct" alone are of both passes.
static void name_engine(struct aspp *self) {
    const struct aspp_pass *forward = &self->forward, *gradient = &self->data_gradient;
    const bool has_both = has_data_gradient(self);
    char names[2][40];
    self->base.op.engine = self->engine;
    name_pass(forward, names[0], sizeof names[0]);
    name_pass(gradient, names[1], sizeof names[1]);
    if (forward->kind != ASPP_HOPPER && !(has_both && gradient->kind == ASPP_HOPPER))
        snprintf(self->engine, sizeof self->engine, "%s",
                 forward->kind == ASPP_PLAIN ? "plain" : "direct");
    else if (!has_both || strcmp(names[0], names[1]) == 0)
        snprintf(self->engine, sizeof self->engine, "direct: %s", names[0]);
    else
        snprintf(self->engine, sizeof self->engine, "direct: dst %s, d_src %s", names[0], names[1]);
}

adele_status cuda_aspp_create(const struct adele_device *device, const struct adele_aspp_desc *desc,
                              struct adele_op **out) {
    struct aspp *self = NULL;
    TRY(op_create(device, ADELE_OP_aspp, &self, out));
    self->desc = *desc;
    self->math = math_of(context_of(device), desc->precision);
    set_sizes(self);
    TRY(prepare(self));
    name_engine(self);
    return ADELE_OK;
}

// ---- forward and data gradient ------------------------------------------------------------------

static adele_status run_direct(const struct aspp *self, const struct aspp_pass *pass,
                               const struct conv2d_product *of,
                               const struct adele_aspp_args *args) {
    struct aspp_product product = {};
    for (int r = 0; r < self->desc.n_rates; r++)
        product.biases.of[r] = args->biases[r];
    product.source = of->source;
    product.target = of->target;
    product.weights = of->weights;
    product.c_out = self->desc.c_out;
    product.accumulate = of->accumulate;
    product.n_columns = pass->launch.n_columns;
    dim3 grid((unsigned)pass->gather.n_tiles * (unsigned)product.n_columns,
              (unsigned)pass->gather.n_groups);
    void (*aspp_kernel)(struct aspp_gather, struct aspp_product) = pass->launch.kernel;
    return LAUNCH(context_of(self->base.op.device), aspp_kernel, grid, pass->launch.n_threads,
                  pass->launch.shared_bytes, pass->gather, product);
}

static adele_status run_pass(const struct aspp *self, bool is_data_gradient,
                             const struct adele_aspp_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct aspp_pass *pass = is_data_gradient ? &self->data_gradient : &self->forward;
    if (pass->kind == ASPP_PLAIN)
        return aspp_plain_run(context, &self->desc, is_data_gradient, self->math, args);
    char *workspace = (char *)args->workspace;
    struct aspp_packed packed = {workspace, NULL};
    if (pass->kind == ASPP_HOPPER && self->desc.has_bias && !is_data_gradient)
        packed.biases = (float *)(workspace + pass->biases_offset);
    TRY(aspp_pack(context, &self->desc, is_data_gradient, &pass->gather, self->math, args,
                  &packed));
    struct conv2d_product product = {};
    product.source = is_data_gradient ? args->d_dst : args->src;
    product.target = is_data_gradient ? args->d_src : args->dst;
    product.weights = packed.weights;
    product.bias = packed.biases;
    product.accumulate = is_data_gradient && args->accumulate_d_src;
    if (pass->kind == ASPP_HOPPER)
        return hopper_part_run(context, &pass->hopper, &product,
                               (float *)(workspace + pass->slots_offset));
    return run_direct(self, pass, &product, args);
}

adele_status cuda_aspp_forward(struct adele_op *op, const struct adele_aspp_args *args) {
    return run_pass((const struct aspp *)op, false, args);
}

// ---- weight gradients ---------------------------------------------------------------------------

static const int slice_threads = 256;

// One thread owns 8 channels of one pixel of the branch's tensor: to (n_pixels, p_to), from
// (n_pixels, p_from) at channel `first`. Zeros in the padding channels.
template <typename T>
static __global__ void slice_kernel(int64_t n_pixels, int channels, int p_to, T *to, int first,
                                    int p_from, const T *from) {
    int64_t n_vectors = n_pixels * (p_to / 8), step = (int64_t)gridDim.x * slice_threads;
    for (int64_t i = (int64_t)blockIdx.x * slice_threads + threadIdx.x; i < n_vectors; i += step) {
        int channel = (int)(i % (p_to / 8)) * 8;
        const T *source = from + i / (p_to / 8) * p_from + first + channel;
        float values[8];
#pragma unroll
        for (int j = 0; j < 8; j++)
            values[j] = channel + j < channels ? to_float(source[j]) : 0.0f;
        store8(to + i * 8, values);
    }
}

adele_status cuda_aspp_backward(struct adele_op *op, const struct adele_aspp_args *args) {
    const struct aspp *self = (const struct aspp *)op;
    const struct adele_aspp_desc *desc = &self->desc;
    const struct cuda_context *context = context_of(op->device);
    if (!desc->is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "aspp: backward of an op created for inference");
    if (desc->needs_d_src && args->d_src != NULL)
        TRY(run_pass(self, true, args));
    for (int r = 0; r < desc->n_rates; r++) {
        const void *d_dst = args->d_dst;
        if (desc->form == ADELE_ASPP_CONCAT) {
            int64_t n_pixels = (int64_t)desc->n * desc->h * desc->w;
            int p_to = padded_channels(desc->c_out);
            TRY(WITH_STORAGE(context, T,
                             LAUNCH(context, slice_kernel<T>,
                                    strided_grid(n_pixels * (p_to / 8), slice_threads),
                                    slice_threads, 0, n_pixels, desc->c_out, p_to,
                                    (T *)args->workspace, r * desc->c_out,
                                    padded_channels(aspp_dst_channels(desc)), (const T *)d_dst)));
            d_dst = args->workspace;
        }
        TRY(weight_gradient_run(context, &self->branches[r], args->src, d_dst, args->d_weights[r],
                                desc->has_bias ? args->d_biases[r] : NULL,
                                (char *)args->workspace + self->slice_bytes));
    }
    return ADELE_OK;
}

} // namespace adele_cuda
