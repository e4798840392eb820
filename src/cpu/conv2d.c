// SPDX-License-Identifier: MIT
// Convolution on blocked tensors: by oneDNN, except where our own kernels are faster or keep the
// order of their sums (Winograd's algorithm, weight gradients of 3 x 3 and 1 x 1 kernels, and the
// first layer).
//
// Activations are already in the blocked format of oneDNN's kernels, with channels padded to whole
// blocks by zeros, and oneDNN gets the padded extents; so it reorders none of them, and zero
// weights keep the padding channels at zero. Only weights are reordered, from plain to the
// primitive's format, and their gradients back, in the workspace. Primitives and memory objects are
// created once; a run sets pointers and allocates nothing.
//
// Who accumulates: dst and d_src are overwritten (d_src is added to on request), d_weight and
// d_bias are added to. Determinism: same bits from run to run, and with our own kernels for any
// number of threads; oneDNN's weight gradient (other kernels than 3 x 3 and 1 x 1, a 1 x 1 with a
// stride) splits its sums by that number, so its last bits may change with it.
//
// bf16: what is multiplied is rounded to bf16 (nearest even), and sums stay float. Where the
// processor multiplies bf16, our own Winograd kernels round their transforms of src, weights and
// d_dst instead (conv2d_winograd.h says what this costs in accuracy), and oneDNN's bf16 primitives
// serve the other passes of dst and d_src.
//
// Where tensors are bf16, our own kernels read and write them as such, and so do those primitives;
// oneDNN's float kernels run on copies. d_src of a primitive is float before it is added or
// rounded, once. Where tensors are float, src and d_dst are rounded in copies of the workspace,
// except for Winograd's kernels that multiply bf16; the bias gradient beside those is the sum of
// the unrounded d_dst.
#include "base/fail.h"
#include "cpu/conv2d_parts.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "cpu/values.h"

#include <stdio.h>
#include <string.h>

// ---- create -------------------------------------------------------------------------------------

static void conv2d_release(struct cpu_op *op) {
    struct conv2d *self = (struct conv2d *)op;
    conv2d_pass_deinit(&self->forward);
    conv2d_pass_deinit(&self->backward_data);
    conv2d_pass_deinit(&self->backward_weights);
}

// Whether the weights are padded, or rounded, before the primitive's reorder reads them (which
// rounds by itself to bf16).
static bool is_staged(const struct conv2d *self, const struct conv2d_pass *pass) {
    if (pass->winograd.kernels != NULL)
        return false;
    return self->is_padded || (self->rounds && !pass->is_bf16);
}

// How a pass reads a tensor: where it lies, or a copy, of floats rounded to bf16, of bf16, or of
// floats.
enum operand { OPERAND_UNCHANGED, OPERAND_ROUNDED, OPERAND_NARROWED, OPERAND_WIDENED };

static bool is_paired(const struct winograd_kernels *kernels) {
    return kernels != NULL && kernels->n_paired > 1;
}

// Our own kernels read bf16; oneDNN's float kernels, and conv2d_far.c in their place, do not.
static bool is_float_only(const struct conv2d *self, const struct conv2d_pass *pass) {
    return self->is_bf16 && pass->primitive != NULL && !pass->is_bf16;
}

static enum operand operand_of(const struct conv2d *self, const struct conv2d_pass *pass) {
    if (self->is_bf16)
        return is_float_only(self, pass) ? OPERAND_WIDENED : OPERAND_UNCHANGED;
    if (!self->rounds || is_paired(pass->winograd.kernels))
        return OPERAND_UNCHANGED;
    return pass->is_bf16 ? OPERAND_NARROWED : OPERAND_ROUNDED;
}

static enum operand gradient_operand(const struct conv2d *self) {
    if (self->is_bf16)
        return is_float_only(self, &self->backward_weights) ? OPERAND_WIDENED : OPERAND_UNCHANGED;
    return self->rounds && !is_paired(self->weight_gradient.winograd) ? OPERAND_ROUNDED
                                                                      : OPERAND_UNCHANGED;
}

// The bytes of a copy of `count` values.
static size_t operand_bytes(enum operand operand, size_t count) {
    return operand == OPERAND_UNCHANGED ? 0 : count * value_bytes(operand == OPERAND_NARROWED);
}

static void plan_pass(const struct conv2d *self, struct conv2d_pass *pass, size_t *cursor,
                      size_t *end) {
    if (!conv2d_pass_is_used(pass))
        return;
    pass->at_staged_weights =
        is_staged(self, pass) ? cpu_reserve(cursor, self->padded_weight_bytes) : 0;
    pass->at_weights = cpu_reserve(cursor, pass->weights_bytes);
    pass->at_bias = cpu_reserve(cursor, (size_t)self->c_out_padded * sizeof(float));
    pass->at_scratchpad = cpu_reserve(cursor, pass->scratchpad_bytes);
    if (*cursor > *end)
        *end = *cursor;
}

