// SPDX-License-Identifier: MIT
// The weight gradient of a first layer: the matrix product of conv2d_weight_gradient.cuh where src
// is an image of 1 to 4 channels.
//
// src, d_dst: tensors (N, H, W, P). Columns are (tap, channel) of the live channels only, 9 or 27
// for a 3 x 3 kernel on 1 or 3 channels. Float multiply-add in every math: the operands are few
// enough that reading d_dst is what takes the time (math bf16 rounds float tensors as elsewhere).
// Sums go to the call's sink. Deterministic: warps take fixed pixels and are added up in order.
//
// What it improves on the tiled kernels: they read src in vectors of 8 channels, of which 4 to 7
// would be padding, and would spend the same share of their tiles on columns of zeros.
#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

static const int block_threads = 256;
static const int tile_rows = 64;    // output channels of a block
static const int tile_columns = 32; // one for each lane that gathers src
static const int n_rows = 32;       // pixels of a step: one vector of d_dst for each thread
static const int n_warps = block_threads / 32;
static const int stage_floats = n_rows * (tile_rows + tile_columns);

// What a thread reads of each step, and where it is.
template <typename T> struct reader {
    struct pixel_range range;
    struct pixel_cursor cursor, step; // of src
    int d_dst_index, end;
    bool has_row, has_column;
    const T *d_dst, *src;
    int dy, dx;
};

template <typename T>
static __device__ void reader_init(struct reader<T> *reader, const struct conv2d_shape *shape,
                                   const struct weight_gradient_sink *sink, const T *src,
                                   const T *d_dst, int row, int column) {
    reader->range =
        live_pixels(shape, shape->c_in, column, min(column + tile_columns, sink->n_columns));
    struct interval pixels = split_pixels(&reader->range, (int)blockIdx.z, sink->n_splits, n_rows);
    reader->end = pixels.end;
    reader->d_dst_index = pixels.begin + (int)threadIdx.x / 8;
    reader->cursor = cursor_at(&reader->range, pixels.begin + (int)threadIdx.x / 32);
    reader->step = cursor_at(&reader->range, n_warps);
    row += (int)threadIdx.x % 8 * 8;
    reader->has_row = row < shape->p_out;
    reader->d_dst = reader->has_row ? d_dst + row : d_dst;
    column += (int)threadIdx.x % 32;
    reader->has_column = column < sink->n_columns;
    int tap = reader->has_column ? column / shape->c_in : 0;
    reader->src = reader->has_column ? src + (column - tap * shape->c_in) : src;
    reader->dy = tap / shape->kernel * shape->dilation - shape->pad;
    reader->dx = tap % shape->kernel * shape->dilation - shape->pad;
}

// Into registers: 8 channels of one pixel of d_dst as they lie in memory, and one column of every
// n_warps-th pixel of src.
template <typename T>
static __device__ inline void read_step(struct reader<T> *reader, const struct conv2d_shape *shape,
                                        uint4 d_dst[sizeof(T) / 2], float src[n_rows / n_warps]) {
#pragma unroll
    for (int i = 0; i < (int)sizeof(T) / 2; i++)
        d_dst[i] = make_uint4(0, 0, 0, 0);
    if (reader->has_row && reader->d_dst_index < reader->end) {
        struct pixel_cursor at = cursor_at(&reader->range, reader->d_dst_index);
        int y = reader->range.y + at.y, x = reader->range.x + at.x;
        int64_t pixel = ((int64_t)at.image * shape->h_out + y) * shape->w_out + x;
        const uint4 *from = (const uint4 *)(reader->d_dst + pixel * shape->p_out);
#pragma unroll
        for (int i = 0; i < (int)sizeof(T) / 2; i++)
            d_dst[i] = from[i];
    }
    reader->d_dst_index += n_rows;
    const struct pixel_cursor *cursor = &reader->cursor;
#pragma unroll
    for (int i = 0; i < n_rows / n_warps; i++) {
        int y = (reader->range.y + cursor->y) * shape->stride + reader->dy;
        int x = (reader->range.x + cursor->x) * shape->stride + reader->dx;
        src[i] = 0.0f;
        if (reader->has_column && cursor->index < reader->end &&
            (unsigned)y < (unsigned)shape->h_in && (unsigned)x < (unsigned)shape->w_in) {
            int64_t pixel = ((int64_t)cursor->image * shape->h_in + y) * shape->w_in + x;
            src[i] = to_float(reader->src[pixel * shape->p_in]);
        }
        cursor_advance(&reader->range, &reader->step, &reader->cursor);
    }
}

static __device__ inline float rounded(float value, bool rounds) {
    return rounds ? to_float(from_float<bf16>(value)) : value;
}

