// SPDX-License-Identifier: MIT
// Cases of convolutions: forward pass and all gradients, with random initial values where results
// are added.
#include "selftest/cases.h"

static struct adele_shape shape_in(const struct adele_conv2d_desc *desc) {
    return (struct adele_shape){desc->n, desc->c_in, desc->h_in, desc->w_in};
}

static struct adele_shape shape_out(const struct adele_conv2d_desc *desc) {
    return (struct adele_shape){
        desc->n, desc->c_out,
        adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation),
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation)};
}

static size_t weight_count(const struct adele_conv2d_desc *desc) {
    return (size_t)desc->c_out * (size_t)desc->c_in * (size_t)desc->kernel * (size_t)desc->kernel;
}

// The op for a forward pass alone.
static bool make_op(struct trial *trial, const void *from, struct adele_conv2d_desc *desc) {
    const struct adele_device *device = trial->device;
    *desc = *(const struct adele_conv2d_desc *)from;
    desc->precision = trial->precision;
    desc->has_bias = desc->needs_d_src = desc->is_training = false;
    return trial_check(trial, device->iface->conv2d_create(device, desc, &trial->op));
}

static void fill_conv2d(struct trial *trial, const struct adele_conv2d_desc *desc,
                        struct adele_conv2d_args *args) {
    size_t n_bias = (size_t)desc->c_out;
    *args = (struct adele_conv2d_args){
        .src = trial_tensor(trial, shape_in(desc), -1.0, 1.0),
        .weight = trial_floats(trial, weight_count(desc), -1.0, 1.0),
        .bias = desc->has_bias ? trial_floats(trial, n_bias, -1.0, 1.0) : NULL,
        .dst = trial_tensor_out(trial, "dst", shape_out(desc)),
        .d_dst = trial_tensor(trial, shape_out(desc), -1.0, 1.0),
        .accumulate_d_src = desc->has_bias, // both values occur
        .d_weight = trial_sum(trial, "d_weight", TRIAL_FLOAT, weight_count(desc)),
        .d_bias = desc->has_bias ? trial_sum(trial, "d_bias", TRIAL_FLOAT, n_bias) : NULL,
        .workspace = trial_workspace(trial)};
    if (desc->needs_d_src)
        args->d_src = args->accumulate_d_src ? trial_tensor_sum(trial, "d_src", shape_in(desc))
                                             : trial_tensor_out(trial, "d_src", shape_in(desc));
}
CASE_WITH_BACKWARD(conv2d, desc.precision = trial->precision)

void case_pack(struct trial *trial, const void *from) {
    const struct adele_device_iface *iface = trial->device->iface;
    struct adele_conv2d_desc desc;
    struct adele_op *pack = NULL;
    if (!make_op(trial, from, &desc))
        return;
    float *weight = trial_floats(trial, weight_count(&desc), -1.0, 1.0);
    size_t bytes = trial->op->packed_bytes;
    struct adele_pack_item item = {0, 0, (int64_t)bytes, desc.c_out, desc.c_in, desc.kernel};
    struct adele_pack_desc all = {1, &item, desc.precision};
    struct adele_pack_args pack_args = {weight, bytes > 0 ? trial_block(trial, bytes) : NULL};
    struct adele_conv2d_args args = {.src = trial_tensor(trial, shape_in(&desc), -1.0, 1.0),
                                     .weight = weight,
                                     .packed_weight = pack_args.packed,
                                     .dst = trial_tensor_out(trial, "dst", shape_out(&desc)),
                                     .workspace = trial_workspace(trial)};
    if (bytes > 0 && trial->status == ADELE_OK &&
        trial_check(trial, iface->pack_create(trial->device, &all, &pack)))
        (void)trial_check(trial, iface->pack_forward(pack, &pack_args));
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, iface->conv2d_forward(trial->op, &args));
    trial_wait(trial);
    (void)trial_check(trial, iface->synchronize(trial->device)); // before the op's memory is freed
    iface->op_destroy(pack);
}

