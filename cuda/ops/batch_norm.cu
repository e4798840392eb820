// SPDX-License-Identifier: MIT
// Batch norm with ReLU and residual on tensors (N, H, W, P), M = N H W values a channel.
//
//   forward   dst = relu?(a (src - mean) + shift (+ residual)),  a = scale inv_std
//   backward  g = d_dst [dst > 0],  d_shift += sum g,  d_scale += inv_std sum g (src - mean)
//             with batch statistics
//               d_src = a (g - sum g / M - (src - mean) inv_std^2 sum g (src - mean) / M)
//             with running statistics
//               d_src = a g
//             d_residual = g; d_src may be d_dst
//
// Statistics in one reading of src: each thread sums a short run in float, shifted by the run's
// first value, so that a mean much larger than the deviation costs nothing; runs are merged by
// their means and squared deviations (Chan's formula, no differences of large sums), parts of the
// tensor in double. Every sum is a run, a tree over a block's threads, then a tree over the parts
// of a channel; how many of each depends on the shape alone, so the bits do too. Coefficients of
// padding channels are zero, which keeps those channels at zero.
//
// The memory is read 2 times and written once in forward (src, src -> dst), and read 6 times and
// written once in backward; the arithmetic costs no time beside that.
#include "ops/batch_norm_parts.cuh"

#include "device/op_check.h"

