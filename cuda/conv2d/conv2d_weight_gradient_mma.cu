// SPDX-License-Identifier: MIT
// The weight gradient on tensor cores: the matrix product of conv2d_weight_gradient.cuh by
// mma.sync, float sums.
//
// src, d_dst: tensors (N, H, W, P), bf16; or float, whose elements are rounded to bf16 or TF32 on
// the way from shared memory to the tensor cores. Sums go to the call's sink. Deterministic: a
// weight of a split belongs to one warp, which takes the pixels in order.
//
// What it improves on the FMA kernel: the tensor cores multiply 16 x 8 weights by 8 or 16 pixels in
// one instruction. Both operands lie pixel by pixel, and the tensor core takes pairs of pixels in a
// register: for bf16 ldmatrix.trans transposes them; for float tensors the rows of
// shared memory are padded so that reading down a column meets no bank conflict.
#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

static const int n_stages = 4; // steps in flight; 68 KB at tile 128, so that two blocks fit

// Pixels of a step: 64 bytes of a column in either type.
template <typename T> __host__ __device__ constexpr int rows_of_step() {
    return 64 / (int)sizeof(T);
}
// Elements between two pixels. bf16: 8 pixels begin on different 16-byte columns of the banks, as
// ldmatrix requires. Float: pixels 2 t of lanes t = 0..3 begin 8 banks apart, as read_column
// requires.
template <typename T, int tile> __host__ __device__ constexpr int pitch_of() {
    return tile + 16 / (int)sizeof(T);
}
// 2 x 2 warps, of which each owns a quarter of the tile: 64 x 64 weights of a tile of 128, whose
// operands take three quarters of the shared memory's cycles that 64 x 32 would take.
static const int n_threads = 128;
template <typename T, int tile> static constexpr int shared_bytes() {
    return n_stages * 2 * rows_of_step<T>() * pitch_of<T, tile>() * (int)sizeof(T);
}

// ---- operands -----------------------------------------------------------------------------------
// bf16 multiplies 16 pixels at once. A fragment a (16 rows of weights) or b (8 columns, here for
// two neighbouring blocks of 8) from a tile whose first of the 16 pixels is `from`, at channel c.

template <int pitch>
static __device__ inline void read_rows(const bf16 *from, int c, bool, uint32_t a[4]) {
    int lane = (int)threadIdx.x % 32, matrix = lane / 8;
    ldmatrix_x4_trans(a, from + (lane % 8 + matrix / 2 * 8) * pitch + c + matrix % 2 * 8);
}

template <int pitch>
static __device__ inline void read_columns(const bf16 *from, int c, bool, uint32_t b[4]) {
    int lane = (int)threadIdx.x % 32, matrix = lane / 8;
    ldmatrix_x4_trans(b, from + (lane % 8 + matrix % 2 * 8) * pitch + c + matrix / 2 * 8);
}

// Pixels 2 t and 2 t + 1 (t = lane % 4) of one channel: as a pair of bf16 in one word.
template <int pitch> static __device__ inline uint32_t read_pair(const float *from, int c) {
    const float *at = from + (int)threadIdx.x % 4 * 2 * pitch + c;
    return pack_bf16(at[0], at[pitch]);
}

template <int pitch>
static __device__ inline void read_rows(const float *from, int c, bool is_tf32, uint32_t a[4]) {
    c += (int)threadIdx.x % 32 / 4;
    if (!is_tf32) {
        a[0] = read_pair<pitch>(from, c);
        a[1] = read_pair<pitch>(from, c + 8);
        a[2] = read_pair<pitch>(from + 8 * pitch, c);
        a[3] = read_pair<pitch>(from + 8 * pitch, c + 8);
        return;
    }
    const float *at = from + (int)threadIdx.x % 4 * 2 * pitch + c;
    a[0] = to_tf32(at[0]);
    a[1] = to_tf32(at[8]);
    a[2] = to_tf32(at[pitch]);
    a[3] = to_tf32(at[pitch + 8]);
}

template <int pitch>
static __device__ inline void read_columns(const float *from, int c, bool is_tf32, uint32_t b[4]) {
    c += (int)threadIdx.x % 32 / 4;
    if (!is_tf32) {
        b[0] = read_pair<pitch>(from, c);
        b[1] = read_pair<pitch>(from + 8 * pitch, c);
        b[2] = read_pair<pitch>(from, c + 8);
        b[3] = read_pair<pitch>(from + 8 * pitch, c + 8);
        return;
    }
    const float *at = from + (int)threadIdx.x % 4 * 2 * pitch + c;
    b[0] = to_tf32(at[0]);
    b[1] = to_tf32(at[pitch]);
    b[2] = to_tf32(at[8]);
    b[3] = to_tf32(at[pitch + 8]);
}

// ---- the kernel ---------------------------------------------------------------------------------

