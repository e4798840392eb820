// SPDX-License-Identifier: MIT
// A plain folder of pictures or volumes, for prediction. Files NAME_0000.png, NAME_0001.png, ... of
// one channel each are one case NAME when the model takes several channels (as in nnU-Net).
#include "data/finder.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "data/name_list.h"
#include "data/orientation.h"
#include "data/picture_peek.h"
#include "image/image.h"
#include "image/nifti.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The number at the end of a stem "NAME_0003"; -1 when there is none.
static int channel_number(const char *file, size_t stem_bytes) {
    if (stem_bytes < 6 || file[stem_bytes - 5] != '_')
        return -1;
    int number = 0;
    for (size_t i = stem_bytes - 4; i < stem_bytes; i++) {
        if (file[i] < '0' || file[i] > '9')
            return -1;
        number = number * 10 + (file[i] - '0');
    }
    return number;
}

static int compare_texts(const void *name, const void *entry) {
    return strcmp(name, *(char *const *)entry);
}

// Lists of a directory are in strcmp's order.
static bool has_file(const struct file_list *files, const char *name) {
    return bsearch(name, files->names, (size_t)files->n, sizeof *files->names, compare_texts) !=
           NULL;
}

// The file of channel `number` in the file's group: the same text before the number, the same
// ending.
static char *sibling(const char *file, size_t stem_bytes, int number) {
    return memory_printf("%.*s%04d%s", (int)(stem_bytes - 4), file, number, file + stem_bytes);
}

static adele_status has_sibling(const struct file_list *files, const char *file, size_t stem_bytes,
                                int number, bool *out) {
    OWNED char *name = sibling(file, stem_bytes, number);
    TRY(CHECK_MEMORY(name));
    *out = has_file(files, name);
    return ADELE_OK;
}

static adele_status add_path(const struct dataset *dataset, const char *file,
                             struct dataset_case *item) {
    const char *folder = dataset->root;
    TRY(finder_file(dataset, folder, "", file, "", &item->image_path[item->n_files]));
    if (item->image_path[item->n_files] == NULL)
        return FAIL(ADELE_IO, "Check the folder.", "%s/%s: no such file", folder, file);
    item->n_files++;
    return ADELE_OK;
}

// One case of one file that has all channels.
static adele_status add_single(struct dataset_finder *finder, const struct file_list *files,
                               const char *file, size_t stem_bytes) {
    bool has_next = true;
    if (channel_number(file, stem_bytes) == 0)
        TRY(has_sibling(files, file, stem_bytes, 1, &has_next));
    OWNED char *name = NULL;
    TRY(ALLOCATE(&name, stem_bytes + 1));
    memcpy(name, file, has_next ? stem_bytes : stem_bytes - 5);
    struct dataset_case *item = NULL;
    TRY(finder_add_case(finder, SPLIT_TEST, name, &item));
    return add_path(finder->dataset, file, item);
}

// NAME_0000 begins a case of several files; the others of the group are taken with it.
static adele_status add_group(struct dataset_finder *finder, const struct file_list *files,
                              const char *file, size_t stem_bytes) {
    const struct dataset *dataset = finder->dataset;
    OWNED char *name = memory_printf("%.*s", (int)(stem_bytes - 5), file);
    TRY(CHECK_MEMORY(name));
    struct dataset_case *item = NULL;
    TRY(finder_add_case(finder, SPLIT_TEST, name, &item));
    for (int channel = 0; channel < dataset->n_channels; channel++) {
        bool is_there = false;
        TRY(has_sibling(files, file, stem_bytes, channel, &is_there));
        OWNED char *part = sibling(file, stem_bytes, channel);
        TRY(CHECK_MEMORY(part));
        if (!is_there)
            return FAIL(ADELE_DATA, "Give every case one file a channel: _0000, _0001, ...",
                        "%s/%s: the model takes %d channels, but %s is not there", dataset->root,
                        file, dataset->n_channels, part);
        TRY(add_path(dataset, part, item));
    }
    return ADELE_OK;
}

static adele_status add_file(struct dataset_finder *finder, const struct file_list *files,
                             const char *file, size_t stem_bytes, bool is_volume) {
    struct dataset *dataset = finder->dataset;
    struct image_traits peek = {.n_channels = is_volume ? 1 : 0};
    if (!is_volume) {
        char *path = file_join(dataset->root, file);
        TRY(CHECK_MEMORY(path));
        picture_peek(path, &peek);
        memory_free(path);
    }
    // A file of unknown kind is left to the reader, which reports what is wrong. So is RGB for a
    // model of one channel, because it may be gray in every pixel.
    if (peek.n_channels == dataset->n_channels || peek.n_channels == 0 ||
        (peek.n_channels == 3 && dataset->n_channels == 1))
        return add_single(finder, files, file, stem_bytes);
    int channel = channel_number(file, stem_bytes);
    bool has_first = false;
    if (channel > 0)
        TRY(has_sibling(files, file, stem_bytes, 0, &has_first));
    if (peek.n_channels == 1 && channel > 0 && has_first)
        return ADELE_OK; // belongs to its group's first file
    if (peek.n_channels == 1 && channel == 0)
        return add_group(finder, files, file, stem_bytes);
    if (peek.n_channels == 1 && dataset->n_channels == 3)
        return add_single(finder, files, file, stem_bytes); // gray for a model of RGB
    return FAIL(ADELE_DATA, "Predict on images of the kind that the model was trained on.",
                "%s/%s: %d channel%s, but the model takes %d", dataset->root, file, peek.n_channels,
                peek.n_channels == 1 ? "" : "s", dataset->n_channels);
}

