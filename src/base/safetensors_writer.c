// SPDX-License-Identifier: MIT
// The writer: tensors by element size, then by name, so that every tensor is aligned to its element
// without gaps (the format forbids them) and the same content gives the same bytes.
#include "base/safetensors_format.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define DATA_ALIGNMENT 8 // of the first tensor in the file

struct pair {
    char *key;
    char *value;
};

struct safetensors_writer {
    struct safetensors_entry *entries; // own their names, borrow their data
    int n_entries;
    struct pair *pairs;
    int n_pairs;
};

adele_status safetensors_writer_create(struct safetensors_writer **out) {
    return ALLOCATE(out, 1);
}

void safetensors_writer_destroy(struct safetensors_writer *writer) {
    if (writer == NULL)
        return;
    for (int i = 0; i < writer->n_entries; i++)
        memory_free((char *)writer->entries[i].name);
    for (int i = 0; i < writer->n_pairs; i++) {
        memory_free(writer->pairs[i].key);
        memory_free(writer->pairs[i].value);
    }
    memory_free(writer->entries);
    memory_free(writer->pairs);
    memory_free(writer);
}

adele_status safetensors_writer_add(struct safetensors_writer *writer, const char *name,
                                    enum safetensors_dtype dtype, int n_dimensions,
                                    const int64_t *shape, const void *data) {
    struct safetensors_entry entry = {.dtype = dtype, .n_dimensions = n_dimensions, .data = data};
    if (name == NULL || name[0] == '\0' || strcmp(name, "__metadata__") == 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use another name.", "tensor name \"%s\"",
                    name != NULL ? name : "");
    for (int i = 0; i < writer->n_entries; i++) {
        if (strcmp(writer->entries[i].name, name) == 0)
            return FAIL(ADELE_INVALID_ARGUMENT, "Use another name.", "tensor \"%s\" twice", name);
    }
    if (n_dimensions < 0 || n_dimensions > SAFETENSORS_MAX_DIMENSIONS)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "tensor \"%s\" has %d dimensions, at most %d are possible", name, n_dimensions,
                    SAFETENSORS_MAX_DIMENSIONS);
    for (int i = 0; i < n_dimensions; i++)
        entry.shape[i] = shape[i];
    if (!safetensors_shape_size(dtype, n_dimensions, entry.shape, &entry.n_elements, &entry.bytes))
        return FAIL(ADELE_INVALID_ARGUMENT, "", "tensor \"%s\": dtype %d, or shape out of range",
                    name, (int)dtype);
    if (data == NULL && entry.bytes > 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "tensor \"%s\" has no data", name);
    TRY(GROW(&writer->entries, writer->n_entries));
    entry.name = memory_strdup(name);
    TRY(CHECK_MEMORY(entry.name));
    writer->entries[writer->n_entries++] = entry;
    return ADELE_OK;
}

adele_status safetensors_writer_metadata(struct safetensors_writer *writer, const char *key,
                                         const char *value) {
    const char prefix[] = SAFETENSORS_HASH_KEY;
    const size_t n = sizeof prefix - 1;
    if (strncmp(key, prefix, n) == 0 && (key[n] == '\0' || key[n] == '.'))
        return FAIL(ADELE_INVALID_ARGUMENT, "Use another key.", "metadata key \"%s\" is reserved",
                    key);
    for (int i = 0; i < writer->n_pairs; i++) {
        if (strcmp(writer->pairs[i].key, key) == 0)
            return FAIL(ADELE_INVALID_ARGUMENT, "Use another key.", "metadata key \"%s\" twice",
                        key);
    }
    TRY(GROW(&writer->pairs, writer->n_pairs));
    struct pair *pair = &writer->pairs[writer->n_pairs++]; // the writer frees it from here on
    *pair = (struct pair){memory_strdup(key), memory_strdup(value)};
    TRY(CHECK_MEMORY(pair->key));
    return CHECK_MEMORY(pair->value);
}

// ---- saving -------------------------------------------------------------------------------------

static int compare_entries(const void *a, const void *b) {
    const struct safetensors_entry *const *x = a;
    const struct safetensors_entry *const *y = b;
    size_t n_x = safetensors_dtype_bytes((*x)->dtype);
    size_t n_y = safetensors_dtype_bytes((*y)->dtype);
    if (n_x != n_y)
        return n_x > n_y ? -1 : 1;
    return strcmp((*x)->name, (*y)->name);
}

static int compare_pairs(const void *a, const void *b) {
    return strcmp((*(const struct pair *const *)a)->key, (*(const struct pair *const *)b)->key);
}

