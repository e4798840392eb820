// SPDX-License-Identifier: MIT
// Tensor maps: the opaque objects of 128 bytes that tell TMA of a tensor in global memory. What is
// in one here is our own; programs get it from cuTensorMapEncodeTiled (cudart_driver.cpp).
#ifndef ADELE_PTX_TENSOR_MAP_H
#define ADELE_PTX_TENSOR_MAP_H

#include <stdint.h>
#include <string>

namespace ptx {

constexpr int MOST_DIMENSIONS = 5;
enum tensor_swizzle : uint8_t { SWIZZLE_NONE, SWIZZLE_32, SWIZZLE_64, SWIZZLE_128, SWIZZLES };

struct tensor_map {
    uint64_t magic, address;
    uint64_t strides[MOST_DIMENSIONS - 1];    // in bytes, of the dimensions from 1 on
    uint32_t last_index[MOST_DIMENSIONS];     // of each dimension
    uint16_t box[MOST_DIMENSIONS];            // as it was given
    uint8_t element_strides[MOST_DIMENSIONS]; // of dimension 0: 1
    uint8_t rank, element_bytes, swizzle;
    uint32_t unused[9];
    uint32_t check; // of the bytes before
};
static_assert(sizeof(struct tensor_map) == 128, "CUtensorMap");

// What cuTensorMapEncodeTiled is given (CUDA Driver API, "Tensor Map Object Management").
struct tensor_map_request {
    int element_bytes; // 0: a type that is not known here
    uint32_t rank;
    uint64_t address;
    const uint64_t *dims, *strides; // (rank), (rank - 1)
    const uint32_t *box, *element_strides;
    int interleave, swizzle, oob_fill;
};
// "" when the map is written; else what the driver would refuse.
std::string tensor_map_encode(const struct tensor_map_request &request, void *out);
// Throws when the bytes are no tensor map.
struct tensor_map tensor_map_decode(const uint8_t *bytes);

// Elements of the box along a dimension, in shared memory; bytes of all.
uint32_t box_extent(const struct tensor_map &map, int dimension);
uint32_t box_bytes(const struct tensor_map &map);
// The address in shared memory with the bits of the pattern exchanged.
uint32_t swizzled(uint32_t address, int swizzle);
std::string swizzle_name(int swizzle);

} // namespace ptx
#endif
