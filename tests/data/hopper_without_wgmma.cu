// SPDX-License-Identifier: MIT
// For the test of tools/kernel-resources: a kernel that is named after Hopper and has none of its
// instructions.
__global__ void __launch_bounds__(128) hopper_in_name_alone(float *values) {
    values[threadIdx.x] += 1.0f;
}
