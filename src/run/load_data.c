// SPDX-License-Identifier: MIT
// The data of a run: the splits loaded, noise put into the training labels where it is asked for,
// and all of it made resident.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/foreground.h"

#include <stdio.h>
#include <string.h>

adele_status trainer_save_noise(const struct trainer *trainer) {
    const struct noise_report *report = &trainer->noise;
    if (trainer->config->data.noise.kind == NOISE_NONE)
        return ADELE_OK;
    double seed = (double)trainer->config->data.noise.seed;
    cJSON *json = cJSON_CreateObject();
    bool is_fine = cJSON_AddNumberToObject(json, "miou_foreground", report->miou_foreground) &&
                   cJSON_AddNumberToObject(json, "strength", report->strength) &&
                   cJSON_AddNumberToObject(json, "seed", seed);
    cJSON *iou = is_fine ? cJSON_AddObjectToObject(json, "iou") : NULL;
    is_fine = iou != NULL;
    for (int c = 0; is_fine && c < trainer->n_categories; c++)
        if (report->iou[c] >= 0.0)
            is_fine = cJSON_AddNumberToObject(iou, trainer->dataset->category_names[c],
                                              report->iou[c]) != NULL;
    return trainer_write_json(trainer, "noise.json", json, is_fine);
}

// The names that key each image's noise: the case's, with the slice for volumes.
static adele_status noise_images_init(const struct trainer *trainer, struct noise_image **out) {
    const struct dataset_images *images = &trainer->images[SPLIT_TRAIN];
    struct noise_image *list = memory_calloc((size_t)images->n, sizeof *list);
    if (!list)
        return FAIL_NO_MEMORY((size_t)images->n * sizeof *list);
    *out = list;
    size_t map = (size_t)images->h * (size_t)images->w;
    for (int i = 0; i < images->n; i++) {
        const struct dataset_origin *origin = &images->origin[i];
        const char *name = trainer->dataset->cases[SPLIT_TRAIN][origin->i_case].name;
        list[i] = (struct noise_image){.name = memory_printf("%s#%d", name, origin->slice),
                                       .height = images->h,
                                       .width = images->w,
                                       .clean = images->truth + (size_t)i * map,
                                       .noisy = images->labels + (size_t)i * map};
        if (!list[i].name)
            return FAIL_NO_MEMORY(strlen(name));
    }
    return ADELE_OK;
}

// Makes the clean training labels the truth and writes noisy ones in their place.
static adele_status add_noise(struct trainer *trainer) {
    struct dataset_images *images = &trainer->images[SPLIT_TRAIN];
    if (trainer->config->data.noise.kind == NOISE_NONE)
        return ADELE_OK;
    if (images->truth)
        return FAIL(ADELE_CONFIG, "Remove data.noise, or data.noisy_labels and data.true_labels.",
                    "data.noise needs clean labels, but noisy and true labels are given");
    size_t bytes = (size_t)images->n * (size_t)images->h * (size_t)images->w;
    images->truth = memory_calloc(bytes, 1);
    if (!images->truth)
        return FAIL_NO_MEMORY(bytes);
    memcpy(images->truth, images->labels, bytes);
    struct noise_image *list = NULL;
    struct noise_report *report = &trainer->noise;
    adele_status status = noise_images_init(trainer, &list);
    if (status == ADELE_OK)
        status = noise_apply(&trainer->config->data.noise, trainer->n_categories, images->n, list,
                             report);
    if (status == ADELE_OK)
        log_line(LOG_INFO, "noise: foreground mIoU of the training labels is %.4f (strength %.3f)",
                 report->miou_foreground, report->strength);
    for (int i = 0; list && i < images->n; i++)
        memory_free((void *)list[i].name);
    memory_free(list);
    return status;
}

static adele_status load_split(struct trainer *trainer, enum dataset_split split) {
    struct dataset_images *images = &trainer->images[split];
    if (trainer->dataset->n_cases[split] == 0)
        return ADELE_OK;
    TRY(dataset_load(trainer->dataset, split, split != SPLIT_TRAIN, images));
    if (images->n == 0 && split == SPLIT_TRAIN)
        return FAIL(ADELE_DATA, "Check the labels, or set data.foreground_slices_only: false.",
                    "%s: no training slice has foreground", trainer->dataset->root);
    if (split != SPLIT_TRAIN && !images->labels) {
        log_line(LOG_WARNING, "%s split has no labels and is not evaluated",
                 dataset_split_name(split));
        dataset_images_deinit(images);
        return ADELE_OK;
    }
    if (!images->labels)
        return FAIL(ADELE_DATA, "Add label files for the training cases.",
                    "%s: the train split has no labels", trainer->dataset->root);
    TRY(foreground_require(trainer->dataset, split, images));
    if (split == SPLIT_TRAIN) {
        TRY(add_noise(trainer));
        size_t bytes = (size_t)images->n * (size_t)images->h * (size_t)images->w;
        hash_xxh3_hex(images->labels, bytes, trainer->noisy_hash);
    }
    const struct config *config = trainer->config;
    // A single image that is left may join the batch before it.
    int batch = config->train.batch + (images->n % config->train.batch == 1 ? 1 : 0);
    struct resident_options options = {
        .with_noisy = split == SPLIT_TRAIN, .residency = config->data.residency, .batch = batch};
    return resident_init(&trainer->resident[split], trainer->device, images, &options);
}

adele_status trainer_load_data(struct trainer *trainer) {
    struct dataset_config data;
    config_dataset(trainer->config, &data);
    TRY(dataset_open(&data, &trainer->dataset));
    trainer->n_categories = trainer->dataset->n_categories;
    TRY(load_split(trainer, SPLIT_TRAIN));
    TRY(load_split(trainer, SPLIT_VAL));
    if (trainer->config->train.evaluate_test)
        TRY(load_split(trainer, SPLIT_TEST));
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (trainer->images[split].n > 0)
            log_line(LOG_INFO, "data: %-5s %d images of %d x %d, %d channel(s)",
                     dataset_split_name((enum dataset_split)split), trainer->images[split].n,
                     trainer->images[split].h, trainer->images[split].w, trainer->images[split].c);
    return ADELE_OK;
}
