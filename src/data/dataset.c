// SPDX-License-Identifier: MIT
// Opening a data set: layout, categories, splits and files. Reads headers, no pixels.
#include "data/dataset.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/check_groups.h"
#include "data/check_report.h"
#include "data/finder.h"
#include "data/folder_look.h"
#include "data/label_lookup.h"
#include "data/orientation.h"
#include "data/palette_watch.h"
#include "image/nifti.h"

#include <string.h>

const char *dataset_layout_name(enum dataset_layout layout) {
    static const char *const names[] = {"auto", "nnunet", "voc", "img_ann"};
    return (unsigned)layout < 4 ? names[layout] : "unknown";
}

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

// ---- layouts ------------------------------------------------------------------------------------

static const struct dataset_layout_ops *layout_ops(enum dataset_layout layout) {
    return layout == LAYOUT_NNUNET ? &layout_nnunet
           : layout == LAYOUT_VOC  ? &layout_voc
                                   : &layout_img_ann;
}

// The layout whose folder (or file) is there; LAYOUT_AUTO when none is.
static adele_status recognize(const char *root, enum dataset_layout *out) {
    static const struct {
        const char *name;
        enum dataset_layout layout;
    } marks[] = {{"imagesTr", LAYOUT_NNUNET},
                 {"dataset.json", LAYOUT_NNUNET},
                 {"JPEGImages", LAYOUT_VOC},
                 {"ImageSets", LAYOUT_VOC},
                 {"img_dir", LAYOUT_IMG_ANN}};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0] && *out == LAYOUT_AUTO; i++) {
        char *path = file_join(root, marks[i].name);
        if (path == NULL)
            return FAIL_NO_MEMORY(strlen(root) + 16);
        if (file_exists(path))
            *out = marks[i].layout;
        memory_free(path);
    }
    return ADELE_OK;
}

static adele_status detect_layout(struct dataset *dataset) {
    const char *root = dataset->root;
    if (!file_is_directory(root))
        return FAIL(
            ADELE_IO,
            "Check data.root; if the data of a run have moved, name their folder with --data.",
            "%s: %s", root, file_exists(root) ? "not a folder" : "no such folder");
    if (dataset->layout == LAYOUT_AUTO)
        TRY(recognize(root, &dataset->layout));
    if (dataset->layout == LAYOUT_AUTO)
        return FAIL(ADELE_DATA,
                    "Lay the data out as nnU-Net raw (dataset.json, imagesTr, labelsTr), Pascal "
                    "VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation) or "
                    "MMSegmentation (img_dir, ann_dir).",
                    "%s: no known layout: none of imagesTr, JPEGImages, img_dir is there", root);
    return ADELE_OK;
}

const char *dataset_label_folder(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_case *item) {
    static const char *const ann[] = {"ann_dir/train", "ann_dir/val", "ann_dir/test"};
    if (dataset->layout == LAYOUT_VOC)
        return "SegmentationClass";
    if (dataset->layout == LAYOUT_IMG_ANN)
        return ann[split];
    bool is_test = item->image_path[0] != NULL && strstr(item->image_path[0], "/imagesTs/") != NULL;
    return is_test ? "labelsTs" : "labelsTr";
}

const char *dataset_label_source(const struct dataset_case *item, enum dataset_split split) {
    return split == SPLIT_TRAIN && item->noisy_path != NULL ? item->noisy_path : item->label_path;
}

// ---- the copy of the configuration --------------------------------------------------------------

static bool copy_text(const char *text, const char **out) {
    *out = text == NULL || text[0] == '\0' ? NULL : memory_strdup(text);
    return text == NULL || text[0] == '\0' || *out != NULL;
}

