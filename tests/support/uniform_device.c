// SPDX-License-Identifier: MIT
#include "support/uniform_device.h"

#include "base/fail.h"
#include "base/memory.h"
#include "reference/reference.h"

#include <math.h>
#include <string.h>

struct uniform_op {
    struct adele_op op;
    struct adele_shape src, src1, dst;
    int n_rates;              // aspp
    float seen_src, seen_dst; // of the last forward, which backward must find again
};

static size_t count(struct adele_shape shape) {
    return (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
}

void uniform_fill(void *tensor, struct adele_shape shape, float value) {
    float *values = tensor;
    for (size_t i = 0; i < count(shape); i++)
        values[i] = value;
}

float uniform_value(const void *tensor, struct adele_shape shape) {
    const float *values = tensor;
    for (size_t i = 1; i < count(shape); i++)
        if (!(values[i] == values[0]))
            return NAN;
    return values[0];
}

static adele_status read_value(const char *what, const void *tensor, struct adele_shape shape,
                               float *out) {
    if (tensor == NULL)
        return FAIL(ADELE_NUMERIC, "", "%s is NULL", what);
    *out = uniform_value(tensor, shape);
    if (isnan(*out))
        return FAIL(ADELE_NUMERIC, "", "%s was overwritten in part", what);
    return ADELE_OK;
}

static adele_status read_again(const char *what, const void *tensor, struct adele_shape shape,
                               float want) {
    float got;
    TRY(read_value(what, tensor, shape, &got));
    if (!(got == want))
        return FAIL(ADELE_NUMERIC, "", "%s was %g in forward and is %g now", what, (double)want,
                    (double)got);
    return ADELE_OK;
}

static adele_status write_gradient(void *tensor, struct adele_shape shape, bool accumulate,
                                   float value) {
    float old = 0;
    if (accumulate)
        TRY(read_value("the gradient to add to", tensor, shape, &old));
    uniform_fill(tensor, shape, old + value);
    return ADELE_OK;
}

static void scribble(const struct adele_op *op, void *workspace) {
    if (op->workspace_bytes > 0)
        memset(workspace, 0xA5, op->workspace_bytes);
}

// ---- ops ----------------------------------------------------------------------------------------

static adele_status create(const struct adele_device *device, enum adele_op_kind kind,
                           struct adele_shape src, struct adele_shape src1, struct adele_shape dst,
                           struct adele_op **out) {
    struct uniform_op *op = memory_calloc(1, sizeof *op);
    if (op == NULL)
        return FAIL_NO_MEMORY(sizeof *op);
    op->op.kind = kind;
    op->op.device = device;
    // Sizes of all orders, and none at all for some ops.
    op->op.workspace_bytes = (size_t)(src.c * 7 + src.h * 5) % 4 * count(dst);
    op->op.flops_forward = (double)count(dst);
    op->op.flops_backward = 2.0 * (double)count(dst);
    op->op.engine = "uniform";
    op->src = src;
    op->src1 = src1;
    op->dst = dst;
    *out = &op->op;
    return ADELE_OK;
}

static adele_status conv2d_create(const struct adele_device *device,
                                  const struct adele_conv2d_desc *desc, struct adele_op **out) {
    struct adele_shape src = {desc->n, desc->c_in, desc->h_in, desc->w_in};
    struct adele_shape dst = {
        desc->n, desc->c_out,
        adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation),
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation)};
    return create(device, ADELE_OP_conv2d, src, src, dst, out);
}

static adele_status conv2d_forward(struct adele_op *base, const struct adele_conv2d_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    TRY(read_value("conv2d src", args->src, op->src, &op->seen_src));
    scribble(base, args->workspace);
    uniform_fill(args->dst, op->dst,
                 args->weight[0] * op->seen_src + (args->bias != NULL ? args->bias[0] : 0));
    return ADELE_OK;
}

