// SPDX-License-Identifier: MIT
// Who wrote shared memory, and what asynchronous copies and wgmma still read and write there.
#include "async.h"

namespace ptx {

void begin_shadow(struct block_run &block) {
    struct block_async &async = *block.async;
    async.barriers.clear();
    async.granules.assign((block.shared_bytes + GRANULE - 1) / GRANULE, {});
    async.writers.assign((block.shared_bytes + 3) / 4, {});
}

static std::string place_name(const struct block_run &block, uint32_t offset) {
    return "offset " + std::to_string(offset) + " of shared memory" +
           (block.cluster->blocks.size() > 1 ? " of block " + std::to_string(block.rank) : "");
}

static void note_write(struct block_run &block, uint32_t offset, uint32_t bytes, int thread) {
    for (uint32_t k = offset / 4; k <= (offset + bytes - 1) / 4; k++)
        block.async->writers[k] = {(uint32_t)thread, block.cluster->n_proxy_fences[(size_t)thread]};
}

void note_access(struct warp &w, int lane, const uint8_t *at, size_t bytes, bool is_write) {
    for (struct block_run &block : w.block->cluster->blocks) {
        if (at < block.shared || at >= block.shared + block.shared_bytes)
            continue;
        uint32_t offset = (uint32_t)(at - block.shared);
        for (uint32_t g = offset / GRANULE; g <= (offset + bytes - 1) / GRANULE; g++) {
            struct granule &granule = block.async->granules[g];
            if (granule.n_loading > 0)
                throw error(lane_name(w, lane) + (is_write ? " writes " : " reads ") +
                            place_name(block, offset) +
                            ", which a TMA load under way writes: nobody has waited for it");
            if (is_write && granule.n_reading > 0)
                throw error(lane_name(w, lane) + " writes " + place_name(block, offset) +
                            ", which a TMA store or wgmma under way reads");
            if (is_write)
                granule.content = CONTENT_THREADS;
        }
        if (is_write)
            note_write(block, offset, (uint32_t)bytes, cluster_thread(w, lane));
        return;
    }
}

void note_accesses(struct warp &w, uint32_t lanes, const struct lane_memory &memory, size_t bytes,
                   bool is_write) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        note_access(w, l, memory.at[l], bytes, is_write);
    }
}

// The first word that a thread wrote and has not fenced, or UINT32_MAX.
static uint32_t find_unfenced(const struct block_run &block, uint32_t offset, uint32_t bytes) {
    const std::vector<struct word_writer> &writers = block.async->writers;
    for (uint32_t k = offset / 4; k <= (offset + bytes - 1) / 4; k++)
        if (writers[k].thread != UINT32_MAX &&
            writers[k].n_fences == block.cluster->n_proxy_fences[writers[k].thread])
            return k;
    return UINT32_MAX;
}

static void check(const struct block_run &block, uint32_t offset, uint32_t bytes, const char *who,
                  bool is_write) {
    const std::string does = is_write ? " writes " : " reads ";
    for (uint32_t g = offset / GRANULE; g <= (offset + bytes - 1) / GRANULE; g++) {
        const struct granule &granule = block.async->granules[g];
        const char *problem = NULL;
        if (granule.n_loading > 0)
            problem = is_write ? ", which another TMA load under way writes"
                               : ", which a TMA load under way writes: nobody has waited for it";
        else if (is_write && granule.n_reading > 0)
            problem = ", which a TMA store or wgmma under way reads";
        if (problem != NULL)
            throw error(who + does + place_name(block, g * GRANULE) + problem);
    }
    uint32_t word = find_unfenced(block, offset, bytes);
    if (word == UINT32_MAX)
        return;
    uint32_t thread = block.async->writers[word].thread;
    throw error(who + does + place_name(block, 4 * word) + ", which thread " +
                std::to_string(thread % MOST_BLOCK_THREADS) + " of block " +
                std::to_string(thread / MOST_BLOCK_THREADS) +
                " wrote without a fence.proxy.async behind it");
}

void check_async_read(const struct block_run &block, uint32_t offset, uint32_t bytes,
                      const char *who) {
    check(block, offset, bytes, who, false);
}

void check_async_write(const struct block_run &block, uint32_t offset, uint32_t bytes,
                       const char *who) {
    check(block, offset, bytes, who, true);
}

} // namespace ptx
