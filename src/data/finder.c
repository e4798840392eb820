// SPDX-License-Identifier: MIT
// What the layouts share: cases, paths that stay inside their folder, lists of names.
#include "data/finder.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/check_report.h"
#include "data/folder_look.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_MAX_BYTES ((size_t)64 << 20)

adele_status finder_problem(struct dataset_finder *finder, enum check_kind kind, const char *hint,
                            const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (finder->report == NULL)
        return FAIL(ADELE_DATA, hint, "%s", text);
    return check_report_add(finder->report, kind, true, hint, "%s", text);
}

adele_status finder_warn(struct dataset_finder *finder, enum check_kind kind, const char *hint,
                         const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (finder->report != NULL)
        return check_report_add(finder->report, kind, false, hint, "%s", text);
    log_line(LOG_WARNING, "%s", text);
    return ADELE_OK;
}

// ---- cases --------------------------------------------------------------------------------------

void dataset_case_deinit(struct dataset_case *item) {
    memory_free(item->name);
    for (int i = 0; i < DATASET_MAX_FILES; i++)
        memory_free(item->image_path[i]);
    memory_free(item->label_path);
    memory_free(item->noisy_path);
    memory_free(item->truth_path);
    memset(item, 0, sizeof *item);
}

adele_status finder_add_case(struct dataset_finder *finder, enum dataset_split split,
                             const char *name, struct dataset_case **out) {
    struct dataset *dataset = finder->dataset;
    if (dataset->n_cases[split] == finder->capacity[split]) {
        int capacity = finder->capacity[split] * 2 + 16;
        struct dataset_case *grown =
            memory_realloc(dataset->cases[split], (size_t)capacity, sizeof *grown);
        if (grown == NULL)
            return FAIL_NO_MEMORY((size_t)capacity * sizeof *grown);
        dataset->cases[split] = grown;
        finder->capacity[split] = capacity;
    }
    struct dataset_case *item = &dataset->cases[split][dataset->n_cases[split]];
    memset(item, 0, sizeof *item);
    item->n_slices = 1;
    item->name = memory_strdup(name);
    if (item->name == NULL)
        return FAIL_NO_MEMORY(strlen(name) + 1);
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

// Opening a pipe waits for ever, and a device has no end.
static adele_status check_regular(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return FAIL(ADELE_IO, file_hint(errno), "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return FAIL(ADELE_DATA, "Put the file itself there.", "%s: %s in the place of a file", path,
                    S_ISDIR(info.st_mode) ? "a folder" : "a pipe or device");
    return ADELE_OK;
}

adele_status finder_file(const struct dataset *dataset, const char *folder, const char *sub,
                         const char *name, const char *suffix, char **out) {
    *out = NULL;
    char *path = sub[0] == '\0' ? memory_printf("%s/%s%s", folder, name, suffix)
                                : memory_printf("%s/%s/%s%s", folder, sub, name, suffix);
    if (path == NULL)
        return FAIL_NO_MEMORY(strlen(folder) + strlen(sub) + strlen(name) + 8);
    if (!file_exists(path)) {
        memory_free(path);
        return ADELE_OK;
    }
    adele_status status = check_inside(dataset, folder, path);
    if (status == ADELE_OK)
        status = check_regular(path);
    if (status != ADELE_OK) {
        memory_free(path);
        return status;
    }
    *out = path;
    return ADELE_OK;
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
    char *path = sub[0] == '\0' ? memory_strdup(folder) : file_join(folder, sub);
    const char *entry = NULL;
    if (path == NULL)
        return FAIL_NO_MEMORY(strlen(folder) + strlen(sub) + 2);
    adele_status status = folder_look_find(dataset, path, name, endings, &entry);
    memory_free(path);
    if (status != ADELE_OK || entry == NULL)
        return status;
    return finder_file(dataset, folder, sub, entry, "", out);
}

// ---- names --------------------------------------------------------------------------------------

adele_status name_list_add(struct file_list *list, const char *name, size_t n_bytes) {
    // Grown by doubling: a full list is one whose length is a power of two.
    if ((list->n & (list->n - 1)) == 0) {
        size_t capacity = list->n == 0 ? 1 : (size_t)list->n * 2;
        char **grown = memory_realloc(list->names, capacity, sizeof *grown);
        if (grown == NULL)
            return FAIL_NO_MEMORY(capacity * sizeof *grown);
        list->names = grown;
    }
    char *copy = memory_calloc(n_bytes + 1, 1);
    if (copy == NULL)
        return FAIL_NO_MEMORY(n_bytes + 1);
    memcpy(copy, name, n_bytes);
    list->names[list->n++] = copy;
    return ADELE_OK;
}

// Windows' editors put a byte order mark before the text.
static size_t mark_bytes(const char *text) {
    return strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static bool is_utf16(const char *text, size_t bytes) {
    return bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

adele_status name_list_read(const char *path, struct file_list *out) {
    memset(out, 0, sizeof *out);
    char *text = NULL;
    size_t bytes = 0;
    TRY(check_regular(path));
    TRY(file_read(path, LIST_MAX_BYTES, &text, &bytes));
    adele_status status = ADELE_OK;
    if (memchr(text, '\0', bytes) != NULL)
        status = FAIL(ADELE_FORMAT, "Write one name a line, as UTF-8.", "%s: not a text file%s",
                      path, is_utf16(text, bytes) ? ", but UTF-16" : "");
    for (char *line = text + mark_bytes(text); status == ADELE_OK && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        char *next = line + length + (line[length] != '\0');
        while (length > 0 && isspace((unsigned char)*line)) {
            line++;
            length--;
        }
        while (length > 0 && isspace((unsigned char)line[length - 1]))
            length--;
        if (length > 0)
            status = name_list_add(out, line, length);
        line = next;
    }
    memory_free(text);
    if (status != ADELE_OK)
        file_list_deinit(out);
    return status;
}

adele_status name_check(const char *name, const char *where) {
    bool is_plain = name[0] != '\0' && name[0] != '.' && strlen(name) < NAME_MAX;
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '/' || *c == '\\' || iscntrl((unsigned char)*c))
            is_plain = false;
    if (!is_plain || strstr(name, "..") != NULL)
        return FAIL(ADELE_DATA, "Write the bare name of a case: no folder, no \"..\", no ending.",
                    "%s: \"%.200s\" is not the name of a case", where, name);
    return ADELE_OK;
}

size_t name_stem_bytes(const char *name, bool *is_picture, bool *is_volume) {
    static const char *const pictures[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"};
    static const char *const volumes[] = {".nii.gz", ".nii"};
    size_t bytes = strlen(name);
    *is_picture = *is_volume = false;
    for (size_t i = 0; i < sizeof volumes / sizeof volumes[0]; i++) {
        if (file_has_suffix(name, volumes[i]) && bytes > strlen(volumes[i])) {
            *is_volume = true;
            return bytes - strlen(volumes[i]);
        }
    }
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        if (file_has_suffix(name, pictures[i]) && bytes > strlen(pictures[i])) {
            *is_picture = true;
            return bytes - strlen(pictures[i]);
        }
    }
    return bytes;
}

// By their names alone: nobody calls other files so.
static bool is_unread_kind(const char *name) {
    static const char *const endings[] = {".webp", ".gif",  ".heic", ".heif", ".avif", ".jp2",
                                          ".dcm",  ".nrrd", ".mha",  ".mhd",  ".npy",  ".psd"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (file_has_suffix(name, endings[i]))
            return true;
    return false;
}

adele_status finder_name_unread(struct dataset_finder *finder, const char *folder,
                                const struct file_list *files) {
    const char *first = NULL;
    int n = 0;
    for (int i = 0; i < files->n; i++)
        if (is_unread_kind(files->names[i]) && n++ == 0)
            first = files->names[i];
    if (n == 0)
        return ADELE_OK;
    return finder_warn(finder, CHECK_READING, "Convert them to PNG (pictures) or NIfTI (volumes).",
                       "%s: %d file%s of a kind that is not read and left out (%s); PNG, JPEG, "
                       "TIFF, BMP and NIfTI are read",
                       folder, n, n == 1 ? " is" : "s are", first);
}
