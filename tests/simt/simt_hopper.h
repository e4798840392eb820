// SPDX-License-Identifier: MIT
// The functions of cuda/runtime/hopper.cuh as the emulator has them. What is in flight arrives as
// late as the rules allow (simt_async.h).
#ifndef ADELE_SIMT_HOPPER_H
#define ADELE_SIMT_HOPPER_H

#include "cuda.h"
#include "cuda_runtime.h"

void simt_mbarrier_init(uint64_t *bar, uint32_t count, const char *file, int line);
void simt_mbarrier_expect_tx(uint64_t *bar, uint32_t bytes, const char *file, int line);
void simt_mbarrier_arrive(uint64_t *bar, const char *file, int line);
void simt_mbarrier_arrive_cluster(uint64_t *bar, uint32_t rank, const char *file, int line);
void simt_mbarrier_wait(uint64_t *bar, uint32_t parity, const char *file, int line);
void simt_named_barrier(uint32_t id, uint32_t n_threads, const char *file, int line);
void simt_cluster_sync(const char *file, int line);
uint32_t simt_cluster_rank();
void simt_fence_barrier_init();
void simt_fence_proxy_async();
// `blocks`: of the cluster, one bit each.
void simt_tma_load(void *to, const void *map, const int *coordinates, int n_dims,
                   const uint64_t *bar, uint32_t blocks, const char *file, int line);
void simt_tma_store(const void *map, const void *from, const int *coordinates, int n_dims,
                    const char *file, int line);
void simt_tma_store_commit();
void simt_tma_store_wait(int n_pending, bool only_read);
void simt_matrix_row_to(void *shared_row); // as simt_matrix_row, for stmatrix
uint64_t simt_matrix_descriptor(const void *shared, uint32_t leading, uint32_t stride,
                                uint32_t swizzle);
// mn_major: bit 0 of a, bit 1 of b. `sums`: n / 2 of the thread; without `adds` they begin at zero.
void simt_wgmma(uint64_t a, uint64_t b, float *sums, int n, int mn_major, bool adds,
                const char *file, int line);
void simt_wgmma_fence(const char *file, int line);
void simt_wgmma_commit(const char *file, int line);
void simt_wgmma_wait(int n_pending, const char *file, int line);
void simt_set_max_registers(bool increases, int n, const char *file, int line);

