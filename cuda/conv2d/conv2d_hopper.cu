// SPDX-License-Identifier: MIT
// Convolution on Hopper's tensor cores (compute capability 9.0): forward pass of bf16 tensors with
// stride 1, data gradient with stride 1 or 2, any dilation and padding, channels in multiples
// of 64, at one scale or at several that share their weights (conv2d_scales.cu). The same two of an
// atrous pyramid (aspp/aspp_hopper_plan.cu), whose taps of all rates are one list.
//
// An implicit matrix product as in conv2d_mma.cu, sums in the same order of taps and channels but
// where a tile is split; what makes it faster: wgmma reads both operands from shared memory, so
// that registers and ldmatrix are out of the way and a block owns 128 pixels x up to 256 channels;
// the copy engine (TMA) fetches a box of source pixels by its coordinates, shifted by the tap, and
// fills in zeros outside of the image, so that no thread computes addresses; a warpgroup of its own
// feeds it, up to 8 steps ahead; two blocks with neighbouring tiles share their weights, of which
// each fetches a half for both; blocks stay and take one tile after the other, so that the first
// steps of a tile arrive while the tile before it is being written.
//
// A tile is a box of pixels over x, y and images; taps that lie outside of the image for all of it
// are skipped. Tiles that would fill the last round of all blocks only partly are split by their
// steps (device/conv2d_box_work.h). Rows of a tile are the box's pixels in memory order; rows
// beyond them hold what the stage held before, and their sums are never stored.
//
// Overwrites the target, or adds to it.
#include "conv2d/conv2d_hopper_multiply.cuh"
#include "conv2d/conv2d_hopper_store.cuh"

namespace adele_cuda {

// A worker's segments. Both blocks of a pair have the same ones, of two tiles each.
template <bool is_paired> struct hopper_work {
    int segment, end, rank;

    __device__ explicit hopper_work(const struct hopper_product &product) {
        int worker = (int)blockIdx.x / (is_paired ? 2 : 1);
        rank = is_paired ? (int)cluster_rank() : 0;
        segment = product.starts[worker];
        end = product.starts[worker + 1];
    }
};

// ---- the producer -------------------------------------------------------------------------------

// Starts the copies of one step's weights, bn rows from `row` on: of a pair, each block's half of
// them goes into the same stage of both.
template <int bn, bool is_paired>
static __device__ inline void hopper_fetch_weights(const CUtensorMap *weights, int channel, int tap,
                                                   int row, int rank, unsigned char *to,
                                                   uint64_t *full) {
    if constexpr (is_paired) {
        int first = rank * (bn / 2);
        tma_load_4d_multicast(to + first * HOPPER_ROW_BYTES, weights, channel, tap, row + first, 0,
                              full, 3);
    } else {
        tma_load_4d(to, weights, channel, tap, row, 0, full);
    }
}

// Where the producer is in a tile: a live tap, and a chunk of its channels.
struct hopper_step {
    uint64_t taps; // this one, and those that follow
    int chunk;

    __device__ hopper_step(const struct hopper_product &product, uint64_t live, int first) {
        int n_before = first / product.n_chunks;
        chunk = first - n_before * product.n_chunks;
        for (taps = live; n_before > 0; n_before--)
            taps &= taps - 1;
    }
};

// One thread starts the copies of all steps of all segments. Weights from the other block of a pair
// may come before this block has set what it expects: the phase ends after both.
template <int bn, bool is_paired>
static __device__ inline void
hopper_produce(const struct hopper_maps &maps, const struct hopper_product &product,
               unsigned char *stages, struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {};
    struct hopper_work<is_paired> work(product);
    for (; work.segment < work.end; work.segment++) {
        struct conv2d_box_segment of = product.segments[work.segment];
        struct conv2d_box_tile tile = product.tiles[of.tile + work.rank];
        const CUtensorMap *source = &maps.source[tile.group];
        uint32_t bytes =
            (uint32_t)((product.groups[tile.group].box_pixels + bn) * HOPPER_ROW_BYTES);
        struct hopper_step at(product, tile.taps, of.first);
        for (int left = of.n_steps; left > 0; at.chunk = 0, at.taps &= at.taps - 1) {
            struct conv2d_box_tap tap = product.taps[__ffsll((long long)at.taps) - 1];
            for (; at.chunk < product.n_chunks && left > 0; at.chunk++, left--) {
                unsigned char *to = stages + ring.stage * hopper_stage_bytes(bn);
                uint64_t *full = &barriers.full[ring.stage];
                mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);
                mbarrier_expect_tx(full, bytes);
                tma_load_4d(to, source, tap.source + at.chunk * HOPPER_STEP, tile.x + tap.x,
                            tile.y + tap.y, tile.n, full);
                hopper_fetch_weights<bn, is_paired>(&maps.weights, at.chunk * HOPPER_STEP,
                                                    tap.weights, of.column, work.rank,
                                                    to + HOPPER_SOURCE_BYTES, full);
                ring.advance();
            }
        }
    }
}

