// SPDX-License-Identifier: MIT
// Bulk copies (PTX ISA, "cp.async.bulk.tensor", "cp.async.bulk", "prefetch.tensormap"). As with
// cp.async, PTX_CP_ASYNC says when they happen: late ones when no thread can go on without them.
#include "async.h"
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

// ---- orders ------------------------------------------------------------------------------------

static bool is_early(void) {
    enum ptx_copy_time time = ptx_options()->copy_time;
    return time == PTX_COPY_EARLY || (time == PTX_COPY_EITHER && random_below(2) == 0);
}

// place: up to 5 coordinates, or the plain bytes' number; mbarrier; mask of blocks.
#define BARRIER      5
#define MASK         6
#define BARRIER_WIDE 1 // bits of the option
#define IS_TENSOR    2
#define IS_LOAD      4
#define IS_SOURCE_32 8

static uint64_t wide_or_not(struct warp &w, uint32_t place, bool is_wide, int lane) {
    return is_wide ? lane_values<uint64_t>(w, place)[lane] : lane_values<uint32_t>(w, place)[lane];
}
// The global side: a tensor map or plain bytes.
static uint64_t global_side(struct warp &w, const struct inst &i, int lane) {
    return wide_or_not(w, i.source, (i.option & IS_SOURCE_32) == 0, lane) +
           (uint64_t)(int64_t)i.source_offset;
}

static struct tensor_map map_at(struct warp &w, const struct inst &i, int lane) {
    uint64_t address = global_side(w, i, lane);
    uint8_t bytes[sizeof(struct tensor_map)];
    bool is_local = address >= LOCAL_BASE && address < PARAM_BASE;
    if (address % 64 != 0 || is_local || (address >= SHARED_BASE && address < LOCAL_BASE))
        throw error(lane_name(w, lane) + ": a tensor map at " + hex(address) +
                    ", which is not aligned to 64 or is no parameter, constant or global memory");
    for (size_t half = 0; half < sizeof bytes; half += 64)
        memcpy(bytes + half, reach(w, i, SPACE_GENERIC, address + half, 64, lane), 64);
    return tensor_map_decode(bytes);
}

static void read_map(struct warp &w, const struct inst &i, int lane, struct async_copy &copy) {
    copy.map = map_at(w, i, lane);
    copy.bytes = box_bytes(copy.map);
    for (int d = 0; d < copy.map.rank; d++)
        copy.coordinates[d] = lane_values<int32_t>(w, i.place[d])[lane];
    if (copy.map.rank != i.n_parts)
        throw error(lane_name(w, lane) + ": a tensor map of " + std::to_string(copy.map.rank) +
                    " dimensions");
}

static void read_plain(struct warp &w, const struct inst &i, int lane, struct async_copy &copy) {
    copy.global = global_side(w, i, lane);
    copy.bytes = lane_values<uint32_t>(w, i.place[0])[lane];
    if (copy.global % 16 != 0 || copy.bytes % 16 != 0 || copy.bytes == 0)
        throw error(lane_name(w, lane) + ": cp.async.bulk of " + std::to_string(copy.bytes) +
                    " bytes at " + hex(copy.global) + ", which are no multiples of 16");
}

// The shared side, in one block or in those of the mask, at the same offset in each.
static void set_blocks(struct warp &w, const struct inst &i, int lane, struct async_copy &copy) {
    uint64_t address = address_of(w, i, lane);
    const uint32_t alignment = (i.option & IS_TENSOR) != 0 ? 128 : 16;
    struct shared_place place = locate_shared(w, i.space, address, copy.bytes, lane);
    if (place.offset % alignment != 0)
        throw error(lane_name(w, lane) + ": offset " + std::to_string(place.offset) +
                    " of shared memory is not aligned to " + std::to_string(alignment));
    copy.offset = place.offset;
    if (i.place[MASK] == NO_PLACE) {
        copy.blocks.push_back(place.block);
        return;
    }
    uint32_t mask = lane_values<uint32_t>(w, i.place[MASK])[lane] & 0xffff;
    if (mask == 0 || mask >> w.block->cluster->blocks.size() != 0)
        throw error(lane_name(w, lane) + ": a mask " + hex(mask) + " of blocks in a cluster of " +
                    std::to_string(w.block->cluster->blocks.size()));
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
        uint64_t there = CLUSTER_BASE + (uint64_t)__builtin_ctz(rest) * CLUSTER_STEP + copy.offset;
        copy.blocks.push_back(locate_shared(w, SPACE_CLUSTER, there, copy.bytes, lane).block);
    }
}

