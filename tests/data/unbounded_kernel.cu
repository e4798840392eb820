// SPDX-License-Identifier: MIT
// For the test of tools/kernel-resources: the kernels take more than 64 registers each. A block of
// 1,024 threads, which the first allows because it has no __launch_bounds__, would not fit into a
// multiprocessor; one of 256 threads, which the second declares, does.
#include <cuda_runtime.h>

#define N_VALUES 80

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

__global__ void unbounded_kernel(float *values, int stride) {
    reverse(values, stride);
}

__global__ void __launch_bounds__(256) bounded_kernel(float *values, int stride) {
    reverse(values, stride);
}
