// SPDX-License-Identifier: MIT
// How the consumers of conv2d_hopper.cu write a finished tile: 64 channels at a time, bias added,
// rounded to bf16, through shared memory into a box of the target.
#ifndef ADELE_CUDA_CONV2D_CONV2D_HOPPER_STORE_CUH
#define ADELE_CUDA_CONV2D_CONV2D_HOPPER_STORE_CUH

#include "conv2d/conv2d_hopper.cuh"
#include "runtime/tensor_core.cuh"

namespace adele_cuda {

static __device__ inline uint32_t hopper_two(float first, float second) {
    bf16 two[2] = {from_float<bf16>(first), from_float<bf16>(second)};
    uint32_t bits;
    memcpy(&bits, two, sizeof bits);
    return bits;
}

// Both consumers write 64 channels of the tile into a buffer laid out like a box of the target,
// swizzled: vector v of row r lies in slot v ^ r % 8. With `adds` it holds what the target does,
// which is added. sums: the 32 of these channels; bias: the channels', NULL without.
template <bool adds>
static __device__ inline void hopper_write_chunk(const float *sums, const float *bias,
                                                 int row_first, unsigned char *buffer) {
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4;
    int row = row_first + warp * 16 + lane % 16; // of the matrix whose row this lane names
    unsigned char *slots = buffer + row * HOPPER_ROW_BYTES;
    const float *of_lane = bias != NULL ? bias + lane % 4 * 2 : NULL;
#pragma unroll
    for (int i = 0; i < HOPPER_STEP / 8; i += 2) { // 16 rows x 16 channels
        unsigned char *slot = slots + (((i + lane / 16) ^ (row & 7)) << 4);
        uint32_t there[4] = {0, 0, 0, 0}, out[4];
        float more[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (of_lane != NULL) {
#pragma unroll
            for (int j = 0; j < 4; j++)
                more[j] = __ldg(of_lane + i * 8 + j / 2 * 8 + j % 2);
        }
        if (adds)
            ldmatrix_x4(there, slot);
#pragma unroll
        for (int j = 0; j < 4; j++) { // channels i * 8 + j / 2 * 8 + lane % 4 * 2 + {0, 1}
            float first = sums[i * 4 + j * 2] + more[j / 2 * 2];
            float second = sums[i * 4 + j * 2 + 1] + more[j / 2 * 2 + 1];
            if (adds) {
                first += __uint_as_float(there[j] << 16);
                second += __uint_as_float(there[j] & 0xffff0000u);
            }
            out[j] = hopper_two(first, second);
        }
        stmatrix_x4(slot, out);
    }
}

// Writes the finished tile, 64 channels at a time through two buffers in turn. One thread of the
// consumers starts all copies. n_written: buffers that the block has filled so far.
template <int bn>
static __device__ inline void
hopper_store(const float (&sums)[bn / 2], const struct hopper_maps &maps,
             const struct hopper_product &product, const struct conv2d_box_tile &tile,
             int column_first, int row_first, unsigned char *staged,
             struct hopper_barriers &barriers, uint32_t &n_written) {
    bool copies = threadIdx.x == 128;
    const CUtensorMap *target = &maps.target[tile.group];
    int channel_before = product.groups[tile.group].channel_first;
#pragma unroll
    for (int i = 0; i < bn / HOPPER_STEP; i++) {
        int column = column_first + i * HOPPER_STEP, channel = channel_before + column;
        if (column >= product.c_group)
            return;
        unsigned char *buffer = staged + n_written % HOPPER_STAGED * HOPPER_SOURCE_BYTES;
        uint64_t *added = &barriers.added[n_written % HOPPER_STAGED];
        const float *bias = product.bias != NULL ? product.bias + channel : NULL;
        if (copies) {
            tma_store_wait_read<HOPPER_STAGED - 1>();
            if (product.accumulate) {
                mbarrier_expect_tx(
                    added, (uint32_t)(product.groups[tile.group].box_pixels * HOPPER_ROW_BYTES));
                tma_load_4d(buffer, target, channel, tile.x, tile.y, tile.n, added);
            }
        }
        named_barrier_sync(1, 256); // the buffer is free
        if (product.accumulate) {
            mbarrier_wait(added, n_written / HOPPER_STAGED % 2);
            hopper_write_chunk<true>(sums + i * 32, bias, row_first, buffer);
        } else {
            hopper_write_chunk<false>(sums + i * 32, bias, row_first, buffer);
        }
        fence_proxy_async();
        named_barrier_sync(1, 256); // the buffer is whole
        if (copies) {
            tma_store_4d(target, buffer, channel, tile.x, tile.y, tile.n);
            tma_store_commit();
        }
        n_written++;
    }
}

// ---- slots --------------------------------------------------------------------------------------
// A slot holds a tile's sums chunk by chunk of 64 channels, as the 256 threads of the consumers
// have them: vectors of 4 floats, of all threads side by side.

#define HOPPER_SLOT_VECTORS 8 // of a thread and chunk

// A pair has two slots of each number.
template <int bn>
static __device__ inline float *hopper_slot(const struct hopper_product &product, int slot,
                                            bool is_paired, int rank) {
    return product.slots + (int64_t)(is_paired ? 2 * slot + rank : slot) * HOPPER_ROWS * bn;
}

template <int bn>
static __device__ inline void hopper_store_slot(const float (&sums)[bn / 2], float *slot) {
    float4 *to = (float4 *)slot + ((int)threadIdx.x - 128);
#pragma unroll
    for (int i = 0; i < bn / 8; i++)
        to[i * 256] = make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]);
}

// sums += a chunk of the slot; 256 threads.
static __device__ inline void hopper_add_slot(float (&sums)[32], int chunk, const float *slot) {
    const float4 *from = (const float4 *)slot + chunk * HOPPER_SLOT_VECTORS * 256 + threadIdx.x;
#pragma unroll
    for (int i = 0; i < HOPPER_SLOT_VECTORS; i++) {
        float4 more = from[i * 256];
        sums[4 * i] += more.x;
        sums[4 * i + 1] += more.y;
        sums[4 * i + 2] += more.z;
        sums[4 * i + 3] += more.w;
    }
}

} // namespace adele_cuda
#endif
