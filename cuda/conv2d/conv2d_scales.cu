// SPDX-License-Identifier: MIT
// The convolution of a layer at all scales of a step, as one op (conv2d_scales_create in
// device/device.h). A pass that every scale's own op runs by the kernel for Hopper is one launch of
// that kernel, whose tiles are those of all scales (conv2d_hopper_plan.cu): they have one set of
// weights, so the small scales' tiles fill up the rounds of the large ones'. A tile adds up what it
// adds up alone, in the same order; which tiles are split differs. Likewise the weight gradient,
// whose sums run over the pixels of all scales (conv2d_weight_gradient_scales.cu). The other passes
// run op by op.
//
// dst and d_src are overwritten (d_src is added to on request), d_weight and d_bias are added to.
#include "conv2d/conv2d_parts.cuh"
#include "runtime/device_parts.cuh"

#include <stdio.h>

namespace adele_cuda {

struct conv2d_scales {
    struct cuda_op base;
    int n;
    const struct conv2d *scales[ADELE_MAX_SCALES]; // borrowed
    bool is_joint[CONV2D_PASSES];
    struct hopper_plan plans[CONV2D_WEIGHT_GRADIENT]; // of the forward pass and the data gradient
    struct weight_gradient_scales weight_gradient;
    char engine[160];
};

// ---- create -------------------------------------------------------------------------------------

static adele_status check_scale(const struct adele_op *first, const struct adele_op *op) {
    const struct adele_conv2d_desc *a = &((const struct conv2d *)first)->desc;
    const struct adele_conv2d_desc *b = &((const struct conv2d *)op)->desc;
    bool is_same = a->n == b->n && a->c_in == b->c_in && a->c_out == b->c_out &&
                   a->kernel == b->kernel && a->stride == b->stride && a->pad == b->pad &&
                   a->dilation == b->dilation && a->has_bias == b->has_bias &&
                   a->needs_d_src == b->needs_d_src && a->is_training == b->is_training &&
                   a->precision == b->precision;
    if (is_same)
        return ADELE_OK;
    return FAIL(
        ADELE_INVALID_ARGUMENT, "The scales of a layer differ in h_in and w_in alone.",
        "conv2d_scales: one scale is %d x %d channels to %d with kernel %d, stride %d, pad "
        "%d, dilation %d; another %d x %d to %d with %d, %d, %d, %d, or differs in its bias, "
        "precision or passes",
        a->n, a->c_in, a->c_out, a->kernel, a->stride, a->pad, a->dilation, b->n, b->c_in, b->c_out,
        b->kernel, b->stride, b->pad, b->dilation);
}

static adele_status check_scales(const struct adele_device *device, int n,
                                 struct adele_op *const *ops) {
    if (n < 2 || n > ADELE_MAX_SCALES)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "conv2d_scales: %d scales, not 2 to %d", n,
                    ADELE_MAX_SCALES);
    for (int i = 0; i < n; i++) {
        if (ops[i]->kind != ADELE_OP_conv2d || ops[i]->device != device)
            return FAIL(ADELE_INVALID_ARGUMENT, "",
                        "conv2d_scales: op %d is no convolution of this device", i);
        TRY(check_scale(ops[0], ops[i]));
    }
    return ADELE_OK;
}

static bool is_joint(struct adele_op *const *ops, int n, enum conv2d_pass pass) {
    bool all = true;
    for (int i = 0; i < n; i++) {
        const struct conv2d *scale = (const struct conv2d *)ops[i];
        all = all && conv2d_has_pass(scale, pass) && scale->library[pass].run == NULL &&
              scale->direct[pass].kernel == CONV2D_KERNEL_HOPPER;
    }
    return all;
}

static void list_gradients(struct adele_op *const *ops, int n,
                           const struct weight_gradient_plan **out) {
    for (int i = 0; i < n; i++)
        out[i] = &((const struct conv2d *)ops[i])->weight_gradient;
}

