// SPDX-License-Identifier: MIT
// `adele labels`: the corrected labels of a run, back in the input's own layout and file type.
#include "train/model.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/changes.h"
#include "train/checkpoint.h"
#include "train/generations.h"

#include <stdio.h>
#include <string.h>

static adele_status find_labels(const char *run_folder, int epoch, char **out) {
    if (epoch < 0)
        *out = file_join(run_folder, "checkpoints/last.safetensors");
    else
        *out = generation_path(run_folder, epoch);
    if (!*out)
        return FAIL_NO_MEMORY(strlen(run_folder));
    if (!file_exists(*out))
        return FAIL(ADELE_IO,
                    epoch < 0 ? "Name a folder that `adele train --run` wrote."
                              : "labels/manifest.json of the run lists the epochs that have one.",
                    "%s: not there", *out);
    return ADELE_OK;
}

static adele_status check_labels(const struct safetensors_entry *entry, const char *path,
                                 const struct dataset_images *images) {
    if (!entry || entry->dtype != SAFETENSORS_U8 || entry->n_dimensions != 3)
        return FAIL(ADELE_FORMAT, "Name a run's own file.", "%s: no tensor 'labels' u8 (N, H, W)",
                    path);
    if (entry->shape[0] != images->n || entry->shape[1] != images->h ||
        entry->shape[2] != images->w)
        return FAIL(ADELE_DATA, "Leave the data set as it was when the run was made.",
                    "%s: labels of %lld x %lld x %lld, the data set gives %d x %d x %d", path,
                    (long long)entry->shape[0], (long long)entry->shape[1],
                    (long long)entry->shape[2], images->n, images->h, images->w);
    return ADELE_OK;
}

// A generation is held against the manifest before its labels are believed.
static adele_status open_generation(const char *run_folder, const char *path, int epoch,
                                    struct safetensors **out) {
    struct generation_list list = {0};
    struct generation found;
    adele_status status;
    TRY_GOTO(manifest_read(run_folder, &list), done);
    const struct generation *listed = generation_list_find(&list, epoch);
    TRY_GOTO(generation_open(path, epoch, listed, out, &found), done);
    if (!listed || !generation_same(&found, listed))
        status = FAIL(ADELE_FORMAT, "Continue the run with --resume: it writes the manifest again.",
                      "%s: labels of XXH3 %s, %lld pixels changed; labels/manifest.json says %s, "
                      "%lld",
                      path, found.xxh3, found.n_changed, listed ? listed->xxh3 : "nothing of it",
                      listed ? listed->n_changed : -1);
done:
    generation_list_deinit(&list);
    return status;
}

static adele_status open_labels(const char *run_folder, const char *path, int epoch,
                                struct safetensors **out) {
    if (epoch >= 0)
        return open_generation(run_folder, path, epoch, out);
    TRY(safetensors_open(path, out));
    adele_status status = checkpoint_check(*out);
    return status == ADELE_OK ? status : fail_context(status, "%s", path);
}

// Said also when there were none: a folder of labels that all are the old ones looks the same.
static void log_changes(const struct changes_sum *sum) {
    if (sum->n_changed == 0)
        log_line(LOG_INFO, "no pixel changed: the labels are those that the run was given");
    else
        log_line(LOG_INFO, "%lld of %lld pixels changed (%.2f %%), in %d of %d cases",
                 (long long)sum->n_changed, (long long)sum->n_pixels,
                 100.0 * (double)sum->n_changed / (double)sum->n_pixels, sum->n_changed_names,
                 sum->n_names);
}

adele_status model_export_labels(const char *run_folder, int epoch, const char *folder) {
    struct config *config = NULL;
    struct dataset *dataset = NULL;
    struct dataset_images images = {0};
    struct safetensors *file = NULL;
    char *config_path = file_join(run_folder, "config.resolved.yaml"), *path = NULL;
    adele_status status;
    if (!config_path)
        return FAIL_NO_MEMORY(strlen(run_folder));
    TRY_GOTO(find_labels(run_folder, epoch, &path), done);
    TRY_GOTO(config_load(config_path, 0, NULL, &config), done);
    struct dataset_config data;
    config_dataset(config, &data);
    TRY_GOTO(open_labels(run_folder, path, epoch, &file), done);
    TRY_GOTO(dataset_open(&data, &dataset), done);
    TRY_GOTO(dataset_load(dataset, SPLIT_TRAIN, false, &images), done);
    const struct safetensors_entry *entry = safetensors_find(file, "labels");
    TRY_GOTO(check_labels(entry, path, &images), done);
    struct changes_sum sum;
    TRY_GOTO(label_store_export_counted(dataset, SPLIT_TRAIN, &images, entry->data, images.labels,
                                        folder, &sum),
             done);
    log_changes(&sum);
done:
    safetensors_close(file);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    config_destroy(config);
    memory_free(config_path);
    memory_free(path);
    return status;
}
