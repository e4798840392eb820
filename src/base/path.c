// SPDX-License-Identifier: MIT
#include "base/path.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return memory_strdup(".");
    if (slash == path)
        return memory_strdup("/");
    return memory_printf("%.*s", (int)(slash - path), path);
}

bool path_identify(const char *path, struct path_id *out) {
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    *out = (struct path_id){(uint64_t)info.st_dev, (uint64_t)info.st_ino};
    return true;
}

bool path_id_equal(struct path_id a, struct path_id b) {
    return a.device == b.device && a.inode == b.inode;
}

bool path_is_same(const char *path_a, const char *path_b) {
    struct path_id a, b;
    return path_identify(path_a, &a) && path_identify(path_b, &b) && path_id_equal(a, b);
}

static adele_status make_absolute(const char *path, char **out) {
    char *here = NULL;
    if (path[0] != '/') {
        here = getcwd(NULL, 0);
        if (here == NULL)
            return FAIL(ADELE_IO, "Change to a folder that is there.",
                        "the current folder cannot be found: %s", strerror(errno));
    }
    *out = here != NULL ? file_join(here, path) : memory_strdup(path);
    free(here); // allocated by getcwd
    return CHECK_MEMORY(*out);
}

// Appends one component of a path to `base`, which has room; ".." removes the last one.
static void append_component(char *base, const char *name, size_t n) {
    if (n == 0 || (n == 1 && name[0] == '.'))
        return;
    if (n == 2 && name[0] == '.' && name[1] == '.') {
        char *slash = strrchr(base, '/');
        if (slash != NULL)
            *slash = '\0';
        return;
    }
    size_t used = strlen(base);
    base[used] = '/';
    memcpy(base + used + 1, name, n);
    base[used + 1 + n] = '\0';
}

// The longest part of `path` (absolute) that exists, resolved, with the rest appended by name.
static adele_status resolve_existing(const char *path, char **out) {
    char *part = memory_strdup(path);
    TRY(CHECK_MEMORY(part));
    size_t length = strlen(part);
    char *real = realpath(part, NULL);
    while (real == NULL && length > 1) {
        while (length > 1 && part[length - 1] == '/')
            length--;
        while (length > 1 && part[length - 1] != '/')
            length--;
        part[length] = '\0';
        real = realpath(part, NULL);
    }
    memory_free(part);
    size_t bytes = (real != NULL ? strlen(real) : 0) + strlen(path) + 2;
    char *found = memory_calloc(bytes, 1);
    if (found != NULL && real != NULL && strcmp(real, "/") != 0)
        memcpy(found, real, strlen(real));
    free(real); // allocated by realpath
    TRY(CHECK_MEMORY(found));
    // When the whole path exists, nothing is left to append.
    for (const char *at = path + (length < strlen(path) ? length : strlen(path)); *at != '\0';) {
        size_t n = strcspn(at, "/");
        append_component(found, at, n);
        at += n + (at[n] == '/');
    }
    if (found[0] == '\0')
        found[0] = '/';
    *out = found;
    return ADELE_OK;
}

adele_status path_resolve(const char *path, char **out) {
    *out = NULL;
    OWNED char *absolute = NULL, *once = NULL;
    TRY(make_absolute(path, &absolute));
    TRY(resolve_existing(absolute, &once));
    // In "new/../set" the folder "new" need not exist: the first pass removes it, and the second
    // one resolves "set".
    return resolve_existing(once, out);
}
