// SPDX-License-Identifier: MIT
// A block's share of packing weights, for the kernel of one convolution (conv2d_pack.cu) and for
// the one of all of a network's (pack.cu). conv2d_pack.cu describes the layout.
//
// Reading in the written order would touch a 32-byte sector for every float: so a block carries its
// part of the array through shared memory, and both its reads and its writes are runs.
#ifndef ADELE_CUDA_CONV2D_CONV2D_PACK_CUH
#define ADELE_CUDA_CONV2D_CONV2D_PACK_CUH

#include "conv2d/conv2d_round.cuh"

namespace adele_cuda {

#define CONV2D_PACK_THREADS  256
#define CONV2D_PACK_CHANNELS 32 // one warp writes one run

// Dynamic shared memory: a word of padding for each of at most 32 runs.
static __host__ __device__ inline int64_t conv2d_pack_bytes_of(int n_rows, int n_taps) {
    return ((int64_t)n_rows * CONV2D_PACK_CHANNELS * n_taps + CONV2D_PACK_CHANNELS) *
           (int64_t)sizeof(float);
}

// Rows of a block: 8, or what 48 KB hold, which every kernel may use; 4 for 7 x 7. 0: not even one
// fits.
static __host__ __device__ inline int conv2d_pack_rows(int n_taps) {
    int n_rows = 8;
    while (n_rows > 0 && conv2d_pack_bytes_of(n_rows, n_taps) > 48 * 1024)
        n_rows /= 2;
    return n_rows;
}

static inline size_t conv2d_pack_shared_bytes(int n_taps) {
    return (size_t)conv2d_pack_bytes_of(conv2d_pack_rows(n_taps), n_taps);
}

// A block of CONV2D_PACK_THREADS: conv2d_pack_rows rows from row_first x CONV2D_PACK_CHANNELS
// source channels from channel_first x all taps.
template <typename T>
static __device__ inline void conv2d_pack_tile(const struct conv2d_packing &packing,
                                               enum conv2d_math math, int row_first,
                                               int channel_first,
                                               const float *weight, // strides as in the packing
                                               float *tile,         // shared
                                               T *packed) {         // (n_rows, taps, p_source)
    const int channels = CONV2D_PACK_CHANNELS;
    const int n_taps = packing.n_taps, rows = conv2d_pack_rows(n_taps);
    // In the plain array one of the two lies inside the other: the inner one's tile is a run.
    bool rows_inside = packing.target_stride < packing.source_stride;
    int n_inner = rows_inside ? rows : channels;
    int run = n_inner * n_taps;
    int pitch = run | 1; // odd: no bank conflicts across runs
    for (int i = (int)threadIdx.x; i < rows * channels * n_taps; i += CONV2D_PACK_THREADS) {
        int outer = i / run, in_run = i % run;
        int inner = in_run / n_taps, tap = in_run % n_taps;
        int row = row_first + (rows_inside ? inner : outer);
        int channel = channel_first + (rows_inside ? outer : inner);
        float value = 0.0f;
        if (row < packing.c_target && channel < packing.c_source)
            value = weight[row * packing.target_stride + channel * packing.source_stride + tap];
        tile[outer * pitch + in_run] = conv2d_round(value, math);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < rows * channels * n_taps; i += CONV2D_PACK_THREADS) {
        int channel = i % channels, tap = i / channels % n_taps;
        int row = i / channels / n_taps;
        int outer = rows_inside ? channel : row, inner = rows_inside ? row : channel;
        if (row_first + row < packing.n_rows && channel_first + channel < packing.p_source)
            packed[((int64_t)(row_first + row) * n_taps + tap) * packing.p_source + channel_first +
                   channel] = from_float<T>(tile[outer * pitch + inner * n_taps + tap]);
    }
}

} // namespace adele_cuda
#endif
