// SPDX-License-Identifier: MIT
// Distances of names, counted by hand, with a swap as one edit and as two.
#include "base/edit_distance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct pair {
    const char *a, *b;
    int one, two; // with a swap as one edit, as two
} pairs[] = {
    {"", "", 0, 0},
    {"train", "train", 0, 0},
    {"", "lr", 2, 2},
    {"train", "trains", 1, 1},
    {"train", "rain", 1, 1},
    {"train", "trail", 1, 1},
    {"trian", "train", 1, 2},
    {"epohcs", "epochs", 1, 2},
    {"ab", "ba", 1, 2},
    {"abcd", "badc", 2, 3},      // three: a is removed, c replaced by a, c added
    {"ca", "abc", 3, 3},         // not "ac" and then "abc": c and a would be edited twice
    {"kitten", "sitting", 3, 3}, // the textbook's
    {"sunday", "saturday", 3, 3},
    {"label_map", "label-map", 1, 1},
};

static void the_distances_are_those_counted_by_hand(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct pair *pair = &pairs[i];
        const int got[] = {edit_distance(pair->a, pair->b, EDIT_SWAP_ONE),
                           edit_distance(pair->b, pair->a, EDIT_SWAP_ONE),
                           edit_distance(pair->a, pair->b, EDIT_SWAP_TWO),
                           edit_distance(pair->b, pair->a, EDIT_SWAP_TWO)};
        if (got[0] != pair->one || got[1] != pair->one || got[2] != pair->two ||
            got[3] != pair->two)
            fail_msg("'%s' and '%s': %d, back %d, wanted %d; a swap as two: %d, back %d, wanted %d",
                     pair->a, pair->b, got[0], got[1], pair->one, got[2], got[3], pair->two);
    }
}

static void the_lower_bound_is_the_difference_of_the_lengths(void **state) {
    (void)state;
    assert_int_equal(edit_distance_least("", "train"), 5);
    assert_int_equal(edit_distance_least("trains", "train"), 1);
    assert_int_equal(edit_distance_least("rain", "lamp"), 0);
}

static void long_names_are_compared_by_their_first_bytes(void **state) {
    char a[3 * EDIT_DISTANCE_MAX] = "", b[3 * EDIT_DISTANCE_MAX] = "";
    (void)state;
    memset(a, 'a', EDIT_DISTANCE_MAX + 5);
    memset(b, 'a', EDIT_DISTANCE_MAX);
    (void)snprintf(b + EDIT_DISTANCE_MAX, EDIT_DISTANCE_MAX, "another end");
    assert_int_equal(edit_distance(a, b, EDIT_SWAP_ONE), 0);
    assert_int_equal(edit_distance_least(a, b), 0);
    b[EDIT_DISTANCE_MAX - 1] = 'b';
    assert_int_equal(edit_distance(a, b, EDIT_SWAP_ONE), 1);
    assert_int_equal(edit_distance("", b, EDIT_SWAP_TWO), EDIT_DISTANCE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distances_are_those_counted_by_hand),
        cmocka_unit_test(the_lower_bound_is_the_difference_of_the_lengths),
        cmocka_unit_test(long_names_are_compared_by_their_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