// ---- the consumers ------------------------------------------------------------------------------

template <int bn, bool is_paired>
static __device__ inline void hopper_consume(const struct hopper_maps &maps,
                                             const struct hopper_product &product,
                                             const unsigned char *stages, unsigned char *staged,
                                             struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {};
    uint32_t n_written = 0;
    int warpgroup = (int)threadIdx.x / 128 - 1;
    struct hopper_work<is_paired> work(product);
    for (; work.segment < work.end; work.segment++) {
        struct conv2d_box_segment of = product.segments[work.segment];
        float sums[bn / 2];
#pragma unroll
        for (int i = 0; i < bn / 2; i++)
            sums[i] = 0.0f; // what a tile without a live tap has
        hopper_multiply<bn, is_paired, false>(sums, of.n_steps, stages, warpgroup, barriers, ring);
        if (of.slot >= 0)
            hopper_store_slot<bn>(sums, hopper_slot<bn>(product, of.slot, is_paired, work.rank));
        else
            hopper_store<bn>(sums, maps, product, product.tiles[of.tile + work.rank], of.column,
                             warpgroup * (HOPPER_ROWS / 2), staged, barriers, n_written);
    }
    if (threadIdx.x == 128)
        tma_store_wait<0>();
    __syncwarp();
}

// ---- the kernel ---------------------------------------------------------------------------------

// A worker is a block, or a pair of them. Registers go from the producer, which needs few, to the
// consumers, which keep bn / 2 sums each. Neither block of a pair ends before the other is done
// with its shared memory.
template <int bn, bool is_paired>
static __global__ void __launch_bounds__(HOPPER_THREADS, 1)
    hopper_kernel(const __grid_constant__ struct hopper_maps maps,
                  const __grid_constant__ struct hopper_product product) {
    DYNAMIC_SHARED(shared);
    SHARED(struct hopper_barriers, barriers, );
    unsigned char *stages = shared + (-(uintptr_t)shared & 1023);
    unsigned char *staged = stages + hopper_stages(bn) * hopper_stage_bytes(bn);
    if (threadIdx.x == 0)
        hopper_barriers_init(barriers, hopper_stages(bn), is_paired);
    __syncthreads();
    if (is_paired)
        cluster_sync();
    if (threadIdx.x < 128) {
        set_max_registers_decrease<40>();
        if (threadIdx.x == 0)
            hopper_produce<bn, is_paired>(maps, product, stages, barriers);
        __syncwarp();
    } else {
        set_max_registers_increase<232>();
        hopper_consume<bn, is_paired>(maps, product, stages, staged, barriers);
    }
    if (is_paired)
        cluster_sync();
}

