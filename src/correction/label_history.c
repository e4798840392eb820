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
    uint8_t *labels = NULL;
    char *path = generation_path(run_folder, generation->epoch);
    adele_status status = CHECK_MEMORY(path);
    if (status == ADELE_OK)
        status = download_labels(data, &labels);
    if (status == ADELE_OK)
        status = generation_write(path, shape, labels, generation);
    memory_free(labels);
    memory_free(path);
    return status;
}

adele_status label_history_add(const struct run_data *data, const char *run_folder, int epoch,
                               int64_t n_changed) {
    struct generation generation = {.epoch = epoch, .n_changed = n_changed};
    struct generation_list list = {0};
    char *folder = NULL;
    adele_status status;
    TRY_GOTO(run_folder_path(run_folder, "labels", &folder), done);
    TRY_GOTO(file_make_directory(folder), done);
    TRY_GOTO(write_generation(data, run_folder, &generation), done);
    TRY_GOTO(manifest_read(run_folder, &list), done);
    TRY_GOTO(generation_list_add(&list, &generation), done);
    TRY_GOTO(manifest_write(run_folder, &list), done);
done:
    generation_list_deinit(&list);
    memory_free(folder);
    return status;
}

// ---- resuming -----------------------------------------------------------------------------------

static adele_status remove_later(const char *folder, int epoch) {
    struct file_list list = {0};
    TRY(file_list_directory(folder, &list));
    adele_status status = ADELE_OK;
    for (int i = 0; i < list.n && status == ADELE_OK; i++) {
        int file_epoch = 0;
        if (sscanf(list.names[i], "epoch_%d.safetensors", &file_epoch) != 1 || file_epoch <= epoch)
            continue;
        char *path = file_join(folder, list.names[i]);
        status = CHECK_MEMORY(path);
        if (status == ADELE_OK)
            status = file_remove_tree(path);
        memory_free(path);
    }
    file_list_deinit(&list);
    return status;
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
        char *path = generation_path(run_folder, e);
        adele_status status = CHECK_MEMORY(path);
        if (status == ADELE_OK && (entry || file_exists(path)))
            status = verify(data, run_folder, e, entry, path, kept, manifest_agrees);
        memory_free(path);
        TRY(status);
    }
    return ADELE_OK;
}

adele_status label_history_trim(const struct run_data *data, const char *run_folder, int epoch) {
    struct generation_list listed = {0}, kept = {0};
    char *folder = NULL, why[1024] = "";
    bool manifest_agrees = true;
    adele_status status;
    TRY_GOTO(run_folder_path(run_folder, "labels", &folder), done);
    if (!file_is_directory(folder))
        goto done;
    TRY_GOTO(remove_later(folder, epoch), done);
    status = manifest_read(run_folder, &listed);
    if (status == ADELE_FORMAT)
        (void)snprintf(why, sizeof why, "%s", adele_error_message());
    else if (status != ADELE_OK)
        goto done;
    TRY_GOTO(verify_all(data, run_folder, epoch, &listed, &kept, &manifest_agrees), done);
    if (why[0] == '\0' && !manifest_agrees)
        (void)snprintf(why, sizeof why,
                       "%s/manifest.json is damaged: it does not say what the "
                       "label files say",
                       folder);
    if (why[0] != '\0')
        log_line(LOG_WARNING, "%s; written again from the label files", why);
    TRY_GOTO(manifest_write(run_folder, &kept), done);
done:
    generation_list_deinit(&listed);
    generation_list_deinit(&kept);
    memory_free(folder);
    return status;
}