static bool copy_map(const struct label_map *from, struct label_map *to) {
    *to = (struct label_map){.other = from->other};
    if (from->n == 0)
        return true;
    int *values = memory_calloc((size_t)from->n, sizeof *values);
    to->from = values;
    uint8_t *categories = memory_calloc((size_t)from->n, 1);
    to->to = categories;
    char **names = memory_calloc((size_t)from->n_names + 1, sizeof *names);
    to->names = (const char *const *)names;
    if (values == NULL || categories == NULL || names == NULL)
        return false;
    memcpy(values, from->from, (size_t)from->n * sizeof *values);
    memcpy(categories, from->to, (size_t)from->n);
    to->n = from->n;
    for (int i = 0; i < from->n_names; i++) {
        names[i] = memory_strdup(from->names[i]);
        if (names[i] == NULL)
            return false;
        to->n_names++;
    }
    return true;
}

static bool copy_config(const struct dataset_config *config, struct dataset *dataset) {
    struct dataset_config *copy = &dataset->config;
    *copy = *config;
    copy->root = copy->noisy_labels = copy->true_labels = NULL;
    memset(copy->split, 0, sizeof copy->split);
    bool is_fine = copy_map(&config->map, &dataset->map);
    copy->map = dataset->map;
    for (int split = 0; split < SPLIT_COUNT; split++)
        is_fine = copy_text(config->split[split], &copy->split[split]) && is_fine;
    is_fine = copy_text(config->noisy_labels, &copy->noisy_labels) && is_fine;
    is_fine = copy_text(config->true_labels, &copy->true_labels) && is_fine;
    if (config->root != NULL) {
        dataset->root = memory_strdup(config->root);
        copy->root = dataset->root;
        // "DATA/" and "DATA" are one folder; messages and links read better without the slash.
        size_t bytes = dataset->root == NULL ? 0 : strlen(dataset->root);
        while (bytes > 1 && dataset->root[bytes - 1] == '/')
            dataset->root[--bytes] = '\0';
        is_fine = is_fine && dataset->root != NULL;
    }
    return is_fine;
}

adele_status dataset_create(const struct dataset_config *config, struct dataset **out) {
    *out = NULL;
    if (config->height < 0 || config->width < 0 || (config->height == 0) != (config->width == 0))
        return FAIL(ADELE_CONFIG, "Give both, or 0 and 0 for the files' own size.",
                    "data.size: %d x %d is no size", config->height, config->width);
    struct dataset *dataset = memory_calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return FAIL_NO_MEMORY(sizeof *dataset);
    dataset->layout = config->layout;
    dataset->ignore_value = LABEL_IGNORE;
    dataset->said = memory_calloc(1, sizeof *dataset->said);
    dataset->looks = folder_looks_new();
    dataset->palettes = palette_watch_new();
    if (dataset->said == NULL || dataset->looks == NULL || dataset->palettes == NULL ||
        !copy_config(config, dataset)) {
        dataset_close(dataset);
        return FAIL_NO_MEMORY(sizeof *config);
    }
    if (dataset->root == NULL || dataset->root[0] == '\0') {
        dataset_close(dataset);
        return FAIL(ADELE_CONFIG, "Name the data set's folder.", "data.root is not set");
    }
    *out = dataset;
    return ADELE_OK;
}

static void free_map(struct label_map *map) {
    for (int i = 0; i < map->n_names; i++)
        memory_free((char *)map->names[i]);
    memory_free((void *)map->names);
    memory_free((void *)map->from);
    memory_free((void *)map->to);
}

void dataset_close(struct dataset *dataset) {
    if (dataset == NULL)
        return;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        for (int i = 0; i < dataset->n_cases[split]; i++)
            dataset_case_deinit(&dataset->cases[split][i]);
        memory_free(dataset->cases[split]);
        memory_free((char *)dataset->config.split[split]);
    }
    for (int c = 0; c < dataset->n_categories; c++)
        if (dataset->category_names != NULL)
            memory_free(dataset->category_names[c]);
    memory_free(dataset->category_names);
    memory_free((char *)dataset->config.noisy_labels);
    memory_free((char *)dataset->config.true_labels);
    free_map(&dataset->map);
    label_lookup_destroy(dataset->lookup);
    memory_free(dataset->said);
    folder_looks_free(dataset->looks);
    memory_free(dataset->palettes);
    for (int i = 0; i < dataset->n_own_names; i++)
        memory_free(dataset->own_names[i]);
    memory_free(dataset->own_names);
    memory_free(dataset->root);
    memory_free(dataset);
}

