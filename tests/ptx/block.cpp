// SPDX-License-Identifier: MIT
// A block: its warps run in turns, each until a barrier or its end (or a few steps, when the order
// is shuffled).
#include "lanes.h"

#include <string.h>

namespace ptx {

// ---- special registers --------------------------------------------------------------------------

static uint32_t special_value(const struct block_run &block, int special, unsigned thread) {
    const unsigned *e = block.block;
    switch (special) {
    case SPECIAL_TID_X:
        return thread % e[0];
    case SPECIAL_TID_Y:
        return thread / e[0] % e[1];
    case SPECIAL_TID_Z:
        return thread / e[0] / e[1];
    case SPECIAL_LANEID:
        return thread % N_LANES;
    default:
        break;
    }
    if (special >= SPECIAL_NCTAID_X)
        return block.grid[special - SPECIAL_NCTAID_X];
    if (special >= SPECIAL_CTAID_X)
        return block.id[special - SPECIAL_CTAID_X];
    return e[special - SPECIAL_NTID_X];
}

// From the first special register to the one before the last.
static void set_specials(struct warp &w, int first, int last) {
    const struct block_run &block = *w.block;
    for (int s = first; s < last; s++) {
        if (block.kernel->special_place[s] == NO_PLACE)
            continue;
        lane_values<uint32_t> out(w, block.kernel->special_place[s]);
        for (int l = 0; l < N_LANES; l++)
            out.set(l, special_value(block, s, (unsigned)(w.index * N_LANES + l)));
    }
}
void begin_grid(struct block_run &block) {
    for (struct warp &w : block.warps)
        set_specials(w, 0, N_SPECIALS);
}

// ---- begin and end ------------------------------------------------------------------------------

// What nobody wrote is NaN.
static void begin_block(struct block_run &block) {
    unsigned n_threads = block.block[0] * block.block[1] * block.block[2];
    memset(block.shared, 0xff, block.shared_bytes);
    for (struct warp &w : block.warps) {
        unsigned n = n_threads - (unsigned)w.index * N_LANES;
        w.state = WARP_READY;
        w.live = w.current = n >= N_LANES ? ALL_LANES : (1u << n) - 1;
        w.pc = 0;
        w.parked = w.blocked = w.carry = 0;
        w.parked_least = UINT32_MAX;
        set_specials(w, SPECIAL_CTAID_X, SPECIAL_CTAID_Z + 1);
        if (w.local != NULL)
            memset(w.local, 0xff, block.kernel->local_bytes * N_LANES);
    }
}

// Copies under way would write to the shared memory of whatever block comes next.
static void end_block(struct block_run &block) {
    for (struct warp &w : block.warps)
        for (int l = 0; l < N_LANES; l++) {
            struct lane_copies &copies = w.copies[l];
            bool is_left = !copies.orders.empty();
            copies.orders.clear();
            copies.groups.clear();
            copies.n_committed = 0;
            if (is_left)
                throw error(lane_name(w, l) + " ended before its cp.async had");
        }
}

// ---- barriers -----------------------------------------------------------------------------------

// All warps that have not ended wait: at one barrier, or it is an error.
static void release_barrier(struct block_run &block) {
    const struct ptx_kernel *kernel = block.kernel;
    bool any = false, all = true;
    uint32_t pc = UINT32_MAX;
    for (struct warp &w : block.warps) {
        if (w.state != WARP_AT_BARRIER)
            continue;
        if (pc != UINT32_MAX && w.barrier_pc != pc)
            throw error("warps wait at different barriers: " + inst_name(kernel, pc) + " and " +
                        inst_name(kernel, w.barrier_pc));
        pc = w.barrier_pc;
        any = any || (w.barrier_votes & w.live) != 0;
        all = all && (w.barrier_votes & w.live) == w.live;
    }
    const struct inst &i = kernel->code[pc];
    for (struct warp &w : block.warps) {
        if (w.state != WARP_AT_BARRIER)
            continue;
        if (i.option != VOTE_NONE)
            lane_bits(w, i.place[0]) = (i.option == VOTE_OR ? any : all) ? ALL_LANES : 0;
        w.state = WARP_READY;
        w.current = w.live;
        w.parked = 0;
        w.parked_least = UINT32_MAX;
        w.pc = pc + 1;
    }
}

// ---- turns --------------------------------------------------------------------------------------

static void give_turn(struct block_run &block, size_t i_warp) {
    struct warp &w = block.warps[i_warp];
    bool is_shuffled = ptx_options()->order == PTX_ORDER_SHUFFLE;
    if (w.state != WARP_READY)
        return;
    try {
        run_warp(w, is_shuffled ? 1 + random_below(100) : UINT64_MAX);
    } catch (const struct error &e) {
        throw error(std::string(e.what()) + ", warp " + std::to_string(i_warp) + " at " +
                    inst_name(block.kernel, w.pc));
    }
}

void run_block(struct block_run &block) {
    size_t n = block.warps.size();
    begin_block(block);
    for (;;) {
        for (size_t k = 0; k < n; k++)
            give_turn(block, ptx_options()->order == PTX_ORDER_FORWARD ? k
                             : ptx_options()->order == PTX_ORDER_BACKWARD
                                 ? n - 1 - k
                                 : random_below((uint32_t)n));
        bool is_one_ready = false, is_one_waiting = false;
        for (const struct warp &w : block.warps) {
            is_one_ready = is_one_ready || w.state == WARP_READY;
            is_one_waiting = is_one_waiting || w.state == WARP_AT_BARRIER;
        }
        if (!is_one_ready && !is_one_waiting)
            break;
        if (!is_one_ready)
            release_barrier(block);
    }
    end_block(block);
}

} // namespace ptx
