// SPDX-License-Identifier: MIT
// The kernels of planted_hopper.h that copy tensors and use mbarriers.
#include "planted_hopper.h"
#include "planted_hopper_parts.cuh"

namespace adele_cuda {

// ---- tensor copies ------------------------------------------------------------------------------

static __global__ void load_box(const __grid_constant__ CUtensorMap map, int4 at, uint32_t bytes,
                                uint16_t *out) {
    DYNAMIC_SHARED(shared);
    SHARED(uint64_t, bar, );
    if (threadIdx.x == 0) {
        mbarrier_init(&bar, 1);
        fence_barrier_init();
        mbarrier_expect_tx(&bar, bytes);
        tma_load_4d(shared, &map, at.x, at.y, at.z, at.w, &bar);
    }
    __syncthreads();
    mbarrier_wait(&bar, 0);
    for (uint32_t i = threadIdx.x; i < bytes / 2; i += blockDim.x)
        out[i] = ((const uint16_t *)shared)[i];
}

static __global__ void store_box(const __grid_constant__ CUtensorMap map, int4 at, int n,
                                 const uint16_t *in, enum planted_store_fault fault) {
    DYNAMIC_SHARED(shared);
    uint16_t *from = (uint16_t *)(shared + (fault == PLANTED_STORE_UNALIGNED ? 16 : 0));
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
        from[i] = in[i];
    if (fault != PLANTED_STORE_NO_FENCE)
        fence_proxy_async();
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    tma_store_4d(&map, from, at.x, at.y, at.z, at.w);
    if (fault != PLANTED_STORE_NO_COMMIT)
        tma_store_commit();
    if (fault == PLANTED_STORE_OVERWRITTEN)
        from[0]++;
    if (fault != PLANTED_STORE_NO_WAIT)
        tma_store_wait_read<0>();
}

// ---- a ring of tiles ----------------------------------------------------------------------------

static const int tile_bytes = 64, n_stages = 2, stage_bytes = 256; // two halves, aligned to 128

// In shared memory: full[n_stages], empty[n_stages], and the tiles from byte 128 on.
struct ring {
    unsigned char *tiles;
    uint64_t *full, *empty;
    enum planted_ring_fault fault;
};

static __device__ void produce(const struct ring *ring, const CUtensorMap *map, int n_tiles) {
    enum planted_ring_fault fault = ring->fault;
    for (int t = 0; t < n_tiles; t++) {
        int stage = t % n_stages, round = t / n_stages;
        uint32_t parity = (uint32_t)(round + 1) % 2;
        if (fault != PLANTED_RING_NO_EMPTY)
            mbarrier_wait(&ring->empty[stage], parity ^ (fault == PLANTED_RING_PRODUCER_PARITY));
        if (fault == PLANTED_RING_NO_EXPECT)
            mbarrier_arrive(&ring->full[stage]);
        else
            mbarrier_expect_tx(&ring->full[stage], fault == PLANTED_RING_FEW_BYTES ? tile_bytes / 2
                                                   : fault == PLANTED_RING_MANY_BYTES
                                                       ? tile_bytes + 16
                                                       : tile_bytes);
        unsigned char *tile = ring->tiles + stage_bytes * stage;
        if (fault == PLANTED_RING_STORED)
            ((int *)tile)[3] = t;
        for (int half = 0; half < 2; half++)
            tma_load_4d(tile + 128 * half, map, 0, 2 * half, t, 0, &ring->full[stage]);
        if (fault == PLANTED_RING_STORED_INFLIGHT)
            ((int *)tile)[3] = t;
    }
}

static __device__ int consume(const struct ring *ring, int n_tiles) {
    enum planted_ring_fault fault = ring->fault;
    int sum = 0;
    for (int t = 0; t < n_tiles - 2 * (fault == PLANTED_RING_LEFT); t++) {
        int stage = t % n_stages;
        uint32_t parity = (uint32_t)(t / n_stages) % 2;
        if (fault != PLANTED_RING_NO_WAIT)
            mbarrier_wait(&ring->full[stage], parity ^ (fault == PLANTED_RING_PARITY));
        const unsigned char *half = ring->tiles + stage_bytes * stage + 128 * (threadIdx.x / 16);
        sum += ((const uint16_t *)half)[threadIdx.x % 16];
        if (fault != PLANTED_RING_NO_ARRIVE)
            mbarrier_arrive(&ring->empty[stage]);
        if (fault == PLANTED_RING_ARRIVES_TWICE)
            mbarrier_arrive(&ring->empty[stage]);
    }
    return sum;
}

static __global__ void sum_tiles(const __grid_constant__ CUtensorMap map, int n_tiles,
                                 enum planted_ring_fault fault, int *out) {
    DYNAMIC_SHARED(shared);
    struct ring ring = {shared + 128 + (fault == PLANTED_RING_UNALIGNED ? 16 : 0),
                        (uint64_t *)shared, (uint64_t *)shared + n_stages, fault};
    if (fault == PLANTED_RING_UNALIGNED_BAR)
        ring.full = (uint64_t *)(shared + 4);
    if (threadIdx.x == 0 && fault != PLANTED_RING_NO_INIT) {
        for (int i = 0; i < n_stages; i++) {
            mbarrier_init(&ring.full[i], 1);
            mbarrier_init(&ring.empty[i], 32);
        }
        if (fault != PLANTED_RING_NO_FENCE)
            fence_barrier_init();
    }
    if (fault != PLANTED_RING_NO_SYNC)
        __syncthreads();
    if (threadIdx.x == 32)
        produce(&ring, &map, n_tiles);
    if (threadIdx.x < 32)
        out[threadIdx.x] = consume(&ring, n_tiles);
}

} // namespace adele_cuda

