// SPDX-License-Identifier: MIT
#include "run_folder/generations.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST           "labels/manifest.json"
#define MAX_MANIFEST_BYTES ((size_t)16 << 20)
#define N_FIELDS           4 // of an entry of the manifest

#define HINT_MANIFEST "Continue the run with --resume: it writes the file again."
#define HINT_LABELS   "Take the labels of another epoch, or of the last checkpoint."

// ---- lists --------------------------------------------------------------------------------------

void generation_list_deinit(struct generation_list *list) {
    memory_free(list->items);
    *list = (struct generation_list){0};
}

adele_status generation_list_add(struct generation_list *list,
                                 const struct generation *generation) {
    TRY(GROW(&list->items, list->n));
    list->items[list->n++] = *generation;
    return ADELE_OK;
}

const struct generation *generation_list_find(const struct generation_list *list, int epoch) {
    for (int i = 0; i < list->n; i++)
        if (list->items[i].epoch == epoch)
            return &list->items[i];
    return NULL;
}

bool generation_same(const struct generation *a, const struct generation *b) {
    return a->epoch == b->epoch && strcmp(a->xxh3, b->xxh3) == 0 && a->n_changed == b->n_changed;
}

static void name_of(int epoch, char out[48]) {
    (void)snprintf(out, 48, "epoch_%04d.safetensors", epoch);
}

char *generation_path(const char *run_folder, int epoch) {
    char name[48];
    name_of(epoch, name);
    return memory_printf("%s/labels/%s", run_folder, name);
}

// ---- the manifest -------------------------------------------------------------------------------

static bool read_whole(const cJSON *entry, const char *name, double min, double max, double *out) {
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(entry, name);
    *out = cJSON_IsNumber(node) ? node->valuedouble : NAN;
    return *out >= min && *out <= max && floor(*out) == *out;
}

static bool parse_entry(const cJSON *entry, struct generation *out) {
    double epoch, n_changed;
    char name[48];
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(entry, "file");
    const cJSON *hash = cJSON_GetObjectItemCaseSensitive(entry, "xxh3");
    if (cJSON_GetArraySize(entry) != N_FIELDS || !read_whole(entry, "epoch", 1, INT_MAX, &epoch) ||
        !read_whole(entry, "changed_pixels", -1, 9007199254740992.0, &n_changed) ||
        !cJSON_IsString(file) || !cJSON_IsString(hash) || strlen(hash->valuestring) != 16)
        return false;
    out->epoch = (int)epoch;
    out->n_changed = (long long)n_changed;
    memcpy(out->xxh3, hash->valuestring, sizeof out->xxh3);
    name_of(out->epoch, name);
    return strcmp(file->valuestring, name) == 0;
}

static adele_status parse_manifest(const char *path, const cJSON *json,
                                   struct generation_list *out) {
    for (const cJSON *entry = json->child; entry; entry = entry->next) {
        struct generation generation;
        int last = out->n > 0 ? out->items[out->n - 1].epoch : 0;
        if (!parse_entry(entry, &generation) || generation.epoch <= last)
            return FAIL(ADELE_FORMAT, HINT_MANIFEST,
                        "%s: entry %d is damaged: not {epoch, file, xxh3, changed_pixels} of an "
                        "epoch after %d",
                        path, out->n, last);
        TRY(generation_list_add(out, &generation));
    }
    return ADELE_OK;
}

// The file must be exactly what its values are written as, so that a changed byte anywhere in it is
// detected.
static adele_status check_text(const char *path, const cJSON *json) {
    OWNED char *found = NULL;
    OWNED_BY(cJSON_free) char *want = cJSON_Print(json);
    size_t n_found = 0;
    TRY(CHECK_MEMORY(want));
    TRY(file_read(path, MAX_MANIFEST_BYTES, &found, &n_found));
    size_t n = strlen(want), same = 0;
    while (same < n && same < n_found && found[same] == want[same])
        same++;
    if (same != n || n_found != n + 1 || found[n] != '\n')
        return FAIL(ADELE_FORMAT, HINT_MANIFEST, "%s: damaged at byte %zu", path, same);
    return ADELE_OK;
}

