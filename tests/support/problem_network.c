// SPDX-License-Identifier: MIT
// The problems of the ops of device/network_ops.h.
#include "support/problem.h"

#define BOTH (READ_F | READ_B)

void problem_conv2d(const struct adele_conv2d_desc *desc, struct problem *out) {
    int h = adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation);
    int w = adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation);
    int n_weights = desc->c_out * desc->c_in * desc->kernel * desc->kernel;
    int backward = desc->is_training ? READ_B : 0;
    int gradient = desc->is_training ? READ_B | WRITE_B : 0;
    PROBLEM(out, conv2d, desc, 1e-4);
    WORKSPACE(out, conv2d);
    TENSOR(out, conv2d, src, READ_F | backward, desc->n, desc->c_in, desc->h_in, desc->w_in);
    PLAIN(out, conv2d, weight, FIELD_FLOATS, READ_F | (desc->needs_d_src ? backward : 0),
          n_weights);
    TENSOR(out, conv2d, dst, WRITE_F, desc->n, desc->c_out, h, w);
    if (desc->has_bias)
        PLAIN(out, conv2d, bias, FIELD_FLOATS, READ_F, desc->c_out);
    if (!desc->is_training)
        return;
    TENSOR(out, conv2d, d_dst, READ_B, desc->n, desc->c_out, h, w);
    if (desc->needs_d_src)
        GRADIENT(out, conv2d, d_src, desc->n, desc->c_in, desc->h_in, desc->w_in);
    PLAIN(out, conv2d, d_weight, FIELD_FLOATS, gradient, n_weights);
    problem_range(out, 0.0, 0.0);
    if (desc->has_bias) {
        PLAIN(out, conv2d, d_bias, FIELD_FLOATS, gradient, desc->c_out);
        problem_range(out, 0.0, 0.0);
    }
}

void problem_batch_norm(const struct adele_batch_norm_desc *desc, struct problem *out) {
    int n = desc->n, c = desc->c, h = desc->h, w = desc->w;
    PROBLEM(out, batch_norm, desc, 2e-4);
    WORKSPACE(out, batch_norm);
    out->args.batch_norm.use_batch_statistics = true;
    TENSOR(out, batch_norm, src, BOTH, n, c, h, w);
    problem_range(out, -1.0, 3.0);
    if (desc->has_residual)
        TENSOR(out, batch_norm, residual, READ_F, n, c, h, w);
    PLAIN(out, batch_norm, scale, FIELD_FLOATS, BOTH, c);
    problem_range(out, 0.5, 1.5);
    PLAIN(out, batch_norm, shift, FIELD_FLOATS, BOTH, c);
    problem_range(out, -0.5, 0.5);
    PLAIN(out, batch_norm, running_mean, FIELD_FLOATS, READ_F | WRITE_F, c);
    PLAIN(out, batch_norm, running_variance, FIELD_FLOATS, READ_F | WRITE_F, c);
    problem_range(out, 0.5, 2.0);
    PLAIN(out, batch_norm, saved_mean, FIELD_FLOATS, WRITE_F | READ_B, c);
    PLAIN(out, batch_norm, saved_inv_std, FIELD_FLOATS, WRITE_F | READ_B, c);
    TENSOR(out, batch_norm, dst, WRITE_F | READ_B, n, c, h, w);
    TENSOR(out, batch_norm, d_dst, READ_B, n, c, h, w);
    TENSOR(out, batch_norm, d_src, WRITE_B, n, c, h, w);
    if (desc->has_residual) {
        TENSOR(out, batch_norm, d_residual, WRITE_B, n, c, h, w);
        problem_last(out)->is_copy = true; // where the ReLU is open
    }
    PLAIN(out, batch_norm, d_scale, FIELD_FLOATS, READ_B | WRITE_B, c);
    PLAIN(out, batch_norm, d_shift, FIELD_FLOATS, READ_B | WRITE_B, c);
}

void problem_max_pool(const struct adele_max_pool_desc *desc, struct problem *out) {
    int h = adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1);
    int w = adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1);
    PROBLEM(out, max_pool, desc, 1e-6);
    WORKSPACE(out, max_pool);
    TENSOR(out, max_pool, src, BOTH, desc->n, desc->c, desc->h_in, desc->w_in);
    TENSOR(out, max_pool, dst, WRITE_F | READ_B, desc->n, desc->c, h, w);
    problem_last(out)->is_copy = true;
    TENSOR(out, max_pool, d_dst, READ_B, desc->n, desc->c, h, w);
    GRADIENT(out, max_pool, d_src, desc->n, desc->c, desc->h_in, desc->w_in);
}

