// SPDX-License-Identifier: MIT
// scores.csv: what is written, read back, and refused; and two of them compared.
#include "scores/score_cases.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEADER                                                                                     \
    "case,class,unit,labelled,predicted,both,iou,dice,hd95,assd,boundary_iou,lesion_tp,lesion_fp," \
    "lesion_fn\n"

// Three cases of the classes "ground" and "a, b": IoU of the latter 0.5, undefined, 0.25.
static void make(struct case_scores *out, double shift) {
    static const char *const names[] = {"plain", "with, comma and \"quotes\"", "other"};
    static const double ious[] = {0.5, NAN, 0.25};
    check_ok(case_scores_init(out, 2, (char *[]){"ground", "a, b"}, true));
    for (int i = 0; i < 3; i++) {
        struct class_score *classes = NULL;
        check_ok(case_scores_add(out, names[i], &classes));
        for (int c = 0; c < 2; c++) {
            classes[c] = (struct class_score){.n_labelled = 10 + i, .n_predicted = 20, .n_both = 5};
            for (int m = 0; m < SCORE_N_MEASURES; m++)
                classes[c].measures[m] = c == 0 && m > SCORE_dice ? NAN : ious[i] + shift;
        }
        classes[1].lesions = (struct lesion_counts){1 + i, 2, 3};
    }
}

static char *read_text(void *const *state, const char *name) {
    char *text = NULL;
    size_t n = 0;
    check_ok(file_read(scratch_path(state, name), 0, &text, &n));
    return text;
}

static void the_file(void **state) {
    struct case_scores scores;
    make(&scores, 0.0);
    check_ok(case_scores_write(scratch_path(state, "scores.csv"), &scores));
    char *text = read_text(state, "scores.csv");
    assert_string_equal(text,
                        HEADER "plain,ground,mm,10,20,5,0.5,0.5,,,,0,0,0\n"
                               "plain,\"a, b\",mm,10,20,5,0.5,0.5,0.5,0.5,0.5,1,2,3\n"
                               "\"with, comma and \"\"quotes\"\"\",ground,mm,11,20,5,,,,,,0,0,0\n"
                               "\"with, comma and \"\"quotes\"\"\",\"a, b\",mm,11,20,5,,,,,,2,2,3\n"
                               "other,ground,mm,12,20,5,0.25,0.25,,,,0,0,0\n"
                               "other,\"a, b\",mm,12,20,5,0.25,0.25,0.25,0.25,0.25,3,2,3\n");
    memory_free(text);
    case_scores_deinit(&scores);
}

static void what_is_read_is_what_was_written(void **state) {
    struct case_scores scores, read;
    make(&scores, 1.0 / 3.0);
    check_ok(case_scores_write(scratch_path(state, "scores.csv"), &scores));
    check_ok(case_scores_read(scratch_path(state, "scores.csv"), &read));
    assert_int_equal(read.n_cases, 3);
    assert_int_equal(read.n_classes, 2);
    assert_true(read.is_in_mm);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(read.cases[i].name, scores.cases[i].name);
        assert_memory_equal(&read.cases[i].classes[1].lesions, &scores.cases[i].classes[1].lesions,
                            sizeof(struct lesion_counts));
        for (int m = 0; m < SCORE_N_MEASURES; m++) {
            double a = scores.cases[i].classes[1].measures[m];
            double b = read.cases[i].classes[1].measures[m];
            assert_true(a == b || (isnan(a) && isnan(b)));
        }
    }
    // The second writing has the same bytes; line ends of Windows are read too.
    check_ok(case_scores_write(scratch_path(state, "again.csv"), &read));
    char *text = read_text(state, "scores.csv"), *again = read_text(state, "again.csv");
    assert_string_equal(text, again);
    case_scores_deinit(&read);
    tiny_text(state, "windows.csv",
              "case,class,unit,labelled,predicted,both,iou,dice,hd95,assd,boundary_iou,lesion_tp,"
              "lesion_fp,lesion_fn\r\na,b,px,1,1,1,1,1,0,0,1,1,0,0\r\n");
    check_ok(case_scores_read(scratch_path(state, "windows.csv"), &read));
    assert_int_equal(read.cases[0].classes[0].lesions.missed, 0);
    case_scores_deinit(&read);
    case_scores_deinit(&scores);
    memory_free(text);
    memory_free(again);
}

