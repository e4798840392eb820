// SPDX-License-Identifier: MIT
// What the ops use of their device, and the creation and destruction of any op.
#include "cpu/context.h"

#include "base/available_memory.h"
#include "base/fail.h"
#include "base/memory.h"

static const struct cpu_context *context_of(const struct adele_device *device) {
    return device->context;
}

int cpu_block(const struct adele_device *device) {
    return context_of(device)->block;
}

bool cpu_is_bf16(const struct adele_device *device) {
    return context_of(device)->is_bf16;
}

int cpu_n_threads(const struct adele_device *device) {
    return context_of(device)->n_threads;
}

bool cpu_has_winograd(const struct adele_device *device) {
    return context_of(device)->has_winograd;
}

struct dnnl_engine *cpu_engine(const struct adele_device *device) {
    return context_of(device)->engine;
}

struct dnnl_stream *cpu_stream(const struct adele_device *device) {
    return context_of(device)->stream;
}

// oneDNN generates about half a megabyte of code for a convolution, and crashes where an allocation
// of its own fails. That can happen only under `ulimit -v` or `ulimit -d`.
#define CODE_BYTES ((size_t)16 << 20)

adele_status cpu_op_create(const struct adele_device *device, enum adele_op_kind kind, size_t bytes,
                           struct adele_op **out) {
    if (kind == ADELE_OP_conv2d && available_address_space() < CODE_BYTES)
        return FAIL_NO_MEMORY(CODE_BYTES);
    struct adele_op *op = memory_calloc(1, bytes);
    TRY(CHECK_MEMORY(op));
    op->kind = kind;
    op->device = device;
    op->engine = "loops";
    *out = op;
    return ADELE_OK;
}

void cpu_op_destroy(struct adele_op *op) {
    if (op == NULL)
        return;
    struct cpu_op *self = (struct cpu_op *)op;
    if (self->release != NULL)
        self->release(self);
    memory_free(self);
}