// ---- the functions of planted_hopper.h ----------------------------------------------------------

using namespace adele_cuda;

static bool make_box_map(const struct planted_box *box, void *tensor, CUtensorMap *out) {
    int pitched[4];
    for (int i = 0; i < 4; i++)
        pitched[i] = i == 0 && box->pitch != 0 ? box->pitch : box->extents[i];
    struct map_request request = map_request_of(tensor, pitched, box->box);
    request.extents[0] = (cuuint64_t)box->extents[0];
    for (int i = 0; i < 4; i++)
        request.steps[i] = (cuuint32_t)box->steps[i];
    request.swizzle = swizzle_of(box->swizzle_bytes);
    return make_map(&request, out);
}

static size_t tensor_elements_of(const struct planted_box *box) {
    size_t n = 1;
    for (int i = 0; i < 4; i++)
        n *= (size_t)(i == 0 && box->pitch != 0 ? box->pitch : box->extents[i]);
    return n;
}

const char *planted_tma_load(const struct planted_box *box, const uint16_t *tensor, uint16_t *out,
                             int n_out) {
    device_array<uint16_t> from(tensor, tensor_elements_of(box)), to(NULL, (size_t)n_out);
    CUtensorMap map;
    if (!make_box_map(box, from.data, &map))
        return cudaGetErrorString(cudaErrorInvalidValue);
    int4 at = make_int4(box->at[0], box->at[1], box->at[2], box->at[3]);
    RUN(load_box, 1, 64, 2 * n_out, map, at, 2u * (uint32_t)n_out, to.data);
    return to.download(out);
}

const char *planted_tma_store(const struct planted_box *box, const uint16_t *in, int n_in,
                              uint16_t *tensor, enum planted_store_fault fault) {
    device_array<uint16_t> from(in, (size_t)n_in), to(tensor, tensor_elements_of(box));
    CUtensorMap map;
    if (!make_box_map(box, to.data, &map))
        return cudaGetErrorString(cudaErrorInvalidValue);
    int4 at = make_int4(box->at[0], box->at[1], box->at[2], box->at[3]);
    RUN(store_box, 1, 64, 2 * n_in + 16, map, at, n_in, from.data, fault);
    return to.download(tensor);
}

const char *planted_map(enum planted_map_fault fault) {
    alignas(128) unsigned char places[2 * sizeof(CUtensorMap)];
    device_array<uint16_t> tensor(NULL, 4096);
    const int extents[] = {64, 8, 2, 1}, box[] = {64, 4, 1, 1};
    struct map_request request = map_request_of(tensor.data, extents, box);
    unsigned char *place = places + (fault == PLANTED_MAP_PLACE ? 32 : 0);
    if (fault == PLANTED_MAP_ADDRESS)
        request.tensor = tensor.data + 4;
    if (fault == PLANTED_MAP_STRIDE)
        request.strides[1] = 24;
    if (fault == PLANTED_MAP_BOX)
        request.box[1] = 257;
    if (fault == PLANTED_MAP_BOX_ROW)
        request.box[0] = 12;
    if (fault == PLANTED_MAP_BOX_SWIZZLE)
        request.box[0] = 128, request.swizzle = CU_TENSOR_MAP_SWIZZLE_128B;
    if (fault == PLANTED_MAP_ELEMENT_STEP)
        request.steps[2] = 9;
    if (fault == PLANTED_MAP_EXTENT)
        request.extents[3] = 0;
    if (fault == PLANTED_MAP_DIMS)
        request.n_dims = 6;
    return make_map(&request, (CUtensorMap *)place) ? NULL
                                                    : cudaGetErrorString(cudaErrorInvalidValue);
}

const char *planted_ring(const uint16_t *in, int n_tiles, enum planted_ring_fault fault, int *out) {
    device_array<uint16_t> from(in, 32 * (size_t)n_tiles);
    device_array<int> to(NULL, 32);
    const int extents[] = {8, 4, n_tiles, 1}, box[] = {8, 2, 1, 1};
    struct map_request request = map_request_of(from.data, extents, box);
    CUtensorMap map;
    if (!make_map(&request, &map))
        return cudaGetErrorString(cudaErrorInvalidValue);
    if (fault == PLANTED_RING_NO_MAP)
        map = {};
    RUN(sum_tiles, 1, 64, 128 + stage_bytes * n_stages + 16, map, n_tiles, fault, to.data);
    return to.download(out);
}