// ---- cases --------------------------------------------------------------------------------------

// FOLDER/NAME.ending, or the same under the layout's own folder of labels.
static adele_status find_label(const struct dataset *dataset, const char *folder,
                               enum dataset_split split, const struct dataset_case *item,
                               char **out) {
    const char *const own[] = {dataset->file_ending, NULL};
    const char *const *endings = dataset->is_volume ? own : finder_label_endings;
    TRY(finder_any(dataset, folder, "", item->name, endings, out));
    if (*out != NULL)
        return ADELE_OK;
    return finder_any(dataset, folder, dataset_label_folder(dataset, split, item), item->name,
                      endings, out);
}

static adele_status find_training_labels(struct dataset_finder *finder, struct dataset_case *item) {
    const struct dataset *dataset = finder->dataset;
    const struct dataset_config *config = &dataset->config;
    if (config->noisy_labels != NULL) {
        TRY(find_label(dataset, config->noisy_labels, SPLIT_TRAIN, item, &item->noisy_path));
        if (item->noisy_path == NULL)
            TRY(finder_problem(finder, CHECK_MISSING_PARTNER,
                               "Write the noisy labels of every training case, or leave "
                               "data.noisy_labels empty.",
                               "%s/%s%s: no noisy label for the training case",
                               config->noisy_labels, item->name, dataset->file_ending));
    }
    if (config->true_labels != NULL)
        return find_label(dataset, config->true_labels, SPLIT_TRAIN, item, &item->truth_path);
    if (item->noisy_path != NULL && item->label_path != NULL) {
        item->truth_path = memory_strdup(item->label_path);
        if (item->truth_path == NULL)
            return FAIL_NO_MEMORY(strlen(item->label_path) + 1);
    }
    return ADELE_OK;
}

// The layout's folder of a split's images.
static const char *image_folder(const struct dataset *dataset, enum dataset_split split) {
    static const char *const images[] = {"img_dir/train", "img_dir/val", "img_dir/test"};
    if (dataset->layout == LAYOUT_VOC)
        return "JPEGImages";
    if (dataset->layout == LAYOUT_IMG_ANN)
        return images[split];
    return split == SPLIT_TEST ? "imagesTs" : "imagesTr";
}

// What lies in ROOT/SUB instead of NAME.
static adele_status tell(const struct dataset *dataset, const char *sub, const char *name,
                         char out[FOLDER_LOOK_BYTES]) {
    char *folder = file_join(dataset->root, sub);
    if (folder == NULL)
        return FAIL_NO_MEMORY(strlen(dataset->root) + strlen(sub) + 2);
    folder_look_tell(dataset, folder, name, out);
    memory_free(folder);
    return ADELE_OK;
}

static adele_status check_partners(struct dataset_finder *finder, enum dataset_split split,
                                   const struct dataset_case *item) {
    const struct dataset *dataset = finder->dataset;
    char there[FOLDER_LOOK_BYTES];
    if (item->image_path[0] == NULL) {
        TRY(tell(dataset, image_folder(dataset, split), item->name, there));
        return finder_problem(
            finder, CHECK_MISSING_PARTNER, "Add the image, or take the case out of the split.",
            "%s: case %s of the %s split has no image in %s%s", dataset->root, item->name,
            dataset_split_name(split), image_folder(dataset, split), there);
    }
    if (split == SPLIT_TEST || dataset_label_source(item, split) != NULL)
        return ADELE_OK;
    const char *folder = dataset_label_folder(dataset, split, item);
    TRY(tell(dataset, folder, item->name, there));
    return finder_problem(
        finder, CHECK_MISSING_PARTNER, "Add the label map, or take the case out of the split.",
        "%s/%s/%s%s: no label map for %s of the %s split%s", dataset->root, folder, item->name,
        dataset->input_ending[0] != '\0' ? dataset->input_ending : dataset->file_ending,
        item->image_path[0], dataset_split_name(split), there);
}

