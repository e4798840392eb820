// SPDX-License-Identifier: MIT
// The kernels of planted_hopper.h that run in clusters of 2 blocks.
#include "planted_hopper.h"
#include "planted_hopper_parts.cuh"

namespace adele_cuda {

static const int part = 64; // elements that one block copies to both

// In shared memory: full, done, and from byte 128 on the parts of both blocks.
static __device__ void begin_pair(uint64_t *full, uint64_t *done, enum planted_pair_fault fault) {
    if (threadIdx.x == 0) {
        mbarrier_init(full, 1);
        mbarrier_init(done, 2 * 32);
        if (fault != PLANTED_PAIR_NO_FENCE)
            fence_barrier_init();
    }
    if (fault == PLANTED_PAIR_NO_SYNC)
        __syncthreads();
    else
        cluster_sync();
}

static __device__ uint16_t mask_of(enum planted_pair_fault fault) {
    return fault == PLANTED_PAIR_MASK_OWN     ? (uint16_t)(1u << cluster_rank())
           : fault == PLANTED_PAIR_MASK_LARGE ? 7
           : fault == PLANTED_PAIR_MASK_NONE  ? 0
                                              : 3;
}

// Each block copies its part of the tile to both blocks; out[32 b + i] of the pair's block b = the
// sum of elements i, i + 32, ... of the whole tile, the same of both. Then each says to the other
// that it has read, and waits for the other.
static __global__ void pairs(const __grid_constant__ CUtensorMap map, enum planted_pair_fault fault,
                             int *out) {
    DYNAMIC_SHARED(shared);
    uint64_t *full = (uint64_t *)shared, *done = full + 1;
    uint32_t rank = cluster_rank();
    int pair = (int)blockIdx.x / 2;
    begin_pair(full, done, fault);
    if (fault == PLANTED_PAIR_ENDED && rank == 1)
        return;
    if (threadIdx.x == 0) {
        mbarrier_expect_tx(full, 2 * part * 2);
        tma_load_4d_multicast(shared + 128 + rank * part * 2, &map, 0, (int)rank, pair, 0, full,
                              mask_of(fault));
    }
    mbarrier_wait(full, 0);
    int sum = 0;
    for (int i = (int)threadIdx.x; i < 2 * part; i += 32)
        sum += ((const uint16_t *)(shared + 128))[i];
    out[blockIdx.x * 32 + threadIdx.x] = sum;
    mbarrier_arrive_cluster(done, fault == PLANTED_PAIR_RANK ? 2 : 0);
    if (fault != PLANTED_PAIR_NO_REMOTE)
        mbarrier_arrive_cluster(done, 1);
    if (fault != PLANTED_PAIR_NO_WAIT)
        mbarrier_wait(done, 0);
    else if (rank == 1)
        named_barrier_sync(1, 32); // lets block 0 end before this one goes on
    if (fault == PLANTED_PAIR_LATE_ARRIVE && rank == 1)
        mbarrier_arrive_cluster(done, 0);
}

// Warps of a block that meet in pairs: out[i] = what thread i ^ 32 has written.
static __global__ void meet_by_name(bool is_wrong, int *out) {
    SHARED(int, values, [128]);
    int i = (int)threadIdx.x;
    values[i] = i;
    named_barrier_sync(1 + i / 64, is_wrong && i < 32 ? 128 : 64);
    out[i] = values[i ^ 32];
}

} // namespace adele_cuda

// ---- the functions of planted_hopper.h ----------------------------------------------------------

using namespace adele_cuda;

const char *planted_pairs(const uint16_t *in, int n_pairs, enum planted_pair_fault fault,
                          int *out) {
    device_array<uint16_t> from(in, 2 * part * (size_t)n_pairs);
    device_array<int> to(NULL, 64 * (size_t)n_pairs);
    const int extents[] = {part, 2, n_pairs, 1}, box[] = {part, 1, 1, 1};
    struct map_request request = map_request_of(from.data, extents, box);
    CUtensorMap map;
    if (!make_map(&request, &map))
        return cudaGetErrorString(cudaErrorInvalidValue);
    unsigned n_blocks = 2 * (unsigned)n_pairs - (fault == PLANTED_PAIR_GRID);
    unsigned n_cluster = fault == PLANTED_PAIR_LARGE ? 16 : fault == PLANTED_PAIR_ALONE ? 1 : 2;
    simt_launch_clusters("pairs", n_blocks, 32, n_cluster, 128 + 4 * part, NULL, pairs, map, fault,
                         to.data);
    return to.download(out);
}

const char *planted_named(bool is_wrong, int out[128]) {
    device_array<int> to(NULL, 128);
    RUN(meet_by_name, 1, 128, 0, is_wrong, to.data);
    return to.download(out);
}
