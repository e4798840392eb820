// SPDX-License-Identifier: MIT
#include "data/folder_guess.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/layout.h"
#include "data/name_list.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const splits[] = {"train", "val", "test"};

// ---- names of pictures --------------------------------------------------------------------------

static int compare_names(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

// Adds the names of the pictures in FOLDER/SUB without their endings; none when there is no folder.
static adele_status add_stems(const char *folder, const char *sub, struct file_list *out) {
    CLEANUP(file_list_deinit) struct file_list files = {0};
    OWNED char *path = file_join(folder, sub);
    TRY(CHECK_MEMORY(path));
    TRY(file_is_directory(path) ? file_list_directory(path, &files) : (adele_status)ADELE_OK);
    return name_list_add_pictures(&files, out);
}

// Of the pictures in a folder and in its folders of splits, sorted.
static adele_status list_stems(const char *root, const char *name, struct file_list *out) {
    OWNED char *folder = file_join(root, name);
    TRY(CHECK_MEMORY(folder));
    TRY(add_stems(folder, ".", out));
    for (int i = 0; i < 3; i++)
        TRY(add_stems(folder, splits[i], out));
    if (out->n > 0)
        qsort(out->names, (size_t)out->n, sizeof *out->names, compare_names);
    return ADELE_OK;
}

static int count_common(const struct file_list *a, const struct file_list *b) {
    int n = 0;
    for (int i = 0, k = 0; i < a->n && k < b->n;) {
        int order = strcmp(a->names[i], b->names[k]);
        n += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    return n;
}

// ---- two folders --------------------------------------------------------------------------------

static bool is_mask_name(const char *name) {
    static const char *const words[] = {"mask", "label", "seg", "annot", "truth", "_ann", "-ann"};
    char lower[256];
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < sizeof lower; n++)
        lower[n] = (char)tolower((unsigned char)name[n]);
    lower[n] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(lower, words[i]) != NULL)
            return true;
    return strncmp(lower, "ann", 3) == 0 || strcmp(lower, "gt") == 0;
}

// What masks are called behind the names of their images; "" is tried first.
static const char *const suffixes[] = {"",      "_mask",         "-mask",  "_masks",     "_label",
                                       "_lab",  "_labels",       "_seg",   "_gt",        "_GT",
                                       "_anno", "_segmentation", "_truth", "_annotation"};
#define N_SUFFIXES (sizeof suffixes / sizeof suffixes[0])

struct pair {
    int n; // common names; 0: no pair
    const char *suffix;
    char images[FOLDER_GUESS_BYTES], masks[FOLDER_GUESS_BYTES];
};

static void offer(struct pair *best, int n, const char *images, const char *masks,
                  const char *suffix) {
    if (n <= best->n || strlen(images) >= sizeof best->images ||
        strlen(masks) >= sizeof best->masks)
        return;
    best->n = n;
    best->suffix = suffix;
    (void)snprintf(best->images, sizeof best->images, "%s", images);
    (void)snprintf(best->masks, sizeof best->masks, "%s", masks);
}

// The names that end with the suffix, without it; they stay sorted only after sorting again.
static adele_status strip(const struct file_list *stems, const char *suffix,
                          struct file_list *out) {
    size_t n_suffix = strlen(suffix);
    for (int i = 0; i < stems->n; i++) {
        size_t n = strlen(stems->names[i]);
        if (n > n_suffix && strcmp(stems->names[i] + n - n_suffix, suffix) == 0)
            TRY(file_list_add(out, stems->names[i], n - n_suffix));
    }
    if (out->n > 0)
        qsort(out->names, (size_t)out->n, sizeof *out->names, compare_names);
    return ADELE_OK;
}

// The folders among `names` that go with the masks in one of them. Without a suffix, masks
// and images differ only in the name of their folder.
static void match_masks(const struct file_list *names, const struct file_list *stems, int mask,
                        const struct file_list *masks, const char *suffix, struct pair *best) {
    bool has_suffix = suffix[0] != '\0', is_mask = is_mask_name(names->names[mask]);
    for (int image = 0; masks->n > 0 && image < names->n; image++)
        if (has_suffix ? image == mask || !is_mask_name(names->names[image])
                       : is_mask && !is_mask_name(names->names[image]))
            offer(best, count_common(&stems[image], masks), names->names[image], names->names[mask],
                  suffix);
}

struct folders {
    int n;
    struct file_list *stems; // of each folder
};

static void folders_deinit(struct folders *folders) {
    for (int i = 0; i < folders->n; i++)
        file_list_deinit(&folders->stems[i]);
    memory_free(folders->stems);
}

// The folders in `root`, or `root` itself, that share most names; the first in the order of names
// among equals.
static adele_status find_pair(const char *root, struct pair *best) {
    CLEANUP(file_list_deinit) struct file_list names = {0};
    CLEANUP(folders_deinit) struct folders folders = {0};
    best->n = 0;
    TRY(file_list_directory(root, &names));
    TRY(file_list_add(&names, ".", 1));
    TRY(ALLOCATE(&folders.stems, names.n));
    folders.n = names.n;
    for (int i = 0; i < names.n; i++)
        TRY(list_stems(root, names.names[i], &folders.stems[i]));
    for (size_t k = 0; k < N_SUFFIXES; k++)
        for (int mask = 0; mask < names.n; mask++) {
            CLEANUP(file_list_deinit) struct file_list masks = {0};
            TRY(strip(&folders.stems[mask], suffixes[k], &masks));
            match_masks(&names, folders.stems, mask, &masks, suffixes[k], best);
        }
    return ADELE_OK;
}