static adele_status conv2d_backward(struct adele_op *base, const struct adele_conv2d_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_again("conv2d src", args->src, op->src, op->seen_src));
    TRY(read_value("conv2d d_dst", args->d_dst, op->dst, &g));
    scribble(base, args->workspace);
    args->d_weight[0] += g * op->seen_src;
    if (args->d_bias != NULL)
        args->d_bias[0] += g;
    if (args->d_src == NULL)
        return ADELE_OK;
    return write_gradient(args->d_src, op->src, args->accumulate_d_src, g * args->weight[0]);
}

static adele_status batch_norm_create(const struct adele_device *device,
                                      const struct adele_batch_norm_desc *desc,
                                      struct adele_op **out) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    TRY(create(device, ADELE_OP_batch_norm, shape, shape, shape, out));
    (*out)->can_recompute = desc->c % 2 == 1; // so that graphs have batch norms of both kinds
    return ADELE_OK;
}

static adele_status check_statistics(const struct uniform_op *op,
                                     const struct adele_batch_norm_args *args) {
    for (int c = 0; c < op->src.c; c++)
        if (!(args->saved_mean[c] == op->seen_src) || !(args->saved_inv_std[c] == -op->seen_src))
            return FAIL(ADELE_NUMERIC, "", "the statistics of channel %d were overwritten", c);
    return ADELE_OK;
}

static adele_status batch_norm_forward(struct adele_op *base,
                                       const struct adele_batch_norm_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float residual = 0;
    if (args->from_saved) {
        TRY(read_again("batch_norm src", args->src, op->src, op->seen_src));
        TRY(check_statistics(op, args));
        uniform_fill(args->dst, op->dst, op->seen_dst);
        return ADELE_OK;
    }
    TRY(read_value("batch_norm src", args->src, op->src, &op->seen_src));
    if (args->residual != NULL)
        TRY(read_value("batch_norm residual", args->residual, op->src, &residual));
    scribble(base, args->workspace);
    for (int c = 0; c < op->src.c; c++) {
        args->saved_mean[c] = op->seen_src;
        args->saved_inv_std[c] = -op->seen_src;
        if (args->use_batch_statistics)
            args->running_mean[c] += 1;
    }
    op->seen_dst = args->scale[0] * op->seen_src + args->shift[0] + UNIFORM_SECOND * residual;
    uniform_fill(args->dst, op->dst, op->seen_dst);
    return ADELE_OK;
}

static adele_status batch_norm_backward(struct adele_op *base,
                                        const struct adele_batch_norm_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_again("batch_norm src", args->src, op->src, op->seen_src));
    TRY(read_again("batch_norm dst", args->dst, op->dst, op->seen_dst));
    TRY(read_value("batch_norm d_dst", args->d_dst, op->dst, &g));
    TRY(check_statistics(op, args));
    scribble(base, args->workspace);
    args->d_scale[0] += g * op->seen_src;
    args->d_shift[0] += g;
    uniform_fill(args->d_src, op->src, args->scale[0] * g);
    if (args->d_residual != NULL)
        uniform_fill(args->d_residual, op->src, UNIFORM_SECOND * g);
    return ADELE_OK;
}

static adele_status max_pool_create(const struct adele_device *device,
                                    const struct adele_max_pool_desc *desc, struct adele_op **out) {
    struct adele_shape src = {desc->n, desc->c, desc->h_in, desc->w_in};
    struct adele_shape dst = {
        desc->n, desc->c, adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1),
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1)};
    return create(device, ADELE_OP_max_pool, src, src, dst, out);
}

static adele_status max_pool_forward(struct adele_op *base,
                                     const struct adele_max_pool_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    TRY(read_value("max_pool src", args->src, op->src, &op->seen_src));
    scribble(base, args->workspace);
    op->seen_dst = UNIFORM_MAX_POOL * op->seen_src;
    uniform_fill(args->dst, op->dst, op->seen_dst);
    return ADELE_OK;
}

