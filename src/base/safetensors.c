// SPDX-License-Identifier: MIT
// The reader. Every number in the file is checked against the size of the file before it is used.
#include "base/safetensors_format.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Integers above are not exact in JSON's doubles; 2^53 bytes are more than any file has.
#define MAX_EXACT 9007199254740992.0

#define HINT_BROKEN "The file is damaged or of another kind: take a copy of it, or write it again."

struct safetensors {
    char *bytes; // the whole file
    size_t n_bytes;
    cJSON *header;
    const cJSON *metadata;             // NULL: none
    struct safetensors_entry *entries; // in the header's order
    const struct safetensors_entry **by_name;
    int n;
    bool is_hashed;
};

static bool to_integer(const cJSON *node, int64_t *out) {
    if (!cJSON_IsNumber(node))
        return false;
    double value = node->valuedouble;
    if (!(value >= 0.0 && value <= MAX_EXACT) || floor(value) != value)
        return false;
    *out = (int64_t)value;
    return true;
}

// ---- header -------------------------------------------------------------------------------------

static adele_status parse_header(const char *path, struct safetensors *file, size_t *data_offset) {
    if (file->n_bytes < 8)
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: %zu bytes, too short for a safetensors file",
                    path, file->n_bytes);
    uint64_t n_header = 0;
    for (int i = 7; i >= 0; i--)
        n_header = n_header << 8 | (unsigned char)file->bytes[i];
    if (n_header > SAFETENSORS_MAX_HEADER_BYTES || n_header > file->n_bytes - 8)
        return FAIL(ADELE_FORMAT, HINT_BROKEN,
                    "%s: says that its header has %llu bytes, the file has %zu (limit %llu)", path,
                    (unsigned long long)n_header, file->n_bytes,
                    (unsigned long long)SAFETENSORS_MAX_HEADER_BYTES);
    const char *text = file->bytes + 8;
    const char *end = text;
    // cJSON skips a byte order mark and stops at a NUL; the format allows neither.
    if (n_header > 0 && text[0] == '{' && memchr(text, '\0', (size_t)n_header) == NULL)
        file->header = cJSON_ParseWithLengthOpts(text, (size_t)n_header, &end, 0);
    while (file->header != NULL && end < text + n_header && *end == ' ')
        end++;
    if (file->header == NULL || !cJSON_IsObject(file->header) || end != text + n_header)
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: the header is not one JSON object (byte %zu)",
                    path, (size_t)(end - file->bytes));
    *data_offset = 8 + (size_t)n_header;
    return ADELE_OK;
}

static adele_status parse_metadata(const char *path, struct safetensors *file, const cJSON *node) {
    if (!cJSON_IsObject(node))
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: __metadata__ is not an object", path);
    for (const cJSON *pair = node->child; pair != NULL; pair = pair->next) {
        if (!cJSON_IsString(pair))
            return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: __metadata__ \"%s\" is not a string", path,
                        pair->string);
    }
    file->metadata = node;
    return ADELE_OK;
}

static adele_status parse_shape(const char *path, const cJSON *node,
                                struct safetensors_entry *entry) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(node, "shape");
    if (!cJSON_IsArray(shape))
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: tensor \"%s\" has no shape", path, entry->name);
    for (const cJSON *extent = shape->child; extent != NULL; extent = extent->next) {
        if (entry->n_dimensions == SAFETENSORS_MAX_DIMENSIONS)
            return FAIL(ADELE_FORMAT, "", "%s: tensor \"%s\" has more than %d dimensions", path,
                        entry->name, SAFETENSORS_MAX_DIMENSIONS);
        if (!to_integer(extent, &entry->shape[entry->n_dimensions]))
            return FAIL(ADELE_FORMAT, HINT_BROKEN,
                        "%s: tensor \"%s\": extent %d of its shape is not a count (%g)", path,
                        entry->name, entry->n_dimensions, extent->valuedouble);
        entry->n_dimensions++;
    }
    if (!safetensors_shape_size(entry->dtype, entry->n_dimensions, entry->shape, &entry->n_elements,
                                &entry->bytes))
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: tensor \"%s\": its shape has too many elements",
                    path, entry->name);
    return ADELE_OK;
}

