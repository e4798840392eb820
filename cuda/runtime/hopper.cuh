// SPDX-License-Identifier: MIT
// The instructions of Hopper (sm_90a) that have no C spelling: mbarriers, tensor copies (TMA),
// warpgroup products (wgmma), clusters (PTX ISA 8.0 and later, the sections that each group names).
// The emulator has its own of the same names (simt_hopper.h).
//
// nvcc has them only while it compiles for sm_90a. For other architectures every function here
// traps: a kernel that calls them must not be launched there, and its op never chooses it.
#ifndef ADELE_CUDA_RUNTIME_HOPPER_CUH
#define ADELE_CUDA_RUNTIME_HOPPER_CUH

#include <cuda.h> // CUtensorMap; nothing of the driver library is linked
#include <cuda_runtime.h>
#include <stdint.h>

#ifdef ADELE_SIMT
#include "simt_hopper.h"
namespace adele_cuda {
template <int n> static inline void wgmma_hold(float (&)[n]) { // orders registers only
}
} // namespace adele_cuda
#else

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HOPPER_ASM(...) asm volatile(__VA_ARGS__)
#else
#define HOPPER_ASM(...) __trap()
#endif

namespace adele_cuda {

static __device__ inline uint32_t hopper_shared(const void *pointer) {
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

// ---- mbarriers (section "mbarrier") -------------------------------------------------------------
// An mbarrier is 8 bytes of shared memory, aligned to 8. Its phase is complete when `count` threads
// have arrived and all bytes that were expected in it have come; then the next one begins.

static __device__ inline void mbarrier_init(uint64_t *bar, uint32_t count) {
    HOPPER_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(hopper_shared(bar)), "r"(count)
               : "memory");
}

// Makes initialized mbarriers visible to the other blocks of the cluster and to the asynchronous
// proxy; the threads of the block still need a barrier.
static __device__ inline void fence_barrier_init() {
    HOPPER_ASM("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Arrives once, and lets the current phase expect `bytes` of copies.
static __device__ inline void mbarrier_expect_tx(uint64_t *bar, uint32_t bytes) {
    HOPPER_ASM("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(
                   hopper_shared(bar)),
               "r"(bytes)
               : "memory");
}

static __device__ inline void mbarrier_arrive(uint64_t *bar) {
    HOPPER_ASM("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(hopper_shared(bar))
               : "memory");
}

// Arrives at the mbarrier that lies at the same place in block `cta` of the cluster (which may be
// the own one).
static __device__ inline void mbarrier_arrive_cluster(uint64_t *bar, uint32_t cta) {
    HOPPER_ASM("{\n"
               ".reg .b32 remote;\n"
               "mapa.shared::cluster.u32 remote, %0, %1;\n"
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n"
               "}" ::"r"(hopper_shared(bar)),
               "r"(cta)
               : "memory");
}

// Returns once the phase of that parity is complete: parity 0 is that of the first phase, and the
// phase before the first one counts as complete (parity 1 of a new mbarrier returns at once). What
// arriving threads of the cluster wrote before is visible then.
static __device__ inline void mbarrier_wait(uint64_t *bar, uint32_t parity) {
    HOPPER_ASM("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
               "@done bra complete;\n"
               "bra again;\n"
               "complete:\n"
               "}" ::"r"(hopper_shared(bar)),
               "r"(parity)
               : "memory");
}

// bar.sync: n_threads (a multiple of 32) of the block meet at barrier `id`, 1 to 15.
static __device__ inline void named_barrier_sync(uint32_t id, uint32_t n_threads) {
    HOPPER_ASM("bar.sync %0, %1;" ::"r"(id), "r"(n_threads) : "memory");
}

// ---- tensor copies (section "cp.async.bulk.tensor") ---------------------------------------------
// One thread copies the box of a tensor map (CUtensorMap, a __grid_constant__ parameter) at
// coordinates (c, w, h, n), the innermost one first. What lies outside of the tensor is read as
// zeros and is not written. Shared memory: aligned to 128 bytes, to 1,024 with a swizzle of 128.

// Writes by the generic proxy (ordinary stores) before it are visible to the asynchronous proxy
// (tensor copies, wgmma) after it.
static __device__ inline void fence_proxy_async() {
    HOPPER_ASM("fence.proxy.async.shared::cta;" ::: "memory");
}

// Into shared memory; its bytes (all of the box, zeros included) count at `bar`.
static __device__ inline void tma_load_4d(void *to_shared, const CUtensorMap *map, int c, int w,
                                          int h, int n, uint64_t *bar) {
    HOPPER_ASM("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(hopper_shared(to_shared)),
               "l"(map), "r"(hopper_shared(bar)), "r"(c), "r"(w), "r"(h), "r"(n)
               : "memory");
}

// Into the shared memory of each block of the cluster whose bit of `blocks` is set, at the same
// place; the bytes count at the mbarrier at the same place of each.
static __device__ inline void tma_load_4d_multicast(void *to_shared, const CUtensorMap *map, int c,
                                                    int w, int h, int n, uint64_t *bar,
                                                    uint16_t blocks) {
    HOPPER_ASM("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
               ".multicast::cluster [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(
                   hopper_shared(to_shared)),
               "l"(map), "r"(hopper_shared(bar)), "r"(c), "r"(w), "r"(h), "r"(n), "h"(blocks)
               : "memory");
}

// From shared memory, part of the thread's current group of copies.
static __device__ inline void tma_store_4d(const CUtensorMap *map, const void *from_shared, int c,
                                           int w, int h, int n) {
    HOPPER_ASM("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group "
               "[%0, {%2, %3, %4, %5}], [%1];" ::"l"(map),
               "r"(hopper_shared(from_shared)), "r"(c), "r"(w), "r"(h), "r"(n)
               : "memory");
}

// Ends the group of the thread's stores.
static __device__ inline void tma_store_commit() {
    HOPPER_ASM("cp.async.bulk.commit_group;" ::: "memory");
}

// Waits until at most n_pending of the thread's groups are unfinished.
template <int n_pending> static __device__ inline void tma_store_wait() {
    HOPPER_ASM("cp.async.bulk.wait_group %0;" ::"n"(n_pending) : "memory");
}

// The same, for reading shared memory only: it may be overwritten then.
template <int n_pending> static __device__ inline void tma_store_wait_read() {
    HOPPER_ASM("cp.async.bulk.wait_group.read %0;" ::"n"(n_pending) : "memory");
}

// ---- registers and clusters (sections "setmaxnreg", "barrier.cluster") --------------------------

// All threads of a warpgroup call it; n is a multiple of 8 from 24 to 256.
template <int n> static __device__ inline void set_max_registers_increase() {
    HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n));
}
template <int n> static __device__ inline void set_max_registers_decrease() {
    HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n));
}

