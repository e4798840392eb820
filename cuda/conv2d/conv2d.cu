// SPDX-License-Identifier: MIT
// Convolution, the op: checks the descriptor, chooses what runs each pass, sizes the workspace.
//
// dst (N, h_out, w_out, P_out) = weight (*) src (N, h_in, w_in, P_in) + bias, zero padding; P =
// channels padded to a multiple of 8. dst and d_src are overwritten (d_src is added to on request),
// d_weight and d_bias are added to. Weights, biases and their gradients are plain floats. All sums
// are float and in an order that the shape alone fixes, so the bits are the same from run to run;
// kernels and tiles are chosen from the shape alone too.
//
// A pass of N h_out w_out c_out c_in kernel^2 products. Weights come in the kernels' order
// (packed_weight, see pack.cu), or are brought into it in the workspace, which belongs to one pass
// at a time.
#include "conv2d/conv2d_parts.cuh"

#include <stdio.h>
#include <string.h>

namespace adele_cuda {

// ---- create -------------------------------------------------------------------------------------

static struct conv2d_shape shape_of(const struct adele_conv2d_desc *desc) {
    struct conv2d_shape shape = {};
    shape.n = desc->n;
    shape.h_in = desc->h_in, shape.w_in = desc->w_in;
    shape.c_in = desc->c_in, shape.p_in = padded_channels(desc->c_in);
    shape.h_out =
        adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation);
    shape.w_out =
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation);
    shape.c_out = desc->c_out, shape.p_out = padded_channels(desc->c_out);
    shape.kernel = desc->kernel, shape.stride = desc->stride;
    shape.pad = desc->pad, shape.dilation = desc->dilation;
    return shape;
}

static void name_pass(const struct conv2d *self, enum conv2d_pass pass, char *text, size_t bytes) {
    if (!conv2d_has_pass(self, pass))
        snprintf(text, bytes, "none");
    else if (self->library[pass].run != NULL)
        snprintf(text, bytes, "%s", self->library[pass].name);
    else if (pass == CONV2D_WEIGHT_GRADIENT &&
             self->weight_gradient.kernel == WEIGHT_GRADIENT_HOPPER)
        snprintf(text, bytes, "wgmma bf16 128x%d", self->weight_gradient.hopper.tiles.bn);
    else if (pass == CONV2D_WEIGHT_GRADIENT)
        snprintf(text, bytes, self->is_plain ? "plain" : "direct");
    else
        conv2d_direct_name(self, pass, text, bytes);
}

static void name_engine(struct conv2d *self) {
    char names[CONV2D_PASSES][32];
    for (int pass = 0; pass < CONV2D_PASSES; pass++)
        name_pass(self, (enum conv2d_pass)pass, names[pass], sizeof names[pass]);
    bool is_library = false;
    for (int pass = 0; pass < CONV2D_PASSES; pass++)
        is_library = is_library || self->library[pass].run != NULL;
    if (is_library)
        snprintf(self->engine, sizeof self->engine, "dst %s, d_src %s, d_weight %s", names[0],
                 names[1], names[2]);
    else if (!conv2d_has_pass(self, CONV2D_DATA_GRADIENT) || strcmp(names[0], names[1]) == 0)
        snprintf(self->engine, sizeof self->engine, "%s: %s", self->is_plain ? "plain" : "direct",
                 names[0]);
    else
        snprintf(self->engine, sizeof self->engine, "%s: dst %s, d_src %s",
                 self->is_plain ? "plain" : "direct", names[0], names[1]);
    size_t length = strlen(self->engine);
    if (!is_library && self->weight_gradient.kernel == WEIGHT_GRADIENT_HOPPER)
        snprintf(self->engine + length, sizeof self->engine - length, ", d_weight %s", names[2]);
    self->base.op.engine = self->engine;
}

static void conv2d_release(struct cuda_op *op) {
    struct conv2d *self = (struct conv2d *)op;
    for (int pass = 0; pass < CONV2D_PASSES; pass++)
        if (self->library[pass].release != NULL)
            self->library[pass].release(self->library[pass].plan);
}

static bool reads_packed(const struct conv2d *self, enum conv2d_pass pass) {
    return conv2d_has_pass(self, pass) && self->library[pass].run == NULL &&
           (self->direct[pass].kernel == CONV2D_KERNEL_FMA ||
            self->direct[pass].kernel == CONV2D_KERNEL_MMA ||
            self->direct[pass].kernel == CONV2D_KERNEL_HOPPER);
}