namespace adele_cuda {

#define MAX_PARTS 1024 // blocks of a summing kernel: more than fill a GPU only lengthen stage two
#define MIN_RUN   8    // values of a channel that a thread sums at least

struct batch_norm {
    struct cuda_op base;
    struct adele_batch_norm_desc desc;
    struct division sums, apply;
};

// ---- the elementwise passes ---------------------------------------------------------------------

// The mean is subtracted first and not folded into the shift: where it is large beside the
// deviation, folding would cost the low bits that decide a ReLU or a maximum further on. A NaN
// passes through the ReLU, so that it is found where it arises.
template <typename T>
static __global__ void __launch_bounds__(BLOCK)
    apply_forward(struct division d, int n_channels, bool has_relu, const T *__restrict__ src,
                  const T *__restrict__ residual, T *__restrict__ dst,
                  const float *__restrict__ saved_mean, const float *__restrict__ saved_inv_std,
                  const float *__restrict__ scale, const float *__restrict__ shift) {
    struct place place = place_of(&d);
    float mean[8], a[8], b[8];
    load_channels(saved_mean, place.c, n_channels, mean);
    load_channels(saved_inv_std, place.c, n_channels, b);
    load_channels(scale, place.c, n_channels, a);
    for (int j = 0; j < 8; j++)
        a[j] *= b[j];
    load_channels(shift, place.c, n_channels, b);
#pragma unroll 2
    for (int64_t pixel = place.first; pixel < place.end; pixel += d.lanes) {
        int64_t at = pixel * d.p + place.c;
        float value[8];
        load8(src + at, value);
        for (int j = 0; j < 8; j++)
            value[j] = fmaf(value[j] - mean[j], a[j], b[j]);
        if (residual != NULL) {
            float more[8];
            load8(residual + at, more);
            for (int j = 0; j < 8; j++)
                value[j] += more[j];
        }
        if (has_relu)
            for (int j = 0; j < 8; j++)
                value[j] = value[j] <= 0.0f ? 0.0f : value[j];
        store8(dst + pixel * d.dst_pitch + place.c, value);
    }
}

// src = NULL: running statistics, where k = b = 0. d_src may be d_dst: a thread reads a pixel's
// channels before it writes them, and no other thread touches them.
template <typename T>
static __global__ void __launch_bounds__(BLOCK)
    apply_backward(struct division d, int n_channels, const T *__restrict__ src,
                   const T *__restrict__ dst, const T *d_dst, T *d_src, T *d_residual,
                   const float *__restrict__ saved_mean, const float *__restrict__ coefficients) {
    struct place place = place_of(&d);
    if (place.c >= d.p)
        return;
    float mean[8], a[8], k[8], b[8];
    load_channels(saved_mean, place.c, n_channels, mean);
    load8(coefficients + place.c, a);
    load8(coefficients + d.p + place.c, k);
    load8(coefficients + 2 * d.p + place.c, b);
    for (int64_t pixel = place.first; pixel < place.end; pixel += d.lanes) {
        int64_t at = pixel * d.p + place.c;
        float g[8], value[8];
        load_gradient(d_dst, dst, pixel * d.dst_pitch + place.c, g);
        if (src != NULL) {
            load8(src + at, value);
            for (int j = 0; j < 8; j++)
                value[j] = fmaf(value[j] - mean[j], k[j], b[j]);
        } else {
            for (int j = 0; j < 8; j++)
                value[j] = 0.0f;
        }
        if (d_residual != NULL)
            store8(d_residual + at, g);
        for (int j = 0; j < 8; j++)
            value[j] = fmaf(g[j], a[j], value[j]);
        store8(d_src + at, value);
    }
}

// ---- the op -------------------------------------------------------------------------------------

// Parts for about `run` pixels a thread, but no more than `max_blocks` blocks.
static struct division divide(const struct adele_batch_norm_desc *desc, int run, int max_blocks) {
    struct division d;
    d.p = padded_channels(desc->c);
    d.dst_pitch = slice_pitch(desc->dst, desc->c);
    d.groups = 1;
    while (d.groups < MAX_GROUPS && d.groups < d.p / 8)
        d.groups *= 2;
    d.lanes = BLOCK / d.groups;
    d.n_pixels = (int64_t)desc->n * desc->h * desc->w;
    int64_t part = (int64_t)run * d.lanes, n_parts = (d.n_pixels + part - 1) / part;
    int64_t most = max_blocks / slabs_of(&d) > 1 ? max_blocks / slabs_of(&d) : 1;
    if (n_parts > most)
        n_parts = most;
    d.part_pixels = (d.n_pixels + n_parts - 1) / n_parts;
    d.n_parts = (int)((d.n_pixels + d.part_pixels - 1) / d.part_pixels);
    return d;
}

// The parts of the elementwise passes: 16 pixels a thread to pay for loading the coefficients, but
// fewer where the tensor is small, to use all of the machine.
static struct division divide_to_apply(const struct adele_batch_norm_desc *desc) {
    struct division d = divide(desc, 16, INT32_MAX);
    for (int run = 8; run >= 2 && d.n_parts * slabs_of(&d) < 1024; run /= 2)
        d = divide(desc, run, INT32_MAX);
    return d;
}

adele_status cuda_batch_norm_create(const struct adele_device *device,
                                    const struct adele_batch_norm_desc *desc,
                                    struct adele_op **out) {
    TRY(op_check_slice("batch_norm", desc->dst, desc->c, SLICE_CHANNELS));
    struct batch_norm *self = NULL;
    TRY(op_create(device, ADELE_OP_batch_norm, &self, out));
    self->desc = *desc;
    self->sums = divide(desc, MIN_RUN, MAX_PARTS);
    self->apply = divide_to_apply(desc);
    double n_elements = (double)self->sums.n_pixels * desc->c;
    self->base.op.flops_forward = 5.0 * n_elements;
    self->base.op.flops_backward = 9.0 * n_elements;
    self->base.op.workspace_bytes = batch_norm_sums_workspace(&self->sums);
    return ADELE_OK;
}

static struct channel_rule rule_of(const struct batch_norm *self,
                                   const struct adele_batch_norm_args *args) {
    struct channel_rule rule = {self->desc.c, self->desc.eps, self->desc.momentum,
                                args->use_batch_statistics};
    return rule;
}

template <typename T>
static adele_status forward(const struct batch_norm *self,
                            const struct adele_batch_norm_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    TRY(batch_norm_statistics(context, &self->sums, rule_of(self, args), args));
    const T *residual = self->desc.has_residual ? (const T *)args->residual : NULL;
    return LAUNCH(context, apply_forward<T>, grid_of(&self->apply), BLOCK, 0, self->apply,
                  self->desc.c, self->desc.has_relu, (const T *)args->src, residual,
                  (T *)args->dst + self->desc.dst.first, args->saved_mean, args->saved_inv_std,
                  args->scale, args->shift);
}

template <typename T>
static adele_status backward(const struct batch_norm *self,
                             const struct adele_batch_norm_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const T *src = args->use_batch_statistics ? (const T *)args->src : NULL;
    int first = self->desc.dst.first;
    const T *dst = self->desc.has_relu ? (const T *)args->dst + first : NULL;
    const T *d_dst = (const T *)args->d_dst + first;
    const float *coefficients;
    TRY(batch_norm_gradients(context, &self->sums, rule_of(self, args), dst, d_dst, args,
                             &coefficients));
    return LAUNCH(context, apply_backward<T>, grid_of(&self->apply), BLOCK, 0, self->apply,
                  self->desc.c, src, dst, d_dst, (T *)args->d_src, (T *)args->d_residual,
                  args->saved_mean, coefficients);
}

adele_status cuda_batch_norm_forward(struct adele_op *op,
                                     const struct adele_batch_norm_args *args) {
    return WITH_STORAGE(context_of(op->device), T, forward<T>((const struct batch_norm *)op, args));
}

adele_status cuda_batch_norm_backward(struct adele_op *op,
                                      const struct adele_batch_norm_args *args) {
    return WITH_STORAGE(context_of(op->device), T,
                        backward<T>((const struct batch_norm *)op, args));
}

} // namespace adele_cuda