// The metadata: our own pairs, then the hash of each tensor; the header's own hash comes last.
static adele_status build_metadata(const struct pair **pairs, int n_pairs,
                                   const struct safetensors_entry **entries, int n_entries,
                                   cJSON *metadata) {
    for (int i = 0; i < n_pairs; i++) {
        TRY(CHECK_MEMORY(cJSON_AddStringToObject(metadata, pairs[i]->key, pairs[i]->value)));
    }
    for (int i = 0; i < n_entries; i++) {
        char hash[HASH_HEX_BYTES];
        hash_xxh3_hex(entries[i]->data, entries[i]->bytes, hash);
        OWNED char *key = memory_printf("%s.%s", SAFETENSORS_HASH_KEY, entries[i]->name);
        TRY(CHECK_MEMORY(key));
        TRY(CHECK_MEMORY(cJSON_AddStringToObject(metadata, key, hash)));
    }
    return ADELE_OK;
}

static adele_status build_tensor(const struct safetensors_entry *entry, uint64_t begin,
                                 cJSON *header) {
    cJSON *node = cJSON_AddObjectToObject(header, entry->name);
    bool is_fine =
        cJSON_AddStringToObject(node, "dtype", safetensors_dtype_name(entry->dtype)) != NULL;
    cJSON *shape = cJSON_AddArrayToObject(node, "shape");
    for (int i = 0; i < entry->n_dimensions && is_fine; i++)
        is_fine = json_append(shape, cJSON_CreateNumber((double)entry->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(node, "data_offsets");
    is_fine = is_fine && shape != NULL && json_append(offsets, cJSON_CreateNumber((double)begin)) &&
              json_append(offsets, cJSON_CreateNumber((double)(begin + entry->bytes)));
    return CHECK_MEMORY(is_fine ? node : NULL);
}

// The header's text; free with cJSON_free.
static adele_status build_header(const struct pair **pairs, int n_pairs,
                                 const struct safetensors_entry **entries, int n_entries,
                                 char **out) {
    char hash[HASH_HEX_BYTES];
    uint64_t offset = 0;
    OWNED_BY(cJSON_Delete) cJSON *header = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(header, "__metadata__");
    if (metadata == NULL)
        return CHECK_MEMORY(NULL);
    TRY(build_metadata(pairs, n_pairs, entries, n_entries, metadata));
    for (int i = 0; i < n_entries; i++) {
        TRY(build_tensor(entries[i], offset, header));
        offset += entries[i]->bytes;
    }
    TRY(safetensors_header_hash(header, hash));
    *out = NULL;
    if (cJSON_AddStringToObject(metadata, SAFETENSORS_HASH_KEY, hash) != NULL)
        *out = cJSON_PrintUnformatted(header);
    return *out == NULL ? CHECK_MEMORY(NULL) : ADELE_OK;
}

static adele_status write_file(const char *path, const char *keep, const char *header,
                               const struct safetensors_entry **entries, int n_entries) {
    size_t n_text = strlen(header);
    size_t n_header = (n_text + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    if (n_header > SAFETENSORS_MAX_HEADER_BYTES)
        return FAIL(ADELE_INVALID_ARGUMENT, "Store less metadata.",
                    "%s: a header of %zu bytes; the format allows %llu", path, n_header,
                    (unsigned long long)SAFETENSORS_MAX_HEADER_BYTES);
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)n_header >> (8 * i));

    OWNED_BY(file_writer_abandon) struct file_writer *writer = NULL;
    TRY(file_writer_begin(path, &writer));
    if (keep != NULL)
        TRY(file_writer_keep_old(writer, keep));
    TRY(file_writer_write(writer, length, sizeof length));
    TRY(file_writer_write(writer, header, n_text));
    TRY(file_writer_write(writer, "        ", n_header - n_text));
    for (int i = 0; i < n_entries; i++)
        TRY(file_writer_write(writer, entries[i]->data, entries[i]->bytes));
    return file_writer_commit(&writer);
}

adele_status safetensors_writer_save(const struct safetensors_writer *writer, const char *path) {
    return safetensors_writer_save_keeping(writer, path, NULL);
}

adele_status safetensors_writer_save_keeping(const struct safetensors_writer *writer,
                                             const char *path, const char *keep) {
    OWNED_BY(cJSON_free) char *header = NULL;
    int n_entries = writer->n_entries;
    int n_pairs = writer->n_pairs;
    OWNED const struct safetensors_entry **entries = NULL;
    OWNED const struct pair **pairs = NULL;
    TRY(ALLOCATE(&entries, n_entries));
    TRY(ALLOCATE(&pairs, n_pairs));
    for (int i = 0; i < n_entries; i++)
        entries[i] = &writer->entries[i];
    for (int i = 0; i < n_pairs; i++)
        pairs[i] = &writer->pairs[i];
    qsort(entries, (size_t)n_entries, sizeof *entries, compare_entries);
    qsort(pairs, (size_t)n_pairs, sizeof *pairs, compare_pairs);
    TRY(build_header(pairs, n_pairs, entries, n_entries, &header));
    return write_file(path, keep, header, entries, n_entries);
}
