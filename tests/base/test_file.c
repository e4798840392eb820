// SPDX-License-Identifier: MIT
// Files are whole or not there; a failed write leaves the old file and nothing else.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_content(const char *path, const char *want) {
    char *got = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(path, 0, &got, &bytes), ADELE_OK);
    assert_int_equal(bytes, strlen(want));
    assert_string_equal(got, want);
    memory_free(got);
}

// All entries but "." and "..", hidden ones too: a temporary file left behind shows here.
static int count_entries(const char *path) {
    DIR *folder = opendir(path);
    assert_non_null(folder);
    int n = 0;
    while (readdir(folder) != NULL)
        n++;
    (void)closedir(folder);
    return n - 2;
}

static void test_write_and_read(void **state) {
    const char *path = scratch_path(state, "a.txt");
    assert_int_equal(file_write(path, "first", 5), ADELE_OK);
    assert_content(path, "first");
    assert_int_equal(file_write(path, "", 0), ADELE_OK);
    assert_content(path, "");
    assert_int_equal(file_write(path, "third", 5), ADELE_OK);
    assert_content(path, "third");
    assert_int_equal(count_entries(*state), 1);
}

static void test_pieces_of_all_sizes(void **state) {
    const size_t sizes[] = {0, 1, 65535, 1, 1, 65536, 65537, 200000, 3};
    const char *path = scratch_path(state, "pieces");
    char *block = calloc(1, 400000);
    assert_non_null(block);
    for (size_t i = 0; i < 400000; i++)
        block[i] = (char)(i * 7 + i / 251);
    struct file_writer *writer = NULL;
    assert_int_equal(file_writer_begin(path, &writer), ADELE_OK);
    size_t total = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(file_writer_write(writer, block + total, sizes[i]), ADELE_OK);
        total += sizes[i];
    }
    assert_false(file_exists(path)); // not before the commit
    assert_int_equal(file_writer_commit(&writer), ADELE_OK);
    char *got = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(path, total, &got, &bytes), ADELE_OK);
    assert_int_equal(bytes, total);
    assert_memory_equal(got, block, total);
    memory_free(got);
    free(block);
}

static void test_abandon_leaves_nothing(void **state) {
    const char *path = scratch_path(state, "a");
    struct file_writer *writer = NULL;
    assert_int_equal(file_write(path, "old", 3), ADELE_OK);
    assert_int_equal(file_writer_begin(path, &writer), ADELE_OK);
    assert_int_equal(file_writer_write(writer, "new", 3), ADELE_OK);
    assert_int_equal(count_entries(*state), 2);
    file_writer_abandon(writer);
    file_writer_abandon(NULL);
    assert_content(path, "old");
    assert_int_equal(count_entries(*state), 1);
}

static void test_a_failed_write_leaves_the_old_file(void **state) {
    const char *path = scratch_path(state, "a");
    assert_int_equal(file_write(path, "old", 3), ADELE_OK);
    char *big = calloc(1, 300000);
    assert_non_null(big);
    struct rlimit old_limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    struct rlimit limit = {100000, old_limit.rlim_max};
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

    adele_status whole = file_write(path, big, 300000);
    struct file_writer *writer = NULL;
    adele_status begun = file_writer_begin(path, &writer);
    adele_status written = begun == ADELE_OK ? file_writer_write(writer, big, 300000) : begun;
    // A small piece after the failed one would fit, and must not make the file look whole.
    adele_status again = begun == ADELE_OK ? file_writer_write(writer, big, 1) : begun;
    adele_status committed = begun == ADELE_OK ? file_writer_commit(&writer) : begun;
    // A file whose last bytes fail at the commit.
    adele_status late = file_writer_begin(path, &writer);
    for (int i = 0; i < 2 && late == ADELE_OK; i++)
        late = file_writer_write(writer, big, 60000);
    adele_status late_commit = late == ADELE_OK ? file_writer_commit(&writer) : ADELE_OK;

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    (void)signal(SIGXFSZ, old_handler);
    free(big);
    assert_int_equal(whole, ADELE_IO);
    assert_int_equal(begun, ADELE_OK);
    assert_int_equal(written, ADELE_IO);
    assert_int_equal(again, ADELE_IO);
    assert_int_equal(committed, ADELE_IO);
    assert_int_equal(late, ADELE_OK);
    assert_int_equal(late_commit, ADELE_IO);
    assert_content(path, "old");
    assert_int_equal(count_entries(*state), 1);
}

