// SPDX-License-Identifier: MIT
// Opening a data set: layout, categories, splits and files. Reads headers, no pixels.
#include "data/dataset.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/check_cases.h"
#include "data/check_groups.h"
#include "data/find_cases.h"
#include "data/folder_guess.h"
#include "data/label_lookup.h"
#include "data/orientation.h"
#include "data/picture_peek.h"

#include <string.h>

// ---- layouts ------------------------------------------------------------------------------------

// The layout whose folder (or file) exists; LAYOUT_AUTO when none does.
static enum dataset_layout recognize(const char *root) {
    for (enum dataset_layout layout = LAYOUT_AUTO + 1; layout < LAYOUT_COUNT; layout++)
        for (int i = 0; i < 2; i++) {
            const char *mark = layout_ops(layout)->marks[i];
            if (mark != NULL && file_exists_in(root, mark))
                return layout;
        }
    return LAYOUT_AUTO;
}

// "none of imagesTr, dataset.json, JPEGImages, ... is there".
static adele_status list_marks(struct buffer *out) {
    for (enum dataset_layout layout = LAYOUT_AUTO + 1; layout < LAYOUT_COUNT; layout++)
        for (int i = 0; i < 2; i++) {
            const char *mark = layout_ops(layout)->marks[i];
            if (mark != NULL)
                TRY(buffer_printf(out, "%s%s", out->n_bytes > 0 ? ", " : "", mark));
        }
    return ADELE_OK;
}

// Two folders of any names are only suggested, not opened: they do not define the classes.
static adele_status fail_unknown(const char *root) {
    struct folder_guess found;
    adele_status status = folder_guess(root, &found);
    if (status == ADELE_NO_MEMORY)
        return status;
    CLEANUP(buffer_deinit) struct buffer marks = {0};
    TRY(list_marks(&marks));
    if (status != ADELE_OK)
        return FAIL(ADELE_DATA,
                    "Lay the data out as nnU-Net raw (dataset.json, imagesTr, labelsTr), Pascal "
                    "VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation) or "
                    "MMSegmentation (img_dir, ann_dir); for two other folders of images and masks, "
                    "`adele init FOLDER -o own.yaml` writes a configuration.",
                    "%s: no known layout: none of %s is there", root, (const char *)marks.data);
    return FAIL(ADELE_DATA,
                "`adele init FOLDER -o own.yaml` finds the classes in the masks and writes a "
                "configuration; then `adele check --config own.yaml`.",
                "%s: images are in the folder %s and masks in %s, but nothing says what the "
                "classes are",
                root, found.image_folder, found.mask_folder);
}

static adele_status detect_layout(struct dataset *dataset) {
    const char *root = dataset->root;
    if (!file_is_directory(root))
        return FAIL(
            ADELE_IO,
            dataset->config.is_of_run
                ? "Check data.root; if the data of a run have moved, name their folder with --data."
                : "Check the path; if it is data.root and the data have moved, correct it in the "
                  "configuration, or train with --set data.root=DIR.",
            "%s: %s", root, file_exists(root) ? "not a folder" : "no such folder");
    // Only this layout has folders of any name.
    if (dataset->layout == LAYOUT_AUTO && dataset->config.image_folder != NULL)
        dataset->layout = LAYOUT_IMG_ANN;
    if (dataset->layout == LAYOUT_AUTO)
        dataset->layout = recognize(root);
    return dataset->layout == LAYOUT_AUTO ? fail_unknown(root) : ADELE_OK;
}

// ---- properties of the whole set ---------------------------------------------------------------

// A single RGB picture makes the set RGB, at whatever position among gray ones.
static void find_channels(struct dataset *dataset) {
    bool has_gray = false, is_given = dataset->n_channels != 0;
    if (dataset->is_volume || (is_given && dataset->n_channels != 3))
        return;
    for (int split = 0; split < SPLIT_COUNT && !dataset->has_rgb; split++) {
        for (int i = 0; i < dataset->n_cases[split] && !dataset->has_rgb; i++) {
            const struct dataset_case *item = &dataset->cases[split][i];
            struct image_traits peek = {0};
            if (item->image_path[0] != NULL && item->n_files == 1)
                picture_peek(item->image_path[0], &peek);
            dataset->has_rgb = peek.n_channels == 3;
            has_gray = has_gray || peek.n_channels == 1;
        }
    }
    if (!is_given)
        dataset->n_channels = has_gray && !dataset->has_rgb ? 1 : 3;
}

