// SPDX-License-Identifier: MIT
// Kernels that process a tensor row by row: a thread owns one step of a row (a pixel's eight
// channels, say) in every gridDim.y-th row. Rows and steps are counted in 32 bits, because
// divisions in 64 bits would cost more than the rest; offsets of elements are 64-bit.
#ifndef ADELE_CUDA_OPS_ROWS_CUH
#define ADELE_CUDA_OPS_ROWS_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

// Small, so that the end of a short row (22 pixels of a deep layer) wastes few threads.
#define ROW_THREADS 128
#define MAX_GRID_Y  65535

// At an op's creation, for each tensor that its kernels process.
static inline adele_status rows_check(const char *op, int n, int h, int w, int c) {
    int64_t n_rows = (int64_t)n * h, n_steps = (int64_t)w * padded_channels(c);
    if (n_rows > INT32_MAX - MAX_GRID_Y || n_steps > INT32_MAX - ROW_THREADS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the batch or the images smaller.",
                    "%s: %lld rows of %lld values", op, (long long)n_rows, (long long)n_steps);
    return ADELE_OK;
}

static inline dim3 rows_grid(int n_steps, int n_rows) {
    return dim3((unsigned)((n_steps + ROW_THREADS - 1) / ROW_THREADS),
                (unsigned)(n_rows < MAX_GRID_Y ? n_rows : MAX_GRID_Y));
}

static __device__ inline int row_step() {
    return (int)blockIdx.x * ROW_THREADS + (int)threadIdx.x;
}

} // namespace adele_cuda
#endif
