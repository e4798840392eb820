// SPDX-License-Identifier: MIT
#include "device/engine_cache.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_value(const struct engine_cache *cache, const char *key, const char *value) {
    const char *found = engine_cache_find(cache, key);
    if (value == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found, value);
}

static void test_remembers(void **state) {
    const char *path = scratch_path(state, "deep/er/engines.txt");
    struct engine_cache *cache = engine_cache_open(path);
    assert_value(cache, "a", NULL);
    engine_cache_put(cache, "a", "direct");
    engine_cache_put(cache, "b with spaces", "cudnn 1");
    engine_cache_put(cache, "a", "cublas");
    assert_value(cache, "a", "cublas");
    engine_cache_close(cache);
    cache = engine_cache_open(path);
    assert_value(cache, "a", "cublas");
    assert_value(cache, "b with spaces", "cudnn 1");
    assert_value(cache, "b", NULL);
    engine_cache_close(cache);
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(path, 0, &text, &bytes), ADELE_OK);
    assert_string_equal(text, "adele engines 1\na\tcublas\nb with spaces\tcudnn 1\n");
    memory_free(text);
}

static void test_keeps_what_others_wrote(void **state) {
    const char *path = scratch_path(state, "engines.txt");
    struct engine_cache *one = engine_cache_open(path), *two = engine_cache_open(path);
    engine_cache_put(one, "a", "1");
    engine_cache_put(two, "b", "2");
    engine_cache_put(one, "c", "3");
    engine_cache_close(one);
    engine_cache_close(two);
    struct engine_cache *cache = engine_cache_open(path);
    assert_value(cache, "a", "1");
    assert_value(cache, "b", "2");
    assert_value(cache, "c", "3");
    engine_cache_close(cache);
}

static void check_text(void **state, const char *text, size_t bytes, const char *value) {
    const char *path = scratch_path(state, "broken.txt");
    assert_int_equal(file_write(path, text, bytes), ADELE_OK);
    struct engine_cache *cache = engine_cache_open(path);
    assert_non_null(cache);
    assert_value(cache, "a", value);
    engine_cache_put(cache, "n", "new");
    engine_cache_close(cache);
    cache = engine_cache_open(path);
    assert_value(cache, "a", value);
    assert_value(cache, "n", "new");
    engine_cache_close(cache);
}
#define CHECK_TEXT(state, text, value) check_text(state, text, sizeof(text) - 1, value)

static void test_broken_files(void **state) {
    CHECK_TEXT(state, "", NULL);
    CHECK_TEXT(state, "something else\na\t1\n", NULL);
    CHECK_TEXT(state, "adele engines 2\na\t1\n", NULL);
    CHECK_TEXT(state, "adele engines 1\na\t1", NULL); // cut off: the value may be, too
    CHECK_TEXT(state, "adele engines 1\n\t\n\n\tx\nno tab\nb\t\nc\t1\t2\na\t1\n", "1");
    CHECK_TEXT(state, "adele engines 1\na\t1\na\t2\n", "1");
    CHECK_TEXT(state, "adele engines 1\n\0a\t1\n", NULL);
}

static void test_no_file(void **state) {
    struct engine_cache *cache = engine_cache_open(NULL);
    engine_cache_put(cache, "a", "1");
    assert_value(cache, "a", "1");
    engine_cache_close(cache);
    assert_value(NULL, "a", NULL);
    engine_cache_put(NULL, "a", "1");
    engine_cache_close(NULL);
    // A folder stands where the file should: remembered for this run.
    cache = engine_cache_open(scratch_path(state, "."));
    assert_non_null(cache);
    engine_cache_put(cache, "a", "1");
    assert_value(cache, "a", "1");
    engine_cache_close(cache);
}

static void test_path(void **state) {
    (void)state;
    char *path;
    setenv("HOME", "/home/somebody", 1);
    setenv("XDG_CACHE_HOME", "/var/mine", 1);
    path = engine_cache_path();
    assert_string_equal(path, "/var/mine/adele/engines.txt");
    memory_free(path);
    setenv("XDG_CACHE_HOME", "not/absolute", 1);
    path = engine_cache_path();
    assert_string_equal(path, "/home/somebody/.cache/adele/engines.txt");
    memory_free(path);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_null(engine_cache_path());
}

static void test_memory(void **state) {
    const char *path = scratch_path(state, "engines.txt");
    for (long i = 0; i < 20; i++) {
        memory_fail_at(i);
        struct engine_cache *cache = engine_cache_open(path);
        engine_cache_put(cache, "a", "1");
        engine_cache_put(cache, "b", "2");
        memory_fail_at(-1);
        const char *found = engine_cache_find(cache, "a");
        assert_true(found == NULL || strcmp(found, "1") == 0);
        engine_cache_close(cache);
    }
    struct engine_cache *cache = engine_cache_open(path);
    assert_value(cache, "a", "1");
    assert_value(cache, "b", "2");
    engine_cache_close(cache);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_remembers),    IN_FOLDER(test_keeps_what_others_wrote),
        IN_FOLDER(test_broken_files), IN_FOLDER(test_no_file),
        IN_FOLDER(test_memory),       cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
