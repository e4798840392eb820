// SPDX-License-Identifier: MIT
// The kernel of aspp_fma.cu and aspp_mma.cu: all rates of a pyramid (aspp_parts.cuh) as one
// implicit matrix product, M = target pixels, N = target channels, K = taps of all rates x source
// channels. A block owns ASPP_TILE pixels x bn channels and visits only the taps that reach inside
// the image from one of its pixels, which a table of the host lists; the sum over the rates stays
// in its registers.
//
// The stages of shared memory, their rows of 64 bytes and the main loop are those of
// conv2d_tile.cuh: K advances by vectors of 16 bytes, four per step, and vectors of several taps
// share a step when a pixel has few channels.
#ifndef ADELE_CUDA_ASPP_ASPP_TILE_CUH
#define ADELE_CUDA_ASPP_ASPP_TILE_CUH

#include "aspp/aspp_parts.cuh"
#include "conv2d/conv2d_sums.cuh"

namespace adele_cuda {

#define ASPP_OUTSIDE (-(1 << 20)) // a coordinate that no tap brings inside

struct aspp_live_tap {
    int y, x;
    int source;    // vectors from a pixel's first to the tap's first of the source pixel
    int weights;   // vectors from the row's first to this tap's
    int n_vectors; // that the source pixel has from there on
};
struct aspp_rows {
    int target[ASPP_TILE]; // number of the target pixel, -1 beyond the last
    int y[ASPP_TILE], x[ASPP_TILE];
    struct aspp_live_tap live[ASPP_MAX_TAPS];
};

// Fills `rows` for tile `i_tile` of a group; returns the number of live taps. All threads call it;
// it ends with a barrier.
template <int n_threads>
static __device__ inline int aspp_list_rows(const struct aspp_gather &gather, int i_group,
                                            int i_tile, int vectors_per_pixel, int vectors_per_tap,
                                            struct aspp_rows &rows) {
    int64_t tile = (int64_t)i_group * gather.n_tiles + i_tile;
    const struct aspp_group &group = gather.groups[i_group];
    for (int r = (int)threadIdx.x; r < ASPP_TILE; r += n_threads) {
        int target = gather.order[tile * ASPP_TILE + r];
        rows.target[r] = target;
        rows.x[r] = target < 0 ? ASPP_OUTSIDE : target % gather.w;
        rows.y[r] = target < 0 ? ASPP_OUTSIDE : target / gather.w % gather.h;
    }
    int t = (int)threadIdx.x; // there are more threads than taps
    int n_live = 0, place = 0;
    bool is_live = false;
#pragma unroll
    for (int i = 0; i < ASPP_MASK_WORDS; i++) {
        uint32_t word = gather.masks[tile * ASPP_MASK_WORDS + i];
        uint32_t before = t >= 32 * (i + 1) ? 0xffffffffu : 0u;
        if (t / 32 == i) {
            before = (1u << (t % 32)) - 1u;
            is_live = (word >> (t % 32) & 1u) != 0;
        }
        n_live += __popc(word);
        place += __popc(word & before);
    }
    if (is_live) {
        struct aspp_tap tap = gather.taps[group.tap_first + t];
        int vector = tap.channel / 8 * (vectors_per_tap / (gather.k_width / 8));
        struct aspp_live_tap live = {tap.y, tap.x,
                                     (tap.y * gather.w + tap.x) * vectors_per_pixel + vector,
                                     t * vectors_per_tap, vectors_per_pixel - vector};
        rows.live[place] = live;
    }
    __syncthreads();
    return n_live;
}

// What a thread keeps: it copies vector `tid % 4` of every (n_threads / 4)-th row.
template <int n_threads> struct aspp_loader {
    int origin[ASPP_TILE * CONV2D_STEP_VECTORS / n_threads]; // vectors before the target pixel's
    int y[ASPP_TILE * CONV2D_STEP_VECTORS / n_threads];
    int x[ASPP_TILE * CONV2D_STEP_VECTORS / n_threads];
    int i_tap, n_taps; // of the list of live taps
    int vector;        // of the tap's
    int vectors_per_tap;
};

template <int n_threads>
static __device__ inline void aspp_loader_advance(struct aspp_loader<n_threads> &loader) {
    while (loader.i_tap < loader.n_taps && loader.vector >= loader.vectors_per_tap) {
        loader.vector -= loader.vectors_per_tap;
        loader.i_tap++;
    }
}

template <int n_threads>
static __device__ inline struct aspp_loader<n_threads>
aspp_loader_begin(const struct aspp_rows &rows, int n_taps, int vectors_per_pixel,
                  int vectors_per_tap) {
    struct aspp_loader<n_threads> loader;
    int row = (int)threadIdx.x / CONV2D_STEP_VECTORS;
#pragma unroll
    for (int i = 0; i < ASPP_TILE * CONV2D_STEP_VECTORS / n_threads; i++) {
        int r = row + i * (n_threads / CONV2D_STEP_VECTORS);
        loader.origin[i] = rows.target[r] * vectors_per_pixel;
        loader.y[i] = rows.y[r];
        loader.x[i] = rows.x[r];
    }
    loader.i_tap = 0;
    loader.n_taps = n_taps;
    loader.vector = (int)threadIdx.x % CONV2D_STEP_VECTORS;
    loader.vectors_per_tap = vectors_per_tap;
    aspp_loader_advance(loader);
    return loader;
}

// Starts the copies of the next step into `stage` and moves on. `weights` is the row of the block's
// first target channel, of which n_rows have weights; a row has weight_vectors vectors.
template <int bn, int n_threads>
static __device__ inline void
aspp_loader_fill(struct aspp_loader<n_threads> &loader, const struct aspp_rows &rows, int h, int w,
                 const uint4 *source, const uint4 *weights, int n_rows, int weight_vectors,
                 unsigned char *stage) {
    const int rows_apart = n_threads / CONV2D_STEP_VECTORS;
    int row = (int)threadIdx.x / CONV2D_STEP_VECTORS;
    int v = (int)threadIdx.x % CONV2D_STEP_VECTORS;
    bool is_live = loader.i_tap < loader.n_taps;
    struct aspp_live_tap tap = rows.live[is_live ? loader.i_tap : 0];
    bool is_there = is_live && loader.vector < tap.n_vectors;
#pragma unroll
    for (int i = 0; i < ASPP_TILE / rows_apart; i++) {
        bool is_inside = is_there && (unsigned)(loader.y[i] + tap.y) < (unsigned)h &&
                         (unsigned)(loader.x[i] + tap.x) < (unsigned)w;
        int at = is_inside ? loader.origin[i] + tap.source + loader.vector : 0;
        cp_async_16(conv2d_slot(stage, row + i * rows_apart, v), source + at, is_inside);
    }
#pragma unroll
    for (int i = 0; i < bn / rows_apart; i++) {
        bool is_row = is_live && row + i * rows_apart < n_rows;
        int64_t at =
            is_row ? (int64_t)(row + i * rows_apart) * weight_vectors + tap.weights + loader.vector
                   : 0;
        cp_async_16(conv2d_slot(stage, ASPP_TILE + row + i * rows_apart, v), weights + at, is_row);
    }
    loader.vector += CONV2D_STEP_VECTORS;
    aspp_loader_advance(loader);
}

// ---- the finished tile --------------------------------------------------------------------------

// The branches' biases of a target channel, `channel` of the group's.
static __device__ inline float aspp_bias(const struct aspp_group &group,
                                         const struct aspp_pointers &biases, int c_out,
                                         int channel) {
    float sum = 0.0f;
#pragma unroll
    for (int r = 0; r < ADELE_MAX_RATES; r++) // with constant numbers, they stay parameters
        if (r >= group.bias_first && r < group.bias_first + group.n_biases && channel < c_out)
            sum += __ldg(biases.of[r] + channel);
    return sum;
}

// Writes the block's tile, which lies as floats in shared memory, to channels column_first.. of the
// group: adds the biases and, on request, what is there. A branch of CONCAT may begin between the
// vectors of a pixel: then channel by channel. Padding channels have no weights and come out as
// zeros. All threads call it after a barrier.
template <typename T, int bn, int n_threads>
static __device__ inline void
aspp_tile_store(const struct aspp_gather &gather, const struct aspp_group &group,
                const struct aspp_rows &rows, const float *tile, int column_first, int c_out,
                const struct aspp_pointers &biases, T *target, bool accumulate) {
    static_assert(n_threads % (bn / 8) == 0, "a thread stays with its 8 channels");
    bool is_aligned = group.channel_first % 8 == 0;
    int column = (int)threadIdx.x % (bn / 8) * 8;
    int channel = column_first + column;
    int n_valid = min(group.channels - channel, 8);
    if (n_valid <= 0)
        return;
    float bias[8];
#pragma unroll
    for (int j = 0; j < 8; j++)
        bias[j] = aspp_bias(group, biases, c_out, channel + j);
    for (int row = (int)threadIdx.x / (bn / 8); row < ASPP_TILE; row += n_threads / (bn / 8)) {
        if (rows.target[row] < 0)
            continue;
        T *to =
            target + (int64_t)rows.target[row] * gather.p_target + group.channel_first + channel;
        float values[8];
        load8(tile + row * CONV2D_TILE_PITCH(bn) + column, values);
        bool is_vector = is_aligned && n_valid == 8;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            values[j] += bias[j];
            if (accumulate && j < n_valid)
                values[j] += to_float(to[j]);
            if (!is_vector && j < n_valid)
                to[j] = from_float<T>(values[j]);
        }
        if (is_vector)
            store8(to, values);
    }
}

