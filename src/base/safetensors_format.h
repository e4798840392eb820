// SPDX-License-Identifier: MIT
// What the reader and the writer of safetensors files share: the element types and the hash of
// everything that is not tensor data.
#ifndef ADELE_BASE_SAFETENSORS_FORMAT_H
#define ADELE_BASE_SAFETENSORS_FORMAT_H

#include "base/hash.h"
#include "base/safetensors.h"
#include <cjson/cJSON.h>

// The format's own limit for the header.
#define SAFETENSORS_MAX_HEADER_BYTES ((uint64_t)100000000)

// Keys of __metadata__ that hold hashes: "xxh3" and "xxh3.NAME".
#define SAFETENSORS_HASH_KEY "xxh3"

const char *safetensors_dtype_name(enum safetensors_dtype dtype); // "F32"; NULL for no dtype
size_t safetensors_dtype_bytes(enum safetensors_dtype dtype);     // 0 for no dtype
bool safetensors_dtype_from_name(const char *name, enum safetensors_dtype *out);

// The elements and bytes of a shape; false when an extent is negative or a product overflows.
bool safetensors_shape_size(enum safetensors_dtype dtype, int n_dimensions, const int64_t *shape,
                            int64_t *n_elements, size_t *bytes);

// The hash of the header: name, dtype and shape of each tensor and each metadata pair but "xxh3"
// itself, all in the order of strcmp. So neither white space nor the order in the file matters, and
// a changed shape is detected as a changed number is.
ADELE_MUST_CHECK adele_status safetensors_header_hash(const cJSON *header,
                                                      char out[HASH_HEX_BYTES]);
#endif
