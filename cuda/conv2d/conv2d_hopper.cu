// SPDX-License-Identifier: MIT
// Convolution on Hopper's tensor cores (compute capability 9.0): forward pass of bf16 tensors with
// stride 1, data gradient with stride 1 or 2, any dilation and padding, channels in multiples
// of 64.
//
// An implicit matrix product as in conv2d_mma.cu, sums in the same order of taps and channels; what
// makes it faster: wgmma reads both operands from shared memory, so that registers and ldmatrix are
// out of the way and a block owns 128 pixels x up to 256 channels; the copy engine (TMA) fetches a
// box of source pixels by its coordinates, shifted by the tap, and fills in zeros outside of the
// image, so that no thread computes addresses; a warpgroup of its own feeds it, up to 8 steps
// ahead; two blocks with neighbouring tiles share their weights, of which each fetches a half for
// both; blocks stay and take one tile after the other, so that the first steps of a tile arrive
// while the tile before it is being written.
//
// A tile is a box of pixels over x, y and images; taps that lie outside of the image for all of it
// are skipped. Rows of a tile are the box's pixels in memory order; rows beyond them are never
// written by a copy and hold anything, and their sums are never stored.
//
// Overwrites the target, or adds to it.
#include "conv2d/conv2d_hopper_store.cuh"

