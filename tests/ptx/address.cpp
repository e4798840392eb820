// SPDX-License-Identifier: MIT
// Every address that a kernel uses is looked up: windows of a block and a thread by their size,
// global memory in the list of what was allocated.
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

static uint8_t *in_window(const struct warp &w, const char *name, uint8_t *window, size_t size,
                          uint64_t base, uint64_t address, size_t bytes, int lane) {
    if (address < base || address + bytes > base + size)
        throw error(lane_name(w, lane) + ": " + std::to_string(bytes) + " bytes at offset " +
                    std::to_string((int64_t)(address - base)) + " of " + std::to_string(size) +
                    " bytes of " + name + " memory");
    return window + (address - base);
}

// The instruction remembers the block that it touched last: most often it is the same again.
static uint8_t *in_global(const struct warp &w, const struct inst &i, uint64_t address,
                          size_t bytes, int lane) {
    if (address >= i.low && address + bytes <= i.high)
        return (uint8_t *)(uintptr_t)address;
    auto found = blocks().upper_bound(address);
    if (found == blocks().begin())
        throw error(lane_name(w, lane) + ": no global memory at " + hex(address));
    --found;
    if (address + bytes > found->second)
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
    const struct block_run &block = *w.block;
    const struct ptx_kernel *kernel = block.kernel;
    switch (space == SPACE_GENERIC ? window_of(address) : space) {
    case SPACE_SHARED:
        return in_window(w, "shared", block.shared, block.shared_bytes, SHARED_BASE, address, bytes,
                         lane);
    case SPACE_LOCAL:
        return in_window(w, "local", w.local + (size_t)lane * kernel->local_bytes,
                         kernel->local_bytes, LOCAL_BASE, address, bytes, lane);
    case SPACE_PARAM:
        return in_window(w, "parameter", const_cast<uint8_t *>(block.params), kernel->params_bytes,
                         PARAM_BASE, address, bytes, lane);
    default:
        return in_global(w, i, address, bytes, lane);
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