// ---- the kernel ---------------------------------------------------------------------------------

// Warps that share a multiprocessor's registers: 16 leave 128 to a thread, which sums and operands
// of the float kernel overrun. Sums of 64 x 64 take 128 registers by themselves.
#define ASPP_WARPS_RESIDENT(math, bn, n_warps)                                                     \
    (ASPP_TILE * (bn) / (n_warps) == 64 * 64 ? 8 : (math) == CONV2D_FMA ? 12 : 16)

// One block owns tile blockIdx.x / n_columns of group blockIdx.y x bn of its channels; warps_m x
// warps_n warps share them out. The blocks of one tile of pixels follow one another, so that its
// source is read from memory once. Sums: fma_sums or mma_sums of conv2d_sums.cuh.
template <typename T, int math, typename Sums, int bn, int n_warps>
static __global__ void __launch_bounds__(n_warps * 32,
                                         ASPP_WARPS_RESIDENT(math, bn, n_warps) / n_warps)
    aspp_kernel(const struct aspp_gather gather, const struct aspp_product product) {
    const int n_threads = n_warps * 32;
    DYNAMIC_SHARED(shared);
    SHARED(struct aspp_rows, rows, );
    const struct aspp_group &group = gather.groups[blockIdx.y];
    int n_columns = product.n_columns, column_first = (int)blockIdx.x % n_columns * bn;
    const int per_vector = 16 / (int)sizeof(T);
    int vectors_per_pixel = gather.p_source / per_vector;
    int vectors_per_tap = gather.k_width / per_vector;
    int n_taps = aspp_list_rows<n_threads>(gather, (int)blockIdx.y, (int)blockIdx.x / n_columns,
                                           vectors_per_pixel, vectors_per_tap, rows);
    struct aspp_loader<n_threads> loader =
        aspp_loader_begin<n_threads>(rows, n_taps, vectors_per_pixel, vectors_per_tap);
    int weight_vectors = group.n_taps * vectors_per_tap;
    int n_rows = group.channels - column_first;
    const uint4 *source = (const uint4 *)product.source;
    const uint4 *weights = (const uint4 *)((const T *)product.weights + group.weights) +
                           (int64_t)column_first * weight_vectors;
    int n_steps = (n_taps * vectors_per_tap + CONV2D_STEP_VECTORS - 1) / CONV2D_STEP_VECTORS;
    if (n_rows <= 0) // a narrower group has no such columns: the whole block returns
        return;
    Sums sums;
    sums.clear();
    conv2d_pipeline(
        n_steps, (ASPP_TILE + bn) * CONV2D_ROW_BYTES, shared,
        [&](unsigned char *stage) {
            aspp_loader_fill<bn, n_threads>(loader, rows, gather.h, gather.w, source, weights,
                                            n_rows, weight_vectors, stage);
        },
        [&](unsigned char *stage) { sums.multiply(stage); });
    float *tile = (float *)shared;
    sums.store(tile);
    __syncthreads();
    aspp_tile_store<T, bn, n_threads>(gather, group, rows, tile, column_first, product.c_out,
                                      product.biases, (T *)product.target, product.accumulate);
}

// ---- launching ----------------------------------------------------------------------------------

// Fills in the launch for tiles of bn channels, and allows the kernel's shared memory.
template <typename T, int math, typename Sums, int bn, int n_warps>
static adele_status aspp_choose(const struct aspp_gather *gather, struct aspp_launch *out) {
    int most_channels = 0;
    for (int g = 0; g < gather->n_groups; g++)
        most_channels = max(most_channels, gather->groups[g].channels);
    out->kernel = aspp_kernel<T, math, Sums, bn, n_warps>;
    out->n_columns = ceil_div(most_channels, bn);
    out->n_threads = n_warps * 32;
    out->shared_bytes = conv2d_tile_bytes(ASPP_TILE, bn);
    return ALLOW_SHARED(out->kernel, out->shared_bytes);
}

// Narrow tiles for few classes: 64 channels or less waste half of a wide one.
static inline bool aspp_is_narrow(const struct aspp_gather *gather) {
    return gather->groups[gather->n_groups - 1].channels <= 64;
}

} // namespace adele_cuda
#endif
