// SPDX-License-Identifier: MIT
// The soft Dice loss in two passes over the label's rows: the sums of each category, then the
// gradient, for which the probabilities are computed again. Sums run over rows in their order
// within a chunk and over chunks in theirs, so that the number of threads changes no bit.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/resample.h"
#include "cpu/softmax.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "device/op_check.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#define MAX_CHUNKS 64 // of an image; more than threads, and a fixed number, whatever their number

struct dice_op {
    struct cpu_op base;
    struct adele_dice_desc desc;
    int block, stride, n_threads, n_chunks;
    bool is_bf16;             // of logits and d_logits
    struct adele_shape shape; // of the logits
    struct resample_axis rows, columns;
    size_t at_sums, at_factors, at_folded, at_threads, thread_bytes; // in the workspace
};

// Of one category: over the pixels with a label.
struct dice_sums {
    double both, predicted, labelled; // sum p [label = c], sum p, sum [label = c]
};

// d loss / d p_c = base - hit [label = c].
struct dice_factors {
    float base, hit;
};

// One call, and the buffers of one thread.
struct dice_run {
    const struct dice_op *op;
    const struct adele_dice_args *args;
    float *p;                         // (C, stride): probabilities, then their gradients
    float *maximum, *log_sum, *inner; // (stride)
    float *scratch;
};

static void release(struct cpu_op *base) {
    resample_axis_deinit(&((struct dice_op *)base)->rows);
    resample_axis_deinit(&((struct dice_op *)base)->columns);
}

adele_status cpu_dice_create(const struct adele_device *device, const struct adele_dice_desc *desc,
                             struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_dice, sizeof(struct dice_op), out));
    struct dice_op *op = (struct dice_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->block = cpu_block(device);
    op->is_bf16 = cpu_is_bf16(device);
    op->stride = (desc->w + 15) / 16 * 16;
    op->n_threads = cpu_n_threads(device);
    op->n_chunks = desc->h < MAX_CHUNKS ? desc->h : MAX_CHUNKS;
    op->shape = (struct adele_shape){desc->n, desc->c, desc->h_logits, desc->w_logits};
    TRY(resample_axis_init(&op->rows, desc->h_logits, desc->h));
    TRY(resample_axis_init(&op->columns, desc->w_logits, desc->w));
    struct adele_shape folded = {1, desc->c, desc->h, desc->w_logits};
    size_t n = (size_t)desc->n, c = (size_t)desc->c, stride = (size_t)op->stride, end = 0;
    size_t scratch = ((size_t)desc->w_logits + (size_t)desc->w) * (size_t)op->block;
    op->at_sums = cpu_reserve(&end, n * (size_t)op->n_chunks * c * sizeof(struct dice_sums));
    op->at_factors = cpu_reserve(&end, n * c * sizeof(struct dice_factors));
    op->at_folded = cpu_reserve(&end, cpu_tensor_values(folded, op->block) * sizeof(float));
    op->thread_bytes = ((c + 3) * stride + scratch) * sizeof(float);
    op->thread_bytes = (op->thread_bytes + 63) / 64 * 64;
    op->at_threads = cpu_reserve(&end, (size_t)op->n_threads * op->thread_bytes);
    op->base.op.workspace_bytes = end;
    return ADELE_OK;
}

static void *at(const struct dice_run *run, size_t offset) {
    return (char *)run->args->workspace + offset;
}

static void bind_thread(struct dice_run *run) {
    const struct dice_op *op = run->op;
    size_t stride = (size_t)op->stride;
    run->p = at(run, op->at_threads + (size_t)omp_get_thread_num() * op->thread_bytes);
    run->maximum = run->p + (size_t)op->desc.c * stride;
    run->log_sum = run->maximum + stride;
    run->inner = run->log_sum + stride;
    run->scratch = run->inner + stride;
}

static const uint8_t *label_row(const struct dice_run *run, int n, int y) {
    const struct adele_dice_desc *desc = &run->op->desc;
    return run->args->labels + ((size_t)n * (size_t)desc->h + (size_t)y) * (size_t)desc->w;
}