namespace adele_cuda {

// A block's share of the work: an item is a tile and a run of bn channels. Both blocks of a pair
// have the same items, of two tiles each.
template <bool is_paired> struct hopper_work {
    int item, end, step, rank, n_columns;

    __device__ explicit hopper_work(const struct hopper_product &product) {
        const int n_blocks = is_paired ? 2 : 1;
        rank = is_paired ? (int)cluster_rank() : 0;
        item = (int)blockIdx.x / n_blocks;
        step = (int)gridDim.x / n_blocks;
        n_columns = product.n_columns;
        end = product.n_tiles / n_blocks * n_columns;
    }
    __device__ int i_tile() const {
        return is_paired ? item / n_columns * 2 + rank : item / n_columns;
    }
    __device__ int i_column() const {
        return item % n_columns;
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

// One thread starts the copies of all steps of all items. Weights from the other block of a pair
// may come before this block has set what it expects: the phase ends after both.
template <int bn, bool is_paired>
static __device__ inline void hopper_produce(const CUtensorMap *source, const CUtensorMap *weights,
                                             const struct hopper_product &product,
                                             unsigned char *stages,
                                             struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {};
    uint32_t bytes = (uint32_t)((product.box_pixels + bn) * HOPPER_ROW_BYTES);
    struct hopper_work<is_paired> work(product);
    for (; work.item < work.end; work.item += work.step) {
        struct conv2d_box_tile tile = product.tiles[work.i_tile()];
        for (unsigned taps = tile.taps; taps != 0; taps &= taps - 1) {
            int tap = __ffs((int)taps) - 1;
            int ky = tap / product.kernel_x, kx = tap - ky * product.kernel_x;
            int x = tile.x + product.offset_x + kx * product.apart;
            int y = tile.y + product.offset_y + ky * product.apart;
            int tap_of_weights = product.tap_first + ky * product.tap_y + kx * product.tap_x;
            for (int chunk = 0; chunk < product.n_chunks; chunk++) {
                unsigned char *to = stages + ring.stage * hopper_stage_bytes(bn);
                uint64_t *full = &barriers.full[ring.stage];
                mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);
                mbarrier_expect_tx(full, bytes);
                tma_load_4d(to, source, chunk * HOPPER_STEP, x, y, tile.n, full);
                hopper_fetch_weights<bn, is_paired>(weights, chunk * HOPPER_STEP, tap_of_weights,
                                                    work.i_column() * bn, work.rank,
                                                    to + HOPPER_SOURCE_BYTES, full);
                ring.advance();
            }
        }
    }
}

// ---- the consumers: products --------------------------------------------------------------------

template <int bn>
static __device__ inline void hopper_multiply_16(float (&sums)[bn / 2], uint64_t a, uint64_t b) {
    if constexpr (bn == 256)
        wgmma_m64n256k16_bf16<false, false>(sums, a, b, true);
    else if constexpr (bn == 128)
        wgmma_m64n128k16_bf16<false, false>(sums, a, b, true);
    else
        wgmma_m64n64k16_bf16<false, false>(sums, a, b, true);
}

// sums += the steps of one tile. A stage is given back one step later, when its products are done
// while those of the next are under way.
template <int bn, bool is_paired>
static __device__ inline void
hopper_multiply(float (&sums)[bn / 2], int n_steps, const unsigned char *stages, int row_first,
                struct hopper_barriers &barriers, struct hopper_ring<hopper_stages(bn)> &ring) {
    const uint32_t eight_rows = 8 * HOPPER_ROW_BYTES;
    int before = 0;
    wgmma_hold(sums);
    for (int step = 0; step < n_steps; step++) {
        const unsigned char *stage = stages + ring.stage * hopper_stage_bytes(bn);
        uint64_t a = matrix_descriptor(stage + row_first * HOPPER_ROW_BYTES, 16, eight_rows,
                                       MATRIX_SWIZZLE_128);
        uint64_t b =
            matrix_descriptor(stage + HOPPER_SOURCE_BYTES, 16, eight_rows, MATRIX_SWIZZLE_128);
        mbarrier_wait(&barriers.full[ring.stage], ring.parity);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < HOPPER_STEP / 16; k++) // 32 bytes further along the row
            hopper_multiply_16<bn>(sums, a + (uint64_t)(2 * k), b + (uint64_t)(2 * k));
        wgmma_commit();
        wgmma_wait<1>();
        if (step > 0)
            hopper_give_back<is_paired>(&barriers.empty[before]);
        before = ring.stage;
        ring.advance();
    }
    wgmma_wait<0>();
    wgmma_hold(sums);
    if (n_steps > 0)
        hopper_give_back<is_paired>(&barriers.empty[before]);
}

// ---- the consumers: all tiles -------------------------------------------------------------------

template <int bn, bool is_paired>
static __device__ inline void hopper_consume(const CUtensorMap *target,
                                             const struct hopper_product &product,
                                             const unsigned char *stages, unsigned char *staged,
                                             struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {};
    uint32_t n_written = 0;
    int row_first = ((int)threadIdx.x / 128 - 1) * (HOPPER_ROWS / 2);
    struct hopper_work<is_paired> work(product);
    for (; work.item < work.end; work.item += work.step) {
        struct conv2d_box_tile tile = product.tiles[work.i_tile()];
        float sums[bn / 2];
#pragma unroll
        for (int i = 0; i < bn / 2; i++)
            sums[i] = 0.0f;
        hopper_multiply<bn, is_paired>(sums, __popc(tile.taps) * product.n_chunks, stages,
                                       row_first, barriers, ring);
        hopper_store<bn>(sums, target, product, tile, work.i_column() * bn, row_first, staged,
                         barriers, n_written);
    }
    if (threadIdx.x == 128)
        tma_store_wait<0>();
    __syncwarp();
}

// ---- the kernel ---------------------------------------------------------------------------------

// A block owns every gridDim.x-th of the tiles of HOPPER_ROWS pixels x bn channels. Registers go
// from the producer, which needs few, to the consumers, which keep bn / 2 sums each. Neither block
// of a pair ends before the other is done with its shared memory.
template <int bn, bool is_paired>
static __global__ void __launch_bounds__(HOPPER_THREADS, 1)
    hopper_kernel(const __grid_constant__ CUtensorMap source,
                  const __grid_constant__ CUtensorMap weights,
                  const __grid_constant__ CUtensorMap target,
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
            hopper_produce<bn, is_paired>(&source, &weights, product, stages, barriers);
        __syncwarp();
    } else {
        set_max_registers_increase<232>();
        hopper_consume<bn, is_paired>(&target, product, stages, staged, barriers);
    }
    if (is_paired)
        cluster_sync();
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
static adele_status launch_tiles(const struct cuda_context *context, bool is_paired,
                                 int most_blocks, const struct hopper_maps *maps,
                                 const struct hopper_product *product) {
    int n_work = product->n_tiles * product->n_columns;
    int n_blocks = n_work < most_blocks ? n_work : most_blocks;
    if (!is_paired)
        return LAUNCH(context, (hopper_kernel<bn, false>), n_blocks, HOPPER_THREADS,
                      hopper_shared_bytes(bn), maps->source, maps->weights, maps->target, *product);
    return LAUNCH_CLUSTERS(context, (hopper_kernel<bn, true>), n_blocks < 2 ? 2 : n_blocks / 2 * 2,
                           HOPPER_THREADS, 2, hopper_shared_bytes(bn), maps->source, maps->weights,
                           maps->target, *product);
}

adele_status hopper_launch(const struct cuda_context *context, int bn, bool is_paired,
                           int most_blocks, const struct hopper_maps *maps,
                           const struct hopper_product *product) {
    return bn == 256   ? launch_tiles<256>(context, is_paired, most_blocks, maps, product)
           : bn == 128 ? launch_tiles<128>(context, is_paired, most_blocks, maps, product)
                       : launch_tiles<64>(context, is_paired, most_blocks, maps, product);
}

} // namespace adele_cuda
