// SPDX-License-Identifier: MIT
// IoU counts of one label map against another (METHOD section 1): prediction and labels, plain
// (N, H, W) -> counts += intersection, predicted, labelled, each of 256 categories. Integers: sums
// in any order are the same sums.
#include "runtime/common.cuh"

#include "device/op_check.h"

namespace adele_cuda {

#define N_THREADS  256
#define MAX_BLOCKS 1024 // each ends with up to 768 global additions
#define TABLE      (ADELE_COUNT_KINDS * 256)

// A thread owns every (gridDim.x N_THREADS)-th pixel. A block adds to a table of its own in shared
// memory first, because most pixels are background and would queue at one global address.
static __global__ void __launch_bounds__(N_THREADS)
    count_kernel(const uint8_t *prediction, const uint8_t *labels, int64_t n_pixels,
                 unsigned long long *counts) {
    SHARED(unsigned, table, [TABLE]);
    for (int i = (int)threadIdx.x; i < TABLE; i += N_THREADS)
        table[i] = 0;
    __syncthreads();
    int64_t stride = (int64_t)gridDim.x * N_THREADS;
    for (int64_t i = (int64_t)blockIdx.x * N_THREADS + threadIdx.x; i < n_pixels; i += stride) {
        int p = prediction[i], label = labels[i];
        if (label == ADELE_IGNORE)
            continue;
        if (p == label)
            atomicAdd(&table[label], 1u);
        if (p != ADELE_IGNORE)
            atomicAdd(&table[256 + p], 1u);
        atomicAdd(&table[512 + label], 1u);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < TABLE; i += N_THREADS)
        if (table[i] != 0)
            atomicAdd(&counts[i], (unsigned long long)table[i]);
}

CREATE_DESC_OP(count)

adele_status cuda_count_forward(struct adele_op *base, const struct adele_count_args *args) {
    const struct adele_count_desc *desc = desc_of<struct adele_count_desc>(base);
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_count_args(args));
    int64_t n_pixels = (int64_t)desc->n * desc->h * desc->w;
    unsigned long long *counts = (unsigned long long *)args->counts; // two's complement: sums agree
    int64_t n_blocks = (n_pixels + N_THREADS - 1) / N_THREADS;
    return LAUNCH(context, count_kernel, (int)(n_blocks < MAX_BLOCKS ? n_blocks : MAX_BLOCKS),
                  N_THREADS, 0, args->prediction, args->labels, n_pixels, counts);
}

} // namespace adele_cuda
