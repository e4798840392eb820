// SPDX-License-Identifier: MIT
#include "data/find_cases.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/name_list.h"
#include "image/nifti.h"

#include <string.h>

// FOLDER/NAME.ending, or the same under the layout's own folder of labels.
static adele_status find_label(const struct dataset *dataset, const char *folder,
                               enum dataset_split split, const struct dataset_case *item,
                               char **out) {
    const char *const own[] = {dataset->file_ending, NULL};
    const char *const *endings = dataset->is_volume ? own : finder_label_endings;
    OWNED char *name = memory_printf("%s%s", item->name, dataset_mask_suffix(dataset));
    TRY(CHECK_MEMORY(name));
    TRY(finder_any(dataset, folder, "", name, endings, out));
    if (*out == NULL)
        TRY(finder_any(dataset, folder, dataset_label_folder(dataset, split, item), name, endings,
                       out));
    return ADELE_OK;
}

// One error instead of one for each case.
static adele_status check_noisy_folder(struct dataset_finder *finder) {
    const char *folder = finder->dataset->config.noisy_labels;
    if (folder == NULL || file_is_directory(folder))
        return ADELE_OK;
    return finder_report(finder, true, CHECK_MISSING_PARTNER,
                         "Name the folder of the noisy labels, or leave data.noisy_labels empty.",
                         "%s: %s, but the noisy labels are expected there", folder,
                         file_exists(folder) ? "not a folder" : "no such folder");
}

static adele_status find_training_labels(struct dataset_finder *finder, struct dataset_case *item) {
    const struct dataset *dataset = finder->dataset;
    const struct dataset_config *config = &dataset->config;
    if (config->noisy_labels != NULL && file_is_directory(config->noisy_labels)) {
        TRY(find_label(dataset, config->noisy_labels, SPLIT_TRAIN, item, &item->noisy_path));
        if (item->noisy_path == NULL)
            TRY(finder_report(finder, true, CHECK_MISSING_PARTNER,
                              "Write the noisy labels of every training case, or leave "
                              "data.noisy_labels empty.",
                              "%s/%s%s: no noisy label for the training case", config->noisy_labels,
                              item->name, dataset->file_ending));
    }
    if (config->true_labels != NULL)
        return find_label(dataset, config->true_labels, SPLIT_TRAIN, item, &item->truth_path);
    if (item->noisy_path != NULL && item->label_path != NULL) {
        item->truth_path = memory_strdup(item->label_path);
        TRY(CHECK_MEMORY(item->truth_path));
    }
    return ADELE_OK;
}

// What lies in ROOT/SUB instead of NAME.
adele_status find_cases_describe_folder(const struct dataset *dataset, const char *sub,
                                        const char *name, char out[FOLDER_CACHE_TEXT_BYTES]) {
    OWNED char *folder = file_join(dataset->root, sub);
    TRY(CHECK_MEMORY(folder));
    folder_cache_describe(dataset, folder, name, out);
    return ADELE_OK;
}

// The first case of the split has no image: most likely this is another data set.
static bool has_found_none(const struct dataset *dataset, enum dataset_split split) {
    return dataset->cases[split][0].image_path[0] == NULL;
}

