// SPDX-License-Identifier: MIT
#include "noise/noise_files.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/foreground.h"
#include "data/label_lookup.h"
#include "data/label_values.h"
#include "data/palette_check.h"
#include "output/changes.h"
#include "output/label_store.h"
#include "output/output.h"

#include <stdio.h>
#include <string.h>

// The label maps of the split, case after case.
struct noise_set {
    const struct dataset *dataset;
    int n;
    struct noise_image *images;    // names, clean and noisy maps are owned
    struct dataset_origin *origin; // of images[i]
};

static void set_deinit(struct noise_set *set) {
    for (int i = 0; i < set->n; i++) {
        memory_free((void *)set->images[i].name);
        memory_free((void *)set->images[i].clean);
        memory_free(set->images[i].noisy);
    }
    memory_free(set->images);
    memory_free(set->origin);
}

// ---- reading ------------------------------------------------------------------------------------

// The name that keys the noise is the one that training uses.
static adele_status add_slice(struct noise_set *set, int i_case, int slice, const char *path,
                              const struct case_labels *labels) {
    size_t n_pixels = (size_t)labels->height * (size_t)labels->width;
    TRY(GROW(&set->images, set->n));
    TRY(GROW(&set->origin, set->n));
    struct noise_image *image = &set->images[set->n];
    *image = (struct noise_image){
        .name = memory_printf("%s#%d", set->dataset->cases[SPLIT_TRAIN][i_case].name, slice),
        .height = labels->height,
        .width = labels->width};
    set->origin[set->n] = (struct dataset_origin){
        .i_case = i_case, .slice = slice, .height = labels->height, .width = labels->width};
    set->n++; // from here on set_deinit frees it
    TRY(CHECK_MEMORY(image->name));
    uint8_t *clean = NULL;
    TRY(ALLOCATE(&clean, n_pixels));
    image->clean = clean;
    TRY(ALLOCATE(&image->noisy, n_pixels));
    return case_labels_map(set->dataset, path, labels, slice, clean);
}

static adele_status add_case(struct noise_set *set, int i_case) {
    const struct dataset *dataset = set->dataset;
    const struct dataset_case *item = &dataset->cases[SPLIT_TRAIN][i_case];
    const char *path = dataset_label_source(item, SPLIT_TRAIN);
    CLEANUP(case_labels_deinit) struct case_labels labels = {0};
    OWNED struct palette_use *use = NULL;
    if (!path)
        return FAIL(ADELE_DATA, "Add label files for the training cases.",
                    "%s: case %s of the train split has no mask", dataset->root, item->name);
    TRY(case_labels_load_checked(dataset, item, path, NULL, &labels));
    bool keep_all = !labels.is_volume || !dataset->config.foreground_slices_only;
    TRY(palette_use_of(&labels, &use));
    TRY(palette_check_add(dataset, path, use));
    for (int slice = 0; slice < labels.n_slices; slice++)
        if (keep_all || case_labels_has_foreground(dataset, &labels, slice))
            TRY(add_slice(set, i_case, slice, path, &labels));
    return ADELE_OK;
}

// Noise moves the contours of shapes; without any there is nothing to do, and the reason matters.
static adele_status require_foreground(const struct noise_set *set) {
    for (int i = 0; i < set->n; i++) {
        const struct noise_image *image = &set->images[i];
        size_t n_pixels = (size_t)image->height * (size_t)image->width;
        for (size_t k = 0; k < n_pixels; k++)
            if (image->clean[k] != 0 && image->clean[k] != LABEL_IGNORE)
                return ADELE_OK;
    }
    return foreground_explain(set->dataset, SPLIT_TRAIN);
}

// ---- writing ------------------------------------------------------------------------------------

// Images first..first + n - 1, the slices of one case; none of a volume without foreground, which
// is written as it is. They have one size, but other cases may have another, so each case is
// exported as a data set of its own.
static adele_status write_case(const struct noise_set *set, int i_case, int first, int n,
                               const char *folder, struct changes *changes) {
    const struct noise_image *image = set->images + (n > 0 ? first : 0);
    struct dataset single = *set->dataset;
    single.cases[SPLIT_TRAIN] = set->dataset->cases[SPLIT_TRAIN] + i_case;
    single.n_cases[SPLIT_TRAIN] = 1;
    CLEANUP(dataset_images_deinit)
    struct dataset_images images = {
        .n = n, .h = n > 0 ? image->height : 1, .w = n > 0 ? image->width : 1};
    size_t n_pixels = (size_t)images.h * (size_t)images.w;
    OWNED uint8_t *clean = NULL, *noisy = NULL;
    TRY(ALLOCATE(&clean, (size_t)n * n_pixels + 1));
    TRY(ALLOCATE(&noisy, (size_t)n * n_pixels + 1));
    TRY(ALLOCATE(&images.origin, (size_t)n + 1));
    for (int i = 0; i < n; i++) {
        memcpy(clean + (size_t)i * n_pixels, image[i].clean, n_pixels);
        memcpy(noisy + (size_t)i * n_pixels, image[i].noisy, n_pixels);
        images.origin[i] = set->origin[first + i];
        images.origin[i].i_case = 0;
    }
    return label_store_export_case(&single, SPLIT_TRAIN, 0, &images, noisy, clean, folder, changes);
}

