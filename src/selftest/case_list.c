// SPDX-License-Identifier: MIT
#include "selftest/cases.h"

#include <stdio.h>

// ---- convolutions -------------------------------------------------------------------------------

#define CONV(size_n, in, height, width, out, k, s, p, d, bias, wants_d_src)                        \
    {                                                                                              \
        .n = (size_n), .c_in = (in), .h_in = (height), .w_in = (width), .c_out = (out),            \
        .kernel = (k), .stride = (s), .pad = (p), .dilation = (d), .has_bias = (bias),             \
        .needs_d_src = (wants_d_src), .is_training = true                                          \
    }
static const struct adele_conv2d_desc convolutions[] = {
    CONV(1, 24, 11, 13, 40, 3, 1, 1, 1, true, true),   // channels and pixels that do not fill tiles
    CONV(1, 64, 8, 16, 64, 3, 1, 1, 1, false, true),   // whole tiles
    CONV(1, 40, 9, 11, 136, 1, 1, 0, 1, true, true),   // two tiles of channels
    CONV(2, 16, 9, 10, 24, 3, 2, 1, 1, false, true),   // a stride
    CONV(1, 16, 17, 15, 21, 3, 1, 12, 12, true, true), // most taps in the padding
    CONV(2, 3, 17, 18, 16, 3, 1, 1, 1, true, false),   // a first layer of colour images
    CONV(1, 1, 20, 32, 24, 3, 1, 1, 1, false, false),  // and of gray ones
    CONV(2, 40, 17, 16, 40, 3, 1, 1, 1, false,
         true), // enough pixels that the gradient's sum is split
    CONV(1, 3, 20, 22, 16, 7, 2, 3, 1, false, false), // ResNet's stem
    CONV(1, 64, 9, 15, 320, 1, 1, 0, 1, true, true),  // Hopper's tiles of 128 and 256 channels
    CONV(3, 128, 13, 11, 64, 3, 1, 2, 2, true, true), // and over several images, more than blocks
    CONV(2, 64, 17, 19, 64, 3, 2, 1, 1, false, true), // its data gradient, parity by parity
};
static const struct adele_sgd_segment segments[] = {{0, 1000, 1.0f, 0.01f}, {1000, 37, 2.0f, 0.0f}};
static const struct adele_initialize_item initial_items[] = {
    {0, 900, ADELE_INITIAL_NORMAL, 0.1, 1},
    {900, 301, ADELE_INITIAL_UNIFORM, 0.2, 2},
    {1201, 17, ADELE_INITIAL_CONSTANT, 1.0, 3}};

// ---- the list -----------------------------------------------------------------------------------