// Three steps of one kind, each with its own input: the first launches kernels one by one, the
// second is captured, the third changes the arguments of the graph.
void case_step_graph(struct trial *trial, const void *from) {
    static const char *const names[] = {"dst of step 1", "dst of step 2", "dst of step 3"};
    const struct adele_device_iface *iface = trial->device->iface;
    struct adele_conv2d_desc desc;
    struct adele_conv2d_args args[3] = {{NULL}};
    if (!make_op(trial, from, &desc))
        return;
    float *weight = trial_floats(trial, weight_count(&desc), -1.0, 1.0);
    void *workspace = trial_workspace(trial);
    for (int step = 0; step < 3; step++) {
        args[step].src = trial_tensor(trial, shape_in(&desc), -1.0, 1.0);
        args[step].weight = weight;
        args[step].dst = trial_tensor_out(trial, names[step], shape_out(&desc));
        args[step].workspace = workspace;
    }
    for (int step = 0; step < 3 && trial->status == ADELE_OK; step++) {
        if (!trial_check(trial, iface->step_begin(trial->device, 0)))
            return;
        bool is_whole = trial_check(trial, iface->conv2d_forward(trial->op, &args[step]));
        (void)trial_check(trial, iface->step_end(trial->device, is_whole));
    }
}

// ---- all scales of a layer ----------------------------------------------------------------------

struct case_scales {
    struct adele_conv2d_desc descs[CASE_SCALES];
    struct adele_op *ops[CASE_SCALES], *joint; // joint NULL: the device has none
    struct adele_conv2d_args args[CASE_SCALES];
    void *workspace; // of the joint op
};

void case_conv2d_scale(const struct adele_conv2d_desc *from, int i, struct adele_conv2d_desc *out) {
    static const int thirds[CASE_SCALES] = {0, 1, -1};
    *out = *from;
    out->h_in += thirds[i] * (from->h_in / 3);
    out->w_in += thirds[i] * (from->w_in / 3);
}

static bool make_scales(struct trial *trial, const struct adele_conv2d_desc *from,
                        struct case_scales *out) {
    const struct adele_device_iface *iface = trial->device->iface;
    for (int i = 0; i < CASE_SCALES; i++) {
        struct adele_conv2d_desc *desc = &out->descs[i];
        case_conv2d_scale(from, i, desc);
        desc->precision = trial->precision;
        if (!trial_check(trial, iface->conv2d_create(trial->device, desc, &out->ops[i])))
            return false;
    }
    return iface->conv2d_scales_create == NULL ||
           trial_check(trial, iface->conv2d_scales_create(trial->device, CASE_SCALES, out->ops,
                                                          &out->joint));
}

static void *workspace_of(struct trial *trial, const struct adele_op *op) {
    return op->workspace_bytes > 0 ? trial_block(trial, op->workspace_bytes) : NULL;
}

// All scales have the weights, the biases and their gradients of the first.
static void fill_scales(struct trial *trial, struct case_scales *scales) {
    static const char *const names[2][CASE_SCALES] = {
        {"dst of scale 1", "dst of scale 2", "dst of scale 3"},
        {"d_src of scale 1", "d_src of scale 2", "d_src of scale 3"}};
    const struct adele_conv2d_desc *first = scales->descs;
    const size_t n_bias = (size_t)first->c_out;
    const struct adele_conv2d_args shared = {
        .weight = trial_floats(trial, weight_count(first), -1.0, 1.0),
        .bias = first->has_bias ? trial_floats(trial, n_bias, -1.0, 1.0) : NULL,
        .accumulate_d_src = first->has_bias, // both values occur
        .d_weight = trial_sum(trial, "d_weight", TRIAL_FLOAT, weight_count(first)),
        .d_bias = first->has_bias ? trial_sum(trial, "d_bias", TRIAL_FLOAT, n_bias) : NULL};
    for (int i = 0; i < CASE_SCALES; i++) {
        const struct adele_conv2d_desc *desc = &scales->descs[i];
        struct adele_conv2d_args *args = &scales->args[i];
        *args = shared;
        args->src = trial_tensor(trial, shape_in(desc), -1.0, 1.0);
        args->dst = trial_tensor_out(trial, names[0][i], shape_out(desc));
        args->d_dst = trial_tensor(trial, shape_out(desc), -1.0, 1.0);
        args->d_src = shared.accumulate_d_src
                          ? trial_tensor_sum(trial, names[1][i], shape_in(desc))
                          : trial_tensor_out(trial, names[1][i], shape_in(desc));
        args->workspace = workspace_of(trial, scales->ops[i]);
    }
    if (scales->joint != NULL)
        scales->workspace = workspace_of(trial, scales->joint);
}