static void a_file_that_is_none_is_named_with_row_and_value(void **state) {
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "1 fields, not 14"},
        {"image,dice\n", "2 fields, not 14"},
        {HEADER, "holds no case"},
        {HEADER "a,b,px,1,1,1,1,1,0,0,1,1,0\n", "row 2: 13 fields"},
        {HEADER "a,b,cm,1,1,1,1,1,0,0,1,1,0,0\n", "row 2: the unit is 'cm'"},
        {HEADER "a,b,px,1,1,1,nan,1,0,0,1,1,0,0\n", "row 2: iou is 'nan'"},
        {HEADER "a,b,px,1,1,1,1.5,1,0,0,1,1,0,0\n", "row 2: iou is '1.5', not from 0 to 1"},
        {HEADER "a,b,px,1,1,1,1,1,-2,0,1,1,0,0\n", "row 2: hd95 is '-2', not a distance"},
        {HEADER "a,b,px,1,1,1,1,1,inf,0,1,1,0,0\n", "row 2: hd95 is 'inf'"},
        {HEADER "a,b,px,1,x,1,1,1,0,0,1,1,0,0\n", "row 2: predicted is 'x', not a whole number"},
        {HEADER "a,b,px,1,1,1,1,1,0,0,1,1,0,0\na,b,px,1,1,1,1,1,0,0,1,1,0,0\n"
                "a,b,px,1,1,1,1,1,0,0,1,1,0,0\nc,d,px,1,1,1,1,1,0,0,1,1,0,0\n",
         "row 5: class 'd' of case 'c', where class b is due"},
        {HEADER "a,b,px,1,1,1,1,1,0,0,1,1,0,0\na,d,px,1,1,1,1,1,0,0,1,1,0,0\n"
                "c,b,px,1,1,1,1,1,0,0,1,1,0,0\n",
         "1 rows of case 'c', not one for each of 2 classes"},
        {HEADER "a,b,px,1,1,1,1,1,0,0,1,1,0,0\nc,b,px,1,1,1,1,1,0,0,1,1,0,0\n"
                "c,b,px,1,1,1,1,1,0,0,1,1,0,0\n",
         "row 4: class 'b' of case 'c', where the next case is due"},
        {HEADER "a,b,px,1,1,1,1,1,0,0,1,1,0,0\nc,b,mm,1,1,1,1,1,0,0,1,1,0,0\n",
         "row 3: the unit is 'mm', not 'px'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct case_scores scores;
        tiny_text(state, "bad.csv", bad[i].text);
        assert_int_equal(case_scores_read(scratch_path(state, "bad.csv"), &scores), ADELE_FORMAT);
        if (!strstr(adele_error_message(), bad[i].message) ||
            !strstr(adele_error_message(), "bad.csv"))
            fail_msg("'%s' does not say '%s'", adele_error_message(), bad[i].message);
        assert_null(scores.cases);
    }
}

// ---- over all cases -----------------------------------------------------------------------------

static void statistics_leave_the_undefined_out(void **state) {
    (void)state;
    struct case_scores scores;
    struct statistic s;
    make(&scores, 0.0);
    check_ok(case_scores_statistic(&scores, 1, SCORE_iou, &s));
    assert_int_equal(s.n, 2);
    assert_true(s.mean == 0.375);
    check_ok(case_scores_statistic(&scores, 0, SCORE_hd95, &s));
    assert_int_equal(s.n, 0);
    check_ok(case_scores_statistic(&scores, 2, SCORE_hd95, &s)); // mean foreground: class 1 alone
    assert_true(s.n == 2 && s.mean == 0.375);
    struct lesion_counts lesions = case_scores_lesions(&scores, 2);
    assert_true(lesions.found == 6 && lesions.falses == 6 && lesions.missed == 9);
    case_scores_deinit(&scores);
}