// A warp's weights: n_m blocks of 16 rows by n_n blocks of 8 columns. TF32 takes 8 pixels at once,
// in the order 0 2 4 6 1 3 5 7 for both operands, which is as good as any for a sum.
template <typename T, bool is_tf32, int tile, int n_m, int n_n>
static __device__ inline void multiply_step(const T *d_dst_tile, const T *src_tile, int row,
                                            int column, float sums[n_m][n_n][4]) {
    constexpr int pitch = pitch_of<T, tile>(), n_pixels = is_tf32 ? 8 : 16;
#pragma unroll
    for (int k = 0; k < rows_of_step<T>(); k += n_pixels) {
        uint32_t b[n_n / 2][4];
#pragma unroll
        for (int n = 0; n < n_n / 2; n++)
            read_columns<pitch>(src_tile + k * pitch, column + n * 16, is_tf32, b[n]);
#pragma unroll
        for (int m = 0; m < n_m; m++) {
            uint32_t a[4];
            read_rows<pitch>(d_dst_tile + k * pitch, row + m * 16, is_tf32, a);
#pragma unroll
            for (int n = 0; n < n_n; n++) {
                if (is_tf32)
                    mma_tf32_16x8x8(sums[m][n], a, &b[n / 2][n % 2 * 2]);
                else
                    mma_bf16_16x8x16(sums[m][n], a, &b[n / 2][n % 2 * 2]);
            }
        }
    }
}

// A block owns tile x tile weights (column blockIdx.x * tile, row blockIdx.y * tile) of split
// blockIdx.z.
template <typename T, bool is_tf32, int tile>
static __global__ void __launch_bounds__(n_threads, tile == 128 ? 2 : 4)
    weight_gradient_mma_kernel(struct conv2d_shape shape, struct weight_gradient_sink sink,
                               const T *src, const T *d_dst) {
    constexpr int n_rows = rows_of_step<T>();
    constexpr int pitch = pitch_of<T, tile>(), n_m = tile / 2 / 16, n_n = tile / 2 / 8;
    DYNAMIC_SHARED(bytes);
    int row = (int)blockIdx.y * tile, column = (int)blockIdx.x * tile, split = (int)blockIdx.z;
    struct tile_loader<T> loader;
    loader_init<T, tile, n_threads, n_rows>(&loader, &shape, &sink, src, d_dst, row, column, split);
    int begin = split_pixels(&loader.range, split, sink.n_splits, n_rows).begin;
    int n_steps = ceil_div(max(loader.end - begin, 0), n_rows);
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int warp_row = warp % 2 * (tile / 2), warp_column = warp / 2 * (tile / 2);
    float sums[n_m][n_n][4] = {};
    weight_gradient_pipeline<tile, n_threads, n_rows, pitch, n_stages>(
        loader, shape, n_steps, (T *)bytes, [&](const T *d_dst_tile, const T *src_tile) {
            multiply_step<T, is_tf32, tile, n_m, n_n>(d_dst_tile, src_tile, warp_row, warp_column,
                                                      sums);
        });
    row += warp_row + lane / 4;
    column += warp_column + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < n_n * 2; n++) {
        struct sink_column to;
        sink_column_init(&to, &sink, split, column + n / 2 * 8 + n % 2);
#pragma unroll
        for (int m = 0; m < n_m * 2; m++)
            sink_put(&to, row + m * 8, sums[m / 2][n / 2][m % 2 * 2 + n % 2]);
    }
}

// ---- launching ----------------------------------------------------------------------------------

template <typename T, bool is_tf32, int tile>
static adele_status launch_kernel(const struct weight_gradient_call *call) {
    dim3 grid(ceil_div(call->sink.n_columns, tile), ceil_div(call->sink.c_out, tile),
              call->sink.n_splits);
    return LAUNCH(call->context, (weight_gradient_mma_kernel<T, is_tf32, tile>), grid, n_threads,
                  (shared_bytes<T, tile>()), call->plan->shape, call->sink, (const T *)call->src,
                  (const T *)call->d_dst);
}

template <int tile> static adele_status launch_tile(const struct weight_gradient_call *call) {
    if (call->context->storage == ADELE_PRECISION_BF16)
        return launch_kernel<bf16, false, tile>(call);
    return call->plan->math == CONV2D_TF32 ? launch_kernel<float, true, tile>(call)
                                           : launch_kernel<float, false, tile>(call);
}

adele_status weight_gradient_mma(const struct weight_gradient_call *call) {
    return call->plan->tile == 128 ? launch_tile<128>(call) : launch_tile<64>(call);
}

template <int tile> static adele_status prepare_tile() {
    TRY(ALLOW_SHARED((weight_gradient_mma_kernel<bf16, false, tile>),
                     (shared_bytes<bf16, tile>())));
    TRY(ALLOW_SHARED((weight_gradient_mma_kernel<float, false, tile>),
                     (shared_bytes<float, tile>())));
    return ALLOW_SHARED((weight_gradient_mma_kernel<float, true, tile>),
                        (shared_bytes<float, tile>()));
}

adele_status weight_gradient_mma_prepare() {
    TRY(prepare_tile<64>());
    return prepare_tile<128>();
}

} // namespace adele_cuda
