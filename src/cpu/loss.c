// SPDX-License-Identifier: MIT
// METHOD section 4 in one pass over the label's rows: each row's logits are resampled to label size
// in a thread's own buffers, and its gradient is resampled back along columns at once; resampling
// back along rows is a second pass, which gathers. Full-size logits are never stored, and because
// every sum runs over rows in their order, the number of threads changes no bit.
#include "base/fail.h"
#include "cpu/loss_op.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "device/op_check.h"
#include <math.h>
#include <omp.h>
#include <string.h>

static void release(struct cpu_op *base) {
    struct loss_op *op = (struct loss_op *)base;
    for (int k = 0; k < ADELE_MAX_SCALES; k++) {
        resample_axis_deinit(&op->rows[k]);
        resample_axis_deinit(&op->columns[k]);
    }
}

static void plan_workspace(struct loss_op *op) {
    const struct adele_loss_desc *desc = &op->desc;
    size_t rows = (size_t)desc->n * (size_t)desc->h;
    size_t end = 0;
    size_t scratch_floats = 0;
    op->at_sums = cpu_reserve(&end, rows * sizeof(struct loss_row_sums));
    op->at_mask = cpu_reserve(&end, (size_t)desc->n * sizeof(int));
    for (int k = 0; k < op->n_used; k++) {
        size_t needs = ((size_t)desc->w_scale[k] + (size_t)desc->w) * (size_t)op->block;
        scratch_floats = needs > scratch_floats ? needs : scratch_floats;
        struct adele_shape folded = {1, desc->c, desc->h, desc->w_scale[k]};
        if (!op->rows[k].is_identity)
            op->at_row_gradients[k] =
                cpu_reserve(&end, cpu_tensor_values(folded, op->block) * sizeof(float));
    }
    op->counts_bytes = ADELE_COUNT_SIZE * sizeof(int64_t);
    op->thread_bytes = sizeof(float) * loss_row_floats(desc->c, op->n_used, op->stride,
                                                       (scratch_floats + 15) / 16 * 16);
    op->thread_bytes = (op->thread_bytes + 63) / 64 * 64;
    op->at_counts = cpu_reserve(&end, (size_t)op->n_threads * op->counts_bytes);
    op->at_threads = cpu_reserve(&end, (size_t)op->n_threads * op->thread_bytes);
    op->base.op.workspace_bytes = end;
}

