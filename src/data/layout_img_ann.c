// SPDX-License-Identifier: MIT
// MMSegmentation: img_dir/{train,val,test}/NAME.jpg with ann_dir/{train,val,test}/NAME.png, and
// every other pair of folders whose files have the same names (data.image_folder and
// data.mask_folder), with or without folders of the splits, and with folders in these (Cityscapes).
// The names of the categories (which MMSegmentation keeps in its Python configuration) are in
// classes.txt or class_names.txt; the first line names value 0.
#include "data/layout.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/name_list.h"
#include "data/nested_folder.h"

#include <stdio.h>
#include <string.h>

#define SPLIT_MARK "{split}"

// ---- the two folders ----------------------------------------------------------------------------

// The folder of images or masks of one split, relative to the root; "." is that without splits.
// NULL when memory is out; free with memory_free.
static char *folder_of(const struct dataset *dataset, bool is_mask, const char *split) {
    const char *name = is_mask ? dataset->config.mask_folder : dataset->config.image_folder;
    if (name == NULL)
        name = is_mask ? "ann_dir" : "img_dir";
    const char *mark = strstr(name, SPLIT_MARK);
    if (mark != NULL)
        return memory_printf("%.*s%s%s", (int)(mark - name), name, split,
                             mark + strlen(SPLIT_MARK));
    return strcmp(split, ".") == 0 ? memory_strdup(name) : memory_printf("%s/%s", name, split);
}

// A path inside the root, without ".." and with plain characters.
static adele_status check_folder(const char *key, const char *name) {
    bool is_inside = name == NULL || name[0] != '/';
    for (const char *part = name; part != NULL && is_inside;) {
        size_t n = strcspn(part, "/");
        is_inside = n > 0 && !(n == 2 && strncmp(part, "..", 2) == 0);
        part = part[n] == '/' && part[n + 1] != '\0' ? part + n + 1 : NULL;
    }
    if (!is_inside)
        return FAIL(ADELE_CONFIG, "Name a folder inside data.root, such as images.",
                    "%s: \"%.200s\" is not the path of a folder inside data.root", key, name);
    return ADELE_OK;
}

static adele_status find_folders(struct dataset *dataset) {
    bool has_splits = false;
    TRY(check_folder("data.image_folder", dataset->config.image_folder));
    TRY(check_folder("data.mask_folder", dataset->config.mask_folder));
    if (strchr(dataset_mask_suffix(dataset), '/') != NULL)
        return FAIL(ADELE_CONFIG, "Write the end of the names, such as _mask.",
                    "data.mask_suffix: \"%.200s\" is not the end of a file's name",
                    dataset_mask_suffix(dataset));
    for (int i = 0; i < SPLIT_COUNT; i++) {
        dataset->image_folders[i] = folder_of(dataset, false, dataset_split_name(i));
        dataset->label_folders[i] = folder_of(dataset, true, dataset_split_name(i));
        TRY(CHECK_MEMORY(dataset->image_folders[i]));
        TRY(CHECK_MEMORY(dataset->label_folders[i]));
        has_splits = has_splits || file_is_directory_in(dataset->root, dataset->image_folders[i]);
    }
    dataset->is_flat = !has_splits;
    for (int i = 0; i < SPLIT_COUNT && dataset->is_flat; i++) {
        memory_free(dataset->image_folders[i]);
        memory_free(dataset->label_folders[i]);
        dataset->image_folders[i] = folder_of(dataset, false, ".");
        dataset->label_folders[i] = folder_of(dataset, true, ".");
        TRY(CHECK_MEMORY(dataset->image_folders[i]));
        TRY(CHECK_MEMORY(dataset->label_folders[i]));
    }
    return ADELE_OK;
}

static adele_status describe(struct dataset_finder *finder) {
    static const char *const files[] = {"classes.txt", "class_names.txt"};
    struct dataset *dataset = finder->dataset;
    (void)snprintf(dataset->file_ending, sizeof dataset->file_ending, ".png");
    bool is_found = false;
    TRY(find_folders(dataset));
    TRY(finder_read_names(dataset, files, &is_found));
    if (is_found || dataset->map.n > 0)
        return ADELE_OK; // the map defines the categories
    return FAIL(ADELE_DATA,
                "Write the names of the classes, one a line in the order of their values; or "
                "let `adele init FOLDER -o config.yaml` write a configuration.",
                "%s/classes.txt: no such file (nor class_names.txt)", dataset->root);
}

