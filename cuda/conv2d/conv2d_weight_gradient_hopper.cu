// SPDX-License-Identifier: MIT
// The weight gradient on Hopper's tensor cores (compute capability 9.0): bf16 tensors, channels in
// multiples of 64, any dilation and padding, strides up to 4.
//
// src (N, H, W, c_in), d_dst (N, h_out, w_out, c_out), one of each for every scale. The matrix
// product and how it is cut up are described in device/conv2d_gradient_tiles.h. The copies bring
// the stages of the forward pass (conv2d_hopper.cu): a producer warpgroup, two consumers of 64 rows
// each, pairs of blocks that share the columns. What differs:
//
// - The inner index is the pixel, and both operands lie pixel by pixel: wgmma reads them M- and
//   N-major (PTX ISA, "Shared Memory Matrix Layout"). In a chunk, pixel p's 64 channels are row p
//   of 128 bytes, swizzled as the copies write them; 8 pixels are 1,024 bytes (the stride offset),
//   and the next 64 channels are the next chunk (the leading offset).
// - A chunk has as many pixels as a box, up to 64; those beyond are zeros, written once, since no
//   copy reaches them: for this the boxes of all scales have the same number. Pixels of a box
//   beyond the outputs, and source pixels in the padding, are zeros from the copies; so are the
//   taps wholly in the padding never visited.
// - A worker (a block, or a pair) multiplies its segments one after the other, and writes the sums
//   of each to a slot. Only the producer sees which scale a step is of.
//   add_weight_gradient_slots_kernel adds up the slots of a tile in their order.
//
// A worker reads (128 + bn) channels of each pixel of its steps, of a pair's columns each block a
// half, for 128 bn products: as in the forward pass, the second-level cache limits.
#include "conv2d/conv2d_hopper_multiply.cuh"
#include "conv2d/conv2d_weight_gradient_hopper.cuh"

namespace adele_cuda {

// A worker's segments.
template <bool is_paired> struct gradient_work {
    int segment, end, rank;

    __device__ explicit gradient_work(const struct gradient_product &product) {
        const int n_blocks = is_paired ? 2 : 1;
        int worker = (int)blockIdx.x / n_blocks;
        rank = is_paired ? (int)cluster_rank() : 0;
        segment = product.starts[worker];
        end = product.starts[worker + 1];
    }
    // The block's first chunk of rows.
    __device__ int chunk(const struct gradient_segment &of) const {
        return of.chunk + rank * GRADIENT_ROWS;
    }
};

// ---- the producer -------------------------------------------------------------------------------

// Where the producer is in a rectangle, in boxes.
struct gradient_box {
    int x, y, n;

    __device__ gradient_box(const struct gradient_run &of) {
        int row = of.first / of.n_x;
        x = of.first - row * of.n_x;
        n = row / of.n_y;
        y = row - n * of.n_y;
    }
    __device__ void advance(const struct gradient_run &of) {
        if (++x < of.n_x)
            return;
        x = 0;
        if (++y < of.n_y)
            return;
        y = 0;
        n++;
    }
};

// A chunk of rows: its channels, and how far its tap's pixels are from the outputs'.
struct gradient_chunk {
    int channel, dx, dy;

    __device__ gradient_chunk(const struct gradient_product &product, int chunk) {
        int tap = chunk / product.chunks_of_tap, ky = tap / product.kernel;
        channel = (chunk - tap * product.chunks_of_tap) * GRADIENT_CHANNELS;
        dx = (tap - ky * product.kernel) * product.dilation - product.pad;
        dy = ky * product.dilation - product.pad;
    }
};

// Starts the copies of one step's columns. Of a pair, each block fetches every other chunk for
// both.
template <bool is_paired>
static __device__ inline void fetch_columns(const CUtensorMap *d_target, int column, int n_chunks,
                                            int x, int y, int n, int rank, unsigned char *to,
                                            uint64_t *full) {
    for (int i = rank; i < n_chunks; i += is_paired ? 2 : 1) {
        unsigned char *chunk = to + i * GRADIENT_CHUNK_BYTES;
        int channel = column + i * GRADIENT_CHANNELS;
        if constexpr (is_paired)
            tma_load_4d_multicast(chunk, d_target, channel, x, y, n, full, 3);
        else
            tma_load_4d(chunk, d_target, channel, x, y, n, full);
    }
}

// What all steps of a segment copy. Rows and columns beyond the last ones are not fetched: their
// sums are never read.
struct gradient_rows {
    struct gradient_chunk chunks[GRADIENT_ROWS];
    int n_chunks, column, n_columns; // columns in chunks

