// SPDX-License-Identifier: MIT
// nnU-Net raw: dataset.json, imagesTr/CASE_0000.png (one file a channel, or one RGB picture),
// labelsTr/CASE.png, the same with Ts for testing, splits_final.json for the folds. Both versions
// of dataset.json are read: labels as {"name": value} and as {"value": "name"}.
#include "data/layout.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/name_list.h"
#include "data/nnunet_json.h"

#include <stdlib.h>
#include <string.h>

// The length of a file's name without the ending; 0 when it has another ending.
static size_t stem_bytes(const struct dataset *dataset, const char *file) {
    size_t bytes = strlen(file), ending = strlen(dataset->input_ending);
    return bytes > ending && file_has_suffix(file, dataset->input_ending) ? bytes - ending : 0;
}

// The length of CASE in a file name "CASE_0000.png"; 0 when it is not a first channel.
static size_t case_bytes(const struct dataset *dataset, const char *file) {
    size_t bytes = stem_bytes(dataset, file), tail = strlen("_0000");
    if (dataset->has_plain_names)
        return bytes;
    return bytes > tail && strncmp(file + bytes - tail, "_0000", tail) == 0 ? bytes - tail : 0;
}

// Images of the Medical Decathlon as downloaded, and of some conversions, have no _0000. Each file
// has all channels then.
static adele_status find_plain_names(struct dataset *dataset) {
    static const char *const folders[] = {"imagesTr", "imagesTs"};
    int n_first = 0, n_other = 0;
    for (int i = 0; i < 2 && n_first + n_other == 0; i++) {
        struct file_list files = {0};
        adele_status status = finder_list(dataset, folders[i], &files);
        for (int k = 0; k < files.n; k++) {
            n_first += case_bytes(dataset, files.names[k]) > 0;
            n_other += stem_bytes(dataset, files.names[k]) > 0;
        }
        file_list_deinit(&files);
        TRY(status);
    }
    dataset->has_plain_names = n_first == 0 && n_other > 0;
    return ADELE_OK;
}

// nnU-Net's first version kept its splits in a pickle, which cannot be read without running code.
static adele_status check_old_splits(struct dataset_finder *finder) {
    const struct dataset *dataset = finder->dataset;
    OWNED char *old = NULL, *json = NULL;
    TRY(finder_file(dataset, dataset->root, "", "splits_final.pkl", "", &old));
    TRY(finder_file(dataset, dataset->root, "", "splits_final.json", "", &json));
    if (old != NULL && json == NULL)
        TRY(finder_report(finder, false, CHECK_READING,
                          "Write the splits as splits_final.json: with Python, json.dump([{k: "
                          "list(v) for k, v in s.items()} for s in pickle.load(...)], ...).",
                          "%s is not read, so all of imagesTr is used for training", old));
    return ADELE_OK;
}

static adele_status describe(struct dataset_finder *finder) {
    struct dataset *dataset = finder->dataset;
    char *path = NULL;
    TRY(finder_file(dataset, dataset->root, "", "dataset.json", "", &path));
    if (path == NULL)
        return FAIL(ADELE_IO,
                    "nnU-Net raw needs dataset.json with channel_names, labels and file_ending.",
                    "%s/dataset.json: no such file", dataset->root);
    cJSON *json = NULL;
    adele_status status = json_read(path, &json);
    if (status == ADELE_OK)
        status = nnunet_json_describe(dataset, path, json);
    cJSON_Delete(json);
    memory_free(path);
    TRY(status);
    TRY(find_plain_names(dataset));
    return check_old_splits(finder);
}

// ---- splits -------------------------------------------------------------------------------------

static adele_status list_folder(const struct dataset *dataset, const char *name,
                                struct file_list *out) {
    CLEANUP(file_list_deinit) struct file_list files = {0};
    TRY(finder_list(dataset, name, &files));
    for (int i = 0; i < files.n; i++) {
        size_t bytes = case_bytes(dataset, files.names[i]);
        if (bytes > 0)
            TRY(file_list_add(out, files.names[i], bytes));
    }
    return ADELE_OK;
}

// 3 for "fold3"; -1 for other names.
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
                        "%s: fold %d: the list \"%s\" contains something that is not a string",
                        path, fold, part);
        TRY(name_check(name->valuestring, path));
        TRY(file_list_add(out, name->valuestring, strlen(name->valuestring)));
    }
    return ADELE_OK;
}

static adele_status list_fold(const struct dataset *dataset, enum dataset_split split, int fold,
                              bool is_required, struct file_list *out) {
    OWNED char *path = NULL;
    TRY(finder_file(dataset, dataset->root, "", "splits_final.json", "", &path));
    if (path == NULL && is_required)
        return FAIL(ADELE_IO, "Add the file, or name the cases in text files.",
                    "%s/splits_final.json: no such file, but data.split.%s is fold%d",
                    dataset->root, dataset_split_name(split), fold);
    if (path == NULL)
        return split == SPLIT_TRAIN ? list_folder(dataset, "imagesTr", out) : ADELE_OK;
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    TRY(json_read(path, &json));
    return read_fold(path, json, fold, split == SPLIT_TRAIN ? "train" : "val", out);
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
                    "data.split.%s: \"%s\" is not a list of the nnU-Net layout",
                    dataset_split_name(split), list);
    return list_fold(dataset, split, fold, true, out);
}