adele_status cpu_loss_create(const struct adele_device *device, const struct adele_loss_desc *desc,
                             struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_loss, sizeof(struct loss_op), out));
    struct loss_op *op = (struct loss_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->block = cpu_block(device);
    op->is_bf16 = cpu_is_bf16(device);
    op->stride = (desc->w + 15) / 16 * 16;
    op->n_threads = cpu_n_threads(device);
    op->n_used = desc->form == ADELE_LOSS_PLAIN ? 1 : desc->n_scales;
    for (int k = 0; k < op->n_used; k++) {
        op->shape[k] = (struct adele_shape){desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        TRY(resample_axis_init(&op->rows[k], desc->h_scale[k], desc->h));
        TRY(resample_axis_init(&op->columns[k], desc->w_scale[k], desc->w));
    }
    plan_workspace(op);
    return ADELE_OK;
}

static bool learns_weights(const struct loss_op *op) {
    return op->desc.learn_scale_weights && op->desc.form == ADELE_LOSS_PROGRAM;
}

static void mix_weights(const struct loss_op *op, const struct adele_loss_args *args, float *w) {
    double e[ADELE_MAX_SCALES], sum = 0.0, largest = -INFINITY;
    for (int k = 0; k < op->n_used && learns_weights(op); k++)
        largest = fmax(largest, (double)args->scale_weights[k]);
    for (int k = 0; k < op->n_used; k++) {
        e[k] = learns_weights(op) ? exp((double)args->scale_weights[k] - largest) : 1.0;
        sum += e[k];
    }
    for (int k = 0; k < op->n_used; k++)
        w[k] = (float)(e[k] / sum);
}

// What the means divide by. Whole numbers are counted, so that the order of pixels changes no bit.
static void find_means(const struct loss_op *op, const struct adele_loss_args *args,
                       struct loss_run *run) {
    size_t n = (size_t)op->desc.n * (size_t)op->desc.h * (size_t)op->desc.w;
    bool is_plain = op->desc.form == ADELE_LOSS_PLAIN;
    int64_t n_valid = 0, n_of_label[256] = {0};
    double weight = 0.0;
    run->n_mean = run->ce_mean = (double)n;
    if (!is_plain && args->class_weights == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        n_of_label[args->labels[i]]++;
    for (int c = 0; c < op->desc.c; c++) {
        n_valid += n_of_label[c];
        weight +=
            args->class_weights ? (double)args->class_weights[c] * (double)n_of_label[c] : 0.0;
    }
    if (is_plain)
        run->n_mean = run->ce_mean = n_valid > 0 ? (double)n_valid : 1.0;
    if (args->class_weights != NULL)
        run->ce_mean = weight > 0.0 ? run->n_mean * (weight / (double)n_valid) : 1.0;
}

// Sums of rows -> sums of the batch, the gradient of the raw scale weights, counts: one thread, in
// order.
static void reduce(const struct loss_run *run, int n_threads) {
    const struct loss_op *op = run->op;
    const struct adele_loss_args *args = run->args;
    const struct loss_row_sums *rows = loss_at(run, op->at_sums);
    const int *mask = loss_at(run, op->at_mask);
    struct loss_row_sums all = {0};
    size_t n_rows = (size_t)op->desc.n * (size_t)op->desc.h;
    for (size_t i = 0; i < n_rows; i++) {
        all.cross_entropy += rows[i].cross_entropy;
        all.consistency += rows[i].consistency;
        for (int k = 0; k < op->n_used; k++)
            all.d_w[k] += rows[i].d_w[k];
    }
    double mean_w = 0.0;
    for (int k = 0; k < op->n_used; k++)
        mean_w += (double)run->w[k] * all.d_w[k];
    if (run->needs_gradient && learns_weights(op) && args->d_scale_weights != NULL)
        for (int k = 0; k < op->n_used; k++)
            args->d_scale_weights[k] += (float)((double)run->w[k] * (all.d_w[k] - mean_w));
    double ce = all.cross_entropy / run->ce_mean;
    double kl = all.consistency / run->n_mean;
    if (op->desc.form == ADELE_LOSS_PAPER)
        kl /= (double)op->n_used;
    double total = (ce + op->desc.lambda * kl) / op->desc.divisor, n_masked = 0.0;
    for (int n = 0; n < op->desc.n; n++) {
        if (args->image_mask != NULL)
            args->image_mask[n] = (uint8_t)mask[n];
        n_masked += (double)mask[n];
    }
    if (args->is_finite != NULL && (args->n_batches <= 1 || !isfinite(total)))
        *args->is_finite = isfinite(total);
    if (args->sums != NULL && isfinite(total)) { // one step must not make the sums of the epoch NaN
        args->sums[ADELE_SUM_MASKED_IMAGES] += n_masked;
        args->sums[ADELE_SUM_TOTAL] += total;
        args->sums[ADELE_SUM_CROSS_ENTROPY] += ce;
        args->sums[ADELE_SUM_CONSISTENCY] += kl;
        args->sums[ADELE_SUM_STEPS] += 1.0;
    }
    for (int t = 0; t < n_threads && args->counts != NULL; t++) {
        const int64_t *counts = loss_at(run, op->at_counts + (size_t)t * op->counts_bytes);
        for (int i = 0; i < ADELE_COUNT_SIZE; i++)
            args->counts[i] += counts[i];
    }
}

adele_status cpu_loss_forward(struct adele_op *base, const struct adele_loss_args *args) {
    struct loss_op *op = (struct loss_op *)base;
    const struct adele_loss_desc *desc = &op->desc;
    struct loss_run run = {.op = op, .args = args, .workspace = args->workspace};
    TRY(op_check_loss_args(&op->desc, args, &run.needs_gradient));
    int n_threads = team_size(op->n_threads);
    mix_weights(op, args, run.w);
    find_means(op, args, &run);
    double n_batches = args->n_batches > 0 ? (double)args->n_batches : 1.0;
    run.ce_factor = (float)(1.0 / (run.ce_mean * desc->divisor) / n_batches);
    run.kl_factor = (float)(desc->lambda / (run.n_mean * desc->divisor) / n_batches /
                            (desc->form == ADELE_LOSS_PAPER ? (double)op->n_used : 1.0));
    memset(loss_at(&run, op->at_mask), 0, (size_t)desc->n * sizeof(int));
    memset(loss_at(&run, op->at_counts), 0, (size_t)n_threads * op->counts_bytes);
    for (int k = op->n_used; k < desc->n_scales; k++) {
        struct adele_shape shape = {desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        if (args->d_logits[k] != NULL) // the plain form does not use this scale
            memset(args->d_logits[k], 0,
                   cpu_tensor_values(shape, op->block) * value_bytes(op->is_bf16));
    }
    loss_process_batch(&run, n_threads);
    reduce(&run, n_threads);
    return ADELE_OK;
}