    __device__ gradient_rows(const struct gradient_product &product, int chunk, int column, int bn)
        : chunks{{product, chunk}, {product, chunk + 1}},
          n_chunks(max(min(product.n_chunks - chunk, GRADIENT_ROWS), 0)), column(column),
          n_columns(min(product.c_out - column, bn) / GRADIENT_CHANNELS) {
    }
};

// Starts the copies of a run's steps. Columns from the other block of a pair may come before this
// block has set what it expects: the phase ends after both.
template <int bn, bool is_paired>
static __device__ inline void
fetch_run(const struct gradient_maps &maps, const struct gradient_product &product,
          const struct gradient_run &run, const struct gradient_rows &rows, int rank,
          unsigned char *stages, struct hopper_barriers &barriers,
          struct hopper_ring<hopper_stages(bn)> &ring) {
    const struct gradient_maps::gradient_pair &pair = maps.scales[run.scale];
    const int box_w = product.boxes[run.scale].w, box_h = product.boxes[run.scale].h;
    const int box_n = product.boxes[run.scale].n;
    uint32_t bytes =
        (uint32_t)((rows.n_chunks + rows.n_columns) * product.box_pixels * HOPPER_ROW_BYTES);
    struct gradient_box box(run);
    for (int step = 0; step < run.n_steps; step++, box.advance(run)) {
        unsigned char *to = stages + ring.stage * hopper_stage_bytes(bn);
        uint64_t *full = &barriers.full[ring.stage];
        int x = run.x + box.x * box_w, y = run.y + box.y * box_h, n = box.n * box_n;
        mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);
        mbarrier_expect_tx(full, bytes);
#pragma unroll
        for (int i = 0; i < GRADIENT_ROWS; i++)
            if (i < rows.n_chunks)
                tma_load_4d(to + i * GRADIENT_CHUNK_BYTES, &pair.source, rows.chunks[i].channel,
                            x * product.stride + rows.chunks[i].dx,
                            y * product.stride + rows.chunks[i].dy, n, full);
        fetch_columns<is_paired>(&pair.d_target, rows.column, rows.n_columns, x, y, n, rank,
                                 to + GRADIENT_ROWS * GRADIENT_CHUNK_BYTES, full);
        ring.advance();
    }
}

// One thread starts the copies of all steps of the worker. A loop over segments, and in it one over
// their runs, would take more registers than there are.
template <int bn, bool is_paired>
static __device__ inline void
gradient_produce(const struct gradient_maps &maps, const struct gradient_product &product,
                 unsigned char *stages, struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {};
    struct gradient_work<is_paired> work(product);
    if (work.segment == work.end)
        return; // small layers leave workers without a segment
    const struct gradient_segment *last = &product.segments[work.end - 1];
    const int end = last->run + last->n_runs;
    for (int i = product.segments[work.segment].run; i < end; i++) {
        const struct gradient_run run = product.runs[i];
        const struct gradient_segment of = product.segments[run.segment];
        const struct gradient_rows rows(product, work.chunk(of), of.column, bn);
        fetch_run<bn, is_paired>(maps, product, run, rows, work.rank, stages, barriers, ring);
    }
}

// ---- the consumers ------------------------------------------------------------------------------

// A slot is (bn, rows): the lanes of a warp write whole sectors of 8 rows each.
template <int bn, bool is_paired>
static __device__ inline void gradient_store(const float (&sums)[bn / 2], int row_first,
                                             float *slot) {
    const int n_rows = (is_paired ? 2 : 1) * GRADIENT_ROWS * GRADIENT_CHANNELS;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4;
    float *to = slot + lane % 4 * 2 * n_rows + row_first + warp * 16 + lane / 4;
#pragma unroll
    for (int i = 0; i < bn / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) // column 8 i + lane % 4 * 2 + j % 2
            to[(8 * i + j % 2) * n_rows + j / 2 * 8] = sums[4 * i + j];
}

template <int bn, bool is_paired>
static __device__ inline void gradient_consume(const struct gradient_product &product,
                                               const unsigned char *stages,
                                               struct hopper_barriers &barriers) {
    const int slot_floats = (is_paired ? 2 : 1) * GRADIENT_ROWS * GRADIENT_CHANNELS * bn;
    struct hopper_ring<hopper_stages(bn)> ring = {};
    int warpgroup = (int)threadIdx.x / 128 - 1;
    struct gradient_work<is_paired> work(product);
    float sums[bn / 2];
#pragma unroll
    for (int i = 0; i < bn / 2; i++)
        sums[i] = 0.0f;
    for (; work.segment < work.end; work.segment++) {
        struct gradient_segment of = product.segments[work.segment];
        hopper_multiply<bn, is_paired, true>(sums, of.n_steps, stages, warpgroup, barriers, ring);
        if (work.chunk(of) + warpgroup < product.n_chunks)
            gradient_store<bn, is_paired>(
                sums, (work.rank * GRADIENT_ROWS + warpgroup) * GRADIENT_CHANNELS,
                product.slots + (int64_t)work.segment * slot_floats);
    }
}