static adele_status write_labels(const struct noise_set *set, const char *folder) {
    CLEANUP(changes_deinit) struct changes changes = {0};
    TRY(changes_init(&changes));
    int first = 0;
    for (int i_case = 0; i_case < set->dataset->n_cases[SPLIT_TRAIN]; i_case++) {
        int n = 0;
        while (first + n < set->n && set->origin[first + n].i_case == i_case)
            n++;
        TRY(write_case(set, i_case, first, n, folder, &changes));
        first += n;
    }
    return changes_save(&changes, set->dataset->n_categories, set->dataset->category_names, folder);
}

static bool add_iou(cJSON *json, const struct dataset *dataset, const struct noise_report *report) {
    cJSON *iou = cJSON_AddObjectToObject(json, "iou");
    bool is_fine = iou != NULL;
    for (int c = 0; is_fine && c < dataset->n_categories; c++) {
        const char *name = dataset->category_names[c];
        if (report->iou[c] >= 0)
            is_fine = cJSON_AddNumberToObject(iou, name, report->iou[c]) != NULL;
        else
            is_fine = cJSON_AddNullToObject(iou, name) != NULL;
    }
    return is_fine;
}

// The numbers that this kind takes, beside those that all reports have.
static bool add_shape(cJSON *json, const struct noise_config *config) {
    const int corners[] = {config->corners_low, config->corners_high};
    switch (config->kind) {
    case NOISE_BOUNDARY:
        return cJSON_AddNumberToObject(json, "outward", config->outward) != NULL;
    case NOISE_COARSE:
        return json_add(json, "corners", cJSON_CreateIntArray(corners, 2));
    case NOISE_MISSING:
    case NOISE_EXTRA:
    case NOISE_CONFUSE:
        return cJSON_AddNumberToObject(json, "object_fraction", config->object_fraction) != NULL;
    case NOISE_SHIFT:
        return cJSON_AddNumberToObject(json, "shift_fraction", config->shift_fraction) != NULL;
    default:
        return true;
    }
}

static adele_status write_report(const struct noise_set *set, const struct noise_config *config,
                                 const struct noise_report *report, const char *folder) {
    const int range[] = {config->iterations_low, config->iterations_high};
    OWNED_BY(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    OWNED char *path = file_join(folder, "noise.json");
    char seed[24]; // text, because a JSON number holds 53 bits
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)config->seed);
    TRY(CHECK_MEMORY(path));
    bool is_fine =
        json_add(json, "iterations", cJSON_CreateIntArray(range, 2)) &&
        cJSON_AddStringToObject(json, "kind", noise_kind_names[config->kind]) &&
        cJSON_AddRawToObject(json, "seed", seed) &&
        cJSON_AddNumberToObject(json, "flip_fraction", config->flip_fraction) &&
        add_shape(json, config) &&
        (config->target_miou > 0 ? cJSON_AddNumberToObject(json, "target_miou", config->target_miou)
                                 : cJSON_AddNullToObject(json, "target_miou")) &&
        cJSON_AddNumberToObject(json, "images", set->n) &&
        cJSON_AddNumberToObject(json, "strength", report->strength) &&
        cJSON_AddNumberToObject(json, "steps", report->n_steps) &&
        cJSON_AddNumberToObject(json, "miou_foreground", report->miou_foreground) &&
        add_iou(json, set->dataset, report);
    return json_write(path, is_fine ? json : NULL);
}

// Writes the noisy labels, after all checks.
static adele_status write_all(const struct noise_set *set, const struct noise_config *config,
                              const struct noise_report *report, const char *folder) {
    TRY(write_labels(set, folder));
    return write_report(set, config, report, folder);
}

static adele_status plan(const struct dataset *dataset, struct output *output) {
    TRY(output_guard_add_dataset(output_guard(output), dataset));
    TRY(output_add_labels(output, dataset, SPLIT_TRAIN));
    TRY(output_add(output, "noise.json"));
    return output_check(output);
}

adele_status noise_files_write(const struct dataset *dataset, const struct noise_config *config,
                               const char *folder, bool is_overwriting, struct noise_report *out,
                               int *n_images) {
    CLEANUP(set_deinit) struct noise_set set = {.dataset = dataset};
    OWNED_BY(output_destroy) struct output *output = NULL;
    TRY(output_create(folder, is_overwriting, &output));
    TRY(plan(dataset, output));
    for (int i = 0; i < dataset->n_cases[SPLIT_TRAIN]; i++)
        TRY(add_case(&set, i));
    TRY(require_foreground(&set));
    TRY(noise_apply(config, dataset->n_categories, set.n, set.images, out));
    output_sync_at_end(output);
    TRY(output_begin(output));
    *n_images = set.n;
    return output_end(output, write_all(&set, config, out, folder));
}
