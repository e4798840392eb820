// SPDX-License-Identifier: MIT
// Pascal VOC: JPEGImages/NAME.jpg, SegmentationClass/NAME.png (or SegmentationClassAug), lists in
// ImageSets/Segmentation. class_names.txt (or classes.txt) names the values of the label files, the
// first line value 0, whether that is a background or not. Without this file the names are VOC's
// own.
#include "data/layout.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "data/name_list.h"

#include <stdio.h>
#include <string.h>

#define LISTS "ImageSets/Segmentation"

static const char *const voc_names[] = {
    "background", "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",
    "car",        "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",
    "motorbike",  "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};

static adele_status describe(struct dataset_finder *finder) {
    static const char *const files[] = {"class_names.txt", "classes.txt"};
    struct dataset *dataset = finder->dataset;
    (void)snprintf(dataset->file_ending, sizeof dataset->file_ending, ".png");
    bool is_found = false;
    TRY(finder_read_names(dataset, files, &is_found));
    if (is_found)
        return ADELE_OK;
    // VOC itself has its boxes in a folder that sets of other people have no use for.
    if (dataset->map.n == 0 && !file_is_directory_in(dataset->root, "Annotations"))
        TRY(finder_report(finder, false, CHECK_READING,
                          "Write class_names.txt, the first line for value 0, or name the classes "
                          "in data.label_map.",
                          "%s: there is no class_names.txt, so classes have the names of Pascal "
                          "VOC: value 1 is %s",
                          dataset->root, voc_names[1]));
    return label_names_set(dataset, (int)(sizeof voc_names / sizeof voc_names[0]), voc_names);
}

static adele_status list(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out) {
    const struct dataset *dataset = finder->dataset;
    const char *name = list != NULL ? list : dataset_split_name(split);
    if (list != NULL)
        TRY(name_check(list, "data.split"));
    OWNED char *path = NULL;
    TRY(finder_file(dataset, dataset->root, LISTS, name, ".txt", &path));
    if (path == NULL && list == NULL && split == SPLIT_TRAIN) // one list, as CVAT writes it
        TRY(finder_file(dataset, dataset->root, LISTS, "default", ".txt", &path));
    if (path == NULL) {
        if (list == NULL && split != SPLIT_TRAIN)
            return ADELE_OK;
        return FAIL(ADELE_IO,
                    "Add the list of case names, name another in data.split, or let `adele init "
                    "FOLDER -o config.yaml` look at the folder.",
                    "%s/" LISTS "/%s.txt: no such file", dataset->root, name);
    }
    TRY(finder_read_list(finder, split, path, out));
    name_list_strip_paths(out, "JPEGImages", "SegmentationClass");
    return name_list_check(out, path);
}

static adele_status locate(struct dataset_finder *finder, enum dataset_split split,
                           const char *list_name, struct dataset_case *item) {
    static const char *const labels[] = {"SegmentationClass", "SegmentationClassAug"};
    const struct dataset *dataset = finder->dataset;
    (void)split;
    (void)list_name;
    TRY(finder_any(dataset, dataset->root, "JPEGImages", item->name, finder_image_endings,
                   &item->image_path[0]));
    item->n_files = item->image_path[0] != NULL;
    for (size_t i = 0; i < 2 && item->label_path == NULL; i++)
        TRY(finder_any(dataset, dataset->root, labels[i], item->name, finder_label_endings,
                       &item->label_path));
    return ADELE_OK;
}

static const char *image_folder(const struct dataset *dataset, enum dataset_split split) {
    (void)dataset;
    (void)split;
    return "JPEGImages";
}

static const char *label_folder(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_case *item) {
    (void)dataset;
    (void)split;
    (void)item;
    return "SegmentationClass";
}

// No search for orphans: VOC itself has thousands of pictures without label maps.
const struct dataset_layout_ops layout_voc = {
    .marks = {"JPEGImages", "ImageSets"},
    .folders = {"JPEGImages", LISTS},
    .parts = {"JPEGImages", "SegmentationClass", "SegmentationClassAug", "ImageSets", LISTS},
    .describe = describe,
    .list = list,
    .locate = locate,
    .image_folder = image_folder,
    .label_folder = label_folder};
