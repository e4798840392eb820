// SPDX-License-Identifier: MIT
// Matrices that wgmma reads from shared memory: PTX ISA, "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate Instructions", sections "Shared Memory Matrix Layout" (strides, canonical
// layouts) and "Matrix Descriptor Format".
#include "simt_async.h"

static const uint32_t window_bytes = 1u << 18;

struct descriptor {
    uint32_t start, leading, stride; // bytes
    uint32_t base_offset;            // of the swizzle's pattern, in 128 bytes
    uint32_t swizzle_bytes;          // 0: none
};

uint64_t simt_matrix_descriptor(const void *shared, uint32_t leading, uint32_t stride,
                                uint32_t swizzle) {
    if ((uintptr_t)shared % 16 != 0 || leading % 16 != 0 || stride % 16 != 0)
        simt_fail("matrix_descriptor(%p, %u, %u): not all multiples of 16 bytes", shared, leading,
                  stride);
    if (!simt_is_shared(shared, 16) || leading >= window_bytes || stride >= window_bytes ||
        swizzle > 3)
        simt_fail("matrix_descriptor(%p, %u, %u) with swizzle %u: no shared memory of this block, "
                  "or more than 18 bits",
                  shared, leading, stride, swizzle);
    return (uint64_t)(simt_shared_window(shared) >> 4) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)swizzle << 62;
}

static struct descriptor decode(uint64_t bits) {
    static const uint32_t swizzles[] = {0, 128, 64, 32};
    if (bits & 0x3ff1c000c000c000u)
        simt_fail("matrix descriptor 0x%016llx: bits that must be 0 are set",
                  (unsigned long long)bits);
    return {(uint32_t)(bits & 0x3fff) << 4, (uint32_t)(bits >> 16 & 0x3fff) << 4,
            (uint32_t)(bits >> 32 & 0x3fff) << 4, (uint32_t)(bits >> 49 & 7), swizzles[bits >> 62]};
}

// Where the 16 bytes lie that hold rows `row` and up at k (MN-major), or k and up of the row.
static uint32_t offset_of(const struct descriptor *all, bool is_mn_major, uint32_t row,
                          uint32_t k) {
    uint32_t span = all->swizzle_bytes;
    if (!is_mn_major)
        return span == 0 ? row % 8 * 16 + row / 8 * all->stride + k / 8 * all->leading
                         : row % 8 * span + row / 8 * all->stride + k / 8 * 16;
    return span == 0 ? row / 8 * all->stride + k % 8 * 16 + k / 8 * all->leading
                     : row * 2 % span + row * 2 / span * all->leading + k % 8 * span +
                           k / 8 * all->stride;
}

static struct simt_operand_chunk chunk_at(const struct descriptor *all, uint32_t offset,
                                          const char *reader) {
    uint32_t window = (all->start + offset) % window_bytes;
    if (all->swizzle_bytes != 0)
        window ^= ((window / 128 - all->base_offset) & (all->swizzle_bytes / 16 - 1)) << 4;
    struct simt_operand_chunk chunk;
    chunk.from = simt_shared_at(window, 16);
    if (!chunk.from)
        simt_fail("%s: its matrix reaches address 0x%x, which is no shared memory of this block",
                  reader, window);
    simt_bulk_check_read(chunk.from, 16, reader);
    if (memcmp(chunk.from, simt_async_view(chunk.from), 16) != 0) {
        char place[120];
        simt_shared_describe(chunk.from, place, sizeof place);
        simt_fail("%s reads %s, where ordinary stores wrote with no fence_proxy_async since",
                  reader, place);
    }
    memcpy(chunk.bytes, chunk.from, 16);
    return chunk;
}

static float from_bf16(const unsigned char *bytes) {
    uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void simt_read_operand(uint64_t bits, bool is_mn_major, uint32_t n_rows, const char *reader,
                       std::vector<struct simt_operand_chunk> *chunks, float *out) {
    struct descriptor all = decode(bits);
    for (uint32_t i = 0; i < n_rows * 2; i++) { // 8 elements each
        uint32_t row = is_mn_major ? i / 16 * 8 : i / 2, k = is_mn_major ? i % 16 : i % 2 * 8;
        struct simt_operand_chunk chunk =
            chunk_at(&all, offset_of(&all, is_mn_major, row, k), reader);
        chunks->push_back(chunk);
        for (uint32_t j = 0; j < 8; j++) {
            uint32_t at_row = is_mn_major ? row + j : row, at_k = is_mn_major ? k : k + j;
            out[at_k * n_rows + at_row] = from_bf16(chunk.bytes + 2 * j);
        }
    }
}
