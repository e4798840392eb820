// SPDX-License-Identifier: MIT
#include "run_folder/label_export.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/load.h"
#include "output/changes.h"
#include "output/label_store.h"
#include "output/output.h"
#include "run_folder/checkpoint_model.h"
#include "run_folder/generations.h"
#include "run_folder/run_argument.h"
#include "run_folder/run_folder.h"

#include <stdio.h>
#include <string.h>

// The file that holds the labels, and after which epoch they were current.
struct label_source {
    char *path;
    int epoch;
    bool is_generation; // labels/epoch_NNNN.safetensors, else a checkpoint
};

static void source_deinit(struct label_source *source) {
    memory_free(source->path);
}

static adele_status find_last(const struct label_export *wanted, struct label_source *out) {
    out->path = file_join(wanted->run_folder, "checkpoints/last.safetensors");
    TRY(CHECK_MEMORY(out->path));
    if (!file_exists(out->path))
        return FAIL(ADELE_IO, "Name a folder that `adele train --run` wrote.", "%s: not there",
                    out->path);
    return ADELE_OK;
}

// "Take one of these epochs: 4, 10, 20.": those that have labels, as far as the buffer holds them.
static adele_status list_epochs(const char *run_folder, char *out, size_t out_bytes) {
    CLEANUP(generation_list_deinit) struct generation_list list = {0};
    TRY(manifest_read(run_folder, &list));
    size_t used = (size_t)snprintf(out, out_bytes, "%s",
                                   list.n > 0 ? "Take one of these epochs: "
                                              : "The run has corrected no labels yet.");
    bool is_full = false;
    for (int i = 0; i < list.n && !is_full; i++) {
        is_full = used + 32 > out_bytes;
        used += (size_t)snprintf(out + used, out_bytes - used, "%d%s", list.items[i].epoch,
                                 i + 1 == list.n ? "."
                                 : is_full       ? " ..."
                                                 : ", ");
    }
    return ADELE_OK;
}

static adele_status find_generation(const struct label_export *wanted, int epoch,
                                    struct label_source *out) {
    char epochs[240];
    *out = (struct label_source){generation_path(wanted->run_folder, epoch), epoch, true};
    TRY(CHECK_MEMORY(out->path));
    if (file_exists(out->path))
        return ADELE_OK;
    TRY(list_epochs(wanted->run_folder, epochs, sizeof epochs));
    return FAIL(ADELE_IO, epochs, "%s: not there", out->path);
}

// The best checkpoint holds the network alone; its labels are those of the last correction until
// its epoch.
static adele_status find_best(const struct label_export *wanted, struct label_source *out) {
    CLEANUP(generation_list_deinit) struct generation_list list = {0};
    struct checkpoint_model model;
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    int found = -1;
    OWNED char *best = file_join(wanted->run_folder, "checkpoints/best.safetensors");
    TRY(CHECK_MEMORY(best));
    TRY(safetensors_open(best, &file));
    TRY(checkpoint_read_model(file, &model));
    TRY(manifest_read(wanted->run_folder, &list));
    for (int i = 0; i < list.n && list.items[i].epoch <= model.epoch; i++)
        found = list.items[i].epoch;
    return found >= 0 ? find_generation(wanted, found, out)
                      : FAIL(ADELE_DATA, "Until then the labels are the data set's own.",
                             "%s is of epoch %d, until which no label had been corrected", best,
                             model.epoch);
}

static adele_status find_labels(const struct label_export *wanted, struct label_source *out) {
    memset(out, 0, sizeof *out);
    TRY(run_argument_check(wanted->run_folder, false));
    if (wanted->epoch >= 0)
        return find_generation(wanted, wanted->epoch, out);
    bool is_best = wanted->checkpoint && strcmp(wanted->checkpoint, "best") == 0;
    return is_best ? find_best(wanted, out) : find_last(wanted, out);
}

static adele_status check_labels(const struct safetensors_entry *entry, const char *path,
                                 const struct dataset_images *images) {
    if (!entry || entry->dtype != SAFETENSORS_U8 || entry->n_dimensions != 3)
        return FAIL(ADELE_FORMAT, "Name a run's own file.", "%s: no tensor 'labels' u8 (N, H, W)",
                    path);
    if (entry->shape[0] != images->n || entry->shape[1] != images->h ||
        entry->shape[2] != images->w)
        return FAIL(ADELE_DATA, "Leave the data set as it was when the run was made.",
                    "%s: labels of %lld x %lld x %lld, the data set gives %d x %d x %d (images x "
                    "height x width)",
                    path, (long long)entry->shape[0], (long long)entry->shape[1],
                    (long long)entry->shape[2], images->n, images->h, images->w);
    return ADELE_OK;
}