// ---- files --------------------------------------------------------------------------------------

// "CASE_0002" for the third channel.
static char *image_name(const struct dataset *dataset, const char *name, int channel) {
    return dataset->has_plain_names ? memory_strdup(name) : memory_printf("%s_%04d", name, channel);
}

static adele_status locate_in(const struct dataset *dataset, const char *images, const char *labels,
                              struct dataset_case *item) {
    const char *const endings[] = {dataset->input_ending, NULL};
    int n_files = dataset->has_plain_names ? 1 : DATASET_MAX_FILES;
    for (int channel = 0; channel < n_files; channel++) {
        OWNED char *name = image_name(dataset, item->name, channel);
        TRY(CHECK_MEMORY(name));
        TRY(finder_any(dataset, dataset->root, images, name, endings, &item->image_path[channel]));
        if (item->image_path[channel] == NULL)
            break;
        item->n_files = channel + 1;
    }
    if (item->n_files == 0)
        return ADELE_OK;
    return finder_any(dataset, dataset->root, labels, item->name, endings, &item->label_path);
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
        TRY(finder_report(finder, true, CHECK_CHANNELS,
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
    const char *const endings[] = {dataset->input_ending, NULL};
    size_t bytes = stem_bytes(dataset, file);
    if (bytes == 0)
        return ADELE_OK;
    OWNED char *name = memory_printf("%.*s", (int)bytes, file), *path = NULL;
    OWNED char *image = name != NULL ? image_name(dataset, name, 0) : NULL;
    TRY(CHECK_MEMORY(image));
    TRY(finder_any(dataset, dataset->root, images, image, endings, &path));
    if (path == NULL)
        TRY(finder_report(finder, true, CHECK_MISSING_PARTNER, "Add the image, or remove the mask.",
                          "%s/%s/%s: a mask without the image %s/%s%s", dataset->root, labels, file,
                          images, image, dataset->input_ending));
    return ADELE_OK;
}

static adele_status check_image_case(struct dataset_finder *finder, const char *name) {
    const struct dataset *dataset = finder->dataset;
    char *path = NULL;
    const char *const endings[] = {dataset->input_ending, NULL};
    TRY(finder_any(dataset, dataset->root, "labelsTr", name, endings, &path));
    bool is_there = path != NULL;
    memory_free(path);
    for (int split = 0; split < SPLIT_COUNT && !is_there; split++)
        for (int i = 0; i < dataset->n_cases[split] && !is_there; i++)
            is_there = strcmp(dataset->cases[split][i].name, name) == 0; // reported with its split
    if (is_there)
        return ADELE_OK;
    return finder_report(finder, true, CHECK_MISSING_PARTNER, "Add the mask, or remove the image.",
                         "%s/imagesTr/%s%s%s: an image without the mask labelsTr/%s%s",
                         dataset->root, name, dataset->has_plain_names ? "" : "_0000",
                         dataset->input_ending, name, dataset->input_ending);
}

static bool is_listed_without_image(const struct dataset *dataset, const char *file) {
    size_t bytes = stem_bytes(dataset, file);
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
    for (int i = 0; i < 2; i++) {
        CLEANUP(file_list_deinit) struct file_list labels = {0};
        TRY(finder_list(dataset, folders[i][1], &labels));
        for (int k = 0; k < labels.n; k++)
            if (!is_listed_without_image(dataset, labels.names[k]))
                TRY(check_label_file(finder, folders[i][0], folders[i][1], labels.names[k]));
    }
    CLEANUP(file_list_deinit) struct file_list images = {0};
    TRY(list_folder(dataset, "imagesTr", &images));
    for (int i = 0; i < images.n; i++)
        TRY(check_image_case(finder, images.names[i]));
    return ADELE_OK;
}

static const char *image_folder(const struct dataset *dataset, enum dataset_split split) {
    (void)dataset;
    return split == SPLIT_TEST ? "imagesTs" : "imagesTr";
}

// A case of any split may be among the images for tests.
static const char *label_folder(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_case *item) {
    (void)dataset;
    (void)split;
    bool is_test = item->image_path[0] != NULL && strstr(item->image_path[0], "/imagesTs/") != NULL;
    return is_test ? "labelsTs" : "labelsTr";
}

const struct dataset_layout_ops layout_nnunet = {
    .marks = {"imagesTr", "dataset.json"},
    .folders = {"imagesTr", "imagesTr"},
    .parts = {"imagesTr", "labelsTr", "dataset.json", "imagesTs", "labelsTs"},
    .has_channel_files = true,
    .describe = describe,
    .list = list,
    .locate = locate,
    .orphans = orphans,
    .image_folder = image_folder,
    .label_folder = label_folder};
