// SPDX-License-Identifier: MIT
// The notes of a table whose values are written down here.
#include "base/memory.h"
#include "support/train_step.h"
#include "sweep/table_rows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void notes_name_what_was_not_corrected_or_not_learned(void **state) {
    const struct adele_table_class learned[] = {{.name = "heart", .lowest = 0.05}};
    const struct adele_table_class low[] = {{.name = "back", .lowest = 0.9},
                                            {.name = "heart", .lowest = 0.004, .n_below = 2},
                                            {.name = "lung", .lowest = 0.0, .n_below = 1},
                                            {.name = "rare", .lowest = NAN}};
    const struct adele_table_row rows[] = {
        {.config = "plain", .noise = "none", .n_runs = 3, .n_classes = 4, .classes = low},
        {.config = "a", .noise = "none", .n_runs = 3, .corrected = {3, 2, 0, 0, 0}},
        {.config = "a", .noise = "flip:0.6", .n_runs = 3, .corrected = {3, 2, 0.3, 0, 1}},
        {.config = "b", .noise = "", .n_runs = 3, .corrected = {1, 2, 0, 0, 0}},
        {.config = "c", .noise = "", .n_runs = 1, .n_classes = 1, .classes = learned},
        {.config = "d", .noise = "", .n_runs = 3, .n_classes = 4, .classes = low}};
    char *notes[MAX_NOTES] = {NULL};
    (void)state;
    check_ok(table_notes_create(&(struct adele_table){.n_rows = 6, .rows = rows}, notes));
    assert_string_equal(notes[0], "Correction is enabled, but no run corrected a class: a with "
                                  "none; b. The end of each run's .out file says why.");
    assert_string_equal(notes[1], "A class ended with an IoU below 0.05: plain with none: class "
                                  "heart has IoU 0.00 (2 of 3 runs), class lung has IoU 0.00 (1 of "
                                  "3 runs); d: class heart has IoU 0.00 (2 of 3 runs), class lung "
                                  "has IoU 0.00 (1 of 3 runs).");
    memory_free(notes[0]);
    memory_free(notes[1]);
}

static void a_table_without_them_has_none(void **state) {
    const struct adele_table_class low[] = {{.name = "heart", .lowest = 0.01, .n_below = 1}};
    struct adele_table_row row = {.config = "a", .noise = "", .n_runs = 1, .n_classes = 1};
    char *notes[MAX_NOTES] = {NULL};
    (void)state;
    row.classes = &(const struct adele_table_class){.name = "heart", .lowest = 0.5};
    check_ok(table_notes_create(&(struct adele_table){.n_rows = 1, .rows = &row}, notes));
    assert_true(notes[0] == NULL && notes[1] == NULL);
    row.classes = low; // the second kind of note alone comes first
    check_ok(table_notes_create(&(struct adele_table){.n_rows = 1, .rows = &row}, notes));
    assert_true(notes[0] != NULL && notes[1] == NULL);
    memory_free(notes[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_name_what_was_not_corrected_or_not_learned),
        cmocka_unit_test(a_table_without_them_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
