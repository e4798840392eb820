// SPDX-License-Identifier: MIT
// The loop of products that the consumers of both Hopper kernels run: a warpgroup's 64 rows times
// bn columns, 64 of the inner index a step, from the ring of stages.
#ifndef ADELE_CUDA_CONV2D_CONV2D_HOPPER_MULTIPLY_CUH
#define ADELE_CUDA_CONV2D_CONV2D_HOPPER_MULTIPLY_CUH

#include "conv2d/conv2d_hopper.cuh"

namespace adele_cuda {

#define HOPPER_HALF_BYTES (HOPPER_SOURCE_BYTES / 2) // of a stage's rows: those of one warpgroup

// How both operands lie in a stage (PTX ISA, "Shared Memory Matrix Layout"), 128 bytes a row,
// swizzled. K-major: a row has 64 of the inner index; the leading offset is not used. M- and
// N-major: a row has 64 of the rows (or columns), 64 such rows one behind the other, and the next
// 64 columns behind them, the leading offset further.
template <bool is_mn_major> struct hopper_layout {
    static const uint32_t leading = is_mn_major ? HOPPER_HALF_BYTES : 16;
    static const uint32_t eight_rows = 8 * HOPPER_ROW_BYTES; // the stride offset
    // From 16 of the inner index to the next, in the descriptor's units of 16 bytes: 32 bytes along
    // the row, or 16 rows.
    static const uint64_t next_16 = is_mn_major ? 16 * HOPPER_ROW_BYTES / 16 : 2;
};

template <int bn, bool is_mn_major>
static __device__ inline void hopper_multiply_16(float (&sums)[bn / 2], uint64_t a, uint64_t b,
                                                 bool adds) {
    if constexpr (bn == 256)
        wgmma_m64n256k16_bf16<is_mn_major, is_mn_major>(sums, a, b, adds);
    else if constexpr (bn == 128)
        wgmma_m64n128k16_bf16<is_mn_major, is_mn_major>(sums, a, b, adds);
    else
        wgmma_m64n64k16_bf16<is_mn_major, is_mn_major>(sums, a, b, adds);
}

// sums = the steps of one segment: the first product of all overwrites them; without steps they
// stay. A stage is given back one step later, when its products are done while those of the next
// are under way. warpgroup: 0 or 1.
template <int bn, bool is_paired, bool is_mn_major>
static __device__ inline void
hopper_multiply(float (&sums)[bn / 2], int n_steps, const unsigned char *stages, int warpgroup,
                struct hopper_barriers &barriers, struct hopper_ring<hopper_stages(bn)> &ring) {
    using layout = hopper_layout<is_mn_major>;
    int before = 0;
    wgmma_hold(sums);
    for (int step = 0; step < n_steps; step++) {
        const unsigned char *stage = stages + ring.stage * hopper_stage_bytes(bn);
        uint64_t a = matrix_descriptor(stage + warpgroup * HOPPER_HALF_BYTES, layout::leading,
                                       layout::eight_rows, MATRIX_SWIZZLE_128);
        uint64_t b = matrix_descriptor(stage + HOPPER_SOURCE_BYTES, layout::leading,
                                       layout::eight_rows, MATRIX_SWIZZLE_128);
        mbarrier_wait(&barriers.full[ring.stage], ring.parity);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < HOPPER_STEP / 16; k++)
            hopper_multiply_16<bn, is_mn_major>(sums, a + k * layout::next_16,
                                                b + k * layout::next_16, step > 0 || k > 0);
        wgmma_commit();
        wgmma_wait<1>();
        if (step > 0)
            hopper_give_back<is_paired>(&barriers.empty[before]);
        before = ring.stage;
        ring.advance();
    }
    wgmma_wait<0>();
    wgmma_hold(sums);
    if (n_steps > 0)
        hopper_give_back<is_paired>(&barriers.empty[before]);
}

} // namespace adele_cuda
#endif
