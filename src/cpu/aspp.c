// SPDX-License-Identifier: MIT
// Atrous spatial pyramid pooling as a sequence of convolutions: one conv2d op a branch, which run
// one after another and share the workspace. Branches of SUM after the first, and all branches of
// CONCAT, write to one staging tensor of a branch's shape (N, c_out, H, W): SUM adds it to dst,
// CONCAT copies its channels to their position in dst, which need not be the start of a block.
//
// Where tensors are bf16, the branches run on copies in float, so that a sum over branches is
// rounded once.
//
// Who accumulates, and how far the bits depend on the number of threads: as in conv2d.c.
#include "base/fail.h"
#include "cpu/channels.h"
#include "cpu/context.h"
#include "cpu/elementwise.h"

struct aspp {
    struct cpu_op base;
    struct adele_aspp_desc desc;
    struct adele_op *branches[ADELE_MAX_RATES]; // conv2d
    struct adele_shape src, branch, all;        // branch: of a branch's output; all: of dst
    struct cpu_context floats; // the device with tensors of float, which the branches belong to
    // Places in the workspace. Of the copies of src, of dst or d_dst, and of d_src.
    size_t at_src, at_dst, at_d_src, at_staging, at_workspace;
};

static void aspp_release(struct cpu_op *op) {
    struct aspp *self = (struct aspp *)op;
    for (int r = 0; r < ADELE_MAX_RATES; r++)
        self->base.op.device->iface->op_destroy(self->branches[r]);
}

static adele_status create_branches(struct aspp *self) {
    const struct adele_aspp_desc *desc = &self->desc;
    const struct adele_device *device = &self->floats.device;
    size_t workspace_bytes = 0;
    for (int r = 0; r < desc->n_rates; r++) {
        int rate = desc->rates[r];
        struct adele_conv2d_desc conv2d = {.n = desc->n,
                                           .c_in = desc->c_in,
                                           .h_in = desc->h,
                                           .w_in = desc->w,
                                           .c_out = desc->c_out,
                                           .kernel = rate > 0 ? 3 : 1,
                                           .stride = 1,
                                           .pad = rate,
                                           .dilation = rate > 0 ? rate : 1,
                                           .has_bias = desc->has_bias,
                                           .needs_d_src = desc->needs_d_src,
                                           .is_training = desc->is_training,
                                           .precision = desc->precision};
        TRY(device->iface->conv2d_create(device, &conv2d, &self->branches[r]));
        const struct adele_op *branch = self->branches[r];
        if (branch->workspace_bytes > workspace_bytes)
            workspace_bytes = branch->workspace_bytes;
        self->base.op.flops_forward += branch->flops_forward;
        self->base.op.flops_backward += branch->flops_backward;
    }
    size_t end = 0;
    if (cpu_is_bf16(self->base.op.device)) {
        self->at_src = cpu_reserve(&end, device->iface->tensor_bytes(device, self->src));
        self->at_dst = cpu_reserve(&end, device->iface->tensor_bytes(device, self->all));
        if (desc->is_training && desc->needs_d_src)
            self->at_d_src = cpu_reserve(&end, device->iface->tensor_bytes(device, self->src));
    }
    self->at_staging = cpu_reserve(&end, device->iface->tensor_bytes(device, self->branch));
    self->at_workspace = cpu_reserve(&end, workspace_bytes);
    self->base.op.workspace_bytes = end;
    return ADELE_OK;
}

adele_status cpu_aspp_create(const struct adele_device *device, const struct adele_aspp_desc *desc,
                             struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_aspp, sizeof(struct aspp), out));
    struct aspp *self = (struct aspp *)*out;
    self->base.release = aspp_release;
    self->base.op.engine = "one conv2d a branch";
    self->desc = *desc;
    self->floats = *(const struct cpu_context *)device->context;
    self->floats.is_bf16 = false;
    self->floats.device.context = &self->floats;
    self->src = (struct adele_shape){desc->n, desc->c_in, desc->h, desc->w};
    self->branch = (struct adele_shape){desc->n, desc->c_out, desc->h, desc->w};
    self->all = self->branch;
    if (desc->form == ADELE_ASPP_CONCAT)
        self->all.c = desc->c_out * desc->n_rates;
    return create_branches(self);
}

// ---- forward and backward -----------------------------------------------------------------------

static size_t values_of(const struct aspp *self, struct adele_shape shape) {
    return cpu_tensor_values(shape, self->floats.block);
}

