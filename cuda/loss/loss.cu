// SPDX-License-Identifier: MIT
// METHOD section 4 in one op: logits of every scale (tensors (N, C, h_scale, w_scale)) -> bilinear,
// align-corners, to label size -> softmax -> cross-entropy and consistency.
//
//     CE = sum_k CE(w_k z_k, label),  q = clamp(sum_k w_k p_k)
//     KL = m_n sum_k sum_c p_k log(p_k / q)
//
// d_scale_weights, sums and counts are added to (+=); d_logits and the rest are overwritten.
//
// A forward call is: prepare (weights of the scales, zeros), the count of labelled pixels where the
// mean needs it, and of those of each label where there are class weights, an engine (loss_plain.cu
// or loss_fused.cu: masks of images, gradients, partial sums of blocks), finish (the last sums). No
// floating-point atomics; blocks and orders depend on the shapes alone. Everything is computed in
// log space.
#include "loss/loss_parts.cuh"

#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define FINISH_THREADS 512 // one block sums the partials of all; more threads, fewer rounds
#define COUNT_BLOCKS   512

struct loss_op {
    struct cuda_op base;
    struct adele_loss_desc desc;
    bool is_fused;
    struct loss_task task; // without arguments and workspace
    size_t at_state, at_masks, at_partials, at_scale[ADELE_MAX_SCALES]; // in the workspace
};

// ---- kernels ------------------------------------------------------------------------------------

// One block. Scale weights and zeros.
static __global__ void loss_prepare(struct loss_task task) {
    for (int n = threadIdx.x; n < task.n; n += LOSS_THREADS)
        task.masks[n] = 0;
    for (int i = threadIdx.x; i < 256; i += LOSS_THREADS)
        task.state->n_of_label[i] = 0;
    if (threadIdx.x != 0)
        return;
    task.state->n_valid = 0;
    double e[ADELE_MAX_SCALES], sum = 0.0, largest = 0.0;
    for (int k = 0; k < task.n_scales && task.learns_weights; k++)
        if (k == 0 || (double)task.args.scale_weights[k] > largest)
            largest = (double)task.args.scale_weights[k];
    for (int k = 0; k < task.n_scales; k++) {
        e[k] = task.learns_weights ? exp((double)task.args.scale_weights[k] - largest) : 1.0;
        sum += e[k];
    }
    for (int k = 0; k < task.n_scales; k++)
        task.state->w[k] = (float)(e[k] / sum);
}

// A thread counts labelled pixels in strides of the grid, a block adds its number: integers, so the
// order does not matter.
static __global__ void loss_count_valid(struct loss_task task) {
    SHARED(int, of_block, [1]);
    if (threadIdx.x == 0)
        of_block[0] = 0;
    __syncthreads();
    int64_t n_pixels = (int64_t)task.n * task.h * task.w;
    int n_valid = 0;
    for (int64_t i = (int64_t)blockIdx.x * LOSS_THREADS + threadIdx.x; i < n_pixels;
         i += (int64_t)gridDim.x * LOSS_THREADS)
        n_valid += task.args.labels[i] < task.c;
    atomicAdd(&of_block[0], n_valid);
    __syncthreads();
    if (threadIdx.x == 0)
        atomicAdd(&task.state->n_valid, (unsigned long long)of_block[0]);
}

// The same for the pixels of each label.
static __global__ void loss_count_labels(struct loss_task task) {
    SHARED(int, of_block, [256]);
    for (int i = threadIdx.x; i < 256; i += LOSS_THREADS)
        of_block[i] = 0;
    __syncthreads();
    int64_t n_pixels = (int64_t)task.n * task.h * task.w;
    for (int64_t i = (int64_t)blockIdx.x * LOSS_THREADS + threadIdx.x; i < n_pixels;
         i += (int64_t)gridDim.x * LOSS_THREADS)
        atomicAdd(&of_block[task.args.labels[i]], 1);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += LOSS_THREADS)
        if (of_block[i] != 0)
            atomicAdd(&task.state->n_of_label[i], (unsigned long long)of_block[i]);
}

// One thread: the mean weight of the labelled pixels, for each pixel that the mean counts.
static __global__ void loss_weigh(struct loss_task task) {
    double weight = 0.0, n_valid = 0.0;
    for (int c = 0; c < task.c; c++) {
        double n = (double)task.state->n_of_label[c];
        n_valid += n;
        weight += (double)task.args.class_weights[c] * n;
    }
    task.state->ce_mean = weight > 0.0 ? loss_n_mean(task) * (weight / n_valid) : 1.0;
}

