// SPDX-License-Identifier: MIT
// Convolution, the op: checks the descriptor, chooses kernels, lays out the workspace.
//
// dst (N, h_out, w_out, P_out) = weight (*) src (N, h_in, w_in, P_in) + bias, zero padding; P =
// channels filled up to 8. dst and d_src are overwritten (d_src is added to on request), d_weight
// and d_bias are added to. Weights, biases and their gradients are plain floats. All sums are float
// and in an order that the shape alone fixes, so the bits are the same from run to run; kernels and
// tiles are chosen from the shape alone too.
//
// A pass of N h_out w_out c_out c_in kernel^2 products. Weights come in the kernels' order
// (packed_weight, see pack.cu), or are brought into it in the workspace, which belongs to one pass
// at a time.
#include "conv2d/conv2d_parts.cuh"

#include "device/op_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace adele_cuda {

// ---- choice -------------------------------------------------------------------------------------

static const struct {
    const char *name;
    int pixels, channels;
} tiles[CONV2D_TILES] = {
    {"128x128", 128, 128}, {"128x64", 128, 64}, {"128x32", 128, 32}, {"64x64", 64, 64}};

// Tiles that fill the multiprocessors of a large GPU (108 to 132) more than once.
#define FULL_GRID 192

static int64_t count_tiles(const struct conv2d_gather *gather, enum conv2d_tile tile) {
    int n_pixels = gather->first[gather->n_y * gather->n_x];
    return (int64_t)ceil_div(n_pixels, tiles[tile].pixels) *
           ceil_div(gather->p_target, tiles[tile].channels);
}

// The largest tile that fills the GPU and wastes few channels: a large one reads its operands fewer
// times. ADELE_CONV2D_TILE in the environment names one for all (for tests and tuning).
static enum conv2d_tile choose_tile(const struct conv2d_gather *gather) {
    const char *wanted = getenv("ADELE_CONV2D_TILE");
    for (int i = 0; wanted != NULL && i < CONV2D_TILES; i++)
        if (strcmp(wanted, tiles[i].name) == 0)
            return (enum conv2d_tile)i;
    if (gather->p_target <= 32)
        return CONV2D_TILE_128x32;
    int rest = gather->p_target % 128;
    if ((rest == 0 || rest > 64) && count_tiles(gather, CONV2D_TILE_128x128) >= FULL_GRID)
        return CONV2D_TILE_128x128;
    if (count_tiles(gather, CONV2D_TILE_128x64) >= FULL_GRID)
        return CONV2D_TILE_128x64;
    return CONV2D_TILE_64x64;
}

enum conv2d_math conv2d_math_of(const struct cuda_context *context,
                                enum adele_precision precision) {
    if (context->storage == ADELE_PRECISION_BF16 || precision == ADELE_PRECISION_BF16)
        return CONV2D_BF16;
    // The next best of tensor cores for TF32 is float, as on a device that has none.
    bool is_tf32 = precision == ADELE_PRECISION_TF32 &&
                   !family_is_disabled(&context->device, ADELE_FAMILY_conv2d_mma);
    return is_tf32 ? CONV2D_TF32 : CONV2D_FMA;
}

static adele_status choose_direct(const struct conv2d *self, enum conv2d_pass pass,
                                  struct conv2d_direct *direct) {
    const struct cuda_context *context = context_of(self->base.op.device);
    direct->gather = pass == CONV2D_FORWARD ? conv2d_gather_forward(&self->shape)
                                            : conv2d_gather_data_gradient(&self->shape);
    const struct adele_device *device = &context->device;
    enum family tuned =
        self->math == CONV2D_FMA ? ADELE_FAMILY_conv2d_fma : ADELE_FAMILY_conv2d_mma;
    direct->kernel = CONV2D_KERNEL_PLAIN;
    if (self->is_plain || direct->gather.is_large || direct->gather.has_many_taps)
        return ADELE_OK;
    if (pass == CONV2D_FORWARD && conv2d_first_layer_fits(&direct->gather, self->math) &&
        !family_is_disabled(device, ADELE_FAMILY_conv2d_first_layer)) {
        direct->kernel = CONV2D_KERNEL_FIRST_LAYER;
        return ADELE_OK;
    }
    if (family_is_disabled(device, tuned))
        return ADELE_OK;
    direct->tile = choose_tile(&direct->gather);
    direct->packing =
        conv2d_packing_make(self->shape.c_out, self->shape.c_in, self->shape.kernel, pass);
    direct->workspace_bytes = conv2d_packing_bytes(context, &direct->packing);
    if (self->math == CONV2D_FMA) {
        direct->kernel = CONV2D_KERNEL_FMA;
        return conv2d_fma_prepare(direct->tile);
    }
    direct->kernel = CONV2D_KERNEL_MMA;
    return conv2d_mma_prepare(context, self->math, direct->tile);
}

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

