// SPDX-License-Identifier: MIT
// Convolution on Hopper's tensor cores (compute capability 9.0): forward pass and data gradient of
// bf16 tensors, stride 1, any dilation and padding, channels in multiples of 64.
//
// An implicit matrix product as in conv2d_mma.cu, sums in the same order of taps and channels; what
// makes it faster: wgmma reads both operands from shared memory, so that registers and ldmatrix are
// out of the way and a block owns 128 pixels x up to 256 channels; the copy engine (TMA) fetches a
// box of source pixels by its coordinates, shifted by the tap, and fills in zeros outside of the
// image, so that no thread computes addresses; a warpgroup of its own feeds it, up to 8 steps
// ahead; blocks stay and take one tile after the other, so that the first steps of a tile arrive
// while the tile before it is being written.
//
// A tile is a box of pixels over x, y and images; taps that lie outside of the image for all of it
// are skipped. Rows of a tile are the box's pixels in memory order; rows beyond them are never
// written by a copy and hold anything, and their sums are never stored.
//
// Overwrites the target, or adds to it.
#include "conv2d/conv2d_hopper.cuh"

#include "runtime/tensor_core.cuh"

namespace adele_cuda {

// Where a warpgroup is in the ring of stages. A barrier's phase ends once a round.
template <int n_stages> struct hopper_ring {
    int stage;
    uint32_t parity;

    __device__ void advance() {
        stage = stage + 1 == n_stages ? 0 : stage + 1;
        parity ^= stage == 0;
    }
};

// ---- the producer -------------------------------------------------------------------------------

// One thread starts the copies of all steps of all tiles of the block.
template <int bn>
static __device__ inline void hopper_produce(const CUtensorMap *source, const CUtensorMap *weights,
                                             const struct hopper_product &product,
                                             unsigned char *stages,
                                             struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {
        0, 0
    };
    uint32_t bytes = (uint32_t)((product.box_pixels + bn) * HOPPER_ROW_BYTES);
    for (int work = (int)blockIdx.x; work < product.n_tiles * product.n_columns;
         work += (int)gridDim.x) {
        struct hopper_tile tile = product.tiles[work / product.n_columns];
        int channel_first = work % product.n_columns * bn;
        for (unsigned taps = tile.taps; taps != 0; taps &= taps - 1) {
            int tap = __ffs((int)taps) - 1;
            int x = tile.x + product.offset + tap % product.kernel * product.apart;
            int y = tile.y + product.offset + tap / product.kernel * product.apart;
            for (int chunk = 0; chunk < product.n_chunks; chunk++) {
                unsigned char *to = stages + ring.stage * hopper_stage_bytes(bn);
                uint64_t *full = &barriers.full[ring.stage];
                mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);
                mbarrier_expect_tx(full, bytes);
                tma_load_4d(to, source, chunk * HOPPER_STEP, x, y, tile.n, full);
                tma_load_4d(to + HOPPER_SOURCE_BYTES, weights, chunk * HOPPER_STEP, tap,
                            channel_first, 0, full);
                ring.advance();
            }
        }
    }
}

// ---- the consumers ------------------------------------------------------------------------------

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
template <int bn>
static __device__ inline void
hopper_multiply(float (&sums)[bn / 2], int n_steps, const unsigned char *stages, int row_first,
                struct hopper_barriers &barriers, struct hopper_ring<hopper_stages(bn)> &ring) {
    const uint32_t eight_rows = 8 * HOPPER_ROW_BYTES;
    bool signals = threadIdx.x % 32 == 0;
    int before = 0;
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
        if (step > 0 && signals)
            mbarrier_arrive(&barriers.empty[before]);
        before = ring.stage;
        ring.advance();
    }
    wgmma_wait<0>();
    if (n_steps > 0 && signals)
        mbarrier_arrive(&barriers.empty[before]);
}