static adele_status parse_entry(const char *path, const struct safetensors *file,
                                size_t data_offset, const cJSON *node,
                                struct safetensors_entry *entry) {
    entry->name = node->string;
    if (!cJSON_IsObject(node))
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: tensor \"%s\" is not an object", path,
                    entry->name);
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(node, "dtype");
    if (!cJSON_IsString(dtype) || !safetensors_dtype_from_name(dtype->valuestring, &entry->dtype))
        return FAIL(
            ADELE_FORMAT, "Convert the tensor to F32.",
            "%s: tensor \"%s\" has dtype \"%s\"; known are U8, I32, I64, F16, BF16, F32, F64", path,
            entry->name, cJSON_IsString(dtype) ? dtype->valuestring : "");
    TRY(parse_shape(path, node, entry));

    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(node, "data_offsets");
    int64_t begin = 0;
    int64_t end = 0;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !to_integer(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !to_integer(cJSON_GetArrayItem(offsets, 1), &end))
        return FAIL(ADELE_FORMAT, HINT_BROKEN,
                    "%s: tensor \"%s\": data_offsets are not two byte counts", path, entry->name);
    size_t n_data = file->n_bytes - data_offset;
    if (begin > end || (uint64_t)end > n_data)
        return FAIL(
            ADELE_FORMAT, HINT_BROKEN,
            "%s: tensor \"%s\": data_offsets %lld, %lld are outside of the %zu bytes of data", path,
            entry->name, (long long)begin, (long long)end, n_data);
    if ((uint64_t)(end - begin) != entry->bytes)
        return FAIL(ADELE_FORMAT, HINT_BROKEN,
                    "%s: tensor \"%s\" has %lld bytes, its shape requires %zu", path, entry->name,
                    (long long)(end - begin), entry->bytes);
    entry->data = file->bytes + data_offset + begin;
    return ADELE_OK;
}

static adele_status parse_entries(const char *path, struct safetensors *file, size_t data_offset) {
    size_t n_members = 0;
    for (const cJSON *node = file->header->child; node != NULL; node = node->next)
        n_members++;
    if (n_members > INT_MAX / 2)
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: %zu tensors", path, n_members);
    TRY(ALLOCATE(&file->entries, n_members));
    TRY(ALLOCATE(&file->by_name, n_members));
    for (const cJSON *node = file->header->child; node != NULL; node = node->next) {
        if (strcmp(node->string, "__metadata__") == 0) {
            if (file->metadata != NULL)
                return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: __metadata__ twice", path);
            TRY(parse_metadata(path, file, node));
            continue;
        }
        TRY(parse_entry(path, file, data_offset, node, &file->entries[file->n]));
        file->by_name[file->n] = &file->entries[file->n];
        file->n++;
    }
    return ADELE_OK;
}

// ---- checks over all entries --------------------------------------------------------------------

static int compare_by_name(const void *a, const void *b) {
    const struct safetensors_entry *const *x = a;
    const struct safetensors_entry *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

// By offset; an empty tensor comes before the tensor that begins at the same offset.
static int compare_by_place(const void *a, const void *b) {
    const struct safetensors_entry *const *x = a;
    const struct safetensors_entry *const *y = b;
    const char *p = (*x)->data;
    const char *q = (*y)->data;
    if (p != q)
        return p < q ? -1 : 1;
    return ((*x)->bytes > (*y)->bytes) - ((*x)->bytes < (*y)->bytes);
}

// The format requires every byte of the data to belong to exactly one tensor.
static adele_status check_layout(const char *path, struct safetensors *file, size_t data_offset) {
    if (file->n > 1)
        qsort(file->by_name, (size_t)file->n, sizeof *file->by_name, compare_by_place);
    const char *next = file->bytes + data_offset;
    for (int i = 0; i < file->n; i++) {
        const struct safetensors_entry *entry = file->by_name[i];
        const char *begin = entry->data;
        if (begin < next)
            return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: tensor \"%s\" overlaps another one", path,
                        entry->name);
        if (begin > next)
            return FAIL(ADELE_FORMAT, HINT_BROKEN,
                        "%s: %zu bytes before tensor \"%s\" belong to no tensor", path,
                        (size_t)(begin - next), entry->name);
        next = begin + entry->bytes;
    }
    if (next != file->bytes + file->n_bytes)
        return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: %zu bytes at its end belong to no tensor", path,
                    (size_t)(file->bytes + file->n_bytes - next));

    if (file->n > 1)
        qsort(file->by_name, (size_t)file->n, sizeof *file->by_name, compare_by_name);
    for (int i = 1; i < file->n; i++) {
        if (strcmp(file->by_name[i - 1]->name, file->by_name[i]->name) == 0)
            return FAIL(ADELE_FORMAT, HINT_BROKEN, "%s: tensor \"%s\" twice", path,
                        file->by_name[i]->name);
    }
    return ADELE_OK;
}

