// SPDX-License-Identifier: MIT
#include "base/safetensors_format.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [SAFETENSORS_U8] = {"U8", 1},     [SAFETENSORS_I32] = {"I32", 4},
    [SAFETENSORS_I64] = {"I64", 8},   [SAFETENSORS_F16] = {"F16", 2},
    [SAFETENSORS_BF16] = {"BF16", 2}, [SAFETENSORS_F32] = {"F32", 4},
    [SAFETENSORS_F64] = {"F64", 8},
};

#define N_DTYPES (sizeof dtypes / sizeof dtypes[0])

const char *safetensors_dtype_name(enum safetensors_dtype dtype) {
    return (size_t)dtype < N_DTYPES ? dtypes[dtype].name : NULL;
}

size_t safetensors_dtype_bytes(enum safetensors_dtype dtype) {
    return (size_t)dtype < N_DTYPES ? dtypes[dtype].bytes : 0;
}

bool safetensors_dtype_from_name(const char *name, enum safetensors_dtype *out) {
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *out = (enum safetensors_dtype)i;
            return true;
        }
    }
    return false;
}

bool safetensors_shape_size(enum safetensors_dtype dtype, int n_dimensions, const int64_t *shape,
                            int64_t *n_elements, size_t *bytes) {
    // Half the range, so that a sum of two sizes cannot overflow either.
    const int64_t limit = INT64_MAX / 2;
    int64_t n = 1;
    bool is_empty = false;
    for (int i = 0; i < n_dimensions; i++) {
        if (shape[i] < 0)
            return false;
        // A zero after huge extents must not hide their overflow.
        if (shape[i] == 0)
            is_empty = true;
        else if (n > limit / shape[i])
            return false;
        else
            n *= shape[i];
    }
    size_t size = safetensors_dtype_bytes(dtype);
    if (size == 0 || n > limit / (int64_t)size)
        return false;
    *n_elements = is_empty ? 0 : n;
    *bytes = (size_t)*n_elements * size;
    return true;
}

// ---- hash of the header -------------------------------------------------------------------------

// Adds the NUL too, so that the hashes of "ab","c" and "a","bc" differ.
static adele_status add_text(struct buffer *buffer, const char *text) {
    return buffer_add(buffer, text, strlen(text) + 1);
}

static int compare_nodes(const void *a, const void *b) {
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

// The members of an object, sorted by name. *out is NULL for an empty object.
static adele_status sorted_members(const cJSON *object, const cJSON ***out, size_t *n_out) {
    size_t n = 0;
    for (const cJSON *node = object->child; node != NULL; node = node->next)
        n++;
    *out = NULL;
    *n_out = n;
    if (n == 0)
        return ADELE_OK;
    const cJSON **nodes = NULL;
    TRY(ALLOCATE(&nodes, n));
    size_t i = 0;
    for (const cJSON *node = object->child; node != NULL; node = node->next)
        nodes[i++] = node;
    qsort(nodes, n, sizeof *nodes, compare_nodes);
    *out = nodes;
    return ADELE_OK;
}

static adele_status add_metadata(struct buffer *buffer, const cJSON *metadata) {
    OWNED const cJSON **nodes = NULL;
    size_t n = 0;
    TRY(sorted_members(metadata, &nodes, &n));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nodes[i]->string, SAFETENSORS_HASH_KEY) == 0)
            continue;
        TRY(add_text(buffer, nodes[i]->string));
        TRY(add_text(buffer, nodes[i]->valuestring));
    }
    return ADELE_OK;
}

static adele_status add_tensor(struct buffer *buffer, const cJSON *node) {
    TRY(add_text(buffer, node->string));
    TRY(add_text(buffer, cJSON_GetObjectItemCaseSensitive(node, "dtype")->valuestring));
    const cJSON *extent = cJSON_GetObjectItemCaseSensitive(node, "shape")->child;
    for (; extent != NULL; extent = extent->next) {
        char digits[32];
        (void)snprintf(digits, sizeof digits, "%" PRId64, (int64_t)extent->valuedouble);
        TRY(add_text(buffer, digits));
    }
    return add_text(buffer, "");
}

adele_status safetensors_header_hash(const cJSON *header, char out[HASH_HEX_BYTES]) {
    CLEANUP(buffer_deinit) struct buffer buffer = {0};
    OWNED const cJSON **nodes = NULL;
    size_t n = 0;
    TRY(sorted_members(header, &nodes, &n));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nodes[i]->string, "__metadata__") == 0)
            TRY(add_metadata(&buffer, nodes[i]));
        else
            TRY(add_tensor(&buffer, nodes[i]));
    }
    hash_xxh3_hex(buffer.data, buffer.n_bytes, out);
    return ADELE_OK;
}