static __device__ inline uint32_t hopper_two(float first, float second) {
    bf16 low = from_float<bf16>(first), high = from_float<bf16>(second);
    uint16_t bits[2];
    memcpy(&bits[0], &low, sizeof low);
    memcpy(&bits[1], &high, sizeof high);
    return (uint32_t)bits[0] | (uint32_t)bits[1] << 16;
}

// Adds the bias and, where `there` is set, two values of the target (bf16) to two sums.
static __device__ inline uint32_t hopper_finish(const float *sums,
                                                const struct hopper_product &product, int channel,
                                                uint32_t there) {
    float first = sums[0], second = sums[1];
    if (product.bias != NULL && channel < product.c_target) {
        first += __ldg(product.bias + channel);
        second += __ldg(product.bias + channel + 1);
    }
    if (product.accumulate) {
        first += __uint_as_float(there << 16);
        second += __uint_as_float(there & 0xffff0000u);
    }
    return hopper_two(first, second);
}

// Both consumers write 64 channels of the tile into a buffer laid out like a box of the target,
// swizzled: vector v of row r lies in slot v ^ r % 8. sums: the 32 of these channels.
static __device__ inline void hopper_write_chunk(const float *sums,
                                                 const struct hopper_product &product,
                                                 int channel_first, int row_first,
                                                 unsigned char *buffer) {
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4;
    int row = row_first + warp * 16 + lane % 16; // of the matrix whose row this lane names
    unsigned char *slots = buffer + row * HOPPER_ROW_BYTES;
#pragma unroll
    for (int i = 0; i < HOPPER_STEP / 8; i += 2) { // 16 rows x 16 channels
        unsigned char *slot = slots + (((i + lane / 16) ^ (row & 7)) << 4);
        int channel = channel_first + i * 8 + lane % 4 * 2;
        uint32_t there[4] = {0, 0, 0, 0}, out[4];
        if (product.accumulate)
            ldmatrix_x4(there, slot);
#pragma unroll
        for (int j = 0; j < 4; j++)
            out[j] = hopper_finish(sums + i * 4 + j * 2, product, channel + j / 2 * 8, there[j]);
        stmatrix_x4(slot, out);
    }
}

// Writes the finished tile, 64 channels at a time through two buffers in turn. One thread of the
// consumers starts all copies. n_written: buffers that the block has filled so far.
template <int bn>
static __device__ inline void hopper_store(const float (&sums)[bn / 2], const CUtensorMap *target,
                                           const struct hopper_product &product,
                                           const struct hopper_tile &tile, int channel_first,
                                           int row_first, unsigned char *staged,
                                           struct hopper_barriers &barriers, uint32_t &n_written) {
    bool copies = threadIdx.x == 128;
#pragma unroll
    for (int i = 0; i < bn / HOPPER_STEP; i++) {
        int channel = channel_first + i * HOPPER_STEP;
        if (channel >= product.c_target)
            return;
        unsigned char *buffer = staged + n_written % HOPPER_STAGED * HOPPER_SOURCE_BYTES;
        uint64_t *added = &barriers.added[n_written % HOPPER_STAGED];
        if (copies) {
            tma_store_wait_read<HOPPER_STAGED - 1>();
            if (product.accumulate) {
                mbarrier_expect_tx(added, (uint32_t)(product.box_pixels * HOPPER_ROW_BYTES));
                tma_load_4d(buffer, target, channel, tile.x, tile.y, tile.n, added);
            }
        }
        named_barrier_sync(1, 256); // the buffer is free
        if (product.accumulate)
            mbarrier_wait(added, n_written / HOPPER_STAGED % 2);
        hopper_write_chunk(sums + i * 32, product, channel, row_first, buffer);
        fence_proxy_async();
        named_barrier_sync(1, 256); // the buffer is whole
        if (copies) {
            tma_store_4d(target, buffer, channel, tile.x, tile.y, tile.n);
            tma_store_commit();
        }
        n_written++;
    }
}