// The mbarrier of each block that gets bytes, at the same offset too.
static void set_barriers(struct warp &w, const struct inst &i, int lane, struct async_copy &copy) {
    uint64_t address =
        wide_or_not(w, i.place[BARRIER], (i.option & BARRIER_WIDE) != 0, lane) + i.target;
    struct shared_place place = locate_shared(w, i.space, address, 8, lane);
    if (place.block != copy.blocks[0] && i.place[MASK] == NO_PLACE)
        throw error(lane_name(w, lane) + ": bytes and mbarrier are in different blocks");
    copy.barrier_offset = place.offset;
    for (struct block_run *block : copy.blocks) {
        const struct mbarrier &barrier = mbarrier_at({block, place.offset});
        if (block == w.block ? !barrier.is_for_async : !barrier.is_remote)
            throw error(lane_name(w, lane) + ": the mbarrier in block " +
                        std::to_string(block->rank) + " is not known to asynchronous copies yet: " +
                        "fence.mbarrier_init behind its init, and for other blocks " +
                        "barrier.cluster behind that");
    }
}

static void copy(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct cluster_run &cluster = *w.block->cluster;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        auto order = std::make_shared<struct async_copy>();
        order->is_load = (i.option & IS_LOAD) != 0;
        order->is_tensor = (i.option & IS_TENSOR) != 0;
        order->where = inst_name(w.block->kernel, w.pc);
        if (order->is_tensor)
            read_map(w, i, l, *order);
        else
            read_plain(w, i, l, *order);
        set_blocks(w, i, l, *order);
        if (order->is_load)
            set_barriers(w, i, l, *order);
        for (struct block_run *block : order->blocks) {
            if (order->is_load)
                check_async_write(*block, order->offset, order->bytes, "a TMA load");
            else
                check_async_read(*block, order->offset, order->bytes, "a TMA store");
            if (order->is_load)
                memset(block->shared + order->offset, 0xff, order->bytes);
        }
        mark_copy(*order, 1);
        if (!order->is_load)
            cluster.groups[cluster_thread(w, l)].open.push_back(order);
        if (is_early())
            carry_out(cluster, *order);
        else
            cluster.copies.push_back(order);
    }
    cluster.n_events++;
}

// ---- groups of stores --------------------------------------------------------------------------

static void commit(struct warp &w, const struct inst &, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        struct bulk_groups &groups =
            w.block->cluster->groups[cluster_thread(w, __builtin_ctz(rest))];
        groups.committed.push_back(groups.open);
        groups.open.clear();
    }
}

// option: how many groups may stay under way. With .read, too, a store is carried out as a whole:
// no thread can tell.
static void wait(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct cluster_run &cluster = *w.block->cluster;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        struct bulk_groups &groups = cluster.groups[cluster_thread(w, __builtin_ctz(rest))];
        for (; groups.committed.size() > (size_t)i.option; groups.committed.pop_front())
            for (const async_copy_ref &one : groups.committed.front())
                if (!one->is_done)
                    carry_out(cluster, *one);
    }
}

static void prefetch(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
        (void)map_at(w, i, __builtin_ctz(rest));
}

// ---- rows --------------------------------------------------------------------------------------

static void set_global_side(struct op_maker &maker, const struct operand &memory) {
    int64_t offset;
    bool is_wide;
    maker.out.source = maker.place_of_address(memory, &offset, &is_wide);
    maker.out.source_offset = (int32_t)offset;
    maker.out.option |= is_wide ? 0 : IS_SOURCE_32;
    maker.parser.kernel().is_async = true;
}

static void set_coordinates(struct op_maker &maker, const struct operand &memory,
                            const std::string &dimensions) {
    maker.out.n_parts = (uint8_t)(dimensions[0] - '0');
    if (memory.parts.size() != 2 || memory.parts[1].parts.size() != maker.out.n_parts)
        throw error("another number of coordinates");
    for (size_t d = 0; d < maker.out.n_parts; d++)
        maker.out.place[d] = maker.place_of(memory.parts[1].parts[d], REG_32);
}

