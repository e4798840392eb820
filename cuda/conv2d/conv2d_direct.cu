// SPDX-License-Identifier: MIT
// The passes of a convolution by our own kernels: which kernel and which tile, chosen once when the
// op is created, from the shape alone; and the launch.
#include "conv2d/conv2d_parts.cuh"

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
    // Without tensor cores TF32 convolutions are computed in float.
    bool is_tf32 = precision == ADELE_PRECISION_TF32 &&
                   !family_is_disabled(&context->device, ADELE_FAMILY_conv2d_mma);
    return is_tf32 ? CONV2D_TF32 : CONV2D_FMA;
}

static const size_t slots_unit = 256; // bytes

adele_status conv2d_direct_choose(struct conv2d *self, enum conv2d_pass pass) {
    struct conv2d_direct *direct = &self->direct[pass];
    const struct cuda_context *context = context_of(self->base.op.device);
    direct->gather = pass == CONV2D_FORWARD ? conv2d_gather_forward(&self->shape)
                                            : conv2d_gather_data_gradient(&self->shape);
    const struct adele_device *device = &context->device;
    enum family tuned =
        self->math == CONV2D_FMA ? ADELE_FAMILY_conv2d_fma : ADELE_FAMILY_conv2d_mma;
    direct->kernel = CONV2D_KERNEL_PLAIN;
    if (self->is_plain || direct->gather.is_large || direct->gather.has_many_taps)
        return conv2d_plain_choose(context, &direct->gather, &direct->launch);
    if (pass == CONV2D_FORWARD && conv2d_first_layer_fits(&direct->gather, self->math) &&
        !family_is_disabled(device, ADELE_FAMILY_conv2d_first_layer)) {
        direct->kernel = CONV2D_KERNEL_FIRST_LAYER;
        return ADELE_OK;
    }
    bool is_hopper = hopper_fits(context, &direct->gather, self->math);
    if (family_is_disabled(device, tuned) && !is_hopper)
        return conv2d_plain_choose(context, &direct->gather, &direct->launch);
    direct->packing =
        conv2d_packing_make(self->shape.c_out, self->shape.c_in, self->shape.kernel, pass);
    direct->workspace_bytes = conv2d_packing_bytes(context, &direct->packing);
    if (is_hopper) {
        direct->kernel = CONV2D_KERNEL_HOPPER;
        const struct conv2d_gather *gather = &direct->gather;
        TRY(hopper_plan_create(&self->base, &gather, 1, &direct->hopper));
        direct->slots_offset = (direct->workspace_bytes + slots_unit - 1) / slots_unit * slots_unit;
        direct->workspace_bytes = direct->slots_offset + hopper_slot_bytes(&direct->hopper);
        return ADELE_OK;
    }
    direct->tile = choose_tile(&direct->gather);
    if (self->math == CONV2D_FMA) {
        direct->kernel = CONV2D_KERNEL_FMA;
        return conv2d_fma_choose(&direct->gather, direct->tile, &direct->launch);
    }
    direct->kernel = CONV2D_KERNEL_MMA;
    return conv2d_mma_choose(context, &direct->gather, self->math, direct->tile, &direct->launch);
}

void conv2d_direct_name(const struct conv2d *self, enum conv2d_pass pass, char *text,
                        size_t bytes) {
    const struct conv2d_direct *direct = &self->direct[pass];
    const char *math = self->math == CONV2D_BF16   ? "bf16"
                       : self->math == CONV2D_TF32 ? "tf32"
                                                   : "fp32";
    if (direct->kernel == CONV2D_KERNEL_PLAIN)
        snprintf(text, bytes, "plain %s", math);
    else if (direct->kernel == CONV2D_KERNEL_FIRST_LAYER)
        snprintf(text, bytes, "first layer %s", math);
    else if (direct->kernel == CONV2D_KERNEL_HOPPER)
        hopper_plan_name(&direct->hopper, text, bytes);
    else
        snprintf(text, bytes, "%s %s %s", direct->kernel == CONV2D_KERNEL_FMA ? "fma" : "mma", math,
                 tiles[direct->tile].name);
}

// ---- a pass -------------------------------------------------------------------------------------

size_t conv2d_direct_workspace(const struct conv2d *self, enum conv2d_pass pass) {
    return pass == CONV2D_WEIGHT_GRADIENT ? self->weight_gradient.workspace_bytes
                                          : self->direct[pass].workspace_bytes;
}

const void *conv2d_packed(const struct conv2d *self, enum conv2d_pass pass,
                          const struct adele_conv2d_args *args) {
    if (args->packed_weight == NULL)
        return NULL;
    return (const char *)args->packed_weight +
           (pass == CONV2D_DATA_GRADIENT ? self->packed_forward_bytes : 0);
}

adele_status conv2d_direct_weights(const struct conv2d *self, enum conv2d_pass pass,
                                   const struct adele_conv2d_args *args, void *workspace,
                                   const void **out) {
    const struct conv2d_direct *direct = &self->direct[pass];
    bool is_packed = direct->kernel == CONV2D_KERNEL_FMA || direct->kernel == CONV2D_KERNEL_MMA ||
                     direct->kernel == CONV2D_KERNEL_HOPPER;
    *out = is_packed ? conv2d_packed(self, pass, args) : args->weight;
    if (*out != NULL)
        return ADELE_OK;
    *out = workspace;
    return conv2d_pack(context_of(self->base.op.device), &direct->packing, self->math, args->weight,
                       workspace);
}

struct conv2d_product conv2d_direct_product(const struct conv2d *self, enum conv2d_pass pass,
                                            const struct adele_conv2d_args *args) {
    struct conv2d_product product = {};
    product.math = self->math;
    if (pass == CONV2D_FORWARD) {
        product.source = args->src;
        product.bias = self->desc.has_bias ? args->bias : NULL;
        product.target = args->dst;
    } else {
        product.source = args->d_dst;
        product.target = args->d_src;
        product.accumulate = args->accumulate_d_src;
    }
    return product;
}

adele_status conv2d_direct_run(const struct conv2d *self, enum conv2d_pass pass,
                               const struct adele_conv2d_args *args) {
    const struct cuda_context *context = context_of(self->base.op.device);
    if (pass == CONV2D_WEIGHT_GRADIENT)
        return weight_gradient_run(context, &self->weight_gradient, args->src, args->d_dst,
                                   args->d_weight, self->desc.has_bias ? args->d_bias : NULL,
                                   args->workspace);
    const struct conv2d_direct *direct = &self->direct[pass];
    const struct conv2d_launch *to = &direct->launch;
    struct conv2d_product product = conv2d_direct_product(self, pass, args);
    TRY(conv2d_direct_weights(self, pass, args, args->workspace, &product.weights));
    if (direct->kernel == CONV2D_KERNEL_FIRST_LAYER)
        return conv2d_first_layer_run(context, &direct->gather, self->math, &product);
    if (direct->kernel == CONV2D_KERNEL_HOPPER)
        return hopper_run(context, &direct->hopper, &product,
                          (float *)((char *)args->workspace + direct->slots_offset));
    return launch(context, to->name, to->file, __LINE__, dim3((unsigned)to->n_blocks),
                  dim3((unsigned)to->n_threads), to->shared_bytes, to->kernel, direct->gather,
                  product);
}

} // namespace adele_cuda
