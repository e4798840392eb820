// SPDX-License-Identifier: MIT
#include "data/name_list.h"

#include "base/fail.h"
#include "base/memory.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#define LIST_MAX_BYTES ((size_t)64 << 20)

// Editors of Windows write a byte order mark before the text.
static size_t mark_bytes(const char *text) {
    return strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static bool is_utf16(const char *text, size_t bytes) {
    return bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

struct line {
    const char *text; // without white space at both ends
    size_t n;
    int number; // from 1
};

// The next line that is not blank; false at the end of the text. Begin with *at at the text and a
// line of zeros.
static bool next_line(const char **at, struct line *line) {
    while (**at != '\0') {
        const char *text = *at;
        size_t n = strcspn(text, "\n");
        *at += n + (text[n] != '\0');
        line->number++;
        for (; n > 0 && isspace((unsigned char)*text); n--)
            text++;
        while (n > 0 && isspace((unsigned char)text[n - 1]))
            n--;
        line->text = text;
        line->n = n;
        if (n > 0)
            return true;
    }
    return false;
}

// Caller frees *out with memory_free.
static adele_status read_text(const char *path, char **out) {
    size_t bytes = 0;
    OWNED char *text = NULL;
    TRY(file_check_regular(path));
    TRY(file_read(path, LIST_MAX_BYTES, &text, &bytes));
    if (memchr(text, '\0', bytes) != NULL)
        return FAIL(ADELE_FORMAT, "Write one name a line, as UTF-8.", "%s: not a text file%s", path,
                    is_utf16(text, bytes) ? ", but UTF-16" : "");
    *out = text;
    text = NULL;
    return ADELE_OK;
}

adele_status name_list_read(const char *path, struct file_list *out) {
    CLEANUP(file_list_deinit) struct file_list list = {0};
    OWNED char *text = NULL;
    *out = (struct file_list){0};
    TRY(read_text(path, &text));
    const char *at = text + mark_bytes(text);
    for (struct line line = {0}; next_line(&at, &line);)
        TRY(file_list_add(&list, line.text, line.n));
    *out = list;
    list = (struct file_list){0};
    return ADELE_OK;
}

static bool is_case_name(const char *name) {
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '/' || *c == '\\' || iscntrl((unsigned char)*c))
            return false;
    return name[0] != '\0' && name[0] != '.' && strlen(name) < NAME_MAX &&
           strstr(name, "..") == NULL;
}

adele_status name_check(const char *name, const char *where) {
    if (!is_case_name(name))
        return FAIL(ADELE_DATA, "Write the bare name of a case, without a folder or \"..\".",
                    "%s: \"%.200s\" is not the name of a case", where, name);
    return ADELE_OK;
}

adele_status name_list_check(const struct file_list *list, const char *path) {
    int i = 0;
    while (i < list->n && is_case_name(list->names[i]))
        i++;
    if (i == list->n)
        return ADELE_OK;
    OWNED char *text = NULL;
    TRY(read_text(path, &text)); // again, for the number of the line
    const char *at = text + mark_bytes(text);
    struct line line = {0};
    for (int k = 0; k <= i && next_line(&at, &line);)
        k++;
    OWNED char *where = memory_printf("%s: line %d", path, line.number);
    TRY(CHECK_MEMORY(where));
    return name_check(list->names[i], where);
}

// Whether the path of n bytes lies in `folder`; its name, without the ending of a picture.
static bool is_picture_of(const char *path, size_t n, const char *folder, const char **name,
                          size_t *name_bytes) {
    char text[PATH_MAX];
    bool is_picture, is_volume;
    size_t folder_bytes = strlen(folder);
    if (n >= sizeof text)
        return false;
    memcpy(text, path, n);
    text[n] = '\0';
    const char *slash = strrchr(text, '/');
    if (slash == NULL || strstr(text, "..") != NULL)
        return false;
    size_t at = (size_t)(slash - text);
    *name = path + at + 1;
    *name_bytes = name_stem_bytes(slash + 1, &is_picture, &is_volume);
    return at >= folder_bytes && strncmp(slash - folder_bytes, folder, folder_bytes) == 0 &&
           (at == folder_bytes || slash[-(ptrdiff_t)folder_bytes - 1] == '/');
}

void name_list_strip_paths(struct file_list *list, const char *images, const char *labels) {
    for (int i = 0; i < list->n; i++) {
        char *line = list->names[i];
        const char *name, *label_name;
        size_t n = strcspn(line, " \t"), bytes, label_bytes;
        const char *second = line + n + strspn(line + n, " \t");
        if (!is_picture_of(line, n, images, &name, &bytes))
            continue;
        bool is_same = *second == '\0' ||
                       (is_picture_of(second, strlen(second), labels, &label_name, &label_bytes) &&
                        label_bytes == bytes && memcmp(name, label_name, bytes) == 0);
        if (!is_same)
            continue;
        memmove(line, name, bytes);
        line[bytes] = '\0';
    }
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

adele_status name_list_add_pictures(const struct file_list *files, struct file_list *out) {
    for (int i = 0; i < files->n; i++) {
        bool is_picture, is_volume;
        size_t bytes = name_stem_bytes(files->names[i], &is_picture, &is_volume);
        if (is_picture)
            TRY(file_list_add(out, files->names[i], bytes));
    }
    return ADELE_OK;
}
