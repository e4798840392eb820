// SPDX-License-Identifier: MIT
// TMA with tensors of all ranks and all swizzle modes, there and back, and clusters whose size the
// launch chooses.
#include "hopper_test.cuh"

#define MOST_BYTES 4608

struct corner {
    int at[5];
};

template <int rank>
static __device__ void load_box(uint32_t to, const CUtensorMap *map, const int *at, uint32_t bar) {
#define LOAD(d, list)                                                                              \
    "cp.async.bulk.tensor." d ".shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, "   \
    "{" list "}], [%2];"
    if (rank == 1)
        asm volatile(LOAD("1d", "%3")::"r"(to), "l"(map), "r"(bar), "r"(at[0]) : "memory");
    else if (rank == 2)
        asm volatile(LOAD("2d", "%3, %4")::"r"(to), "l"(map), "r"(bar), "r"(at[0]), "r"(at[1])
                     : "memory");
    else if (rank == 3)
        asm volatile(LOAD("3d", "%3, %4, %5")::"r"(to), "l"(map), "r"(bar), "r"(at[0]), "r"(at[1]),
                     "r"(at[2])
                     : "memory");
    else
        asm volatile(LOAD("5d", "%3, %4, %5, %6, %7")::"r"(to), "l"(map), "r"(bar), "r"(at[0]),
                     "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4])
                     : "memory");
}

template <int rank>
static __device__ void store_box(const CUtensorMap *map, uint32_t from, const int *at) {
#define STORE(d, list)                                                                             \
    "cp.async.bulk.tensor." d ".global.shared::cta.bulk_group [%0, {" list "}], [%1];"
    if (rank == 1)
        asm volatile(STORE("1d", "%2")::"l"(map), "r"(from), "r"(at[0]) : "memory");
    else if (rank == 2)
        asm volatile(STORE("2d", "%2, %3")::"l"(map), "r"(from), "r"(at[0]), "r"(at[1]) : "memory");
    else if (rank == 3)
        asm volatile(STORE("3d", "%2, %3, %4")::"l"(map), "r"(from), "r"(at[0]), "r"(at[1]),
                     "r"(at[2])
                     : "memory");
    else
        asm volatile(STORE("5d", "%2, %3, %4, %5, %6")::"l"(map), "r"(from), "r"(at[0]), "r"(at[1]),
                     "r"(at[2]), "r"(at[3]), "r"(at[4])
                     : "memory");
}

template <int rank>
static __global__ void box_kernel(const __grid_constant__ CUtensorMap in,
                                  const __grid_constant__ CUtensorMap out, struct corner corner,
                                  int bytes, uint16_t *seen) {
    __shared__ alignas(1024) uint16_t tile[MOST_BYTES / 2];
    __shared__ alignas(8) uint64_t barrier;
    const uint32_t bar = shared_address(&barrier);
    asm volatile("prefetch.tensormap [%0];" ::"l"(&in) : "memory");
    if (threadIdx.x == 0) {
        barrier_init(bar, 1);
        fence_init();
        barrier_expect(bar, (uint32_t)bytes);
        load_box<rank>(shared_address(tile), &in, corner.at, bar);
    }
    __syncwarp();
    barrier_wait(bar, 0);
    for (int i = (int)threadIdx.x; i < bytes / 2; i += 32)
        seen[i] = tile[i];
    if (threadIdx.x == 0) {
        store_box<rank>(&out, shared_address(tile), corner.at);
        store_commit();
        store_wait();
    }
}

static uint16_t *data, *target, *seen;

