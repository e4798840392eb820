// SPDX-License-Identifier: MIT
// File systems that lack what a local disk has: folders that cannot be synced, names that cannot be
// renamed onto, no links, no rename at all. Files are written all the same. And each errno has a
// hint of its own.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// ---- the calls, as the linker's --wrap names them: 0 lets them through --------------------------

static struct {
    int folder_fsync, file_fsync, link, syncfs;
    int n_syncfs;       // calls
    int rename;         // always
    int rename_onto;    // onto a name that is there
    int n_rename_fails; // the first so many calls, by rename_first
    int rename_first;
} weak;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    errno = S_ISDIR(info.st_mode) ? weak.folder_fsync : weak.file_fsync;
    return errno != 0 ? -1 : __real_fsync(fd);
}

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd) {
    weak.n_syncfs++;
    errno = weak.syncfs;
    return errno != 0 ? -1 : __real_syncfs(fd);
}

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to) {
    errno = weak.link;
    return errno != 0 ? -1 : __real_link(from, to);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
    int error = weak.rename;
    if (error == 0 && file_exists(to))
        error = weak.rename_onto;
    if (error == 0 && weak.n_rename_fails > 0) {
        weak.n_rename_fails--;
        error = weak.rename_first;
    }
    errno = error;
    return error != 0 ? -1 : __real_rename(from, to);
}

static int strong_again(void **state) {
    memset(&weak, 0, sizeof weak);
    return scratch_teardown(state);
}

// ---- writing ------------------------------------------------------------------------------------

static void assert_content(const char *path, const char *want) {
    char *got = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(path, 0, &got, &bytes), ADELE_OK);
    assert_string_equal(got, want);
    memory_free(got);
}

static void assert_entries(const char *path, int n_want) {
    DIR *folder = opendir(path);
    assert_non_null(folder);
    int n = -2; // "." and ".."
    while (readdir(folder) != NULL)
        n++;
    (void)closedir(folder);
    assert_int_equal(n, n_want);
}

static adele_status write_keeping(void *const *state, const char *text) {
    struct file_writer *writer = NULL;
    assert_int_equal(file_writer_begin(scratch_path(state, "last"), &writer), ADELE_OK);
    assert_int_equal(file_writer_write(writer, text, strlen(text)), ADELE_OK);
    assert_int_equal(file_writer_keep_old(writer, scratch_path(state, "previous")), ADELE_OK);
    return file_writer_commit(&writer);
}

// Three checkpoints, the way a run writes them.
static void assert_checkpoints_work(void *const *state) {
    assert_int_equal(write_keeping(state, "one"), ADELE_OK);
    assert_content(scratch_path(state, "last"), "one");
    assert_int_equal(write_keeping(state, "two"), ADELE_OK);
    assert_content(scratch_path(state, "previous"), "one");
    assert_content(scratch_path(state, "last"), "two");
    assert_int_equal(write_keeping(state, "three"), ADELE_OK);
    assert_content(scratch_path(state, "previous"), "two");
    assert_content(scratch_path(state, "last"), "three");
    assert_int_equal(file_write(scratch_path(state, "last"), "four", 4), ADELE_OK);
    assert_content(scratch_path(state, "last"), "four");
    assert_entries(*state, 2);
}

static void count_warnings(void *context, enum log_level level, const char *line) {
    assert_non_null(strstr(line, "cannot be synced"));
    *(int *)context += level == LOG_WARNING;
}

static void folders_that_cannot_be_synced(void **state) {
    static const int errors[] = {EINVAL, ENOTSUP, EOPNOTSUPP, EACCES, EPERM, ENOSYS, EBADF, EIO};
    int n_warnings = 0;
    log_set_sink(count_warnings, &n_warnings);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        weak.folder_fsync = errors[i];
        (void)unlink(scratch_path(state, "last"));
        (void)unlink(scratch_path(state, "previous"));
        assert_checkpoints_work(state);
        assert_int_equal(file_rename(scratch_path(state, "last"), scratch_path(state, "previous")),
                         ADELE_OK);
    }
    log_set_sink(NULL, NULL);
    assert_int_equal(n_warnings, 1); // EIO, logged once
}

// A name that has no room on the disk may be lost: that is a failure.
static void a_folder_without_room_is_an_error(void **state) {
    static const int errors[] = {ENOSPC, EDQUOT};
    for (size_t i = 0; i < 2; i++) {
        weak.folder_fsync = errors[i];
        assert_int_equal(file_write(scratch_path(state, "a"), "x", 1), ADELE_IO);
        assert_string_equal(adele_error_hint(), file_hint(errors[i]));
    }
}

static void files_that_cannot_be_synced(void **state) {
    static const int errors[] = {EINVAL, ENOTSUP, ENOSYS};
    for (size_t i = 0; i < 3; i++) {
        weak.file_fsync = errors[i];
        assert_int_equal(file_write(scratch_path(state, "a"), "x", 1), ADELE_OK);
    }
    weak.file_fsync = EIO; // the content is not on the disk
    assert_int_equal(file_write(scratch_path(state, "a"), "y", 1), ADELE_IO);
    assert_content(scratch_path(state, "a"), "x");
    assert_entries(*state, 1);
}

