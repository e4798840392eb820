// SPDX-License-Identifier: MIT
// mbarriers, tensor maps, TMA and clusters on the interpreter, compared with plain loops; and each
// mistake that a kernel can make with them, which must be reported.
#include "hopper_test.cuh"

enum fault {
    FAULT_NONE,
    FAULT_PARITY,     // waits for the phase before
    FAULT_NO_EXPECT,  // arrives without expect_tx
    FAULT_BYTES,      // expects more than come
    FAULT_NO_FENCE,   // of what threads wrote, before a store
    FAULT_ALIGNMENT,  // of the shared address
    FAULT_INIT,       // no fence behind mbarrier.init
    FAULT_NO_WAIT,    // for the store
    FAULT_OVERWRITE,  // what the store reads
    FAULT_BUSY,       // two loads to one place
    FAULT_NO_CLUSTER, // no barrier of the cluster before an arrival in another block
    FAULT_RELAXED,    // a barrier that orders nothing, and no fence behind mbarrier.init
    FAULT_ENDED,      // a block ends while the other one writes to it
    FAULT_ARRIVALS    // one more than are expected
};

#define CHANNELS  64
#define BOX_W     5
#define BOX_H     3
#define BOX_BYTES (CHANNELS * BOX_W * BOX_H * 2)
#define THREADS   64

// ---- a box in, a box out -----------------------------------------------------------------------

struct place {
    int at[4];
};

static __global__ void box_kernel(const __grid_constant__ CUtensorMap in,
                                  const __grid_constant__ CUtensorMap out, struct place from,
                                  struct place to, uint16_t *seen, int fault) {
    __shared__ alignas(1024) uint16_t tile[BOX_BYTES / 2 + 8];
    __shared__ alignas(1024) uint16_t back[BOX_BYTES / 2];
    __shared__ alignas(8) uint64_t barrier;
    const uint32_t bar = shared_address(&barrier), dst = shared_address(tile);
    if (threadIdx.x == 0) {
        barrier_init(bar, 1);
        if (fault != FAULT_INIT)
            fence_init();
    }
    __syncthreads();
    if (threadIdx.x < 32 && elect_one()) {
        if (fault == FAULT_NO_EXPECT)
            barrier_arrive(bar);
        else
            barrier_expect(bar, BOX_BYTES + (fault == FAULT_BYTES ? 16 : 0));
        if (fault == FAULT_ARRIVALS)
            barrier_arrive(bar);
        load_4d(dst + (fault == FAULT_ALIGNMENT ? 16 : 0), &in, from.at, bar);
        if (fault == FAULT_BUSY)
            load_4d(dst, &in, from.at, bar);
    }
    barrier_wait(bar, fault == FAULT_PARITY ? 1 : 0);
    for (int i = threadIdx.x; i < BOX_BYTES / 2; i += THREADS) {
        int byte = 2 * i, line = byte / 128;
        uint16_t value = tile[(byte ^ (line % 8 * 16)) / 2]; // the 128-byte swizzle
        seen[i] = value;
        back[i] = (uint16_t)(value + 1); // without a swizzle
    }
    if (fault != FAULT_NO_FENCE)
        fence_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        store_4d(&out, shared_address(back), to.at);
        store_commit();
        if (fault == FAULT_OVERWRITE)
            back[0] = 0;
        if (fault != FAULT_NO_WAIT)
            store_wait();
    }
}

#define IN_W  9
#define IN_H  7
#define IN_N  2
#define OUT_W 6
#define OUT_H 5

static uint16_t *data, *target, *seen;

static CUtensorMap in_map(int stride) {
    const uint64_t dims[] = {CHANNELS, IN_W, IN_H, IN_N};
    const uint32_t box[] = {CHANNELS, (uint32_t)(BOX_W * stride), (uint32_t)(BOX_H * stride), 1};
    const uint32_t strides[] = {1, (uint32_t)stride, (uint32_t)stride, 1};
    CUtensorMap map;
    (void)make_map(&map, data, 4, dims, box, strides, CU_TENSOR_MAP_SWIZZLE_128B);
    return map;
}
static CUtensorMap out_map(void) {
    const uint64_t dims[] = {CHANNELS, OUT_W, OUT_H, 1};
    const uint32_t box[] = {CHANNELS, BOX_W, BOX_H, 1}, strides[] = {1, 1, 1, 1};
    CUtensorMap map;
    (void)make_map(&map, target, 4, dims, box, strides, CU_TENSOR_MAP_SWIZZLE_NONE);
    return map;
}

static cudaError_t run_box(int stride, struct place from, struct place to, int fault) {
    memset(target, 0, CHANNELS * OUT_W * OUT_H * 2);
    box_kernel<<<1, THREADS>>>(in_map(stride), out_map(), from, to, seen, fault);
    return cudaStreamSynchronize(NULL);
}
static void run_box_with(int fault) {
    (void)run_box(1, {{0, 0, 0, 0}}, {{0, 0, 0, 0}}, fault);
}

