// SPDX-License-Identifier: MIT
#include "loader/run_data.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/foreground.h"
#include "loader/patches.h"
#include "loader/rank_files.h"
#include "loader/shared_images.h"
#include "noise/noise_images.h"
#include "run_folder/run_folder.h"

#include <string.h>

adele_status run_data_save_noise(const struct run_data *data, const char *run_folder) {
    const struct noise_report *report = &data->noise;
    if (data->config->data.noise.kind == NOISE_NONE)
        return ADELE_OK;
    double seed = (double)data->config->data.noise.seed;
    cJSON *json = cJSON_CreateObject();
    bool is_fine = cJSON_AddNumberToObject(json, "miou_foreground", report->miou_foreground) &&
                   cJSON_AddNumberToObject(json, "strength", report->strength) &&
                   cJSON_AddNumberToObject(json, "seed", seed);
    cJSON *iou = is_fine ? cJSON_AddObjectToObject(json, "iou") : NULL;
    is_fine = iou != NULL;
    for (int c = 0; is_fine && c < data->n_categories; c++)
        if (report->iou[c] >= 0.0)
            is_fine = cJSON_AddNumberToObject(iou, data->dataset->category_names[c],
                                              report->iou[c]) != NULL;
    return run_folder_write_json(run_folder, "noise.json", json, is_fine);
}

// Makes the clean training labels the truth and writes noisy ones in their place.
static adele_status add_noise(struct run_data *data) {
    struct dataset_images *images = &data->images[SPLIT_TRAIN];
    if (data->config->data.noise.kind == NOISE_NONE)
        return ADELE_OK;
    if (images->truth)
        return FAIL(ADELE_CONFIG, "Remove data.noise, or data.noisy_labels and data.true_labels.",
                    "data.noise needs clean labels, but noisy and true labels are given");
    struct noise_report *report = &data->noise;
    TRY(noise_images_apply(&data->config->data.noise, data->dataset, images, report));
    log_line(LOG_INFO,
             "data.noise has changed the training labels: their foreground mIoU with the given "
             "ones is %.4f (strength %.3f)",
             report->miou_foreground, report->strength);
    return ADELE_OK;
}

static adele_status load_split(struct run_data *data, enum dataset_split split) {
    struct dataset_images *images = &data->images[split];
    if (data->dataset->n_cases[split] == 0)
        return ADELE_OK;
    TRY(shared_images_load(data->dataset, split, split != SPLIT_TRAIN, data->ranks, images));
    if (images->n == 0 && split == SPLIT_TRAIN)
        return FAIL(ADELE_DATA, "Check the labels, or set data.foreground_slices_only: false.",
                    "%s: no training slice has foreground", data->dataset->root);
    if (split != SPLIT_TRAIN && !images->labels) {
        log_line(LOG_WARNING, "%s split has no labels and is not evaluated",
                 dataset_split_name(split));
        dataset_images_deinit(images);
        return ADELE_OK;
    }
    if (!images->labels)
        return FAIL(ADELE_DATA, "Add label files for the training cases.",
                    "%s: the train split has no labels", data->dataset->root);
    TRY(foreground_require(data->dataset, split, images));
    if (split == SPLIT_TRAIN) {
        TRY(add_noise(data));
        if (data->dataset->config.is_padded)
            dataset_images_ignore_padding(images);
        size_t bytes = (size_t)images->n * (size_t)images->h * (size_t)images->w;
        hash_xxh3_hex(images->labels, bytes, data->noisy_hash);
    }
    const struct config *config = data->config;
    // A last batch of one image may join the batch before it.
    int batch = config->train.batch + (images->n % config->train.batch == 1 ? 1 : 0);
    struct resident_options options = {
        .with_noisy = split == SPLIT_TRAIN, .residency = config->data.residency, .batch = batch};
    TRY(resident_init(&data->resident[split], data->device, images, &options));
    return split == SPLIT_TRAIN && config->data.patch[0] > 0 ? patches_init(data, &options)
                                                             : ADELE_OK;
}

static adele_status load_splits(struct run_data *data) {
    struct dataset_config config;
    config_dataset(data->config, &config);
    // A split that one rank alone lacks would leave the others waiting for it.
    TRY(ranks_agree(data->ranks, dataset_open(&config, &data->dataset)));
    TRY(rank_files_compare(data->ranks, data->dataset));
    data->n_categories = data->dataset->n_categories;
    TRY(load_split(data, SPLIT_TRAIN));
    TRY(load_split(data, SPLIT_VAL));
    return data->config->train.evaluate_test ? load_split(data, SPLIT_TEST) : ADELE_OK;
}

// Colours can be changed in 8-bit RGB images alone.
static adele_status check_augment(const struct run_data *data) {
    const struct adele_augment *augment = &data->config->data.augment;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    if (augment->enabled && augment->kind == ADELE_AUGMENT_VOC && augment->hsv > 0.0 &&
        (set->c != 3 || set->pixel != ADELE_PIXEL_U8))
        return FAIL(ADELE_CONFIG, "Set data.augment.hsv: 0.",
                    "data.augment.hsv is %g, but the images of %s are not 8-bit RGB", augment->hsv,
                    data->dataset->root);
    return ADELE_OK;
}

adele_status run_data_load(struct run_data *out, const struct config *config,
                           const struct adele_device *device, struct ranks *ranks) {
    *out = (struct run_data){.config = config, .device = device, .ranks = ranks};
    TRY(load_splits(out));
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (out->images[split].n > 0)
            log_line(LOG_DETAIL, "data: %-5s %d images of %d x %d, %d channel(s)",
                     dataset_split_name((enum dataset_split)split), out->images[split].n,
                     out->images[split].h, out->images[split].w, out->images[split].c);
    return check_augment(out);
}

struct resident *run_data_training_set(struct run_data *data) {
    return data->patches.set.n_images > 0 ? &data->patches : &data->resident[SPLIT_TRAIN];
}

void run_data_deinit(struct run_data *data) {
    resident_deinit(&data->patches);
    for (int split = 0; split < SPLIT_COUNT; split++) {
        resident_deinit(&data->resident[split]);
        dataset_images_deinit(&data->images[split]);
    }
    dataset_close(data->dataset);
    memset(data, 0, sizeof *data);
}

adele_status run_data_move_images(struct run_data *data, bool *out_moved) {
    *out_moved = false;
    if (data->config->data.residency != RESIDENCY_AUTO || resident_is_host_memory(data->device))
        return ADELE_OK;
    *out_moved = config_has_ensemble(data->config) && !data->are_images_moved;
    data->are_images_moved = true;
    for (int i = 0; i <= SPLIT_COUNT; i++) {
        struct resident *resident = i < SPLIT_COUNT ? &data->resident[i] : &data->patches;
        // Two batches of them stay on the device.
        if (resident->set.n_images <= 2 * resident->batch || resident_host_bytes(resident) > 0)
            continue;
        TRY(resident_move_to_host(resident));
        *out_moved = true;
    }
    return ADELE_OK;
}