static bool is_joint_gradient(struct adele_op *const *ops, int n) {
    const struct weight_gradient_plan *plans[ADELE_MAX_SCALES];
    for (int i = 0; i < n; i++) {
        const struct conv2d *scale = (const struct conv2d *)ops[i];
        if (!conv2d_has_pass(scale, CONV2D_WEIGHT_GRADIENT) ||
            scale->library[CONV2D_WEIGHT_GRADIENT].run != NULL)
            return false;
    }
    list_gradients(ops, n, plans);
    return weight_gradient_scales_fits(plans, n);
}

// All scales have the same packed weights, and so the same place of the slots behind them.
static adele_status plan_pass(struct conv2d_scales *self, enum conv2d_pass pass) {
    const struct conv2d_gather *gathers[ADELE_MAX_SCALES];
    for (int i = 0; i < self->n; i++)
        gathers[i] = &self->scales[i]->direct[pass].gather;
    TRY(hopper_plan_create(&self->base, gathers, self->n, &self->plans[pass]));
    size_t bytes =
        self->scales[0]->direct[pass].slots_offset + hopper_slot_bytes(&self->plans[pass]);
    self->base.op.workspace_bytes = max(self->base.op.workspace_bytes, bytes);
    return ADELE_OK;
}

static adele_status plan_gradient(struct conv2d_scales *self, struct adele_op *const *ops) {
    const struct weight_gradient_plan *plans[ADELE_MAX_SCALES];
    list_gradients(ops, self->n, plans);
    TRY(weight_gradient_scales_create(&self->base, plans, self->n, &self->weight_gradient));
    self->base.op.workspace_bytes =
        max(self->base.op.workspace_bytes, weight_gradient_scales_bytes(&self->weight_gradient));
    return ADELE_OK;
}

static void name_engine(struct conv2d_scales *self) {
    char names[CONV2D_PASSES][32];
    for (int pass = 0; pass < CONV2D_PASSES; pass++) {
        snprintf(names[pass], sizeof names[pass], "one by one");
        if (self->is_joint[pass] && pass == CONV2D_WEIGHT_GRADIENT)
            snprintf(names[pass], sizeof names[pass], "wgmma bf16 128x%d",
                     self->weight_gradient.hopper.tiles.bn);
        else if (self->is_joint[pass])
            hopper_plan_name(&self->plans[pass], names[pass], sizeof names[pass]);
        else if (!conv2d_has_pass(self->scales[0], (enum conv2d_pass)pass))
            snprintf(names[pass], sizeof names[pass], "none");
    }
    snprintf(self->engine, sizeof self->engine, "scales together: dst %s, d_src %s, d_weight %s",
             names[CONV2D_FORWARD], names[CONV2D_DATA_GRADIENT], names[CONV2D_WEIGHT_GRADIENT]);
    self->base.op.engine = self->engine;
}

adele_status cuda_conv2d_scales_create(const struct adele_device *device, int n,
                                       struct adele_op *const *ops, struct adele_op **out) {
    struct conv2d_scales *self = NULL;
    TRY(check_scales(device, n, ops));
    bool forward = is_joint(ops, n, CONV2D_FORWARD);
    bool data_gradient = is_joint(ops, n, CONV2D_DATA_GRADIENT);
    bool weight_gradient = is_joint_gradient(ops, n);
    if ((!forward && !data_gradient && !weight_gradient) ||
        family_is_disabled(device, ADELE_FAMILY_conv2d_scales))
        return ADELE_OK; // nothing would be one launch
    TRY(op_create(device, ADELE_OP_COUNT, &self, out));
    self->n = n;
    self->is_joint[CONV2D_FORWARD] = forward;
    self->is_joint[CONV2D_DATA_GRADIENT] = data_gradient;
    self->is_joint[CONV2D_WEIGHT_GRADIENT] = weight_gradient;
    for (int i = 0; i < n; i++) {
        self->scales[i] = (const struct conv2d *)ops[i];
        self->base.op.flops_forward += ops[i]->flops_forward;
        self->base.op.flops_backward += ops[i]->flops_backward;
    }
    for (int pass = 0; pass < CONV2D_WEIGHT_GRADIENT; pass++)
        if (self->is_joint[pass])
            TRY(plan_pass(self, (enum conv2d_pass)pass));
    if (weight_gradient)
        TRY(plan_gradient(self, ops));
    name_engine(self);
    return ADELE_OK;
}