static adele_status max_pool_backward(struct adele_op *base,
                                      const struct adele_max_pool_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_again("max_pool src", args->src, op->src, op->seen_src));
    TRY(read_again("max_pool dst", args->dst, op->dst, op->seen_dst));
    TRY(read_value("max_pool d_dst", args->d_dst, op->dst, &g));
    scribble(base, args->workspace);
    return write_gradient(args->d_src, op->src, args->accumulate_d_src, UNIFORM_MAX_POOL * g);
}

static adele_status rescale_create(const struct adele_device *device,
                                   const struct adele_rescale_desc *desc, struct adele_op **out) {
    struct adele_shape src = {desc->n, desc->c, desc->h_in, desc->w_in};
    struct adele_shape dst = {desc->n, desc->c, desc->h_dst, desc->w_dst};
    return create(device, ADELE_OP_rescale, src, src, dst, out);
}

static adele_status rescale_forward(struct adele_op *base, const struct adele_rescale_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    TRY(read_value("rescale src", args->src, op->src, &op->seen_src));
    scribble(base, args->workspace);
    uniform_fill(args->dst, op->dst, UNIFORM_RESCALE * op->seen_src);
    return ADELE_OK;
}

static adele_status rescale_backward(struct adele_op *base, const struct adele_rescale_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_value("rescale d_dst", args->d_dst, op->dst, &g));
    scribble(base, args->workspace);
    return write_gradient(args->d_src, op->src, args->accumulate_d_src, UNIFORM_RESCALE * g);
}

static adele_status concat_create(const struct adele_device *device,
                                  const struct adele_concat_desc *desc, struct adele_op **out) {
    struct adele_shape src0 = {desc->n, desc->c0, desc->h, desc->w};
    struct adele_shape src1 = {desc->n, desc->c1, desc->h, desc->w};
    struct adele_shape dst = {desc->n, desc->c0 + desc->c1, desc->h, desc->w};
    adele_status status = create(device, ADELE_OP_concat, src0, src1, dst, out);
    if (status == ADELE_OK)
        (*out)->workspace_bytes = 0; // its arguments have none
    return status;
}

static adele_status concat_forward(struct adele_op *base, const struct adele_concat_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float src1;
    TRY(read_value("concat src0", args->src0, op->src, &op->seen_src));
    TRY(read_value("concat src1", args->src1, op->src1, &src1));
    uniform_fill(args->dst, op->dst, op->seen_src + UNIFORM_SECOND * src1);
    return ADELE_OK;
}

static adele_status concat_backward(struct adele_op *base, const struct adele_concat_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_value("concat d_dst", args->d_dst, op->dst, &g));
    TRY(write_gradient(args->d_src0, op->src, args->accumulate_d_src0, g));
    return write_gradient(args->d_src1, op->src1, args->accumulate_d_src1, UNIFORM_SECOND * g);
}

static adele_status add_create(const struct adele_device *device, const struct adele_add_desc *desc,
                               struct adele_op **out) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    adele_status status = create(device, ADELE_OP_add, shape, shape, shape, out);
    if (status == ADELE_OK)
        (*out)->workspace_bytes = 0; // its arguments have none
    return status;
}

static adele_status add_forward(struct adele_op *base, const struct adele_add_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float src1;
    TRY(read_value("add src0", args->src0, op->src, &op->seen_src));
    TRY(read_value("add src1", args->src1, op->src1, &src1));
    uniform_fill(args->dst, op->dst, op->seen_src + UNIFORM_SECOND * src1);
    return ADELE_OK;
}

static adele_status add_backward(struct adele_op *base, const struct adele_add_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_value("add d_dst", args->d_dst, op->dst, &g));
    if (args->d_src0 != NULL)
        TRY(write_gradient(args->d_src0, op->src, args->accumulate_d_src0, g));
    if (args->d_src1 != NULL)
        TRY(write_gradient(args->d_src1, op->src1, args->accumulate_d_src1, UNIFORM_SECOND * g));
    return ADELE_OK;
}