// The libraries read the forward pass's order in both directions. Without the op that packs the
// weights of all convolutions, each pass packs its own.
static void count_packed_bytes(struct conv2d *self) {
    if (family_is_disabled(self->base.op.device, ADELE_FAMILY_pack))
        return;
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct adele_conv2d_desc *desc = &self->desc;
    struct conv2d_packing gradient =
        conv2d_packing_make(desc->c_out, desc->c_in, desc->kernel, CONV2D_DATA_GRADIENT);
    if (reads_packed(self, CONV2D_DATA_GRADIENT))
        self->base.op.packed_bytes =
            self->packed_forward_bytes + conv2d_packing_bytes(context, &gradient);
    else if (reads_packed(self, CONV2D_FORWARD) || self->library[CONV2D_FORWARD].run != NULL ||
             self->library[CONV2D_DATA_GRADIENT].run != NULL)
        self->base.op.packed_bytes = self->packed_forward_bytes;
}

// Fails where a pass would need a plain kernel that the self-test found faulty.
static adele_status check_families(const struct conv2d *self) {
    const struct adele_device *device = self->base.op.device;
    for (int pass = CONV2D_FORWARD; pass < CONV2D_WEIGHT_GRADIENT; pass++)
        if (conv2d_has_pass(self, (enum conv2d_pass)pass) && self->library[pass].run == NULL &&
            self->direct[pass].kernel == CONV2D_KERNEL_PLAIN)
            TRY(family_check(device, ADELE_FAMILY_conv2d_plain));
    if (self->desc.is_training && self->library[CONV2D_WEIGHT_GRADIENT].run == NULL &&
        self->weight_gradient.kernel == WEIGHT_GRADIENT_PLAIN)
        return family_check(device, ADELE_FAMILY_weight_gradient_plain);
    return ADELE_OK;
}

static adele_status choose(struct conv2d *self) {
    const struct cuda_context *context = context_of(self->base.op.device);
    struct conv2d_packing forward =
        conv2d_packing_make(self->desc.c_out, self->desc.c_in, self->desc.kernel, CONV2D_FORWARD);
    self->packed_forward_bytes = conv2d_packing_bytes(context, &forward);
    for (int pass = CONV2D_FORWARD; pass < CONV2D_WEIGHT_GRADIENT; pass++)
        if (conv2d_has_pass(self, (enum conv2d_pass)pass))
            TRY(conv2d_direct_choose(self, (enum conv2d_pass)pass));
    if (self->desc.is_training)
        TRY(weight_gradient_choose(&self->base, &self->shape, self->math, self->is_plain,
                                   &self->weight_gradient));
    if (context->engine != CUDA_ENGINE_DIRECT && context->engine != CUDA_ENGINE_PLAIN)
        TRY(conv2d_library_choose(self));
    TRY(check_families(self));
    for (int i = 0; i < CONV2D_PASSES; i++) {
        enum conv2d_pass pass = (enum conv2d_pass)i;
        size_t bytes = !conv2d_has_pass(self, pass)      ? 0
                       : self->library[pass].run != NULL ? self->library[pass].workspace_bytes
                                                         : conv2d_direct_workspace(self, pass);
        if (bytes > self->base.op.workspace_bytes)
            self->base.op.workspace_bytes = bytes;
    }
    count_packed_bytes(self);
    return ADELE_OK;
}

adele_status cuda_conv2d_create(const struct adele_device *device,
                                const struct adele_conv2d_desc *desc, struct adele_op **out) {
    struct conv2d *self = NULL;
    TRY(op_create(device, ADELE_OP_conv2d, &self, out));
    self->base.release = conv2d_release;
    self->desc = *desc;
    self->shape = shape_of(desc);
    self->math = conv2d_math_of(context_of(device), desc->precision);
    self->is_plain = context_of(device)->engine == CUDA_ENGINE_PLAIN;
    TRY(choose(self));
    double flops = 2.0 * desc->kernel * desc->kernel * desc->c_in * desc->c_out * (double)desc->n *
                   (double)self->shape.h_out * (double)self->shape.w_out;
    self->base.op.flops_forward = flops;
    self->base.op.flops_backward = desc->needs_d_src ? 2.0 * flops : flops;
    name_engine(self);
    return ADELE_OK;
}

// ---- forward and backward -----------------------------------------------------------------------

adele_status conv2d_run_pass(const struct conv2d *self, enum conv2d_pass pass,
                             const struct adele_conv2d_args *args) {
    const struct conv2d_library *library = &self->library[pass];
    return library->run != NULL ? library->run(self, library->plan, args)
                                : conv2d_direct_run(self, pass, args);
}

adele_status cuda_conv2d_forward(struct adele_op *op, const struct adele_conv2d_args *args) {
    return conv2d_run_pass((const struct conv2d *)op, CONV2D_FORWARD, args);
}

adele_status cuda_conv2d_backward(struct adele_op *op, const struct adele_conv2d_args *args) {
    const struct conv2d *self = (const struct conv2d *)op;
    if (!self->desc.is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "conv2d: backward of an op created for inference");
    TRY(conv2d_run_pass(self, CONV2D_WEIGHT_GRADIENT, args));
    if (self->desc.needs_d_src && args->d_src != NULL)
        TRY(conv2d_run_pass(self, CONV2D_DATA_GRADIENT, args));
    return ADELE_OK;
}

} // namespace adele_cuda
