// SPDX-License-Identifier: MIT
// Boxes of tensors: PTX ISA, section "Tensors" (tiled mode: bounding box, traversal stride, out of
// boundary access; swizzling modes).
#include "simt_async.h"

#include <algorithm>

// ---- boxes --------------------------------------------------------------------------------------

static int box_extent(const struct simt_tensor_map *map, int i) { // ceil(box / step)
    return (map->last_of_box[i] + map->steps[i]) / map->steps[i];
}

uint32_t simt_box_row_bytes(const struct simt_tensor_map *map) {
    return (uint32_t)box_extent(map, 0) * map->element_bytes;
}

uint32_t simt_box_bytes(const struct simt_tensor_map *map) {
    uint32_t bytes = simt_box_row_bytes(map);
    for (int i = 1; i < map->n_dims; i++)
        bytes *= (uint32_t)box_extent(map, i);
    return bytes;
}

// The address that the swizzle exchanges with `window`: within rows of 32, 64 or 128 bytes, bits 4
// and up change with the bits from 7 on.
static uint32_t swizzled(uint32_t window, uint32_t swizzle_bytes) {
    uint32_t mask = swizzle_bytes == 0 ? 0 : swizzle_bytes / 16 - 1;
    return window ^ ((window >> 7 & mask) << 4);
}

// Row `i_row` of the box begins at these coordinates; false: all of it is outside of the tensor.
static bool row_begins(const struct simt_tensor_map *map, const int *coordinates, uint32_t i_row,
                       unsigned char **global) {
    bool is_inside = true;
    *global = map->base;
    for (int i = 1; i < map->n_dims; i++) {
        uint32_t extent = (uint32_t)box_extent(map, i);
        int64_t at = coordinates[i] + (int64_t)(i_row % extent) * map->steps[i];
        is_inside = is_inside && at >= 0 && at < (int64_t)map->extents[i];
        *global += at * (int64_t)map->strides[i];
        i_row /= extent;
    }
    return is_inside;
}

const std::vector<struct simt_chunk> &simt_box_chunks(const struct simt_tensor_map *map,
                                                      const int *coordinates, const void *shared) {
    static std::vector<struct simt_chunk> all;
    all.clear();
    uint32_t row_bytes = simt_box_row_bytes(map), n_rows = simt_box_bytes(map) / row_bytes;
    uint32_t window = simt_shared_window(shared);
    int64_t begin = (int64_t)coordinates[0] * map->element_bytes;
    int64_t end = (int64_t)map->extents[0] * map->element_bytes;
    for (uint32_t row = 0; row < n_rows; row++) {
        unsigned char *global;
        bool is_inside = row_begins(map, coordinates, row, &global);
        for (uint32_t byte = 0; byte < row_bytes; byte += 16) {
            int64_t at = begin + byte, first = std::max<int64_t>(at, 0);
            int64_t last = std::min<int64_t>(at + 16, end);
            uint32_t offset =
                swizzled(window + row * row_bytes + byte, map->swizzle_bytes) - window;
            // A box may begin before the tensor by no whole number of chunks: by elements.
            if (!is_inside || first >= last)
                all.push_back({NULL, 0, offset});
            else if (first == at)
                all.push_back({global + at, (uint8_t)(last - at), offset});
            else
                simt_fail("a tensor copy at coordinate %d of dimension 0: the emulator wants whole "
                          "blocks of 16 bytes outside of the tensor",
                          coordinates[0]);
        }
    }
    return all;
}