static bool is_box_right(int stride, struct place from, struct place to) {
    bool is_right = true;
    for (int y = 0; y < BOX_H; y++)
        for (int x = 0; x < BOX_W; x++)
            for (int c = 0; c < CHANNELS; c++) {
                int column = from.at[1] + x * stride, row = from.at[2] + y * stride;
                int channel = from.at[0] + c, n = from.at[3], i = (y * BOX_W + x) * CHANNELS + c;
                bool is_inside = channel >= 0 && channel < CHANNELS && column >= 0 &&
                                 column < IN_W && row >= 0 && row < IN_H && n >= 0 && n < IN_N;
                uint16_t want =
                    is_inside ? data[((n * IN_H + row) * IN_W + column) * CHANNELS + channel] : 0;
                is_right = is_right && seen[i] == want;
                int out_x = to.at[1] + x, out_y = to.at[2] + y;
                if (out_x >= 0 && out_x < OUT_W && out_y >= 0 && out_y < OUT_H)
                    is_right = is_right && target[(out_y * OUT_W + out_x) * CHANNELS + c] ==
                                               (uint16_t)(want + 1);
            }
    return is_right;
}

static void check_boxes(void) {
    static const struct place places[] = {{{0, 0, 0, 0}},  {{0, 4, 4, 1}},   {{0, -2, -1, 0}},
                                          {{0, 7, 5, 1}},  {{0, -20, 0, 0}}, {{0, 0, 100, 0}},
                                          {{16, 1, 1, 0}}, {{-8, 1, 1, 0}},  {{0, 0, 0, 2}}};
    for (int stride = 1; stride <= 2; stride++)
        for (const struct place &from : places)
            for (int shift = -1; shift <= 2; shift++) {
                struct place to = {{0, shift, shift, 0}};
                char name[100];
                (void)snprintf(name, sizeof name, "box, stride %d, at %d %d %d %d", stride,
                               from.at[0], from.at[1], from.at[2], from.at[3]);
                cudaError_t code = run_box(stride, from, to, FAULT_NONE);
                report(name, code == cudaSuccess && is_box_right(stride, from, to),
                       cudaGetErrorString(code));
            }
}

// ---- two blocks that load for each other -------------------------------------------------------

#define ROWS   4 // of 64 elements, of each block
#define HALF   (ROWS * 64 * 2)
#define ROUNDS 3

static __global__ void __cluster_dims__(2, 1, 1)
    cluster_kernel(const __grid_constant__ CUtensorMap in, uint16_t *out, int fault) {
    __shared__ alignas(128) uint16_t tile[2 * HALF / 2];
    __shared__ alignas(8) uint64_t barriers[2]; // full, empty
    __shared__ uint32_t note;
    const uint32_t full = shared_address(barriers), empty = full + 8, rank = cluster_rank();
    if (threadIdx.x == 0) {
        barrier_init(full, 1);
        barrier_init(empty, 2); // a thread of each block
        if (fault != FAULT_RELAXED)
            fence_init();
        note = 100 + rank;
    }
    __syncthreads();
    if (fault == FAULT_RELAXED)
        asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;" ::
                         : "memory");
    else if (fault != FAULT_NO_CLUSTER)
        cluster_barrier();
    if (threadIdx.x == 0) {
        uint32_t there;
        asm volatile("{\n.reg .b32 a;\nmapa.shared::cluster.u32 a, %1, %2;\n"
                     "ld.shared::cluster.u32 %0, [a];\n}"
                     : "=r"(there)
                     : "r"(shared_address(&note)), "r"(rank ^ 1)
                     : "memory");
        out[2 * ROUNDS * HALF + rank] = (uint16_t)there;
    }
    for (int round = 0; round < ROUNDS; round++) {
        if (threadIdx.x == 0) {
            barrier_wait(empty, (round & 1) ^ 1);
            barrier_expect(full, 2 * HALF);
            load_2d_multicast(shared_address(tile) + rank * HALF, &in, 0,
                              (int)(round * 2 + rank) * ROWS, full, 3);
        }
        if (fault == FAULT_ENDED && rank == 1)
            return;
        barrier_wait(full, round & 1);
        for (int i = threadIdx.x; i < HALF; i += THREADS) // the halves of both blocks
            out[(rank * ROUNDS + round) * HALF + i] = tile[i];
        __syncthreads();
        if (threadIdx.x == 0)
            for (uint32_t other = 0; other < 2; other++)
                barrier_arrive_in(empty, other);
    }
    cluster_barrier();
}