static adele_status probe_volume(struct dataset_finder *finder, struct dataset_case *item) {
    adele_status status = nifti_probe_geometry(item->image_path[0], &item->geometry);
    // A report names the unreadable file when it reads all files.
    return finder->report != NULL && status != ADELE_NO_MEMORY ? ADELE_OK : status;
}

// Lists of other programs name files: "im01.jpg" is the case im01, unless there is one of that
// name.
static adele_status locate_without_ending(struct dataset_finder *finder,
                                          const struct dataset_layout_ops *ops,
                                          enum dataset_split split, const char *list,
                                          struct dataset_case *item) {
    bool is_picture, is_volume;
    size_t bytes = name_stem_bytes(item->name, &is_picture, &is_volume);
    char end = item->name[bytes];
    if (!is_picture && !is_volume)
        return ADELE_OK;
    item->name[bytes] = '\0';
    memory_free(item->label_path); // of the name with its ending
    item->label_path = NULL;
    TRY(ops->locate(finder, split, list, item));
    if (item->n_files == 0)
        item->name[bytes] = end;
    return ADELE_OK;
}

static adele_status add_cases(struct dataset_finder *finder, const struct dataset_layout_ops *ops,
                              enum dataset_split split, const char *list,
                              const struct file_list *names) {
    for (int i = 0; i < names->n; i++) {
        struct dataset_case *item = NULL;
        TRY(finder_add_case(finder, split, names->names[i], &item));
        TRY(ops->locate(finder, split, list, item));
        if (item->n_files == 0)
            TRY(locate_without_ending(finder, ops, split, list, item));
        if (split == SPLIT_TRAIN)
            TRY(find_training_labels(finder, item));
        TRY(check_partners(finder, split, item));
        if (finder->dataset->is_volume && item->image_path[0] != NULL)
            TRY(probe_volume(finder, item));
    }
    return ADELE_OK;
}

// A list file of the user: the path as given, or inside the data set.
static adele_status read_list_file(const struct dataset *dataset, const char *path,
                                   struct file_list *out) {
    char *inside = NULL;
    if (!file_exists(path)) {
        inside = file_join(dataset->root, path);
        if (inside == NULL)
            return FAIL_NO_MEMORY(strlen(path));
    }
    adele_status status =
        name_list_read(inside != NULL && file_exists(inside) ? inside : path, out);
    memory_free(inside);
    return status;
}

static adele_status fill_split(struct dataset_finder *finder, const struct dataset_layout_ops *ops,
                               enum dataset_split split) {
    const struct dataset *dataset = finder->dataset;
    const char *list = dataset->config.split[split];
    if (list != NULL && strcmp(list, "none") == 0)
        return ADELE_OK;
    struct file_list names = {0};
    adele_status status = ADELE_OK;
    if (list != NULL && file_has_suffix(list, ".txt")) {
        TRY_GOTO(read_list_file(dataset, list, &names), done);
        for (int i = 0; i < names.n; i++)
            TRY_GOTO(name_check(names.names[i], list), done);
        list = NULL;
    } else {
        TRY_GOTO(ops->list(finder, split, list, &names), done);
    }
    status = add_cases(finder, ops, split, list, &names);
done:
    file_list_deinit(&names);
    return status;
}

// ---- what the whole set says --------------------------------------------------------------------

// One RGB picture makes the set RGB, wherever it stands among gray ones.
static void find_channels(struct dataset *dataset) {
    bool has_gray = false, is_given = dataset->n_channels != 0;
    if (dataset->is_volume || (is_given && dataset->n_channels != 3))
        return;
    for (int split = 0; split < SPLIT_COUNT && !dataset->has_rgb; split++) {
        for (int i = 0; i < dataset->n_cases[split] && !dataset->has_rgb; i++) {
            const struct dataset_case *item = &dataset->cases[split][i];
            struct picture_peek peek = {0};
            if (item->image_path[0] != NULL && item->n_files == 1)
                picture_peek(item->image_path[0], &peek);
            dataset->has_rgb = peek.n_channels == 3;
            has_gray = has_gray || peek.n_channels == 1;
        }
    }
    if (!is_given)
        dataset->n_channels = has_gray && !dataset->has_rgb ? 1 : 3;
}

