// SPDX-License-Identifier: MIT
// What is kept of wgmma (PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate"): which
// of a warp's are under way, the registers that they hold, and what they read of shared memory.
// The sums are computed at once; whoever looks at them before wgmma.wait_group, or changes what
// wgmma reads meanwhile, is reported.
#ifndef ADELE_PTX_WGMMA_H
#define ADELE_PTX_WGMMA_H

#include "async.h"

namespace ptx {

constexpr int WARPGROUP = 4; // warps

// Numbers of wgmmas count from 1 for each warp.
struct register_state {
    uint32_t touched = 0; // fences so far, + 1, when an instruction of threads read or wrote it
    uint32_t number = 0;  // of the last wgmma that has it
    uint16_t columns = 0; // N of that one
    bool is_accumulator = false;
};
struct warp_wgmma {
    std::vector<struct register_state> registers; // by place / 64
    uint32_t n_fences = 0, n_issued = 0, n_complete = 0;
    std::deque<uint32_t> groups;   // n_issued when each was committed
    std::vector<uint32_t> checked; // for each instruction, the registers that it was found to fit
};
// A wgmma of a warpgroup, which its four warps issue one after the other here.
struct wgmma_op {
    uint32_t pc;
    uint64_t a, b; // descriptors
    bool scale_d;
    std::vector<uint32_t> granules; // that it reads; none once a warp has seen it complete
};
struct warpgroup {
    std::vector<struct wgmma_op> ops; // all that were issued, in their order
    uint32_t n_released = 0;          // of them, those that are complete
};
struct block_wgmma {
    std::vector<struct warp_wgmma> warps;
    std::vector<struct warpgroup> groups;
};
void begin_wgmma(struct block_run &block);
void end_wgmma(const struct block_run &block);

// wgmma_registers.cpp: before an instruction of a warp that has wgmma, at w.pc.
void follow_registers(struct warp &w);
// The accumulators and the registers of A, in their order, of the wgmma that the warp issues now.
void hold_registers(struct warp &w, const std::vector<uint32_t> &accumulators,
                    const std::vector<uint32_t> &a);

// wgmma_matrix.cpp: rows of K = 16 elements (of bf16 or f16, as bits) that a descriptor names, from
// row `first` on; granules gets what is read. is_mn_major: imm-trans is 1.
void read_matrix(const struct block_run &block, uint64_t descriptor, bool is_mn_major, int first,
                 int n_rows, uint16_t *rows, std::vector<uint32_t> *granules);

} // namespace ptx
#endif
