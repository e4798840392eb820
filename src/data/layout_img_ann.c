// SPDX-License-Identifier: MIT
// MMSegmentation: img_dir/{train,val,test}/NAME.jpg with ann_dir/{train,val,test}/NAME.png. The
// names of the categories (which MMSegmentation keeps in its Python configuration) are in
// classes.txt or class_names.txt; the first line names value 0.
#include "data/layout.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "data/name_list.h"

#include <stdio.h>
#include <string.h>

static adele_status describe(struct dataset_finder *finder) {
    static const char *const files[] = {"classes.txt", "class_names.txt"};
    struct dataset *dataset = finder->dataset;
    (void)snprintf(dataset->file_ending, sizeof dataset->file_ending, ".png");
    bool is_found = false;
    TRY(finder_read_names(dataset, files, &is_found));
    if (is_found || dataset->map.n > 0)
        return ADELE_OK; // the map defines the categories
    return FAIL(ADELE_DATA,
                "Write the names of the categories, one a line in the order of their values.",
                "%s/classes.txt: no such file (nor class_names.txt)", dataset->root);
}

// Adds the stems of the pictures in a folder. The folder must exist unless `is_missing_fine`.
static adele_status list_pictures(struct dataset_finder *finder, const char *name,
                                  bool is_missing_fine, struct file_list *out) {
    const struct dataset *dataset = finder->dataset;
    char *folder = memory_printf("%s/img_dir/%s", dataset->root, name);
    TRY(CHECK_MEMORY(folder));
    adele_status status = ADELE_OK;
    struct file_list files = {0};
    if (file_is_directory(folder))
        status = file_list_directory(folder, &files);
    else if (!is_missing_fine)
        status =
            FAIL(ADELE_IO, "Check data.split, or add the folder.", "%s: no such folder", folder);
    if (status == ADELE_OK)
        status = finder_report_unread(finder, folder, &files);
    for (int i = 0; i < files.n && status == ADELE_OK; i++) {
        bool is_picture, is_volume;
        size_t bytes = name_stem_bytes(files.names[i], &is_picture, &is_volume);
        if (is_picture)
            status = file_list_add(out, files.names[i], bytes);
    }
    file_list_deinit(&files);
    memory_free(folder);
    return status;
}

static adele_status list(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out) {
    if (list != NULL)
        TRY(name_check(list, "data.split"));
    return list_pictures(finder, list != NULL ? list : dataset_split_name(split),
                         list == NULL && split != SPLIT_TRAIN, out);
}

static adele_status locate_in(const struct dataset *dataset, const char *sub,
                              struct dataset_case *item) {
    char folder[512];
    (void)snprintf(folder, sizeof folder, "img_dir/%s", sub);
    TRY(finder_any(dataset, dataset->root, folder, item->name, finder_image_endings,
                   &item->image_path[0]));
    item->n_files = item->image_path[0] != NULL;
    if (item->n_files == 0)
        return ADELE_OK;
    (void)snprintf(folder, sizeof folder, "ann_dir/%s", sub);
    return finder_any(dataset, dataset->root, folder, item->name, finder_label_endings,
                      &item->label_path);
}

// A case of a list file may be in any of the folders; that of its own split comes first.
static adele_status locate(struct dataset_finder *finder, enum dataset_split split,
                           const char *list_name, struct dataset_case *item) {
    const char *subs[] = {list_name != NULL ? list_name : dataset_split_name(split), "train", "val",
                          "test", "."};
    for (size_t i = 0; i < sizeof subs / sizeof subs[0] && item->n_files == 0; i++)
        TRY(locate_in(finder->dataset, subs[i], item));
    return ADELE_OK;
}

static adele_status orphans(struct dataset_finder *finder) {
    const struct dataset *dataset = finder->dataset;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        char *folder = memory_printf("%s/ann_dir/%s", dataset->root, dataset_split_name(split));
        TRY(CHECK_MEMORY(folder));
        struct file_list files = {0};
        adele_status status = ADELE_OK;
        if (file_is_directory(folder))
            status = file_list_directory(folder, &files);
        for (int i = 0; i < files.n && status == ADELE_OK; i++) {
            struct dataset_case item = {0};
            bool is_picture, is_volume;
            size_t bytes = name_stem_bytes(files.names[i], &is_picture, &is_volume);
            if (!is_picture)
                continue;
            item.name = memory_strdup(files.names[i]);
            status = CHECK_MEMORY(item.name);
            if (status != ADELE_OK)
                break;
            item.name[bytes] = '\0';
            status = locate_in(dataset, dataset_split_name(split), &item);
            if (status == ADELE_OK && item.n_files == 0)
                status = finder_report(finder, true, CHECK_MISSING_PARTNER,
                                       "Add the image, or remove the label map.",
                                       "%s/%s: a label map without an image in img_dir/%s", folder,
                                       files.names[i], dataset_split_name(split));
            dataset_case_deinit(&item);
        }
        file_list_deinit(&files);
        memory_free(folder);
        TRY(status);
    }
    return ADELE_OK;
}

const struct dataset_layout_ops layout_img_ann = {
    .describe = describe, .list = list, .locate = locate, .orphans = orphans};
