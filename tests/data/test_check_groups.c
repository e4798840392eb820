// SPDX-License-Identifier: MIT
// Similar problems are grouped.
#include "base/memory.h"
#include "data/check_groups.h"
#include "data/check_report.h"
#include "data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add_values(struct check_report *report, int n, const char *folder) {
    for (int i = 0; i < n; i++)
        assert_int_equal(check_report_add(report, CHECK_LABEL_OUT_OF_RANGE, true, "Map it.",
                                          "%s/case_%03d.png: value %d at (%d, %d)", folder, i,
                                          9 + i % 3, i, 2 * i),
                         ADELE_OK);
}

static void ninety_masks_are_one_line(void **state) {
    (void)state;
    struct check_report report = {0};
    struct check_group *groups = NULL;
    int n = 0;
    char text[4200];
    add_values(&report, 90, "set/labelsTr");
    assert_int_equal(check_report_add(&report, CHECK_EMPTY_SPLIT, false, "", "set: no val"),
                     ADELE_OK);
    assert_int_equal(check_groups_make(&report, &groups, &n), ADELE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(groups[0].n, 90);
    check_group_text(&groups[0], text, sizeof text);
    assert_string_equal(text, "90 files (first: set/labelsTr/case_000.png: value 9 at (0, 0); also "
                              "case_001.png, case_002.png, case_003.png, case_004.png, ...)");
    check_group_text(&groups[1], text, sizeof text);
    assert_string_equal(text, "set: no val");
    memory_free(groups);
    check_report_deinit(&report);
}

// A group that the line has room for is named as a whole.
static void five_files_are_named(void **state) {
    (void)state;
    for (int n_files = 3; n_files <= 6; n_files++) {
        struct check_report report = {0};
        struct check_group *groups = NULL;
        int n = 0;
        char text[4200];
        for (int i = 0; i < n_files; i++)
            assert_int_equal(check_report_add(&report, CHECK_UNREADABLE, true, "",
                                              "a b/%d.png: it ends after 2%d bytes", i, i),
                             ADELE_OK);
        assert_int_equal(check_groups_make(&report, &groups, &n), ADELE_OK);
        assert_int_equal(n, 1);
        check_group_text(&groups[0], text, sizeof text);
        static const char *const wanted[] = {"1.png, 2.png)", "1.png, 2.png, 3.png)",
                                             "1.png, 2.png, 3.png, 4.png)",
                                             "1.png, 2.png, 3.png, 4.png, ...)"};
        assert_string_equal(strstr(text, "; also ") + 7, wanted[n_files - 3]);
        memory_free(groups);
        check_report_deinit(&report);
    }
}

// Two similar problems form no group, nor do other kinds, severities and messages between them; the
// order is that of the first ones.
static void what_differs_is_told_apart(void **state) {
    (void)state;
    struct check_report report = {0};
    struct check_group *groups = NULL;
    int n = 0;
    add_values(&report, 2, "a");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(check_report_add(&report, CHECK_SIZE_MISMATCH, i % 2 == 0, "",
                                          "b/%d.png: 3 x 4, but b/i/%d.png has 4 x 4", i, i),
                         ADELE_OK);
        assert_int_equal(check_report_add(&report, CHECK_DUPLICATE_CASE, true, "",
                                          "case %c occurs twice", 'a' + i),
                         ADELE_OK);
    }
    assert_int_equal(check_groups_make(&report, &groups, &n), ADELE_OK);
    const int counts[] = {1, 1, 1, 4, 1, 1, 1};
    assert_int_equal(n, 7); // both values, two errors, two warnings of sizes, and the cases
    for (int i = 0; i < n; i++)
        assert_int_equal(groups[i].n, counts[i]);
    char text[4200];
    check_group_text(&groups[3], text, sizeof text);
    assert_string_equal(text, "4 cases (first: case a occurs twice; also b, c, d)");
    memory_free(groups);
    check_report_deinit(&report);
}

static void assert_one_group(const struct check_report *report, const char *wanted) {
    struct check_group *groups = NULL;
    int n = 0;
    char text[4200];
    assert_int_equal(check_groups_make(report, &groups, &n), ADELE_OK);
    assert_int_equal(n, 1);
    check_group_text(&groups[0], text, sizeof text);
    assert_string_equal(text, wanted);
    memory_free(groups);
}

// Their messages begin with the data set's folder, which is no file of theirs.
static void cases_of_one_folder_are_no_files(void **state) {
    (void)state;
    struct check_report cases = {0}, rest = {0};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(check_report_add(&cases, CHECK_MISSING_PARTNER, true, "",
                                          "my bad: case im%02d of the train split has no image", i),
                         ADELE_OK);
        assert_int_equal(
            check_report_add(&rest, CHECK_READING, true, "", "a/set: channel %d is empty", i),
            ADELE_OK);
    }
    assert_one_group(&cases,
                     "8 cases (first: my bad: case im00 of the train split has no image; also "
                     "im01, im02, im03, im04, ...)");
    assert_one_group(&rest, "8 problems (first: a/set: channel 0 is empty)");
    check_report_deinit(&cases);
    check_report_deinit(&rest);
}

static void nothing_is_no_group(void **state) {
    (void)state;
    struct check_report report = {0};
    struct check_group *groups = NULL;
    int n = 1;
    assert_int_equal(check_groups_make(&report, &groups, &n), ADELE_OK);
    assert_int_equal(n, 0);
    memory_free(groups);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct check_report report = {0};
    struct check_group *groups = NULL;
    int n = 0, n_failures = 0;
    add_values(&report, 5, "a");
    for (long i = 0;; i++) {
        memory_fail_at(i);
        adele_status status = check_groups_make(&report, &groups, &n);
        bool has_failed = memory_count() > i;
        memory_fail_at(-1);
        assert_int_equal(status, has_failed ? ADELE_NO_MEMORY : ADELE_OK);
        if (!has_failed)
            break;
        assert_null(groups);
        n_failures++;
    }
    assert_int_equal(n_failures, 2 + 5);
    memory_free(groups);
    check_report_deinit(&report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ninety_masks_are_one_line),
        cmocka_unit_test(five_files_are_named),
        cmocka_unit_test(what_differs_is_told_apart),
        cmocka_unit_test(cases_of_one_folder_are_no_files),
        cmocka_unit_test(nothing_is_no_group),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