// OF_OP and FLOAT_ONLY: behind the op, the fields of its descriptor.
#define ROW(op, family, desc, is_float_only, tile)                                                 \
    { ADELE_OP_##op, ADELE_FAMILY_##family, desc, is_float_only, 0.0, tile }
#define CONVOLUTION(op, i) ROW(op, COUNT, &convolutions[i], false, NULL)
#define WITH_TILE(i, tile) ROW(conv2d, COUNT, &convolutions[i], false, tile)
#define ALONE(family)      ROW(COUNT, family, &convolutions[0], false, NULL)
#define SCALES(i, tile)    ROW(COUNT, conv2d_scales, &convolutions[i], false, tile)
#define OF_OP(op, ...)     ROW(op, COUNT, (&(const struct adele_##op##_desc){__VA_ARGS__}), false, NULL)
#define FLOAT_ONLY(op, ...)                                                                        \
    ROW(op, COUNT, (&(const struct adele_##op##_desc){__VA_ARGS__}), true, NULL)
const struct selftest_case selftest_small_cases[] = {
    ALONE(tensor),
    CONVOLUTION(conv2d, 0),
    CONVOLUTION(conv2d, 1),
    CONVOLUTION(conv2d, 2),
    CONVOLUTION(conv2d, 3),
    CONVOLUTION(conv2d, 4),
    CONVOLUTION(conv2d, 5),
    CONVOLUTION(conv2d, 6),
    CONVOLUTION(conv2d, 7),
    CONVOLUTION(conv2d, 8),
    WITH_TILE(2, "128x128"),
    WITH_TILE(2, "128x64"),
    WITH_TILE(2, "128x32"),
    WITH_TILE(2, "64x64"),
    WITH_TILE(9, "128x128"),
    WITH_TILE(9, "128x256"),
    WITH_TILE(10, "128x64"),
    WITH_TILE(10, "128x256"),
    WITH_TILE(1, "128x64 split"),
    WITH_TILE(11, "128x64"),
    SCALES(10, NULL),
    SCALES(1, "128x64 split"),
    SCALES(11, "128x64"),
    CONVOLUTION(pack, 0),
    CONVOLUTION(pack, 2),
    OF_OP(aspp, .form = ADELE_ASPP_SUM, .n = 2, .c_in = 56, .h = 9, .w = 10, .c_out = 21,
          .n_rates = 3, .rates = {2, 4, 6}, .has_bias = true, .needs_d_src = true,
          .is_training = true),
    OF_OP(aspp, .form = ADELE_ASPP_CONCAT, .n = 2, .c_in = 16, .h = 9, .w = 10, .c_out = 24,
          .n_rates = 3, .rates = {0, 3, 5}, .needs_d_src = true, .is_training = true),
    OF_OP(aspp, .form = ADELE_ASPP_CONCAT, .n = 1, .c_in = 64, .h = 9, .w = 7, .c_out = 64,
          .n_rates = 2, .rates = {0, 3}, .has_bias = true, .needs_d_src = true,
          .is_training = true), // whole steps of Hopper's
    OF_OP(batch_norm, .n = 2, .c = 21, .h = 13, .w = 11, .eps = 1e-5f, .momentum = 0.1f,
          .has_relu = true),
    OF_OP(batch_norm, .n = 3, .c = 40, .h = 9, .w = 10, .eps = 1e-5f, .momentum = 0.1f,
          .has_residual = true),
    OF_OP(max_pool, .n = 2, .c = 21, .h_in = 14, .w_in = 18, .kernel = 2, .stride = 2),
    OF_OP(max_pool, .n = 1, .c = 16, .h_in = 15, .w_in = 13, .kernel = 3, .stride = 2, .pad = 1),
    OF_OP(rescale, .n = 2, .c = 21, .h_in = 9, .w_in = 7, .h_out = 18, .w_out = 14, .h_dst = 19,
          .w_dst = 16, .left = 1),
    OF_OP(concat, .n = 2, .c0 = 24, .c1 = 21, .h = 9, .w = 11),
    OF_OP(concat, .n = 1, .c0 = 21, .c1 = 16, .h = 7, .w = 10),
    OF_OP(add, .n = 2, .c = 21, .h = 9, .w = 11),
    OF_OP(global_pool, .n = 2, .c = 40, .h = 13, .w = 11),
    OF_OP(dropout, .n = 2, .c = 21, .h = 9, .w = 11, .rate = 0.3, .seed = 7, .stream = 2),
    OF_OP(loss, .n = 2, .c = 5, .h = 17, .w = 35, .n_scales = 3, .h_scale = {17, 11, 25},
          .w_scale = {35, 24, 52}, .form = ADELE_LOSS_PROGRAM, .lambda = 1.0,
          .rho = 0.3, // so low that random logits exceed it and the consistency term is active
          .divisor = 3.0, .learn_scale_weights = true),
    OF_OP(loss, .n = 1, .c = 21, .h = 33, .w = 31, .n_scales = 2, .h_scale = {5, 7},
          .w_scale = {4, 6}, .form = ADELE_LOSS_PAPER, .lambda = 1.0, .divisor = 1.0),
    OF_OP(loss, .n = 2, .c = 2, .h = 16, .w = 32, .n_scales = 1, .h_scale = {16}, .w_scale = {32},
          .form = ADELE_LOSS_PLAIN, .divisor = 1.0),
    // One block per image: no other block finds a confident pixel for it.
    OF_OP(loss, .n = 1, .c = 3, .h = 8, .w = 9, .n_scales = 2, .h_scale = {8, 6}, .w_scale = {9, 6},
          .form = ADELE_LOSS_PROGRAM, .lambda = 1.0, .rho = 0.4, .divisor = 1.0),
    OF_OP(dice, .n = 2, .c = 5, .h = 37, .w = 34, .h_logits = 37, .w_logits = 34, .weight = 1.0),
    OF_OP(dice, .n = 2, .c = 21, .h = 33, .w = 31, .h_logits = 5, .w_logits = 4, .per_image = true,
          .weight = 0.5),
    FLOAT_ONLY(sgd, 2, segments),
    FLOAT_ONLY(adamw, 2, segments),
    FLOAT_ONLY(combine, 1037),
    FLOAT_ONLY(average, 1037),
    FLOAT_ONLY(initialize, 3, initial_items, 5),
    OF_OP(sample, .n = 4, .c = 3, .h = 37, .w = 34, .n_scales = 3, .h_scale = {37, 25, 55},
          .w_scale = {34, 23, 51}, .seed = 11),
    OF_OP(sample, .n = 4, .c = 1, .h = 40, .w = 33, .n_scales = 1, .h_scale = {40}, .w_scale = {33},
          .augment = {.enabled = true,
                      .rotate_degrees = 20.0,
                      .translate = 0.1,
                      .scale_low = 0.8,
                      .scale_high = 1.3,
                      .flip = 0.5},
          .seed = 11),
    // All that it can do, of planes of more than one chunk of the kernels' sums; and the tone
    // alone.
    OF_OP(augment_intensity, .n = 3, .c = 2, .h = 67, .w = 65,
          .intensity = {1.0, 1.0, 1.0, 1.0, 1.0}, .seed = 11),
    OF_OP(augment_intensity, .n = 2, .c = 1, .h = 40, .w = 33,
          .intensity = {1.0, 1.0, 1.0, 0.0, 0.0}, .seed = 12),
    OF_OP(ensemble, .n = 2, .c = 5, .h_in = 9, .w_in = 12, .h = 18, .w = 25),
    OF_OP(ensemble, .n = 1, .c = 21, .h_in = 11, .w_in = 7, .h = 21, .w = 17,
          .mode = ADELE_ENSEMBLE_LOGITS),
    FLOAT_ONLY(decide, .n = 2, .c = 5, .h = 17, .w = 21),
    FLOAT_ONLY(decide, .n = 1, .c = 21, .h = 16, .w = 24, .mode = ADELE_ENSEMBLE_LOGITS,
               .temperature = 3.0),
    OF_OP(accumulate_maps, 2, 5, 17, 21),
    OF_OP(accumulate_maps, 1, 21, 9, 13),
    FLOAT_ONLY(guided_filter, .n = 2, .c = 3, .h_maps = 9, .w_maps = 12, .h = 34, .w = 37,
               .image_c = 3, .radius = 4, .eps = 1e-3),
    FLOAT_ONLY(guided_filter, .n = 1, .c = 5, .h_maps = 16, .w_maps = 32, .h = 16, .w = 32,
               .image_c = 1, .pixel = ADELE_PIXEL_F16, .radius = 2, .eps = 1e-2),
    FLOAT_ONLY(area_decision, .n = 2, .c = 5, .h = 33, .w = 41),
    FLOAT_ONLY(area_decision, .n = 1, .c = 21, .h = 16, .w = 24),
    FLOAT_ONLY(crf, .n = 1, .c = 3, .image_c = 3, .h = 24, .w = 21, .iterations = 2,
               .spatial_sigma = 3.0, .spatial_weight = 3.0, .bilateral_sigma = 32.0,
               .colour_sigma = 13.0, .bilateral_weight = 10.0),
    FLOAT_ONLY(correct, .n = 2, .n_categories = 5, .h = 17, .w = 23, .rule = ADELE_CORRECT_BOTH,
               .tau_foreground = 0.6, .tau_background = 0.7, .class_constraint = true,
               .logic255 = true),
    FLOAT_ONLY(correct, .n = 2, .n_categories = 5, .h = 16, .w = 24, .rule = ADELE_CORRECT_SINGLE,
               .tau_foreground = 0.5, .tau_background = 0.5, .guard = true),
    FLOAT_ONLY(count, .n = 3, .h = 33, .w = 41, .n_categories = 5),
    ALONE(step_graph),
};
const int selftest_n_small_cases = sizeof selftest_small_cases / sizeof selftest_small_cases[0];

case_function selftest_function(const struct selftest_case *item) {
    static const case_function of_op[] = {
#define FUNCTION(name, has_backward) case_##name,
        ADELE_OPS(FUNCTION)
#undef FUNCTION
    };
    if (item->op != ADELE_OP_COUNT)
        return of_op[item->op];
    return item->family == ADELE_FAMILY_step_graph      ? case_step_graph
           : item->family == ADELE_FAMILY_conv2d_scales ? case_conv2d_scales
                                                        : case_tensor;
}

void selftest_describe(const struct selftest_case *item, char *out, size_t bytes) {
    static const char *const names[] = {
#define NAME(name, has_backward) #name,
        ADELE_OPS(NAME)
#undef NAME
    };
    const struct adele_conv2d_desc *conv = item->desc;
    const bool is_alone = item->op == ADELE_OP_COUNT;
    const char *name = is_alone ? family_name(item->family) : names[item->op];
    if (item->op == ADELE_OP_conv2d || item->op == ADELE_OP_pack ||
        (is_alone && item->family == ADELE_FAMILY_conv2d_scales))
        (void)snprintf(out, bytes,
                       "%s (%d, %d, %d, %d) to %d, kernel %d, stride %d, pad %d, dilation %d", name,
                       conv->n, conv->c_in, conv->h_in, conv->w_in, conv->c_out, conv->kernel,
                       conv->stride, conv->pad, conv->dilation);
    else
        (void)snprintf(out, bytes, "%s", name);
}