static void test_writing_over_a_folder_fails_and_cleans_up(void **state) {
    const char *path = scratch_path(state, "folder");
    assert_int_equal(file_make_directory(path), ADELE_OK);
    assert_int_equal(file_write(path, "x", 1), ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "folder"));
    assert_int_equal(count_entries(*state), 1);
    assert_int_equal(file_write(scratch_path(state, "none/a"), "x", 1), ADELE_IO);
    assert_int_equal(file_write(scratch_path(state, "folder/"), "x", 1), ADELE_INVALID_ARGUMENT);
}

static void test_a_name_of_the_longest_length(void **state) {
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(file_write(scratch_path(state, name), "x", 1), ADELE_OK);
    assert_content(scratch_path(state, name), "x");
}

static void test_read_refuses(void **state) {
    char *got = (char *)"untouched";
    size_t bytes = 1;
    const char *missing = scratch_path(state, "missing");
    assert_int_equal(file_read(missing, 0, &got, &bytes), ADELE_IO);
    assert_null(got);
    assert_non_null(strstr(adele_error_message(), missing));
    assert_string_not_equal(adele_error_hint(), "");
    assert_int_equal(file_read(*state, 0, &got, &bytes), ADELE_IO);
    const char *path = scratch_path(state, "a");
    assert_int_equal(file_write(path, "12345", 5), ADELE_OK);
    assert_int_equal(file_read(path, 4, &got, &bytes), ADELE_DATA);
    assert_null(got);
    assert_int_equal(file_read(path, 5, &got, &bytes), ADELE_OK);
    assert_int_equal(bytes, 5);
    memory_free(got);
    // stat reports 0 bytes for this file, so only reading shows its size.
    assert_int_equal(file_read("/proc/self/status", 10, &got, &bytes), ADELE_DATA);
    assert_int_equal(file_read("/proc/self/status", 0, &got, &bytes), ADELE_OK);
    assert_true(bytes > 100 && strlen(got) == bytes);
    memory_free(got);
}

static void test_folders(void **state) {
    const char *deep = scratch_path(state, "x/y//z");
    assert_int_equal(file_make_directory(deep), ADELE_OK);
    assert_int_equal(file_make_directory(deep), ADELE_OK);
    assert_true(file_is_directory(scratch_path(state, "x/y/z")));
    assert_int_equal(file_make_directory(scratch_path(state, "x/slash/")), ADELE_OK);
    assert_true(file_is_directory(scratch_path(state, "x/slash")));
    assert_int_equal(file_write(scratch_path(state, "file"), "", 0), ADELE_OK);
    assert_int_equal(file_make_directory(scratch_path(state, "file")), ADELE_IO);
    assert_int_equal(file_make_directory(scratch_path(state, "file/sub")), ADELE_IO);
    assert_int_equal(file_make_directory(""), ADELE_INVALID_ARGUMENT);
    assert_true(file_exists(scratch_path(state, "file")));
    assert_false(file_is_directory(scratch_path(state, "file")));
    assert_false(file_exists(scratch_path(state, "nothing")));
}

static void test_remove_does_not_follow_links(void **state) {
    assert_int_equal(file_make_directory(scratch_path(state, "kept")), ADELE_OK);
    assert_int_equal(file_write(scratch_path(state, "kept/a"), "a", 1), ADELE_OK);
    assert_int_equal(file_make_directory(scratch_path(state, "gone/deep")), ADELE_OK);
    assert_int_equal(file_write(scratch_path(state, "gone/.hidden"), "", 0), ADELE_OK);
    assert_int_equal(file_write(scratch_path(state, "gone/deep/b"), "", 0), ADELE_OK);
    assert_int_equal(symlink("../kept", scratch_path(state, "gone/link")), 0);
    assert_int_equal(file_remove_tree(scratch_path(state, "gone")), ADELE_OK);
    assert_false(file_exists(scratch_path(state, "gone")));
    assert_content(scratch_path(state, "kept/a"), "a");
    assert_int_equal(symlink("kept", scratch_path(state, "link")), 0);
    assert_int_equal(file_remove_tree(scratch_path(state, "link")), ADELE_OK);
    assert_false(file_exists(scratch_path(state, "link")));
    assert_content(scratch_path(state, "kept/a"), "a");
    assert_int_equal(file_remove_tree(scratch_path(state, "kept/a")), ADELE_OK);
    assert_int_equal(file_remove_tree(scratch_path(state, "was never there")), ADELE_OK);
}

