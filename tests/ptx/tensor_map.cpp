// SPDX-License-Identifier: MIT
// The rules are those of the CUDA Driver API's manual, cuTensorMapEncodeTiled.
#include "tensor_map.h"

#include "program.h"

#include <string.h>

namespace ptx {

#define MAGIC 0x6164656c65746d61ull

static uint32_t check_of(const struct tensor_map &map) {
    const uint8_t *bytes = (const uint8_t *)&map;
    uint32_t sum = 2166136261u;
    for (size_t k = 0; k < offsetof(struct tensor_map, check); k++)
        sum = (sum ^ bytes[k]) * 16777619u;
    return sum;
}

static std::string named(const char *name, uint32_t i, uint64_t value, const char *rule) {
    return std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(value) +
           ", which " + rule;
}

static std::string check_modes(const struct tensor_map_request &r, const void *out) {
    if ((uintptr_t)out % 64 != 0)
        return "the tensor map is not aligned to 64 bytes";
    if (r.element_bytes == 0)
        return "a data type that is not known here";
    if (r.rank < 1 || r.rank > (uint32_t)MOST_DIMENSIONS)
        return "a rank of " + std::to_string(r.rank) + ", allowed are 1 to 5";
    if (r.address % 16 != 0)
        return "the global address is not aligned to 16 bytes";
    if (r.interleave != 0)
        return "an interleaved layout is not known here";
    if (r.swizzle < 0 || r.swizzle >= SWIZZLES)
        return "a swizzle mode that is not known here";
    if (r.oob_fill != 0)
        return "a fill of NaN is not known here";
    return "";
}

static std::string check_dimensions(const struct tensor_map_request &r) {
    for (uint32_t i = 0; i < r.rank; i++) {
        if (r.dims[i] == 0 || r.dims[i] > (uint64_t)1 << 32)
            return named("globalDim", i, r.dims[i], "is not 1 to 2^32");
        if (r.box[i] == 0 || r.box[i] > 256)
            return named("boxDim", i, r.box[i], "is not 1 to 256");
        if (r.element_strides[i] == 0 || r.element_strides[i] > 8)
            return named("elementStrides", i, r.element_strides[i], "is not 1 to 8");
    }
    for (uint32_t i = 0; i + 1 < r.rank; i++) {
        if (r.strides[i] % 16 != 0)
            return named("globalStrides", i, r.strides[i], "is no multiple of 16");
        if (r.strides[i] >= (uint64_t)1 << 40)
            return named("globalStrides", i, r.strides[i], "is not below 2^40");
    }
    if (r.rank > 1 && r.strides[0] < r.dims[0] * (uint64_t)r.element_bytes)
        return named("globalStrides", 0, r.strides[0], "is less than the inner dimension's bytes");
    return "";
}

static std::string check_inner_box(const struct tensor_map_request &r) {
    uint32_t bytes = r.box[0] * (uint32_t)r.element_bytes;
    if (bytes % 16 != 0)
        return named("boxDim", 0, r.box[0], "is no multiple of 16 bytes");
    uint32_t span = 16u << r.swizzle;
    if (r.swizzle != SWIZZLE_NONE && bytes > span)
        return named("boxDim", 0, r.box[0], "is more than the swizzle's span");
    // How shorter rows lie is not stated for all cases: better refused than guessed.
    if (r.swizzle != SWIZZLE_NONE && bytes < span)
        return named("boxDim", 0, r.box[0], "is less than the swizzle's span: not known here");
    return "";
}

std::string tensor_map_encode(const struct tensor_map_request &request, void *out) {
    std::string problem = check_modes(request, out);
    if (problem.empty())
        problem = check_dimensions(request);
    if (problem.empty())
        problem = check_inner_box(request);
    if (!problem.empty())
        return problem;
    struct tensor_map map;
    memset(&map, 0, sizeof map);
    map.magic = MAGIC;
    map.address = request.address;
    map.rank = (uint8_t)request.rank;
    map.element_bytes = (uint8_t)request.element_bytes;
    map.swizzle = (uint8_t)request.swizzle;
    for (uint32_t i = 0; i < request.rank; i++) {
        map.last_index[i] = (uint32_t)(request.dims[i] - 1);
        map.box[i] = (uint16_t)request.box[i];
        map.element_strides[i] = i == 0 ? 1 : (uint8_t)request.element_strides[i];
        if (i > 0)
            map.strides[i - 1] = request.strides[i - 1];
    }
    map.check = check_of(map);
    memcpy(out, &map, sizeof map);
    return "";
}

struct tensor_map tensor_map_decode(const uint8_t *bytes) {
    struct tensor_map map;
    memcpy(&map, bytes, sizeof map);
    if (map.magic != MAGIC || map.check != check_of(map))
        throw error("these 128 bytes are no tensor map of cuTensorMapEncodeTiled");
    return map;
}

uint32_t box_extent(const struct tensor_map &map, int dimension) {
    return ((uint32_t)map.box[dimension] + map.element_strides[dimension] - 1u) /
           map.element_strides[dimension];
}

uint32_t box_bytes(const struct tensor_map &map) {
    uint32_t n = map.element_bytes;
    for (int i = 0; i < map.rank; i++)
        n *= box_extent(map, i);
    return n;
}

// PTX ISA, "Swizzling modes": the 16-byte chunks of a row of 32, 64 or 128 bytes are exchanged by
// the lower bits of the number of the 128-byte line that they lie in.
uint32_t swizzled(uint32_t address, int swizzle) {
    uint32_t mask = (1u << swizzle) - 1;
    return address ^ ((address >> 7 & mask) << 4);
}

std::string swizzle_name(int swizzle) {
    return swizzle == SWIZZLE_NONE ? "none" : std::to_string(16 << swizzle) + " bytes";
}

} // namespace ptx