static void load_row(const struct dice_run *run, int n, int y) {
    const struct dice_op *op = run->op;
    struct resample_tensor logits = {run->args->logits, op->is_bf16, op->shape, op->block};
    resample_row_forward(&logits, n, &op->rows, &op->columns, y, run->scratch, run->p, op->stride);
    softmax_row(run->p, op->desc.c, op->desc.w, op->stride, 1.0f, run->p, run->maximum,
                run->log_sum);
}

// The sums of the rows of one chunk of image n.
static void sum_chunk(const struct dice_run *run, int n, int i_chunk) {
    const struct dice_op *op = run->op;
    const struct adele_dice_desc *desc = &op->desc;
    int first = (int)((int64_t)desc->h * i_chunk / op->n_chunks);
    int end = (int)((int64_t)desc->h * (i_chunk + 1) / op->n_chunks);
    struct dice_sums *sums = at(run, op->at_sums);
    sums += ((size_t)n * (size_t)op->n_chunks + (size_t)i_chunk) * (size_t)desc->c;
    memset(sums, 0, (size_t)desc->c * sizeof *sums);
    for (int y = first; y < end; y++) {
        const uint8_t *label = label_row(run, n, y);
        load_row(run, n, y);
        for (int c = 1; c < desc->c; c++) {
            const float *p = run->p + (size_t)c * (size_t)op->stride;
            for (int x = 0; x < desc->w; x++) {
                sums[c].both += label[x] == c ? (double)p[x] : 0.0;
                sums[c].predicted += label[x] < desc->c ? (double)p[x] : 0.0;
                sums[c].labelled += label[x] == c ? 1.0 : 0.0;
            }
        }
    }
}

// Sums of the images first <= n < end -> their loss, and the factors of their gradients. One
// thread. `scale`: of the gradient, for each category.
static double finish_group(const struct dice_run *run, int first, int end, double scale) {
    const struct dice_op *op = run->op;
    size_t n_categories = (size_t)op->desc.c;
    const struct dice_sums *sums = at(run, op->at_sums);
    struct dice_factors *factors = at(run, op->at_factors);
    double loss = 0.0;
    for (size_t c = 1; c < n_categories; c++) {
        struct dice_sums all = {0.0, 0.0, 0.0};
        for (size_t i = (size_t)first * (size_t)op->n_chunks;
             i < (size_t)end * (size_t)op->n_chunks; i++) {
            all.both += sums[i * n_categories + c].both;
            all.predicted += sums[i * n_categories + c].predicted;
            all.labelled += sums[i * n_categories + c].labelled;
        }
        double size = all.predicted + all.labelled + ADELE_DICE_SMOOTH;
        double dice = (2.0 * all.both + ADELE_DICE_SMOOTH) / size;
        loss += 1.0 - dice;
        for (size_t n = (size_t)first; n < (size_t)end; n++)
            factors[n * n_categories + c] = (struct dice_factors){
                .base = (float)(scale * dice / size), .hit = (float)(scale * 2.0 / size)};
    }
    return loss;
}