// Files of a large output are synced together: a disk that fails each sync shows who called it.
static void delayed_files_are_synced_together(void **state) {
    weak.file_fsync = weak.folder_fsync = EIO;
    file_delay_sync(true);
    assert_int_equal(file_write(scratch_path(state, "a"), "x", 1), ADELE_OK);
    file_delay_sync(false);
    assert_content(scratch_path(state, "a"), "x");
    assert_int_equal(file_write(scratch_path(state, "b"), "x", 1), ADELE_IO);
    weak.syncfs = EIO; // some file of them is not on the disk
    assert_int_equal(file_sync_all(*state), ADELE_IO);
    assert_string_equal(adele_error_hint(), file_hint(EIO));
    weak.syncfs = ENOSYS;
    assert_int_equal(file_sync_all(*state), ADELE_OK);
    weak.syncfs = 0;
    assert_int_equal(file_sync_all(*state), ADELE_OK);
    assert_int_equal(weak.n_syncfs, 3);
    assert_int_equal(file_sync_all(scratch_path(state, "none")), ADELE_IO);
    assert_entries(*state, 1);
}

static void names_that_cannot_be_renamed_onto(void **state) {
    static const int errors[] = {EEXIST, EACCES, EPERM, EBUSY, ETXTBSY};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (int has_links = 0; has_links < 2; has_links++) {
            weak.rename_onto = errors[i];
            weak.link = has_links ? 0 : EPERM;
            (void)unlink(scratch_path(state, "last"));
            (void)unlink(scratch_path(state, "previous"));
            assert_checkpoints_work(state);
        }
    }
}

static void folders_without_rename(void **state) {
    static const int errors[] = {ENOSYS, ENOTSUP, EINVAL, EXDEV};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        weak.rename = errors[i];
        weak.link = errors[i] == EXDEV ? EPERM : errors[i];
        (void)unlink(scratch_path(state, "last"));
        (void)unlink(scratch_path(state, "previous"));
        assert_checkpoints_work(state);
    }
}

// The new file can neither take the place nor be put there in steps: the old one comes back.
static void a_file_that_cannot_be_replaced_stays(void **state) {
    assert_int_equal(file_write(scratch_path(state, "a"), "old", 3), ADELE_OK);
    weak.rename = EACCES;
    assert_int_equal(file_write(scratch_path(state, "a"), "new", 3), ADELE_IO);
    assert_string_equal(adele_error_hint(), file_hint(EACCES));
    assert_content(scratch_path(state, "a"), "old");
    assert_entries(*state, 1);
    weak.rename = 0;
    weak.rename_onto = EEXIST; // first call; then aside; then the new one fails, too
    assert_int_equal(file_write(scratch_path(state, "a"), "new", 3), ADELE_OK);
    assert_content(scratch_path(state, "a"), "new");
    weak.rename_onto = 0;
    weak.n_rename_fails = 1;
    weak.rename_first = EIO; // replacing in steps does not help against a failing disk
    assert_int_equal(file_write(scratch_path(state, "a"), "newer", 5), ADELE_IO);
    assert_content(scratch_path(state, "a"), "new");
    assert_entries(*state, 1);
}

// ---- hints --------------------------------------------------------------------------------------

static void every_errno_has_its_hint(void **state) {
    (void)state;
    static const struct {
        int error;
        const char *part;
    } hints[] = {{ENOSPC, "df -h"},
                 {EDQUOT, "quota -s"},
                 {EROFS, "read-only"},
                 {EACCES, "permissions"},
                 {EPERM, "owns"},
                 {ENAMETOOLONG, "255 bytes"},
                 {EMFILE, "ulimit -n"},
                 {ENFILE, "system's limit"},
                 {ENOENT, "not there"},
                 {ENOTDIR, "is a file"},
                 {EISDIR, "a folder of"},
                 {ELOOP, "circle"},
                 {EFBIG, "ulimit -f"},
                 {EBUSY, "Another program"},
                 {ESTALE, "mount the folder"},
                 {EIO, "dmesg"},
                 {EEXIST, "already"},
                 {ENOMEM, "memory"}};
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (!strstr(file_hint(hints[i].error), hints[i].part))
            fail_msg("%s: %s", strerror(hints[i].error), file_hint(hints[i].error));
}

static void failures_have_the_hint_of_their_errno(void **state) {
    char name[4600];
    char *text = NULL;
    size_t bytes = 0;
    (void)snprintf(name, sizeof name, "%s/%0300d", (const char *)*state, 0);
    assert_int_equal(file_make_directory(name), ADELE_IO);
    assert_string_equal(adele_error_hint(), file_hint(ENAMETOOLONG));
    assert_int_equal(file_read(name, 0, &text, &bytes), ADELE_IO);
    assert_string_equal(adele_error_hint(), file_hint(ENAMETOOLONG));
    assert_int_equal(file_read(scratch_path(state, "none"), 0, &text, &bytes), ADELE_IO);
    assert_string_equal(adele_error_hint(), file_hint(ENOENT));
    assert_int_equal(file_write(scratch_path(state, "a"), "x", 1), ADELE_OK);
    assert_int_equal(file_make_directory(scratch_path(state, "a/b")), ADELE_IO); // "a" is a file
    assert_string_equal(adele_error_hint(), file_hint(EEXIST));
    struct file_list list;
    assert_int_equal(file_list_directory(scratch_path(state, "none"), &list), ADELE_IO);
    assert_string_equal(adele_error_hint(), file_hint(ENOENT));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, strong_again)
    const struct CMUnitTest tests[] = {
        TEST(folders_that_cannot_be_synced),
        TEST(a_folder_without_room_is_an_error),
        TEST(files_that_cannot_be_synced),
        TEST(names_that_cannot_be_renamed_onto),
        TEST(folders_without_rename),
        TEST(a_file_that_cannot_be_replaced_stays),
        TEST(delayed_files_are_synced_together),
        TEST(every_errno_has_its_hint),
        TEST(failures_have_the_hint_of_their_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
