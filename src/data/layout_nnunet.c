// SPDX-License-Identifier: MIT
// nnU-Net raw: dataset.json, imagesTr/CASE_0000.png (one file a channel, or one RGB picture),
// labelsTr/CASE.png, the same with Ts for testing, splits_final.json for the folds. Both versions
// of dataset.json are read: labels as {"name": value} and as {"value": "name"}.
#include "data/finder.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- dataset.json -------------------------------------------------------------------------------

static adele_status bad_label(const char *path, const char *name) {
    return FAIL(ADELE_DATA,
                "Give each label one whole number, from 0 (background) on; regions of several "
                "labels can be merged with data.label_map.",
                "%s: labels: \"%s\" has no value from 0 to %d", path, name, LABEL_MAX_VALUE);
}

// Ids beyond the table of names are known to a label_map alone, which names them too.
static adele_status check_large_label(const struct dataset *dataset, const char *path,
                                      const char *name, int value) {
    if (dataset->map.n > 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA, "Number the labels 0, 1, 2, ... or set data.label_map.",
                "%s: labels: \"%s\" has the value %d, the largest without a label_map is %d", path,
                name, value, LABEL_MAX_VALUE);
}

// One label as (name, value), whichever way round the file has it.
static adele_status read_label(const char *path, const cJSON *item, const char **name, int *value) {
    double number = -1.0;
    if (cJSON_IsString(item)) {
        char *end = NULL;
        number = strtod(item->string, &end);
        if (end == item->string || *end != '\0')
            number = -1.0;
        *name = item->valuestring;
    } else {
        if (cJSON_IsNumber(item))
            number = item->valuedouble;
        *name = item->string;
    }
    if (!(number >= 0.0 && number < LABEL_LARGEST) || number != (double)(int)number)
        return bad_label(path, *name);
    *value = (int)number;
    return ADELE_OK;
}

static adele_status place_label(struct dataset *dataset, const char *path, const char *name,
                                int value, const char **names, int *n) {
    if (strcmp(name, "ignore") == 0) {
        dataset->ignore_value = value;
        return ADELE_OK;
    }
    if (names[value] != NULL)
        return FAIL(ADELE_DATA, "Give each label its own value.",
                    "%s: labels: \"%s\" and \"%s\" both have the value %d", path, names[value],
                    name, value);
    names[value] = name;
    if (value >= *n)
        *n = value + 1;
    return ADELE_OK;
}

static adele_status highest_label(const struct dataset *dataset, const char *path,
                                  const cJSON *labels, int *out) {
    const cJSON *item;
    *out = 0;
    cJSON_ArrayForEach(item, labels) {
        const char *name = NULL;
        int value = 0;
        TRY(read_label(path, item, &name, &value));
        if (value > LABEL_MAX_VALUE)
            TRY(check_large_label(dataset, path, name, value));
        else
            *out = value > *out ? value : *out;
    }
    return ADELE_OK;
}

static adele_status read_labels(struct dataset *dataset, const char *path, const cJSON *labels) {
    int highest = 0;
    TRY(highest_label(dataset, path, labels, &highest));
    const char **names = memory_calloc((size_t)highest + 1, sizeof *names);
    if (names == NULL)
        return FAIL_NO_MEMORY(((size_t)highest + 1) * sizeof *names);
    adele_status status = ADELE_OK;
    int n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, labels) {
        const char *name = NULL;
        int value = 0;
        TRY_GOTO(read_label(path, item, &name, &value), done);
        if (value <= LABEL_MAX_VALUE)
            TRY_GOTO(place_label(dataset, path, name, value, names, &n), done);
    }
    for (int value = 0; value < n; value++) {
        // Gaps are what atlases have; a label_map closes them.
        if (names[value] == NULL && dataset->map.n > 0)
            names[value] = "unnamed";
        if (names[value] == NULL) {
            status = FAIL(ADELE_DATA, "Number the labels 0, 1, 2, ... or set data.label_map.",
                          "%s: labels: no label has the value %d", path, value);
            goto done;
        }
    }
    status = label_names_set(dataset, n, names);
done:
    memory_free(names);
    return status;
}

