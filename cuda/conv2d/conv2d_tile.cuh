// SPDX-License-Identifier: MIT
// What conv2d_fma.cu and conv2d_mma.cu share: the product that gathers (conv2d_parts.cuh) as an
// implicit matrix product, M = target pixels, N = target channels, K = taps x source
// channels. A block owns bm pixels x bn channels. K is processed in vectors of 16 bytes of channels
// (8 bf16 or 4 float), four of them a step: a stage of shared memory holds, for one step, a row of
// 64 bytes for each pixel (its source channels) and one for each target channel (its weights).
// Both have K innermost in global memory, so a row's part is one copy of 16 bytes a vector,
// straight into shared memory (cp.async); a vector outside the image is filled with zeros there.
// Four stages: while one is multiplied, three are being copied.
//
// Steps run over the block's live taps only. Vectors of several taps share a step when a pixel has
// few channels (one tap of 8 bf16 channels is one vector), so K is filled up to a step only once.
//
// Layout of a row: vector v of row r lies in slot v ^ (r / 2 % 4), so that the 8 rows that one
// ldmatrix (or a quarter of a warp) reads at the same v are in 8 different groups of 4 banks; two
// rows fill the 32 banks.
#ifndef ADELE_CUDA_CONV2D_CONV2D_TILE_CUH
#define ADELE_CUDA_CONV2D_CONV2D_TILE_CUH

#include "conv2d/conv2d_round.cuh"