void dataset_ask_channels(struct dataset *dataset, int n_channels) {
    bool is_known = dataset->n_channels == 1 || dataset->n_channels == 3;
    if (dataset->is_volume || !is_known || (n_channels != 1 && n_channels != 3))
        return;
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++)
            if (dataset->cases[split][i].n_files > 1)
                return;
    // nnU-Net's channels may be three modalities, of which a single picture is none.
    if (n_channels == 3 && dataset->layout == LAYOUT_NNUNET)
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
            struct picture_peek peek;
            picture_peek(path, &peek);
            dataset->has_palette = peek.is_indexed;
            return;
        }
    }
}

// Training on a case that also validates may be wanted, but not unknowingly.
static adele_status warn_of(const struct check_report *found) {
    struct check_group *groups = NULL;
    int n = 0;
    TRY(check_groups_make(found, &groups, &n));
    for (int i = 0; i < n; i++) {
        char text[4200];
        check_group_text(&groups[i], text, sizeof text);
        log_line(LOG_WARNING, "%s", text);
    }
    memory_free(groups);
    return ADELE_OK;
}

static adele_status check_splits(struct dataset_finder *finder) {
    const struct dataset *dataset = finder->dataset;
    if (dataset->n_cases[SPLIT_TRAIN] == 0) {
        const char *folder = image_folder(dataset, SPLIT_TRAIN);
        char there[FOLDER_LOOK_BYTES];
        TRY(tell(dataset, folder, "", there));
        TRY(finder_problem(
            finder, CHECK_EMPTY_SPLIT,
            dataset->layout == LAYOUT_NNUNET
                ? "Check the folder of images, file_ending in dataset.json, and "
                  "data.split."
                : "Check the folder of images, the list of the split and data.split.",
            "%s: the train split has no cases; images are looked for in %s%s%s%s", dataset->root,
            folder, dataset->layout == LAYOUT_NNUNET ? " as NAME_0000" : "",
            dataset->layout == LAYOUT_NNUNET ? dataset->input_ending : "", there));
    }
    struct check_report found = {0};
    adele_status status = check_names(dataset, &found);
    for (int i = 0; i < found.n_problems && status == ADELE_OK; i++) {
        const struct check_problem *problem = &found.problems[i];
        if (finder->report != NULL)
            status = check_report_add(finder->report, problem->kind, problem->is_error,
                                      problem->hint, "%s", problem->text);
        else if (problem->kind == CHECK_DUPLICATE_CASE)
            status = FAIL(ADELE_DATA, problem->hint, "%s", problem->text);
    }
    if (status == ADELE_OK && finder->report == NULL)
        status = warn_of(&found);
    check_report_deinit(&found);
    return status;
}

adele_status dataset_find(const struct dataset_config *config, struct check_report *report,
                          struct dataset **out) {
    struct dataset_finder finder = {.report = report};
    *out = NULL;
    TRY(dataset_create(config, &finder.dataset));
    struct dataset *dataset = finder.dataset;
    adele_status status;
    TRY_GOTO(detect_layout(dataset), fail);
    const struct dataset_layout_ops *ops = layout_ops(dataset->layout);
    TRY_GOTO(ops->describe(&finder), fail);
    TRY_GOTO(label_lookup_build(dataset), fail);
    for (int split = 0; split < SPLIT_COUNT; split++)
        TRY_GOTO(fill_split(&finder, ops, split), fail);
    if (report != NULL && ops->orphans != NULL)
        TRY_GOTO(ops->orphans(&finder), fail);
    TRY_GOTO(orientation_find(dataset, report), fail);
    TRY_GOTO(check_splits(&finder), fail);
    find_channels(dataset);
    if (!dataset->is_volume)
        find_palette(dataset);
    *out = dataset;
    return ADELE_OK;
fail:
    dataset_close(dataset);
    return status;
}

adele_status dataset_open(const struct dataset_config *config, struct dataset **out) {
    return dataset_find(config, NULL, out);
}
