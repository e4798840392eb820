// SPDX-License-Identifier: MIT
// The functions of cuda/runtime/tensor_core.cuh as the emulator has them. A copy of cp_async_16 is
// made no earlier than in the cp_async_wait that covers it: without the wait a thread reads what
// was there before.
#ifndef ADELE_SIMT_TENSOR_CORE_H
#define ADELE_SIMT_TENSOR_CORE_H

#include "cuda_runtime.h"

void simt_copy_begin(void *to, const void *from, bool is_live);
void simt_copy_commit();
void simt_copy_wait(int n_pending);
// Fails the launch unless the 16 bytes are aligned; the checked build checks for races, too.
void simt_matrix_row(const void *shared_row);

namespace adele_cuda {

static inline void cp_async_16(void *to_shared, const void *from, bool is_live) {
    simt_copy_begin(to_shared, from, is_live);
}

static inline void cp_async_commit() {
    simt_copy_commit();
}

template <int n_pending> static inline void cp_async_wait() {
    simt_copy_wait(n_pending);
}

static inline void ldmatrix_x4(uint32_t out[4], const void *shared_row, SIMT_CALLER) {
    simt_matrix_row(shared_row);
    struct simt_warp_call call = {SIMT_LDMATRIX, 0xffffffffu, 0,   0,    32,
                                  shared_row,    NULL,        out, file, line};
    simt_warp(&call);
}

static inline void ldmatrix_x4_trans(uint32_t out[4], const void *shared_row, SIMT_CALLER) {
    simt_matrix_row(shared_row);
    struct simt_warp_call call = {SIMT_LDMATRIX_TRANS, 0xffffffffu, 0,   0,    32,
                                  shared_row,          NULL,        out, file, line};
    simt_warp(&call);
}

static inline void mma_bf16_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2],
                                    SIMT_CALLER) {
    struct simt_warp_call call = {SIMT_MMA_BF16, 0xffffffffu, 0, 0, 32, a, b, d, file, line};
    simt_warp(&call);
}

static inline void mma_tf32_16x8x8(float d[4], const uint32_t a[4], const uint32_t b[2],
                                   SIMT_CALLER) {
    struct simt_warp_call call = {SIMT_MMA_TF32, 0xffffffffu, 0, 0, 32, a, b, d, file, line};
    simt_warp(&call);
}

static inline uint32_t to_tf32(float value) {
    uint32_t bits = __float_as_uint(value);
    if ((bits & 0x7f800000u) == 0x7f800000u)
        return (bits & 0x007fffffu) ? 0x7fffffffu : bits; // NaN, infinity
    return (bits + 0x1000u) & 0xffffe000u;
}

} // namespace adele_cuda
#endif
