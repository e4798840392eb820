// SPDX-License-Identifier: MIT
// The few instructions that have no C spelling: asynchronous copies into shared memory, ldmatrix,
// mma.sync (PTX ISA, sections "cp.async", "ldmatrix", "mma"). The emulator has its own of the same
// names.
#ifndef ADELE_CUDA_RUNTIME_TENSOR_CORE_CUH
#define ADELE_CUDA_RUNTIME_TENSOR_CORE_CUH

#ifdef ADELE_SIMT
#include "simt_tensor_core.h"
#else
#include <cuda_runtime.h>
#include <stdint.h>

namespace adele_cuda {

static __device__ inline uint32_t shared_address(const void *pointer) {
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

// Copies 16 bytes to shared memory, both ends aligned to 16; writes zeros when !is_live, and then
// does not read `from` (which must still be a valid address).
static __device__ inline void cp_async_16(void *to_shared, const void *from, bool is_live) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to_shared)),
                 "l"(from), "r"(is_live ? 16 : 0)
                 : "memory");
}

static __device__ inline void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most n_pending of this thread's committed groups are unfinished.
template <int n_pending> static __device__ inline void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(n_pending) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements: lane i gives the address of row i % 8 of matrix i / 8 (16
// bytes, aligned); out[j] of a lane holds elements (lane / 4, 2 (lane % 4) + {0, 1}) of matrix j.
static __device__ inline void ldmatrix_x4(uint32_t out[4], const void *shared_row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(shared_row))
                 : "memory");
}

// The same, each matrix transposed.
static __device__ inline void ldmatrix_x4_trans(uint32_t out[4], const void *shared_row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(shared_row))
                 : "memory");
}

// d (16 x 8) += a (16 x 16, row major) b (16 x 8, column major), bf16 operands, float sums.
// With g = lane / 4, t = lane % 4: d[0..1] = (g, 2t + {0, 1}), d[2..3] = (g + 8, 2t + {0, 1});
// a[0] = (g, 2t + {0, 1}), a[1] = (g + 8, ..), a[2] = (g, 2t + 8 + {0, 1}), a[3] = (g + 8, 2t + 8
// ..); b[0] = (2t + {0, 1}, g), b[1] = (2t + 8 + {0, 1}, g).
static __device__ inline void mma_bf16_16x8x16(float d[4], const uint32_t a[4],
                                               const uint32_t b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d (16 x 8) += a (16 x 8) b (8 x 8), TF32 operands (words from to_tf32). a[0] = (g, t), a[1] = (g
// + 8, t), a[2] = (g, t + 4), a[3] = (g + 8, t + 4); b[0] = (t, g), b[1] = (t + 4, g).
static __device__ inline void mma_tf32_16x8x8(float d[4], const uint32_t a[4],
                                              const uint32_t b[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Rounds to nearest, ties away from zero, to 10 bits of mantissa.
static __device__ inline uint32_t to_tf32(float value) {
    uint32_t out;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(value));
    return out;
}

} // namespace adele_cuda
#endif
#endif
