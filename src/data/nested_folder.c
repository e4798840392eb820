// SPDX-License-Identifier: MIT
#include "data/nested_folder.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/name_list.h"

#include <string.h>

#define IMAGE_SUFFIX "_leftImg8bit"

static bool begins_with_folder(const char *name, const char *sub) {
    size_t n = strlen(sub);
    return strncmp(name, sub, n) == 0 && name[n] == '_';
}

// ---- the names ----------------------------------------------------------------------------------

// "a_1" of the picture a_1_leftImg8bit.png in the folder a, and of 1.png.
static adele_status add_case(const char *sub, const char *stem, struct file_list *out) {
    size_t n = strlen(stem), n_suffix = strlen(IMAGE_SUFFIX);
    if (n > n_suffix && strcmp(stem + n - n_suffix, IMAGE_SUFFIX) == 0)
        n -= n_suffix;
    bool has_folder = begins_with_folder(stem, sub);
    OWNED char *name =
        memory_printf("%s%s%.*s", has_folder ? "" : sub, has_folder ? "" : "_", (int)n, stem);
    TRY(CHECK_MEMORY(name));
    return file_list_add(out, name, strlen(name));
}

static adele_status add_folder(struct dataset_finder *finder, const char *folder, const char *sub,
                               struct file_list *out) {
    CLEANUP(file_list_deinit) struct file_list files = {0}, stems = {0};
    OWNED char *path = file_join(folder, sub);
    TRY(CHECK_MEMORY(path));
    if (file_is_directory(path)) {
        TRY(file_list_directory(path, &files));
        TRY(finder_report_unread(finder, path, &files));
        TRY(name_list_add_pictures(&files, &stems));
        for (int i = 0; i < stems.n; i++)
            TRY(add_case(sub, stems.names[i], out));
    }
    return ADELE_OK;
}

adele_status nested_folder_list(struct dataset_finder *finder, const char *images,
                                struct file_list *out) {
    CLEANUP(file_list_deinit) struct file_list subs = {0};
    OWNED char *folder = file_join(finder->dataset->root, images);
    TRY(CHECK_MEMORY(folder));
    TRY(finder_list(finder->dataset, images, &subs));
    for (int i = 0; i < subs.n; i++)
        TRY(add_folder(finder, folder, subs.names[i], out));
    return ADELE_OK;
}

// ---- the files ----------------------------------------------------------------------------------

// The file ROOT/FOLDER/SUB/BASE+SUFFIX with the ending of a picture; NULL when there is none.
static adele_status find(const struct dataset *dataset, const char *folder, const char *sub,
                         const char *base, const char *suffix, const char *const *endings,
                         char **out) {
    OWNED char *inside = memory_printf("%s/%s", folder, sub);
    OWNED char *name = memory_printf("%s%s", base, suffix);
    TRY(CHECK_MEMORY(inside != NULL ? name : NULL));
    return finder_any(dataset, dataset->root, inside, name, endings, out);
}

static adele_status find_mask(const struct dataset *dataset, const char *masks, const char *sub,
                              const char *base, char **out) {
    static const char *const suffixes[] = {"_gtFine_labelTrainIds", "_gtFine_labelIds"};
    TRY(find(dataset, masks, sub, base, dataset_mask_suffix(dataset), finder_label_endings, out));
    for (size_t i = 0; i < 2 && *out == NULL && dataset_mask_suffix(dataset)[0] == '\0'; i++)
        TRY(find(dataset, masks, sub, base, suffixes[i], finder_label_endings, out));
    return ADELE_OK;
}

static adele_status locate_in(const struct dataset *dataset, const char *images, const char *masks,
                              const char *sub, struct dataset_case *item) {
    const char *bases[] = {item->name, item->name + strlen(sub) + 1};
    for (int i = 0; i < 4 && item->image_path[0] == NULL; i++) {
        const char *base = bases[i / 2];
        TRY(find(dataset, images, sub, base, i % 2 ? "" : IMAGE_SUFFIX, finder_image_endings,
                 &item->image_path[0]));
        if (item->image_path[0] != NULL)
            TRY(find_mask(dataset, masks, sub, base, &item->label_path));
    }
    item->n_files = item->image_path[0] != NULL;
    return ADELE_OK;
}

adele_status nested_folder_locate(const struct dataset *dataset, const char *images,
                                  const char *masks, struct dataset_case *item) {
    CLEANUP(file_list_deinit) struct file_list subs = {0};
    TRY(finder_list(dataset, images, &subs));
    for (int i = 0; i < subs.n && item->n_files == 0; i++)
        if (begins_with_folder(item->name, subs.names[i]))
            TRY(locate_in(dataset, images, masks, subs.names[i], item));
    return ADELE_OK;
}
