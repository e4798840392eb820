// SPDX-License-Identifier: MIT
// What the tests of Hopper's instructions share: PTX as functions, tensor maps, and cases that must
// give what plain loops give or must be reported. The wrappers are those of these tests alone, so
// that a mistake in the library's own (cuda/runtime) is not made here too.
#ifndef ADELE_PTX_HOPPER_TEST_CUH
#define ADELE_PTX_HOPPER_TEST_CUH

#include <cuda.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- on the device -----------------------------------------------------------------------------

static __device__ __forceinline__ uint32_t shared_address(const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
}
static __device__ __forceinline__ void barrier_init(uint32_t barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
static __device__ __forceinline__ void barrier_expect(uint32_t barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
}
static __device__ __forceinline__ void barrier_arrive(uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
static __device__ __forceinline__ void barrier_arrive_in(uint32_t barrier, uint32_t rank) {
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(barrier),
        "r"(rank)
        : "memory");
}
// The label is one of many of its name, each in braces of its own.
static __device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t parity) {
    asm volatile("{\n.reg .pred done;\nAGAIN:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra BEHIND;\nbra AGAIN;\nBEHIND:\n}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}
static __device__ __forceinline__ void fence_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
static __device__ __forceinline__ void fence_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
static __device__ __forceinline__ void cluster_barrier() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}
static __device__ __forceinline__ uint32_t cluster_rank() {
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
static __device__ __forceinline__ bool elect_one() {
    uint32_t is_elected;
    asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(is_elected));
    return is_elected != 0;
}
static __device__ __forceinline__ void load_4d(uint32_t to, const CUtensorMap *map, const int *at,
                                               uint32_t barrier) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 " [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
                 "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(barrier)
                 : "memory");
}
static __device__ __forceinline__ void load_2d(uint32_t to, const CUtensorMap *map, int x, int y,
                                               uint32_t barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 " [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(x), "r"(y), "r"(barrier)
                 : "memory");
}
static __device__ __forceinline__ void load_2d_multicast(uint32_t to, const CUtensorMap *map, int x,
                                                         int y, uint32_t barrier, uint16_t mask) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
                 "l"(map), "r"(x), "r"(y), "r"(barrier), "h"(mask)
                 : "memory");
}
static __device__ __forceinline__ void store_4d(const CUtensorMap *map, uint32_t from,
                                                const int *at) {
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%1, %2, %3, %4}], "
                 "[%5];" ::"l"(map),
                 "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(from)
                 : "memory");
}
static __device__ __forceinline__ void store_commit() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
static __device__ __forceinline__ void store_wait() {
    asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

// ---- on the host -------------------------------------------------------------------------------

typedef decltype(&cuTensorMapEncodeTiled) encode_fn;

static encode_fn encode_function(void) {
    void *f = NULL;
    cudaDriverEntryPointQueryResult result;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault,
                                         &result) != cudaSuccess ||
        result != cudaDriverEntryPointSuccess)
        return NULL;
    return (encode_fn)f;
}

// A tensor of 2-byte elements without gaps.
static CUresult make_map(CUtensorMap *map, void *data, int rank, const uint64_t *dims,
                         const uint32_t *box, const uint32_t *element_strides, int swizzle) {
    cuuint64_t extents[5], strides[5], bytes = 2;
    for (int d = 0; d < rank; d++) {
        extents[d] = dims[d];
        bytes *= dims[d];
        strides[d] = bytes;
    }
    return encode_function()(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, (cuuint32_t)rank, data, extents,
                             strides, box, element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE,
                             (CUtensorMapSwizzle)swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

static int n_failed, n_cases;

static void report(const char *name, bool is_right, const char *text) {
    n_cases++;
    n_failed += !is_right;
    if (!is_right)
        printf("FAILED %s: %s\n", name, text);
}

// What a case says that fails in a child process: an error of the device lasts.
static void must_report(const char *name, void (*run)(int), int fault, const char *part) {
    char text[4000] = "";
    int ends[2], status;
    if (pipe(ends) != 0) {
        report(name, false, "no pipe");
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        run(fault);
        const char *error = cudaGetErrorString(cudaPeekAtLastError());
        _exit(write(ends[1], error, strlen(error)) < 0);
    }
    close(ends[1]);
    for (ssize_t n = 0, at = 0; (n = read(ends[0], text + at, sizeof text - 1 - at)) > 0;)
        at += n;
    close(ends[0]);
    (void)waitpid(child, &status, 0);
    report(name, strstr(text, part) != NULL, text);
}

#endif