// The passes follow one another, so their buffers share the same bytes.
static void plan_workspace(struct conv2d *self) {
    size_t end = 0, cursor = 0;
    self->at_src =
        cpu_reserve(&cursor, operand_bytes(operand_of(self, &self->forward), self->src_values));
    if (is_float_only(self, &self->forward))
        self->at_dst = cpu_reserve(&cursor, self->dst_values * sizeof(float));
    plan_pass(self, &self->forward, &cursor, &end);
    if (self->first_layer.is_used) {
        self->first_layer.at_weights = cpu_reserve(&cursor, self->first_layer.weights_bytes);
        self->first_layer.at_buffer = cpu_reserve(&cursor, self->first_layer.buffer_bytes);
        end = cursor > end ? cursor : end;
    }
    cursor = 0;
    size_t d_dst_bytes = operand_bytes(gradient_operand(self), self->dst_values), of_data = 0;
    if (conv2d_pass_is_used(&self->backward_data))
        of_data = operand_bytes(operand_of(self, &self->backward_data), self->dst_values);
    self->at_d_dst = cpu_reserve(&cursor, of_data > d_dst_bytes ? of_data : d_dst_bytes);
    size_t common = cursor;
    if (self->backward_data.primitive != NULL) // our own kernel adds by itself
        self->at_d_src = cpu_reserve(&cursor, self->src_values * sizeof(float));
    plan_pass(self, &self->backward_data, &cursor, &end);
    cursor = common;
    self->at_backward_src =
        cpu_reserve(&cursor, operand_bytes(gradient_operand(self), self->src_values));
    plan_pass(self, &self->backward_weights, &cursor, &end);
    if (self->weight_gradient.is_used) {
        self->weight_gradient.at_partial =
            cpu_reserve(&cursor, self->weight_gradient.partial_bytes);
        self->weight_gradient.at_buffer = cpu_reserve(&cursor, self->weight_gradient.buffer_bytes);
        if (self->desc.has_bias)
            self->weight_gradient.at_bias_sums =
                cpu_reserve(&cursor, conv2d_bias_gradient_bytes(self));
        end = cursor > end ? cursor : end;
    }
    self->base.op.workspace_bytes = end;
}

static void name_engine(struct conv2d *self) {
    const char *own = cpu_isa() < CPU_ISA_AVX2 ? "our sse41" : "our avx2";
    const char *forward = !self->first_layer.is_used              ? self->forward.name
                          : cpu_block(self->base.op.device) == 16 ? "our avx512"
                                                                  : own;
    const char *data =
        conv2d_pass_is_used(&self->backward_data) ? self->backward_data.name : "none";
    const char *weights = !self->desc.is_training ? "none"
                          : self->weight_gradient.winograd != NULL
                              ? self->weight_gradient.winograd->name
                          : self->weight_gradient.is_used ? own
                                                          : self->backward_weights.name;
    const char *rounded = self->rounds ? ", bf16 rounded" : "";
    if (strcmp(forward, data) == 0 && strcmp(forward, weights) == 0)
        snprintf(self->engine, sizeof self->engine, "%s%.30s%s",
                 self->forward.is_far                     ? "our "
                 : self->forward.winograd.kernels != NULL ? ""
                                                          : "onednn ",
                 forward, rounded);
    else
        snprintf(self->engine, sizeof self->engine, "dst %.30s, d_src %.30s, d_weight %.30s%s",
                 forward, data, weights, rounded);
    self->base.op.engine = self->engine;
}

static void set_extents(struct conv2d *self) {
    const struct adele_conv2d_desc *desc = &self->desc;
    self->h_out =
        adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation);
    self->w_out =
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation);
    int block = cpu_block(self->base.op.device);
    self->c_in_padded = (desc->c_in + block - 1) / block * block;
    self->c_out_padded = (desc->c_out + block - 1) / block * block;
    self->is_padded = self->c_in_padded != desc->c_in || self->c_out_padded != desc->c_out;
    self->rounds = desc->precision == ADELE_PRECISION_BF16;
    self->is_bf16 = cpu_is_bf16(self->base.op.device);
    self->taps = (size_t)desc->kernel * (size_t)desc->kernel;
    self->padded_weight_bytes =
        (size_t)self->c_out_padded * (size_t)self->c_in_padded * self->taps * sizeof(float);
    struct adele_shape src = {desc->n, desc->c_in, desc->h_in, desc->w_in};
    struct adele_shape dst = {desc->n, desc->c_out, self->h_out, self->w_out};
    self->src_values = cpu_tensor_values(src, block);
    self->dst_values = cpu_tensor_values(dst, block);
    double flops = 2.0 * (double)self->taps * desc->c_in * desc->c_out * (double)desc->n *
                   (double)self->h_out * (double)self->w_out;
    self->base.op.flops_forward = flops;
    self->base.op.flops_backward = desc->needs_d_src ? 2.0 * flops : flops;
}