namespace adele_cuda {

#define CONV2D_STEP_VECTORS 4
#define CONV2D_ROW_BYTES    (CONV2D_STEP_VECTORS * 16)
#define CONV2D_STAGES       4
// Floats between the rows of the finished tile in shared memory: the 8 more spread 4 rows over the
// 32 banks.
#define CONV2D_TILE_PITCH(bn) ((bn) + 8)

static inline size_t conv2d_tile_bytes(int bm, int bn) {
    size_t stages = (size_t)CONV2D_STAGES * (size_t)(bm + bn) * CONV2D_ROW_BYTES;
    size_t staged = (size_t)bm * (size_t)CONV2D_TILE_PITCH(bn) * sizeof(float);
    return stages > staged ? stages : staged;
}

// What to allow a kernel: its static arrays count too once the sum passes 48 KB.
static inline size_t conv2d_tile_allowed(int bm, int bn) {
    return conv2d_tile_bytes(bm, bn) + 4096;
}

// Fills in the launch of a kernel whose blocks own bm pixels x bn channels, and allows its shared
// memory; adele_status.
#define CONV2D_TILE_LAUNCH(out, gather, kernel, bm, bn, n_warps)                                   \
    (conv2d_launch_set((out), (kernel), #kernel, __FILE__, conv2d_tile_blocks((gather), bm, bn),   \
                       (n_warps)*32, conv2d_tile_bytes(bm, bn)),                                   \
     ALLOW_SHARED(kernel, conv2d_tile_allowed(bm, bn)))

static inline int conv2d_tile_blocks(const struct conv2d_gather *gather, int bm, int bn) {
    int n_pixels = gather->first[gather->n_y * gather->n_x];
    return ceil_div(n_pixels, bm) * ceil_div(gather->p_target, bn);
}

// The shared address of vector v of row r of a stage.
static __device__ inline unsigned char *conv2d_slot(unsigned char *stage, int r, int v) {
    return stage + r * CONV2D_ROW_BYTES + ((v ^ (r >> 1 & 3)) << 4);
}

// ---- the block's pixels -------------------------------------------------------------------------

// A pixel's live taps: bit kx of the columns, and bit 16 + ky of the rows, that lie inside. Tap
// (ky, kx) is live where both are set. So one word serves kernels of any size, where a bit a tap
// would not: 7 x 7 are 49.
struct conv2d_live_tap {
    unsigned bits; // a pixel's that make the tap live
    int source;    // vectors from a pixel's origin to the source pixel
    int weights;   // vectors from the row's first to this tap's
};
#define CONV2D_TAP_WORDS ((CONV2D_MAX_TAPS + 31) / 32)
static_assert(CONV2D_TAP_WORDS == 2 && CONV2D_MAX_KERNEL <= 8, "two words hold a bit a tap");
template <int bm> struct conv2d_rows {
    int origin[bm];                 // vectors from the tensor's first to the pixel's source origin
    int target[bm];                 // number of the target pixel, -1 beyond the last
    unsigned taps[bm];              // live taps, as above
    unsigned any[CONV2D_TAP_WORDS]; // taps that any pixel has, a bit each: bit ky kernel + kx
    int n_live;
    struct conv2d_live_tap live[CONV2D_MAX_TAPS];
};

// Live taps of an axis at coordinate `at`; *origin: the source coordinate before a tap's quotient.
static __device__ inline unsigned conv2d_axis(const struct conv2d_gather &gather, int at,
                                              int extent, int *origin) {
    int t = at * gather.multiply + gather.offset;
    int quotient = gather.divide == 1 ? t : t / gather.divide;
    int rest = t - quotient * gather.divide;
    unsigned taps = 0;
    for (int k = 0; k < gather.kernel; k++) {
        int from = quotient + gather.sign * gather.quotient[k];
        if (rest == gather.rest[k] && from >= 0 && from < extent)
            taps |= 1u << k;
    }
    *origin = quotient;
    return taps;
}

// Fills in row r for pixel number `pixel` of the order of conv2d_gather.cu.
template <int bm>
static __device__ inline void conv2d_decode(const struct conv2d_gather &gather,
                                            struct conv2d_rows<bm> &rows, int r, int pixel,
                                            int vectors_per_pixel) {
    int n_rectangles = gather.n_y * gather.n_x;
    rows.taps[r] = 0;
    rows.origin[r] = 0;
    rows.target[r] = -1;
    if (pixel >= gather.first[n_rectangles])
        return;
    int rectangle = 0;
    while (pixel >= gather.first[rectangle + 1])
        rectangle++;
    int i_y = rectangle / gather.n_x, i_x = rectangle % gather.n_x;
    int height = gather.y[i_y].count, width = gather.x[i_x].count;
    int local = pixel - gather.first[rectangle];
    int x = gather.x[i_x].start + local % width * gather.step;
    int y = gather.y[i_y].start + local / width % height * gather.step;
    int image = local / width / height;
    int x_origin, y_origin;
    unsigned x_taps = conv2d_axis(gather, x, gather.w_source, &x_origin);
    unsigned y_taps = conv2d_axis(gather, y, gather.h_source, &y_origin);
    uint64_t taps = 0;
    for (int k = 0; k < gather.kernel; k++)
        if (y_taps >> k & 1)
            taps |= (uint64_t)x_taps << (k * gather.kernel);
    rows.taps[r] = x_taps | y_taps << 16;
    rows.origin[r] =
        ((image * gather.h_source + y_origin) * gather.w_source + x_origin) * vectors_per_pixel;
    rows.target[r] = (image * gather.h_target + y) * gather.w_target + x;
    atomicOr(&rows.any[0], (unsigned)taps);
    if (taps >> 32 != 0)
        atomicOr(&rows.any[1], (unsigned)(taps >> 32));
}

// Fills `rows` for the block's pixels from `pixel_first` on and lists the taps that any of them
// has. All threads call it; it ends with a barrier.
template <int bm, int n_threads>
static __device__ inline void conv2d_list_rows(const struct conv2d_gather &gather,
                                               struct conv2d_rows<bm> &rows, int pixel_first,
                                               int vectors_per_pixel) {
    int tid = (int)threadIdx.x;
    if (tid < CONV2D_TAP_WORDS)
        rows.any[tid] = 0;
    __syncthreads();
    for (int r = tid; r < bm; r += n_threads)
        conv2d_decode<bm>(gather, rows, r, pixel_first + r, vectors_per_pixel);
    __syncthreads();
    unsigned low = rows.any[0], high = rows.any[1];
    if (tid == 0)
        rows.n_live = __popc(low) + __popc(high);
    if (tid < gather.kernel * gather.kernel && ((tid < 32 ? low : high) >> tid % 32 & 1)) {
        unsigned before = (1u << tid % 32) - 1;
        int ky = tid / gather.kernel, kx = tid % gather.kernel;
        struct conv2d_live_tap tap;
        tap.bits = 1u << kx | 1u << (16 + ky);
        tap.source = gather.sign * (gather.quotient[ky] * gather.w_source + gather.quotient[kx]) *
                     vectors_per_pixel;
        tap.weights = tid * vectors_per_pixel;
        rows.live[tid < 32 ? __popc(low & before) : __popc(low) + __popc(high & before)] = tap;
    }
    __syncthreads();
}

// ---- filling stages -----------------------------------------------------------------------------

// What a thread keeps: it copies vector `tid % 4` of every (n_threads / 4)-th row.
template <int bm, int n_threads> struct conv2d_loader {
    int origin[bm * CONV2D_STEP_VECTORS / n_threads];
    unsigned taps[bm * CONV2D_STEP_VECTORS / n_threads];
    int weights; // vectors from the array's first to the thread's first row
    int i_tap;   // of the list of live taps
    int vector;  // of the tap's vectors_per_pixel
};

template <int bm, int n_threads>
static __device__ inline void conv2d_loader_advance(struct conv2d_loader<bm, n_threads> &loader,
                                                    const struct conv2d_rows<bm> &rows,
                                                    int vectors_per_pixel) {
    while (loader.i_tap < rows.n_live && loader.vector >= vectors_per_pixel) {
        loader.vector -= vectors_per_pixel;
        loader.i_tap++;
    }
}

template <int bm, int n_threads>
static __device__ inline struct conv2d_loader<bm, n_threads>
conv2d_loader_begin(const struct conv2d_rows<bm> &rows, int channel_first, int vectors_per_pixel,
                    int weight_vectors) {
    struct conv2d_loader<bm, n_threads> loader;
    int row = (int)threadIdx.x / CONV2D_STEP_VECTORS;
#pragma unroll
    for (int i = 0; i < bm * CONV2D_STEP_VECTORS / n_threads; i++) {
        loader.origin[i] = rows.origin[row + i * (n_threads / CONV2D_STEP_VECTORS)];
        loader.taps[i] = rows.taps[row + i * (n_threads / CONV2D_STEP_VECTORS)];
    }
    loader.weights = (channel_first + row) * weight_vectors;
    loader.i_tap = 0;
    loader.vector = (int)threadIdx.x % CONV2D_STEP_VECTORS;
    conv2d_loader_advance(loader, rows, vectors_per_pixel);
    return loader;
}

// Starts the copies of the next step into `stage` and moves on. A row of weights has weight_vectors
// vectors.
template <int bm, int bn, int n_threads>
static __device__ inline void
conv2d_loader_fill(struct conv2d_loader<bm, n_threads> &loader, const struct conv2d_rows<bm> &rows,
                   const uint4 *source, const uint4 *weights, int vectors_per_pixel,
                   int weight_vectors, unsigned char *stage) {
    const int rows_apart = n_threads / CONV2D_STEP_VECTORS;
    int row = (int)threadIdx.x / CONV2D_STEP_VECTORS;
    int v = (int)threadIdx.x % CONV2D_STEP_VECTORS;
    bool is_live = loader.i_tap < rows.n_live;
    struct conv2d_live_tap tap = rows.live[is_live ? loader.i_tap : 0];
#pragma unroll
    for (int i = 0; i < bm / rows_apart; i++) {
        bool is_inside = is_live && (loader.taps[i] & tap.bits) == tap.bits;
        int at = is_inside ? loader.origin[i] + tap.source + loader.vector : 0;
        cp_async_16(conv2d_slot(stage, row + i * rows_apart, v), source + at, is_inside);
    }
    int at = is_live ? loader.weights + tap.weights + loader.vector : 0;
#pragma unroll
    for (int i = 0; i < bn / rows_apart; i++) {
        cp_async_16(conv2d_slot(stage, bm + row + i * rows_apart, v), weights + at, is_live);
        at += is_live ? rows_apart * weight_vectors : 0;
    }
    loader.vector += CONV2D_STEP_VECTORS;
    conv2d_loader_advance(loader, rows, vectors_per_pixel);
}

// ---- the finished tile --------------------------------------------------------------------------

// Writes the block's tile, which lies as floats in shared memory, to the target: adds the bias and,
// on request, what is there; zeros in the padding channels. All threads call it after a barrier.
template <typename T, int bm, int bn, int n_threads>
static __device__ inline void conv2d_tile_store(const struct conv2d_gather &gather,
                                                const struct conv2d_rows<bm> &rows,
                                                const float *tile, int channel_first,
                                                const float *bias, T *target, bool accumulate) {
    for (int i = (int)threadIdx.x; i < bm * (bn / 8); i += n_threads) {
        int row = i / (bn / 8), column = i % (bn / 8) * 8;
        int channel = channel_first + column;
        if (rows.target[row] < 0 || channel >= gather.p_target)
            continue;
        T *to = target + (int64_t)rows.target[row] * gather.p_target + channel;
        float values[8], there[8];
        load8(tile + row * CONV2D_TILE_PITCH(bn) + column, values);
        if (accumulate)
            load8(to, there);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            bool is_channel = channel + j < gather.c_target;
            if (bias != NULL && is_channel)
                values[j] += __ldg(bias + channel + j);
            if (accumulate)
                values[j] += there[j];
            values[j] = is_channel ? values[j] : 0.0f;
        }
        store8(to, values);
    }
}