static void run_scales(struct trial *trial, const struct case_scales *scales) {
    const struct adele_device_iface *iface = trial->device->iface;
    const struct adele_conv2d_args *args[CASE_SCALES];
    for (int i = 0; i < CASE_SCALES; i++)
        args[i] = &scales->args[i];
    if (scales->joint != NULL) {
        if (trial_check(trial,
                        iface->conv2d_scales_forward(scales->joint, args, scales->workspace)))
            (void)trial_check(
                trial, iface->conv2d_scales_backward(scales->joint, args, scales->workspace));
        return;
    }
    for (int i = 0; i < CASE_SCALES; i++)
        if (trial_check(trial, iface->conv2d_forward(scales->ops[i], args[i])))
            (void)trial_check(trial, iface->conv2d_backward(scales->ops[i], args[i]));
}

void case_conv2d_scales(struct trial *trial, const void *from) {
    const struct adele_device_iface *iface = trial->device->iface;
    struct case_scales scales = {.joint = NULL};
    if (make_scales(trial, from, &scales)) {
        fill_scales(trial, &scales);
        if (trial->status == ADELE_OK)
            run_scales(trial, &scales);
        trial_wait(trial);
        (void)trial_check(trial, iface->synchronize(trial->device)); // before the ops' memory goes
    }
    iface->op_destroy(scales.joint);
    for (int i = 0; i < CASE_SCALES; i++)
        iface->op_destroy(scales.ops[i]);
}

// ---- others -------------------------------------------------------------------------------------

void case_tensor(struct trial *trial, const void *from) {
    const struct adele_conv2d_desc *desc = from;
    (void)trial_tensor_sum(trial, "tensor", shape_in(desc));
}

static void fill_aspp(struct trial *trial, const struct adele_aspp_desc *desc,
                      struct adele_aspp_args *args) {
    int n_concatenated = desc->form == ADELE_ASPP_SUM ? 1 : desc->n_rates;
    struct adele_shape src = {desc->n, desc->c_in, desc->h, desc->w};
    struct adele_shape dst = {desc->n, n_concatenated * desc->c_out, desc->h, desc->w};
    *args = (struct adele_aspp_args){.src = trial_tensor(trial, src, -1.0, 1.0),
                                     .dst = trial_tensor_out(trial, "dst", dst),
                                     .d_dst = trial_tensor(trial, dst, -1.0, 1.0),
                                     .d_src = trial_tensor_out(trial, "d_src", src),
                                     .workspace = trial_workspace(trial)};
    for (int r = 0; r < desc->n_rates; r++) {
        size_t count = (size_t)desc->c_out * (size_t)desc->c_in * (desc->rates[r] > 0 ? 9 : 1);
        args->weights[r] = trial_floats(trial, count, -1.0, 1.0);
        args->d_weights[r] = trial_sum(trial, "d_weight", TRIAL_FLOAT, count);
        if (!desc->has_bias)
            continue;
        args->biases[r] = trial_floats(trial, (size_t)desc->c_out, -1.0, 1.0);
        args->d_biases[r] = trial_sum(trial, "d_bias", TRIAL_FLOAT, (size_t)desc->c_out);
    }
}
CASE_WITH_BACKWARD(aspp, desc.precision = trial->precision)