// ---- forward and backward -----------------------------------------------------------------------

static adele_status run_joint(const struct conv2d_scales *self, enum conv2d_pass pass,
                              const struct adele_conv2d_args *const *args, void *workspace) {
    const struct conv2d *first = self->scales[0];
    struct conv2d_product products[ADELE_MAX_SCALES];
    const void *weights = NULL;
    TRY(conv2d_direct_weights(first, pass, args[0], workspace, &weights));
    for (int i = 0; i < self->n; i++) {
        products[i] = conv2d_direct_product(self->scales[i], pass, args[i]);
        products[i].weights = weights;
    }
    return hopper_run(context_of(self->base.op.device), &self->plans[pass], products,
                      (float *)((char *)workspace + first->direct[pass].slots_offset));
}

static adele_status run_joint_gradient(const struct conv2d_scales *self,
                                       const struct adele_conv2d_args *const *args,
                                       void *workspace) {
    const void *src[ADELE_MAX_SCALES], *d_dst[ADELE_MAX_SCALES];
    float *d_bias = self->scales[0]->desc.has_bias ? args[0]->d_bias : NULL;
    for (int i = 0; i < self->n; i++) {
        src[i] = args[i]->src;
        d_dst[i] = args[i]->d_dst;
    }
    return weight_gradient_scales_run(context_of(self->base.op.device), &self->weight_gradient, src,
                                      d_dst, args[0]->d_weight, d_bias, workspace);
}

static adele_status run_each(const struct conv2d_scales *self, enum conv2d_pass pass,
                             const struct adele_conv2d_args *const *args) {
    for (int i = 0; i < self->n; i++)
        TRY(conv2d_run_pass(self->scales[i], pass, args[i]));
    return ADELE_OK;
}

static bool share_tensors(const struct adele_conv2d_args *a, const struct adele_conv2d_args *b) {
    return a->weight == b->weight && a->packed_weight == b->packed_weight && a->bias == b->bias &&
           a->d_weight == b->d_weight && a->d_bias == b->d_bias &&
           a->accumulate_d_src == b->accumulate_d_src && (a->d_src == NULL) == (b->d_src == NULL);
}

static adele_status check_args(const struct conv2d_scales *self,
                               const struct adele_conv2d_args *const *args) {
    for (int i = 1; i < self->n; i++)
        if (!share_tensors(args[i], args[0]))
            return FAIL(ADELE_INVALID_ARGUMENT, "",
                        "conv2d_scales: scale %d has other weights, biases or gradients of these "
                        "than the first, or differs in d_src",
                        i);
    return ADELE_OK;
}

adele_status cuda_conv2d_scales_forward(struct adele_op *op,
                                        const struct adele_conv2d_args *const *args,
                                        void *workspace) {
    const struct conv2d_scales *self = (const struct conv2d_scales *)op;
    TRY(check_args(self, args));
    TRY(make_current(op->device));
    return self->is_joint[CONV2D_FORWARD] ? run_joint(self, CONV2D_FORWARD, args, workspace)
                                          : run_each(self, CONV2D_FORWARD, args);
}

adele_status cuda_conv2d_scales_backward(struct adele_op *op,
                                         const struct adele_conv2d_args *const *args,
                                         void *workspace) {
    const struct conv2d_scales *self = (const struct conv2d_scales *)op;
    if (!self->scales[0]->desc.is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "conv2d_scales: backward of ops created for inference");
    TRY(check_args(self, args));
    TRY(make_current(op->device));
    TRY(self->is_joint[CONV2D_WEIGHT_GRADIENT] ? run_joint_gradient(self, args, workspace)
                                               : run_each(self, CONV2D_WEIGHT_GRADIENT, args));
    if (!self->scales[0]->desc.needs_d_src || args[0]->d_src == NULL)
        return ADELE_OK;
    return self->is_joint[CONV2D_DATA_GRADIENT]
               ? run_joint(self, CONV2D_DATA_GRADIENT, args, workspace)
               : run_each(self, CONV2D_DATA_GRADIENT, args);
}

} // namespace adele_cuda