static adele_status read_ending(struct dataset *dataset, const char *path, const cJSON *json) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "file_ending");
    const char *ending = cJSON_IsString(item) ? item->valuestring : ".nii.gz";
    dataset->is_volume = strcmp(ending, ".nii.gz") == 0 || strcmp(ending, ".nii") == 0;
    if (!dataset->is_volume && strcmp(ending, ".png") != 0)
        return FAIL(ADELE_UNSUPPORTED, "Convert the files to PNG or NIfTI.",
                    "%s: file_ending \"%.32s\" is none of .png, .nii, .nii.gz", path, ending);
    (void)snprintf(dataset->file_ending, sizeof dataset->file_ending, "%s", ending);
    return ADELE_OK;
}

static adele_status describe_json(struct dataset *dataset, const char *path, const cJSON *json) {
    const cJSON *channels = cJSON_GetObjectItemCaseSensitive(json, "channel_names");
    if (channels == NULL)
        channels = cJSON_GetObjectItemCaseSensitive(json, "modality");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "labels");
    int n_channels = cJSON_GetArraySize(channels);
    if (!cJSON_IsObject(channels) || n_channels < 1 || n_channels > DATASET_MAX_FILES)
        return FAIL(ADELE_DATA, "Write \"channel_names\": {\"0\": \"CT\"}, one entry a channel.",
                    "%s: channel_names has %d entries; between 1 and %d are needed", path,
                    n_channels, DATASET_MAX_FILES);
    if (!cJSON_IsObject(labels))
        return FAIL(ADELE_DATA, "Write \"labels\": {\"background\": 0, \"heart\": 1}.",
                    "%s: no object \"labels\"", path);
    dataset->n_channels = n_channels;
    TRY(read_ending(dataset, path, json));
    return read_labels(dataset, path, labels);
}

static adele_status describe(struct dataset_finder *finder) {
    struct dataset *dataset = finder->dataset;
    char *path = NULL;
    TRY(finder_file(dataset->root, "", "dataset.json", "", &path));
    if (path == NULL)
        return FAIL(ADELE_IO,
                    "nnU-Net raw needs dataset.json with channel_names, labels and file_ending.",
                    "%s/dataset.json: no such file", dataset->root);
    cJSON *json = NULL;
    adele_status status = json_read(path, &json);
    if (status == ADELE_OK)
        status = describe_json(dataset, path, json);
    cJSON_Delete(json);
    memory_free(path);
    return status;
}

// ---- splits -------------------------------------------------------------------------------------

// The case of a file "CASE_0000.png": how many bytes of it; 0 when it is not a first channel.
static size_t case_bytes(const struct dataset *dataset, const char *file) {
    size_t bytes = strlen(file), tail = strlen("_0000") + strlen(dataset->file_ending);
    if (bytes <= tail ||
        strcmp(file + bytes - strlen(dataset->file_ending), dataset->file_ending) != 0)
        return 0;
    return strncmp(file + bytes - tail, "_0000", 5) == 0 ? bytes - tail : 0;
}

static adele_status list_folder(const struct dataset *dataset, const char *name,
                                struct file_list *out) {
    char *folder = file_join(dataset->root, name);
    if (folder == NULL)
        return FAIL_NO_MEMORY(strlen(dataset->root) + strlen(name) + 2);
    struct file_list files = {0};
    adele_status status = ADELE_OK;
    if (file_is_directory(folder))
        status = file_list_directory(folder, &files);
    for (int i = 0; i < files.n && status == ADELE_OK; i++) {
        size_t bytes = case_bytes(dataset, files.names[i]);
        if (bytes > 0)
            status = name_list_add(out, files.names[i], bytes);
    }
    file_list_deinit(&files);
    memory_free(folder);
    return status;
}

// "fold3" -> 3; -1 for other names.
static int fold_number(const char *list) {
    if (list == NULL || strncmp(list, "fold", 4) != 0 || list[4] < '0' || list[4] > '9')
        return -1;
    char *end = NULL;
    long fold = strtol(list + 4, &end, 10);
    return *end == '\0' && fold < 10000 ? (int)fold : -1;
}

