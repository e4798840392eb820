// SPDX-License-Identifier: MIT
#include "base/safetensors_format.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"

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
        // A zero behind huge extents must not hide their overflow.
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

struct text {
    char *bytes;
    size_t used;
    size_t capacity;
};

static adele_status text_add(struct text *text, const char *line) {
    size_t n = strlen(line) + 1; // with its NUL, which keeps "ab","c" and "a","bc" apart
    if (n > text->capacity - text->used) {
        size_t larger = text->capacity * 2 + n + 256;
        char *grown = memory_realloc(text->bytes, larger, 1);
        if (grown == NULL)
            return FAIL_NO_MEMORY(larger);
        text->bytes = grown;
        text->capacity = larger;
    }
    memcpy(text->bytes + text->used, line, n);
    text->used += n;
    return ADELE_OK;
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
    const cJSON **nodes = memory_calloc(n, sizeof *nodes);
    if (nodes == NULL)
        return FAIL_NO_MEMORY(n * sizeof *nodes);
    size_t i = 0;
    for (const cJSON *node = object->child; node != NULL; node = node->next)
        nodes[i++] = node;
    qsort(nodes, n, sizeof *nodes, compare_nodes);
    *out = nodes;
    return ADELE_OK;
}

static adele_status add_metadata(struct text *text, const cJSON *metadata) {
    const cJSON **nodes = NULL;
    size_t n = 0;
    TRY(sorted_members(metadata, &nodes, &n));
    adele_status status = ADELE_OK;
    for (size_t i = 0; i < n && status == ADELE_OK; i++) {
        if (strcmp(nodes[i]->string, SAFETENSORS_HASH_KEY) == 0)
            continue;
        status = text_add(text, nodes[i]->string);
        if (status == ADELE_OK)
            status = text_add(text, nodes[i]->valuestring);
    }
    memory_free(nodes);
    return status;
}

static adele_status add_tensor(struct text *text, const cJSON *node) {
    TRY(text_add(text, node->string));
    TRY(text_add(text, cJSON_GetObjectItemCaseSensitive(node, "dtype")->valuestring));
    const cJSON *extent = cJSON_GetObjectItemCaseSensitive(node, "shape")->child;
    for (; extent != NULL; extent = extent->next) {
        char digits[32];
        char *end = digits + sizeof digits - 1;
        char *c = end;
        *c = '\0';
        int64_t value = (int64_t)extent->valuedouble;
        do {
            *--c = (char)('0' + value % 10);
            value /= 10;
        } while (value > 0);
        TRY(text_add(text, c));
    }
    return text_add(text, "");
}

adele_status safetensors_header_hash(const cJSON *header, char out[17]) {
    struct text text = {NULL, 0, 0};
    const cJSON **nodes = NULL;
    size_t n = 0;
    adele_status status = ADELE_OK;
    TRY_GOTO(sorted_members(header, &nodes, &n), done);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nodes[i]->string, "__metadata__") == 0)
            TRY_GOTO(add_metadata(&text, nodes[i]), done);
        else
            TRY_GOTO(add_tensor(&text, nodes[i]), done);
    }
    hash_xxh3_hex(text.bytes, text.used, out);
done:
    memory_free(nodes);
    memory_free(text.bytes);
    return status;
}