namespace adele_cuda {

// ---- mbarriers and other barriers ---------------------------------------------------------------

static inline void mbarrier_init(uint64_t *bar, uint32_t count, SIMT_CALLER) {
    simt_mbarrier_init(bar, count, file, line);
}
static inline void fence_barrier_init() {
    simt_fence_barrier_init();
}
static inline void mbarrier_expect_tx(uint64_t *bar, uint32_t bytes, SIMT_CALLER) {
    simt_mbarrier_expect_tx(bar, bytes, file, line);
}
static inline void mbarrier_arrive(uint64_t *bar, SIMT_CALLER) {
    simt_mbarrier_arrive(bar, file, line);
}
static inline void mbarrier_arrive_cluster(uint64_t *bar, uint32_t cta, SIMT_CALLER) {
    simt_mbarrier_arrive_cluster(bar, cta, file, line);
}
static inline void mbarrier_wait(uint64_t *bar, uint32_t parity, SIMT_CALLER) {
    simt_mbarrier_wait(bar, parity, file, line);
}
static inline void named_barrier_sync(uint32_t id, uint32_t n_threads, SIMT_CALLER) {
    simt_named_barrier(id, n_threads, file, line);
}
static inline uint32_t cluster_rank() {
    return simt_cluster_rank();
}
static inline void cluster_sync(SIMT_CALLER) {
    simt_cluster_sync(file, line);
}

// ---- tensor copies ------------------------------------------------------------------------------

static inline void fence_proxy_async() {
    simt_fence_proxy_async();
}
static inline void tma_load_4d(void *to_shared, const CUtensorMap *map, int c, int w, int h, int n,
                               uint64_t *bar, SIMT_CALLER) {
    const int at[] = {c, w, h, n};
    simt_tma_load(to_shared, map, at, 4, bar, 1u << simt_cluster_rank(), file, line);
}
static inline void tma_load_4d_multicast(void *to_shared, const CUtensorMap *map, int c, int w,
                                         int h, int n, uint64_t *bar, uint16_t blocks,
                                         SIMT_CALLER) {
    const int at[] = {c, w, h, n};
    simt_tma_load(to_shared, map, at, 4, bar, blocks, file, line);
}
static inline void tma_store_4d(const CUtensorMap *map, const void *from_shared, int c, int w,
                                int h, int n, SIMT_CALLER) {
    const int at[] = {c, w, h, n};
    simt_tma_store(map, from_shared, at, 4, file, line);
}
static inline void tma_store_commit() {
    simt_tma_store_commit();
}
template <int n_pending> static inline void tma_store_wait() {
    simt_tma_store_wait(n_pending, false);
}
template <int n_pending> static inline void tma_store_wait_read() {
    simt_tma_store_wait(n_pending, true);
}

// ---- products of a warpgroup --------------------------------------------------------------------

enum matrix_swizzle {
    MATRIX_SWIZZLE_NONE = 0,
    MATRIX_SWIZZLE_128 = 1,
    MATRIX_SWIZZLE_64 = 2,
    MATRIX_SWIZZLE_32 = 3
};

static inline uint64_t matrix_descriptor(const void *shared, uint32_t leading_bytes,
                                         uint32_t stride_bytes, enum matrix_swizzle swizzle) {
    return simt_matrix_descriptor(shared, leading_bytes, stride_bytes, (uint32_t)swizzle);
}
static inline void wgmma_fence(SIMT_CALLER) {
    simt_wgmma_fence(file, line);
}
static inline void wgmma_commit(SIMT_CALLER) {
    simt_wgmma_commit(file, line);
}
template <int n_pending> static inline void wgmma_wait(SIMT_CALLER) {
    simt_wgmma_wait(n_pending, file, line);
}
template <bool mn_major_a, bool mn_major_b>
static inline void wgmma_m64n64k16_bf16(float (&sums)[32], uint64_t a, uint64_t b, bool scale_d,
                                        SIMT_CALLER) {
    simt_wgmma(a, b, sums, 64, mn_major_a + 2 * mn_major_b, scale_d, file, line);
}
template <bool mn_major_a, bool mn_major_b>
static inline void wgmma_m64n128k16_bf16(float (&sums)[64], uint64_t a, uint64_t b, bool scale_d,
                                         SIMT_CALLER) {
    simt_wgmma(a, b, sums, 128, mn_major_a + 2 * mn_major_b, scale_d, file, line);
}
template <bool mn_major_a, bool mn_major_b>
static inline void wgmma_m64n256k16_bf16(float (&sums)[128], uint64_t a, uint64_t b, bool scale_d,
                                         SIMT_CALLER) {
    simt_wgmma(a, b, sums, 256, mn_major_a + 2 * mn_major_b, scale_d, file, line);
}

// ---- registers ----------------------------------------------------------------------------------

template <int n> static inline void set_max_registers_increase(SIMT_CALLER) {
    static_assert(n >= 24 && n <= 256 && n % 8 == 0, "24 to 256, a multiple of 8");
    simt_set_max_registers(true, n, file, line);
}
template <int n> static inline void set_max_registers_decrease(SIMT_CALLER) {
    static_assert(n >= 24 && n <= 256 && n % 8 == 0, "24 to 256, a multiple of 8");
    simt_set_max_registers(false, n, file, line);
}

// ---- stmatrix -----------------------------------------------------------------------------------

// Each lane's row is written when all have called it.
static inline void stmatrix_x4(void *shared_row, const uint32_t in[4], SIMT_CALLER) {
    simt_matrix_row_to(shared_row);
    struct simt_warp_call call = {SIMT_STMATRIX, 0xffffffffu, 0,    0,   32, in,
                                  NULL,          shared_row,  file, line};
    simt_warp(&call);
}

} // namespace adele_cuda
#endif
