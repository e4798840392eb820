// SPDX-License-Identifier: MIT
// Which classes follow from which values of masks.
#include "base/memory.h"
#include "data/label_lookup.h"
#include "init/init_choices.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

// One mask whose rows hold the values, ascending; the first value has most of the pixels.
static struct mask_values values_of(const int *values, int n, int n_first) {
    struct mask_values out = {0};
    int32_t pixels[4096];
    int n_pixels = 0;
    for (int i = 0; i < n_first; i++)
        pixels[n_pixels++] = values[0];
    for (int i = 1; i < n; i++)
        pixels[n_pixels++] = values[i];
    struct case_labels labels = {
        .n_slices = 1, .height = 1, .width = n_pixels, .values = pixels, .n_bits = 8};
    assert_int_equal(mask_values_add(&out, &labels), ADELE_OK);
    return out;
}

#define VALUES(...)                                                                                \
    values_of((const int[]){__VA_ARGS__}, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)), \
              10)

// "0=background 255=foreground"; the values that are ignored as "other=255".
static void expect(struct dataset *dataset, struct mask_values values, const char *want) {
    struct label_guess found;
    char text[1024] = "";
    if (label_guess(dataset, &values, &found) != ADELE_OK)
        fail_msg("wanted '%s', got the error %s", want, adele_error_message());
    for (int i = 0; i < found.n; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s%d=%s", i > 0 ? " " : "", found.from[i],
                       found.names[found.to[i]]);
    }
    size_t used = strlen(text);
    if (found.n > 0 && found.other >= 0)
        (void)snprintf(text + used, sizeof text - used, " other=%d", found.other);
    if (found.n > 0)
        assert_non_null(found.why);
    assert_string_equal(text, want);
    label_guess_deinit(&found);
    mask_values_deinit(&values);
}

static void refuse(struct dataset *dataset, struct mask_values values, const char *what) {
    struct label_guess found;
    assert_int_equal(label_guess(dataset, &values, &found), ADELE_DATA);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("'%s' does not say '%s'", adele_error_message(), what);
    assert_true(adele_error_hint()[0] != '\0');
    mask_values_deinit(&values);
}

static void values_without_names(void **state) {
    (void)state;
    struct dataset dataset = {.root = "set", .layout = LAYOUT_IMG_ANN, .ignore_value = 255};
    expect(&dataset, VALUES(0, 255), "0=background 255=foreground");
    expect(&dataset, VALUES(0, 1), "0=background 1=foreground");
    expect(&dataset, VALUES(0, 128), "0=background 128=foreground");
    expect(&dataset, VALUES(0, 1, 2, 3), "0=background 1=class_1 2=class_2 3=class_3");
    // Beside 1 the value 255 is "ignored", which needs no entry; among gray values it is a class.
    expect(&dataset, VALUES(0, 1, 255), "0=background 1=foreground");
    expect(&dataset, VALUES(0, 1, 2, 255), "0=background 1=class_1 2=class_2");
    expect(&dataset, VALUES(0, 128, 255), "0=background 128=class_1 255=class_2");
    expect(&dataset, VALUES(1, 2, 3), "1=background 2=class_1 3=class_2");
    expect(&dataset, VALUES(-1, 0, 70000), "-1=background 0=class_1 70000=class_2");
}

static void gray_edges_are_ignored(void **state) {
    (void)state;
    struct dataset dataset = {.root = "set", .layout = LAYOUT_IMG_ANN, .ignore_value = 255};
    int values[40] = {0};
    for (int i = 1; i < 39; i++)
        values[i] = 6 * i;
    values[39] = 255;
    expect(&dataset, values_of(values, 40, 1000), "0=background 255=foreground other=255");
}

static void values_that_are_no_classes(void **state) {
    (void)state;
    struct dataset dataset = {.root = "set", .layout = LAYOUT_IMG_ANN, .ignore_value = 255};
    int values[1500];
    refuse(&dataset, VALUES(0), "set: all pixels of all masks have one value: 0");
    refuse(&dataset, VALUES(7), "all pixels of all masks have one value: 7");
    for (int i = 0; i < 1500; i++)
        values[i] = 3 * i;
    refuse(&dataset, values_of(values, 300, 10),
           "the masks hold too many values to be classes: 0, 3, 6, 9, 12, 15, 18, 21, ...");
    refuse(&dataset, values_of(values, 1500, 10), "too many values");
}

static void names_of_the_layout_are_kept(void **state) {
    (void)state;
    char *two[] = {"ground", "lung"}, *three[] = {"ground", "lung", "heart"};
    char *gap[] = {"ground", "unnamed", "heart"};
    struct dataset dataset = {.root = "set", .layout = LAYOUT_IMG_ANN, .ignore_value = 255};
    dataset.own_names.names = two;
    dataset.own_names.n = 2;
    expect(&dataset, VALUES(0, 1), ""); // no label_map is needed
    expect(&dataset, VALUES(0, 1, 255), "");
    expect(&dataset, VALUES(0, 255), "0=ground 255=lung");
    expect(&dataset, VALUES(0, 1, 9), "0=ground 1=lung other=255");
    expect(&dataset, VALUES(0, 70, 90), "0=background 70=class_1 90=class_2");
    dataset.own_names.names = three;
    dataset.own_names.n = 3;
    expect(&dataset, VALUES(0, 2), "");
    expect(&dataset, VALUES(0, 128, 255), "0=ground 128=lung 255=heart");
    dataset.own_names.names = gap;
    expect(&dataset, VALUES(0, 2), "0=ground 2=heart");
}

static void regions_become_classes(void **state) {
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"T1\"}, \"file_ending\": \".png\", \"labels\": "
              "{\"background\": 0, \"whole\": [1, 2, 3], \"core\": [2, 3], \"active\": 3, "
              "\"ignore\": 4}, \"regions_class_order\": [1, 2, 3]}");
    char root[4096];
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, "set"));
    struct dataset dataset = {.root = root, .layout = LAYOUT_NNUNET, .ignore_value = 4};
    expect(&dataset, VALUES(0, 1, 2, 3), "0=background 1=whole 2=core 3=active");
    // A region whose values all belong to later ones has no pixels of its own.
    tiny_text(state, "set/dataset.json",
              "{\"labels\": {\"all\": [1, 2], \"background\": 0, \"left\": [1, 2]}}");
    expect(&dataset, VALUES(0, 1, 2), "0=background 1=left 2=left");
    // What is no number is no value.
    tiny_text(state, "set/dataset.json",
              "{\"labels\": {\"background\": 0, \"a\": [[1]], \"b\": [\"2\", null, {}], \"c\": [], "
              "\"d\": [1e300, -3], \"e\": [2]}}");
    expect(&dataset, VALUES(0, 1, 2), "0=background 2=e");
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct dataset dataset = {.root = "set", .layout = LAYOUT_IMG_ANN, .ignore_value = 255};
    struct mask_values values = VALUES(0, 1, 2);
    struct label_guess found;
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK; n++) {
        memory_fail_at(n);
        status = label_guess(&dataset, &values, &found);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || (status == ADELE_NO_MEMORY && found.from == NULL));
    }
    assert_true(n > 5);
    label_guess_deinit(&found);
    mask_values_deinit(&values);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(values_without_names),       TEST(gray_edges_are_ignored),
        TEST(values_that_are_no_classes), TEST(names_of_the_layout_are_kept),
        TEST(regions_become_classes),     TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
