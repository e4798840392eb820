// SPDX-License-Identifier: MIT
// Arguments of the other ops of a network's layers.
#include "bench.h"

#include <string.h>

#define BOTH (READ_F | READ_B)

void problem_batch_norm(const struct adele_batch_norm_desc *desc, struct problem *out) {
    int n = desc->n, c = desc->c, h = desc->h, w = desc->w;
    out->kind = ADELE_OP_batch_norm;
    out->desc.batch_norm = *desc;
    out->args.batch_norm.use_batch_statistics = true;
    out->tolerance = 2e-4;
    out->workspace_offset = offsetof(struct adele_batch_norm_args, workspace);
    TENSOR(out, batch_norm, src, BOTH, n, c, h, w);
    if (desc->has_residual)
        TENSOR(out, batch_norm, residual, READ_F, n, c, h, w);
    PLAIN(out, batch_norm, scale, FIELD_FLOATS, BOTH, c);
    problem_range(out, 0.5, 1.5);
    PLAIN(out, batch_norm, shift, FIELD_FLOATS, BOTH, c);
    PLAIN(out, batch_norm, running_mean, FIELD_FLOATS, READ_F | WRITE_F, c);
    PLAIN(out, batch_norm, running_variance, FIELD_FLOATS, READ_F | WRITE_F, c);
    problem_range(out, 0.5, 1.5);
    PLAIN(out, batch_norm, saved_mean, FIELD_FLOATS, WRITE_F | READ_B, c);
    problem_range(out, 0.0, 0.0);
    PLAIN(out, batch_norm, saved_inv_std, FIELD_FLOATS, WRITE_F | READ_B, c);
    problem_range(out, 0.0, 0.0);
    TENSOR(out, batch_norm, dst, WRITE_F | READ_B, n, c, h, w);
    problem_range(out, 0.0, 0.0);
    TENSOR(out, batch_norm, d_dst, READ_B, n, c, h, w);
    TENSOR(out, batch_norm, d_src, WRITE_B, n, c, h, w);
    if (desc->has_residual)
        TENSOR(out, batch_norm, d_residual, WRITE_B, n, c, h, w);
    PLAIN(out, batch_norm, d_scale, FIELD_FLOATS, READ_B | WRITE_B, c);
    problem_range(out, 0.0, 0.0);
    PLAIN(out, batch_norm, d_shift, FIELD_FLOATS, READ_B | WRITE_B, c);
    problem_range(out, 0.0, 0.0);
}

void problem_max_pool(const struct adele_max_pool_desc *desc, struct problem *out) {
    int h = (desc->h_in + 2 * desc->pad - desc->kernel) / desc->stride + 1;
    int w = (desc->w_in + 2 * desc->pad - desc->kernel) / desc->stride + 1;
    out->kind = ADELE_OP_max_pool;
    out->desc.max_pool = *desc;
    out->workspace_offset = offsetof(struct adele_max_pool_args, workspace);
    out->tolerance = 1e-6;
    TENSOR(out, max_pool, src, BOTH, desc->n, desc->c, desc->h_in, desc->w_in);
    TENSOR(out, max_pool, dst, WRITE_F | READ_B, desc->n, desc->c, h, w);
    problem_range(out, 0.0, 0.0);
    TENSOR(out, max_pool, d_dst, READ_B, desc->n, desc->c, h, w);
    TENSOR(out, max_pool, d_src, WRITE_B, desc->n, desc->c, desc->h_in, desc->w_in);
}

void problem_rescale(const struct adele_rescale_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_rescale;
    out->desc.rescale = *desc;
    out->workspace_offset = offsetof(struct adele_rescale_args, workspace);
    out->tolerance = 1e-5;
    TENSOR(out, rescale, src, READ_F, desc->n, desc->c, desc->h_in, desc->w_in);
    TENSOR(out, rescale, dst, WRITE_F, desc->n, desc->c, desc->h_dst, desc->w_dst);
    TENSOR(out, rescale, d_dst, READ_B, desc->n, desc->c, desc->h_dst, desc->w_dst);
    TENSOR(out, rescale, d_src, WRITE_B, desc->n, desc->c, desc->h_in, desc->w_in);
}

void problem_concat(const struct adele_concat_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_concat;
    out->desc.concat = *desc;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    TENSOR(out, concat, src0, READ_F, desc->n, desc->c0, desc->h, desc->w);
    TENSOR(out, concat, src1, READ_F, desc->n, desc->c1, desc->h, desc->w);
    TENSOR(out, concat, dst, WRITE_F, desc->n, desc->c0 + desc->c1, desc->h, desc->w);
    TENSOR(out, concat, d_dst, READ_B, desc->n, desc->c0 + desc->c1, desc->h, desc->w);
    TENSOR(out, concat, d_src0, WRITE_B, desc->n, desc->c0, desc->h, desc->w);
    TENSOR(out, concat, d_src1, WRITE_B, desc->n, desc->c1, desc->h, desc->w);
}

void problem_add(const struct adele_add_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_add;
    out->desc.add = *desc;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    TENSOR(out, add, src0, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, src1, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, dst, WRITE_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, d_dst, READ_B, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, d_src0, WRITE_B, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, add, d_src1, WRITE_B, desc->n, desc->c, desc->h, desc->w);
}

void problem_global_pool(const struct adele_global_pool_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_global_pool;
    out->desc.global_pool = *desc;
    out->workspace_offset = offsetof(struct adele_global_pool_args, workspace);
    out->tolerance = 1e-4;
    TENSOR(out, global_pool, src, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, global_pool, dst, WRITE_F, desc->n, desc->c, 1, 1);
    TENSOR(out, global_pool, d_dst, READ_B, desc->n, desc->c, 1, 1);
    TENSOR(out, global_pool, d_src, WRITE_B, desc->n, desc->c, desc->h, desc->w);
}

// Dropping, as in training; each row has its own sample id.
void problem_dropout(const struct adele_dropout_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_dropout;
    out->desc.dropout = *desc;
    out->args.dropout.is_active = true;
    out->args.dropout.epoch = 3;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    PLAIN(out, dropout, sample_ids, FIELD_INTS, BOTH, desc->n);
    problem_range(out, 3, 3 + desc->n - 1);
    TENSOR(out, dropout, src, READ_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, dropout, dst, WRITE_F, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, dropout, d_dst, READ_B, desc->n, desc->c, desc->h, desc->w);
    TENSOR(out, dropout, d_src, WRITE_B, desc->n, desc->c, desc->h, desc->w);
}