static __device__ inline uint32_t cluster_rank() {
    uint32_t rank = 0;
    HOPPER_ASM("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

// All threads of all blocks of the cluster meet; what they wrote to shared memory before is
// visible after it.
static __device__ inline void cluster_sync() {
    HOPPER_ASM("barrier.cluster.arrive.release.aligned;\n"
               "barrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}

// ---- products of a warpgroup (section "wgmma") --------------------------------------------------

enum matrix_swizzle {
    MATRIX_SWIZZLE_NONE,
    MATRIX_SWIZZLE_128,
    MATRIX_SWIZZLE_64,
    MATRIX_SWIZZLE_32
};

// Where a matrix lies in shared memory (section "Matrix Descriptor Format"): its address and its
// leading and stride offsets in bytes, multiples of 16 below 2^18.
static __device__ inline uint64_t matrix_descriptor(const void *shared, uint32_t leading,
                                                    uint32_t stride, enum matrix_swizzle swizzle) {
    return (uint64_t)(hopper_shared(shared) >> 4 & 0x3fff) |
           (uint64_t)(leading >> 4 & 0x3fff) << 16 | (uint64_t)(stride >> 4 & 0x3fff) << 32 |
           (uint64_t)swizzle << 62;
}

// Orders register accesses before it with the products after it: before the first one, and
// whenever the sums were touched otherwise.
static __device__ inline void wgmma_fence() {
    HOPPER_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}

// The compiler does not know that products run asynchronously, and the clobber "memory" does not
// cover registers. With this call, no access to the sums is moved across it. It stands before the
// fence that follows ordinary writes of the sums, and behind the wait before they are read.
template <int n> static __device__ inline void wgmma_hold(float (&sums)[n]) {
#pragma unroll
    for (int i = 0; i < n; i++)
        asm volatile("" : "+f"(sums[i])::"memory");
}

static __device__ inline void wgmma_commit() {
    HOPPER_ASM("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits until at most n_pending groups of products are unfinished. Sums may be read then only.
template <int n_pending> static __device__ inline void wgmma_wait() {
    HOPPER_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(n_pending) : "memory");
}

// The operands %0 to %127, and the sums that they stand for.
#define PLACES_32                                                                                  \
    "%0, %1, %2, %3, %4, %5, %6, %7, "                                                             \
    "%8, %9, %10, %11, %12, %13, %14, %15, "                                                       \
    "%16, %17, %18, %19, %20, %21, %22, %23, "                                                     \
    "%24, %25, %26, %27, %28, %29, %30, %31"
#define PLACES_64                                                                                  \
    "%32, %33, %34, %35, %36, %37, %38, %39, "                                                     \
    "%40, %41, %42, %43, %44, %45, %46, %47, "                                                     \
    "%48, %49, %50, %51, %52, %53, %54, %55, "                                                     \
    "%56, %57, %58, %59, %60, %61, %62, %63"
#define PLACES_128                                                                                 \
    "%64, %65, %66, %67, %68, %69, %70, %71, "                                                     \
    "%72, %73, %74, %75, %76, %77, %78, %79, "                                                     \
    "%80, %81, %82, %83, %84, %85, %86, %87, "                                                     \
    "%88, %89, %90, %91, %92, %93, %94, %95, "                                                     \
    "%96, %97, %98, %99, %100, %101, %102, %103, "                                                 \
    "%104, %105, %106, %107, %108, %109, %110, %111, "                                             \
    "%112, %113, %114, %115, %116, %117, %118, %119, "                                             \
    "%120, %121, %122, %123, %124, %125, %126, %127"
#define SUMS_4(i)  "+f"(sums[i]), "+f"(sums[(i) + 1]), "+f"(sums[(i) + 2]), "+f"(sums[(i) + 3])
#define SUMS_16(i) SUMS_4(i), SUMS_4((i) + 4), SUMS_4((i) + 8), SUMS_4((i) + 12)
#define SUMS_32(i) SUMS_16(i), SUMS_16((i) + 16)

// sums (64 x n) = a (64 x 16) b (16 x n) + (scale_d ? sums : 0), operands bf16 in shared memory,
// float sums. Thread t of the warpgroup (warp w = t / 32, lane l = t % 32) holds in
// sums[4 i + 2 j + k] element (16 w + l / 4 + 8 j, 8 i + 2 (l % 4) + k). mn_major_a: the innermost
// of a's two extents in shared memory is m instead of k; mn_major_b alike, n.

template <bool mn_major_a, bool mn_major_b>
static __device__ inline void wgmma_m64n64k16_bf16(float (&sums)[32], uint64_t a, uint64_t b,
                                                   bool scale_d) {
    HOPPER_ASM("{\n"
               ".reg .pred p;\n"
               "setp.ne.b32 p, %34, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" PLACES_32 "}, "
               "%32, %33, p, 1, 1, %35, %36;\n"
               "}"
               : SUMS_32(0)
               : "l"(a), "l"(b), "r"((int)scale_d), "n"(mn_major_a), "n"(mn_major_b));
}

template <bool mn_major_a, bool mn_major_b>
static __device__ inline void wgmma_m64n128k16_bf16(float (&sums)[64], uint64_t a, uint64_t b,
                                                    bool scale_d) {
    HOPPER_ASM("{\n"
               ".reg .pred p;\n"
               "setp.ne.b32 p, %66, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" PLACES_32 ", " PLACES_64
               "}, "
               "%64, %65, p, 1, 1, %67, %68;\n"
               "}"
               : SUMS_32(0), SUMS_32(32)
               : "l"(a), "l"(b), "r"((int)scale_d), "n"(mn_major_a), "n"(mn_major_b));
}

template <bool mn_major_a, bool mn_major_b>
static __device__ inline void wgmma_m64n256k16_bf16(float (&sums)[128], uint64_t a, uint64_t b,
                                                    bool scale_d) {
    HOPPER_ASM("{\n"
               ".reg .pred p;\n"
               "setp.ne.b32 p, %130, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" PLACES_32 ", " PLACES_64
               ", " PLACES_128 "}, "
               "%128, %129, p, 1, 1, %131, %132;\n"
               "}"
               : SUMS_32(0), SUMS_32(32), SUMS_32(64), SUMS_32(96)
               : "l"(a), "l"(b), "r"((int)scale_d), "n"(mn_major_a), "n"(mn_major_b));
}

// Four 8 x 8 matrices of 16-bit elements into shared memory: the reverse of ldmatrix_x4 (section
// "stmatrix").
static __device__ inline void stmatrix_x4(void *shared_row, const uint32_t in[4]) {
    HOPPER_ASM("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                   hopper_shared(shared_row)),
               "r"(in[0]), "r"(in[1]), "r"(in[2]), "r"(in[3])
               : "memory");
}

} // namespace adele_cuda
#endif
#endif
