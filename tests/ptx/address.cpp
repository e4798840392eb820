// SPDX-License-Identifier: MIT
// Every address that a kernel uses is looked up: windows of a block and a thread by their size,
// global memory in the list of what was allocated.
#include "async.h"
#include "lanes.h"

#include <stdio.h>

namespace ptx {

static std::map<uint64_t, uint64_t> &blocks() { // begin, end
    static std::map<uint64_t, uint64_t> all;
    return all;
}
static uint32_t generation = 1;

uint32_t memory_generation(void) {
    return generation;
}

std::string hex(uint64_t value) {
    char text[32];
    (void)snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
    return text;
}

std::string lane_name(const struct warp &w, int lane) {
    unsigned thread = (unsigned)w.index * N_LANES + (unsigned)lane;
    const unsigned *e = w.block->block;
    return "thread (" + std::to_string(thread % e[0]) + ", " +
           std::to_string(thread / e[0] % e[1]) + ", " + std::to_string(thread / e[0] / e[1]) + ")";
}

uint64_t address_of(struct warp &w, const struct inst &i, int lane) {
    uint64_t base = i.has_wide_address ? lane_values<uint64_t>(w, i.address)[lane]
                                       : lane_values<uint32_t>(w, i.address)[lane];
    return base + (uint64_t)i.offset;
}

static enum space window_of(uint64_t address) {
    return address >= WINDOWS_END  ? SPACE_GLOBAL
           : address >= PARAM_BASE ? SPACE_PARAM
           : address >= LOCAL_BASE ? SPACE_LOCAL
                                   : SPACE_SHARED;
}

struct window {
    uint8_t *memory;
    size_t size;
    size_t lane_step; // local memory is a lane's own
    uint64_t base;
    const char *name;
};
static struct window window_in(const struct warp &w, const struct inst &i, enum space space) {
    const struct block_run &block = *w.block;
    const struct ptx_kernel *kernel = block.kernel;
    switch (space) {
    case SPACE_SHARED:
        return {block.shared, block.shared_bytes, 0, SHARED_BASE, "shared"};
    case SPACE_LOCAL:
        return {w.local, kernel->local_bytes, kernel->local_bytes, LOCAL_BASE, "local"};
    case SPACE_GLOBAL: // the block that the instruction touched last
        return {(uint8_t *)(uintptr_t)i.low, (size_t)(i.high - i.low), 0, i.low, "global"};
    default:
        return {const_cast<uint8_t *>(block.params), kernel->params_bytes, 0, PARAM_BASE,
                "parameter"};
    }
}

// Whether the accesses from the first to the last address lie in [low, high).
static bool are_within(uint64_t low, uint64_t high, uint64_t first, uint64_t last, size_t bytes) {
    return first >= low && last < high && high - last >= bytes;
}

static uint8_t *in_window(const struct warp &w, const struct inst &i, enum space space,
                          uint64_t address, size_t bytes, int lane) {
    const struct window window = window_in(w, i, space);
    if (!are_within(window.base, window.base + window.size, address, address, bytes))
        throw error(lane_name(w, lane) + ": " + std::to_string(bytes) + " bytes at offset " +
                    std::to_string((int64_t)(address - window.base)) + " of " +
                    std::to_string(window.size) + " bytes of " + window.name + " memory");
    return window.memory + window.lane_step * (size_t)lane + (address - window.base);
}

// Shared memory of another block of the cluster. A block may not have begun before the first
// barrier of the cluster, and its memory is gone with its last thread (PTX ISA, "Cooperative Thread
// Arrays": distributed shared memory).
static void check_reachable(const struct warp &w, const struct block_run &block) {
    if (&block == w.block)
        return;
    bool has_ended = true;
    for (const struct warp &other : block.warps)
        has_ended = has_ended && other.state == WARP_DONE;
    if (w.block->cluster->n_barriers == 0)
        throw error("shared memory of block " + std::to_string(block.rank) +
                    " of the cluster before any barrier.cluster: it may not have begun");
    if (has_ended)
        throw error("shared memory of block " + std::to_string(block.rank) +
                    " of the cluster, which has ended");
}

struct shared_place locate_shared(struct warp &w, enum space space, uint64_t address, size_t bytes,
                                  int lane) {
    struct cluster_run &cluster = *w.block->cluster;
    struct block_run *block = w.block;
    uint64_t base = SHARED_BASE;
    if (address >= CLUSTER_BASE && address < LOCAL_BASE && space != SPACE_SHARED) {
        uint64_t rank = (address - CLUSTER_BASE) / CLUSTER_STEP;
        if (rank >= cluster.blocks.size())
            throw error(lane_name(w, lane) + ": " + hex(address) + " is in block " +
                        std::to_string(rank) + " of a cluster of " +
                        std::to_string(cluster.blocks.size()));
        block = &cluster.blocks[rank];
        base = CLUSTER_BASE + rank * CLUSTER_STEP;
    }
    if (address < base || address - base + bytes > block->shared_bytes)
        throw error(lane_name(w, lane) + ": " + std::to_string(bytes) + " bytes at offset " +
                    std::to_string((int64_t)(address - base)) + " of " +
                    std::to_string(block->shared_bytes) + " bytes of shared memory");
    check_reachable(w, *block);
    return {block, (uint32_t)(address - base)};
}

uint8_t *reach_global(uint64_t address, size_t bytes) {
    auto found = blocks().upper_bound(address);
    if (found == blocks().begin())
        throw error("no global memory at " + hex(address));
    --found;
    if (!are_within(found->first, found->second, address, address, bytes))
        throw error(std::to_string(bytes) + " bytes at " + hex(address) + ", " +
                    std::to_string((int64_t)(address - found->second)) +
                    " bytes behind the end of a block of " +
                    std::to_string(found->second - found->first));
    return (uint8_t *)(uintptr_t)address;
}

// The instruction remembers the block that it touched last: most often it is the same again.
static uint8_t *in_global(const struct warp &w, const struct inst &i, uint64_t address,
                          size_t bytes, int lane) {
    if (are_within(i.low, i.high, address, address, bytes))
        return (uint8_t *)(uintptr_t)address;
    auto found = blocks().upper_bound(address);
    if (found == blocks().begin())
        throw error(lane_name(w, lane) + ": no global memory at " + hex(address));
    --found;
    if (!are_within(found->first, found->second, address, address, bytes))
        throw error(lane_name(w, lane) + ": " + std::to_string(bytes) + " bytes at " +
                    hex(address) + ", " + std::to_string((int64_t)(address - found->second)) +
                    " bytes behind the end of a block of " +
                    std::to_string(found->second - found->first));
    i.low = found->first;
    i.high = found->second;
    return (uint8_t *)(uintptr_t)address;
}

uint8_t *reach(struct warp &w, const struct inst &i, enum space space, uint64_t address,
               size_t bytes, int lane) {
    if ((address & (bytes - 1)) != 0)
        throw error(lane_name(w, lane) + ": address " + hex(address) + " is not aligned to " +
                    std::to_string(bytes));
    bool may_be_remote = space == SPACE_GENERIC || space == SPACE_CLUSTER;
    if (space == SPACE_GENERIC)
        space = window_of(address);
    if (may_be_remote && (space == SPACE_CLUSTER || space == SPACE_SHARED)) {
        struct shared_place place = locate_shared(w, SPACE_CLUSTER, address, bytes, lane);
        return place.block->shared + place.offset;
    }
    return space == SPACE_GLOBAL ? in_global(w, i, address, bytes, lane)
                                 : in_window(w, i, space, address, bytes, lane);
}

// ---- all lanes together -------------------------------------------------------------------------

// The addresses of the lanes, and what they have in common. Lanes that take no part repeat one that
// does.
struct lane_addresses {
    uint64_t of[N_LANES];
    uint64_t least, most; // where bit 63 is not set
    uint64_t bits;        // that are set in one of them
    bool are_in_a_row;
};
template <class T>
PTX_INLINE void collect(struct warp &w, const struct inst &i, uint32_t lanes, size_t bytes,
                        struct lane_addresses *out) {
    const lane_values<T> base(w, i.address);
    const uint64_t offset = (uint64_t)i.offset;
    const uint64_t first = (uint64_t)base[__builtin_ctz(lanes)] + offset;
    int64_t least = (int64_t)first, most = least; // of signed numbers processors find these sooner
    uint64_t bits = 0, gaps = 0;
#pragma GCC ivdep
    for (int l = 0; l < N_LANES; l++) {
        uint64_t address = lanes & LANE_BIT[l] ? (uint64_t)base[l] + offset : first;
        out->of[l] = address;
        least = (int64_t)address < least ? (int64_t)address : least;
        most = (int64_t)address > most ? (int64_t)address : most;
        bits |= address;
        gaps |= address ^ (first + (uint64_t)l * bytes);
    }
    out->least = (uint64_t)least;
    out->most = (uint64_t)most;
    out->bits = bits;
    out->are_in_a_row = gaps == 0 && lanes == ALL_LANES;
}

// False when they are not known to lie in one window or block: then each is looked at, for the
// message must name the lane.
PTX_INLINE bool find_all(struct warp &w, const struct inst &i, enum space space, size_t bytes,
                         const struct lane_addresses &addresses, struct lane_memory *out) {
    if (space == SPACE_GENERIC)
        space = window_of(addresses.least);
    if (space == SPACE_CLUSTER)
        space = SPACE_SHARED; // what is not in the own window is looked at lane by lane
    const struct window window = window_in(w, i, space);
    if ((addresses.bits & (bytes - 1)) != 0 || addresses.bits >> 63 != 0 ||
        !are_within(window.base, window.base + window.size, addresses.least, addresses.most, bytes))
        return false;
    const uintptr_t begin = (uintptr_t)window.memory - window.base;
    for (int l = 0; l < N_LANES; l++)
        out->at[l] = (uint8_t *)(begin + addresses.of[l] + window.lane_step * (size_t)l);
    if (window.lane_step == 0 && addresses.least == addresses.most)
        out->pattern = LANES_AT_ONE;
    else if (window.lane_step == 0 && addresses.are_in_a_row)
        out->pattern = LANES_IN_A_ROW;
    return true;
}

PTX_VECTOR void reach_all(struct warp &w, const struct inst &i, enum space space, uint32_t lanes,
                          size_t bytes, struct lane_memory *out) {
    struct lane_addresses addresses;
    if (i.has_wide_address)
        collect<uint64_t>(w, i, lanes, bytes, &addresses);
    else
        collect<uint32_t>(w, i, lanes, bytes, &addresses);
    out->pattern = LANES_ANYWHERE;
    if (find_all(w, i, space, bytes, addresses, out))
        return;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        out->at[l] = reach(w, i, space, addresses.of[l], bytes, l);
    }
}

} // namespace ptx

void ptx_memory_add(void *block, size_t bytes) {
    uint64_t begin = (uintptr_t)block;
    ptx::blocks()[begin] = begin + bytes;
    ptx::generation++;
}

void ptx_memory_remove(void *block) {
    ptx::blocks().erase((uintptr_t)block);
    ptx::generation++;
}
