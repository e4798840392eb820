// SPDX-License-Identifier: MIT
#include "correction/label_history.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "run_folder/generations.h"
#include "run_folder/run_folder.h"

#include <stdio.h>
#include <string.h>

// The labels of the device, on the host; caller frees.
static adele_status download_labels(const struct run_data *data, uint8_t **out) {
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    size_t bytes = resident_map_bytes(train);
    TRY(ALLOCATE(out, bytes));
    return data->device->iface->download(data->device, *out, train->labels, bytes);
}

static adele_status write_generation(const struct run_data *data, const char *run_folder,
                                     struct generation *generation) {
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    const int64_t shape[3] = {set->n_images, set->h, set->w};
    OWNED uint8_t *labels = NULL;
    OWNED char *path = generation_path(run_folder, generation->epoch);
    TRY(CHECK_MEMORY(path));
    TRY(download_labels(data, &labels));
    return generation_write(path, shape, labels, generation);
}

adele_status label_history_add(const struct run_data *data, const char *run_folder, int epoch,
                               int64_t n_changed) {
    struct generation generation = {.epoch = epoch, .n_changed = n_changed};
    CLEANUP(generation_list_deinit) struct generation_list list = {0};
    OWNED char *folder = NULL;
    TRY(run_folder_path(run_folder, "labels", &folder));
    TRY(file_make_directory(folder));
    TRY(write_generation(data, run_folder, &generation));
    TRY(manifest_read(run_folder, &list));
    TRY(generation_list_add(&list, &generation));
    return manifest_write(run_folder, &list);
}

// ---- resuming -----------------------------------------------------------------------------------

static adele_status remove_later(const char *folder, int epoch) {
    CLEANUP(file_list_deinit) struct file_list list = {0};
    TRY(file_list_directory(folder, &list));
    for (int i = 0; i < list.n; i++) {
        int file_epoch = 0;
        if (sscanf(list.names[i], "epoch_%d.safetensors", &file_epoch) != 1 || file_epoch <= epoch)
            continue;
        OWNED char *path = file_join(folder, list.names[i]);
        TRY(CHECK_MEMORY(path));
        TRY(file_remove_tree(path));
    }
    return ADELE_OK;
}

// The labels of the checkpoint are those of its newest generation, so that one can be written
// again.
static adele_status rewrite(const struct run_data *data, const char *run_folder,
                            const struct generation *listed, bool *is_rewritten) {
    char hash[HASH_HEX_BYTES] = "";
    uint8_t *labels = NULL;
    adele_status status = download_labels(data, &labels);
    if (status == ADELE_OK)
        hash_xxh3_hex(labels, resident_map_bytes(&data->resident[SPLIT_TRAIN]), hash);
    memory_free(labels);
    TRY(status);
    *is_rewritten = strcmp(hash, listed->xxh3) == 0;
    struct generation generation = *listed;
    return *is_rewritten ? write_generation(data, run_folder, &generation) : ADELE_OK;
}

// Adds one generation, which is listed or has a file or both, to `kept`. *manifest_agrees becomes
// false when an intact file and the manifest differ.
static adele_status verify(const struct run_data *data, const char *run_folder, int epoch,
                           const struct generation *listed, const char *path,
                           struct generation_list *kept, bool *manifest_agrees) {
    struct safetensors *file = NULL;
    struct generation found;
    adele_status status = generation_open(path, epoch, listed, &file, &found);
    safetensors_close(file);
    if (status == ADELE_OK) {
        *manifest_agrees = *manifest_agrees && listed && generation_same(&found, listed);
        return generation_list_add(kept, &found);
    }
    if (status != ADELE_FORMAT && file_exists(path))
        return status;
    char why[1024];
    bool is_rewritten = false;
    (void)snprintf(why, sizeof why, "%s", adele_error_message());
    if (listed)
        TRY(rewrite(data, run_folder, listed, &is_rewritten));
    log_line(LOG_WARNING, "%s; %s", why,
             is_rewritten ? "written again from the checkpoint"
                          : "the run goes on without the labels of that epoch");
    return listed ? generation_list_add(kept, listed) : ADELE_OK;
}

static adele_status verify_all(const struct run_data *data, const char *run_folder, int epoch,
                               const struct generation_list *listed, struct generation_list *kept,
                               bool *manifest_agrees) {
    for (int e = 1; e <= epoch; e++) {
        const struct generation *entry = generation_list_find(listed, e);
        OWNED char *path = generation_path(run_folder, e);
        TRY(CHECK_MEMORY(path));
        if (entry || file_exists(path))
            TRY(verify(data, run_folder, e, entry, path, kept, manifest_agrees));
    }
    return ADELE_OK;
}

adele_status label_history_trim(const struct run_data *data, const char *run_folder, int epoch) {
    CLEANUP(generation_list_deinit) struct generation_list listed = {0}, kept = {0};
    OWNED char *folder = NULL;
    char why[1024] = "";
    bool manifest_agrees = true;
    TRY(run_folder_path(run_folder, "labels", &folder));
    if (!file_is_directory(folder))
        return ADELE_OK;
    TRY(remove_later(folder, epoch));
    adele_status status = manifest_read(run_folder, &listed);
    if (status == ADELE_FORMAT)
        (void)snprintf(why, sizeof why, "%s", adele_error_message());
    else if (status != ADELE_OK)
        return status;
    TRY(verify_all(data, run_folder, epoch, &listed, &kept, &manifest_agrees));
    if (why[0] == '\0' && !manifest_agrees)
        (void)snprintf(why, sizeof why,
                       "%s/manifest.json is damaged: it does not say what the "
                       "label files say",
                       folder);
    if (why[0] != '\0')
        log_line(LOG_WARNING, "%s; written again from the label files", why);
    return manifest_write(run_folder, &kept);
}
