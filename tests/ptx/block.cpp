// SPDX-License-Identifier: MIT
// A block: what its registers and its memory begin with, its barriers, and its end.
#include "async.h"
#include "lanes.h"
#include "wgmma.h"

#include <algorithm>
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
    const struct cluster_run &cluster = *block.cluster;
    if (special == SPECIAL_CLUSTER_CTARANK)
        return block.rank;
    if (special == SPECIAL_CLUSTER_NCTARANK)
        return (uint32_t)cluster.blocks.size();
    if (special >= SPECIAL_CLUSTERID_X)
        return block.id[special - SPECIAL_CLUSTERID_X] /
               cluster.size[special - SPECIAL_CLUSTERID_X];
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
void begin_block(struct block_run &block) {
    unsigned n_threads = block.block[0] * block.block[1] * block.block[2];
    memset(block.shared, 0xff, block.shared_bytes);
    memset(block.n_arrived, 0, sizeof block.n_arrived);
    if (block.async != NULL)
        begin_shadow(block);
    for (struct warp &w : block.warps) {
        unsigned n = n_threads - (unsigned)w.index * N_LANES;
        w.state = WARP_READY;
        w.live = w.current = n >= N_LANES ? ALL_LANES : (1u << n) - 1;
        w.pc = 0;
        w.parked = w.blocked = w.carry = w.waiting = 0;
        w.cluster_open = w.cluster_arrived = 0;
        w.has_failed = w.must_repeat = false;
        w.stuck_at = UINT64_MAX;
        std::fill(w.failed_events, w.failed_events + N_LANES, UINT64_MAX);
        w.parked_least = UINT32_MAX;
        set_specials(w, SPECIAL_CTAID_X, SPECIAL_CTAID_Z + 1);
        set_specials(w, SPECIAL_CLUSTER_CTARANK, N_SPECIALS);
        if (w.local != NULL)
            memset(w.local, 0xff, block.kernel->local_bytes * N_LANES);
    }
    if (block.async != NULL)
        begin_registers(block);
    if (block.kernel->has_wgmma)
        begin_wgmma(block);
}

// Copies under way would write to the shared memory of whatever block comes next.
void end_block(struct block_run &block) {
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
    for (unsigned n : block.n_arrived)
        if (n != 0)
            throw error("the threads ended with arrivals at a barrier that is not complete");
    if (block.async == NULL)
        return;
    if (block.kernel->has_wgmma)
        end_wgmma(block);
    for (const auto &one : block.async->barriers)
        if (one.second.tx != 0)
            throw error("the threads ended, and the mbarrier at offset " +
                        std::to_string(one.first) +
                        " still counts bytes: " + mbarrier_state(one.second));
}

// ---- barriers -----------------------------------------------------------------------------------

// The warps that wait at one barrier of the block.
struct waiters {
    std::vector<struct warp *> warps;
    uint32_t threads = 0; // that the barrier needs; 0 = all of the block
    bool any = false, all = true;
};

static struct waiters waiters_at(struct block_run &block, uint32_t id) {
    struct waiters out;
    for (struct warp &w : block.warps) {
        if (w.state != WARP_AT_BARRIER || w.barrier_id != id)
            continue;
        if (!out.warps.empty() && w.barrier_threads != out.threads)
            throw error("warps wait at barrier " + std::to_string(id) + " for " +
                        std::to_string(out.threads) + " threads and for " +
                        std::to_string(w.barrier_threads));
        // A barrier of all threads is one place in the program.
        if (!out.warps.empty() && out.threads == 0 && w.barrier_pc != out.warps[0]->barrier_pc)
            throw error("warps wait at different barriers: " +
                        inst_name(block.kernel, out.warps[0]->barrier_pc) + " and " +
                        inst_name(block.kernel, w.barrier_pc));
        out.threads = w.barrier_threads;
        out.warps.push_back(&w);
        out.any = out.any || (w.barrier_votes & w.live) != 0;
        out.all = out.all && (w.barrier_votes & w.live) == w.live;
    }
    return out;
}

static void release(struct warp &w, const struct waiters &waiters) {
    const struct inst &i = w.block->kernel->code[w.barrier_pc];
    if (i.option == VOTE_OR || i.option == VOTE_AND)
        lane_bits(w, i.place[0]) =
            (i.option == VOTE_OR ? waiters.any : waiters.all) ? ALL_LANES : 0;
    w.state = WARP_READY;
    w.current = w.live;
    w.parked = 0;
    w.parked_least = UINT32_MAX;
    w.pc = w.barrier_pc + 1;
}

bool release_barriers(struct block_run &block) {
    bool is_released = false;
    size_t n_alive = 0;
    for (const struct warp &w : block.warps)
        n_alive += w.state != WARP_DONE;
    for (uint32_t id = 0; id < (uint32_t)N_BARRIERS; id++) {
        struct waiters waiters = waiters_at(block, id);
        size_t n_arrived = waiters.warps.size() * N_LANES + block.n_arrived[id];
        if (waiters.warps.empty() ||
            (waiters.threads == 0 ? waiters.warps.size() != n_alive : n_arrived < waiters.threads))
            continue;
        if (waiters.threads != 0 && n_arrived > waiters.threads)
            throw error(std::to_string(n_arrived) + " threads at barrier " + std::to_string(id) +
                        " of " + std::to_string(waiters.threads));
        block.n_arrived[id] = 0;
        for (struct warp *w : waiters.warps)
            release(*w, waiters);
        block.cluster->n_events++;
        is_released = true;
    }
    return is_released;
}

} // namespace ptx