static adele_status add_files(struct dataset_finder *finder, const struct file_list *files) {
    struct dataset *dataset = finder->dataset;
    TRY(finder_report_unread(finder, dataset->root, files));
    for (int i = 0; i < files->n; i++) {
        bool is_picture, is_volume;
        const char *file = files->names[i];
        size_t stem_bytes = name_stem_bytes(file, &is_picture, &is_volume);
        if (!is_picture && !is_volume)
            continue;
        const char *ending = is_volume ? file + stem_bytes : ".png";
        if (dataset->n_cases[SPLIT_TEST] == 0) {
            dataset->is_volume = is_volume;
            (void)snprintf(dataset->file_ending, sizeof dataset->file_ending, "%s", ending);
        } else if (dataset->is_volume != is_volume) {
            return FAIL(ADELE_DATA, "Put pictures and volumes into folders of their own.",
                        "%s: contains both pictures and volumes (%s)", dataset->root, file);
        }
        TRY(add_file(finder, files, file, stem_bytes, is_volume));
    }
    if (dataset->n_cases[SPLIT_TEST] == 0)
        return FAIL(ADELE_DATA, "Name a folder of .png, .jpg, .tif, .bmp, .nii or .nii.gz files.",
                    "%s: no image in the folder", dataset->root);
    return ADELE_OK;
}

static int compare_cases(const void *left, const void *right) {
    const struct dataset_case *a = *(const struct dataset_case *const *)left;
    const struct dataset_case *b = *(const struct dataset_case *const *)right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : strcmp(a->image_path[0], b->image_path[0]);
}

static adele_status check_names(const struct dataset *dataset) {
    int n = dataset->n_cases[SPLIT_TEST];
    OWNED const struct dataset_case **cases = NULL;
    TRY(ALLOCATE(&cases, (size_t)n + 1));
    for (int i = 0; i < n; i++)
        cases[i] = &dataset->cases[SPLIT_TEST][i];
    qsort(cases, (size_t)n, sizeof *cases, compare_cases);
    for (int i = 1; i < n; i++)
        if (strcmp(cases[i - 1]->name, cases[i]->name) == 0)
            return FAIL(ADELE_DATA, "Rename one of them: both would give the same output.",
                        "%s and %s are both the case %s", cases[i - 1]->image_path[0],
                        cases[i]->image_path[0], cases[i]->name);
    return ADELE_OK;
}

// Opens each file, so that one whose content does not fit its ending is an error before the first
// mask is written.
static adele_status probe_case(const struct dataset *dataset, struct dataset_case *item) {
    int width, height;
    if (dataset->is_volume)
        return nifti_probe_geometry(item->image_path[0], &item->geometry);
    for (int i = 0; i < item->n_files; i++)
        TRY(image_probe(item->image_path[i], &width, &height));
    return ADELE_OK;
}

static adele_status finish_folder(struct dataset_finder *finder) {
    struct dataset *dataset = finder->dataset;
    TRY(check_names(dataset));
    for (int i = 0; i < dataset->n_cases[SPLIT_TEST]; i++)
        TRY(probe_case(dataset, &dataset->cases[SPLIT_TEST][i]));
    TRY(orientation_find(dataset, NULL));
    // Without a map only the model defines the categories, so any value may be written.
    if (dataset->map.n == 0) {
        static const char *const any[] = {"background", "foreground"};
        return label_names_set(dataset, 2, any);
    }
    return ADELE_OK;
}

adele_status dataset_open_folder(const char *folder, int n_channels,
                                 const struct dataset_config *config, struct dataset **out) {
    *out = NULL;
    struct dataset_config own = config != NULL ? *config : (struct dataset_config){0};
    own.root = folder;
    if (n_channels < 1 || n_channels > DATASET_MAX_FILES)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use a model of 1 to 8 channels.",
                    "%s: a model of %d channels", folder, n_channels);
    if (!file_is_directory(folder))
        return FAIL(ADELE_IO, "Check the path.", "%s: no such folder", folder);
    struct dataset_finder finder = {0};
    CLEANUP(file_list_deinit) struct file_list files = {0};
    TRY(dataset_create(&own, &finder.dataset));
    OWNED_BY(dataset_close) struct dataset *dataset = finder.dataset;
    dataset->n_channels = n_channels;
    dataset->has_rgb = n_channels == 3;
    TRY(file_list_directory(folder, &files));
    TRY(add_files(&finder, &files));
    TRY(finish_folder(&finder));
    TRY(label_lookup_build(dataset));
    *out = dataset;
    dataset = NULL;
    return ADELE_OK;
}