void problem_rescale(const struct adele_rescale_desc *desc, struct problem *out) {
    PROBLEM(out, rescale, desc, 1e-5);
    WORKSPACE(out, rescale);
    TENSOR(out, rescale, src, READ_F, desc->n, desc->c, desc->h_in, desc->w_in);
    TENSOR(out, rescale, dst, WRITE_F, desc->n, desc->c, desc->h_dst, desc->w_dst);
    TENSOR(out, rescale, d_dst, READ_B, desc->n, desc->c, desc->h_dst, desc->w_dst);
    GRADIENT(out, rescale, d_src, desc->n, desc->c, desc->h_in, desc->w_in);
}

void problem_concat(const struct adele_concat_desc *desc, struct problem *out) {
    PROBLEM(out, concat, desc, 1e-6);
    TENSOR(out, concat, src0, READ_F, desc->n, desc->c0, desc->h, desc->w);
    TENSOR(out, concat, src1, READ_F, desc->n, desc->c1, desc->h, desc->w);
    TENSOR(out, concat, dst, WRITE_F, desc->n, desc->c0 + desc->c1, desc->h, desc->w);
    problem_last(out)->is_copy = true;
    TENSOR(out, concat, d_dst, READ_B, desc->n, desc->c0 + desc->c1, desc->h, desc->w);
    GRADIENT(out, concat, d_src0, desc->n, desc->c0, desc->h, desc->w);
    problem_last(out)->is_copy = true;
    GRADIENT(out, concat, d_src1, desc->n, desc->c1, desc->h, desc->w);
    problem_last(out)->is_copy = true;
}

void problem_add(const struct adele_add_desc *desc, struct problem *out) {
    PROBLEM(out, add, desc, 1e-6);
    TENSOR(out, add, src0, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, src1, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, dst, WRITE_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, d_dst, READ_B, desc->n, desc->c, desc->h, desc->w);
    GRADIENT(out, add, d_src0, desc->n, desc->c, desc->h, desc->w);
    problem_last(out)->is_copy = true;
    GRADIENT(out, add, d_src1, desc->n, desc->c, desc->h, desc->w);
    problem_last(out)->is_copy = true;
}

void problem_global_pool(const struct adele_global_pool_desc *desc, struct problem *out) {
    PROBLEM(out, global_pool, desc, 1e-4);
    WORKSPACE(out, global_pool);
    TENSOR(out, global_pool, src, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, global_pool, dst, WRITE_F, desc->n, desc->c, 1, 1);
    TENSOR(out, global_pool, d_dst, READ_B, desc->n, desc->c, 1, 1);
    GRADIENT(out, global_pool, d_src, desc->n, desc->c, desc->h, desc->w);
}

void problem_aspp(const struct adele_aspp_desc *desc, struct problem *out) {
    bool is_concat = desc->form == ADELE_ASPP_CONCAT;
    int c_dst = is_concat ? desc->n_rates * desc->c_out : desc->c_out;
    PROBLEM(out, aspp, desc, desc->precision == ADELE_PRECISION_BF16 ? 4e-3 : 1e-4);
    WORKSPACE(out, aspp);
    TENSOR(out, aspp, src, READ_F | READ_B, desc->n, desc->c_in, desc->h, desc->w);
    TENSOR(out, aspp, dst, WRITE_F, desc->n, c_dst, desc->h, desc->w);
    TENSOR(out, aspp, d_dst, READ_B, desc->n, c_dst, desc->h, desc->w);
    if (desc->needs_d_src)
        GRADIENT(out, aspp, d_src, desc->n, desc->c_in, desc->h, desc->w);
    for (int r = 0; r < desc->n_rates; r++) {
        int n_taps = desc->rates[r] == 0 ? 1 : 9;
        PLAIN(out, aspp, weights[r], FIELD_FLOATS, READ_F | READ_B,
              desc->c_out * desc->c_in * n_taps);
        PLAIN(out, aspp, d_weights[r], FIELD_FLOATS, READ_B | WRITE_B,
              desc->c_out * desc->c_in * n_taps);
        problem_range(out, 0.0, 0.0);
        if (!desc->has_bias)
            continue;
        PLAIN(out, aspp, biases[r], FIELD_FLOATS, READ_F, desc->c_out);
        PLAIN(out, aspp, d_biases[r], FIELD_FLOATS, READ_B | WRITE_B, desc->c_out);
        problem_range(out, 0.0, 0.0);
    }
}

// Dropping, as in training; each row has its own sample id.
void problem_dropout(const struct adele_dropout_desc *desc, struct problem *out) {
    PROBLEM(out, dropout, desc, 1e-6);
    out->args.dropout.is_active = true;
    out->args.dropout.epoch = 3;
    PLAIN(out, dropout, sample_ids, FIELD_INTS, BOTH, desc->n);
    problem_range(out, 3, 3 + desc->n - 1);
    TENSOR(out, dropout, src, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, dropout, dst, WRITE_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, dropout, d_dst, READ_B, desc->n, desc->c, desc->h, desc->w);
    GRADIENT(out, dropout, d_src, desc->n, desc->c, desc->h, desc->w);
}