adele_status cpu_conv2d_create(const struct adele_device *device,
                               const struct adele_conv2d_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_conv2d, sizeof(struct conv2d), out));
    struct conv2d *self = (struct conv2d *)*out;
    self->base.release = conv2d_release;
    self->desc = *desc;
    set_extents(self);
    if (!conv2d_first_layer_plan(self))
        TRY(conv2d_pass_init(self, CONV2D_FORWARD, &self->forward));
    if (desc->is_training && desc->needs_d_src)
        TRY(conv2d_pass_init(self, CONV2D_BACKWARD_DATA, &self->backward_data));
    if (desc->is_training && !conv2d_winograd_gradient_plan(self) &&
        !conv2d_weight_gradient_plan(self) && !conv2d_pointwise_gradient_plan(self))
        TRY(conv2d_pass_init(self, CONV2D_BACKWARD_WEIGHTS, &self->backward_weights));
    if ((self->forward.primitive != NULL && is_staged(self, &self->forward)) ||
        (self->backward_data.primitive != NULL && is_staged(self, &self->backward_data)))
        self->base.op.packed_bytes = self->padded_weight_bytes;
    plan_workspace(self);
    name_engine(self);
    return ADELE_OK;
}

static float *floats_at(void *workspace, size_t at) {
    return (float *)(void *)((char *)workspace + at);
}

// ---- weights ------------------------------------------------------------------------------------

// The plain weights as the primitive's reorder reads them.
static const float *stage_weights(const struct conv2d *self, const struct conv2d_pass *pass,
                                  const struct adele_conv2d_args *args) {
    if (!is_staged(self, pass))
        return args->weight;
    if (args->packed_weight != NULL)
        return args->packed_weight;
    float *staged = floats_at(args->workspace, pass->at_staged_weights);
    struct conv2d_staging staging = {self->desc.c_out,  self->desc.c_in, self->c_out_padded,
                                     self->c_in_padded, self->taps,      self->rounds};
    conv2d_stage(staged, args->weight, &staging);
    return staged;
}

static adele_status load_weights(const struct conv2d *self, const struct conv2d_pass *pass,
                                 const struct adele_conv2d_args *args) {
    char *workspace = args->workspace;
    if (pass->winograd.kernels != NULL) {
        conv2d_winograd_pack(self, pass, args->weight, floats_at(workspace, pass->at_weights));
        return ADELE_OK;
    }
    const float *staged = stage_weights(self, pass, args);
    if (!pass->is_far)
        return conv2d_reorder(self, pass, staged, workspace + pass->at_weights);
    conv2d_far_pack(self, pass, staged, floats_at(workspace, pass->at_weights));
    return ADELE_OK;
}

// d_weight += the gradient that the primitive left in its own format.
static adele_status add_weight_gradient(const struct conv2d *self, float *d_weight,
                                        char *workspace) {
    const struct conv2d_pass *pass = &self->backward_weights;
    float *from = floats_at(workspace, pass->at_weights);
    if (!self->is_padded && !pass->is_far)
        return conv2d_reorder(self, pass, from, d_weight); // this reorder adds
    const float *staged = from;
    if (!pass->is_far) {
        float *plain = floats_at(workspace, pass->at_staged_weights);
        memset(plain, 0, self->padded_weight_bytes);
        TRY(conv2d_reorder(self, pass, from, plain));
        staged = plain;
    }
    size_t row = (size_t)self->desc.c_in * self->taps;
    size_t padded_row = (size_t)self->c_in_padded * self->taps;
    for (int c = 0; c < self->desc.c_out; c++)
        elementwise_add(d_weight + (size_t)c * row, staged + (size_t)c * padded_row, row);
    return ADELE_OK;
}

// ---- forward and backward -----------------------------------------------------------------------

// `from` as a pass reads it: where it lies, or a copy in `buffer`.
static const void *read_operand(enum operand operand, const void *from, size_t count,
                                void *buffer) {
    if (operand == OPERAND_NARROWED)
        elementwise_narrow_tensor(buffer, from, count);
    if (operand == OPERAND_ROUNDED)
        elementwise_round_tensor(buffer, from, count);
    if (operand == OPERAND_WIDENED)
        elementwise_widen_tensor(buffer, from, count);
    return operand == OPERAND_UNCHANGED ? from : buffer;
}