static void test_list_is_sorted_without_hidden(void **state) {
    const char *const names[] = {"b", "a10", "a2", ".hidden", "B"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(file_write(scratch_path(state, names[i]), "", 0), ADELE_OK);
    struct file_list list;
    assert_int_equal(file_list_directory(*state, &list), ADELE_OK);
    assert_int_equal(list.n, 4);
    assert_string_equal(list.names[0], "B");
    assert_string_equal(list.names[1], "a10");
    assert_string_equal(list.names[2], "a2");
    assert_string_equal(list.names[3], "b");
    file_list_deinit(&list);
    assert_int_equal(list.n, 0);
    assert_null(list.names);
    file_list_deinit(&list);
    assert_int_equal(file_list_directory(scratch_path(state, "nothing"), &list), ADELE_IO);
    assert_int_equal(file_list_directory(scratch_path(state, "a2"), &list), ADELE_IO);
}

static void test_large_file(void **state) {
    const char *path = scratch_path(state, "large");
    char *big = calloc(1, 150001);
    assert_non_null(big);
    memset(big, 'q', 150000);
    assert_int_equal(file_write(path, big, 150000), ADELE_OK);
    assert_content(path, big);
    free(big);
    assert_int_equal(count_entries(*state), 1);
}

static void test_entries_of_a_folder(void **state) {
    assert_int_equal(file_make_directory(scratch_path(state, "d")), ADELE_OK);
    assert_int_equal(file_write(scratch_path(state, "d/a"), "abc", 3), ADELE_OK);
    assert_true(file_exists_in(*state, "d") && file_is_directory_in(*state, "d"));
    assert_true(file_exists_in(*state, "d/a") && file_exists_in("", scratch_path(state, "d/a")));
    assert_false(file_is_directory_in(*state, "d/a"));
    assert_false(file_exists_in(*state, "a") || file_is_directory_in(*state, "a"));
    char longest[PATH_MAX + 1];
    memset(longest, 'x', PATH_MAX);
    longest[PATH_MAX] = '\0';
    assert_false(file_exists_in(*state, longest) || file_is_directory_in(*state, longest));
}

static void write_keeping(void *const *state, const char *text) {
    struct file_writer *writer = NULL;
    assert_int_equal(file_writer_begin(scratch_path(state, "new"), &writer), ADELE_OK);
    assert_int_equal(file_writer_keep_old(writer, scratch_path(state, "old")), ADELE_OK);
    assert_int_equal(file_writer_write(writer, text, strlen(text)), ADELE_OK);
    assert_int_equal(file_writer_commit(&writer), ADELE_OK);
    assert_content(scratch_path(state, "new"), text);
}

static void test_the_file_before_is_kept(void **state) {
    write_keeping(state, "1");
    assert_int_equal(count_entries(*state), 1); // nothing was there
    write_keeping(state, "2");
    assert_content(scratch_path(state, "old"), "1");
    write_keeping(state, "3");
    assert_content(scratch_path(state, "old"), "2");
    // A process that died between the two renames leaves two names of one file.
    assert_int_equal(unlink(scratch_path(state, "old")), 0);
    char *new_path = memory_strdup(scratch_path(state, "new"));
    assert_int_equal(link(new_path, scratch_path(state, "old")), 0);
    memory_free(new_path);
    write_keeping(state, "4");
    assert_content(scratch_path(state, "old"), "3");
    assert_int_equal(count_entries(*state), 2); // no temporary is left
}

static void touch(const char *path) {
    assert_int_equal(file_write(path, "x", 1), ADELE_OK);
}

static void test_remove_temporaries(void **state) {
    // Left by a writer that was killed: the name that file_writer_begin makes.
    touch(scratch_path(state, ".a.bin.tmp.123.0"));
    touch(scratch_path(state, ".hidden"));
    touch(scratch_path(state, "a.tmp.1"));
    assert_int_equal(file_remove_temporaries(*state), ADELE_OK);
    assert_false(file_exists(scratch_path(state, ".a.bin.tmp.123.0")));
    assert_true(file_exists(scratch_path(state, ".hidden")));
    assert_true(file_exists(scratch_path(state, "a.tmp.1")));
    assert_int_equal(file_remove_temporaries(scratch_path(state, "none")), ADELE_OK);
    assert_int_equal(file_remove_temporaries(scratch_path(state, "a.tmp.1")), ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "a.tmp.1"));
    // A folder with such a name is not a temporary file.
    assert_int_equal(file_make_directory(scratch_path(state, ".d.tmp.1.0")), ADELE_OK);
    assert_int_equal(file_remove_temporaries(*state), ADELE_IO);
}