// ---- comparison ---------------------------------------------------------------------------------

static void add(struct case_scores *scores, const char *name, double value) {
    struct class_score *classes = NULL;
    check_ok(case_scores_add(scores, name, &classes));
    for (int m = 0; m < SCORE_N_MEASURES; m++)
        classes[0].measures[m] = value;
}

static void cases_are_matched_by_name(void **state) {
    (void)state;
    struct case_scores a, b;
    struct score_difference d;
    int match[3];
    check_ok(case_scores_init(&a, 1, (char *[]){"x"}, false));
    check_ok(case_scores_init(&b, 1, (char *[]){"x"}, false));
    add(&a, "two", 0.5), add(&a, "one", 0.25), add(&a, "three", NAN);
    add(&b, "one", 0.5), add(&b, "three", 0.125), add(&b, "two", 1.0);
    check_ok(score_match(&a, "A", &b, "B", match));
    assert_true(match[0] == 2 && match[1] == 0 && match[2] == 1);
    check_ok(score_difference(&a, &b, match, 0, SCORE_dice, &d));
    assert_int_equal(d.b_minus_a.n, 2);
    assert_true(d.mean_a == 0.375 && d.mean_b == 0.75);
    assert_true(d.b_minus_a.mean == 0.375);
    assert_true(d.b_minus_a.low == 0.25 && d.b_minus_a.high == 0.5); // of two values: both
    case_scores_deinit(&a);
    case_scores_deinit(&b);
}

static void assert_refused(const struct case_scores *a, const struct case_scores *b,
                           const char *message) {
    int match[8];
    assert_int_equal(score_match(a, "A", b, "B", match), ADELE_DATA);
    if (!strstr(adele_error_message(), message))
        fail_msg("'%s' does not say '%s'", adele_error_message(), message);
    assert_true(adele_error_hint()[0] != '\0');
}

static void what_differs_is_named(void **state) {
    (void)state;
    struct case_scores a, b, mm, other, more;
    check_ok(case_scores_init(&a, 1, (char *[]){"x"}, false));
    check_ok(case_scores_init(&b, 1, (char *[]){"x"}, false));
    check_ok(case_scores_init(&mm, 1, (char *[]){"x"}, true));
    check_ok(case_scores_init(&other, 1, (char *[]){"y"}, false));
    check_ok(case_scores_init(&more, 2, (char *[]){"x", "y"}, false));
    assert_refused(&a, &mm, "A has distances in px, B in mm");
    assert_refused(&a, &other, "class 0 is 'x' in A and 'y' in B");
    assert_refused(&a, &more, "A has 1 classes, B has 2");
    add(&a, "both", 1.0), add(&b, "both", 1.0);
    add(&a, "left", 1.0);
    assert_refused(&a, &b, "1 case in A alone: left");
    for (int i = 0; i < 6; i++)
        add(&b, ((const char *const[]){"r0", "r1", "r2", "r3", "r4", "r5"})[i], 1.0);
    assert_refused(&a, &b, "1 case in A alone: left; 6 cases in B alone: r0, r1, r2, r3, r4, ...");
    add(&a, "both", 1.0);
    assert_refused(&a, &b, "A has case 'both' twice");
    case_scores_deinit(&a);
    case_scores_deinit(&b);
    case_scores_deinit(&mm);
    case_scores_deinit(&other);
    case_scores_deinit(&more);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file),
        cmocka_unit_test(what_is_read_is_what_was_written),
        cmocka_unit_test(a_file_that_is_none_is_named_with_row_and_value),
        cmocka_unit_test(statistics_leave_the_undefined_out),
        cmocka_unit_test(cases_are_matched_by_name),
        cmocka_unit_test(what_differs_is_named),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
