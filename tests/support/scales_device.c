// SPDX-License-Identifier: MIT
#include "support/scales_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fail.h"
#include "base/memory.h"

struct scales_op {
    struct adele_op op;
    int n;
    struct adele_op *ops[ADELE_MAX_SCALES];
};

#define MOST_OPS 512
static struct scales_op *alive[MOST_OPS]; // scales_device.n_ops of them
static struct adele_device_iface iface;
static void (*destroy_wrapped)(struct adele_op *op);
struct scales_device scales_device;
bool scales_device_leaves_out;

// As the interface has it: convolutions that differ in the extents alone.
static void check_ops(const struct adele_device *device, int n, struct adele_op *const *ops) {
    assert_in_range(n, 2, ADELE_MAX_SCALES);
    for (int i = 0; i < n; i++) {
        assert_ptr_equal(ops[i]->device, device);
        assert_int_equal(ops[i]->kind, ADELE_OP_conv2d);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(ops[i], ops[k]);
    }
}

static adele_status scales_create(const struct adele_device *device, int n,
                                  struct adele_op *const *ops, struct adele_op **out) {
    struct scales_op *self = NULL;
    int i_call = ++scales_device.n_created;
    *out = NULL;
    check_ops(device, n, ops);
    if (i_call == scales_device.i_failing_create)
        return FAIL_NO_MEMORY(sizeof *self);
    if (scales_device_leaves_out && i_call % 2 == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&self, 1));
    self->op.device = device;
    // Another number for each layer, the same whenever that is made.
    self->op.workspace_bytes = 1000 + (size_t)ops[0]->flops_forward % 6007;
    self->n = n;
    for (int i = 0; i < n; i++)
        self->ops[i] = ops[i];
    assert_true(scales_device.n_ops < MOST_OPS);
    alive[scales_device.n_ops++] = self;
    *out = &self->op;
    return ADELE_OK;
}

// Bytes of a NaN before and after the ops have run: what they read is not there.
static void spoil_workspace(const struct adele_op *op, void *workspace) {
    const char *first = workspace, *end = first + op->workspace_bytes;
    memset(workspace, 0xff, op->workspace_bytes);
    if (scales_device.workspace_first == NULL || first < scales_device.workspace_first)
        scales_device.workspace_first = first;
    if (scales_device.workspace_end == NULL || end > scales_device.workspace_end)
        scales_device.workspace_end = end;
}

// The same parameters, and the same wish for d_src, at all scales.
static void check_args(int n, const struct adele_conv2d_args *const *args) {
    for (int i = 1; i < n; i++) {
        assert_ptr_equal(args[i]->weight, args[0]->weight);
        assert_ptr_equal(args[i]->bias, args[0]->bias);
        assert_ptr_equal(args[i]->d_weight, args[0]->d_weight);
        assert_ptr_equal(args[i]->d_bias, args[0]->d_bias);
        assert_int_equal(args[i]->d_src == NULL, args[0]->d_src == NULL);
        assert_int_equal(args[i]->accumulate_d_src, args[0]->accumulate_d_src);
    }
}

static adele_status scales_forward(struct adele_op *op, const struct adele_conv2d_args *const *args,
                                   void *workspace) {
    struct scales_op *self = (struct scales_op *)op;
    if (++scales_device.n_forward == scales_device.i_failing_forward)
        return FAIL(ADELE_DEVICE, "", "a convolution at %d scales fails", self->n);
    check_args(self->n, args);
    spoil_workspace(op, workspace);
    for (int i = 0; i < self->n; i++)
        TRY(op->device->iface->conv2d_forward(self->ops[i], args[i]));
    spoil_workspace(op, workspace);
    return ADELE_OK;
}

static adele_status scales_backward(struct adele_op *op,
                                    const struct adele_conv2d_args *const *args, void *workspace) {
    struct scales_op *self = (struct scales_op *)op;
    if (++scales_device.n_backward == scales_device.i_failing_backward)
        return FAIL(ADELE_DEVICE, "", "a convolution at %d scales fails", self->n);
    check_args(self->n, args);
    spoil_workspace(op, workspace);
    for (int i = 0; i < self->n; i++)
        TRY(op->device->iface->conv2d_backward(self->ops[i], args[i]));
    spoil_workspace(op, workspace);
    return ADELE_OK;
}

// An op for all scales is destroyed before those that it borrows.
static void op_destroy(struct adele_op *op) {
    for (int i = 0; i < scales_device.n_ops && op != NULL; i++) {
        for (int k = 0; k < alive[i]->n; k++)
            assert_ptr_not_equal(op, alive[i]->ops[k]);
        if (op == &alive[i]->op) {
            alive[i] = alive[--scales_device.n_ops];
            memory_free(op);
            return;
        }
    }
    destroy_wrapped(op);
}

void scales_device_wrap(struct adele_device *device) {
    assert_int_equal(scales_device.n_ops, 0);
    memset(&scales_device, 0, sizeof scales_device);
    iface = *device->iface;
    destroy_wrapped = iface.op_destroy;
    iface.op_destroy = op_destroy;
    iface.conv2d_scales_create = scales_create;
    iface.conv2d_scales_forward = scales_forward;
    iface.conv2d_scales_backward = scales_backward;
    device->iface = &iface;
}

adele_status scales_device_open(enum adele_precision precision, struct adele_device **out) {
    TRY(adele_device_open("cpu", precision, out));
    scales_device_wrap(*out);
    return ADELE_OK;
}

size_t scales_device_workspace_bytes(void) {
    size_t bytes = 0;
    for (int i = 0; i < scales_device.n_ops; i++)
        if (alive[i]->op.workspace_bytes > bytes)
            bytes = alive[i]->op.workspace_bytes;
    return bytes;
}
