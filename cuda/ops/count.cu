// SPDX-License-Identifier: MIT
// IoU counts of one label map against another (METHOD section 1): prediction and labels, plain
// (N, H, W) -> counts += intersection, predicted, labelled, each of 256 categories. Integers: sums
// in any order are the same sums.
#include "runtime/common.cuh"

#include "device/op_check.h"

namespace adele_cuda {

#define PLAIN_THREADS 256
#define WARP          32
#define N_WARPS       8
#define RUN           16   // pixels that a thread looks at in one go
#define MAX_BLOCKS    1024 // each ends with up to 768 global additions
#define TABLE         (ADELE_COUNT_KINDS * 256)

struct count_op {
    struct cuda_op base;
    struct adele_count_desc desc;
};

// A thread owns one pixel, and adds straight to the counts.
static __global__ void count_plain(const uint8_t *prediction, const uint8_t *labels,
                                   int64_t n_pixels, unsigned long long *counts) {
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_pixels || labels[i] == ADELE_IGNORE)
        return;
    if (prediction[i] == labels[i])
        atomicAdd(&counts[labels[i]], 1ull);
    if (prediction[i] != ADELE_IGNORE)
        atomicAdd(&counts[256 + prediction[i]], 1ull);
    atomicAdd(&counts[512 + labels[i]], 1ull);
}

static __device__ void add_run(unsigned *table, int prediction, int label, unsigned n) {
    if (n == 0 || label == ADELE_IGNORE)
        return;
    if (prediction == label)
        atomicAdd(&table[label], n);
    if (prediction != ADELE_IGNORE)
        atomicAdd(&table[256 + prediction], n);
    atomicAdd(&table[512 + label], n);
}

// A block owns every gridDim-th stretch of 256 x 16 pixels, a thread 16 neighbours in each. The
// plain kernel's additions queue at one address, for most pixels are background: here a warp has a
// table of its own in shared memory, and a thread adds a run of equal pixels at once.
static __global__ void __launch_bounds__(N_WARPS *WARP)
    count_runs(const uint8_t *prediction, const uint8_t *labels, int64_t n_pixels,
               unsigned long long *counts) {
    SHARED(unsigned, tables, [N_WARPS][TABLE]);
    for (int i = (int)threadIdx.x; i < N_WARPS * TABLE; i += N_WARPS * WARP)
        tables[i / TABLE][i % TABLE] = 0;
    __syncthreads();
    unsigned *table = tables[threadIdx.x / WARP];
    int64_t stride = (int64_t)gridDim.x * N_WARPS * WARP * RUN;
    int64_t first = ((int64_t)blockIdx.x * N_WARPS * WARP + threadIdx.x) * RUN;
    for (; first < n_pixels; first += stride) {
        int n = (int)(n_pixels - first < RUN ? n_pixels - first : RUN);
        int run_prediction = 0, run_label = 0;
        unsigned n_run = 0;
        for (int i = 0; i < n; i++) {
            int p = __ldg(prediction + first + i), l = __ldg(labels + first + i);
            if (p != run_prediction || l != run_label) {
                add_run(table, run_prediction, run_label, n_run);
                run_prediction = p;
                run_label = l;
                n_run = 0;
            }
            n_run++;
        }
        add_run(table, run_prediction, run_label, n_run);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < TABLE; i += N_WARPS * WARP) {
        unsigned long long n = 0;
        for (int i_warp = 0; i_warp < N_WARPS; i_warp++)
            n += tables[i_warp][i];
        if (n != 0)
            atomicAdd(&counts[i], n);
    }
}

adele_status cuda_count_create(const struct adele_device *device,
                               const struct adele_count_desc *desc, struct adele_op **out) {
    *out = NULL;
    TRY(op_check_count(desc));
    struct count_op *op = (struct count_op *)op_create(device, ADELE_OP_count, sizeof *op);
    if (op == NULL)
        return FAIL_NO_MEMORY(sizeof *op);
    op->desc = *desc;
    *out = &op->base.op;
    return ADELE_OK;
}

adele_status cuda_count_forward(struct adele_op *base, const struct adele_count_args *args) {
    const struct adele_count_desc *desc = &((struct count_op *)base)->desc;
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_count_args(args));
    int64_t n_pixels = (int64_t)desc->n * desc->h * desc->w;
    unsigned long long *counts = (unsigned long long *)args->counts; // two's complement: sums agree
    if (wants_plain(base->device, ADELE_FAMILY_count))
        return LAUNCH(context, count_plain, (int)((n_pixels + PLAIN_THREADS - 1) / PLAIN_THREADS),
                      PLAIN_THREADS, 0, args->prediction, args->labels, n_pixels, counts);
    int64_t per_block = (int64_t)N_WARPS * WARP * RUN;
    int64_t n_blocks = (n_pixels + per_block - 1) / per_block;
    return LAUNCH(context, count_runs, (int)(n_blocks < MAX_BLOCKS ? n_blocks : MAX_BLOCKS),
                  N_WARPS * WARP, 0, args->prediction, args->labels, n_pixels, counts);
}

} // namespace adele_cuda