static void run_cluster(int fault) {
    const uint64_t dims[] = {64, ROUNDS * 2 * ROWS};
    const uint32_t box[] = {64, ROWS}, strides[] = {1, 1};
    CUtensorMap map;
    (void)make_map(&map, data, 2, dims, box, strides, CU_TENSOR_MAP_SWIZZLE_NONE);
    cluster_kernel<<<2, THREADS>>>(map, seen, fault);
    (void)cudaStreamSynchronize(NULL);
}

static void check_cluster(void) {
    run_cluster(FAULT_NONE);
    cudaError_t code = cudaGetLastError();
    bool is_right =
        code == cudaSuccess && seen[2 * ROUNDS * HALF] == 101 && seen[2 * ROUNDS * HALF + 1] == 100;
    for (int i = 0; i < 2 * ROUNDS * HALF; i++)
        is_right = is_right && seen[i] == data[i % (ROUNDS * HALF)];
    report("cluster", is_right, cudaGetErrorString(code));
}

// ---- what the driver refuses -------------------------------------------------------------------

static void check_maps(void) {
    struct bad {
        const char *name;
        uint64_t inner, stride;
        uint32_t box, element_stride;
        int offset, swizzle;
        CUresult want;
    };
    static const struct bad cases[] = {
        {"a good map", 64, 128, 64, 1, 0, 3, CUDA_SUCCESS},
        {"stride of 24 bytes", 8, 24, 8, 1, 0, 0, CUDA_ERROR_INVALID_VALUE},
        {"stride below the row", 64, 112, 64, 1, 0, 3, CUDA_ERROR_INVALID_VALUE},
        {"stride of 2^40", 64, (uint64_t)1 << 40, 64, 1, 0, 3, CUDA_ERROR_INVALID_VALUE},
        {"address", 64, 128, 64, 1, 1, 3, CUDA_ERROR_INVALID_VALUE},
        {"box of 257", 512, 1024, 257, 1, 0, 0, CUDA_ERROR_INVALID_VALUE},
        {"box of 12 bytes", 64, 128, 6, 1, 0, 0, CUDA_ERROR_INVALID_VALUE},
        {"box beyond the swizzle", 64, 128, 64, 1, 0, 2, CUDA_ERROR_INVALID_VALUE},
        {"element stride of 9", 64, 128, 64, 9, 0, 3, CUDA_ERROR_INVALID_VALUE},
        {"no elements", 0, 128, 64, 1, 0, 3, CUDA_ERROR_INVALID_VALUE},
    };
    for (const struct bad &one : cases) {
        CUtensorMap map;
        const cuuint64_t dims[] = {one.inner, 4}, strides[] = {one.stride};
        const cuuint32_t box[] = {one.box, 2}, steps[] = {1, one.element_stride};
        CUresult result = encode_function()(
            &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, data + one.offset, dims, strides, box, steps,
            CU_TENSOR_MAP_INTERLEAVE_NONE, (CUtensorMapSwizzle)one.swizzle,
            CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
        report(one.name, result == one.want, "the encoder answers otherwise");
    }
}

int main(void) {
    const size_t n_seen = 2 * ROUNDS * HALF + 2;
    if (cudaHostAlloc((void **)&data, CHANNELS * IN_W * IN_H * IN_N * 2, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&target, CHANNELS * OUT_W * OUT_H * 2, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&seen, n_seen * 2, 0) != cudaSuccess || encode_function() == NULL)
        return 2;
    for (int i = 0; i < CHANNELS * IN_W * IN_H * IN_N; i++)
        data[i] = (uint16_t)(i * 7 + 1);
    must_report("wrong parity", run_box_with, FAULT_PARITY, "which a TMA load under way writes");
    must_report("no expect_tx", run_box_with, FAULT_NO_EXPECT, "which a TMA load under way writes");
    must_report("wrong bytes", run_box_with, FAULT_BYTES, "no thread can go on");
    must_report("no proxy fence", run_box_with, FAULT_NO_FENCE, "without a fence.proxy.async");
    must_report("misaligned", run_box_with, FAULT_ALIGNMENT, "is not aligned to 128");
    must_report("no fence of init", run_box_with, FAULT_INIT, "fence.mbarrier_init behind");
    must_report("no wait", run_box_with, FAULT_NO_WAIT, "nobody has waited for it");
    must_report("overwritten", run_box_with, FAULT_OVERWRITE, "which a TMA store or wgmma");
    must_report("two loads", run_box_with, FAULT_BUSY, "which another TMA load under way writes");
    must_report("arrivals", run_box_with, FAULT_ARRIVALS, "an arrival of 1 where");
    must_report("no cluster barrier", run_cluster, FAULT_NO_CLUSTER, "before any barrier.cluster");
    must_report("relaxed barrier", run_cluster, FAULT_RELAXED, "mbarrier_init");
    must_report("an early end", run_cluster, FAULT_ENDED, "ended");
    check_maps();
    check_boxes();
    check_cluster();
    printf("%d cases, %d failed\n", n_cases, n_failed);
    return n_failed != 0;
}