// ---- the kernel ---------------------------------------------------------------------------------

// Zeros for the pixels of all chunks that no box has, by all threads, visible to wgmma.
static __device__ inline void clear_beyond_boxes(unsigned char *stages, int n_chunks,
                                                 int box_pixels) {
    const uint4 zero = {0, 0, 0, 0};
    int n_vectors = (GRADIENT_PIXELS - box_pixels) * (HOPPER_ROW_BYTES / 16);
    for (int i = (int)threadIdx.x; i < n_chunks * n_vectors; i += HOPPER_THREADS) {
        int chunk = i / n_vectors, vector = i - chunk * n_vectors;
        *(uint4 *)(stages + chunk * GRADIENT_CHUNK_BYTES + box_pixels * HOPPER_ROW_BYTES +
                   vector * 16) = zero;
    }
    fence_proxy_async();
}

// A worker is a block, or a pair of them. Registers go from the producer, which counts more here
// than in the forward pass, to the consumers: 56 + 2 x 224 = 3 x 168. Neither block of a pair ends
// before the other is done with its shared memory.
template <int bn, bool is_paired>
static __global__ void __launch_bounds__(HOPPER_THREADS, 1)
    weight_gradient_hopper_kernel(const __grid_constant__ struct gradient_maps maps,
                                  const __grid_constant__ struct gradient_product product) {
    DYNAMIC_SHARED(shared);
    SHARED(struct hopper_barriers, barriers, );
    unsigned char *stages = shared + (-(uintptr_t)shared & 1023);
    if (threadIdx.x == 0)
        hopper_barriers_init(barriers, hopper_stages(bn), is_paired);
    clear_beyond_boxes(stages, hopper_stages(bn) * hopper_stage_bytes(bn) / GRADIENT_CHUNK_BYTES,
                       product.box_pixels);
    __syncthreads();
    if (is_paired)
        cluster_sync();
    if (threadIdx.x < 128) {
        set_max_registers_decrease<56>();
        if (threadIdx.x == 0)
            gradient_produce<bn, is_paired>(maps, product, stages, barriers);
        __syncwarp();
    } else {
        set_max_registers_increase<224>();
        gradient_consume<bn, is_paired>(product, stages, barriers);
    }
    if (is_paired)
        cluster_sync();
}

// ---- launch -------------------------------------------------------------------------------------

bool gradient_hopper_is_compiled() {
    return hopper_has_code((const void *)weight_gradient_hopper_kernel<128, false>);
}

template <int bn> static adele_status allow_shared(bool is_paired) {
    return is_paired
               ? ALLOW_SHARED((weight_gradient_hopper_kernel<bn, true>), gradient_shared_bytes(bn))
               : ALLOW_SHARED((weight_gradient_hopper_kernel<bn, false>),
                              gradient_shared_bytes(bn));
}

adele_status gradient_hopper_allow_shared(int bn, bool is_paired) {
    return bn == 256   ? allow_shared<256>(is_paired)
           : bn == 128 ? allow_shared<128>(is_paired)
                       : allow_shared<64>(is_paired);
}

template <int bn>
static adele_status launch_workers(const struct cuda_context *context, bool is_paired,
                                   int n_workers, const struct gradient_maps *maps,
                                   const struct gradient_product *product) {
    if (!is_paired)
        return LAUNCH(context, (weight_gradient_hopper_kernel<bn, false>), n_workers,
                      HOPPER_THREADS, gradient_shared_bytes(bn), *maps, *product);
    return LAUNCH_CLUSTERS(context, (weight_gradient_hopper_kernel<bn, true>), 2 * n_workers,
                           HOPPER_THREADS, 2, gradient_shared_bytes(bn), *maps, *product);
}

adele_status gradient_hopper_launch(const struct cuda_context *context, int bn, bool is_paired,
                                    int n_workers, const struct gradient_maps *maps,
                                    const struct gradient_product *product) {
    return bn == 256   ? launch_workers<256>(context, is_paired, n_workers, maps, product)
           : bn == 128 ? launch_workers<128>(context, is_paired, n_workers, maps, product)
                       : launch_workers<64>(context, is_paired, n_workers, maps, product);
}

} // namespace adele_cuda
