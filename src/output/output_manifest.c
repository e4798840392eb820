// SPDX-License-Identifier: MIT
#include "output/output_manifest.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define BROKEN_HINT                                                                                \
    "Remove it: its folder's files then count as somebody else's. Or choose another folder."

void output_manifest_deinit(struct output_manifest *manifest) {
    for (int i = 0; i < manifest->n; i++)
        memory_free(manifest->files[i].name);
    memory_free(manifest->files);
    memset(manifest, 0, sizeof *manifest);
}

// The position of the name, or where to insert it.
static int position(const struct output_manifest *manifest, const char *name, bool *is_there) {
    int low = 0, high = manifest->n;
    *is_there = false;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(manifest->files[middle].name, name);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct output_file *output_manifest_find(const struct output_manifest *manifest,
                                               const char *name) {
    bool is_there = false;
    int i = position(manifest, name, &is_there);
    return is_there ? &manifest->files[i] : NULL;
}

static adele_status insert(struct output_manifest *manifest, int i, const char *name) {
    TRY(GROW(&manifest->files, manifest->n));
    char *copy = memory_strdup(name);
    TRY(CHECK_MEMORY(copy));
    memmove(manifest->files + i + 1, manifest->files + i,
            (size_t)(manifest->n - i) * sizeof *manifest->files);
    manifest->files[i] = (struct output_file){.name = copy};
    manifest->n++;
    return ADELE_OK;
}

adele_status output_manifest_set(struct output_manifest *manifest, const char *name, int64_t bytes,
                                 const char *xxh3) {
    bool is_there = false;
    int i = position(manifest, name, &is_there);
    if (!is_there)
        TRY(insert(manifest, i, name));
    struct output_file *file = &manifest->files[i];
    file->bytes = xxh3 != NULL ? bytes : -1;
    (void)snprintf(file->xxh3, sizeof file->xxh3, "%s", xxh3 != NULL ? xxh3 : "");
    return ADELE_OK;
}

void output_manifest_drop(struct output_manifest *manifest, const char *name) {
    bool is_there = false;
    int i = position(manifest, name, &is_there);
    if (!is_there)
        return;
    memory_free(manifest->files[i].name);
    manifest->n--;
    memmove(manifest->files + i, manifest->files + i + 1,
            (size_t)(manifest->n - i) * sizeof *manifest->files);
}

// ---- the file -----------------------------------------------------------------------------------

static adele_status read_file(const char *path, const cJSON *item,
                              struct output_manifest *manifest) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    double bytes;
    const char *xxh3 = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "xxh3"));
    bool has_bytes = json_whole(item, "bytes", 0x1p53 - 1.0, &bytes);
    if (name == NULL || has_bytes != (xxh3 != NULL) || (xxh3 != NULL && strlen(xxh3) != 16))
        return FAIL(ADELE_FORMAT, BROKEN_HINT, "%s: an entry without name, or of half a size",
                    path);
    return output_manifest_set(manifest, name, has_bytes ? (int64_t)bytes : -1, xxh3);
}

static adele_status read_files(const char *path, struct output_manifest *out) {
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    TRY(json_read(path, &json));
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(json, "files"), *item;
    if (!cJSON_IsArray(files))
        return FAIL(ADELE_FORMAT, BROKEN_HINT, "%s: no array \"files\"", path);
    cJSON_ArrayForEach(item, files) TRY(read_file(path, item, out));
    return ADELE_OK;
}

adele_status output_manifest_read(const char *folder, struct output_manifest *out) {
    memset(out, 0, sizeof *out);
    OWNED char *path = file_join(folder, OUTPUT_MANIFEST_NAME);
    TRY(CHECK_MEMORY(path));
    if (!file_exists(path))
        return ADELE_OK;
    adele_status status = read_files(path, out);
    if (status != ADELE_OK)
        output_manifest_deinit(out);
    return status;
}

static bool add_file(cJSON *files, const struct output_file *file) {
    cJSON *item = cJSON_CreateObject();
    bool is_fine =
        json_append(files, item) && json_add(item, "name", cJSON_CreateString(file->name));
    if (!is_fine || file->bytes < 0)
        return is_fine;
    return json_add(item, "bytes", cJSON_CreateNumber((double)file->bytes)) &&
           json_add(item, "xxh3", cJSON_CreateString(file->xxh3));
}

static adele_status write_file(const char *path, const struct output_manifest *manifest) {
    OWNED_BY(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    bool is_fine = cJSON_AddStringToObject(json, "written_by", "adele") != NULL;
    cJSON *files = cJSON_AddArrayToObject(json, "files");
    for (int i = 0; i < manifest->n && is_fine; i++)
        is_fine = add_file(files, &manifest->files[i]);
    return json_write(path, is_fine && files != NULL ? json : NULL);
}

adele_status output_manifest_write(const char *folder, const struct output_manifest *manifest) {
    OWNED char *path = file_join(folder, OUTPUT_MANIFEST_NAME);
    TRY(CHECK_MEMORY(path));
    return manifest->n > 0 ? write_file(path, manifest) : file_remove_tree(path);
}
