// SPDX-License-Identifier: MIT
// Replaces one file by another, also on file systems that cannot do it in one step: Windows shares
// refuse to rename onto an existing file, object stores and some FUSE mounts support neither rename
// nor fsync of a folder. Also the hints for errors of file systems.
#define _GNU_SOURCE // syncfs
#include "base/file.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)64 << 10)

const char *file_hint(int error) {
    static const struct {
        int error;
        const char *hint;
    } hints[] = {
        {ENOENT, "Check the path: the file or one of its folders is not there."},
        {ENOTDIR, "Check the path: a part of it that should be a folder is a file."},
        {EISDIR, "Name a file: there is a folder of that name."},
        {EEXIST, "Choose another name: something else is there already."},
        {ELOOP, "Check the path: its symbolic links lead in a circle, or a link is in the way."},
        {EACCES, "Check the permissions of the file and of its folder (ls -ld)."},
        {EPERM, "Check who owns the file and its folder, and what the file system allows."},
        {EROFS, "The file system is read-only: choose another folder, or mount it for writing."},
        {ENOSPC, "Free some space on the disk (df -h, df -i), or write to another one."},
        {EDQUOT, "Your quota is used up: delete files of yours there (quota -s), or write to "
                 "another disk."},
        {EFBIG, "The file is larger than the file system or the limit (ulimit -f) allows: write to "
                "another disk, or raise the limit."},
        {ENAMETOOLONG, "Choose shorter names: a name may have 255 bytes, a path 4095."},
        {EMFILE, "Raise this process's limit of open files (ulimit -n)."},
        {ENFILE, "Close other programs: the system's limit of open files is reached."},
        {EBUSY, "Another program uses it: wait for it or stop it."},
        {ETXTBSY, "Another program uses it: wait for it or stop it."},
        {ESTALE, "The server of the network folder has lost it: mount the folder again."},
        {ENOMEM, "Close other programs: the system has no memory left."},
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (hints[i].error == error)
            return hints[i].hint;
    return "Check the disk and its connection (dmesg may say more), then try again.";
}

// ---- replacing ----------------------------------------------------------------------------------

static int write_all(int fd, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int copy_content(int from, int to) {
    char *block = memory_calloc(BLOCK_BYTES, 1);
    if (block == NULL)
        return ENOMEM;
    int error = 0;
    while (error == 0) {
        ssize_t n = read(from, block, BLOCK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            error = errno;
        if (n <= 0)
            break;
        error = write_all(to, block, (size_t)n);
    }
    memory_free(block);
    if (error == 0 && fsync(to) != 0 && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
        error = errno;
    return error;
}

// The last resort where nothing can be renamed: overwrites the file in place. A process that is
// killed meanwhile leaves an incomplete file; a copy that was kept under a second name stays
// complete.
static int write_over(const char *from, const char *to) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return errno;
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    int error = out < 0 ? errno : copy_content(in, out);
    if (out >= 0 && close(out) != 0 && error == 0)
        error = errno;
    (void)close(in);
    if (error == 0)
        (void)unlink(from);
    return error;
}

// Renames the existing file first, and renames it back when the new file cannot be renamed.
static int replace_in_steps(const char *from, const char *to, int error) {
    OWNED char *aside = memory_printf("%s.old", from);
    if (aside == NULL)
        return ENOMEM;
    if (rename(to, aside) == 0) {
        error = rename(from, to) == 0 ? 0 : errno;
        if (error == 0)
            (void)unlink(aside);
        else
            (void)rename(aside, to);
    }
    return error;
}

int file_replace(const char *from, const char *to) {
    if (rename(from, to) == 0)
        return 0;
    int error = errno;
    switch (error) {
    case EEXIST: // how network shares report that the name exists
    case EACCES:
    case EPERM:
    case EBUSY:
    case ETXTBSY:
        return replace_in_steps(from, to, error);
    case ENOSYS: // rename is not supported
    case EOPNOTSUPP:
    case EINVAL:
    case EXDEV:
        return write_over(from, to);
    default:
        return error;
    }
}

// ---- folders ------------------------------------------------------------------------------------

// A rename survives a power failure only once its folder is synced. Many file systems cannot sync a
// folder, or not for every user who may write there. The file itself is synced, so the run
// continues. A full disk is an error, because the new name may then be lost.
adele_status file_sync_folder(const char *folder) {
    static atomic_flag has_warned = ATOMIC_FLAG_INIT;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ADELE_OK;
    int error = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    if (error == ENOSPC || error == EDQUOT)
        return FAIL(ADELE_IO, file_hint(error), "%s: cannot write: %s", folder, strerror(error));
    if (error == EIO && !atomic_flag_test_and_set(&has_warned))
        log_line(
            LOG_WARNING,
            "%s: the folder cannot be synced (%s); the run continues, but the newest files may "
            "be lost when the machine loses power",
            folder, strerror(error));
    return ADELE_OK;
}

adele_status file_sync_all(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        // A folder that may be written but not read: everything is synced, without news of errors.
        if (errno != EACCES)
            return FAIL_ERRNO("open the folder", folder, errno);
        sync();
        return ADELE_OK;
    }
    int error = syncfs(fd) == 0 ? 0 : errno;
    (void)close(fd);
    bool can_sync = error != EINVAL && error != EOPNOTSUPP && error != ENOSYS;
    return error == 0 || !can_sync ? ADELE_OK : FAIL_ERRNO("write", folder, error);
}
