// SPDX-License-Identifier: MIT
// Tensor maps: the driver's checks of cuTensorMapEncodeTiled (CUDA driver interface, "Tensor Map
// Object Management"), and where the emulator keeps what it was told.
#include "simt_async.h"
#include "simt_plant.h"

#include <cuda.h>

static const uint32_t map_magic = 0x746d6170u;

static const uint8_t element_bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2}; // by CUtensorMapDataType

// ---- checks -------------------------------------------------------------------------------------

#define REFUSE(...) return simt_error(cudaErrorInvalidValue, "cuTensorMapEncodeTiled: " __VA_ARGS__)

static cudaError_t check_kind(CUtensorMapDataType type, cuuint32_t n_dims,
                              CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                              CUtensorMapFloatOOBfill fill) {
    if ((unsigned)type >= sizeof element_bytes / sizeof element_bytes[0])
        REFUSE("the emulator has no element type %d", (int)type);
    if (n_dims < 1 || n_dims > 5)
        REFUSE("%u dimensions: 1 to 5 are possible", n_dims);
    if (interleave != CU_TENSOR_MAP_INTERLEAVE_NONE)
        REFUSE("the emulator has no interleaved layouts");
    if ((unsigned)swizzle > CU_TENSOR_MAP_SWIZZLE_128B)
        REFUSE("the emulator has no swizzle %d", (int)swizzle);
    if (fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
        REFUSE("the emulator fills with zeros only");
    return cudaSuccess;
}

// `stride`: of dimension i; ignored for dimension 0.
static cudaError_t check_dim(int i, uint64_t extent, uint64_t stride, uint32_t box, uint32_t step) {
    if (extent == 0 || extent > (uint64_t)1 << 32)
        REFUSE("dimension %d has %llu elements: 1 to 2^32 are possible", i,
               (unsigned long long)extent);
    if (box == 0 || box > 256)
        REFUSE("the box has %u elements in dimension %d: 1 to 256 are possible", box, i);
    if (step == 0 || step > 8)
        REFUSE("the element stride of dimension %d is %u: 1 to 8 are possible", i, step);
    if (i > 0 && (stride % 16 != 0 || stride >= (uint64_t)1 << 40))
        REFUSE("the stride of dimension %d is %llu bytes: it must be a multiple of 16 below 2^40",
               i, (unsigned long long)stride);
    return cudaSuccess;
}

static cudaError_t check_places(const void *out, const void *tensor, unsigned row_bytes,
                                unsigned swizzle_bytes) {
    if ((uintptr_t)out % 64 != 0)
        REFUSE("the map at %p is not aligned to 64 bytes", out);
    if ((uintptr_t)tensor % 16 != 0)
        REFUSE("the tensor at %p is not aligned to 16 bytes", tensor);
    if (row_bytes % 16 != 0)
        REFUSE("a row of the box has %u bytes, no multiple of 16", row_bytes);
    if (swizzle_bytes != 0 && row_bytes > swizzle_bytes)
        REFUSE("a row of the box has %u bytes, more than the swizzle's %u", row_bytes,
               swizzle_bytes);
    return cudaSuccess;
}

// ---- the driver's function ----------------------------------------------------------------------

static CUresult encode_tiled(CUtensorMap *out, CUtensorMapDataType type, cuuint32_t n_dims,
                             void *address, const cuuint64_t *extents, const cuuint64_t *strides,
                             const cuuint32_t *box, const cuuint32_t *steps,
                             CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                             CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
    static const uint8_t swizzles[] = {0, 32, 64, 128};
    struct simt_tensor_map map = {};
    static_assert(sizeof map <= sizeof *out, "a map holds what the emulator keeps");
    cudaError_t code = check_kind(type, n_dims, interleave, swizzle, fill);
    for (int i = 0; code == cudaSuccess && i < (int)n_dims; i++) {
        map.extents[i] = extents[i];
        map.strides[i] = i == 0 ? element_bytes[type] : strides[i - 1];
        map.last_of_box[i] = (uint8_t)(box[i] - 1);
        map.steps[i] = i == 0 ? 1 : (uint8_t)steps[i]; // no stride within rows: it is ignored
        code = check_dim(i, extents[i], map.strides[i], box[i], steps[i]);
    }
    for (int i = 1; i < (int)n_dims && simt_plant_ignores_pitches(); i++)
        map.strides[i] = map.strides[i - 1] * map.extents[i - 1];
    if (code == cudaSuccess)
        code = check_places(out, address, box[0] * element_bytes[type], swizzles[swizzle]);
    if (code != cudaSuccess) {
        cudaGetLastError(); // the driver does not touch what the runtime remembers
        return CUDA_ERROR_INVALID_VALUE;
    }
    map.magic = map_magic;
    map.n_dims = (uint8_t)n_dims;
    map.element_bytes = element_bytes[type];
    map.swizzle_bytes = swizzles[swizzle];
    map.base = (unsigned char *)address;
    *out = {};
    memcpy((void *)out, &map, sizeof map);
    return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **out, unsigned version,
                                             unsigned long long,
                                             enum cudaDriverEntryPointQueryResult *result) {
    bool is_known = strcmp(name, "cuTensorMapEncodeTiled") == 0;
    bool is_there = is_known && version >= 12000;
    *out = is_there ? (void *)encode_tiled : NULL;
    if (result)
        *result = is_there   ? cudaDriverEntryPointSuccess
                  : is_known ? cudaDriverEntryPointVersionNotSufficent
                             : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess; // also when there is none
}

cudaError_t cudaGetDriverEntryPoint(const char *name, void **out, unsigned long long flags,
                                    enum cudaDriverEntryPointQueryResult *result) {
    return cudaGetDriverEntryPointByVersion(name, out, 13000, flags, result);
}

struct simt_tensor_map simt_tensor_map_of(const void *map, int n_dims) {
    struct simt_tensor_map out;
    memcpy(&out, map, sizeof out);
    if ((uintptr_t)map % 64 != 0 || out.magic != map_magic)
        simt_fail("%p is no tensor map of cuTensorMapEncodeTiled, aligned to 64 bytes", map);
    if (out.n_dims != n_dims)
        simt_fail("a copy with %d coordinates and a tensor map of %d dimensions", n_dims,
                  out.n_dims);
    return out;
}
