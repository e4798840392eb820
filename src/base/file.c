// SPDX-License-Identifier: MIT
// Reading whole files, and writing them whole or not at all.
#include "base/file.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)64 << 10) // gathers small writes: a CSV line is some 100 bytes

// ---- reading ------------------------------------------------------------------------------------

static adele_status too_large(const char *path, size_t max_bytes) {
    return FAIL(ADELE_DATA, "Check that this is the right file.",
                "%s: larger than the %zu bytes allowed for it", path, max_bytes);
}

// Reads `fd` to its end into storage that grows, because the size of a pipe or of a file in /proc
// is not known in advance.
static adele_status read_all(int fd, const char *path, size_t max_bytes, size_t expected,
                             char **out, size_t *out_bytes) {
    size_t capacity = expected + 1; // one more byte shows the end without growing
    size_t used = 0;
    char *bytes = memory_realloc(NULL, capacity + 1, 1); // and one for the NUL
    TRY(CHECK_MEMORY(bytes));
    for (;;) {
        if (used == capacity) {
            size_t larger = capacity + capacity / 2 + BUFFER_BYTES;
            char *grown = memory_realloc(bytes, larger + 1, 1);
            if (grown == NULL) {
                memory_free(bytes);
                return CHECK_MEMORY(grown);
            }
            bytes = grown;
            capacity = larger;
        }
        ssize_t n = read(fd, bytes + used, capacity - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            memory_free(bytes);
            return FAIL_ERRNO("read", path, error);
        }
        if (n == 0)
            break;
        used += (size_t)n;
        if (max_bytes != 0 && used > max_bytes) {
            memory_free(bytes);
            return too_large(path, max_bytes);
        }
    }
    bytes[used] = '\0';
    *out = bytes;
    *out_bytes = used;
    return ADELE_OK;
}

adele_status file_read(const char *path, size_t max_bytes, char **out, size_t *out_bytes) {
    *out = NULL;
    *out_bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return FAIL_ERRNO("open", path, errno);
    adele_status status;
    struct stat info;
    if (fstat(fd, &info) != 0)
        status = FAIL_ERRNO("read", path, errno);
    else if (S_ISDIR(info.st_mode))
        status = FAIL(ADELE_IO, "Name a file in it.", "%s: is a folder, not a file", path);
    else if (S_ISREG(info.st_mode) && max_bytes != 0 && (uint64_t)info.st_size > max_bytes)
        status = too_large(path, max_bytes);
    else if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > SIZE_MAX / 2)
        status = too_large(path, SIZE_MAX / 2);
    else
        status = read_all(fd, path, max_bytes, S_ISREG(info.st_mode) ? (size_t)info.st_size : 0,
                          out, out_bytes);
    (void)close(fd);
    return status;
}

// ---- writing ------------------------------------------------------------------------------------

struct file_writer {
    char *path;
    char *temporary; // beside the target, so that the rename stays in one file system
    char *folder;
    char *keep, *keep_temporary; // second name of the file that is replaced; NULL: it is deleted
    char *buffer;
    size_t n_buffered;
    int fd;          // -1: closed
    bool has_failed; // commit refuses an incomplete file
};

static void writer_free(struct file_writer *writer) {
    if (writer->fd >= 0)
        (void)close(writer->fd);
    memory_free(writer->path);
    memory_free(writer->temporary);
    memory_free(writer->folder);
    memory_free(writer->keep);
    memory_free(writer->keep_temporary);
    memory_free(writer->buffer);
    memory_free(writer);
}

static _Thread_local bool is_sync_delayed;

void file_delay_sync(bool is_delayed) {
    is_sync_delayed = is_delayed;
}

// The process id and a counter make the name unique among all writers of the folder.
static char *temporary_name(const char *folder, const char *name) {
    static atomic_uint n_names;
    // Cut to 200 bytes: a file system allows 255 for the whole name.
    return memory_printf("%s/.%.200s" FILE_TEMPORARY_MARK "%ld.%u", folder, name, (long)getpid(),
                         atomic_fetch_add(&n_names, 1u));
}

adele_status file_writer_begin(const char *path, struct file_writer **out) {
    *out = NULL;
    const char *name = file_base_name(path);
    if (name[0] == '\0')
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a file.", "\"%s\": no file name to write to",
                    path);
    struct file_writer *writer = NULL;
    TRY(ALLOCATE(&writer, 1));
    writer->fd = -1;
    writer->path = memory_strdup(path);
    writer->folder = path_folder(path);
    writer->buffer = memory_calloc(BUFFER_BYTES, 1);
    if (writer->folder != NULL)
        writer->temporary = temporary_name(writer->folder, name);
    if (writer->path == NULL || writer->folder == NULL || writer->buffer == NULL ||
        writer->temporary == NULL) {
        writer_free(writer);
        return CHECK_MEMORY(NULL);
    }
    // A file that a dead process with our id left behind is overwritten; a symbolic link is
    // refused.
    writer->fd =
        open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        int error = errno;
        writer_free(writer);
        return FAIL_ERRNO("write", path, error);
    }
    *out = writer;
    return ADELE_OK;
}