static void test_a_folder_has_one_writer(void **state) {
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "mine"));
    int first = -1, second = 7;
    assert_int_equal(file_lock_folder(folder, &first), ADELE_IO); // it is not there
    assert_int_equal(file_make_directory(folder), ADELE_OK);
    assert_int_equal(file_lock_folder(folder, &first), ADELE_OK);
    assert_true(first >= 0);
    assert_int_equal(file_lock_folder(folder, &second), ADELE_IO);
    assert_int_equal(second, -1);
    assert_non_null(strstr(adele_error_message(), "another adele"));
    file_unlock(second);
    file_unlock(first);
    assert_int_equal(file_lock_folder(folder, &second), ADELE_OK);
    file_unlock(second);
}

static void test_paths(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *joined = file_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
        memory_free(joined);
    }
    assert_string_equal(file_base_name("a/b.c"), "b.c");
    assert_string_equal(file_base_name("b.c"), "b.c");
    assert_string_equal(file_base_name("a/"), "");
    assert_true(file_has_suffix("SCAN.NII.GZ", ".nii.gz"));
    assert_false(file_has_suffix("scan.nii", ".nii.gz"));
    assert_false(file_has_suffix("gz", ".gz"));
}

static adele_status use_all(void **state) {
    char *got = NULL;
    size_t bytes = 0;
    struct file_list list;
    TRY(file_make_directory(scratch_path(state, "d")));
    TRY(file_write(scratch_path(state, "d/a"), "abc", 3));
    TRY(file_write(scratch_path(state, "d/b"), "abc", 3));
    TRY(file_read(scratch_path(state, "d/b"), 0, &got, &bytes));
    memory_free(got);
    TRY(file_list_directory(scratch_path(state, "d"), &list));
    file_list_deinit(&list);
    return ADELE_OK;
}

static void test_every_allocation_may_fail(void **state) {
    long n = 0;
    for (; n < 1000; n++) {
        memory_fail_at(n);
        adele_status status = use_all(state);
        if (status == ADELE_OK)
            break;
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
    memory_fail_at(-1);
    assert_in_range(n, 10, 100);
    assert_int_equal(count_entries(scratch_path(state, "d")), 2);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_write_and_read),
        WITH_FOLDER(test_pieces_of_all_sizes),
        WITH_FOLDER(test_abandon_leaves_nothing),
        WITH_FOLDER(test_a_failed_write_leaves_the_old_file),
        WITH_FOLDER(test_writing_over_a_folder_fails_and_cleans_up),
        WITH_FOLDER(test_a_name_of_the_longest_length),
        WITH_FOLDER(test_read_refuses),
        WITH_FOLDER(test_folders),
        WITH_FOLDER(test_remove_does_not_follow_links),
        WITH_FOLDER(test_list_is_sorted_without_hidden),
        WITH_FOLDER(test_large_file),
        WITH_FOLDER(test_entries_of_a_folder),
        WITH_FOLDER(test_remove_temporaries),
        WITH_FOLDER(test_the_file_before_is_kept),
        WITH_FOLDER(test_a_folder_has_one_writer),
        cmocka_unit_test(test_paths),
        WITH_FOLDER(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
