// SPDX-License-Identifier: MIT
// The kernels of planted.h that break a rule, each a different one.
#include "planted_parts.cuh"

#include <vector>

namespace adele_cuda {

static __global__ void break_barrier(bool elsewhere) {
    if (threadIdx.x < 3) {
        if (elsewhere)
            __syncthreads();
        return;
    }
    __syncthreads();
}

static __global__ void break_warp(enum planted_fault fault, int *out) {
    int lane = (int)threadIdx.x, value = lane;
    if (fault == PLANTED_SHUFFLE_ENDED && lane == 7)
        return;
    if (fault == PLANTED_SHUFFLE_MASK)
        value = __shfl_xor_sync(0xfffffffeu, value, 0);
    else if (fault == PLANTED_SHUFFLE_FROM)
        value = lane < 16 ? __shfl_xor_sync(0x0000ffffu, value, 16) : 0;
    else if (fault == PLANTED_SHUFFLE_ELSEWHERE && lane < 16)
        value = __shfl_xor_sync(0xffffffffu, value, 2);
    else
        value = __shfl_xor_sync(0xffffffffu, value, 1);
    out[lane] = value;
}

static __global__ void break_mma(float *out) {
    uint32_t a[4] = {0, 0, 0, 0}, b[2] = {0, 0};
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (threadIdx.x < 16)
        mma_bf16_16x8x16(d, a, b);
    out[threadIdx.x] = d[0];
}

static __global__ void use_dynamic(int *out) {
    DYNAMIC_SHARED(bytes);
    bytes[threadIdx.x] = 1;
    out[threadIdx.x] = bytes[threadIdx.x];
}

static __global__ void use_static(int *out) {
    SHARED(unsigned char, first, [40000]);
    SHARED(unsigned char, second, [40000]);
    first[threadIdx.x] = second[threadIdx.x] = 1;
    out[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}

static __global__ void use_both(int *out) {
    SHARED(unsigned char, first, [30000]);
    DYNAMIC_SHARED(second);
    first[threadIdx.x] = second[threadIdx.x] = 1;
    out[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}

static __global__ void break_alignment(bool is_copy, const float *in, uint32_t *out) {
    SHARED(uint4, tile, [33]);
    if (is_copy) {
        cp_async_16((float *)tile + 1, in, true);
        cp_async_wait<0>();
        return;
    }
    tile[threadIdx.x] = make_uint4(0, 0, 0, 0);
    __syncthreads();
    ldmatrix_x4(out + 4 * threadIdx.x, (const char *)&tile[threadIdx.x] + 8);
}

static __global__ void __launch_bounds__(128) use_bound(int *out) {
    out[0] = 1;
}

static __global__ void break_space(enum planted_fault fault, float *in, uint32_t *out) {
    SHARED(uint4, tile, [32]);
    __align__(16) float local[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    tile[threadIdx.x] = make_uint4(0, 0, 0, 0);
    __syncthreads();
    switch (fault) {
    case PLANTED_COPY_FROM_SHARED:
        cp_async_16(&tile[0], &tile[1], true);
        break;
    case PLANTED_COPY_FROM_STACK:
        cp_async_16(&tile[0], local, true);
        break;
    case PLANTED_COPY_TO_GLOBAL:
        cp_async_16(out, in, true);
        break;
    case PLANTED_COPY_PAST_ARRAY:
        cp_async_16(&tile[0] + 32, in, true);
        break;
    case PLANTED_MATRIX_GLOBAL:
        ldmatrix_x4(out + 4 * threadIdx.x, in + 4 * threadIdx.x);
        break;
    default: // PLANTED_MATRIX_STACK
        ldmatrix_x4(out + 4 * threadIdx.x, local);
    }
    cp_async_wait<0>();
}

static __global__ void race_shared(enum planted_fault fault, const float *in, float *out) {
    SHARED(__align__(16) float, tile, [64]);
    SHARED(unsigned, count, );
    int i = (int)threadIdx.x;
    float value = 0.0f;
    if (i == 0)
        count = 0;
    __syncthreads();
    if (fault == PLANTED_RACE_WARPS) {
        if (i < 32)
            tile[i] = in[i];
        __syncwarp();
        value = tile[i % 32];
    } else if (fault == PLANTED_RACE_WRITES) {
        tile[i / 2] = in[i];
    } else if (fault == PLANTED_RACE_ATOMIC) {
        atomicAdd(&count, 1u);
        value = (float)count;
    } else if (fault == PLANTED_RACE_COPY) {
        tile[i] = in[i];
        __syncthreads();
        value = tile[63 - i];
        if (i < 16) // no barrier: others may not have read yet
            cp_async_16(tile + 4 * i, in + 4 * i, true);
        cp_async_wait<0>();
    } else {
        tile[i] = in[i];
        if (fault == PLANTED_RACE_OVERWRITE)
            __syncthreads();
        value = tile[(i + 33) % 64];
        if (fault == PLANTED_RACE_OVERWRITE)
            tile[i] = value;
    }
    out[i] = value;
}

static __global__ void race_global(enum planted_fault fault, float *out) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (fault == PLANTED_RACE_BLOCKS)
        out[threadIdx.x] = (float)i;
    else if (fault == PLANTED_RACE_GLOBAL)
        out[i / 2] = (float)i;
    else
        out[i] = i < (int)blockDim.x ? 1.0f : out[i - (int)blockDim.x];
}

static __global__ void touch(float *data, int offset, float *out, bool is_read) {
    if (is_read)
        *out = data[offset];
    else
        data[offset] = 1.0f;
}

static __global__ void touch_shared(int offset, float *out) {
    SHARED(float, tile, [24]);
    for (int i = 0; i < 24; i++)
        tile[i] = (float)i;
    tile[offset] = 2.0f;
    *out = tile[1];
}

static __global__ void other_stack(float *out) {
    SHARED(float *, pointer, );
    float local[4] = {1.0f, 2.0f, 3.0f, (float)threadIdx.x};
    if (threadIdx.x == 0)
        pointer = local;
    __syncthreads();
    out[threadIdx.x] = pointer[threadIdx.x % 4];
    __syncthreads();
}

static __global__ void copy_double(float *to, const float *from) {
    *(double *)(to + 1) = *(const double *)from;
}

static __global__ void copy_bytes(float *to, const float *from, int n) {
    memcpy(to, from, sizeof(float) * (size_t)n);
}

static void break_device_memory(enum planted_fault fault) {
    device_array<float> data(NULL, 10), out(NULL, 64);
    std::vector<float> on_host(4);
    float *freed = NULL;
    switch (fault) {
    case PLANTED_HOST_POINTER:
        RUN(touch, 1, 1, 0, on_host.data(), 0, out.data, true);
        break;
    case PLANTED_FREED:
        cudaMalloc(&freed, 100);
        cudaFree(freed);
        RUN(touch, 1, 1, 0, freed, 3, out.data, false);
        break;
    case PLANTED_UNALIGNED:
        RUN(copy_double, 1, 1, 0, out.data, data.data);
        break;
    case PLANTED_COPY_PAST_END:
        RUN(copy_bytes, 1, 1, 0, out.data, data.data, 11);
        break;
    case PLANTED_WRITE_PAST_END:
        RUN(touch, 1, 1, 0, data.data, 10, out.data, false);
        break;
    case PLANTED_READ_PAST_END:
        RUN(touch, 1, 1, 0, data.data, 11, out.data, true);
        break;
    case PLANTED_SHARED_PAST_END:
        RUN(touch_shared, 1, 1, 0, 24, out.data);
        break;
    default: // PLANTED_SHARED_BEFORE
        RUN(touch_shared, 1, 1, 0, -8, out.data);
    }
}

static void break_launch(enum planted_fault fault) {
    device_array<int> out(NULL, 64);
    switch (fault) {
    case PLANTED_SHARED_DYNAMIC:
        RUN(use_dynamic, 1, 32, 60000, out.data);
        break;
    case PLANTED_SHARED_LOWERED:
        cudaFuncSetAttribute((const void *)use_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             60000);
        cudaFuncSetAttribute((const void *)use_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             10000);
        RUN(use_dynamic, 1, 32, 20000, out.data);
        break;
    case PLANTED_SHARED_STATIC:
        cudaFuncSetAttribute((const void *)use_static, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             100000);
        RUN(use_static, 1, 32, 0, out.data);
        break;
    case PLANTED_SHARED_TOGETHER:
        RUN(use_both, 1, 32, 30000, out.data);
        break;
    case PLANTED_SHARED_DEVICE: // the call itself fails
        cudaFuncSetAttribute((const void *)use_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             163 * 1024 + 1);
        break;
    case PLANTED_BLOCK_SIZE:
        RUN(use_dynamic, 1, 1025, 0, out.data);
        break;
    case PLANTED_LAUNCH_BOUNDS:
        RUN(use_bound, 1, 129, 0, out.data);
        break;
    default: // PLANTED_GRID_SIZE
        RUN(use_dynamic, dim3(1, 65536), 32, 0, out.data);
    }
}

static void break_rule(enum planted_fault fault) {
    std::vector<float> numbers(256, 1.0f);
    device_array<float> in(numbers.data(), 256), out(NULL, 256);
    if (fault <= PLANTED_BARRIER_ELSEWHERE)
        RUN(break_barrier, 2, 64, 0, fault == PLANTED_BARRIER_ELSEWHERE);
    else if (fault <= PLANTED_SHUFFLE_NO_LANE)
        RUN(break_warp, 1, fault == PLANTED_SHUFFLE_NO_LANE ? 8 : 32, 0, fault, (int *)out.data);
    else if (fault == PLANTED_MMA_PARTLY)
        RUN(break_mma, 1, 32, 0, out.data);
    else if (fault <= PLANTED_GRID_SIZE)
        break_launch(fault);
    else if (fault <= PLANTED_MATRIX_UNALIGNED)
        RUN(break_alignment, 1, 32, 0, fault == PLANTED_COPY_UNALIGNED, in.data,
            (uint32_t *)out.data);
    else if (fault <= PLANTED_MATRIX_STACK)
        RUN(break_space, 1, 32, 0, fault, in.data, (uint32_t *)out.data);
    else if (fault == PLANTED_RACE_WARP)
        run_warp_exchange(false);
    else if (fault <= PLANTED_RACE_COPY)
        RUN(race_shared, 1, 64, 0, fault, in.data, out.data);
    else if (fault <= PLANTED_RACE_GLOBAL)
        RUN(race_global, 2, 32, 0, fault, out.data);
    else if (fault == PLANTED_OTHER_STACK)
        RUN(other_stack, 1, 8, 0, out.data);
    else
        break_device_memory(fault);
}

} // namespace adele_cuda

using namespace adele_cuda;

const char *planted_break(enum planted_fault fault) {
    break_rule(fault);
    return error_text();
}