static adele_status global_pool_create(const struct adele_device *device,
                                       const struct adele_global_pool_desc *desc,
                                       struct adele_op **out) {
    struct adele_shape src = {desc->n, desc->c, desc->h, desc->w};
    struct adele_shape dst = {desc->n, desc->c, 1, 1};
    return create(device, ADELE_OP_global_pool, src, src, dst, out);
}

static adele_status global_pool_forward(struct adele_op *base,
                                        const struct adele_global_pool_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    TRY(read_value("global_pool src", args->src, op->src, &op->seen_src));
    scribble(base, args->workspace);
    uniform_fill(args->dst, op->dst, UNIFORM_RESCALE * op->seen_src);
    return ADELE_OK;
}

static adele_status global_pool_backward(struct adele_op *base,
                                         const struct adele_global_pool_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_value("global_pool d_dst", args->d_dst, op->dst, &g));
    scribble(base, args->workspace);
    return write_gradient(args->d_src, op->src, args->accumulate_d_src, UNIFORM_RESCALE * g);
}

static adele_status dropout_create(const struct adele_device *device,
                                   const struct adele_dropout_desc *desc, struct adele_op **out) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    return create(device, ADELE_OP_dropout, shape, shape, shape, out);
}

static adele_status dropout_forward(struct adele_op *base, const struct adele_dropout_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    TRY(read_value("dropout src", args->src, op->src, &op->seen_src));
    uniform_fill(args->dst, op->dst, UNIFORM_RESCALE * op->seen_src);
    return ADELE_OK;
}

static adele_status dropout_backward(struct adele_op *base, const struct adele_dropout_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g;
    TRY(read_value("dropout d_dst", args->d_dst, op->dst, &g));
    return write_gradient(args->d_src, op->src, args->accumulate_d_src, UNIFORM_RESCALE * g);
}

static adele_status aspp_create(const struct adele_device *device,
                                const struct adele_aspp_desc *desc, struct adele_op **out) {
    struct adele_shape src = {desc->n, desc->c_in, desc->h, desc->w};
    struct adele_shape dst = {desc->n, desc->c_out, desc->h, desc->w};
    if (desc->form == ADELE_ASPP_CONCAT)
        dst.c *= desc->n_rates;
    adele_status status = create(device, ADELE_OP_aspp, src, src, dst, out);
    if (status == ADELE_OK)
        ((struct uniform_op *)*out)->n_rates = desc->n_rates;
    return status;
}

static adele_status aspp_forward(struct adele_op *base, const struct adele_aspp_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    TRY(read_value("aspp src", args->src, op->src, &op->seen_src));
    scribble(base, args->workspace);
    float sum = 0;
    for (int r = 0; r < op->n_rates; r++)
        sum +=
            args->weights[r][0] * op->seen_src + (args->biases[r] != NULL ? args->biases[r][0] : 0);
    uniform_fill(args->dst, op->dst, sum);
    return ADELE_OK;
}

static adele_status aspp_backward(struct adele_op *base, const struct adele_aspp_args *args) {
    struct uniform_op *op = (struct uniform_op *)base;
    float g, factor = 0;
    TRY(read_again("aspp src", args->src, op->src, op->seen_src));
    TRY(read_value("aspp d_dst", args->d_dst, op->dst, &g));
    scribble(base, args->workspace);
    for (int r = 0; r < op->n_rates; r++) {
        factor += args->weights[r][0];
        args->d_weights[r][0] += g * op->seen_src;
        if (args->d_biases[r] != NULL)
            args->d_biases[r][0] += g;
    }
    if (args->d_src == NULL)
        return ADELE_OK;
    return write_gradient(args->d_src, op->src, args->accumulate_d_src, g * factor);
}