// ---- the main loop ------------------------------------------------------------------------------

// For each of n_steps, `fill` starts the copies of one step into a stage, and `multiply` adds the
// products of a stage to the sums; copies run three steps ahead. Ends with a barrier: `stages` may
// be used again. The pyramid's kernels (aspp_tile.cuh) have the same loop.
template <typename Fill, typename Multiply>
static __device__ inline void conv2d_pipeline(int n_steps, int stage_bytes, unsigned char *stages,
                                              Fill fill, Multiply multiply) {
    for (int i = 0; i < CONV2D_STAGES - 1; i++) {
        if (i < n_steps)
            fill(stages + i * stage_bytes);
        cp_async_commit();
    }
    for (int step = 0; step < n_steps; step++) {
        cp_async_wait<CONV2D_STAGES - 2>();
        __syncthreads(); // this step's stage is whole, and the one before it is no longer read
        int ahead = step + CONV2D_STAGES - 1;
        if (ahead < n_steps)
            fill(stages + ahead % CONV2D_STAGES * stage_bytes);
        cp_async_commit();
        multiply(stages + step % CONV2D_STAGES * stage_bytes);
    }
    cp_async_wait<0>();
    __syncthreads(); // the stages become the tile
}

// The whole kernel: one block owns bm target pixels x bn target channels. The blocks of one run of
// pixels follow one another, so that its source is read from memory once. Sums (conv2d_sums.cuh) is
// what a thread keeps of the tile and how it multiplies.
template <typename T, typename Sums, int bm, int bn, int n_threads>
static __device__ inline void conv2d_block(const struct conv2d_gather &gather,
                                           const struct conv2d_product &product) {
    DYNAMIC_SHARED(shared);
    SHARED(struct conv2d_rows<bm>, rows, );
    int n_columns = (gather.p_target + bn - 1) / bn;
    int channel_first = (int)blockIdx.x % n_columns * bn;
    int vectors_per_pixel = gather.p_source * (int)sizeof(T) / 16;
    int weight_vectors = gather.kernel * gather.kernel * vectors_per_pixel;
    conv2d_list_rows<bm, n_threads>(gather, rows, (int)blockIdx.x / n_columns * bm,
                                    vectors_per_pixel);
    struct conv2d_loader<bm, n_threads> loader =
        conv2d_loader_begin<bm, n_threads>(rows, channel_first, vectors_per_pixel, weight_vectors);
    const uint4 *source = (const uint4 *)product.source;
    const uint4 *weights = (const uint4 *)product.weights;
    int n_steps = (rows.n_live * vectors_per_pixel + CONV2D_STEP_VECTORS - 1) / CONV2D_STEP_VECTORS;
    Sums sums;
    sums.clear();
    conv2d_pipeline(
        n_steps, (bm + bn) * CONV2D_ROW_BYTES, shared,
        [&](unsigned char *stage) {
            conv2d_loader_fill<bm, bn, n_threads>(loader, rows, source, weights, vectors_per_pixel,
                                                  weight_vectors, stage);
        },
        [&](unsigned char *stage) { sums.multiply(stage); });
    float *tile = (float *)shared;
    sums.store(tile);
    __syncthreads();
    conv2d_tile_store<T, bm, bn, n_threads>(gather, rows, tile, channel_first, product.bias,
                                            (T *)product.target, product.accumulate);
}

} // namespace adele_cuda
#endif
