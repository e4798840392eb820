// SPDX-License-Identifier: MIT
// The blocks of a cluster, or one block that has none: their warps run in turns, each until a
// barrier, a wait that fails, or its end (or a few steps, when the order is shuffled).
#include "async.h"
#include "lanes.h"

namespace ptx {

static void begin_cluster(struct cluster_run &cluster) {
    cluster.copies.clear();
    cluster.groups.clear();
    cluster.n_events = cluster.n_barriers = cluster.n_arrivals = 0;
    cluster.n_proxy_fences.assign(cluster.blocks.size() * MOST_BLOCK_THREADS, 0);
    for (struct block_run &block : cluster.blocks)
        begin_block(block);
}

// Whatever is under way would write to, or read from, the shared memory of the next block.
static void end_cluster(struct cluster_run &cluster) {
    for (struct block_run &block : cluster.blocks) {
        cluster.current = &block;
        end_block(block);
    }
    for (const async_copy_ref &copy : cluster.copies)
        if (!copy->is_done)
            throw error("the threads ended before " + copy->where +
                        " was done: nobody has waited for it");
}

// ---- the barrier of the cluster -----------------------------------------------------------------

// Threads that have ended count as arrived (PTX ISA, "barrier.cluster").
static bool release_cluster_barrier(struct cluster_run &cluster) {
    uint32_t any = 0, missing = 0;
    for (struct block_run &block : cluster.blocks)
        for (struct warp &w : block.warps) {
            any |= w.cluster_arrived & w.live;
            missing |= w.live & ~w.cluster_arrived;
        }
    if (cluster.n_arrivals == 0 || any == 0 || missing != 0)
        return false;
    for (struct block_run &block : cluster.blocks) {
        for (struct warp &w : block.warps)
            w.cluster_arrived = 0;
        for (auto &one : block.async->barriers)
            one.second.is_remote = one.second.is_remote || one.second.is_published;
    }
    cluster.n_barriers++;
    cluster.n_events++;
    return true;
}

// ---- turns --------------------------------------------------------------------------------------

static void give_turn(struct cluster_run &cluster, struct warp &w) {
    bool is_shuffled = ptx_options()->order == PTX_ORDER_SHUFFLE;
    if (w.state != WARP_READY)
        return;
    cluster.current = w.block;
    try {
        run_warp(w, is_shuffled ? 1 + random_below(100) : UINT64_MAX);
    } catch (const struct error &e) {
        throw error(std::string(e.what()) + ", warp " + std::to_string(w.index) + " at " +
                    inst_name(w.block->kernel, w.pc));
    }
}

// What the warps wait for when none can go on, and nothing is under way.
static std::string story_of_waits(const struct cluster_run &cluster) {
    std::string story = "no thread can go on";
    for (const struct block_run &block : cluster.blocks)
        for (const struct warp &w : block.warps) {
            if (w.state == WARP_DONE)
                continue;
            bool is_at_barrier = w.state == WARP_AT_BARRIER;
            story += "; warp " + std::to_string(w.index) + " of block " +
                     std::to_string(block.rank) + " waits at " +
                     inst_name(block.kernel, is_at_barrier ? w.barrier_pc : w.failed_pc);
            if (!is_at_barrier && w.failed_barrier >= 0)
                story += " for the mbarrier at offset " + std::to_string(w.failed_barrier);
        }
    for (const struct block_run &block : cluster.blocks)
        if (block.async != NULL)
            for (const auto &one : block.async->barriers)
                story += "; mbarrier at offset " + std::to_string(one.first) + " of block " +
                         std::to_string(block.rank) + ": " + mbarrier_state(one.second);
    return story;
}

// Of the copies under way the first one, or any where the order is shuffled.
static bool carry_out_one(struct cluster_run &cluster) {
    while (!cluster.copies.empty()) {
        size_t i = ptx_options()->order == PTX_ORDER_SHUFFLE
                       ? random_below((uint32_t)cluster.copies.size())
                       : 0;
        async_copy_ref copy = cluster.copies[i];
        cluster.copies.erase(cluster.copies.begin() + (ptrdiff_t)i);
        if (copy->is_done)
            continue;
        cluster.current = copy->blocks[0];
        try {
            carry_out(cluster, *copy);
        } catch (const struct error &e) {
            throw error(std::string(e.what()) + ", in " + copy->where);
        }
        return true;
    }
    return false;
}

static bool all_have_ended(const std::vector<struct warp *> &warps) {
    for (const struct warp *w : warps)
        if (w->state != WARP_DONE)
            return false;
    return true;
}

// After a turn of each: none is ready, or all that are have waited since the last event.
static bool all_are_stuck(const struct cluster_run &cluster,
                          const std::vector<struct warp *> &warps) {
    for (const struct warp *w : warps)
        if (w->state == WARP_READY && w->stuck_at != cluster.n_events)
            return false;
    return true;
}

void run_cluster(struct cluster_run &cluster) {
    std::vector<struct warp *> warps;
    begin_cluster(cluster);
    for (struct block_run &block : cluster.blocks)
        for (struct warp &w : block.warps)
            warps.push_back(&w);
    const size_t n = warps.size();
    while (!all_have_ended(warps)) {
        for (size_t k = 0; k < n; k++)
            give_turn(
                cluster,
                *warps[ptx_options()->order == PTX_ORDER_FORWARD    ? k
                       : ptx_options()->order == PTX_ORDER_BACKWARD ? n - 1 - k
                                                                    : random_below((uint32_t)n)]);
        bool is_released = release_cluster_barrier(cluster);
        for (struct block_run &block : cluster.blocks) {
            cluster.current = &block;
            is_released = release_barriers(block) || is_released;
        }
        if (!is_released && !all_have_ended(warps) && all_are_stuck(cluster, warps) &&
            !carry_out_one(cluster))
            throw error(story_of_waits(cluster));
    }
    end_cluster(cluster);
}

} // namespace ptx