static bool has_pass(const struct conv2d *self, enum conv2d_pass pass) {
    return pass == CONV2D_FORWARD ||
           (self->desc.is_training && (pass == CONV2D_WEIGHT_GRADIENT || self->desc.needs_d_src));
}

// Text like "direct: mma tf32 128x64" of one pass.
static void name_direct(const struct conv2d *self, const struct conv2d_direct *direct, char *text,
                        size_t bytes) {
    const char *math = self->math == CONV2D_BF16   ? "bf16"
                       : self->math == CONV2D_TF32 ? "tf32"
                                                   : "fp32";
    if (direct->kernel == CONV2D_KERNEL_PLAIN)
        snprintf(text, bytes, "plain %s", math);
    else if (direct->kernel == CONV2D_KERNEL_FIRST_LAYER)
        snprintf(text, bytes, "first layer %s", math);
    else
        snprintf(text, bytes, "%s %s %s", direct->kernel == CONV2D_KERNEL_FMA ? "fma" : "mma", math,
                 tiles[direct->tile].name);
}

static void name_pass(const struct conv2d *self, enum conv2d_pass pass, char *text, size_t bytes) {
    if (!has_pass(self, pass))
        snprintf(text, bytes, "none");
    else if (self->library[pass].run != NULL)
        snprintf(text, bytes, "%s", self->library[pass].name);
    else if (pass == CONV2D_WEIGHT_GRADIENT)
        snprintf(text, bytes, self->is_plain ? "plain" : "direct");
    else
        name_direct(self, &self->direct[pass], text, bytes);
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
    else if (!has_pass(self, CONV2D_DATA_GRADIENT) || strcmp(names[0], names[1]) == 0)
        snprintf(self->engine, sizeof self->engine, "%s: %s", self->is_plain ? "plain" : "direct",
                 names[0]);
    else
        snprintf(self->engine, sizeof self->engine, "%s: dst %s, d_src %s",
                 self->is_plain ? "plain" : "direct", names[0], names[1]);
    self->base.op.engine = self->engine;
}

static void conv2d_release(struct cuda_op *op) {
    struct conv2d *self = (struct conv2d *)op;
    for (int pass = 0; pass < CONV2D_PASSES; pass++)
        if (self->library[pass].release != NULL)
            self->library[pass].release(self->library[pass].plan);
}

