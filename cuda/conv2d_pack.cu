// SPDX-License-Identifier: MIT
// Weights of a convolution, from the plain float array (c_out, c_in, taps) into the order in which
// the tuned kernels read them: (rows, taps, p_source), a row for each target channel, so that what
// a target channel is multiplied by lies in one run, vectors of 8 source channels at a time. Rows
// are the output channels in the forward pass and the input channels in the data gradient, which is
// where the transposition happens. Rounded once here instead of at every use; zeros beyond the
// channels that there are. Overwrites `packed`.
//
// Reading in the written order would touch a 32-byte sector for every float: so a block carries its
// part of the array through shared memory, and both its reads and its writes are runs.
#include "conv2d_round.cuh"

namespace adele_cuda {

static const int n_threads = 256;
static const int tile_rows = 8;      // with 32 channels and 25 taps: 26 KB of shared memory
static const int tile_channels = 32; // one warp writes one run

// One block owns tile_rows rows x tile_channels source channels x all taps.
template <typename T>
static __global__ void pack_kernel(const struct conv2d_gather gather, enum conv2d_math math,
                                   int n_rows,
                                   const float *weight, // strides as the gather says
                                   T *packed) {         // (n_rows, taps, p_source)
    DYNAMIC_SHARED(shared);
    float *tile = (float *)shared;
    int n_taps = gather.kernel * gather.kernel;
    int row_first = (int)blockIdx.x * tile_rows, channel_first = (int)blockIdx.y * tile_channels;
    // In the plain array one of the two lies inside the other: the inner one's tile is a run.
    bool rows_inside = gather.target_stride < gather.source_stride;
    int n_inner = rows_inside ? tile_rows : tile_channels;
    int run = n_inner * n_taps;
    int pitch = run | 1; // odd: no bank conflicts across runs
    for (int i = (int)threadIdx.x; i < tile_rows * tile_channels * n_taps; i += n_threads) {
        int outer = i / run, in_run = i % run;
        int inner = in_run / n_taps, tap = in_run % n_taps;
        int row = row_first + (rows_inside ? inner : outer);
        int channel = channel_first + (rows_inside ? outer : inner);
        float value = 0.0f;
        if (row < gather.c_target && channel < gather.c_source)
            value = weight[row * gather.target_stride + channel * gather.source_stride + tap];
        tile[outer * pitch + in_run] = conv2d_round(value, math);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < tile_rows * tile_channels * n_taps; i += n_threads) {
        int channel = i % tile_channels, tap = i / tile_channels % n_taps;
        int row = i / tile_channels / n_taps;
        int outer = rows_inside ? channel : row, inner = rows_inside ? row : channel;
        if (row_first + row < n_rows && channel_first + channel < gather.p_source)
            packed[((int64_t)(row_first + row) * n_taps + tap) * gather.p_source + channel_first +
                   channel] = from_float<T>(tile[outer * pitch + inner * n_taps + tap]);
    }
}

template <typename T>
static adele_status run(const struct cuda_context *context, const struct conv2d_gather *gather,
                        enum conv2d_math math, int n_rows, const float *weight, void *packed) {
    dim3 grid((unsigned)ceil_div(n_rows, tile_rows),
              (unsigned)ceil_div(gather->p_source, tile_channels));
    int n_taps = gather->kernel * gather->kernel;
    size_t bytes = ((size_t)tile_rows * tile_channels * (size_t)n_taps + tile_channels) *
                   sizeof(float); // a word of padding for each of at most 32 runs
    return LAUNCH(context, pack_kernel<T>, grid, n_threads, bytes, *gather, math, n_rows, weight,
                  (T *)packed);
}

adele_status conv2d_pack(const struct cuda_context *context, const struct conv2d_gather *gather,
                         enum conv2d_math math, int n_rows, const float *weight, void *packed) {
    return WITH_STORAGE(context, run, context, gather, math, n_rows, weight, packed);
}

} // namespace adele_cuda