static float *floats_at(const struct adele_aspp_args *args, size_t at) {
    return (float *)(void *)((char *)args->workspace + at);
}

static adele_status forward(struct aspp *self, const struct adele_aspp_args *args) {
    const struct adele_aspp_desc *desc = &self->desc;
    const struct adele_device *device = &self->floats.device;
    bool is_sum = desc->form == ADELE_ASPP_SUM;
    float *staging = floats_at(args, self->at_staging);
    for (int r = 0; r < desc->n_rates; r++) {
        struct adele_conv2d_args branch = {.src = args->src,
                                           .weight = args->weights[r],
                                           .bias = desc->has_bias ? args->biases[r] : NULL,
                                           .dst = is_sum && r == 0 ? args->dst : staging,
                                           .workspace = floats_at(args, self->at_workspace)};
        TRY(cpu_conv2d_forward(self->branches[r], &branch));
        if (is_sum && r > 0)
            elementwise_add_tensor(args->dst, staging, values_of(self, self->all), false);
        else if (!is_sum)
            channels_move(device, (struct channels){self->all, r * desc->c_out}, args->dst,
                          (struct channels){self->branch, 0}, staging, desc->c_out, false);
    }
    if (!is_sum)
        channels_zero_padding(device, self->all, args->dst);
    return ADELE_OK;
}

static adele_status backward(struct aspp *self, const struct adele_aspp_args *args) {
    const struct adele_aspp_desc *desc = &self->desc;
    const struct adele_device *device = &self->floats.device;
    bool is_sum = desc->form == ADELE_ASPP_SUM;
    float *staging = floats_at(args, self->at_staging);
    for (int r = 0; r < desc->n_rates; r++) {
        if (!is_sum) {
            channels_move(device, (struct channels){self->branch, 0}, staging,
                          (struct channels){self->all, r * desc->c_out}, args->d_dst, desc->c_out,
                          false);
            channels_zero_padding(device, self->branch, staging);
        }
        struct adele_conv2d_args branch = {.src = args->src,
                                           .weight = args->weights[r],
                                           .d_dst = is_sum ? args->d_dst : staging,
                                           .d_src = args->d_src,
                                           .accumulate_d_src = args->accumulate_d_src || r > 0,
                                           .d_weight = args->d_weights[r],
                                           .d_bias = desc->has_bias ? args->d_biases[r] : NULL,
                                           .workspace = floats_at(args, self->at_workspace)};
        TRY(cpu_conv2d_backward(self->branches[r], &branch));
    }
    return ADELE_OK;
}

adele_status cpu_aspp_forward(struct adele_op *op, const struct adele_aspp_args *args) {
    struct aspp *self = (struct aspp *)op;
    if (!cpu_is_bf16(op->device))
        return forward(self, args);
    struct adele_aspp_args copies = *args;
    float *src = floats_at(args, self->at_src);
    elementwise_widen_tensor(src, args->src, values_of(self, self->src));
    copies.src = src;
    copies.dst = floats_at(args, self->at_dst);
    TRY(forward(self, &copies));
    elementwise_narrow_tensor(args->dst, copies.dst, values_of(self, self->all));
    return ADELE_OK;
}

adele_status cpu_aspp_backward(struct adele_op *op, const struct adele_aspp_args *args) {
    struct aspp *self = (struct aspp *)op;
    if (!self->desc.is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "aspp: backward of an op created for inference");
    if (!cpu_is_bf16(op->device))
        return backward(self, args);
    struct adele_aspp_args copies = *args;
    float *src = floats_at(args, self->at_src), *d_dst = floats_at(args, self->at_dst);
    elementwise_widen_tensor(src, args->src, values_of(self, self->src));
    elementwise_widen_tensor(d_dst, args->d_dst, values_of(self, self->all));
    copies.src = src;
    copies.d_dst = d_dst;
    bool has_d_src = self->desc.needs_d_src && args->d_src != NULL;
    copies.d_src = has_d_src ? floats_at(args, self->at_d_src) : NULL;
    if (has_d_src && args->accumulate_d_src)
        elementwise_widen_tensor(copies.d_src, args->d_src, values_of(self, self->src));
    TRY(backward(self, &copies));
    if (has_d_src)
        elementwise_narrow_tensor(args->d_src, copies.d_src, values_of(self, self->src));
    return ADELE_OK;
}