static adele_status check_partners(struct dataset_finder *finder, enum dataset_split split,
                                   const struct dataset_case *item) {
    const struct dataset *dataset = finder->dataset;
    char description[FOLDER_CACHE_TEXT_BYTES];
    if (item->image_path[0] == NULL) {
        const char *images = layout_ops(dataset->layout)->image_folder(dataset, split);
        TRY(find_cases_describe_folder(dataset, images, item->name, description));
        return finder_report(finder, true, CHECK_MISSING_PARTNER,
                             has_found_none(dataset, split)
                                 ? "Add the image, or take the case out of the split; or is this "
                                   "folder not the data set that the split was made for?"
                                 : "Add the image, or take the case out of the split.",
                             "%s: case %s of the %s split has no image in %s%s", dataset->root,
                             item->name, dataset_split_name(split), images, description);
    }
    if (split == SPLIT_TEST || dataset_label_source(item, split) != NULL)
        return ADELE_OK;
    const char *folder = dataset_label_folder(dataset, split, item);
    TRY(find_cases_describe_folder(dataset, folder, item->name, description));
    return finder_report(
        finder, true, CHECK_MISSING_PARTNER, "Add the mask, or take the case out of the split.",
        "%s/%s/%s%s%s: no mask for %s of the %s split%s", dataset->root, folder, item->name,
        dataset_mask_suffix(dataset),
        dataset->input_ending[0] != '\0' ? dataset->input_ending : dataset->file_ending,
        item->image_path[0], dataset_split_name(split), description);
}

static adele_status probe_volume(struct dataset_finder *finder, struct dataset_case *item) {
    adele_status status = nifti_probe_geometry(item->image_path[0], &item->geometry);
    // `adele check` reports unreadable files later, when it reads all files.
    return finder->report != NULL && status != ADELE_NO_MEMORY ? ADELE_OK : status;
}

// Lists of other programs contain file names: "im01.jpg" means the case im01, unless a case of that
// name exists.
static adele_status locate_without_ending(struct dataset_finder *finder, enum dataset_split split,
                                          const char *list, struct dataset_case *item) {
    bool is_picture, is_volume;
    size_t bytes = name_stem_bytes(item->name, &is_picture, &is_volume);
    char end = item->name[bytes];
    if (!is_picture && !is_volume)
        return ADELE_OK;
    item->name[bytes] = '\0';
    memory_free(item->label_path); // of the name with its ending
    item->label_path = NULL;
    TRY(layout_ops(finder->dataset->layout)->locate(finder, split, list, item));
    if (item->n_files == 0)
        item->name[bytes] = end;
    return ADELE_OK;
}

static adele_status add_cases(struct dataset_finder *finder, enum dataset_split split,
                              const char *list, const struct file_list *names) {
    for (int i = 0; i < names->n; i++) {
        struct dataset_case *item = NULL;
        TRY(finder_add_case(finder, split, names->names[i], &item));
        TRY(layout_ops(finder->dataset->layout)->locate(finder, split, list, item));
        if (item->n_files == 0)
            TRY(locate_without_ending(finder, split, list, item));
        if (split == SPLIT_TRAIN)
            TRY(find_training_labels(finder, item));
        TRY(check_partners(finder, split, item));
        if (finder->dataset->is_volume && item->image_path[0] != NULL)
            TRY(probe_volume(finder, item));
    }
    return ADELE_OK;
}

// Reads the names in a list file of the user: the path as given, or relative to the data set.
static adele_status read_list_file(struct dataset_finder *finder, enum dataset_split split,
                                   const char *path, struct file_list *out) {
    OWNED char *inside = NULL;
    if (!file_exists(path)) {
        inside = file_join(finder->dataset->root, path);
        TRY(CHECK_MEMORY(inside));
    }
    if (inside != NULL && file_exists(inside))
        path = inside;
    TRY(finder_read_list(finder, split, path, out));
    return name_list_check(out, path);
}

adele_status find_cases(struct dataset_finder *finder, enum dataset_split split) {
    const struct dataset *dataset = finder->dataset;
    const char *list = dataset->config.split[split];
    if (list != NULL && strcmp(list, "none") == 0)
        return ADELE_OK;
    CLEANUP(file_list_deinit) struct file_list names = {0};
    if (list != NULL && file_has_suffix(list, ".txt")) {
        TRY(read_list_file(finder, split, list, &names));
        list = NULL;
    } else {
        TRY(layout_ops(dataset->layout)->list(finder, split, list, &names));
    }
    if (split == SPLIT_TRAIN)
        TRY(check_noisy_folder(finder));
    return add_cases(finder, split, list, &names);
}
