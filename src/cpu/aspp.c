// SPDX-License-Identifier: MIT
// Atrous spatial pyramid pooling as the convolutions it is made of: one conv2d op a branch, which
// run one after another and share the workspace. Branches of SUM after the first, and all branches
// of CONCAT, pass through one staging tensor of a branch's shape (N, c_out, H, W): SUM adds it to
// dst, CONCAT moves its channels to theirs, which need not begin at a block.
//
// Who accumulates, and how far the bits depend on the number of threads: as in conv2d.c.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "device/op_check.h"

#include <string.h>

struct aspp {
    struct cpu_op base;
    struct adele_aspp_desc desc;
    struct adele_op *branches[ADELE_MAX_RATES]; // conv2d
    struct adele_shape branch, all;             // of a branch's output, and of dst
    int block;
    size_t at_staging, at_workspace; // places in the workspace
};

static void aspp_release(struct cpu_op *op) {
    struct aspp *self = (struct aspp *)op;
    for (int r = 0; r < ADELE_MAX_RATES; r++)
        self->base.op.device->iface->op_destroy(self->branches[r]);
}

static adele_status create_branches(struct aspp *self) {
    const struct adele_aspp_desc *desc = &self->desc;
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
        TRY(cpu_conv2d_create(self->base.op.device, &conv2d, &self->branches[r]));
        const struct adele_op *branch = self->branches[r];
        if (branch->workspace_bytes > workspace_bytes)
            workspace_bytes = branch->workspace_bytes;
        self->base.op.flops_forward += branch->flops_forward;
        self->base.op.flops_backward += branch->flops_backward;
    }
    size_t staging_bytes = cpu_tensor_floats(self->branch, self->block) * sizeof(float);
    self->at_workspace = (staging_bytes + 63) / 64 * 64;
    self->base.op.workspace_bytes = self->at_workspace + workspace_bytes;
    return ADELE_OK;
}

adele_status cpu_aspp_create(const struct adele_device *device, const struct adele_aspp_desc *desc,
                             struct adele_op **out) {
    *out = NULL;
    TRY(op_check_aspp(desc));
    struct aspp *self = cpu_op_create(device, ADELE_OP_aspp, sizeof *self);
    if (self == NULL)
        return FAIL_NO_MEMORY(sizeof *self);
    self->base.release = aspp_release;
    self->base.op.engine = "one conv2d a branch";
    self->desc = *desc;
    self->block = cpu_block(device);
    self->branch = (struct adele_shape){desc->n, desc->c_out, desc->h, desc->w};
    self->all = self->branch;
    if (desc->form == ADELE_ASPP_CONCAT)
        self->all.c = desc->c_out * desc->n_rates;
    adele_status status = create_branches(self);
    if (status != ADELE_OK) {
        device->iface->op_destroy(&self->base.op);
        return status;
    }
    *out = &self->base.op;
    return ADELE_OK;
}

// ---- moving channels ----------------------------------------------------------------------------

CPU_KERNEL(static void, add_to, (float *restrict to, const float *restrict from, size_t count),
           (to, from, count)) {
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

static void add_tensor(float *to, const float *from, size_t n_floats) {
    const size_t chunk = 16384;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n_floats; i += chunk)
        add_to(to + i, from + i, n_floats - i < chunk ? n_floats - i : chunk);
}

// Channel c of image n: its first pixel; the others follow a block apart.
static size_t channel_at(const struct aspp *self, struct adele_shape shape, int n, int c) {
    return cpu_tensor_index(shape, self->block, n, c, 0, 0);
}

// Moves `count` channels of every image; whole blocks as they are, single channels otherwise.
static void move_channels(const struct aspp *self, struct adele_shape to_shape, float *to,
                          int to_first, struct adele_shape from_shape, const float *from,
                          int from_first, int count) {
    size_t block = (size_t)self->block;
    size_t plane = (size_t)to_shape.h * (size_t)to_shape.w * block;
    bool is_whole = to_first % self->block == 0 && from_first % self->block == 0;
    int n_moves = is_whole ? (count + self->block - 1) / self->block : count;
    int step = is_whole ? self->block : 1;
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < to_shape.n; n++)
        for (int i = 0; i < n_moves; i++) {
            float *out = to + channel_at(self, to_shape, n, to_first + i * step);
            const float *in = from + channel_at(self, from_shape, n, from_first + i * step);
            bool is_full = is_whole && (i + 1) * step <= count;
            int n_lanes = is_full ? self->block : is_whole ? count - i * step : 1;
            if (is_full)
                memcpy(out, in, plane * sizeof(float));
            else
                for (size_t k = 0; k < plane; k += block)
                    memcpy(out + k, in + k, (size_t)n_lanes * sizeof(float));
        }
}

// Zeros the lanes of the last block that hold no channel.
static void zero_fill_up(const struct aspp *self, struct adele_shape shape, float *tensor) {
    int first = shape.c % self->block;
    size_t n_pixels = (size_t)shape.h * (size_t)shape.w;
    if (first == 0)
        return;
    for (int n = 0; n < shape.n; n++) {
        float *out = tensor + channel_at(self, shape, n, shape.c - first) + first;
        for (size_t i = 0; i < n_pixels; i++)
            memset(out + i * (size_t)self->block, 0, (size_t)(self->block - first) * sizeof(float));
    }
}

// ---- forward and backward -----------------------------------------------------------------------

static float *staging_of(const struct aspp *self, void *workspace) {
    return (float *)(void *)((char *)workspace + self->at_staging);
}

adele_status cpu_aspp_forward(struct adele_op *op, const struct adele_aspp_args *args) {
    struct aspp *self = (struct aspp *)op;
    const struct adele_aspp_desc *desc = &self->desc;
    bool is_sum = desc->form == ADELE_ASPP_SUM;
    float *staging = staging_of(self, args->workspace);
    for (int r = 0; r < desc->n_rates; r++) {
        struct adele_conv2d_args branch = {.src = args->src,
                                           .weight = args->weights[r],
                                           .bias = desc->has_bias ? args->biases[r] : NULL,
                                           .dst = is_sum && r == 0 ? args->dst : staging,
                                           .workspace =
                                               (char *)args->workspace + self->at_workspace};
        TRY(cpu_conv2d_forward(self->branches[r], &branch));
        if (is_sum && r > 0)
            add_tensor(args->dst, staging, cpu_tensor_floats(self->all, self->block));
        else if (!is_sum)
            move_channels(self, self->all, args->dst, r * desc->c_out, self->branch, staging, 0,
                          desc->c_out);
    }
    if (!is_sum)
        zero_fill_up(self, self->all, args->dst);
    return ADELE_OK;
}

adele_status cpu_aspp_backward(struct adele_op *op, const struct adele_aspp_args *args) {
    struct aspp *self = (struct aspp *)op;
    const struct adele_aspp_desc *desc = &self->desc;
    if (!desc->is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "aspp: backward of an op created for inference");
    bool is_sum = desc->form == ADELE_ASPP_SUM;
    float *staging = staging_of(self, args->workspace);
    for (int r = 0; r < desc->n_rates; r++) {
        if (!is_sum) {
            move_channels(self, self->branch, staging, 0, self->all, args->d_dst, r * desc->c_out,
                          desc->c_out);
            zero_fill_up(self, self->branch, staging);
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
