// SPDX-License-Identifier: MIT
#include "cpu/loss_op.h"

#include "cpu/elementwise.h"
#include "cpu/softmax.h"
#include "cpu/values.h"
#include <math.h>
#include <omp.h>
#include <string.h>

static size_t pixel_index(const struct loss_op *op, int n, int y) {
    return ((size_t)n * (size_t)op->desc.h + (size_t)y) * (size_t)op->desc.w;
}

// Logits, probabilities and mixture of row y of image n.
static void load_row(const struct loss_run *run, struct loss_row *row, int n, int y) {
    const struct loss_op *op = run->op;
    loss_row_set_labels(row, run->args->labels + pixel_index(op, n, y));
    for (int k = 0; k < op->n_used; k++) {
        struct resample_tensor logits = {run->args->logits[k], op->is_bf16, op->shape[k],
                                         op->block};
        resample_row_forward(&logits, n, &op->rows[k], &op->columns[k], y, row->scratch, row->z[k],
                             op->stride);
    }
    loss_row_mix(row);
}

static void count_pair(int64_t *table, int prediction, int label) {
    if (label == ADELE_IGNORE)
        return;
    table[0 * 256 + label] += prediction == label;
    table[1 * 256 + prediction]++;
    table[2 * 256 + label]++;
}

static void count_row(const struct loss_run *run, const uint8_t *prediction, size_t at,
                      int64_t *counts) {
    const struct adele_loss_args *args = run->args;
    const size_t table = (size_t)ADELE_COUNT_KINDS * 256;
    for (int x = 0; x < run->op->desc.w; x++) {
        size_t i = at + (size_t)x;
        int p = prediction[x];
        count_pair(counts + ADELE_COUNT_PREDICTION_CURRENT * table, p, args->labels[i]);
        if (args->noisy != NULL)
            count_pair(counts + ADELE_COUNT_PREDICTION_NOISY * table, p, args->noisy[i]);
        if (args->truth == NULL)
            continue;
        count_pair(counts + ADELE_COUNT_PREDICTION_TRUE * table, p, args->truth[i]);
        if (args->noisy == NULL || args->noisy[i] == args->truth[i])
            continue;
        count_pair(counts + ADELE_COUNT_EARLY_LEARNING * table, p, args->truth[i]);
        count_pair(counts + ADELE_COUNT_MEMORIZATION * table, p, args->noisy[i]);
    }
}

// The outputs beside the gradient: prediction, confidences, counts, mixture.
static void write_outputs(const struct loss_run *run, const struct loss_row *row, int n, int y,
                          int64_t *counts) {
    const struct loss_op *op = run->op;
    const struct adele_loss_args *args = run->args;
    size_t n_bytes = (size_t)op->desc.w * sizeof(float);
    argmax_row(row->z[0], op->desc.c, op->desc.w, op->stride, row->inner, row->prediction);
    if (args->counts != NULL)
        count_row(run, row->prediction, pixel_index(op, n, y), counts);
    int i_image = args->sample_ids != NULL ? args->sample_ids[n] : n;
    if (i_image >= 0) {
        size_t at = pixel_index(op, i_image, y);
        if (args->prediction != NULL)
            memcpy(args->prediction + at, row->prediction, (size_t)op->desc.w);
        if (args->confidence_foreground != NULL)
            foreground_row(row->p[0], op->desc.c, op->desc.w, op->stride,
                           args->confidence_foreground + at);
        if (args->confidence_background != NULL)
            memcpy(args->confidence_background + at, row->p[0], n_bytes);
    }
    for (int c = 0; c < op->desc.c && args->mixture != NULL; c++) {
        const float *q = row->q + (size_t)c * (size_t)op->stride;
        float *mixture =
            args->mixture +
            (((size_t)n * (size_t)op->desc.c + (size_t)c) * (size_t)op->desc.h + (size_t)y) *
                (size_t)op->desc.w;
        for (int x = 0; x < op->desc.w; x++)
            mixture[x] = fminf(fmaxf(q[x], LOSS_Q_MIN), LOSS_Q_MAX);
    }
}

static float *row_gradients(const struct loss_run *run, int k, int i_block) {
    const struct loss_op *op = run->op;
    size_t row_floats = (size_t)op->desc.w_scale[k] * (size_t)op->block;
    float *all = loss_at(run, op->at_row_gradients[k]);
    return all + (size_t)i_block * (size_t)op->desc.h * row_floats;
}