// The box and its tensor: all extents of the tensor are two more than the box's, but the first.
template <int rank> static void check_box(int swizzle, struct corner corner) {
    static const uint64_t outer[] = {0, 5, 3, 2, 3};
    uint64_t dims[5] = {swizzle == 0 ? 24u : 8u << swizzle};
    uint32_t box[5] = {(uint32_t)dims[0]}, strides[5] = {1, 1, 1, 1, 1};
    int n = (int)box[0], total = n;
    for (int d = 1; d < rank; d++) {
        dims[d] = outer[d] + 2;
        box[d] = (uint32_t)outer[d];
        n *= (int)box[d];
        total *= (int)dims[d];
    }
    CUtensorMap in, out;
    bool is_right = make_map(&in, data, rank, dims, box, strides, swizzle) == CUDA_SUCCESS &&
                    make_map(&out, target, rank, dims, box, strides, swizzle) == CUDA_SUCCESS;
    memset(target, 0, (size_t)total * 2);
    box_kernel<rank><<<1, 32>>>(in, out, corner, n * 2, seen);
    cudaError_t code = cudaStreamSynchronize(NULL);
    int n_stored = 0, n_wanted = 0;
    for (int i = 0; i < n; i++) {
        int64_t index = 0, scale = 1, rest = i;
        bool is_inside = true;
        for (int d = 0; d < rank; d++) {
            int64_t at = corner.at[d] + rest % box[d];
            rest /= box[d];
            is_inside = is_inside && at >= 0 && at < (int64_t)dims[d];
            index += at * scale;
            scale *= (int64_t)dims[d];
        }
        int byte = 2 * i, mask = (1 << swizzle) - 1;
        byte ^= (byte / 128 & mask) * 16;
        is_right = is_right && seen[byte / 2] == (is_inside ? data[index] : 0);
        is_right = is_right && (!is_inside || target[index] == data[index]);
        n_wanted += is_inside;
    }
    for (int i = 0; i < total; i++)
        n_stored += target[i] != 0; // no value of the data is 0
    char name[100];
    (void)snprintf(name, sizeof name, "rank %d, swizzle %d, at %d", rank, swizzle, corner.at[0]);
    report(name, is_right && n_stored == n_wanted && code == cudaSuccess, cudaGetErrorString(code));
}

// Each block writes its rank and its cluster's id, which it gets from its neighbour.
static __global__ void ring_kernel(uint32_t *out) {
    __shared__ uint32_t note;
    uint32_t rank = cluster_rank(), n_blocks, id, there, owner;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(n_blocks));
    asm volatile("mov.u32 %0, %%clusterid.x;" : "=r"(id));
    note = 1000 * id + 10 * rank;
    asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");
    asm volatile("{\n.reg .b32 a;\nmapa.shared::cluster.u32 a, %2, %3;\n"
                 "getctarank.shared::cluster.u32 %1, a;\nld.shared::cluster.u32 %0, [a];\n}"
                 : "=r"(there), "=r"(owner)
                 : "r"(shared_address(&note)), "r"((rank + 1) % n_blocks)
                 : "memory");
    out[blockIdx.x] = there + owner;
    asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");
}

static void check_ring(unsigned size) {
    uint32_t *out = (uint32_t *)seen;
    cudaLaunchAttribute attribute;
    memset(&attribute, 0, sizeof attribute);
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = size;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(8, 1, 1);
    config.blockDim = dim3(1, 1, 1);
    config.attrs = &attribute;
    config.numAttrs = 1;
    cudaError_t code = cudaLaunchKernelEx(&config, ring_kernel, out);
    if (code == cudaSuccess)
        code = cudaStreamSynchronize(NULL);
    bool is_right = code == cudaSuccess;
    for (unsigned i = 0; i < 8; i++)
        is_right = is_right && out[i] == 1000 * (i / size) + 11 * ((i + 1) % size);
    report("ring", is_right, cudaGetErrorString(code));
}

int main(void) {
    const size_t bytes = 64 * 7 * 5 * 4 * 5 * 2;
    if (cudaHostAlloc((void **)&data, bytes, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&target, bytes, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&seen, MOST_BYTES, 0) != cudaSuccess || encode_function() == NULL)
        return 2;
    for (size_t i = 0; i < bytes / 2; i++)
        data[i] = (uint16_t)(i % 65521 + 1);
    static const struct corner corners[] = {
        {{0, 0, 0, 0, 0}}, {{3, -1, 2, 3, -2}}, {{-5, 4, -2, 1, 2}}, {{0, 2, 2, 2, 2}}};
    for (const struct corner &corner : corners) {
        check_box<1>(0, corner);
        for (int swizzle = 0; swizzle < 4; swizzle++) {
            check_box<2>(swizzle, corner);
            check_box<3>(swizzle, corner);
        }
        check_box<5>(0, corner);
        check_box<5>(1, corner);
    }
    check_ring(1);
    check_ring(2);
    check_ring(4);
    printf("%d cases, %d failed\n", n_cases, n_failed);
    return n_failed != 0;
}