adele_status manifest_read(const char *run_folder, struct generation_list *out) {
    CLEANUP(generation_list_deinit) struct generation_list list = {0};
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    *out = (struct generation_list){0};
    OWNED char *path = file_join(run_folder, MANIFEST);
    TRY(CHECK_MEMORY(path));
    if (!file_exists(path))
        return ADELE_OK;
    TRY(json_read(path, &json));
    if (!cJSON_IsArray(json))
        return FAIL(ADELE_FORMAT, HINT_MANIFEST, "%s: not a list", path);
    TRY(check_text(path, json));
    TRY(parse_manifest(path, json, &list));
    *out = list;
    list = (struct generation_list){0};
    return ADELE_OK;
}

adele_status manifest_write(const char *run_folder, const struct generation_list *list) {
    OWNED_BY(cJSON_Delete) cJSON *json = cJSON_CreateArray();
    OWNED char *path = file_join(run_folder, MANIFEST);
    bool is_made = json && path;
    for (int i = 0; i < list->n && is_made; i++) {
        const struct generation *generation = &list->items[i];
        char name[48];
        name_of(generation->epoch, name);
        cJSON *entry = cJSON_CreateObject();
        is_made = json_append(json, entry) &&
                  cJSON_AddNumberToObject(entry, "epoch", generation->epoch) &&
                  cJSON_AddStringToObject(entry, "file", name) &&
                  cJSON_AddStringToObject(entry, "xxh3", generation->xxh3) &&
                  cJSON_AddNumberToObject(entry, "changed_pixels", (double)generation->n_changed);
    }
    TRY(CHECK_MEMORY(is_made ? json : NULL));
    return json_write(path, json);
}

// ---- files --------------------------------------------------------------------------------------

adele_status generation_write(const char *path, const int64_t shape[3], const void *labels,
                              struct generation *generation) {
    OWNED_BY(safetensors_writer_destroy) struct safetensors_writer *writer = NULL;
    char epoch[32], n_changed[32];
    hash_xxh3_hex(labels, (size_t)(shape[0] * shape[1] * shape[2]), generation->xxh3);
    (void)snprintf(epoch, sizeof epoch, "%d", generation->epoch);
    (void)snprintf(n_changed, sizeof n_changed, "%lld", generation->n_changed);
    TRY(safetensors_writer_create(&writer));
    TRY(safetensors_writer_add(writer, "labels", SAFETENSORS_U8, 3, shape, labels));
    TRY(safetensors_writer_metadata(writer, "epoch", epoch));
    TRY(safetensors_writer_metadata(writer, "changed_pixels", n_changed));
    return safetensors_writer_save(writer, path);
}

static adele_status describe(const char *path, const struct safetensors *file, int epoch,
                             const struct generation *listed, struct generation *out) {
    const struct safetensors_entry *labels = safetensors_find(file, "labels");
    if (!safetensors_is_hashed(file) || !labels || labels->dtype != SAFETENSORS_U8 ||
        labels->n_dimensions != 3)
        return FAIL(ADELE_FORMAT, HINT_LABELS,
                    "%s: damaged: tensor \"labels\" u8 (N, H, W) or a hash is not there", path);
    out->epoch = epoch;
    hash_xxh3_hex(labels->data, labels->bytes, out->xxh3);
    const char *own_epoch = safetensors_metadata(file, "epoch");
    const char *n_changed = safetensors_metadata(file, "changed_pixels");
    out->n_changed = n_changed ? strtoll(n_changed, NULL, 10) : listed ? listed->n_changed : -1;
    if (own_epoch && atoi(own_epoch) != epoch)
        return FAIL(ADELE_FORMAT, HINT_LABELS, "%s: holds the labels of epoch %s", path, own_epoch);
    return ADELE_OK;
}

adele_status generation_open(const char *path, int epoch, const struct generation *listed,
                             struct safetensors **file, struct generation *out) {
    *out = (struct generation){0};
    TRY(safetensors_open(path, file));
    return describe(path, *file, epoch, listed, out);
}