adele_status cpu_conv2d_forward(struct adele_op *op, const struct adele_conv2d_args *args) {
    struct conv2d *self = (struct conv2d *)op;
    const struct conv2d_pass *pass = &self->forward;
    char *workspace = args->workspace;
    const void *src =
        read_operand(operand_of(self, pass), args->src, self->src_values, workspace + self->at_src);
    if (self->first_layer.is_used) {
        conv2d_first_layer_run(self, src, args->weight, args->bias, args->dst, workspace);
        return ADELE_OK;
    }
    TRY(load_weights(self, pass, args));
    float *bias = floats_at(workspace, pass->at_bias);
    if (self->desc.has_bias) {
        memset(bias, 0, (size_t)self->c_out_padded * sizeof(float));
        memcpy(bias, args->bias, (size_t)self->desc.c_out * sizeof(float));
    }
    struct conv2d_pointers pointers = {
        .src = src,
        .weights = workspace + pass->at_weights,
        .bias = bias,
        .dst = is_float_only(self, pass) ? workspace + self->at_dst : args->dst,
        .scratchpad = workspace + pass->at_scratchpad,
    };
    TRY(conv2d_pass_run(self, pass, &pointers));
    if (is_float_only(self, pass))
        elementwise_narrow_tensor(args->dst, pointers.dst, self->dst_values);
    return ADELE_OK;
}

static adele_status backward_data(struct conv2d *self, const struct adele_conv2d_args *args,
                                  const void *d_dst) {
    const struct conv2d_pass *pass = &self->backward_data;
    char *workspace = args->workspace;
    TRY(load_weights(self, pass, args));
    // What oneDNN writes is float.
    bool is_apart = pass->primitive != NULL && (args->accumulate_d_src || self->is_bf16);
    void *d_src = is_apart ? floats_at(workspace, self->at_d_src) : args->d_src;
    struct conv2d_pointers pointers = {
        .src = d_src,
        .weights = workspace + pass->at_weights,
        .dst = d_dst,
        .scratchpad = workspace + pass->at_scratchpad,
        .adds = args->accumulate_d_src && !is_apart,
    };
    TRY(conv2d_pass_run(self, pass, &pointers));
    if (is_apart && !args->accumulate_d_src)
        elementwise_narrow_tensor(args->d_src, d_src, self->src_values);
    else if (is_apart && self->is_bf16)
        elementwise_add_floats_tensor(args->d_src, d_src, self->src_values);
    else if (is_apart)
        elementwise_add_tensor(args->d_src, d_src, self->src_values, false);
    return ADELE_OK;
}

static adele_status backward_weights(struct conv2d *self, const struct adele_conv2d_args *args,
                                     const void *d_dst) {
    const struct conv2d_pass *pass = &self->backward_weights;
    char *workspace = args->workspace;
    const void *src = read_operand(gradient_operand(self), args->src, self->src_values,
                                   workspace + self->at_backward_src);
    if (self->weight_gradient.is_used) {
        struct conv2d_pointers pointers = {
            .src = src,
            .weights = workspace + self->weight_gradient.at_partial,
            .dst = d_dst,
            .scratchpad = workspace + self->weight_gradient.at_buffer,
        };
        if (self->weight_gradient.winograd != NULL)
            conv2d_winograd_gradient_run(self, &pointers, args->d_weight);
        else if (self->desc.kernel == 1)
            conv2d_pointwise_gradient_run(self, &pointers, args->d_weight);
        else
            conv2d_weight_gradient_run(self, &pointers, args->d_weight);
        if (self->desc.has_bias)
            conv2d_bias_gradient(self, d_dst,
                                 (double *)(void *)(workspace + self->weight_gradient.at_bias_sums),
                                 args->d_bias);
        return ADELE_OK;
    }
    float *d_bias = floats_at(workspace, pass->at_bias);
    struct conv2d_pointers pointers = {
        .src = src,
        .weights = workspace + pass->at_weights,
        .bias = d_bias,
        .dst = d_dst,
        .scratchpad = workspace + pass->at_scratchpad,
    };
    TRY(conv2d_pass_run(self, pass, &pointers));
    if (self->desc.has_bias)
        elementwise_add(args->d_bias, d_bias, (size_t)self->desc.c_out);
    return add_weight_gradient(self, args->d_weight, workspace);
}

adele_status cpu_conv2d_backward(struct adele_op *op, const struct adele_conv2d_args *args) {
    struct conv2d *self = (struct conv2d *)op;
    if (!self->desc.is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "conv2d: backward of an op created for inference");
    char *buffer = (char *)args->workspace + self->at_d_dst;
    bool has_data = self->desc.needs_d_src && args->d_src != NULL;
    enum operand of_weights = gradient_operand(self);
    enum operand of_data = has_data ? operand_of(self, &self->backward_data) : of_weights;
    const void *d_dst = read_operand(of_data, args->d_dst, self->dst_values, buffer);
    if (has_data)
        TRY(backward_data(self, args, d_dst));
    if (of_weights != of_data)
        d_dst = read_operand(of_weights, args->d_dst, self->dst_values, buffer);
    return backward_weights(self, args, d_dst);
}
