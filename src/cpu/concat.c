// SPDX-License-Identifier: MIT
// Concatenation of two blocked tensors along channels, where a plan could not have its inputs
// written in place. Where src0 fills whole blocks, blocks are copied; otherwise single channels.
#include "base/fail.h"
#include "cpu/channels.h"
#include "cpu/cpu.h"

struct concat {
    struct cpu_op base;
    struct adele_shape all; // of dst
    int c0, c1;
};

adele_status cpu_concat_create(const struct adele_device *device,
                               const struct adele_concat_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_concat, sizeof(struct concat), out));
    struct concat *self = (struct concat *)*out;
    self->all = (struct adele_shape){desc->n, desc->c0 + desc->c1, desc->h, desc->w};
    self->c0 = desc->c0;
    self->c1 = desc->c1;
    return ADELE_OK;
}

// The channels of an input that has c of them, as a tensor of its own.
static struct channels own(const struct concat *self, int c) {
    struct channels channels = {self->all, 0};
    channels.shape.c = c;
    return channels;
}

adele_status cpu_concat_forward(struct adele_op *op, const struct adele_concat_args *args) {
    const struct concat *self = (const struct concat *)op;
    struct channels first = {self->all, 0}, second = {self->all, self->c0};
    channels_move(op->device, first, args->dst, own(self, self->c0), args->src0, self->c0, false);
    channels_move(op->device, second, args->dst, own(self, self->c1), args->src1, self->c1, false);
    channels_zero_padding(op->device, self->all, args->dst);
    return ADELE_OK;
}

adele_status cpu_concat_backward(struct adele_op *op, const struct adele_concat_args *args) {
    const struct concat *self = (const struct concat *)op;
    struct channels first = {self->all, 0}, second = {self->all, self->c0};
    struct channels to0 = own(self, self->c0), to1 = own(self, self->c1);
    channels_move(op->device, to0, args->d_src0, first, args->d_dst, self->c0,
                  args->accumulate_d_src0);
    channels_move(op->device, to1, args->d_src1, second, args->d_dst, self->c1,
                  args->accumulate_d_src1);
    channels_zero_padding(op->device, to0.shape, args->d_src0);
    channels_zero_padding(op->device, to1.shape, args->d_src1);
    return ADELE_OK;
}
