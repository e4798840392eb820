// SPDX-License-Identifier: MIT
// Similar names are compared without Unicode tables: a composed letter in one name (U+00E9) matches
// any letter with combining marks in the other (e, U+0301). So the result is only good for
// messages, never for matching files.
#include "data/folder_cache.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/name_list.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define N_FOLDERS 8

struct folder_cache {
    char *path[N_FOLDERS];
    struct file_list list[N_FOLDERS];
    int i_next;
};

adele_status folder_cache_create(struct folder_cache **out) {
    return ALLOCATE(out, 1);
}

void folder_cache_destroy(struct folder_cache *cache) {
    for (int i = 0; cache != NULL && i < N_FOLDERS; i++) {
        memory_free(cache->path[i]);
        file_list_deinit(&cache->list[i]);
    }
    memory_free(cache);
}

// A folder that does not exist has no entries.
static adele_status list_folder(const struct dataset *dataset, const char *folder,
                                const struct file_list **out) {
    struct folder_cache *cache = dataset->folder_cache;
    for (int i = 0; i < N_FOLDERS; i++)
        if (cache->path[i] != NULL && strcmp(cache->path[i], folder) == 0) {
            *out = &cache->list[i];
            return ADELE_OK;
        }
    int i = cache->i_next;
    cache->i_next = (i + 1) % N_FOLDERS;
    memory_free(cache->path[i]);
    file_list_deinit(&cache->list[i]);
    cache->path[i] = memory_strdup(folder);
    TRY(CHECK_MEMORY(cache->path[i]));
    *out = &cache->list[i];
    if (!file_is_directory(folder))
        return ADELE_OK;
    adele_status status = file_list_directory(folder, &cache->list[i]);
    if (status != ADELE_OK) { // the next call tries again
        memory_free(cache->path[i]);
        cache->path[i] = NULL;
    }
    return status;
}

// The first entry not before `stem`; entries that begin with `stem` follow it.
static int lower_bound(const struct file_list *list, const char *stem) {
    int low = 0, high = list->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(list->names[middle], stem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

adele_status folder_cache_find(const struct dataset *dataset, const char *folder, const char *stem,
                               const char *const *endings, const char **out) {
    const struct file_list *list = NULL;
    size_t bytes = strlen(stem);
    *out = NULL;
    TRY(list_folder(dataset, folder, &list));
    int first = lower_bound(list, stem);
    for (; *endings != NULL; endings++)
        for (int i = first; i < list->n && strncmp(list->names[i], stem, bytes) == 0; i++)
            if (strcasecmp(list->names[i] + bytes, *endings) == 0) {
                *out = list->names[i];
                return ADELE_OK;
            }
    return ADELE_OK;
}

// ---- names that look alike ----------------------------------------------------------------------

// The next code point; a byte that is not valid UTF-8 is returned itself. 0 at the end.
static unsigned next_point(const char **at) {
    const unsigned char *c = (const unsigned char *)*at;
    int n = c[0] >= 0xf0 ? 3 : c[0] >= 0xe0 ? 2 : c[0] >= 0xc0 ? 1 : 0;
    unsigned point = c[0] & (n == 0 ? 0xffu : 0x3fu >> n);
    if (c[0] == 0)
        return 0;
    for (int i = 1; i <= n; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            n = 0;
            point = c[0];
            break;
        }
        point = point << 6 | (c[i] & 0x3f);
    }
    *at += n + 1;
    return point;
}

static bool is_mark(unsigned point) {
    return (point >= 0x300 && point <= 0x36f) || (point >= 0x1ab0 && point <= 0x1aff) ||
           (point >= 0x1dc0 && point <= 0x1dff) || (point >= 0x20d0 && point <= 0x20ff) ||
           point == 0x3099 || point == 0x309a || // Japanese
           (point >= 0x1160 && point <= 0x11ff); // Korean vowels and final consonants
}

// The position after the combining marks at `at`.
static const char *skip_marks(const char *at) {
    const char *next = at;
    while (is_mark(next_point(&next)))
        at = next;
    return at;
}

bool names_look_alike(const char *a, const char *b) {
    while (*a != '\0' && *b != '\0') {
        unsigned x = next_point(&a), y = next_point(&b);
        const char *behind_a = skip_marks(a), *behind_b = skip_marks(b);
        bool is_same = x == y || (x < 0x80 && y < 0x80 && tolower((int)x) == tolower((int)y));
        bool is_x_composed = x >= 0xc0 && behind_b > b, is_y_composed = y >= 0xc0 && behind_a > a;
        if (!is_same && !is_x_composed && !is_y_composed)
            return false;
        a = is_same ? a : behind_a;
        b = is_same ? b : behind_b;
    }
    return *a == '\0' && *b == '\0';
}

// ---- messages -----------------------------------------------------------------------------------

static const char *find_alike(const struct file_list *list, const char *name) {
    char stem[FOLDER_CACHE_TEXT_BYTES];
    for (int i = 0; i < list->n; i++) {
        bool is_picture, is_volume;
        int bytes = (int)name_stem_bytes(list->names[i], &is_picture, &is_volume);
        (void)snprintf(stem, sizeof stem, "%.*s", bytes, list->names[i]);
        if (strcmp(stem, name) != 0 && names_look_alike(stem, name))
            return list->names[i];
    }
    return NULL;
}

// NAME.something, or NAME_0000.something.
static const char *find_other_ending(const struct file_list *list, const char *name) {
    size_t bytes = strlen(name);
    for (int i = lower_bound(list, name); i < list->n && strncmp(list->names[i], name, bytes) == 0;
         i++) {
        const char *rest = list->names[i] + bytes;
        if (rest[0] == '.' || (rest[0] == '_' && strspn(rest + 1, "0123456789") == 4))
            return list->names[i];
    }
    return NULL;
}

static bool is_ascii(const char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

static void describe(const struct file_list *list, const char *folder, const char *name,
                     char *out) {
    const char *other = find_other_ending(list, name);
    const char *alike = other == NULL ? find_alike(list, name) : NULL;
    if (other != NULL)
        (void)snprintf(out, FOLDER_CACHE_TEXT_BYTES, "; %s is there", other);
    else if (alike != NULL && is_ascii(alike) && is_ascii(name))
        (void)snprintf(out, FOLDER_CACHE_TEXT_BYTES, "; %s is there, in other letter case", alike);
    else if (alike != NULL)
        (void)snprintf(
            out, FOLDER_CACHE_TEXT_BYTES,
            "; %s is there, which looks the same but is spelled in other bytes "
            "(composed against decomposed Unicode: convmv -f utf8 -t utf8 --nfc renames)",
            alike);
    else if (!file_is_directory(folder))
        (void)snprintf(out, FOLDER_CACHE_TEXT_BYTES, "; there is no folder %.400s", folder);
    else if (list->n == 0)
        (void)snprintf(out, FOLDER_CACHE_TEXT_BYTES, "; the folder is empty");
    else
        (void)snprintf(out, FOLDER_CACHE_TEXT_BYTES, "; the folder contains %d %s, %s%s", list->n,
                       list->n == 1 ? "entry" : "entries", list->n == 1 ? "" : "the first is ",
                       list->names[0]);
}

void folder_cache_describe(const struct dataset *dataset, const char *folder, const char *name,
                           char out[FOLDER_CACHE_TEXT_BYTES]) {
    const struct file_list *list = NULL;
    out[0] = '\0';
    if (list_folder(dataset, folder, &list) == ADELE_OK)
        describe(list, folder, name, out);
}