static adele_status read_fold(const char *path, const cJSON *folds, int fold, const char *part,
                              struct file_list *out) {
    const cJSON *item = cJSON_IsArray(folds) ? cJSON_GetArrayItem(folds, fold) : NULL;
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(item, part);
    if (!cJSON_IsArray(names))
        return FAIL(ADELE_DATA, "The file is a list of folds, each with the lists train and val.",
                    "%s: fold %d has no list \"%s\" (the file has %d folds)", path, fold, part,
                    cJSON_GetArraySize(folds));
    const cJSON *name;
    cJSON_ArrayForEach(name, names) {
        if (!cJSON_IsString(name))
            return FAIL(ADELE_DATA, "Write case names as texts.",
                        "%s: fold %d: the list \"%s\" holds something that is no text", path, fold,
                        part);
        TRY(name_check(name->valuestring, path));
        TRY(name_list_add(out, name->valuestring, strlen(name->valuestring)));
    }
    return ADELE_OK;
}

static adele_status list_fold(const struct dataset *dataset, enum dataset_split split, int fold,
                              bool is_required, struct file_list *out) {
    char *path = NULL;
    TRY(finder_file(dataset->root, "", "splits_final.json", "", &path));
    if (path == NULL && is_required)
        return FAIL(ADELE_IO, "Add the file, or name the cases in text files.",
                    "%s/splits_final.json: no such file, but data.split.%s is fold%d",
                    dataset->root, dataset_split_name(split), fold);
    if (path == NULL)
        return split == SPLIT_TRAIN ? list_folder(dataset, "imagesTr", out) : ADELE_OK;
    cJSON *json = NULL;
    adele_status status = json_read(path, &json);
    if (status == ADELE_OK)
        status = read_fold(path, json, fold, split == SPLIT_TRAIN ? "train" : "val", out);
    cJSON_Delete(json);
    memory_free(path);
    return status;
}

static adele_status list(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out) {
    const struct dataset *dataset = finder->dataset;
    if (list == NULL && split == SPLIT_TEST)
        return list_folder(dataset, "imagesTs", out);
    if (list == NULL) {
        // The other part of the same fold, so that training on fold 1 never validates on fold 0.
        int other = split == SPLIT_TRAIN ? SPLIT_VAL : SPLIT_TRAIN;
        int fold = fold_number(dataset->config.split[other]);
        return list_fold(dataset, split, fold >= 0 ? fold : 0, fold >= 0, out);
    }
    if (strcmp(list, "imagesTr") == 0 || strcmp(list, "imagesTs") == 0)
        return list_folder(dataset, list, out);
    int fold = fold_number(list);
    if (fold < 0)
        return FAIL(ADELE_CONFIG,
                    "Use foldN, imagesTr, imagesTs, none, or a file of case names "
                    "that ends in .txt.",
                    "data.split.%s: \"%s\" is no list of the nnU-Net layout",
                    dataset_split_name(split), list);
    return list_fold(dataset, split, fold, true, out);
}

// ---- files --------------------------------------------------------------------------------------

static adele_status locate_in(const struct dataset *dataset, const char *images, const char *labels,
                              struct dataset_case *item) {
    for (int channel = 0; channel < DATASET_MAX_FILES; channel++) {
        char suffix[32];
        (void)snprintf(suffix, sizeof suffix, "_%04d%s", channel, dataset->file_ending);
        TRY(finder_file(dataset->root, images, item->name, suffix, &item->image_path[channel]));
        if (item->image_path[channel] == NULL)
            break;
        item->n_files = channel + 1;
    }
    if (item->n_files == 0)
        return ADELE_OK;
    return finder_file(dataset->root, labels, item->name, dataset->file_ending, &item->label_path);
}

static adele_status locate(struct dataset_finder *finder, enum dataset_split split,
                           const char *list_name, struct dataset_case *item) {
    const struct dataset *dataset = finder->dataset;
    bool is_test_first =
        split == SPLIT_TEST || (list_name != NULL && strcmp(list_name, "imagesTs") == 0);
    for (int turn = 0; turn < 2 && item->n_files == 0; turn++) {
        if (is_test_first == (turn == 0))
            TRY(locate_in(dataset, "imagesTs", "labelsTs", item));
        else
            TRY(locate_in(dataset, "imagesTr", "labelsTr", item));
    }
    // One file may hold all channels (RGB); the loader counts them.
    if (item->n_files > 1 && item->n_files != dataset->n_channels)
        TRY(finder_problem(finder, CHECK_CHANNELS,
                           "Give every case one file a channel, _0000, _0001, ..., as many as "
                           "dataset.json names.",
                           "%s: %d channel files, but dataset.json names %d channels",
                           item->image_path[0], item->n_files, dataset->n_channels));
    return ADELE_OK;
}

