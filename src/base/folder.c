// SPDX-License-Identifier: MIT
// Folders and paths.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

bool file_is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

// False where the path is longer than the system takes: nothing of that name can be opened.
static bool join_into(char path[PATH_MAX], const char *folder, const char *name) {
    int n = snprintf(path, PATH_MAX, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name);
    return n >= 0 && n < PATH_MAX;
}

bool file_exists_in(const char *folder, const char *name) {
    char path[PATH_MAX];
    return join_into(path, folder, name) && file_exists(path);
}

bool file_is_directory_in(const char *folder, const char *name) {
    char path[PATH_MAX];
    return join_into(path, folder, name) && file_is_directory(path);
}

bool file_opens(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

adele_status file_check_regular(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return FAIL(ADELE_IO, file_hint(errno), "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return FAIL(ADELE_DATA, "Put the file itself there.", "%s: %s in the place of a file", path,
                    S_ISDIR(info.st_mode) ? "a folder" : "a pipe or device");
    return ADELE_OK;
}

adele_status file_lock_folder(const char *path, int *lock) {
    *lock = -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // A folder that cannot be read cannot be locked, even if files can be written there.
    if (fd < 0)
        return errno == EACCES ? ADELE_OK : FAIL_ERRNO("open the folder", path, errno);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *lock = fd;
        return ADELE_OK;
    }
    int error = errno;
    (void)close(fd);
    if (error == EWOULDBLOCK)
        return FAIL(ADELE_IO, "Wait for it or stop it, or choose another folder.",
                    "%s: another adele is writing there", path);
    return ADELE_OK;
}

void file_unlock(int lock) {
    if (lock >= 0)
        (void)close(lock);
}

adele_status file_make_directory(const char *path) {
    if (path[0] == '\0')
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a folder.", "no folder name to make");
    OWNED char *part = memory_strdup(path);
    TRY(CHECK_MEMORY(part));
    for (char *c = part + 1;; c++) {
        if (*c != '/' && *c != '\0')
            continue;
        char end = *c;
        *c = '\0';
        // mkdir may report a missing right for a parent that exists, so its existence decides.
        if (mkdir(part, 0777) != 0) {
            int error = errno;
            if (!file_is_directory(part))
                return FAIL_ERRNO("make the folder", part, error);
        }
        if (end == '\0')
            return ADELE_OK;
        *c = end;
    }
}

// ---- removing -----------------------------------------------------------------------------------

static bool is_dot(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// Works on open folders, not on paths, so that a symbolic link that appears meanwhile is removed
// and not followed.
static int remove_at(int parent, const char *name) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    int error = errno;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP ? error : errno;
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        error = errno;
        (void)close(fd);
        return error;
    }
    error = 0;
    struct dirent *entry;
    errno = 0;
    while (error == 0 && (entry = readdir(folder)) != NULL) {
        if (!is_dot(entry->d_name))
            error = remove_at(dirfd(folder), entry->d_name);
        errno = 0;
    }
    if (error == 0)
        error = errno;
    (void)closedir(folder);
    if (error == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        error = errno;
    return error;
}

adele_status file_remove_tree(const char *path) {
    int error = remove_at(AT_FDCWD, path);
    return error == 0 ? ADELE_OK : FAIL_ERRNO("remove", path, error);
}

adele_status file_remove_temporaries(const char *path) {
    DIR *folder = opendir(path);
    if (folder == NULL)
        return errno == ENOENT ? ADELE_OK : FAIL_ERRNO("list the folder", path, errno);
    int error = 0;
    struct dirent *entry;
    errno = 0;
    while (error == 0 && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' && strstr(entry->d_name, FILE_TEMPORARY_MARK) != NULL &&
            unlinkat(dirfd(folder), entry->d_name, 0) != 0 && errno != ENOENT)
            error = errno;
        else
            errno = 0;
    }
    if (error == 0)
        error = errno;
    (void)closedir(folder);
    return error == 0 ? ADELE_OK : FAIL_ERRNO("clean the folder", path, error);
}

// ---- listing ------------------------------------------------------------------------------------

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void file_list_deinit(struct file_list *list) {
    if (list == NULL)
        return;
    for (int i = 0; i < list->n; i++)
        memory_free(list->names[i]);
    memory_free(list->names);
    list->names = NULL;
    list->n = 0;
}

adele_status file_list_add(struct file_list *list, const char *name, size_t n_bytes) {
    TRY(GROW(&list->names, list->n));
    char *copy = NULL;
    TRY(ALLOCATE(&copy, n_bytes + 1));
    memcpy(copy, name, n_bytes);
    list->names[list->n++] = copy;
    return ADELE_OK;
}

adele_status file_list_directory(const char *path, struct file_list *out) {
    *out = (struct file_list){NULL, 0};
    DIR *folder = opendir(path);
    if (folder == NULL)
        return FAIL_ERRNO("list the folder", path, errno);
    adele_status status = ADELE_OK;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            if (errno != 0)
                status = FAIL_ERRNO("list the folder", path, errno);
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        status = file_list_add(out, entry->d_name, strlen(entry->d_name));
        if (status != ADELE_OK)
            break;
    }
    (void)closedir(folder);
    if (status != ADELE_OK) {
        file_list_deinit(out);
        return status;
    }
    if (out->n > 1)
        qsort(out->names, (size_t)out->n, sizeof *out->names, compare_names);
    return ADELE_OK;
}

// ---- paths --------------------------------------------------------------------------------------

char *file_join(const char *folder, const char *name) {
    size_t n = strlen(folder);
    if (n == 0)
        return memory_strdup(name);
    return memory_printf(folder[n - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

const char *file_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool file_has_suffix(const char *path, const char *suffix) {
    size_t n_path = strlen(path);
    size_t n_suffix = strlen(suffix);
    return n_suffix <= n_path && strcasecmp(path + n_path - n_suffix, suffix) == 0;
}