// A generation is compared with the manifest before its labels are used.
static adele_status open_generation(const char *run_folder, const char *path, int epoch,
                                    struct safetensors **out) {
    CLEANUP(generation_list_deinit) struct generation_list list = {0};
    struct generation found;
    TRY(manifest_read(run_folder, &list));
    const struct generation *listed = generation_list_find(&list, epoch);
    TRY(generation_open(path, epoch, listed, out, &found));
    if (!listed || !generation_same(&found, listed))
        return FAIL(ADELE_FORMAT, "Continue the run with --resume: it writes the manifest again.",
                    "%s: labels of XXH3 %s, %lld pixels changed; labels/manifest.json says %s, "
                    "%lld",
                    path, found.xxh3, found.n_changed, listed ? listed->xxh3 : "nothing of it",
                    listed ? listed->n_changed : -1);
    return ADELE_OK;
}

static adele_status open_labels(const char *run_folder, struct label_source *source,
                                struct safetensors **out) {
    if (source->is_generation)
        return open_generation(run_folder, source->path, source->epoch, out);
    struct checkpoint_model model;
    TRY(safetensors_open(source->path, out));
    adele_status status = checkpoint_read_model(*out, &model);
    source->epoch = model.epoch;
    return status == ADELE_OK ? status : fail_context(status, "%s", source->path);
}

// The data set's labels must be those that the run began with. With data.noise no file holds those.
static adele_status check_original(const struct config *config, const struct safetensors *file,
                                   const struct dataset *dataset,
                                   const struct dataset_images *images) {
    const char *was = safetensors_metadata(file, "data.noisy_xxh3");
    char is[HASH_HEX_BYTES];
    if (!was || config->data.noise.kind != NOISE_NONE)
        return ADELE_OK;
    hash_xxh3_hex(images->labels, (size_t)images->n * (size_t)images->h * (size_t)images->w, is);
    if (strcmp(was, is) == 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA, "Name the data set that the run was trained on with --data DIR.",
                "%s: its training labels have XXH3 %s, the run was trained on %s", dataset->root,
                is, was);
}

// Also when nothing changed, which the folder alone does not show.
static void log_changes(const struct changes_sum *sum, const struct dataset_images *images) {
    if (sum->n_changed == 0)
        log_line(LOG_INFO, "no pixel changed: the labels are those that the run was given");
    else
        log_line(LOG_INFO,
                 "%lld of all %lld pixels of the training masks changed (%.2f %%), in %d of %d "
                 "training cases",
                 (long long)sum->n_changed, (long long)sum->n_pixels,
                 100.0 * (double)sum->n_changed / (double)sum->n_pixels, sum->n_changed_names,
                 sum->n_names);
    if (sum->n_changed > 0 &&
        sum->n_pixels != (int64_t)images->n * (int64_t)images->h * (int64_t)images->w)
        log_line(LOG_INFO,
                 "these are pixels of the label files; the training and its report count at %d x "
                 "%d pixels (height x width)",
                 images->h, images->w);
}

static adele_status write_labels(const struct label_export *wanted, const struct config *config,
                                 const struct dataset *dataset, const struct dataset_images *images,
                                 const uint8_t *labels, struct changes_sum *sum) {
    OWNED_BY(output_destroy) struct output *output = NULL;
    TRY(output_create(wanted->folder, wanted->is_overwriting, &output));
    TRY(run_folder_guard(wanted->run_folder, config, output_guard(output)));
    TRY(output_guard_add_dataset(output_guard(output), dataset));
    TRY(output_add_labels(output, dataset, SPLIT_TRAIN));
    TRY(output_check(output));
    output_sync_at_end(output);
    TRY(output_begin(output));
    return output_end(output, label_store_export(dataset, SPLIT_TRAIN, images, labels,
                                                 images->labels, wanted->folder, sum));
}

adele_status label_export_write(const struct label_export *wanted) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    OWNED_BY(dataset_close) struct dataset *dataset = NULL;
    CLEANUP(dataset_images_deinit) struct dataset_images images = {0};
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    CLEANUP(source_deinit) struct label_source source = {0};
    struct dataset_config data;
    TRY(find_labels(wanted, &source));
    TRY(run_folder_load_config(wanted->run_folder, wanted->data, &config));
    TRY(run_paths_warn(wanted->run_folder, config));
    config_dataset(config, &data);
    TRY(open_labels(wanted->run_folder, &source, &file));
    TRY(dataset_open(&data, &dataset));
    TRY(dataset_load(dataset, SPLIT_TRAIN, false, &images));
    const struct safetensors_entry *entry = safetensors_find(file, "labels");
    TRY(check_labels(entry, source.path, &images));
    TRY(check_original(config, file, dataset, &images));
    struct changes_sum sum;
    TRY(write_labels(wanted, config, dataset, &images, entry->data, &sum));
    log_line(LOG_INFO, "labels as they were after epoch %d: %s", source.epoch, source.path);
    log_changes(&sum, &images);
    if (wanted->out_changed)
        *wanted->out_changed = (long long)sum.n_changed;
    return ADELE_OK;
}