// ---- files without a partner --------------------------------------------------------------------

static adele_status check_label_file(struct dataset_finder *finder, const char *images,
                                     const char *labels, const char *file) {
    const struct dataset *dataset = finder->dataset;
    size_t bytes = strlen(file), ending = strlen(dataset->file_ending);
    if (bytes <= ending || strcmp(file + bytes - ending, dataset->file_ending) != 0)
        return ADELE_OK;
    char *name = memory_calloc(bytes, 1), *path = NULL;
    if (name == NULL)
        return FAIL_NO_MEMORY(bytes);
    memcpy(name, file, bytes - ending);
    char suffix[32];
    (void)snprintf(suffix, sizeof suffix, "_0000%s", dataset->file_ending);
    adele_status status = finder_file(dataset->root, images, name, suffix, &path);
    if (status == ADELE_OK && path == NULL)
        status =
            finder_problem(finder, CHECK_MISSING_PARTNER, "Add the image, or remove the label map.",
                           "%s/%s/%s: a label map without the image %s/%s%s", dataset->root, labels,
                           file, images, name, suffix);
    memory_free(path);
    memory_free(name);
    return status;
}

static adele_status check_image_case(struct dataset_finder *finder, const char *name) {
    const struct dataset *dataset = finder->dataset;
    char *path = NULL;
    TRY(finder_file(dataset->root, "labelsTr", name, dataset->file_ending, &path));
    bool is_there = path != NULL;
    memory_free(path);
    for (int split = 0; split < SPLIT_COUNT && !is_there; split++)
        for (int i = 0; i < dataset->n_cases[split] && !is_there; i++)
            is_there = strcmp(dataset->cases[split][i].name, name) == 0; // reported there
    if (is_there)
        return ADELE_OK;
    return finder_problem(finder, CHECK_MISSING_PARTNER, "Add the label map, or remove the image.",
                          "%s/imagesTr/%s_0000%s: an image without the label map labelsTr/%s%s",
                          dataset->root, name, dataset->file_ending, name, dataset->file_ending);
}

static bool is_listed_without_image(const struct dataset *dataset, const char *file) {
    size_t bytes = strlen(file) - strlen(dataset->file_ending);
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++) {
            const char *name = dataset->cases[split][i].name;
            if (strlen(name) == bytes && strncmp(name, file, bytes) == 0)
                return dataset->cases[split][i].n_files == 0;
        }
    return false;
}

static adele_status orphans(struct dataset_finder *finder) {
    static const char *const folders[2][2] = {{"imagesTr", "labelsTr"}, {"imagesTs", "labelsTs"}};
    const struct dataset *dataset = finder->dataset;
    adele_status status = ADELE_OK;
    struct file_list files = {0};
    for (int i = 0; i < 2 && status == ADELE_OK; i++) {
        char *folder = file_join(dataset->root, folders[i][1]);
        if (folder == NULL)
            return FAIL_NO_MEMORY(strlen(dataset->root) + 16);
        if (file_is_directory(folder))
            status = file_list_directory(folder, &files);
        for (int k = 0; k < files.n && status == ADELE_OK; k++)
            if (!is_listed_without_image(dataset, files.names[k]))
                status = check_label_file(finder, folders[i][0], folders[i][1], files.names[k]);
        file_list_deinit(&files);
        memory_free(folder);
    }
    TRY(status);
    status = list_folder(dataset, "imagesTr", &files);
    for (int i = 0; i < files.n && status == ADELE_OK; i++)
        status = check_image_case(finder, files.names[i]);
    file_list_deinit(&files);
    return status;
}

const struct dataset_layout_ops layout_nnunet = {
    .describe = describe, .list = list, .locate = locate, .orphans = orphans};
