// SPDX-License-Identifier: MIT
// Cases of the other ops of networks.
#include "selftest/cases.h"

// In a network an op may write into a slice of a wider tensor; here each has a separate tensor.
static const struct adele_slice whole = {0, 0};

static void fill_batch_norm(struct trial *trial, const struct adele_batch_norm_desc *desc,
                            struct adele_batch_norm_args *args) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    size_t c = (size_t)desc->c;
    *args = (struct adele_batch_norm_args){
        .use_batch_statistics = true,
        .src = trial_tensor(trial, shape, -1.0, 1.0),
        .residual = desc->has_residual ? trial_tensor(trial, shape, -1.0, 1.0) : NULL,
        .scale = trial_floats(trial, c, 0.5, 1.5),
        .shift = trial_floats(trial, c, -1.0, 1.0),
        .running_mean = trial_sum(trial, "running_mean", TRIAL_FLOAT, c),
        .running_variance = trial_sum(trial, "running_variance", TRIAL_FLOAT, c),
        .saved_mean = trial_out(trial, "saved_mean", TRIAL_FLOAT, c),
        .saved_inv_std = trial_out(trial, "saved_inv_std", TRIAL_FLOAT, c),
        .dst = trial_tensor_out(trial, "dst", shape),
        .d_dst = trial_tensor(trial, shape, -1.0, 1.0),
        .d_src = trial_tensor_out(trial, "d_src", shape),
        .d_residual = desc->has_residual ? trial_tensor_out(trial, "d_residual", shape) : NULL,
        .d_scale = trial_sum(trial, "d_scale", TRIAL_FLOAT, c),
        .d_shift = trial_sum(trial, "d_shift", TRIAL_FLOAT, c),
        .workspace = trial_workspace(trial)};
}
CASE_WITH_BACKWARD(batch_norm, desc.dst = whole)

static void fill_max_pool(struct trial *trial, const struct adele_max_pool_desc *desc,
                          struct adele_max_pool_args *args) {
    struct adele_shape src = {desc->n, desc->c, desc->h_in, desc->w_in};
    struct adele_shape dst = {
        desc->n, desc->c, adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1),
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1)};
    *args = (struct adele_max_pool_args){.src = trial_tensor(trial, src, -1.0, 1.0),
                                         .dst = trial_tensor_out(trial, "dst", dst),
                                         .d_dst = trial_tensor(trial, dst, -1.0, 1.0),
                                         .d_src = trial_tensor_out(trial, "d_src", src),
                                         .workspace = trial_workspace(trial)};
}
CASE_WITH_BACKWARD(max_pool, desc.src = whole)

static void fill_rescale(struct trial *trial, const struct adele_rescale_desc *desc,
                         struct adele_rescale_args *args) {
    struct adele_shape src = {desc->n, desc->c, desc->h_in, desc->w_in};
    struct adele_shape dst = {desc->n, desc->c, desc->h_dst, desc->w_dst};
    *args = (struct adele_rescale_args){.src = trial_tensor(trial, src, -1.0, 1.0),
                                        .dst = trial_tensor_out(trial, "dst", dst),
                                        .d_dst = trial_tensor(trial, dst, -1.0, 1.0),
                                        .d_src = trial_tensor_sum(trial, "d_src", src),
                                        .accumulate_d_src = true,
                                        .workspace = trial_workspace(trial)};
}
CASE_WITH_BACKWARD(rescale, desc.dst = whole)

static void fill_concat(struct trial *trial, const struct adele_concat_desc *desc,
                        struct adele_concat_args *args) {
    struct adele_shape first = {desc->n, desc->c0, desc->h, desc->w};
    struct adele_shape second = {desc->n, desc->c1, desc->h, desc->w};
    struct adele_shape dst = {desc->n, desc->c0 + desc->c1, desc->h, desc->w};
    *args = (struct adele_concat_args){.src0 = trial_tensor(trial, first, -1.0, 1.0),
                                       .src1 = trial_tensor(trial, second, -1.0, 1.0),
                                       .dst = trial_tensor_out(trial, "dst", dst),
                                       .d_dst = trial_tensor(trial, dst, -1.0, 1.0),
                                       .d_src0 = trial_tensor_out(trial, "d_src0", first),
                                       .d_src1 = trial_tensor_sum(trial, "d_src1", second),
                                       .accumulate_d_src1 = true};
}
CASE_WITH_BACKWARD(concat, )

static void fill_add(struct trial *trial, const struct adele_add_desc *desc,
                     struct adele_add_args *args) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    *args = (struct adele_add_args){.src0 = trial_tensor(trial, shape, -1.0, 1.0),
                                    .src1 = trial_tensor(trial, shape, -1.0, 1.0),
                                    .dst = trial_tensor_out(trial, "dst", shape),
                                    .d_dst = trial_tensor(trial, shape, -1.0, 1.0),
                                    .d_src0 = trial_tensor_out(trial, "d_src0", shape),
                                    .d_src1 = trial_tensor_sum(trial, "d_src1", shape),
                                    .accumulate_d_src1 = true};
}
CASE_WITH_BACKWARD(add, )

static void fill_global_pool(struct trial *trial, const struct adele_global_pool_desc *desc,
                             struct adele_global_pool_args *args) {
    struct adele_shape src = {desc->n, desc->c, desc->h, desc->w};
    struct adele_shape dst = {desc->n, desc->c, 1, 1};
    // Above zero, because the mean of values that cancel is mostly rounding.
    *args = (struct adele_global_pool_args){.src = trial_tensor(trial, src, 0.0, 1.0),
                                            .dst = trial_tensor_out(trial, "dst", dst),
                                            .d_dst = trial_tensor(trial, dst, -1.0, 1.0),
                                            .d_src = trial_tensor_out(trial, "d_src", src),
                                            .workspace = trial_workspace(trial)};
}
CASE_WITH_BACKWARD(global_pool, )

static void fill_dropout(struct trial *trial, const struct adele_dropout_desc *desc,
                         struct adele_dropout_args *args) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    *args = (struct adele_dropout_args){.is_active = true,
                                        .epoch = 3,
                                        .src = trial_tensor(trial, shape, -1.0, 1.0),
                                        .dst = trial_tensor_out(trial, "dst", shape),
                                        .d_dst = trial_tensor(trial, shape, -1.0, 1.0),
                                        .d_src = trial_tensor_out(trial, "d_src", shape)};
}
CASE_WITH_BACKWARD(dropout, )