template <int bn>
static __device__ inline void hopper_consume(const CUtensorMap *target,
                                             const struct hopper_product &product,
                                             const unsigned char *stages, unsigned char *staged,
                                             struct hopper_barriers &barriers) {
    struct hopper_ring<hopper_stages(bn)> ring = {
        0, 0
    };
    uint32_t n_written = 0;
    int row_first = ((int)threadIdx.x / 128 - 1) * (HOPPER_ROWS / 2);
    for (int work = (int)blockIdx.x; work < product.n_tiles * product.n_columns;
         work += (int)gridDim.x) {
        struct hopper_tile tile = product.tiles[work / product.n_columns];
        float sums[bn / 2];
#pragma unroll
        for (int i = 0; i < bn / 2; i++)
            sums[i] = 0.0f;
        hopper_multiply<bn>(sums, __popc(tile.taps) * product.n_chunks, stages, row_first, barriers,
                            ring);
        hopper_store<bn>(sums, target, product, tile, work % product.n_columns * bn, row_first,
                         staged, barriers, n_written);
    }
    if (threadIdx.x == 128)
        tma_store_wait<0>();
}

// ---- the kernel ---------------------------------------------------------------------------------

// A block owns every gridDim.x-th of the tiles of HOPPER_ROWS pixels x bn channels. Registers go
// from the producer, which needs few, to the consumers, which keep bn / 2 sums each.
template <int bn>
static __global__ void __launch_bounds__(HOPPER_THREADS, 1)
    hopper_kernel(const __grid_constant__ CUtensorMap source,
                  const __grid_constant__ CUtensorMap weights,
                  const __grid_constant__ CUtensorMap target,
                  const __grid_constant__ struct hopper_product product) {
    DYNAMIC_SHARED(shared);
    SHARED(struct hopper_barriers, barriers, );
    unsigned char *stages = shared + (-(uintptr_t)shared & 1023);
    unsigned char *staged = stages + hopper_stages(bn) * hopper_stage_bytes(bn);
    if (threadIdx.x == 0) {
        for (int i = 0; i < hopper_stages(bn); i++) {
            mbarrier_init(&barriers.full[i], 1);
            mbarrier_init(&barriers.empty[i], 8);
        }
        for (int i = 0; i < HOPPER_STAGED; i++)
            mbarrier_init(&barriers.added[i], 1);
        fence_barrier_init();
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        set_max_registers_decrease<40>();
        if (threadIdx.x == 0)
            hopper_produce<bn>(&source, &weights, product, stages, barriers);
    } else {
        set_max_registers_increase<232>();
        hopper_consume<bn>(&target, product, stages, staged, barriers);
    }
}

// ---- launch -------------------------------------------------------------------------------------

adele_status hopper_allow_shared(int bn) {
    if (bn == 256)
        return ALLOW_SHARED(hopper_kernel<256>, hopper_shared_bytes(256));
    if (bn == 128)
        return ALLOW_SHARED(hopper_kernel<128>, hopper_shared_bytes(128));
    return ALLOW_SHARED(hopper_kernel<64>, hopper_shared_bytes(64));
}

// A GPU of compute capability 9.0 also runs code made for 8.0, in which this kernel is empty.
bool hopper_is_compiled() {
    struct cudaFuncAttributes attributes;
    if (cudaFuncGetAttributes(&attributes, (const void *)hopper_kernel<128>) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    return attributes.ptxVersion >= 90;
}

template <int bn>
static adele_status launch_tiles(const struct cuda_context *context, int n_blocks,
                                 const struct hopper_maps *maps,
                                 const struct hopper_product *product) {
    return LAUNCH(context, hopper_kernel<bn>, n_blocks, HOPPER_THREADS, hopper_shared_bytes(bn),
                  maps->source, maps->weights, maps->target, *product);
}

adele_status hopper_launch(const struct cuda_context *context, int bn, int n_blocks,
                           const struct hopper_maps *maps, const struct hopper_product *product) {
    return bn == 256   ? launch_tiles<256>(context, n_blocks, maps, product)
           : bn == 128 ? launch_tiles<128>(context, n_blocks, maps, product)
                       : launch_tiles<64>(context, n_blocks, maps, product);
}

} // namespace adele_cuda