template <typename T>
static __device__ inline void keep_step(float *d_dst_tile, float *src_tile,
                                        const uint4 d_dst[sizeof(T) / 2],
                                        const float src[n_rows / n_warps], bool rounds) {
    float values[8];
    load8((const T *)d_dst, values);
#pragma unroll
    for (int i = 0; i < 8; i++)
        values[i] = rounded(values[i], rounds);
    store8(d_dst_tile + (int)threadIdx.x / 8 * tile_rows + (int)threadIdx.x % 8 * 8, values);
#pragma unroll
    for (int i = 0; i < n_rows / n_warps; i++)
        src_tile[((int)threadIdx.x / 32 + i * n_warps) * tile_columns + (int)threadIdx.x % 32] =
            rounded(src[i], rounds);
}

// 8 of a row's `n` floats: 4 in either half.
static __device__ inline void read_operand(const float *row, int n, int i, float out[8]) {
    float4 low = *(const float4 *)(row + i * 4);
    float4 high = *(const float4 *)(row + n / 2 + i * 4);
    out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
    out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

// This warp's pixels of the step; 8 x 8 weights a lane.
static __device__ inline void multiply_step(const float *d_dst_tile, const float *src_tile,
                                            float sums[8][8]) {
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < n_rows / n_warps; k++) {
        int pixel = warp * (n_rows / n_warps) + k;
        float a[8], b[8];
        read_operand(d_dst_tile + pixel * tile_rows, tile_rows, lane / 4, a);
        read_operand(src_tile + pixel * tile_columns, tile_columns, lane % 4, b);
#pragma unroll
        for (int m = 0; m < 8; m++)
#pragma unroll
            for (int n = 0; n < 8; n++)
                sums[m][n] = fmaf(a[m], b[n], sums[m][n]);
    }
}

// Adds the warps' sums to one (tile_rows, tile_columns), warp after warp.
static __device__ inline void add_warps(float *total, const float sums[8][8]) {
    int lane = (int)threadIdx.x % 32;
    for (int warp = 0; warp < n_warps; warp++) {
        __syncthreads(); // the first: everyone is done with the tiles, whose place this is
        if ((int)threadIdx.x / 32 != warp)
            continue;
#pragma unroll
        for (int m = 0; m < 8; m++)
#pragma unroll
            for (int n = 0; n < 8; n++) {
                int row = lane / 4 * 4 + m % 4 + m / 4 * (tile_rows / 2);
                int column = lane % 4 * 4 + n % 4 + n / 4 * (tile_columns / 2);
                float *to = total + row * tile_columns + column;
                *to = warp == 0 ? sums[m][n] : *to + sums[m][n];
            }
    }
    __syncthreads();
}

// A block owns 64 output channels by 32 columns of split blockIdx.z; every warp an eighth of its
// pixels.
template <typename T>
static __global__ void __launch_bounds__(block_threads, 2)
    weight_gradient_first_layer_kernel(struct conv2d_shape shape, struct weight_gradient_sink sink,
                                       const T *src, const T *d_dst, bool rounds) {
    DYNAMIC_SHARED(bytes);
    float *tiles = (float *)bytes;
    int row = (int)blockIdx.y * tile_rows, column = (int)blockIdx.x * tile_columns;
    struct reader<T> reader;
    reader_init(&reader, &shape, &sink, src, d_dst, row, column);
    int begin = split_pixels(&reader.range, (int)blockIdx.z, sink.n_splits, n_rows).begin;
    int n_steps = ceil_div(max(reader.end - begin, 0), n_rows);
    uint4 d_dst_read[sizeof(T) / 2];
    float src_read[n_rows / n_warps];
    float sums[8][8] = {};
    read_step(&reader, &shape, d_dst_read, src_read);
    for (int s = 0; s < n_steps; s++) {
        float *d_dst_tile = tiles + s % 2 * stage_floats;
        float *src_tile = d_dst_tile + n_rows * tile_rows;
        keep_step<T>(d_dst_tile, src_tile, d_dst_read, src_read, rounds);
        __syncthreads(); // all threads are done with step s - 1, so the other half is free
        read_step(&reader, &shape, d_dst_read, src_read);
        multiply_step(d_dst_tile, src_tile, sums);
    }
    add_warps(tiles, sums);
    for (int i = (int)threadIdx.x; i < tile_rows * tile_columns; i += block_threads) {
        struct sink_column to;
        sink_column_init(&to, &sink, (int)blockIdx.z, column + i % tile_columns);
        sink_put(&to, row + i / tile_columns, tiles[i]);
    }
}

adele_status weight_gradient_first_layer(const struct weight_gradient_call *call) {
    dim3 grid(ceil_div(call->sink.n_columns, tile_columns), ceil_div(call->sink.c_out, tile_rows),
              call->sink.n_splits);
    return WITH_STORAGE(call->context, T,
                        LAUNCH(call->context, weight_gradient_first_layer_kernel<T>, grid,
                               block_threads, 2 * stage_floats * sizeof(float), call->plan->shape,
                               call->sink, (const T *)call->src, (const T *)call->d_dst,
                               rounds_operands(call)));
}

} // namespace adele_cuda