// Resamples d_z of row y back along columns: into d_logits where the heights agree, otherwise into
// the workspace, for resample_rows.
static void store_gradient(const struct loss_run *run, struct loss_row *row, int k, int n, int y) {
    const struct loss_op *op = run->op;
    int block = op->block;
    bool is_direct = op->rows[k].is_identity, is_bf16 = is_direct && op->is_bf16;
    for (int c = 0; c < op->desc.c; c += block) {
        void *to = row_gradients(run, k, c / block) +
                   (size_t)y * (size_t)op->desc.w_scale[k] * (size_t)block;
        if (is_direct)
            to = value_address(run->args->d_logits[k],
                               cpu_tensor_index(op->shape[k], block, n, c, y, 0), is_bf16);
        int n_lanes = op->desc.c - c < block ? op->desc.c - c : block;
        resample_columns_backward(row->d_z + (size_t)c * (size_t)op->stride, op->stride, n_lanes,
                                  block, &op->columns[k], row->scratch, to, is_bf16);
    }
}

// The loss and the gradients of row y, which load_row has loaded.
static void process_row(const struct loss_run *run, struct loss_row *row, int n, int y,
                        bool is_masked, struct loss_row_sums *sums) {
    const struct loss_op *op = run->op;
    memset(sums, 0, sizeof *sums);
    if (is_masked)
        loss_row_consistency(row, sums);
    for (int k = 0; k < op->n_used; k++) {
        if (op->desc.form == ADELE_LOSS_PROGRAM)
            loss_row_cross_entropy(row, k, row->w[k], run->ce_factor, run->needs_gradient, sums);
        else if (k == 0)
            loss_row_cross_entropy(row, k, 1.0f, run->ce_factor, run->needs_gradient, sums);
        else
            memset(row->d_z, 0, (size_t)op->desc.c * (size_t)op->stride * sizeof *row->d_z);
        if (!run->needs_gradient)
            continue;
        if (is_masked)
            loss_row_consistency_gradient(row, k, run->kl_factor, sums);
        store_gradient(run, row, k, n, y);
    }
}

// Row y of a block of d_logits, gathered along rows from the workspace.
static void resample_row(const struct loss_run *run, const struct loss_row *row, int k, int n,
                         int c, int y) {
    const struct loss_op *op = run->op;
    size_t row_floats = (size_t)op->desc.w_scale[k] * (size_t)op->block;
    void *to = value_address(run->args->d_logits[k],
                             cpu_tensor_index(op->shape[k], op->block, n, c, y, 0), op->is_bf16);
    float *sums = op->is_bf16 ? row->scratch : to;
    resample_rows_backward(row_gradients(run, k, c / op->block), row_floats, &op->rows[k], y, sums);
    if (op->is_bf16)
        elementwise_narrow(to, sums, row_floats);
}

// Resamples the gradients back along rows; called by all threads of the team.
static void resample_rows(const struct loss_run *run, const struct loss_row *row, int n) {
    const struct loss_op *op = run->op;
    for (int k = 0; k < op->n_used; k++) {
        if (op->rows[k].is_identity)
            continue;
#pragma omp for schedule(static) nowait
        for (int y = 0; y < op->desc.h_scale[k]; y++)
            for (int c = 0; c < op->desc.c; c += op->block)
                resample_row(run, row, k, n, c, y);
    }
#pragma omp barrier
}

// One image, by all threads of the team: first whether a confident pixel sets its mask (the search
// stops at the first one), then every row.
static void process_image(const struct loss_run *run, struct loss_row *row, int64_t *counts,
                          int n) {
    const struct loss_op *op = run->op;
    int *mask = loss_at(run, op->at_mask);
    struct loss_row_sums *sums = loss_at(run, op->at_sums);
    mask += n;
    sums += (size_t)n * (size_t)op->desc.h;
    if (op->desc.form != ADELE_LOSS_PLAIN) {
#pragma omp for schedule(static)
        for (int y = 0; y < op->desc.h; y++) {
            int is_found = 0;
#pragma omp atomic read
            is_found = *mask;
            if (is_found)
                continue;
            load_row(run, row, n, y);
            if ((double)loss_row_largest(row) >= op->desc.rho) {
#pragma omp atomic write
                *mask = 1;
            }
        }
    }
#pragma omp for schedule(static)
    for (int y = 0; y < op->desc.h; y++) {
        load_row(run, row, n, y);
        write_outputs(run, row, n, y, counts);
        process_row(run, row, n, y, *mask != 0, sums + y);
    }
    if (run->needs_gradient)
        resample_rows(run, row, n);
}

void loss_process_batch(const struct loss_run *run, int n_threads) {
    const struct loss_op *op = run->op;
#pragma omp parallel num_threads(n_threads)
    {
        struct loss_row row;
        size_t i_thread = (size_t)omp_get_thread_num();
        loss_row_init(&row, loss_at(run, op->at_threads + i_thread * op->thread_bytes), op->desc.c,
                      op->n_used, op->desc.w, op->stride);
        row.w = run->w;
        row.class_weights = run->args->class_weights;
        int64_t *counts = loss_at(run, op->at_counts + i_thread * op->counts_bytes);
        for (int n = 0; n < op->desc.n; n++)
            process_image(run, &row, counts, n);
    }
}