// Finishes 64 channels of a tile whose sums lie in slots: adds them up in their order, then stores
// as the kernel above does. blockIdx: chunk of channels, tile of a pair, item.
template <int bn, bool is_paired>
static __global__ void __launch_bounds__(256)
    add_tile_slots_kernel(const __grid_constant__ struct hopper_maps maps,
                          const __grid_constant__ struct hopper_product product,
                          const struct conv2d_box_sum *items) {
    DYNAMIC_SHARED(shared);
    SHARED(uint64_t, added, );
    unsigned char *buffer = shared + (-(uintptr_t)shared & 1023);
    struct conv2d_box_sum item = items[blockIdx.z];
    struct conv2d_box_tile tile = product.tiles[item.tile + (int)blockIdx.y];
    int chunk = (int)blockIdx.x, column = item.column + chunk * HOPPER_STEP;
    int channel = product.groups[tile.group].channel_first + column;
    const CUtensorMap *target = &maps.target[tile.group];
    if (column >= product.c_group)
        return;
    if (threadIdx.x == 0 && product.accumulate) {
        mbarrier_init(&added, 1);
        fence_barrier_init();
        mbarrier_expect_tx(&added,
                           (uint32_t)(product.groups[tile.group].box_pixels * HOPPER_ROW_BYTES));
        tma_load_4d(buffer, target, channel, tile.x, tile.y, tile.n, &added);
    }
    float sums[32] = {};
    for (int i = 0; i < item.n_slots; i++)
        hopper_add_slot(sums, chunk,
                        hopper_slot<bn>(product, item.slot + i, is_paired, (int)blockIdx.y));
    __syncthreads(); // the barrier is initialized
    if (product.accumulate)
        mbarrier_wait(&added, 0);
    const float *bias = product.bias != NULL ? product.bias + channel : NULL;
    int row_first = (int)threadIdx.x / 128 * (HOPPER_ROWS / 2);
    if (product.accumulate)
        hopper_write_chunk<true>(sums, bias, row_first, buffer);
    else
        hopper_write_chunk<false>(sums, bias, row_first, buffer);
    fence_proxy_async();
    __syncthreads(); // the buffer is whole
    if (threadIdx.x == 0) {
        tma_store_4d(target, buffer, channel, tile.x, tile.y, tile.n);
        tma_store_commit();
        tma_store_wait<0>();
    }
}

// ---- launch -------------------------------------------------------------------------------------

template <int bn> static adele_status allow_shared(bool is_paired) {
    return is_paired ? ALLOW_SHARED((hopper_kernel<bn, true>), hopper_shared_bytes(bn))
                     : ALLOW_SHARED((hopper_kernel<bn, false>), hopper_shared_bytes(bn));
}

adele_status hopper_allow_shared(int bn, bool is_paired) {
    return bn == 256   ? allow_shared<256>(is_paired)
           : bn == 128 ? allow_shared<128>(is_paired)
                       : allow_shared<64>(is_paired);
}

bool hopper_is_compiled() {
    return hopper_has_code((const void *)hopper_kernel<128, false>);
}

template <int bn>
static adele_status launch_work(const struct cuda_context *context,
                                const struct conv2d_box_work *work, const struct hopper_maps *maps,
                                const struct hopper_product *product,
                                const struct conv2d_box_sum *sums) {
    const int shared = hopper_shared_bytes(bn), adding = HOPPER_SOURCE_BYTES + 1024;
    const dim3 grid(bn / HOPPER_STEP, work->is_paired ? 2 : 1, (unsigned)work->n_sums);
    if (work->is_paired)
        TRY(LAUNCH_CLUSTERS(context, (hopper_kernel<bn, true>), 2 * work->n_workers, HOPPER_THREADS,
                            2, shared, *maps, *product));
    else
        TRY(LAUNCH(context, (hopper_kernel<bn, false>), work->n_workers, HOPPER_THREADS, shared,
                   *maps, *product));
    if (work->n_sums == 0)
        return ADELE_OK;
    return work->is_paired ? LAUNCH(context, (add_tile_slots_kernel<bn, true>), grid, 256, adding,
                                    *maps, *product, sums)
                           : LAUNCH(context, (add_tile_slots_kernel<bn, false>), grid, 256, adding,
                                    *maps, *product, sums);
}

adele_status hopper_launch(const struct cuda_context *context, const struct conv2d_box_work *work,
                           const struct hopper_maps *maps, const struct hopper_product *product,
                           const struct conv2d_box_sum *sums) {
    return work->bn == 256   ? launch_work<256>(context, work, maps, product, sums)
           : work->bn == 128 ? launch_work<128>(context, work, maps, product, sums)
                             : launch_work<64>(context, work, maps, product, sums);
}

} // namespace adele_cuda