// Adds the stems of the pictures in a folder. The folder must exist unless `is_missing_fine`.
static adele_status list_pictures(struct dataset_finder *finder, const char *sub,
                                  bool is_missing_fine, struct file_list *out) {
    const struct dataset *dataset = finder->dataset;
    OWNED char *name = folder_of(dataset, false, sub);
    OWNED char *folder = name != NULL ? file_join(dataset->root, name) : NULL;
    CLEANUP(file_list_deinit) struct file_list files = {0};
    TRY(CHECK_MEMORY(folder));
    if (file_is_directory(folder))
        TRY(file_list_directory(folder, &files));
    else if (!is_missing_fine)
        return FAIL(ADELE_IO, "Check data.split, or add the folder.", "%s: no such folder", folder);
    TRY(finder_report_unread(finder, folder, &files));
    TRY(name_list_add_pictures(&files, out));
    return out->n == 0 ? nested_folder_list(finder, name, out) : ADELE_OK;
}

static adele_status list(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out) {
    if (list != NULL)
        TRY(name_check(list, "data.split"));
    if (list == NULL && finder->dataset->is_flat)
        return split == SPLIT_TRAIN ? list_pictures(finder, ".", false, out) : ADELE_OK;
    return list_pictures(finder, list != NULL ? list : dataset_split_name(split),
                         list == NULL && split != SPLIT_TRAIN, out);
}

static adele_status locate_in(const struct dataset *dataset, const char *sub,
                              struct dataset_case *item) {
    OWNED char *images = folder_of(dataset, false, sub), *masks = folder_of(dataset, true, sub);
    OWNED char *name = memory_printf("%s%s", item->name, dataset_mask_suffix(dataset));
    TRY(CHECK_MEMORY(images != NULL && masks != NULL ? name : NULL));
    TRY(finder_any(dataset, dataset->root, images, item->name, finder_image_endings,
                   &item->image_path[0]));
    item->n_files = item->image_path[0] != NULL;
    return item->n_files > 0 ? finder_any(dataset, dataset->root, masks, name, finder_label_endings,
                                          &item->label_path)
                             : nested_folder_locate(dataset, images, masks, item);
}

// A case of a list file may be in any of the folders; that of its own split comes first.
static adele_status locate(struct dataset_finder *finder, enum dataset_split split,
                           const char *list_name, struct dataset_case *item) {
    const char *subs[] = {list_name != NULL ? list_name : dataset_split_name(split), "train", "val",
                          "test", "."};
    size_t first = finder->dataset->is_flat && list_name == NULL ? 4 : 0;
    for (size_t i = first; i < sizeof subs / sizeof subs[0] && item->n_files == 0; i++)
        TRY(locate_in(finder->dataset, subs[i], item));
    return ADELE_OK;
}

// ---- masks without an image, images without a mask ----------------------------------------------

static adele_status report_lone_mask(struct dataset_finder *finder, int split, const char *file) {
    struct dataset *dataset = finder->dataset;
    if (dataset->n_lone_masks++ == 0) {
        dataset->first_lone_mask = memory_strdup(file);
        TRY(CHECK_MEMORY(dataset->first_lone_mask));
    }
    return finder_report(finder, true, CHECK_MISSING_PARTNER, "Add the image, or remove the mask.",
                         "%s/%s/%s: a mask without an image in %s", dataset->root,
                         dataset->label_folders[split], file, dataset->image_folders[split]);
}

static adele_status check_mask(struct dataset_finder *finder, int split, const char *file) {
    const struct dataset *dataset = finder->dataset;
    CLEANUP(dataset_case_deinit) struct dataset_case item = {0};
    bool is_picture, is_volume;
    const char *suffix = dataset_mask_suffix(dataset);
    size_t bytes = name_stem_bytes(file, &is_picture, &is_volume), n = strlen(suffix);
    if (!is_picture || bytes <= n || strncmp(file + bytes - n, suffix, n) != 0)
        return ADELE_OK;
    item.name = memory_printf("%.*s", (int)(bytes - n), file);
    TRY(CHECK_MEMORY(item.name));
    TRY(locate_in(dataset, dataset->is_flat ? "." : dataset_split_name(split), &item));
    return item.n_files == 0 ? report_lone_mask(finder, split, file) : ADELE_OK;
}

