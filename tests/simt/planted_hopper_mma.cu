// SPDX-License-Identifier: MIT
// The kernels of planted_hopper.h that multiply with wgmma.
#include "planted_hopper.h"
#include "planted_hopper_parts.cuh"

namespace adele_cuda {

static const int k_all = 64, most_b_bytes = 256 * k_all * 2;

// How a matrix of (n_rows, 64) lies in shared memory: boxes of rows of `box_row` elements.
struct operand {
    int n_rows, box_row, box_bytes, n_boxes;
    bool is_mn_major;
    uint32_t leading, stride;
    enum matrix_swizzle swizzle;
};

static __device__ const unsigned char *start_of(const struct operand *all,
                                                const unsigned char *shared, int k) {
    if (all->is_mn_major)
        return shared + k * all->box_row * 2;
    return shared + k / all->box_row * all->box_bytes + k % all->box_row * 2;
}

static __device__ uint64_t descriptor_of(const struct operand *all, const unsigned char *shared,
                                         int k) {
    return matrix_descriptor(start_of(all, shared, k), all->leading, all->stride, all->swizzle);
}

static __device__ void load_operand(const struct operand *all, const CUtensorMap *map,
                                    unsigned char *shared, uint64_t *bar) {
    for (int i = 0; i < all->n_boxes; i++)
        tma_load_4d(shared + i * all->box_bytes, map, i * all->box_row, 0, 0, 0, bar);
}

static __device__ void wgmma_of(float (&sums)[32], uint64_t a, uint64_t b, bool adds, int majors) {
    switch (majors) {
    case 0:
        return wgmma_m64n64k16_bf16<false, false>(sums, a, b, adds);
    case 1:
        return wgmma_m64n64k16_bf16<true, false>(sums, a, b, adds);
    case 2:
        return wgmma_m64n64k16_bf16<false, true>(sums, a, b, adds);
    default:
        return wgmma_m64n64k16_bf16<true, true>(sums, a, b, adds);
    }
}
static __device__ void wgmma_of(float (&sums)[64], uint64_t a, uint64_t b, bool adds, int majors) {
    if (majors == 0)
        wgmma_m64n128k16_bf16<false, false>(sums, a, b, adds);
    else
        wgmma_m64n128k16_bf16<true, true>(sums, a, b, adds);
}
static __device__ void wgmma_of(float (&sums)[128], uint64_t a, uint64_t b, bool adds, int majors) {
    if (majors == 0)
        wgmma_m64n256k16_bf16<false, false>(sums, a, b, adds);
    else
        wgmma_m64n256k16_bf16<true, true>(sums, a, b, adds);
}

static __device__ unsigned char *begin_product(const struct operand *a, const CUtensorMap *map_a,
                                               const struct operand *b, const CUtensorMap *map_b,
                                               unsigned char *shared, uint64_t *bar) {
    unsigned char *shared_b = shared + 64 * k_all * 2;
    if (threadIdx.x == 0) {
        mbarrier_init(bar, 1);
        fence_barrier_init();
        mbarrier_expect_tx(bar, (uint32_t)(a->n_boxes * a->box_bytes + b->n_boxes * b->box_bytes));
        load_operand(a, map_a, shared, bar);
        load_operand(b, map_b, shared_b, bar);
    }
    __syncthreads();
    return shared_b;
}

// What happens between the copies and the products.
static __device__ void before_products(enum planted_product_fault fault, unsigned char *shared,
                                       uint64_t *bar) {
    if (fault != PLANTED_PRODUCT_NO_BARRIER)
        mbarrier_wait(bar, 0);
    bool stores = fault == PLANTED_PRODUCT_STORED || fault == PLANTED_PRODUCT_STORED_FENCED;
    if (stores && threadIdx.x < 64) { // row 8 of a, not swizzled, becomes zeros
        ((uint16_t *)(shared + 8 * 128))[threadIdx.x] = 0;
        if (fault == PLANTED_PRODUCT_STORED_FENCED)
            fence_proxy_async();
    }
    __syncthreads();
    if (fault != PLANTED_PRODUCT_NO_FENCE)
        wgmma_fence();
}

template <int n>
static __global__ void product(const __grid_constant__ CUtensorMap map_a,
                               const __grid_constant__ CUtensorMap map_b, struct operand a,
                               struct operand b, enum planted_product_fault fault, float *out) {
    DYNAMIC_SHARED(shared);
    SHARED(uint64_t, bar, );
    unsigned char *shared_b = begin_product(&a, &map_a, &b, &map_b, shared, &bar);
    float sums[n / 2];
    for (float &sum : sums)
        sum = 1e30f; // the first product overwrites it
    before_products(fault, shared, &bar);
    int majors = a.is_mn_major + 2 * b.is_mn_major;
    if (fault == PLANTED_PRODUCT_DIVERGENT && threadIdx.x >= 96)
        wgmma_fence();
    if (fault == PLANTED_PRODUCT_ENDED && threadIdx.x >= 96)
        return;
    for (int k = 0; k < k_all; k += 16)
        wgmma_of(sums, descriptor_of(&a, shared, k), descriptor_of(&b, shared_b, k),
                 k > 0 || fault == PLANTED_PRODUCT_ADDS, majors);
    if (fault != PLANTED_PRODUCT_NO_COMMIT)
        wgmma_commit();
    if (fault == PLANTED_PRODUCT_OVERWRITTEN && threadIdx.x == 5)
        shared[40] ^= 1;
    if (fault == PLANTED_PRODUCT_TOUCHED && threadIdx.x == 5)
        sums[3] = 0.0f;
    if (fault != PLANTED_PRODUCT_NO_WAIT)
        wgmma_wait<0>();
    if (fault == PLANTED_PRODUCT_CHANGED || fault == PLANTED_PRODUCT_CHANGED_LATE) {
        if (fault == PLANTED_PRODUCT_CHANGED_LATE)
            wgmma_fence();
        sums[0] = 0.0f;
        wgmma_of(sums, descriptor_of(&a, shared, 0), descriptor_of(&b, shared_b, 0), true, majors);
    }
    int lane = (int)threadIdx.x % 32, row = (int)threadIdx.x / 32 * 16 + lane / 4;
    for (int i = 0; i < n / 2; i++)
        out[(row + i / 2 % 2 * 8) * n + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
}

// out (32 rows, 8): the row that each lane's address names.
static __global__ void store_by_matrices(uint16_t *out) {
    SHARED(uint4, rows, [32]);
    int lane = (int)threadIdx.x;
    uint32_t words[4];
    for (int j = 0; j < 4; j++) { // element (row, column) of matrix j is 64 j + 8 row + column
        uint32_t low = (uint32_t)(64 * j + 8 * (lane / 4) + 2 * (lane % 4));
        words[j] = low | (low + 1) << 16;
    }
    stmatrix_x4(&rows[lane], words);
    __syncwarp();
    for (int i = 0; i < 8; i++)
        out[lane * 8 + i] = ((const uint16_t *)&rows[lane])[i];
}

// ---- registers ----------------------------------------------------------------------------------

static __global__ void __launch_bounds__(384) registers_of(enum planted_registers_fault fault) {
    if (threadIdx.x < 128) {
        if (fault == PLANTED_REGISTERS_PARTLY && threadIdx.x >= 64)
            return;
        if (fault == PLANTED_REGISTERS_RAISED)
            set_max_registers_decrease<240>();
        else if (fault != PLANTED_REGISTERS_TOO_MANY)
            set_max_registers_decrease<40>();
        return;
    }
    set_max_registers_increase<232>(); // 40 + 2 * 232 = 3 * 168
}

} // namespace adele_cuda

// ---- the functions of planted_hopper.h ----------------------------------------------------------

using namespace adele_cuda;

static struct operand operand_of(int n_rows, int swizzle_bytes, bool is_mn_major) {
    struct operand all = {};
    all.n_rows = n_rows;
    all.is_mn_major = is_mn_major;
    all.box_row = swizzle_bytes == 0 ? 8 : swizzle_bytes / 2;
    int n_box_rows = is_mn_major ? k_all : n_rows;
    all.box_bytes = all.box_row * 2 * n_box_rows;
    all.n_boxes = (is_mn_major ? n_rows : k_all) / all.box_row;
    uint32_t period = 8 * (uint32_t)all.box_row * 2, next_box = (uint32_t)all.box_bytes;
    bool is_swapped = is_mn_major && swizzle_bytes == 0; // the roles of the two offsets
    all.stride = is_swapped ? next_box : period;
    all.leading = is_swapped ? period : swizzle_bytes == 0 || is_mn_major ? next_box : 16;
    all.swizzle = swizzle_bytes == 0    ? MATRIX_SWIZZLE_NONE
                  : swizzle_bytes == 32 ? MATRIX_SWIZZLE_32
                  : swizzle_bytes == 64 ? MATRIX_SWIZZLE_64
                                        : MATRIX_SWIZZLE_128;
    return all;
}

static bool make_operand_map(const struct operand *all, int swizzle_bytes, void *matrix,
                             CUtensorMap *out) {
    int width = all->is_mn_major ? all->n_rows : k_all, h = all->is_mn_major ? k_all : all->n_rows;
    const int extents[] = {width, h, 1, 1}, box[] = {all->box_row, h, 1, 1};
    struct map_request request = map_request_of(matrix, extents, box);
    request.swizzle = swizzle_of(swizzle_bytes);
    return make_map(&request, out);
}

static void spoil(struct operand *a, enum planted_product_fault fault) {
    if (fault == PLANTED_PRODUCT_SWIZZLE)
        a->swizzle = MATRIX_SWIZZLE_64;
    if (fault == PLANTED_PRODUCT_STRIDE)
        a->stride /= 2;
    if (fault == PLANTED_PRODUCT_LEADING)
        a->leading /= 2;
    if (fault == PLANTED_PRODUCT_OUTSIDE)
        a->stride *= 16;
}

const char *planted_product(const struct planted_product *shape, const uint16_t *a,
                            const uint16_t *b, enum planted_product_fault fault, float *out) {
    int n = shape->n;
    device_array<uint16_t> from_a(a, 64 * (size_t)k_all), from_b(b, (size_t)(n * k_all));
    device_array<float> to(NULL, 64 * (size_t)n);
    struct operand all_a = operand_of(64, shape->swizzle_bytes_a, shape->is_mn_major_a);
    struct operand all_b = operand_of(n, shape->swizzle_bytes_b, shape->is_mn_major_b);
    CUtensorMap map_a, map_b;
    if (!make_operand_map(&all_a, shape->swizzle_bytes_a, from_a.data, &map_a) ||
        !make_operand_map(&all_b, shape->swizzle_bytes_b, from_b.data, &map_b))
        return cudaGetErrorString(cudaErrorInvalidValue);
    spoil(&all_a, fault);
    int bytes = 64 * k_all * 2 + most_b_bytes;
    int n_threads = fault == PLANTED_PRODUCT_HALF ? 64 : 128;
    void (*kernel)(CUtensorMap, CUtensorMap, struct operand, struct operand,
                   enum planted_product_fault, float *) = n == 64    ? product<64>
                                                          : n == 128 ? product<128>
                                                                     : product<256>;
    RUN(kernel, 1, n_threads, bytes, map_a, map_b, all_a, all_b, fault, to.data);
    return to.download(out);
}

const char *planted_stmatrix(uint16_t out[256]) {
    device_array<uint16_t> to(NULL, 256);
    RUN(store_by_matrices, 1, 32, 0, to.data);
    return to.download(out);
}

const char *planted_registers(enum planted_registers_fault fault) {
    RUN(registers_of, 1, 384, 0, fault);
    return error_text();
}
