// SPDX-License-Identifier: MIT
// For the test of tools/kernel-resources: the first kernel holds more values than the registers
// that it may have, which must be noticed; the second does too, and is excused by its name.
#include <cuda_runtime.h>

#define N_VALUES 64

static __device__ void reverse(float *values, int stride) {
    float kept[N_VALUES];
#pragma unroll
    for (int i = 0; i < N_VALUES; i++)
        kept[i] = values[i * stride];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N_VALUES; i++)
        values[i * stride + 1] = kept[N_VALUES - 1 - i] * kept[i];
}

__global__ void __launch_bounds__(1024, 2) crowded_kernel(float *values, int stride) {
    reverse(values, stride);
}

__global__ void __launch_bounds__(1024, 2) crowded_kernel_plain(float *values, int stride) {
    reverse(values, stride);
}
