// SPDX-License-Identifier: MIT
// Atrous spatial pyramid pooling as a sequence of convolutions: one conv2d op a branch, which run
// one after another and share the workspace. Branches of SUM after the first, and all branches of
// CONCAT, write to one staging tensor of a branch's shape (N, c_out, H, W): SUM adds it to dst,
// CONCAT copies its channels to their position in dst, which need not be the start of a block.
//
// Who accumulates, and how far the bits depend on the number of threads: as in conv2d.c.
#include "base/fail.h"
#include "cpu/channels.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"
#include "cpu/values.h"

struct aspp {
    struct cpu_op base;
    struct adele_aspp_desc desc;
    struct adele_op *branches[ADELE_MAX_RATES]; // conv2d
    struct adele_shape branch, all;             // of a branch's output, and of dst
    int block;
    bool is_bf16;
    size_t at_staging, at_workspace; // places in the workspace
};

static void aspp_release(struct cpu_op *op) {
    struct aspp *self = (struct aspp *)op;
    for (int r = 0; r < ADELE_MAX_RATES; r++)
        self->base.op.device->iface->op_destroy(self->branches[r]);
}

static adele_status create_branches(struct aspp *self) {
    const struct adele_aspp_desc *desc = &self->desc;
    const struct adele_device *device = self->base.op.device;
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
    size_t staging_bytes =
        cpu_tensor_values(self->branch, self->block) * value_bytes(self->is_bf16);
    self->at_workspace = (staging_bytes + 63) / 64 * 64;
    self->base.op.workspace_bytes = self->at_workspace + workspace_bytes;
    return ADELE_OK;
}

adele_status cpu_aspp_create(const struct adele_device *device, const struct adele_aspp_desc *desc,
                             struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_aspp, sizeof(struct aspp), out));
    struct aspp *self = (struct aspp *)*out;
    self->base.release = aspp_release;
    self->base.op.engine = "one conv2d a branch";
    self->desc = *desc;
    self->block = cpu_block(device);
    self->is_bf16 = cpu_is_bf16(device);
    self->branch = (struct adele_shape){desc->n, desc->c_out, desc->h, desc->w};
    self->all = self->branch;
    if (desc->form == ADELE_ASPP_CONCAT)
        self->all.c = desc->c_out * desc->n_rates;
    return create_branches(self);
}

// ---- forward and backward -----------------------------------------------------------------------

static void *staging_of(const struct aspp *self, void *workspace) {
    return (char *)workspace + self->at_staging;
}

adele_status cpu_aspp_forward(struct adele_op *op, const struct adele_aspp_args *args) {
    struct aspp *self = (struct aspp *)op;
    const struct adele_aspp_desc *desc = &self->desc;
    bool is_sum = desc->form == ADELE_ASPP_SUM;
    void *staging = staging_of(self, args->workspace);
    for (int r = 0; r < desc->n_rates; r++) {
        struct adele_conv2d_args branch = {.src = args->src,
                                           .weight = args->weights[r],
                                           .bias = desc->has_bias ? args->biases[r] : NULL,
                                           .dst = is_sum && r == 0 ? args->dst : staging,
                                           .workspace =
                                               (char *)args->workspace + self->at_workspace};
        TRY(cpu_conv2d_forward(self->branches[r], &branch));
        if (is_sum && r > 0)
            elementwise_add_tensor(args->dst, staging, cpu_tensor_values(self->all, self->block),
                                   self->is_bf16);
        else if (!is_sum)
            channels_move(op->device, (struct channels){self->all, r * desc->c_out}, args->dst,
                          (struct channels){self->branch, 0}, staging, desc->c_out, false);
    }
    if (!is_sum)
        channels_zero_padding(op->device, self->all, args->dst);
    return ADELE_OK;
}

adele_status cpu_aspp_backward(struct adele_op *op, const struct adele_aspp_args *args) {
    struct aspp *self = (struct aspp *)op;
    const struct adele_aspp_desc *desc = &self->desc;
    if (!desc->is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "aspp: backward of an op created for inference");
    bool is_sum = desc->form == ADELE_ASPP_SUM;
    void *staging = staging_of(self, args->workspace);
    for (int r = 0; r < desc->n_rates; r++) {
        if (!is_sum) {
            channels_move(op->device, (struct channels){self->branch, 0}, staging,
                          (struct channels){self->all, r * desc->c_out}, args->d_dst, desc->c_out,
                          false);
            channels_zero_padding(op->device, self->branch, staging);
        }
        struct adele_conv2d_args branch = {.src = args->src,
                                           .weight = args->weights[r],
                                           .d_dst = is_sum ? args->d_dst : staging,
                                           .d_src = args->d_src,
                                           .accumulate_d_src = args->accumulate_d_src || r > 0,
                                           .d_weight = args->d_weights[r],
                                           .d_bias = desc->has_bias ? args->d_biases[r] : NULL,
                                           .workspace =
                                               (char *)args->workspace + self->at_workspace};
        TRY(cpu_conv2d_backward(self->branches[r], &branch));
    }
    return ADELE_OK;
}
