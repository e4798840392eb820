// SPDX-License-Identifier: MIT
#include "device/engine_cache.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first line; a file with another first line has another format and is replaced.
#define FIRST_LINE "adele engines 1\n"
#define MAX_BYTES  ((size_t)16 << 20)

struct entry {
    char *key, *value;
};
struct engine_cache {
    char *path; // NULL: in memory only
    size_t n, capacity;
    struct entry *entries;
};

static struct entry *find(const struct engine_cache *cache, const char *key) {
    for (size_t i = 0; i < cache->n; i++)
        if (strcmp(cache->entries[i].key, key) == 0)
            return &cache->entries[i];
    return NULL;
}

// False when memory is out; the cache is then as before.
static bool add(struct engine_cache *cache, const char *key, const char *value) {
    if (cache->n == cache->capacity) {
        size_t larger = 2 * cache->capacity + 16;
        struct entry *grown = memory_realloc(cache->entries, larger, sizeof *grown);
        if (grown == NULL)
            return false;
        cache->entries = grown;
        cache->capacity = larger;
    }
    struct entry entry = {memory_strdup(key), memory_strdup(value)};
    if (entry.key == NULL || entry.value == NULL) {
        memory_free(entry.key);
        memory_free(entry.value);
        return false;
    }
    cache->entries[cache->n++] = entry;
    return true;
}

// Adds the lines of the file whose key is new. Lines that are not "key<TAB>value" are skipped.
static void read_lines(struct engine_cache *cache, char *text) {
    char *line = text + strlen(FIRST_LINE);
    for (char *end = strchr(line, '\n'); end != NULL; line = end + 1, end = strchr(line, '\n')) {
        *end = '\0';
        char *tab = strchr(line, '\t');
        if (tab == NULL || tab == line || tab[1] == '\0' || strchr(tab + 1, '\t') != NULL)
            continue;
        *tab = '\0';
        if (find(cache, line) == NULL && !add(cache, line, tab + 1))
            return;
    }
}

static void read_file(struct engine_cache *cache) {
    char *text = NULL;
    size_t bytes = 0;
    if (cache->path == NULL || !file_exists(cache->path) ||
        file_read(cache->path, MAX_BYTES, &text, &bytes) != ADELE_OK)
        return;
    if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0)
        read_lines(cache, text);
    memory_free(text);
}

// Creates the file's folder if it is missing.
static bool make_folder(const char *path) {
    char *folder = path_folder(path);
    bool is_made = folder != NULL && file_make_directory(folder) == ADELE_OK;
    memory_free(folder);
    return is_made;
}

static void write_file(const struct engine_cache *cache) {
    size_t bytes = sizeof FIRST_LINE;
    for (size_t i = 0; i < cache->n; i++)
        bytes += strlen(cache->entries[i].key) + strlen(cache->entries[i].value) + 2;
    char *text = memory_calloc(bytes, 1);
    if (text != NULL && make_folder(cache->path)) {
        char *to = text + snprintf(text, bytes, "%s", FIRST_LINE);
        for (size_t i = 0; i < cache->n; i++)
            to += snprintf(to, bytes - (size_t)(to - text), "%s\t%s\n", cache->entries[i].key,
                           cache->entries[i].value);
        if (file_write(cache->path, text, (size_t)(to - text)) != ADELE_OK)
            to = text; // measured again next time
    }
    memory_free(text);
}

char *engine_cache_path_of(const char *name) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache != NULL && cache[0] == '/') // the XDG standard: ignore relative paths
        return memory_printf("%s/adele/%s", cache, name);
    if (home != NULL && home[0] != '\0')
        return memory_printf("%s/.cache/adele/%s", home, name);
    return NULL;
}

char *engine_cache_path(void) {
    return engine_cache_path_of("engines.txt");
}

struct engine_cache *engine_cache_open(const char *path) {
    struct engine_cache *cache = memory_calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->path = memory_strdup(path);
    if (path != NULL && cache->path == NULL) {
        memory_free(cache);
        return NULL;
    }
    read_file(cache);
    return cache;
}

const char *engine_cache_find(const struct engine_cache *cache, const char *key) {
    const struct entry *entry = cache == NULL ? NULL : find(cache, key);
    return entry == NULL ? NULL : entry->value;
}

void engine_cache_put(struct engine_cache *cache, const char *key, const char *value) {
    if (cache == NULL)
        return;
    struct entry *entry = find(cache, key);
    char *copy = entry == NULL ? NULL : memory_strdup(value);
    if (copy != NULL) {
        memory_free(entry->value);
        entry->value = copy;
    } else if (entry != NULL || !add(cache, key, value)) {
        return;
    }
    if (cache->path == NULL)
        return;
    read_file(cache);
    write_file(cache);
}

void engine_cache_close(struct engine_cache *cache) {
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->n; i++) {
        memory_free(cache->entries[i].key);
        memory_free(cache->entries[i].value);
    }
    memory_free(cache->entries);
    memory_free(cache->path);
    memory_free(cache);
}
