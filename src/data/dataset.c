// SPDX-License-Identifier: MIT
// Creating and closing a data set, and the names of its enumerations.
#include "data/dataset.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/folder_cache.h"
#include "data/label_lookup.h"
#include "data/notes.h"
#include "data/palette_check.h"

#include <string.h>

const char *dataset_split_name(enum dataset_split split) {
    static const char *const names[] = {"train", "val", "test"};
    return (unsigned)split < SPLIT_COUNT ? names[split] : "unknown";
}

bool dataset_split_find(const char *name, enum dataset_split *out) {
    for (int split = 0; name != NULL && split < SPLIT_COUNT; split++)
        if (strcmp(name, dataset_split_name((enum dataset_split)split)) == 0) {
            *out = (enum dataset_split)split;
            return true;
        }
    return false;
}

size_t dataset_memory_limit(const struct dataset *dataset) {
    size_t limit = dataset->config.memory_limit;
    return limit != 0 ? limit : (size_t)4 << 30;
}

const char *dataset_label_source(const struct dataset_case *item, enum dataset_split split) {
    return split == SPLIT_TRAIN && item->noisy_path != NULL ? item->noisy_path : item->label_path;
}

// ---- the copy of the configuration --------------------------------------------------------------

static adele_status copy_text(const char *text, const char **out) {
    *out = NULL;
    if (text == NULL || text[0] == '\0')
        return ADELE_OK;
    *out = memory_strdup(text);
    return CHECK_MEMORY(*out);
}

static adele_status copy_map(const struct label_map *from, struct label_map *to) {
    *to = (struct label_map){.other = from->other};
    if (from->n == 0)
        return ADELE_OK;
    int *values = NULL;
    uint8_t *categories = NULL;
    char **names = NULL;
    TRY(ALLOCATE(&values, from->n));
    to->from = values;
    TRY(ALLOCATE(&categories, from->n));
    to->to = categories;
    TRY(ALLOCATE(&names, (size_t)from->n_names + 1));
    to->names = (const char *const *)names;
    memcpy(values, from->from, (size_t)from->n * sizeof *values);
    memcpy(categories, from->to, (size_t)from->n);
    to->n = from->n;
    for (int i = 0; i < from->n_names; i++) {
        names[i] = memory_strdup(from->names[i]);
        TRY(CHECK_MEMORY(names[i]));
        to->n_names++;
    }
    return ADELE_OK;
}

static adele_status copy_config(const struct dataset_config *config, struct dataset *dataset) {
    struct dataset_config *copy = &dataset->config;
    *copy = *config;
    copy->root = copy->noisy_labels = copy->true_labels = NULL;
    copy->image_folder = copy->mask_folder = copy->mask_suffix = NULL;
    memset(copy->split, 0, sizeof copy->split);
    TRY(copy_map(&config->map, &dataset->map));
    copy->map = dataset->map;
    for (int split = 0; split < SPLIT_COUNT; split++)
        TRY(copy_text(config->split[split], &copy->split[split]));
    TRY(copy_text(config->image_folder, &copy->image_folder));
    TRY(copy_text(config->mask_folder, &copy->mask_folder));
    TRY(copy_text(config->mask_suffix, &copy->mask_suffix));
    TRY(copy_text(config->noisy_labels, &copy->noisy_labels));
    TRY(copy_text(config->true_labels, &copy->true_labels));
    if (config->root == NULL || config->root[0] == '\0')
        return FAIL(ADELE_CONFIG, "Name the data set's folder.", "data.root is not set");
    dataset->root = memory_strdup(config->root);
    copy->root = dataset->root;
    TRY(CHECK_MEMORY(dataset->root));
    // "DATA/" and "DATA" are the same folder; messages are easier to read without the slash.
    for (size_t bytes = strlen(dataset->root); bytes > 1 && dataset->root[bytes - 1] == '/';)
        dataset->root[--bytes] = '\0';
    return ADELE_OK;
}

adele_status dataset_create(const struct dataset_config *config, struct dataset **out) {
    *out = NULL;
    if (config->height < 0 || config->width < 0 || (config->height == 0) != (config->width == 0))
        return FAIL(ADELE_CONFIG, "Give both, or 0 and 0 for the files' own size.",
                    "data.size: %d x %d (height x width) is not a size", config->height,
                    config->width);
    OWNED_BY(dataset_close) struct dataset *dataset = NULL;
    TRY(ALLOCATE(&dataset, 1));
    dataset->layout = config->layout;
    dataset->ignore_value = LABEL_IGNORE;
    TRY(ALLOCATE(&dataset->logged_notes, 1));
    TRY(folder_cache_create(&dataset->folder_cache));
    TRY(palette_check_create(&dataset->palettes));
    TRY(copy_config(config, dataset));
    *out = dataset;
    dataset = NULL;
    return ADELE_OK;
}

static void free_map(struct label_map *map) {
    for (int i = 0; i < map->n_names; i++)
        memory_free((char *)map->names[i]);
    memory_free((void *)map->names);
    memory_free((void *)map->from);
    memory_free((void *)map->to);
}

void dataset_case_deinit(struct dataset_case *item) {
    memory_free(item->name);
    for (int i = 0; i < DATASET_MAX_FILES; i++)
        memory_free(item->image_path[i]);
    memory_free(item->label_path);
    memory_free(item->noisy_path);
    memory_free(item->truth_path);
    memset(item, 0, sizeof *item);
}

void dataset_close(struct dataset *dataset) {
    if (dataset == NULL)
        return;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        for (int i = 0; i < dataset->n_cases[split]; i++)
            dataset_case_deinit(&dataset->cases[split][i]);
        memory_free(dataset->cases[split]);
        memory_free((char *)dataset->config.split[split]);
        memory_free(dataset->image_folders[split]);
        memory_free(dataset->label_folders[split]);
    }
    memory_free((char *)dataset->config.image_folder);
    memory_free((char *)dataset->config.mask_folder);
    memory_free((char *)dataset->config.mask_suffix);
    for (int c = 0; c < dataset->n_categories; c++)
        if (dataset->category_names != NULL)
            memory_free(dataset->category_names[c]);
    memory_free(dataset->category_names);
    memory_free((char *)dataset->config.noisy_labels);
    memory_free((char *)dataset->config.true_labels);
    free_map(&dataset->map);
    label_lookup_destroy(dataset->lookup);
    memory_free(dataset->logged_notes);
    folder_cache_destroy(dataset->folder_cache);
    palette_check_destroy(dataset->palettes);
    file_list_deinit(&dataset->own_names);
    memory_free(dataset->first_lone_mask);
    memory_free(dataset->root);
    memory_free(dataset);
}
