// SPDX-License-Identifier: MIT
// Maps are compared on the host image by image, so that this takes the memory of two maps.
#include "correction/label_flow.h"

#include "base/fail.h"
#include "base/memory.h"
#include "run_folder/run_folder.h"

#include <stdio.h>

#define PAIRS ((size_t)256 * 256)

struct map_pair {
    uint8_t *before, *after; // (H, W) on the host
    size_t bytes;
};

static void pair_deinit(struct map_pair *pair) {
    memory_free(pair->before);
    memory_free(pair->after);
}

static adele_status pair_init(const struct run_data *data, struct map_pair *out) {
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    *out = (struct map_pair){.bytes = (size_t)set->h * (size_t)set->w};
    TRY(ALLOCATE(&out->before, out->bytes));
    return ALLOCATE(&out->after, out->bytes);
}

static adele_status pair_download(const struct run_data *data, const uint8_t *before, int i,
                                  struct map_pair *pair) {
    const struct adele_device *device = data->device;
    size_t offset = (size_t)i * pair->bytes;
    TRY(device->iface->download(device, pair->before, before + offset, pair->bytes));
    return device->iface->download(device, pair->after, data->resident[SPLIT_TRAIN].labels + offset,
                                   pair->bytes);
}

static adele_status count_pairs(const struct run_data *data, const uint8_t *before,
                                int64_t *counts) {
    CLEANUP(pair_deinit) struct map_pair pair = {0};
    TRY(pair_init(data, &pair));
    for (int i = 0; i < data->resident[SPLIT_TRAIN].set.n_images; i++) {
        TRY(pair_download(data, before, i, &pair));
        for (size_t k = 0; k < pair.bytes; k++)
            counts[(size_t)pair.before[k] * 256 + pair.after[k]]++;
    }
    return ADELE_OK;
}

static bool add_flow(cJSON *json, const int64_t *counts) {
    cJSON *flow = cJSON_AddArrayToObject(json, "flow");
    bool is_fine = flow != NULL;
    for (size_t i = 0; is_fine && i < PAIRS; i++) {
        if (counts[i] == 0 || i / 256 == i % 256)
            continue;
        cJSON *pair = cJSON_CreateObject();
        is_fine = json_append(flow, pair) &&
                  cJSON_AddNumberToObject(pair, "from", (double)(i / 256)) &&
                  cJSON_AddNumberToObject(pair, "to", (double)(i % 256)) &&
                  cJSON_AddNumberToObject(pair, "pixels", (double)counts[i]);
    }
    return is_fine;
}

static adele_status write_flow(const struct run_data *data, const int64_t *counts,
                               const char *run_folder, int epoch) {
    char name[48];
    int64_t n_changed = 0;
    (void)snprintf(name, sizeof name, "labels/epoch_%04d.json", epoch);
    for (size_t i = 0; i < PAIRS; i++)
        n_changed += i / 256 != i % 256 ? counts[i] : 0;
    cJSON *json = cJSON_CreateObject();
    bool is_fine =
        cJSON_AddNumberToObject(json, "epoch", epoch) &&
        cJSON_AddNumberToObject(json, "changed_pixels", (double)n_changed) &&
        json_add(json, "classes",
                 cJSON_CreateStringArray((const char *const *)data->dataset->category_names,
                                         data->n_categories)) &&
        add_flow(json, counts);
    return run_folder_write_json(run_folder, name, json, is_fine);
}

adele_status label_flow_save(const struct run_data *data, const uint8_t *before,
                             const char *run_folder, int epoch) {
    OWNED int64_t *counts = NULL;
    TRY(ALLOCATE(&counts, PAIRS));
    TRY(count_pairs(data, before, counts));
    return write_flow(data, counts, run_folder, epoch);
}

adele_status label_flow_count_changed(const struct run_data *data, int64_t **out) {
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    CLEANUP(pair_deinit) struct map_pair pair = {0};
    OWNED int64_t *counts = NULL;
    TRY(ALLOCATE(&counts, train->set.n_images));
    TRY(pair_init(data, &pair));
    for (int i = 0; i < train->set.n_images; i++) {
        TRY(pair_download(data, train->noisy, i, &pair));
        for (size_t k = 0; k < pair.bytes; k++)
            counts[i] += pair.before[k] != pair.after[k];
    }
    *out = counts;
    counts = NULL;
    return ADELE_OK;
}