// A scale that the plain form leaves out has no gradient. A thread writes 16 bytes in strides.
static __global__ void loss_clear(uint4 *to, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * LOSS_THREADS + threadIdx.x; i < count;
         i += (int64_t)gridDim.x * LOSS_THREADS)
        to[i] = make_uint4(0, 0, 0, 0);
}

// d raw_k = w_k (d w_k - sum_j w_j d w_j). One thread.
static __device__ void store_weight_gradient(const struct loss_task &task, const double *d_w) {
    double mean = 0.0;
    for (int k = 0; k < task.n_scales; k++)
        mean += (double)task.state->w[k] * d_w[k];
    for (int k = 0; k < task.n_scales; k++)
        task.args.d_scale_weights[k] += (float)((double)task.state->w[k] * (d_w[k] - mean));
}

// One thread.
static __device__ void store_sums(const struct loss_task &task, const double *partials) {
    double ce = partials[LOSS_PARTIAL_CROSS_ENTROPY] / loss_ce_mean(task);
    double kl = partials[LOSS_PARTIAL_CONSISTENCY] / loss_n_mean(task);
    if (task.form == ADELE_LOSS_PAPER)
        kl /= (double)task.n_scales;
    int n_masked = 0;
    for (int n = 0; n < task.n; n++)
        n_masked += task.masks[n];
    double *sums = task.args.sums, total = (ce + task.lambda * kl) / task.divisor;
    if (task.args.is_finite != NULL && (task.args.n_batches <= 1 || !isfinite(total)))
        *task.args.is_finite = isfinite(total) ? 1 : 0;
    if (sums == NULL || !isfinite(total))
        return; // one bad step must not hide the others in the sums
    sums[ADELE_SUM_TOTAL] += total;
    sums[ADELE_SUM_CROSS_ENTROPY] += ce;
    sums[ADELE_SUM_CONSISTENCY] += kl;
    sums[ADELE_SUM_MASKED_IMAGES] += (double)n_masked;
    sums[ADELE_SUM_STEPS] += 1.0;
}

// One block. A thread sums every FINISH_THREADS-th partial, then the halves of the threads are
// added to each other until one is left.
static __global__ void loss_finish(struct loss_task task) {
    SHARED(double, of_threads, [FINISH_THREADS]);
    SHARED(double, sums, [LOSS_PARTIALS]);
    const int tid = threadIdx.x;
    for (int i = 0; i < LOSS_PARTIAL_D_W + task.n_scales; i++) {
        const double *partials = task.partials + (int64_t)i * task.n_blocks;
        double sum = 0.0;
        for (int b = tid; b < task.n_blocks; b += FINISH_THREADS)
            sum += partials[b];
        of_threads[tid] = sum;
        for (int half = FINISH_THREADS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (tid < half)
                of_threads[tid] += of_threads[tid + half];
        }
        if (tid == 0)
            sums[i] = of_threads[0];
        __syncthreads();
    }
    if (task.args.image_mask != NULL)
        for (int n = tid; n < task.n; n += FINISH_THREADS)
            task.args.image_mask[n] = (uint8_t)task.masks[n];
    if (tid == 0 && (task.args.sums != NULL || task.args.is_finite != NULL))
        store_sums(task, sums);
    if (tid == 0 && task.needs_gradient && task.learns_weights && task.args.d_scale_weights != NULL)
        store_weight_gradient(task, sums + LOSS_PARTIAL_D_W);
}

// ---- creation -----------------------------------------------------------------------------------

static void plan_task(struct loss_op *op) {
    const struct adele_loss_desc *desc = &op->desc;
    struct loss_task *task = &op->task;
    task->n = desc->n, task->h = desc->h, task->w = desc->w;
    task->c = desc->c, task->p = padded_channels(desc->c);
    task->form = desc->form;
    task->is_bf16 = context_of(op->base.op.device)->storage == ADELE_PRECISION_BF16;
    task->n_scales = desc->form == ADELE_LOSS_PLAIN ? 1 : desc->n_scales;
    task->learns_weights = desc->learn_scale_weights && desc->form == ADELE_LOSS_PROGRAM;
    task->lambda = desc->lambda, task->rho = desc->rho, task->divisor = desc->divisor;
}

static adele_status make_tables(struct loss_op *op) {
    const struct adele_loss_desc *desc = &op->desc;
    struct loss_task *task = &op->task;
    for (int k = 0; k < task->n_scales; k++) {
        TRY(resample_axis_create(&op->base, desc->h_scale[k], task->h, &task->rows[k]));
        TRY(resample_axis_create(&op->base, desc->w_scale[k], task->w, &task->columns[k]));
    }
    return ADELE_OK;
}