// "{split}/images" for images in train; "{split}" for "." there.
static void put_split(const char *inner, char out[FOLDER_GUESS_BYTES]) {
    bool is_itself = strcmp(inner, ".") == 0;
    (void)snprintf(out, FOLDER_GUESS_BYTES, "{split}%s%.480s", is_itself ? "" : "/",
                   is_itself ? "" : inner);
}

// train/images and train/masks.
static adele_status find_pair_in_split(const char *root, struct pair *best) {
    OWNED char *train = file_join(root, "train");
    TRY(CHECK_MEMORY(train));
    struct pair inner = {0};
    if (file_is_directory(train))
        TRY(find_pair(train, &inner));
    if (inner.n == 0)
        return ADELE_OK;
    *best = (struct pair){.n = inner.n, .suffix = inner.suffix};
    put_split(inner.images, best->images);
    put_split(inner.masks, best->masks);
    return ADELE_OK;
}

// ---- nothing fits -------------------------------------------------------------------------------

#define MAX_LISTED 6

struct contents {
    struct buffer names; // of the folders
    int n_folders, n_files, n_pictures;
    int n_inside; // entries of the folders
};

static adele_status add_folder(const char *root, const char *name, struct contents *out) {
    CLEANUP(file_list_deinit) struct file_list entries = {0};
    OWNED char *path = file_join(root, name);
    TRY(CHECK_MEMORY(path));
    TRY(file_list_directory(path, &entries));
    out->n_inside += entries.n;
    if (out->n_folders++ < MAX_LISTED)
        TRY(buffer_printf(&out->names, "%s%s%s", out->n_folders > 1 ? ", " : "", name,
                          entries.n == 0 ? ": empty" : ""));
    else if (out->n_folders == MAX_LISTED + 1)
        TRY(buffer_text(&out->names, ", ..."));
    return ADELE_OK;
}

static adele_status list_contents(const char *root, struct contents *out) {
    CLEANUP(file_list_deinit) struct file_list entries = {0};
    TRY(file_list_directory(root, &entries));
    for (int i = 0; i < entries.n; i++) {
        bool is_picture, is_volume, is_directory = file_is_directory_in(root, entries.names[i]);
        (void)name_stem_bytes(entries.names[i], &is_picture, &is_volume);
        out->n_files += !is_directory;
        out->n_pictures += !is_directory && (is_picture || is_volume);
        if (is_directory)
            TRY(add_folder(root, entries.names[i], out));
    }
    return ADELE_OK;
}

static void contents_deinit(struct contents *contents) {
    buffer_deinit(&contents->names);
}

// "it holds 2 folders (images, notes: empty) and 3 files, 1 of them images".
static adele_status fail_nothing(const char *root) {
    CLEANUP(contents_deinit) struct contents found = {0};
    TRY(buffer_text(&found.names, ""));
    TRY(list_contents(root, &found));
    bool is_empty = found.n_files == 0 && found.n_inside == 0;
    const char *hint =
        "Put the images into a folder images and the masks, with the names of their images, into a "
        "folder masks beside it, or name the mask of a.jpg a_mask.png; or lay the data out as "
        "nnU-Net (dataset.json, imagesTr, labelsTr), Pascal VOC or MMSegmentation (img_dir, "
        "ann_dir).";
    if (is_empty)
        hint = "Copy the files there; a mask has the name of its image. Or name another folder.";
    return FAIL(ADELE_DATA, hint,
                "%s: no images with masks are found: it holds %d folder%s%s%s%s and %d "
                "file%s, %d of them images%s",
                root, found.n_folders, found.n_folders == 1 ? "" : "s",
                found.n_folders > 0 ? " (" : "", found.names.data, found.n_folders > 0 ? ")" : "",
                found.n_files, found.n_files == 1 ? "" : "s", found.n_pictures,
                is_empty ? ""
                         : "; of two folders that share names of pictures, one must be named "
                           "like masks or labels");
}

// ---- the layout ---------------------------------------------------------------------------------

adele_status folder_guess(const char *root, struct folder_guess *out) {
    memset(out, 0, sizeof *out);
    out->mask_suffix = "";
    if (!file_is_directory(root))
        return FAIL(ADELE_IO, "Name the folder that holds the images and the masks.", "%s: %s",
                    root, file_exists(root) ? "not a folder" : "no such folder");
    for (enum dataset_layout layout = LAYOUT_AUTO + 1; layout < LAYOUT_COUNT; layout++) {
        const char *const *folders = layout_ops(layout)->folders;
        if (file_is_directory_in(root, folders[0]) && file_is_directory_in(root, folders[1])) {
            out->layout = layout;
            return ADELE_OK;
        }
    }
    struct pair best;
    TRY(find_pair(root, &best));
    if (best.n == 0)
        TRY(find_pair_in_split(root, &best));
    if (best.n == 0)
        return fail_nothing(root);
    out->layout = LAYOUT_IMG_ANN;
    out->mask_suffix = best.suffix;
    (void)snprintf(out->image_folder, sizeof out->image_folder, "%s", best.images);
    (void)snprintf(out->mask_folder, sizeof out->mask_folder, "%s", best.masks);
    return ADELE_OK;
}
