// SPDX-License-Identifier: MIT
#include "base/fail.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void test_calloc_zeroes_and_refuses_overflow(void **state) {
    (void)state;
    unsigned char *block = memory_calloc(1000, 3);
    assert_non_null(block);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(block[i], 0);
    memory_free(block);
    // volatile: the compiler would otherwise refuse the sizes itself.
    volatile size_t huge = SIZE_MAX / 2;
    assert_null(memory_calloc(huge, 3));
    assert_null(memory_realloc(NULL, huge, 3));
    assert_null(memory_aligned(SIZE_MAX));
}

static void test_nothing_is_something(void **state) {
    (void)state;
    void *a = memory_calloc(0, 8);
    void *b = memory_realloc(NULL, 0, 8);
    void *c = memory_aligned(0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free(NULL);
}

static void test_aligned_blocks_are_aligned(void **state) {
    (void)state;
    const size_t sizes[] = {1, 63, 64, 65, 4097};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = memory_aligned(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 1, sizes[i]);
        memory_free(block);
    }
}

static void test_realloc_keeps_the_content(void **state) {
    (void)state;
    int *values = memory_realloc(NULL, 2, sizeof *values);
    assert_non_null(values);
    values[0] = 4;
    values[1] = 5;
    memory_fail_at(0);
    assert_null(memory_realloc(values, 1000, sizeof *values));
    int *grown = memory_realloc(values, 1000, sizeof *values);
    assert_non_null(grown);
    assert_int_equal(grown[0], 4);
    assert_int_equal(grown[1], 5);
    memory_free(grown);
    memory_fail_at(-1);
}

static void test_texts(void **state) {
    (void)state;
    char *copy = memory_strdup("abc");
    char *printed = memory_printf("%s-%03d", "epoch", 7);
    assert_string_equal(copy, "abc");
    assert_string_equal(printed, "epoch-007");
    assert_null(memory_strdup(NULL));
    memory_free(copy);
    memory_free(printed);
}

static void test_the_chosen_allocation_fails_once(void **state) {
    (void)state;
    memory_fail_at(2);
    void *blocks[5];
    blocks[0] = memory_calloc(1, 1);
    blocks[1] = memory_aligned(1);
    blocks[2] = memory_strdup("x");
    blocks[3] = memory_printf("x");
    blocks[4] = memory_realloc(NULL, 1, 1);
    assert_int_equal(memory_count(), 5);
    for (int i = 0; i < 5; i++) {
        if (i == 2)
            assert_null(blocks[i]);
        else
            assert_non_null(blocks[i]);
        memory_free(blocks[i]);
    }
    memory_fail_at(-1);
    assert_int_equal(memory_count(), 0);
    void *block = memory_calloc(1, 1);
    assert_non_null(block);
    assert_int_equal(memory_count(), 1);
    memory_free(block);
}

static void test_join_lines(void **state) {
    (void)state;
    static const char *const texts[] = {"background", "", "heart"};
    char *joined = memory_join_lines(3, texts);
    assert_string_equal(joined, "background\n\nheart");
    memory_free(joined);
    joined = memory_join_lines(0, texts);
    assert_string_equal(joined, "");
    memory_free(joined);
    memory_fail_at(0);
    assert_null(memory_join_lines(3, texts));
    memory_fail_at(-1);
}

static void allocate_zeroes_and_reports_its_failure(void **state) {
    (void)state;
    double *values = NULL;
    assert_int_equal(ALLOCATE(&values, 3), ADELE_OK);
    for (int i = 0; i < 3; i++)
        assert_true(values[i] == 0.0);
    memory_free(values);
    memory_fail_at(0);
    const int line = __LINE__ + 1;
    assert_int_equal(ALLOCATE(&values, 3), ADELE_NO_MEMORY);
    assert_null(values);
    assert_string_equal(adele_error_message(), "cannot allocate 24 bytes");
    char place[64];
    (void)snprintf(place, sizeof place, "test_memory.c:%d", line);
    assert_string_equal(adele_error_place(), place);
    assert_int_equal(ALLOCATE(&values, -1), ADELE_NO_MEMORY); // a negative count is refused
}

static void grow_keeps_the_elements(void **state) {
    (void)state;
    int *values = NULL;
    for (int n = 0; n < 100; n++) {
        assert_int_equal(GROW(&values, n), ADELE_OK);
        values[n] = n * n;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(values[i], i * i);
    memory_free(values);

    values = NULL;
    assert_int_equal(GROW(&values, 0), ADELE_OK);
    values[0] = 7;
    memory_fail_at(0);
    assert_int_equal(GROW(&values, 1), ADELE_NO_MEMORY);
    assert_string_equal(adele_error_message(), "cannot allocate 8 bytes");
    assert_int_equal(values[0], 7);
    memory_free(values);
}

static void check_memory_reports_a_null_pointer(void **state) {
    (void)state;
    assert_int_equal(CHECK_MEMORY("text"), ADELE_OK);
    memory_fail_at(0);
    const char *text = memory_strdup("letters");
    assert_int_equal(CHECK_MEMORY(text), ADELE_NO_MEMORY);
    assert_string_equal(adele_error_message(), "cannot allocate 8 bytes");
    // The size belongs to one failure. Without one of ours, another library's allocation failed.
    assert_int_equal(CHECK_MEMORY(text), ADELE_NO_MEMORY);
    assert_string_equal(adele_error_message(), "cannot allocate memory");
}

static int n_freed;

static void count_freed(int *value) {
    n_freed += *value;
}

static void count_pointer(int *value) {
    n_freed += *value;
}
OWNER(count_pointer, int)

static adele_status leave_early(bool is_early) {
    int ten = 10;
    CLEANUP(count_freed) int one = 1;
    OWNED_BY(count_pointer) int *pointer = &ten;
    OWNED char *text = NULL;
    TRY(ALLOCATE(&text, 100));
    if (is_early)
        TRY(ADELE_DATA);
    one += 100;
    return ADELE_OK;
}

// The sanitizers see whether `text` is.
static void owned_variables_are_freed_where_their_scope_ends(void **state) {
    (void)state;
    n_freed = 0;
    assert_int_equal(leave_early(true), ADELE_DATA);
    assert_int_equal(n_freed, 11);
    n_freed = 0;
    assert_int_equal(leave_early(false), ADELE_OK);
    assert_int_equal(n_freed, 111);
    memory_fail_at(0);
    assert_int_equal(leave_early(false), ADELE_NO_MEMORY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_lines),
        cmocka_unit_test(test_calloc_zeroes_and_refuses_overflow),
        cmocka_unit_test(test_nothing_is_something),
        cmocka_unit_test(test_aligned_blocks_are_aligned),
        cmocka_unit_test(test_realloc_keeps_the_content),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(allocate_zeroes_and_reports_its_failure),
        cmocka_unit_test(grow_keeps_the_elements),
        cmocka_unit_test(check_memory_reports_a_null_pointer),
        cmocka_unit_test(owned_variables_are_freed_where_their_scope_ends),
        cmocka_unit_test(test_the_chosen_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
