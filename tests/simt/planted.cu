// SPDX-License-Identifier: MIT
// See planted.h. Nothing here is fast or useful: each kernel uses one thing that the emulator has.
#include "planted.h"
#include "room.cuh"
#include "tensor_core.cuh"

#include <vector>

namespace adele_cuda {

#define RUN(kernel, grid, block, shared_bytes, ...)                                                \
    simt_launch(#kernel, (grid), (block), (shared_bytes), (kernel), __VA_ARGS__)

static const char *error_text() {
    cudaError_t code = cudaGetLastError();
    return code == cudaSuccess ? NULL : cudaGetErrorString(code);
}

// An array in device memory, for as long as it is in scope.
template <typename T> struct device_array {
    T *data;
    size_t count;

    device_array(const T *from, size_t n) : data(NULL), count(n) {
        if (cudaMalloc(&data, n * sizeof(T)) == cudaSuccess && from)
            cudaMemcpy(data, from, n * sizeof(T), cudaMemcpyHostToDevice);
    }
    ~device_array() {
        cudaFree(data);
    }
    const char *download(T *to) {
        const char *failure = error_text();
        if (!failure)
            cudaMemcpy(to, data, count * sizeof(T), cudaMemcpyDeviceToHost);
        return failure ? failure : error_text();
    }
};

// ---- kernels that keep the rules ----------------------------------------------------------------

static __global__ void __launch_bounds__(256) reduce(const float *in, float *out) {
    SHARED(float, sums, [8]);
    float value = in[blockIdx.x * 256 + threadIdx.x];
    for (int step = 16; step > 0; step /= 2)
        value += __shfl_down_sync(0xffffffffu, value, step);
    if (threadIdx.x % 32 == 0)
        sums[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x >= 8)
        return;
    value = sums[threadIdx.x];
    for (int step = 4; step > 0; step /= 2)
        value += __shfl_xor_sync(0xffu, value, step, 8);
    if (threadIdx.x == 0)
        out[blockIdx.x] = value;
}

static __global__ void transpose(const float *in, int h, int w, float *out) {
    SHARED(float, tile, [16][17]);
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    if (x < w && y < h)
        tile[threadIdx.y][threadIdx.x] = in[y * w + x];
    __syncthreads();
    x = blockIdx.x * 16 + threadIdx.y, y = blockIdx.y * 16 + threadIdx.x;
    if (x < w && y < h)
        out[x * h + y] = tile[threadIdx.x][threadIdx.y];
}

static __global__ void vote(const int *values, unsigned *out) {
    int value = values[threadIdx.x] & 1;
    unsigned *mine = out + threadIdx.x * 6;
    mine[0] = __ballot_sync(0xffffffffu, value);
    mine[1] = (unsigned)__any_sync(0xffffffffu, value);
    mine[2] = (unsigned)__all_sync(0xffffffffu, value);
    mine[3] = (unsigned)__syncthreads_or(value);
    mine[4] = (unsigned)__syncthreads_and(value);
    mine[5] = (unsigned)__syncthreads_count(value);
}

static __global__ void shuffle(const double *in, double *out) {
    double value = in[threadIdx.x];
    double *mine = out + threadIdx.x * 4;
    mine[0] = __shfl_sync(0xffffffffu, value, (int)threadIdx.x + 5);
    mine[1] = __shfl_xor_sync(0xffffffffu, value, 3, 8);
    mine[2] = __shfl_up_sync(0xffffffffu, value, 2);
    mine[3] = __shfl_down_sync(0xffffffffu, value, 2);
}

static __global__ void histogram(const int *values, int n, unsigned *counts) {
    SHARED(unsigned, mine, [16]);
    if (threadIdx.x < 16)
        mine[threadIdx.x] = 0;
    __syncthreads();
    int stride = (int)(gridDim.x * blockDim.x);
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += stride)
        atomicAdd(&mine[values[i]], 1u);
    __syncthreads();
    if (threadIdx.x < 16)
        atomicAdd(&counts[threadIdx.x], mine[threadIdx.x]);
}

static __global__ void pipeline(const float *in, int n_tiles, bool waits, float *out) {
    DYNAMIC_SHARED(bytes);
    float *tiles = (float *)bytes; // (2, 32)
    int i = (int)threadIdx.x;
    if (i < 8)
        cp_async_16(tiles + 4 * i, in + 4 * i, true);
    cp_async_commit();
    float sum = 0.0f;
    for (int tile = 0; tile < n_tiles; tile++) {
        bool is_live = tile + 1 < n_tiles;
        const float *next = is_live ? in + 32 * (tile + 1) : in;
        if (i < 8)
            cp_async_16(tiles + (tile + 1) % 2 * 32 + 4 * i, next + 4 * i, is_live);
        cp_async_commit();
        if (waits)
            cp_async_wait<1>();
        else
            cp_async_wait<2>(); // one group too many may be under way
        __syncthreads();
        sum += tiles[tile % 2 * 32 + i];
        __syncthreads();
    }
    cp_async_wait<0>();
    __syncthreads();
    sum += tiles[n_tiles % 2 * 32 + i]; // the zeros of the copy that was not live
    out[i] = sum;
}

static __device__ uint32_t bf16_pair(const float *at, int stride) {
    return pack_bf16(at[0], at[stride]);
}

static __global__ void product_bf16(const float *a, const float *b, float *out) {
    int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    uint32_t words_a[4], words_b[2];
    for (int i = 0; i < 4; i++)
        words_a[i] = bf16_pair(a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8, 1);
    for (int i = 0; i < 2; i++)
        words_b[i] = bf16_pair(b + (2 * t + i * 8) * 8 + g, 8);
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    mma_bf16_16x8x16(d, words_a, words_b);
    for (int i = 0; i < 4; i++)
        out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

static __global__ void product_tf32(const float *a, const float *b, float *out) {
    int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    uint32_t words_a[4], words_b[2];
    for (int i = 0; i < 4; i++)
        words_a[i] = to_tf32(a[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
    for (int i = 0; i < 2; i++)
        words_b[i] = to_tf32(b[(t + i * 4) * 8 + g]) | 0xfffu; // bits that must not matter
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    mma_tf32_16x8x8(d, words_a, words_b);
    for (int i = 0; i < 4; i++)
        out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

static __global__ void load_matrices(const uint16_t *in, bool is_transposed, uint32_t *out) {
    SHARED(uint4, rows, [32]);
    int lane = (int)threadIdx.x;
    rows[lane] = ((const uint4 *)in)[lane];
    __syncwarp();
    if (is_transposed)
        ldmatrix_x4_trans(out + 4 * lane, &rows[lane]);
    else
        ldmatrix_x4(out + 4 * lane, &rows[lane]);
}

static __global__ void uninitialized(float *out) {
    SHARED(float, values, [32]);
    out[threadIdx.x] = values[threadIdx.x];
}

static __global__ void warp_exchange(bool waits, int *out) {
    SHARED(int, values, [64]);
    int i = (int)threadIdx.x, neighbour = i / 32 * 32 + (i + 1) % 32;
    int sum = 0;
    for (int round = 0; round < 3; round++) {
        values[i] = i + round;
        if (waits)
            __syncwarp();
        sum += values[neighbour];
        if (waits)
            __syncwarp();
    }
    out[i] = sum;
}

static __global__ void write_bytes(unsigned char *out) {
    SHARED(unsigned char, bytes, [64]);
    bytes[threadIdx.x] = (unsigned char)threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = (unsigned char)(2 * bytes[threadIdx.x]);
}

static __global__ void stop(int i_bad, unsigned *n_blocks) {
    if (threadIdx.x == 0)
        atomicAdd(n_blocks, 1u);
    if ((int)blockIdx.x == i_bad && threadIdx.x == 0)
        return;
    __syncthreads();
}

// ---- kernels that break one ---------------------------------------------------------------------

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

static __global__ void copy_vector(float *to, const float *from) {
    *(float4 *)(to + 1) = *(const float4 *)from;
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
        RUN(copy_vector, 1, 1, 0, out.data, data.data);
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
    case PLANTED_SHARED_STATIC:
        cudaFuncSetAttribute((const void *)use_static, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             100000);
        RUN(use_static, 1, 32, 0, out.data);
        break;
    case PLANTED_SHARED_TOGETHER:
        RUN(use_both, 1, 32, 30000, out.data);
        break;
    case PLANTED_SHARED_DEVICE: // the failure is to be told of by whoever checks the call
        cudaFuncSetAttribute((const void *)use_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             163 * 1024 + 1);
        break;
    case PLANTED_BLOCK_SIZE:
        RUN(use_dynamic, 1, 1025, 0, out.data);
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
    else if (fault == PLANTED_RACE_WARP)
        RUN(warp_exchange, 1, 64, 0, false, (int *)out.data);
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

// ---- the door -----------------------------------------------------------------------------------

using namespace adele_cuda;

const char *planted_break(enum planted_fault fault) {
    break_rule(fault);
    return error_text();
}

const char *planted_reduce(const float *in, int n_blocks, float *out) {
    device_array<float> from(in, 256 * (size_t)n_blocks), to(NULL, (size_t)n_blocks);
    RUN(reduce, n_blocks, 256, 0, from.data, to.data);
    return to.download(out);
}

const char *planted_transpose(const float *in, int h, int w, float *out) {
    device_array<float> from(in, (size_t)h * w), to(NULL, (size_t)h * w);
    dim3 grid(ceil_div(w, 16), ceil_div(h, 16));
    RUN(transpose, grid, dim3(16, 16), 0, from.data, h, w, to.data);
    return to.download(out);
}

const char *planted_vote(const int *values, unsigned *out) {
    device_array<int> from(values, 64);
    device_array<unsigned> to(NULL, 64 * 6);
    RUN(vote, 1, 64, 0, from.data, to.data);
    return to.download(out);
}

const char *planted_shuffle(const double *in, double *out) {
    device_array<double> from(in, 32), to(NULL, 32 * 4);
    RUN(shuffle, 1, 32, 0, from.data, to.data);
    return to.download(out);
}

const char *planted_histogram(const int *values, int n, unsigned counts[16]) {
    device_array<int> from(values, (size_t)n);
    device_array<unsigned> to(counts, 16);
    RUN(histogram, 3, 64, 0, from.data, n, to.data);
    return to.download(counts);
}

const char *planted_pipeline(const float *in, int n_tiles, bool waits, float *out) {
    device_array<float> from(in, 32 * (size_t)n_tiles), to(NULL, 32);
    RUN(pipeline, 1, 32, 2 * 32 * sizeof(float), from.data, n_tiles, waits, to.data);
    return to.download(out);
}

const char *planted_mma_bf16(const float *a, const float *b, float *d) {
    device_array<float> device_a(a, 16 * 16), device_b(b, 16 * 8), to(NULL, 16 * 8);
    RUN(product_bf16, 1, 32, 0, device_a.data, device_b.data, to.data);
    return to.download(d);
}

const char *planted_mma_tf32(const float *a, const float *b, float *d) {
    device_array<float> device_a(a, 16 * 8), device_b(b, 8 * 8), to(NULL, 16 * 8);
    RUN(product_tf32, 1, 32, 0, device_a.data, device_b.data, to.data);
    return to.download(d);
}

const char *planted_ldmatrix(const uint16_t *in, bool is_transposed, uint32_t *out) {
    device_array<uint16_t> from(in, 32 * 8);
    device_array<uint32_t> to(NULL, 32 * 4);
    RUN(load_matrices, 1, 32, 0, from.data, is_transposed, to.data);
    return to.download(out);
}

const char *planted_uninitialized(float *out) {
    device_array<float> to(NULL, 32);
    RUN(uninitialized, 1, 32, 0, to.data);
    return to.download(out);
}

const char *planted_warp_exchange(void) {
    device_array<int> to(NULL, 64);
    RUN(warp_exchange, 1, 64, 0, true, to.data);
    return error_text();
}

const char *planted_bytes(unsigned char out[64]) {
    device_array<unsigned char> to(NULL, 64);
    RUN(write_bytes, 1, 64, 0, to.data);
    return to.download(out);
}

const char *planted_stop(int i_bad, unsigned *n_blocks) {
    *n_blocks = 0;
    device_array<unsigned> to(n_blocks, 1);
    RUN(stop, 1000, 64, 0, i_bad, to.data);
    const char *failure = error_text();
    to.download(n_blocks);
    return failure;
}

int planted_allocate(long i_failing) {
    int i_failed = -1;
    simt_fail_at(i_failing);
    for (int i = 0; i < 3; i++) {
        void *block = NULL;
        if (cudaMalloc(&block, 8) != cudaSuccess && i_failed < 0)
            i_failed = i;
        cudaFree(block);
    }
    simt_fail_at(-1);
    cudaGetLastError();
    return i_failed;
}

const char *planted_copy_too_much(void) {
    device_array<char> from(NULL, 99);
    char out[100];
    cudaMemcpy(out, from.data, sizeof out, cudaMemcpyDeviceToHost);
    return error_text();
}