static adele_status write_through(struct file_writer *writer, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(writer->fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            writer->has_failed = true;
            return FAIL_ERRNO("write", writer->path, errno);
        }
        data += n;
        bytes -= (size_t)n;
    }
    return ADELE_OK;
}

static adele_status flush(struct file_writer *writer) {
    size_t bytes = writer->n_buffered;
    writer->n_buffered = 0;
    return write_through(writer, writer->buffer, bytes);
}

adele_status file_writer_write(struct file_writer *writer, const void *data, size_t bytes) {
    if (writer->has_failed)
        return FAIL(ADELE_IO, "", "%s: an earlier write failed", writer->path);
    if (bytes > BUFFER_BYTES - writer->n_buffered)
        TRY(flush(writer));
    if (bytes > BUFFER_BYTES)
        return write_through(writer, data, bytes);
    if (bytes > 0)
        memcpy(writer->buffer + writer->n_buffered, data, bytes);
    writer->n_buffered += bytes;
    return ADELE_OK;
}

adele_status file_writer_keep_old(struct file_writer *writer, const char *keep) {
    memory_free(writer->keep);
    memory_free(writer->keep_temporary);
    writer->keep = memory_strdup(keep);
    writer->keep_temporary = temporary_name(writer->folder, file_base_name(keep));
    TRY(CHECK_MEMORY(writer->keep));
    return CHECK_MEMORY(writer->keep_temporary);
}

// Gives the existing file its second name as well, by a hard link that replaces the older file of
// that name. On a file system without hard links the file is renamed, so that for a moment only the
// second name exists.
static adele_status keep_old(const struct file_writer *writer) {
    if (writer->keep == NULL || !file_exists(writer->path))
        return ADELE_OK;
    (void)unlink(writer->keep_temporary); // of a dead process with our id
    if (link(writer->path, writer->keep_temporary) == 0) {
        int error = file_replace(writer->keep_temporary, writer->keep);
        // rename does nothing when both names are links to one file.
        (void)unlink(writer->keep_temporary);
        return error == 0 ? ADELE_OK : FAIL_ERRNO("write", writer->keep, error);
    }
    int error = errno;
    bool has_links = error != EPERM && error != EOPNOTSUPP && error != ENOSYS && error != EMLINK &&
                     error != EACCES && error != EINVAL;
    if (!has_links)
        error = file_replace(writer->path, writer->keep);
    return error == 0 ? ADELE_OK : FAIL_ERRNO("write", writer->keep, error);
}

adele_status file_writer_commit(struct file_writer **owned) {
    OWNED_BY(file_writer_abandon) struct file_writer *writer = *owned;
    *owned = NULL;
    if (writer->has_failed)
        return FAIL(ADELE_IO, "", "%s: an earlier write failed", writer->path);
    TRY(flush(writer));
    // The target cannot be synced (a pipe, say), so there is nothing more to do.
    if (!is_sync_delayed && fsync(writer->fd) != 0 && errno != EINVAL && errno != EOPNOTSUPP &&
        errno != ENOSYS)
        return FAIL_ERRNO("write", writer->path, errno);
    int closed = close(writer->fd) == 0 ? 0 : errno;
    writer->fd = -1;
    if (closed == 0)
        TRY(keep_old(writer));
    int error = closed == 0 ? file_replace(writer->temporary, writer->path) : closed;
    if (error != 0)
        return FAIL_ERRNO("write", writer->path, error);
    adele_status status = is_sync_delayed ? ADELE_OK : file_sync_folder(writer->folder);
    writer_free(writer);
    writer = NULL;
    return status;
}

void file_writer_abandon(struct file_writer *writer) {
    if (writer == NULL)
        return;
    (void)unlink(writer->temporary);
    writer_free(writer);
}

adele_status file_rename(const char *from, const char *to) {
    int error = file_replace(from, to);
    if (error != 0)
        return FAIL_ERRNO("rename", from, error);
    OWNED char *folder = path_folder(to);
    TRY(CHECK_MEMORY(folder));
    return file_sync_folder(folder);
}

adele_status file_write(const char *path, const void *data, size_t bytes) {
    OWNED_BY(file_writer_abandon) struct file_writer *writer = NULL;
    TRY(file_writer_begin(path, &writer));
    TRY(file_writer_write(writer, data, bytes));
    return file_writer_commit(&writer);
}