// The gradient of row y with respect to the logits, along columns to their width.
static void fold_row(const struct dice_run *run, int n, int y) {
    const struct dice_op *op = run->op;
    const struct adele_dice_desc *desc = &op->desc;
    const struct dice_factors *factors = at(run, op->at_factors);
    const uint8_t *label = label_row(run, n, y);
    size_t row_floats = (size_t)desc->w_logits * (size_t)op->block;
    factors += (size_t)n * (size_t)desc->c;
    load_row(run, n, y);
    memset(run->inner, 0, (size_t)desc->w * sizeof *run->inner);
    for (int c = 1; c < desc->c; c++) {
        const float *p = run->p + (size_t)c * (size_t)op->stride;
        for (int x = 0; x < desc->w; x++)
            run->inner[x] += p[x] * (factors[c].base - (label[x] == c ? factors[c].hit : 0.0f));
    }
    for (int c = 0; c < desc->c; c++) {
        float *p = run->p + (size_t)c * (size_t)op->stride;
        float base = c > 0 ? factors[c].base : 0.0f, hit = c > 0 ? factors[c].hit : 0.0f;
        for (int x = 0; x < desc->w; x++) {
            float slope = base - (label[x] == c ? hit : 0.0f) - run->inner[x];
            p[x] = label[x] < desc->c ? p[x] * slope : 0.0f;
        }
    }
    for (int c = 0; c < desc->c; c += op->block) {
        float *folded = at(run, op->at_folded);
        int n_lanes = desc->c - c < op->block ? desc->c - c : op->block;
        resample_columns_backward(
            run->p + (size_t)c * (size_t)op->stride, op->stride, n_lanes, op->block, &op->columns,
            run->scratch,
            folded + ((size_t)(c / op->block) * (size_t)desc->h + (size_t)y) * row_floats, false);
    }
}

// Adds row y of the logits' gradient, gathered along rows.
static void add_row(const struct dice_run *run, int n, int y) {
    const struct dice_op *op = run->op;
    size_t row_floats = (size_t)op->desc.w_logits * (size_t)op->block;
    const float *folded = at(run, op->at_folded);
    for (int c = 0; c < op->desc.c; c += op->block) {
        size_t to = cpu_tensor_index(op->shape, op->block, n, c, y, 0);
        resample_rows_backward(folded + (size_t)(c / op->block) * (size_t)op->desc.h * row_floats,
                               row_floats, &op->rows, y, run->scratch);
        for (size_t i = 0; i < row_floats; i++)
            value_store(run->args->d_logits, to + i,
                        value_at(run->args->d_logits, to + i, op->is_bf16) + run->scratch[i],
                        op->is_bf16);
    }
}

static void sum_batch(const struct dice_run *call, int n_threads) {
    const struct dice_op *op = call->op;
#pragma omp parallel num_threads(n_threads)
    {
        struct dice_run run = *call;
        bind_thread(&run);
#pragma omp for schedule(static)
        for (int i = 0; i < op->desc.n * op->n_chunks; i++)
            sum_chunk(&run, i / op->n_chunks, i % op->n_chunks);
    }
}

static void add_gradients(const struct dice_run *call, int n_threads) {
    const struct dice_op *op = call->op;
#pragma omp parallel num_threads(n_threads)
    {
        struct dice_run run = *call;
        bind_thread(&run);
        for (int n = 0; n < op->desc.n; n++) {
#pragma omp for schedule(static)
            for (int y = 0; y < op->desc.h; y++)
                fold_row(&run, n, y);
#pragma omp for schedule(static)
            for (int y = 0; y < op->desc.h_logits; y++)
                add_row(&run, n, y);
        }
    }
}

adele_status cpu_dice_forward(struct adele_op *base, const struct adele_dice_args *args) {
    const struct dice_op *op = (const struct dice_op *)base;
    const struct adele_dice_desc *desc = &op->desc;
    const struct dice_run run = {.op = op, .args = args};
    TRY(op_check_dice_args(args));
    int n_threads = team_size(op->n_threads), n_groups = desc->per_image ? desc->n : 1;
    double share = desc->weight / ((double)n_groups * (double)(desc->c - 1)), loss = 0.0;
    sum_batch(&run, n_threads);
    for (int i = 0; i < n_groups; i++)
        loss += finish_group(&run, desc->per_image ? i : 0, desc->per_image ? i + 1 : desc->n,
                             share / (args->n_batches > 0 ? (double)args->n_batches : 1.0));
    loss *= share;
    if (args->is_finite != NULL && !isfinite(loss))
        *args->is_finite = 0;
    if (args->sums != NULL && isfinite(loss))
        args->sums[ADELE_SUM_TOTAL] += loss;
    if (args->d_logits != NULL)
        add_gradients(&run, n_threads);
    return ADELE_OK;
}
