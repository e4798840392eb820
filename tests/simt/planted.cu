// SPDX-License-Identifier: MIT
// The kernels of planted.h that keep the rules. Nothing here is fast or useful: each kernel uses
// one thing that the emulator has.
#include "planted_parts.cuh"

namespace adele_cuda {

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
            cp_async_wait<2>(); // one group too many may be unfinished
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
    float d[4];
    for (int i = 0; i < 4; i++)
        d[i] = out[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
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
    float d[4];
    for (int i = 0; i < 4; i++)
        d[i] = out[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
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

void run_warp_exchange(bool waits) {
    device_array<int> to(NULL, 64);
    RUN(warp_exchange, 1, 64, 0, waits, to.data);
}

} // namespace adele_cuda

// ---- the functions of planted.h -----------------------------------------------------------------

using namespace adele_cuda;

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
    device_array<float> device_a(a, 16 * 16), device_b(b, 16 * 8), to(d, 16 * 8);
    RUN(product_bf16, 1, 32, 0, device_a.data, device_b.data, to.data);
    return to.download(d);
}

const char *planted_mma_tf32(const float *a, const float *b, float *d) {
    device_array<float> device_a(a, 16 * 8), device_b(b, 8 * 8), to(d, 16 * 8);
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
    run_warp_exchange(true);
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