// [shared], [map, {coordinates}], [mbarrier] {, mask} {, cache policy}; and without a map
// [shared], [global], bytes, [mbarrier] ...
static void build_load(struct op_maker &maker) {
    bool is_tensor = (maker.out.option & IS_TENSOR) != 0, is_wide;
    const struct operand &global = maker.operand_at(1);
    size_t next = is_tensor ? 2 : 3;
    int64_t offset;
    maker.out.space = op_maker::space_named(maker.modifiers[is_tensor ? 4 : 2]);
    maker.set_address(maker.operand_at(0));
    set_global_side(maker, global);
    if (is_tensor)
        set_coordinates(maker, global, maker.modifiers[3]);
    else
        maker.out.place[0] = maker.place_of(maker.operand_at(2), REG_32);
    maker.out.place[BARRIER] = maker.place_of_address(maker.operand_at(next++), &offset, &is_wide);
    maker.out.target = (uint32_t)offset;
    maker.out.option |= is_wide ? BARRIER_WIDE : 0;
    bool is_multicast = maker.type == "multicast::cluster";
    for (const std::string &word : maker.modifiers)
        is_multicast = is_multicast || word == "multicast::cluster";
    if (is_multicast)
        maker.out.place[MASK] = maker.place_of(maker.operand_at(next++), REG_32);
    next += maker.type == "L2::cache_hint";
    if (next != maker.operands.size())
        throw error("another number of operands than " + std::to_string(next));
}

// [map, {coordinates}], [shared] {, cache policy}; [global], [shared], bytes ...
static void build_store(struct op_maker &maker) {
    bool is_tensor = (maker.out.option & IS_TENSOR) != 0;
    maker.out.space = SPACE_SHARED;
    set_global_side(maker, maker.operand_at(0));
    maker.set_address(maker.operand_at(1));
    if (is_tensor)
        set_coordinates(maker, maker.operand_at(0), maker.modifiers[3]);
    else
        maker.out.place[0] = maker.place_of(maker.operand_at(2), REG_32);
}

static void build_wait(struct op_maker &maker) {
    if (maker.operand_at(0).kind != OPERAND_NUMBER)
        throw error("a wait for a number of groups that is not a constant");
    maker.out.option = (int)maker.operands[0].number;
    maker.parser.kernel().is_async = true;
}
static void build_commit(struct op_maker &maker) {
    maker.parser.kernel().is_async = true;
}
static void build_prefetch(struct op_maker &maker) {
    set_global_side(maker, maker.operand_at(0));
}

#define LOAD                                                                                       \
    "async bulk tensor 1d|2d|3d|4d|5d shared::cluster|shared::cta global tile? "                   \
    "mbarrier::complete_tx::bytes? multicast::cluster?"
#define PLAIN_LOAD                                                                                 \
    "async bulk shared::cluster|shared::cta global mbarrier::complete_tx::bytes? "                 \
    "multicast::cluster?"
#define LOAD_ENDS                                                                                  \
    {                                                                                              \
        {"mbarrier::complete_tx::bytes", copy}, {"multicast::cluster", copy}, {                    \
            "L2::cache_hint", copy                                                                 \
        }                                                                                          \
    }

std::vector<struct op_row> tma_rows() {
    return {
        {"cp", LOAD, NULL, LOAD_ENDS, INST_PLAIN, IS_TENSOR | IS_LOAD, build_load},
        {"cp", PLAIN_LOAD, NULL, LOAD_ENDS, INST_PLAIN, IS_LOAD, build_load},
        {"cp",
         "async bulk tensor 1d|2d|3d|4d|5d global shared::cta tile? bulk_group?",
         NULL,
         {{"bulk_group", copy}, {"L2::cache_hint", copy}},
         INST_PLAIN,
         IS_TENSOR,
         build_store},
        {"cp",
         "async bulk global shared::cta bulk_group?",
         NULL,
         {{"bulk_group", copy}, {"L2::cache_hint", copy}},
         INST_PLAIN,
         0,
         build_store},
        {"cp", "async bulk", NULL, {{"commit_group", commit}}, INST_PLAIN, 0, build_commit},
        {"cp",
         "async bulk wait_group?",
         NULL,
         {{"wait_group", wait}, {"read", wait}},
         INST_PLAIN,
         0,
         build_wait},
        {"prefetch",
         "param|const?",
         NULL,
         {{"tensormap", prefetch}},
         INST_PLAIN,
         0,
         build_prefetch},
    };
}

} // namespace ptx