static adele_status plan_workspace(struct loss_op *op) {
    struct loss_task *task = &op->task;
    int64_t n_blocks = op->is_fused ? loss_fused_blocks(*task) : loss_plain_blocks(*task);
    if (n_blocks > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use smaller batches.",
                    "loss: %d x %d x %d pixels are more than one launch takes", task->n, task->h,
                    task->w);
    task->n_blocks = (int)n_blocks;
    size_t end = 0;
    op->at_state = workspace_place(&end, sizeof(struct loss_state));
    op->at_masks = workspace_place(&end, (size_t)task->n * sizeof(int));
    op->at_partials = workspace_place(&end, (size_t)n_blocks * LOSS_PARTIALS * sizeof(double));
    for (int k = 0; k < task->n_scales; k++) {
        int64_t floats = op->is_fused ? loss_fused_floats(*task, k) : loss_plain_floats(*task, k);
        op->at_scale[k] = workspace_place(&end, (size_t)floats * sizeof(float));
    }
    op->base.op.workspace_bytes = end;
    return ADELE_OK;
}

adele_status cuda_loss_create(const struct adele_device *device, const struct adele_loss_desc *desc,
                              struct adele_op **out) {
    struct loss_op *op = NULL;
    TRY(op_create(device, ADELE_OP_loss, &op, out));
    op->desc = *desc;
    plan_task(op);
    TRY(make_tables(op));
    op->is_fused = loss_fused_plan(&op->task) && !wants_plain(device, ADELE_FAMILY_loss_fused);
    if (!op->is_fused)
        TRY(family_check(device, ADELE_FAMILY_loss_plain));
    TRY(plan_workspace(op));
    if (op->is_fused)
        TRY(loss_fused_prepare(context_of(device), op->task));
    op->base.op.engine = op->is_fused ? "direct" : "plain";
    return ADELE_OK;
}

// ---- forward ------------------------------------------------------------------------------------

static adele_status clear_unused(const struct loss_op *op, const struct adele_loss_args *args) {
    const struct cuda_context *context = context_of(op->base.op.device);
    const struct adele_loss_desc *desc = &op->desc;
    size_t element_bytes = context->storage == ADELE_PRECISION_BF16 ? 2 : 4;
    for (int k = op->task.n_scales; k < desc->n_scales; k++) {
        struct adele_shape shape = {desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        int64_t count = tensor_elements(shape) * (int64_t)element_bytes / 16;
        int64_t n_blocks = (count + LOSS_THREADS - 1) / LOSS_THREADS;
        if (args->d_logits[k] != NULL)
            TRY(LAUNCH(context, loss_clear, (int)(n_blocks < 1024 ? n_blocks : 1024), LOSS_THREADS,
                       0, (uint4 *)args->d_logits[k], count));
    }
    return ADELE_OK;
}

adele_status cuda_loss_forward(struct adele_op *base, const struct adele_loss_args *args) {
    struct loss_op *op = (struct loss_op *)base;
    const struct cuda_context *context = context_of(base->device);
    struct loss_task task = op->task;
    TRY(op_check_loss_args(&op->desc, args, &task.needs_gradient));
    char *workspace = (char *)args->workspace;
    task.args = *args;
    task.state = (struct loss_state *)(workspace + op->at_state);
    task.masks = (int *)(workspace + op->at_masks);
    task.partials = (double *)(workspace + op->at_partials);
    for (int k = 0; k < task.n_scales; k++)
        (op->is_fused ? task.patch : task.full)[k] = (float *)(workspace + op->at_scale[k]);
    TRY(LAUNCH(context, loss_prepare, 1, LOSS_THREADS, 0, task));
    int64_t n_rounds = ((int64_t)task.n * task.h * task.w + LOSS_THREADS - 1) / LOSS_THREADS;
    int n_blocks = (int)(n_rounds < COUNT_BLOCKS ? n_rounds : COUNT_BLOCKS);
    if (task.form == ADELE_LOSS_PLAIN)
        TRY(LAUNCH(context, loss_count_valid, n_blocks, LOSS_THREADS, 0, task));
    if (task.args.class_weights != NULL) {
        TRY(LAUNCH(context, loss_count_labels, n_blocks, LOSS_THREADS, 0, task));
        TRY(LAUNCH(context, loss_weigh, 1, 1, 0, task));
    }
    if (op->is_fused)
        TRY(loss_fused_run(context, task));
    else
        TRY(loss_plain_run(context, task));
    TRY(LAUNCH(context, loss_finish, 1, FINISH_THREADS, 0, task));
    return clear_unused(op, args);
}

} // namespace adele_cuda
