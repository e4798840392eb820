// SPDX-License-Identifier: MIT
// Clusters (PTX ISA, "barrier.cluster", "mapa", "getctarank", "elect.sync", "setmaxnreg").
#include "async.h"
#include "lanes.h"
#include "ops.h"

namespace ptx {

// ---- barrier.cluster ----------------------------------------------------------------------------

// option: 1 for .relaxed, which orders nothing: inits must have been fenced before.
static void arrive(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct cluster_run &cluster = *w.block->cluster;
    if ((w.cluster_open & lanes) != 0)
        throw error(lane_name(w, __builtin_ctz(w.cluster_open & lanes)) +
                    " arrives at the cluster's barrier twice without a wait between");
    w.cluster_open |= lanes;
    w.cluster_arrived |= lanes;
    for (auto &one : w.block->async->barriers) {
        struct mbarrier &barrier = one.second;
        int lane = barrier.thread - cluster_thread(w, 0);
        if (lane < 0 || lane >= N_LANES || (lanes >> lane & 1) == 0)
            continue;
        barrier.is_fenced = barrier.is_fenced || i.option == 0;
        barrier.is_published = barrier.is_fenced;
    }
    cluster.n_arrivals++;
    cluster.n_events++;
}

static void wait(struct warp &w, const struct inst &, uint32_t lanes) {
    if ((w.cluster_open & lanes) != lanes)
        throw error(lane_name(w, __builtin_ctz(lanes & ~w.cluster_open)) +
                    " waits at the cluster's barrier and has not arrived");
    if ((w.cluster_arrived & lanes) != 0) { // the phase of their arrival is not complete
        fail_wait(w, lanes, -1, true);
        return;
    }
    w.cluster_open &= ~lanes;
}

static void build_barrier(struct op_maker &maker) {
    maker.parser.kernel().is_async = true;
    for (const std::string &word : maker.modifiers)
        if (word == "relaxed")
            maker.out.option = 1;
    if (maker.type == "relaxed")
        maker.out.option = 1;
}

// ---- addresses ----------------------------------------------------------------------------------

// The place in the block of that rank that has the offset of an address in this one.
template <class T> static void map_address(struct warp &w, const struct inst &i, uint32_t lanes) {
    const lane_values<T> a(w, i.place[1]);
    const lane_values<uint32_t> rank(w, i.place[2]);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        uint64_t offset = (uint64_t)a[l] - SHARED_BASE;
        if (rank[l] >= w.block->cluster->blocks.size())
            throw error(lane_name(w, l) + ": mapa to block " + std::to_string(rank[l]) +
                        " of a cluster of " + std::to_string(w.block->cluster->blocks.size()));
        if ((uint64_t)a[l] < SHARED_BASE || offset >= w.block->shared_bytes)
            throw error(lane_name(w, l) + ": mapa of an address outside of shared memory");
        lane_values<T>(w, i.place[0]).set(l, (T)(CLUSTER_BASE + rank[l] * CLUSTER_STEP + offset));
    }
}

template <class T> static void rank_of(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        struct shared_place place =
            locate_shared(w, SPACE_CLUSTER, (uint64_t)lane_values<T>(w, i.place[1])[l], 1, l);
        lane_values<uint32_t>(w, i.place[0]).set(l, place.block->rank);
    }
}

static void build_map(struct op_maker &maker) {
    maker.parser.kernel().is_async = true;
    if (maker.operands.size() != 3)
        throw error("mapa has three operands");
    enum reg_class cls = class_of(maker.type);
    maker.out.place[0] = maker.place_of(maker.operands[0], cls);
    maker.out.place[1] = maker.place_of(maker.operands[1], cls);
    maker.out.place[2] = maker.place_of(maker.operands[2], REG_32);
}
static void build_rank(struct op_maker &maker) {
    maker.parser.kernel().is_async = true;
    maker.out.place[0] = maker.place_of(maker.operand_at(0), REG_32);
    maker.out.place[1] = maker.place_of(maker.operand_at(1), class_of(maker.type));
}

// ---- one lane of a warp; registers --------------------------------------------------------------

// Which lane is elected is not stated, but that it is the same one each time.
static void elect(struct warp &w, const struct inst &i, uint32_t lanes) {
    int leader = ptx_options()->order == PTX_ORDER_BACKWARD ? 31 - __builtin_clz(lanes)
                                                            : __builtin_ctz(lanes);
    if (i.place[0] != NO_PLACE)
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
            lane_values<uint32_t>(w, i.place[0]).set(__builtin_ctz(rest), (uint32_t)leader);
    set_lane_bits(w, i.place[1], lanes, LANE_BIT[leader]);
}

// elect.sync d|p, mask; d may be "_".
static void build_elect(struct op_maker &maker) {
    struct operand result = maker.operand_at(0);
    if (result.kind != OPERAND_PAIR || result.second.cls != REG_PRED)
        throw error("elect.sync has a register and a predicate as its results");
    maker.out.place[0] = result.symbol == "_" ? NO_PLACE : maker.place_of(result, REG_32);
    maker.out.place[1] = result.second.place;
    maker.out.place[5] = maker.place_of(maker.operand_at(1), REG_32);
}

std::vector<struct op_row> cluster_rows() {
    return {
        {"barrier",
         "cluster arrive release|relaxed?",
         NULL,
         {{"aligned", arrive}},
         INST_ALIGNED,
         0,
         build_barrier},
        {"barrier",
         "cluster arrive?",
         NULL,
         {{"arrive", arrive}, {"release", arrive}, {"relaxed", arrive}},
         INST_PLAIN,
         0,
         build_barrier},
        {"barrier",
         "cluster wait acquire?",
         NULL,
         {{"aligned", wait}},
         INST_ALIGNED,
         0,
         build_barrier},
        {"barrier",
         "cluster wait?",
         NULL,
         {{"wait", wait}, {"acquire", wait}},
         INST_PLAIN,
         0,
         build_barrier},
        {"mapa",
         "shared::cluster?",
         NULL,
         {{"u32", map_address<uint32_t>}, {"u64", map_address<uint64_t>}},
         INST_PLAIN,
         0,
         build_map},
        {"getctarank",
         "shared::cluster?",
         NULL,
         {{"u32", rank_of<uint32_t>}, {"u64", rank_of<uint64_t>}},
         INST_PLAIN,
         0,
         build_rank},
        {"elect", "", NULL, {{"sync", elect}}, INST_SHUFFLE, 0, build_elect},
    };
}

} // namespace ptx
