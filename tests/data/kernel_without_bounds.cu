// SPDX-License-Identifier: MIT
// For the test of tools/kernel-resources: a file none of whose kernels has __launch_bounds__.
__global__ void alone_without_bounds(float *values) {
    values[threadIdx.x] += 1.0f;
}
