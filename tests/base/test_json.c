// SPDX-License-Identifier: MIT
#include "base/json.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static adele_status read_text(void **state, const char *text, size_t bytes, cJSON **out) {
    const char *path = scratch_path(state, "in.json");
    assert_int_equal(file_write(path, text, bytes), ADELE_OK);
    return json_read(path, out);
}

static void test_write_and_read(void **state) {
    const char *path = scratch_path(state, "a.json");
    cJSON *value = cJSON_CreateObject();
    assert_non_null(cJSON_AddNumberToObject(value, "miou", 0.1));
    assert_non_null(cJSON_AddStringToObject(value, "name", "he said \"x\"\n"));
    assert_non_null(cJSON_AddNullToObject(value, "none"));
    assert_int_equal(json_write(path, value), ADELE_OK);
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(path, 0, &text, &bytes), ADELE_OK);
    assert_int_equal(text[bytes - 1], '\n');
    memory_free(text);
    cJSON *again = NULL;
    assert_int_equal(json_read(path, &again), ADELE_OK);
    assert_true(cJSON_Compare(value, again, 1));
    cJSON_Delete(value);
    cJSON_Delete(again);
}

static void test_errors_name_the_line(void **state) {
    cJSON *value = NULL;
    const char text[] = "{\n  \"a\": 1,\n  \"b\": oops\n}\n";
    assert_int_equal(read_text(state, text, strlen(text), &value), ADELE_FORMAT);
    assert_null(value);
    assert_non_null(strstr(adele_error_message(), "in.json:3:"));
}

static void test_malformed_texts_are_refused(void **state) {
    static const char *const texts[] = {"",      "   ",    "{",        "[1,]",  "{\"a\" 1}",
                                        "[1] 2", "\"open", "{} trail", "[1, 2", "nul"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cJSON *value = NULL;
        assert_int_equal(read_text(state, texts[i], strlen(texts[i]), &value), ADELE_FORMAT);
        assert_null(value);
    }
    cJSON *value = NULL;
    assert_int_equal(read_text(state, "[1]\0[2]", 7, &value), ADELE_FORMAT);
    // Deep nesting must not use up the stack.
    enum { DEPTH = 200000 };
    char *deep = memory_calloc(DEPTH, 1);
    memset(deep, '[', DEPTH);
    assert_int_equal(read_text(state, deep, DEPTH, &value), ADELE_FORMAT);
    memory_free(deep);
}

static void test_good_texts_are_read(void **state) {
    cJSON *value = NULL;
    assert_int_equal(read_text(state, " [1, 2]\n\n", 9, &value), ADELE_OK);
    assert_int_equal(cJSON_GetArraySize(value), 2);
    cJSON_Delete(value);
}

static void test_missing_file_and_folder(void **state) {
    cJSON *value = NULL;
    assert_int_equal(json_read(scratch_path(state, "none.json"), &value), ADELE_IO);
    cJSON *one = cJSON_CreateNumber(1);
    assert_int_equal(json_write(scratch_path(state, "none/a.json"), one), ADELE_IO);
    cJSON_Delete(one);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_write_and_read),
        WITH_FOLDER(test_errors_name_the_line),
        WITH_FOLDER(test_malformed_texts_are_refused),
        WITH_FOLDER(test_good_texts_are_read),
        WITH_FOLDER(test_missing_file_and_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
