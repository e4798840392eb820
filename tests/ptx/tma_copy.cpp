// SPDX-License-Identifier: MIT
// A bulk copy, carried out: a box of a tensor (PTX ISA, "Tensor", "Tiled mode"), or plain bytes.
#include "async.h"

#include <string.h>

namespace ptx {

// A row of the box along dimension 0: what lies inside of the tensor is copied, the rest is zeros
// in shared memory, and nothing in global memory (PTX ISA, "Tiled mode: out-of-boundary access").
static void copy_row(const struct async_copy &copy, struct block_run &block, uint64_t row_address,
                     bool is_inside, uint32_t offset) {
    const struct tensor_map &map = copy.map;
    const int64_t first = copy.coordinates[0], n = box_extent(map, 0), step = map.element_bytes;
    int64_t from = first < 0 ? -first : 0, to = (int64_t)map.last_index[0] + 1 - first;
    from = !is_inside || from > n ? n : from;
    to = !is_inside || to < from ? from : to > n ? n : to;
    uint8_t *global = from < to ? reach_global(row_address + (uint64_t)((first + from) * step),
                                               (size_t)((to - from) * step))
                                : NULL;
    uint8_t line[256 * 8] = {};
    if (copy.is_load && global != NULL)
        memcpy(line + from * step, global, (size_t)((to - from) * step));
    for (int64_t at = 0; at < n * step; at += GRANULE) {
        uint8_t *shared = block.shared + swizzled(offset + (uint32_t)at, map.swizzle);
        memcpy(copy.is_load ? shared : line + at, copy.is_load ? line + at : shared, GRANULE);
    }
    if (!copy.is_load && global != NULL)
        memcpy(global, line + from * step, (size_t)((to - from) * step));
}

static void copy_box(const struct async_copy &copy, struct block_run &block) {
    const struct tensor_map &map = copy.map;
    const uint32_t row_bytes = box_extent(map, 0) * map.element_bytes;
    for (uint32_t row = 0; row * row_bytes < copy.bytes; row++) {
        uint64_t address = map.address;
        bool is_inside = true;
        uint32_t rest = row;
        for (int d = 1; d < map.rank; d++) {
            int64_t index =
                copy.coordinates[d] + (int64_t)(rest % box_extent(map, d)) * map.element_strides[d];
            rest /= box_extent(map, d);
            is_inside = is_inside && index >= 0 && index <= (int64_t)map.last_index[d];
            address += (uint64_t)index * map.strides[d - 1];
        }
        copy_row(copy, block, address, is_inside, copy.offset + row * row_bytes);
    }
}

void mark_copy(struct async_copy &copy, int change) {
    for (struct block_run *block : copy.blocks)
        for (uint32_t g = copy.offset / GRANULE; g < (copy.offset + copy.bytes) / GRANULE; g++) {
            struct granule &granule = block->async->granules[g];
            if (copy.is_load)
                granule.n_loading = (uint8_t)(granule.n_loading + change);
            else
                granule.n_reading = (uint16_t)(granule.n_reading + change);
            if (copy.is_load && change < 0)
                granule.content = (uint8_t)(CONTENT_TMA + copy.map.swizzle);
        }
}

void carry_out(struct cluster_run &cluster, struct async_copy &copy) {
    copy.is_done = true;
    mark_copy(copy, -1);
    for (struct block_run *block : copy.blocks) {
        bool is_alive = false;
        for (const struct warp &w : block->warps)
            is_alive = is_alive || w.state != WARP_DONE;
        if (!is_alive)
            throw error("block " + std::to_string(block->rank) + " of the cluster ended before " +
                        copy.where + " was done");
        if (copy.is_tensor)
            copy_box(copy, *block);
        else if (copy.is_load)
            memcpy(block->shared + copy.offset, reach_global(copy.global, copy.bytes), copy.bytes);
        else
            memcpy(reach_global(copy.global, copy.bytes), block->shared + copy.offset, copy.bytes);
        if (copy.is_load)
            mbarrier_complete(cluster, mbarrier_at({block, copy.barrier_offset}), copy.bytes);
    }
    cluster.n_events++;
}

} // namespace ptx
