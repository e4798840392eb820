// SPDX-License-Identifier: MIT
// What the layouts share: adding cases, finding files inside a folder, reporting problems.
#include "data/finder.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/folder_cache.h"
#include "data/label_lookup.h"
#include "data/name_list.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

adele_status finder_report(struct dataset_finder *finder, bool is_error, enum check_kind kind,
                           const char *hint, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (finder->report != NULL)
        return check_report_add(finder->report, kind, is_error, hint, "%s", text);
    if (is_error)
        return FAIL(ADELE_DATA, hint, "%s", text);
    log_line(LOG_WARNING, "%s", text);
    return ADELE_OK;
}

// ---- cases --------------------------------------------------------------------------------------

adele_status finder_add_case(struct dataset_finder *finder, enum dataset_split split,
                             const char *name, struct dataset_case **out) {
    struct dataset *dataset = finder->dataset;
    TRY(GROW(&dataset->cases[split], dataset->n_cases[split]));
    struct dataset_case *item = &dataset->cases[split][dataset->n_cases[split]];
    memset(item, 0, sizeof *item);
    item->n_slices = 1;
    item->name = memory_strdup(name);
    TRY(CHECK_MEMORY(item->name));
    dataset->n_cases[split]++;
    *out = item;
    return ADELE_OK;
}

// ---- paths --------------------------------------------------------------------------------------

static adele_status check_inside(const struct dataset *dataset, const char *folder,
                                 const char *path) {
    char real_folder[PATH_MAX], real_path[PATH_MAX];
    if (dataset->config.follow_links)
        return ADELE_OK;
    if (realpath(folder, real_folder) == NULL)
        return FAIL(ADELE_IO, "Check the path.", "%s: cannot be resolved: %s", folder,
                    strerror(errno));
    if (realpath(path, real_path) == NULL)
        return FAIL(ADELE_IO, "Repair or remove the link.", "%s: cannot be resolved: %s", path,
                    strerror(errno));
    size_t bytes = strlen(real_folder);
    if (strncmp(real_folder, real_path, bytes) != 0 ||
        (real_path[bytes] != '/' && real_folder[bytes - 1] != '/'))
        return FAIL(ADELE_DATA,
                    "If such links are meant, set data.follow_links: true; else copy the file "
                    "into the data set's folder.",
                    "%s: a symbolic link leads out of %s, to %s", path, folder, real_path);
    return ADELE_OK;
}

adele_status finder_file(const struct dataset *dataset, const char *folder, const char *sub,
                         const char *name, const char *suffix, char **out) {
    *out = NULL;
    OWNED char *path = sub[0] == '\0' ? memory_printf("%s/%s%s", folder, name, suffix)
                                      : memory_printf("%s/%s/%s%s", folder, sub, name, suffix);
    TRY(CHECK_MEMORY(path));
    if (!file_exists(path))
        return ADELE_OK;
    TRY(check_inside(dataset, folder, path));
    TRY(file_check_regular(path));
    *out = path;
    path = NULL;
    return ADELE_OK;
}

adele_status finder_list(const struct dataset *dataset, const char *sub, struct file_list *out) {
    *out = (struct file_list){0};
    OWNED char *folder = file_join(dataset->root, sub);
    TRY(CHECK_MEMORY(folder));
    return file_is_directory(folder) ? file_list_directory(folder, out) : ADELE_OK;
}

adele_status finder_read_list(struct dataset_finder *finder, enum dataset_split split,
                              const char *path, struct file_list *out) {
    TRY(name_list_read(path, out));
    if (split == SPLIT_TRAIN && out->n == 0)
        (void)snprintf(finder->empty_list, sizeof finder->empty_list, "%s", path);
    return ADELE_OK;
}

adele_status finder_read_names(struct dataset *dataset, const char *const files[2],
                               bool *is_found) {
    OWNED char *path = NULL;
    TRY(finder_file(dataset, dataset->root, "", files[0], "", &path));
    if (path == NULL)
        TRY(finder_file(dataset, dataset->root, "", files[1], "", &path));
    *is_found = path != NULL;
    return *is_found ? label_names_read(dataset, path) : ADELE_OK;
}

const char *const finder_image_endings[] = {".jpg", ".png", ".jpeg", ".tif", ".tiff", ".bmp", NULL};
const char *const finder_label_endings[] = {".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", NULL};

adele_status finder_any(const struct dataset *dataset, const char *folder, const char *sub,
                        const char *name, const char *const *endings, char **out) {
    *out = NULL;
    for (int i = 0; endings[i] != NULL; i++) {
        TRY(finder_file(dataset, folder, sub, name, endings[i], out));
        if (*out != NULL)
            return ADELE_OK;
    }
    OWNED char *path = sub[0] == '\0' ? memory_strdup(folder) : file_join(folder, sub);
    const char *entry = NULL;
    TRY(CHECK_MEMORY(path));
    TRY(folder_cache_find(dataset, path, name, endings, &entry));
    return entry != NULL ? finder_file(dataset, folder, sub, entry, "", out) : ADELE_OK;
}

// ---- unsupported files --------------------------------------------------------------------------

// Decided by the ending of the name alone.
static bool is_unread_kind(const char *name) {
    static const char *const endings[] = {".webp", ".gif",  ".heic", ".heif", ".avif", ".jp2",
                                          ".dcm",  ".nrrd", ".mha",  ".mhd",  ".npy",  ".psd"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (file_has_suffix(name, endings[i]))
            return true;
    return false;
}

adele_status finder_report_unread(struct dataset_finder *finder, const char *folder,
                                  const struct file_list *files) {
    const char *first = NULL;
    int n = 0;
    for (int i = 0; i < files->n; i++)
        if (is_unread_kind(files->names[i]) && n++ == 0)
            first = files->names[i];
    if (n == 0)
        return ADELE_OK;
    return finder_report(finder, false, CHECK_READING,
                         "Convert them to PNG (pictures) or NIfTI (volumes).",
                         "%s: %d file%s skipped because of an unsupported kind (%s); PNG, JPEG, "
                         "TIFF, BMP and NIfTI are read",
                         folder, n, n == 1 ? " is" : "s are", first);
}