static bool is_case(const struct dataset *dataset, const char *name) {
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++)
            if (strcmp(dataset->cases[split][i].name, name) == 0)
                return true;
    return false;
}

// In one folder with the images, a_mask.png is no image.
static bool is_mask(const struct dataset *dataset, int split, const char *name) {
    const char *suffix = dataset_mask_suffix(dataset);
    size_t bytes = strlen(name), n = strlen(suffix);
    return n > 0 && bytes > n && strcmp(name + bytes - n, suffix) == 0 &&
           strcmp(dataset->image_folders[split], dataset->label_folders[split]) == 0;
}

static adele_status has_mask(const struct dataset *dataset, int split, const char *name,
                             bool *out) {
    OWNED char *path = NULL, *mask = memory_printf("%s%s", name, dataset_mask_suffix(dataset));
    TRY(CHECK_MEMORY(mask));
    TRY(finder_any(dataset, dataset->root, dataset->label_folders[split], mask,
                   finder_label_endings, &path));
    *out = path != NULL;
    return ADELE_OK;
}

// Images that the lists of cases leave out because they have no mask: one line for all, since the
// lists of `adele init` leave them out on purpose.
static adele_status check_images(struct dataset_finder *finder, int split) {
    const struct dataset *dataset = finder->dataset;
    CLEANUP(file_list_deinit) struct file_list files = {0};
    const char *first = NULL;
    int n_images = 0, n_without = 0;
    TRY(finder_list(dataset, dataset->image_folders[split], &files));
    for (int i = 0; i < files.n; i++) {
        bool is_picture, is_volume, is_complete = false;
        char *name = files.names[i];
        name[name_stem_bytes(name, &is_picture, &is_volume)] = '\0';
        if (!is_picture || is_mask(dataset, split, name))
            continue;
        n_images++;
        TRY(has_mask(dataset, split, name, &is_complete));
        if (!is_complete && !is_case(dataset, name))
            first = n_without++ == 0 ? name : first;
    }
    if (n_without > 0)
        TRY(finder_report(
            finder, false, CHECK_MISSING_PARTNER,
            "Training goes on without these images, as no split names them. Add the masks and run "
            "`adele init` again, or remove the images.",
            "%s/%s: %d of %d images %s no mask in %s and %s in no split (first: %s)", dataset->root,
            dataset->image_folders[split], n_without, n_images, n_without == 1 ? "has" : "have",
            dataset->label_folders[split], n_without == 1 ? "is" : "are", first));
    return ADELE_OK;
}

static adele_status orphans(struct dataset_finder *finder) {
    const struct dataset *dataset = finder->dataset;
    // Images for prediction have no masks.
    for (int split = 0; split < (dataset->is_flat ? 1 : SPLIT_TEST); split++)
        TRY(check_images(finder, split));
    for (int split = 0; split < (dataset->is_flat ? 1 : SPLIT_COUNT); split++) {
        CLEANUP(file_list_deinit) struct file_list files = {0};
        TRY(finder_list(dataset, dataset->label_folders[split], &files));
        for (int i = 0; i < files.n; i++)
            TRY(check_mask(finder, split, files.names[i]));
    }
    return ADELE_OK;
}

static const char *image_folder(const struct dataset *dataset, enum dataset_split split) {
    return dataset->image_folders[split];
}

static const char *label_folder(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_case *item) {
    (void)item;
    return dataset->label_folders[split];
}

const struct dataset_layout_ops layout_img_ann = {
    .marks = {"img_dir"},
    .folders = {"img_dir", "ann_dir"},
    .parts = {"img_dir", "ann_dir", "img_dir/train", "img_dir/val", "img_dir/test", "ann_dir/train",
              "ann_dir/val", "ann_dir/test"},
    .has_mask_suffix = true,
    .describe = describe,
    .list = list,
    .locate = locate,
    .orphans = orphans,
    .image_folder = image_folder,
    .label_folder = label_folder};
