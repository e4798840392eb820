// SPDX-License-Identifier: MIT
// Matrices in shared memory (PTX ISA, "Shared Memory Matrix Layout", "Matrix Descriptor Format" and
// "Strides"). In units of 16 bytes, which hold 8 elements along the major dimension, with `span`
// the bytes of the swizzle mode:
//
// K-major, row r, chunk c of K:
//   no swizzle: (r % 8) 16 + (r / 8) stride + c leading
//   swizzled:   (r % 8) span + (r / 8) stride + c 16
// M- or N-major, chunk m of rows, k of K:
//   no swizzle: (k % 8) 16 + (k / 8) leading + m stride
//   swizzled:   (m % (span / 16)) 16 + m / (span / 16) leading + (k % 8) span + (k / 8) stride
//
// and then the bits of the address are exchanged as TMA does it.
#include "lanes.h"
#include "wgmma.h"

#include <string.h>

namespace ptx {

struct matrix {
    uint32_t start, leading, stride, base, span;
    int swizzle;
};

static struct matrix decode(uint64_t descriptor) {
    struct matrix out;
    out.start = (uint32_t)(descriptor & 0x3fff) << 4;
    out.leading = (uint32_t)(descriptor >> 16 & 0x3fff) << 4;
    out.stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
    out.base = (uint32_t)(descriptor >> 49 & 7);
    uint32_t mode = (uint32_t)(descriptor >> 62);
    if ((descriptor & ~0xc00e3fff3fff3fffull) != 0)
        throw error("a matrix descriptor " + hex(descriptor) + " with bits that mean nothing");
    out.swizzle = mode == 0 ? SWIZZLE_NONE : SWIZZLES - (int)mode; // 1: 128 bytes, 3: 32 bytes
    out.span = 16u << out.swizzle;
    return out;
}

static uint32_t k_major(const struct matrix &m, uint32_t row, uint32_t chunk) {
    uint32_t at = m.start + row / 8 * m.stride;
    if (m.swizzle == SWIZZLE_NONE)
        return at + row % 8 * GRANULE + chunk * m.leading;
    return at + row % 8 * m.span + chunk * GRANULE;
}

static uint32_t mn_major(const struct matrix &m, uint32_t chunk, uint32_t k) {
    if (m.swizzle == SWIZZLE_NONE)
        return m.start + k % 8 * GRANULE + k / 8 * m.leading + chunk * m.stride;
    const uint32_t width = m.span / GRANULE;
    return m.start + chunk % width * GRANULE + chunk / width * m.leading + k % 8 * m.span +
           k / 8 * m.stride;
}

// The base offset is that of the pattern, where it does not begin at a multiple of its length.
static uint32_t exchange(const struct matrix &m, uint32_t address) {
    uint32_t line = (address >> 7) - m.base;
    return address ^ ((line & ((1u << m.swizzle) - 1)) << 4);
}

static const uint8_t *granule_at(const struct block_run &block, const struct matrix &m,
                                 uint32_t address, std::vector<uint32_t> *granules) {
    uint32_t offset = exchange(m, address);
    if (offset + GRANULE > block.shared_bytes)
        throw error("wgmma reads offset " + std::to_string(offset) + " of " +
                    std::to_string(block.shared_bytes) + " bytes of shared memory");
    check_async_read(block, offset, GRANULE, "wgmma");
    const struct granule &granule = block.async->granules[offset / GRANULE];
    if (granule.content >= CONTENT_TMA && granule.content - CONTENT_TMA != m.swizzle)
        throw error("wgmma reads with a swizzle of " + swizzle_name(m.swizzle) + " offset " +
                    std::to_string(offset) + " of shared memory, which TMA wrote with one of " +
                    swizzle_name(granule.content - CONTENT_TMA));
    granules->push_back(offset / GRANULE);
    return block.shared + offset;
}

void read_matrix(const struct block_run &block, uint64_t descriptor, bool is_mn_major, int first,
                 int n_rows, uint16_t *rows, std::vector<uint32_t> *granules) {
    const struct matrix m = decode(descriptor);
    if (!is_mn_major) {
        for (int r = 0; r < n_rows; r++)
            for (int c = 0; c < 2; c++)
                memcpy(
                    rows + r * 16 + c * 8,
                    granule_at(block, m, k_major(m, (uint32_t)(first + r), (uint32_t)c), granules),
                    GRANULE);
        return;
    }
    for (int k = 0; k < 16; k++)
        for (int c = 0; c < n_rows / 8; c++) {
            uint16_t eight[8];
            memcpy(
                eight,
                granule_at(block, m, mn_major(m, (uint32_t)(first / 8 + c), (uint32_t)k), granules),
                GRANULE);
            for (int e = 0; e < 8; e++)
                rows[(c * 8 + e) * 16 + k] = eight[e];
        }
}

} // namespace ptx