static bool reads_packed(const struct conv2d *self, enum conv2d_pass pass) {
    return has_pass(self, pass) && self->library[pass].run == NULL &&
           (self->direct[pass].kernel == CONV2D_KERNEL_FMA ||
            self->direct[pass].kernel == CONV2D_KERNEL_MMA);
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

// Plain kernels that a pass comes down to must not be left out themselves.
static adele_status check_families(const struct conv2d *self) {
    const struct adele_device *device = self->base.op.device;
    for (int pass = CONV2D_FORWARD; pass < CONV2D_WEIGHT_GRADIENT; pass++)
        if (has_pass(self, (enum conv2d_pass)pass) && self->library[pass].run == NULL &&
            self->direct[pass].kernel == CONV2D_KERNEL_PLAIN)
            TRY(family_check(device, ADELE_FAMILY_conv2d_plain));
    if (self->desc.is_training && self->library[CONV2D_WEIGHT_GRADIENT].run == NULL &&
        weight_gradient_is_plain(context_of(device), &self->shape, self->math, self->is_plain))
        return family_check(device, ADELE_FAMILY_weight_gradient_plain);
    return ADELE_OK;
}

static adele_status choose(struct conv2d *self) {
    const struct cuda_context *context = context_of(self->base.op.device);
    struct conv2d_packing forward =
        conv2d_packing_make(self->desc.c_out, self->desc.c_in, self->desc.kernel, CONV2D_FORWARD);
    self->packed_forward_bytes = conv2d_packing_bytes(context, &forward);
    for (int pass = CONV2D_FORWARD; pass < CONV2D_WEIGHT_GRADIENT; pass++)
        if (has_pass(self, (enum conv2d_pass)pass))
            TRY(choose_direct(self, (enum conv2d_pass)pass, &self->direct[pass]));
    if (self->desc.is_training && !self->is_plain)
        TRY(weight_gradient_prepare(context, &self->shape, self->math));
    if (context->engine != CUDA_ENGINE_DIRECT && context->engine != CUDA_ENGINE_PLAIN)
        TRY(conv2d_library_choose(self));
    TRY(check_families(self));
    for (int i = 0; i < CONV2D_PASSES; i++) {
        enum conv2d_pass pass = (enum conv2d_pass)i;
        size_t bytes = !has_pass(self, pass)             ? 0
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
    *out = NULL;
    TRY(op_check_conv2d(desc));
    struct conv2d *self = (struct conv2d *)op_create(device, ADELE_OP_conv2d, sizeof *self);
    if (self == NULL)
        return FAIL_NO_MEMORY(sizeof *self);
    self->base.release = conv2d_release;
    self->desc = *desc;
    self->shape = shape_of(desc);
    self->math = conv2d_math_of(context_of(device), desc->precision);
    self->is_plain = context_of(device)->engine == CUDA_ENGINE_PLAIN;
    adele_status status = choose(self);
    if (status != ADELE_OK) {
        conv2d_release(&self->base);
        memory_free(self);
        return status;
    }
    double flops = 2.0 * desc->kernel * desc->kernel * desc->c_in * desc->c_out * (double)desc->n *
                   (double)self->shape.h_out * (double)self->shape.w_out;
    self->base.op.flops_forward = flops;
    self->base.op.flops_backward = desc->needs_d_src ? 2.0 * flops : flops;
    name_engine(self);
    *out = &self->base.op;
    return ADELE_OK;
}

// ---- forward and backward -----------------------------------------------------------------------

size_t conv2d_direct_workspace(const struct conv2d *self, enum conv2d_pass pass) {
    if (pass == CONV2D_WEIGHT_GRADIENT)
        return weight_gradient_workspace(context_of(self->base.op.device), &self->shape,
                                         self->math);
    return self->direct[pass].workspace_bytes;
}

const void *conv2d_packed(const struct conv2d *self, enum conv2d_pass pass,
                          const struct adele_conv2d_args *args) {
    if (args->packed_weight == NULL)
        return NULL;
    return (const char *)args->packed_weight +
           (pass == CONV2D_DATA_GRADIENT ? self->packed_forward_bytes : 0);
}

static adele_status run_product(const struct conv2d *self, enum conv2d_pass pass,
                                struct conv2d_product *product,
                                const struct adele_conv2d_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct conv2d_direct *direct = &self->direct[pass];
    if (direct->kernel == CONV2D_KERNEL_PLAIN)
        return conv2d_plain_run(context, &direct->gather, self->math, product);
    if (direct->kernel == CONV2D_KERNEL_FIRST_LAYER)
        return conv2d_first_layer_run(context, &direct->gather, self->math, product);
    product->weights = conv2d_packed(self, pass, args);
    if (product->weights == NULL) {
        TRY(conv2d_pack(context, &direct->packing, self->math, args->weight, args->workspace));
        product->weights = args->workspace;
    }
    if (direct->kernel == CONV2D_KERNEL_FMA)
        return conv2d_fma_run(context, &direct->gather, direct->tile, product);
    return conv2d_mma_run(context, &direct->gather, self->math, direct->tile, product);
}

adele_status conv2d_direct_run(const struct conv2d *self, enum conv2d_pass pass,
                               const struct adele_conv2d_args *args) {
    struct conv2d_product product = {};
    product.weights = args->weight;
    switch (pass) {
    case CONV2D_FORWARD:
        product.source = args->src;
        product.bias = self->desc.has_bias ? args->bias : NULL;
        product.target = args->dst;
        return run_product(self, pass, &product, args);
    case CONV2D_DATA_GRADIENT:
        product.source = args->d_dst;
        product.target = args->d_src;
        product.accumulate = args->accumulate_d_src;
        return run_product(self, pass, &product, args);
    default:
        return weight_gradient_run(context_of(self->base.op.device), &self->shape, self->math,
                                   self->is_plain, args->src, args->d_dst, args->d_weight,
                                   self->desc.has_bias ? args->d_bias : NULL, args->workspace);
    }
}

static adele_status run_pass(const struct conv2d *self, enum conv2d_pass pass,
                             const struct adele_conv2d_args *args) {
    const struct conv2d_library *library = &self->library[pass];
    return library->run != NULL ? library->run(self, library->plan, args)
                                : conv2d_direct_run(self, pass, args);
}

adele_status cuda_conv2d_forward(struct adele_op *op, const struct adele_conv2d_args *args) {
    return run_pass((const struct conv2d *)op, CONV2D_FORWARD, args);
}

adele_status cuda_conv2d_backward(struct adele_op *op, const struct adele_conv2d_args *args) {
    const struct conv2d *self = (const struct conv2d *)op;
    if (!self->desc.is_training)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "conv2d: backward of an op created for inference");
    TRY(run_pass(self, CONV2D_WEIGHT_GRADIENT, args));
    if (self->desc.needs_d_src && args->d_src != NULL)
        TRY(run_pass(self, CONV2D_DATA_GRADIENT, args));
    return ADELE_OK;
}

} // namespace adele_cuda
