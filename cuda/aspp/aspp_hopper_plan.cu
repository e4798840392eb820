// SPDX-License-Identifier: MIT
// The atrous pyramid on Hopper's tensor cores: forward pass and data gradient of bf16 tensors, all
// rates in one launch of the convolution's kernel (conv2d/conv2d_hopper.cu), which gets the taps of
// all rates as one list.
//
// Form SUM, and the data gradient of form CONCAT: each output tile adds up the products of the taps
// of all rates in its registers. Forward pass of CONCAT: each rate has output tiles of its own, and
// one grid computes the tiles of all rates, those with most taps first.
//
// It improves on aspp_mma.cu by what conv2d_hopper.cu does on conv2d_mma.cu. Overwrites the target,
// or adds to it.
#include "aspp/aspp_parts.cuh"
#include "conv2d/conv2d_hopper.cuh"

namespace adele_cuda {

bool aspp_hopper_fits(const struct cuda_context *context, const struct adele_aspp_desc *desc,
                      const struct aspp_gather *gather, enum conv2d_math math) {
    // A step reads 64 channels, those beyond the last as zeros: at most a quarter of them.
    bool fills_steps =
        4 * gather->k_width >= 3 * ceil_div(gather->k_width, HOPPER_STEP) * HOPPER_STEP;
    bool begins_steps = desc->form == ADELE_ASPP_SUM || desc->c_out % HOPPER_STEP == 0;
    return fills_steps && begins_steps && aspp_taps(gather) <= CONV2D_BOX_MAX_TAPS &&
           !family_is_disabled(&context->device, ADELE_FAMILY_aspp_hopper) &&
           hopper_is_usable(context, math) && hopper_is_compiled();
}

static struct conv2d_boxes boxes_of(const struct aspp_gather *gather) {
    struct conv2d_boxes boxes = {};
    boxes.n_taps = aspp_taps(gather);
    boxes.n_groups = gather->n_groups;
    for (int i = 0; i < boxes.n_taps; i++)
        boxes.taps[i] = {gather->taps[i].x, gather->taps[i].y, gather->taps[i].channel, i};
    for (int g = 0; g < boxes.n_groups; g++)
        boxes.groups[g] = {{gather->n, gather->h, gather->w, gather->h, gather->w},
                           gather->groups[g].tap_first,
                           gather->groups[g].n_taps,
                           gather->groups[g].channel_first,
                           0,
                           0,
                           0};
    conv2d_boxes_choose(&boxes);
    return boxes;
}

adele_status aspp_hopper_create(struct cuda_op *op, struct aspp_gather *gather,
                                struct hopper_part *out) {
    static_assert(ADELE_MAX_RATES <= CONV2D_BOX_MAX_GROUPS, "a branch is a group");
    gather->shares_rows = gather->n_groups > 1;
    out->boxes = boxes_of(gather);
    out->c_source = gather->p_source;
    out->c_target = gather->p_target;
    out->n_weight_taps = out->boxes.n_taps;
    out->n_weight_rows = gather->groups[0].channels;
    out->weight_width = gather->k_width;
    out->stride = 1;
    return hopper_part_create(op, out->n_weight_rows, ceil_div(gather->k_width, HOPPER_STEP), out);
}

} // namespace adele_cuda
