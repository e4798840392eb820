// SPDX-License-Identifier: MIT
// The split that is drawn: its size, its seed, and that no patient is on both sides.
#include "base/memory.h"
#include "init/init_choices.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const int map_from[] = {0, 1, 2};
static const uint8_t map_to[] = {0, 1, 1};

static struct dataset *open_set(void *const *state) {
    struct dataset_config config = tiny_config(state, "set");
    config.image_folder = "images";
    config.mask_folder = "masks";
    config.map = (struct label_map){.n = 3, .from = map_from, .to = map_to, .other = -1};
    return tiny_open(&config);
}

static void write_case(void *const *state, const char *split, const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "set/images/%s%s.png", split, name);
    tiny_picture(state, path, TINY_H, TINY_W, 1, 8, 1);
    (void)snprintf(path, sizeof path, "set/masks/%s%s.png", split, name);
    tiny_label(state, path, TINY_H, TINY_W, 3, false, 1);
}

static bool is_val(const struct dataset *dataset, const char *name) {
    for (int i = 0; i < dataset->n_cases[SPLIT_VAL]; i++)
        if (strcmp(dataset->cases[SPLIT_VAL][i].name, name) == 0)
            return true;
    return false;
}

static void single_images_are_divided(void **state) {
    char first[16][16];
    struct split_guess split;
    for (int i = 0; i < 23; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "img_%03d", i);
        write_case(state, "", name);
    }
    for (int seed = 0; seed < 3; seed++) {
        struct dataset *dataset = open_set(state);
        assert_int_equal(split_guess(dataset, seed == 2 ? 7 : 0, &split), ADELE_OK);
        assert_true(split.has_lists && split.is_drawn);
        assert_int_equal(split.n_patients, 0);
        assert_int_equal(dataset->n_cases[SPLIT_VAL], 5);
        assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 18);
        int n_same = 0;
        for (int i = 0; i < 5; i++) {
            const char *name = dataset->cases[SPLIT_VAL][i].name;
            if (seed == 0)
                (void)snprintf(first[i], sizeof first[i], "%s", name);
            n_same += strcmp(first[i], name) == 0;
            for (int k = 0; k < 18; k++)
                assert_string_not_equal(dataset->cases[SPLIT_TRAIN][k].name, name);
        }
        assert_true(seed == 2 ? n_same < 5 : n_same == 5);
        dataset_close(dataset);
    }
}

static void patients_stay_together(void **state) {
    struct split_guess split;
    for (int patient = 0; patient < 12; patient++)
        for (int i = 0; i < 4; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "p%d%c%02d", patient, i == 3 ? '-' : '_', i);
            write_case(state, "", name);
        }
    struct dataset *dataset = open_set(state);
    assert_int_equal(split_guess(dataset, 0, &split), ADELE_OK);
    assert_int_equal(split.n_patients, 12);
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 12); // three patients: the first number above 9.6
    for (int i = 0; i < 36; i++)
        for (int k = 0; k < 12; k++) {
            const char *a = dataset->cases[SPLIT_TRAIN][i].name;
            const char *b = dataset->cases[SPLIT_VAL][k].name;
            assert_false(strcspn(a, "_-") == strcspn(b, "_-") &&
                         strncmp(a, b, strcspn(a, "_-")) == 0);
        }
    dataset_close(dataset);
}

// Two images of each, told apart by a letter.
static void images_with_letters_stay_together(void **state) {
    struct split_guess split;
    for (int i = 0; i < 40; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "patient%02d_%c", i / 2 + 1, 'a' + i % 2);
        write_case(state, "", name);
    }
    struct dataset *dataset = open_set(state);
    assert_int_equal(split_guess(dataset, 0, &split), ADELE_OK);
    assert_int_equal(split.n_patients, 20);
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 8);
    for (int k = 0; k < 8; k++) {
        char other[32];
        (void)snprintf(other, sizeof other, "%s", dataset->cases[SPLIT_VAL][k].name);
        size_t last = strlen(other) - 1;
        other[last] = other[last] == 'a' ? 'b' : 'a';
        assert_true(is_val(dataset, other));
    }
    dataset_close(dataset);
}

// All of one patient: better divided than not at all.
static void one_patient_is_divided(void **state) {
    struct split_guess split;
    for (int i = 0; i < 5; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "p1_%02d", i);
        write_case(state, "", name);
    }
    struct dataset *dataset = open_set(state);
    assert_int_equal(split_guess(dataset, 0, &split), ADELE_OK);
    assert_int_equal(split.n_patients, 0);
    assert_int_equal(dataset->n_cases[SPLIT_VAL], 1);
    dataset_close(dataset);
}

static void splits_of_the_layout_stay(void **state) {
    struct split_guess split;
    write_case(state, "train/", "a");
    write_case(state, "train/", "b");
    write_case(state, "val/", "c");
    struct dataset *dataset = open_set(state);
    assert_int_equal(split_guess(dataset, 0, &split), ADELE_OK);
    assert_false(split.has_lists || split.is_drawn);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    assert_true(is_val(dataset, "c"));
    dataset_close(dataset);
}

// An image without a mask is left out, which needs lists also where the layout has splits.
static void incomplete_cases_are_left_out(void **state) {
    struct split_guess split;
    write_case(state, "train/", "a");
    write_case(state, "train/", "b");
    write_case(state, "val/", "c");
    struct dataset *dataset = open_set(state);
    memory_free(dataset->cases[SPLIT_TRAIN][0].label_path); // as dataset_open leaves it
    dataset->cases[SPLIT_TRAIN][0].label_path = NULL;
    assert_int_equal(split_guess(dataset, 0, &split), ADELE_OK);
    assert_true(split.has_lists && !split.is_drawn);
    assert_int_equal(split.n_left_out, 1);
    assert_int_equal(split.n_without_mask, 1);
    assert_string_equal(split.first_without_mask, "a.png");
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 1);
    assert_string_equal(dataset->cases[SPLIT_TRAIN][0].name, "b");
    memory_free(dataset->cases[SPLIT_TRAIN][0].label_path);
    dataset->cases[SPLIT_TRAIN][0].label_path = NULL;
    assert_int_equal(split_guess(dataset, 0, &split), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "0 training and 1 validation cases have image "
                                                  "and mask (1 cases lack one of them)"));
    dataset_close(dataset);
}

static void every_allocation_may_fail(void **state) {
    struct split_guess split;
    for (int i = 0; i < 6; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "img_%03d", i);
        write_case(state, "", name);
    }
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK; n++) {
        struct dataset *dataset = open_set(state);
        memory_fail_at(n);
        status = split_guess(dataset, 0, &split);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        assert_int_equal(dataset->n_cases[SPLIT_TRAIN] + dataset->n_cases[SPLIT_VAL], 6);
        dataset_close(dataset);
    }
    assert_true(n > 3);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(single_images_are_divided),         TEST(patients_stay_together),
        TEST(images_with_letters_stay_together), TEST(one_patient_is_divided),
        TEST(splits_of_the_layout_stay),         TEST(incomplete_cases_are_left_out),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