void dataset_set_channels(struct dataset *dataset, int n_channels) {
    bool is_known = dataset->n_channels == 1 || dataset->n_channels == 3;
    if (dataset->is_volume || !is_known || (n_channels != 1 && n_channels != 3))
        return;
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++)
            if (dataset->cases[split][i].n_files > 1)
                return;
    // nnU-Net's three channels may be modalities, which a gray picture cannot replace.
    if (n_channels == 3 && layout_ops(dataset->layout)->has_channel_files)
        return;
    dataset->n_channels = n_channels;
    dataset->has_rgb = n_channels == 3;
}

static void find_palette(struct dataset *dataset) {
    for (int split = 0; split < SPLIT_COUNT; split++) {
        for (int i = 0; i < dataset->n_cases[split]; i++) {
            const char *path = dataset_label_source(&dataset->cases[split][i], split);
            if (path == NULL)
                continue;
            struct image_traits peek;
            picture_peek(path, &peek);
            dataset->has_palette = peek.is_indexed;
            return;
        }
    }
}

// A case that is both trained on and validated on may be intended, so this is a warning.
static adele_status warn_of(const struct check_report *found) {
    OWNED struct check_group *groups = NULL;
    int n = 0;
    TRY(check_groups_make(found, &groups, &n));
    for (int i = 0; i < n; i++) {
        char text[4200];
        check_group_text(&groups[i], text, sizeof text);
        log_line(LOG_WARNING, "%s", text);
    }
    return ADELE_OK;
}

static adele_status report_empty(struct dataset_finder *finder) {
    const struct dataset *dataset = finder->dataset;
    const struct dataset_layout_ops *ops = layout_ops(dataset->layout);
    const char *folder = ops->image_folder(dataset, SPLIT_TRAIN);
    char description[FOLDER_CACHE_TEXT_BYTES];
    if (finder->empty_list[0] != '\0')
        return finder_report(finder, true, CHECK_EMPTY_SPLIT,
                             "Write the names of the training cases into it, one a line, or name "
                             "another list in data.split.",
                             "%s: the train split has no cases: this list is empty",
                             finder->empty_list);
    TRY(find_cases_describe_folder(dataset, folder, "", description));
    return finder_report(
        finder, true, CHECK_EMPTY_SPLIT,
        ops->has_channel_files
            ? "Check the folder of images, file_ending in dataset.json, and data.split."
            : "Check the folder of images, the list of the split and data.split.",
        "%s: the train split has no cases; images are expected in %s%s%s%s", dataset->root, folder,
        ops->has_channel_files ? " as NAME_0000" : "",
        ops->has_channel_files ? dataset->input_ending : "", description);
}

static adele_status check_splits(struct dataset_finder *finder) {
    const struct dataset *dataset = finder->dataset;
    if (dataset->n_cases[SPLIT_TRAIN] == 0)
        TRY(report_empty(finder));
    CLEANUP(check_report_deinit) struct check_report found = {0};
    TRY(check_names(dataset, &found));
    for (int i = 0; i < found.n_problems; i++) {
        const struct check_problem *problem = &found.problems[i];
        if (finder->report != NULL)
            TRY(check_report_add(finder->report, problem->kind, problem->is_error, problem->hint,
                                 "%s", problem->text));
        else if (problem->kind == CHECK_DUPLICATE_CASE)
            return FAIL(ADELE_DATA, problem->hint, "%s", problem->text);
    }
    return finder->report == NULL ? warn_of(&found) : ADELE_OK;
}

adele_status dataset_open_reported(const struct dataset_config *config, struct check_report *report,
                                   struct dataset **out) {
    struct dataset_finder finder = {.report = report};
    *out = NULL;
    TRY(dataset_create(config, &finder.dataset));
    OWNED_BY(dataset_close) struct dataset *dataset = finder.dataset;
    TRY(detect_layout(dataset));
    const struct dataset_layout_ops *ops = layout_ops(dataset->layout);
    TRY(ops->describe(&finder));
    TRY(label_lookup_build(dataset));
    for (int split = 0; split < SPLIT_COUNT; split++)
        TRY(find_cases(&finder, split));
    if (report != NULL && ops->orphans != NULL)
        TRY(ops->orphans(&finder));
    TRY(orientation_find(dataset, report));
    TRY(check_splits(&finder));
    find_channels(dataset);
    if (!dataset->is_volume)
        find_palette(dataset);
    *out = dataset;
    dataset = NULL;
    return ADELE_OK;
}

adele_status dataset_open(const struct dataset_config *config, struct dataset **out) {
    return dataset_open_reported(config, NULL, out);
}