// ---- memory -------------------------------------------------------------------------------------

static adele_status device_alloc(const struct adele_device *device, size_t bytes, void **out) {
    (void)device;
    *out = memory_aligned(bytes);
    return *out != NULL ? ADELE_OK : FAIL_NO_MEMORY(bytes);
}

static void device_release(const struct adele_device *device, void *block) {
    (void)device;
    memory_free(block);
}

static adele_status device_upload(const struct adele_device *device, void *to,
                                  const void *from_host, size_t bytes) {
    (void)device;
    memcpy(to, from_host, bytes);
    return ADELE_OK;
}

static adele_status device_fill(const struct adele_device *device, void *block, int byte,
                                size_t bytes) {
    (void)device;
    memset(block, byte, bytes);
    return ADELE_OK;
}

static adele_status device_synchronize(const struct adele_device *device) {
    (void)device;
    return ADELE_OK;
}

// The one op whose values are not uniform: what parameters begin with.
struct initialize_op {
    struct adele_op op;
    struct adele_initialize_desc desc;
    struct adele_initialize_item items[]; // the descriptor's
};

static adele_status initialize_create(const struct adele_device *device,
                                      const struct adele_initialize_desc *desc,
                                      struct adele_op **out) {
    size_t bytes = (size_t)desc->n_items * sizeof *desc->items;
    struct initialize_op *self = memory_calloc(1, sizeof *self + bytes);
    *out = NULL;
    if (self == NULL)
        return FAIL_NO_MEMORY(sizeof *self + bytes);
    self->op.kind = ADELE_OP_initialize;
    self->op.device = device;
    self->desc = *desc;
    self->desc.items = self->items;
    memcpy(self->items, desc->items, bytes);
    *out = &self->op;
    return ADELE_OK;
}

static adele_status initialize_forward(struct adele_op *op,
                                       const struct adele_initialize_args *args) {
    reference_initialize_forward(&((struct initialize_op *)op)->desc, args);
    return ADELE_OK;
}

static size_t device_tensor_bytes(const struct adele_device *device, struct adele_shape shape) {
    (void)device;
    return count(shape) * sizeof(float);
}

static void op_destroy(struct adele_op *op) {
    memory_free(op);
}

static const struct adele_device_iface uniform_iface = {
    .name = "uniform",
    .alloc = device_alloc,
    .release = device_release,
    .upload = device_upload,
    .download = device_upload,
    .fill = device_fill,
    .copy = device_upload,
    .synchronize = device_synchronize,
    .tensor_bytes = device_tensor_bytes,
    .op_destroy = op_destroy,
    .conv2d_create = conv2d_create,
    .conv2d_forward = conv2d_forward,
    .conv2d_backward = conv2d_backward,
    .batch_norm_create = batch_norm_create,
    .batch_norm_forward = batch_norm_forward,
    .batch_norm_backward = batch_norm_backward,
    .max_pool_create = max_pool_create,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .rescale_create = rescale_create,
    .rescale_forward = rescale_forward,
    .rescale_backward = rescale_backward,
    .concat_create = concat_create,
    .concat_forward = concat_forward,
    .concat_backward = concat_backward,
    .add_create = add_create,
    .add_forward = add_forward,
    .add_backward = add_backward,
    .global_pool_create = global_pool_create,
    .global_pool_forward = global_pool_forward,
    .global_pool_backward = global_pool_backward,
    .dropout_create = dropout_create,
    .dropout_forward = dropout_forward,
    .dropout_backward = dropout_backward,
    .aspp_create = aspp_create,
    .aspp_forward = aspp_forward,
    .aspp_backward = aspp_backward,
    .initialize_create = initialize_create,
    .initialize_forward = initialize_forward,
};

const struct adele_device uniform_device = {.iface = &uniform_iface,
                                            .description = "uniform: for tests of the planner"};