static adele_status check_tensor_hash(const char *path, const struct safetensors *file,
                                      const cJSON *pair) {
    const char *name = pair->string + strlen(SAFETENSORS_HASH_KEY ".");
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (entry == NULL)
        return FAIL(ADELE_FORMAT, HINT_BROKEN,
                    "%s: has a hash of tensor \"%s\", but not the tensor", path, name);
    char actual[HASH_HEX_BYTES];
    hash_xxh3_hex(entry->data, entry->bytes, actual);
    if (strcmp(actual, pair->valuestring) != 0)
        return FAIL(ADELE_FORMAT, HINT_BROKEN,
                    "%s: tensor \"%s\" is damaged: its hash is %s, written was %s", path, name,
                    actual, pair->valuestring);
    return ADELE_OK;
}

static adele_status check_hashes(const char *path, struct safetensors *file) {
    const char prefix[] = SAFETENSORS_HASH_KEY ".";
    const cJSON *of_header = NULL;
    int n_hashed = 0;
    const cJSON *pair = file->metadata != NULL ? file->metadata->child : NULL;
    for (; pair != NULL; pair = pair->next) {
        if (strcmp(pair->string, SAFETENSORS_HASH_KEY) == 0) {
            of_header = pair;
        } else if (strncmp(pair->string, prefix, sizeof prefix - 1) == 0) {
            TRY(check_tensor_hash(path, file, pair));
            n_hashed++;
        }
    }
    if (of_header != NULL) {
        char actual[HASH_HEX_BYTES];
        TRY(safetensors_header_hash(file->header, actual));
        if (strcmp(actual, of_header->valuestring) != 0)
            return FAIL(ADELE_FORMAT, HINT_BROKEN,
                        "%s: its header is damaged: its hash is %s, written was %s", path, actual,
                        of_header->valuestring);
    }
    file->is_hashed = of_header != NULL && n_hashed == file->n;
    return ADELE_OK;
}

// ---- interface ----------------------------------------------------------------------------------

adele_status safetensors_open(const char *path, struct safetensors **out) {
    *out = NULL;
    size_t data_offset = 0;
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    TRY(ALLOCATE(&file, 1));
    TRY(file_read(path, 0, &file->bytes, &file->n_bytes));
    TRY(parse_header(path, file, &data_offset));
    TRY(parse_entries(path, file, data_offset));
    TRY(check_layout(path, file, data_offset));
    TRY(check_hashes(path, file));
    *out = file;
    file = NULL;
    return ADELE_OK;
}

void safetensors_close(struct safetensors *file) {
    if (file == NULL)
        return;
    cJSON_Delete(file->header);
    memory_free(file->entries);
    memory_free(file->by_name);
    memory_free(file->bytes);
    memory_free(file);
}

int safetensors_count(const struct safetensors *file) {
    return file->n;
}

const struct safetensors_entry *safetensors_at(const struct safetensors *file, int i) {
    return i >= 0 && i < file->n ? &file->entries[i] : NULL;
}

const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name) {
    int low = 0;
    int high = file->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->name);
        if (order == 0)
            return file->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key) {
    const cJSON *pair =
        file->metadata != NULL ? cJSON_GetObjectItemCaseSensitive(file->metadata, key) : NULL;
    return pair != NULL ? pair->valuestring : NULL;
}

bool safetensors_is_hashed(const struct safetensors *file) {
    return file->is_hashed;
}
