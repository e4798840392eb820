// SPDX-License-Identifier: MIT
// Files that are read ahead are those of the case, and errors are told in the turn of their case.
#include "predict/case_files.h"

#include "base/fail.h"
#include "base/file.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NONE = -1 };

static void assert_same(const struct dataset_images *found, const struct dataset_images *want) {
    size_t plane = dataset_images_plane_size(want);
    assert_int_equal(found->n, 1);
    assert_int_equal(found->h, want->h);
    assert_int_equal(found->w, want->w);
    assert_int_equal(found->origin[0].i_case, want->origin[0].i_case);
    assert_memory_equal(found->images, want->images, plane * (size_t)want->c);
    assert_memory_equal(found->labels, want->labels, plane);
}

static void take_of(struct case_reader *reader, const struct dataset *dataset, int i, int next,
                    int n_next, bool has_whole) {
    struct case_files files;
    struct dataset_images want;
    assert_int_equal(case_reader_take(reader, i, next, n_next, &files), ADELE_OK);
    assert_int_equal(dataset_load_case(dataset, SPLIT_TRAIN, i, &want), ADELE_OK);
    assert_same(&files.images, &want);
    dataset_images_deinit(&want);
    assert_int_equal(files.whole.n, has_whole ? 1 : 0);
    if (has_whole) {
        assert_int_equal(dataset_read_case(dataset, SPLIT_TRAIN, i, 0, 0, &want), ADELE_OK);
        assert_same(&files.whole, &want);
        dataset_images_deinit(&want);
    }
    assert_true(case_files_bytes(&files) >= dataset_images_plane_size(&files.images) * 2);
    case_files_deinit(&files);
}

static void take(struct case_reader *reader, const struct dataset *dataset, int i, int next,
                 bool has_whole) {
    take_of(reader, dataset, i, next, next != NONE ? 1 : 0, has_whole);
}

static struct dataset *open_set(void **state, int size, struct case_reader **reader) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    if (size > 0)
        config.height = config.width = size;
    struct dataset *dataset = tiny_open(&config);
    const struct case_reader_config of = {
        .dataset = dataset, .split = SPLIT_TRAIN, .wants_whole = true};
    assert_int_equal(case_reader_create(&of, reader), ADELE_OK);
    return dataset;
}

static void cases_in_any_order(void **state) {
    struct case_reader *reader = NULL;
    struct dataset *dataset = open_set(state, 0, &reader);
    take(reader, dataset, 0, 1, false);
    take(reader, dataset, 1, 2, false);
    take(reader, dataset, 0, NONE, false); // another than the one that was read
    take(reader, dataset, 2, 0, false);    // none was
    case_reader_destroy(reader);           // one that nobody takes
    case_reader_destroy(NULL);
    dataset_close(dataset);
}

static void several_cases_are_read_ahead(void **state) {
    struct case_reader *reader = NULL;
    struct dataset *dataset = open_set(state, 0, &reader);
    take_of(reader, dataset, 0, 1, 2, false);
    take_of(reader, dataset, 1, 0, 1, false); // not begun while case 2 is left
    take_of(reader, dataset, 2, 0, 3, false);
    take_of(reader, dataset, 1, 2, 1, false); // case 0 is not wanted any more
    take_of(reader, dataset, 2, NONE, 0, false);
    case_reader_destroy(reader);
    dataset_close(dataset);
}

// Those before it are taken first.
static void an_error_behind_others_is_that_of_its_case(void **state) {
    struct case_reader *reader = NULL;
    struct case_files files;
    struct dataset *dataset = open_set(state, 0, &reader);
    char *path = dataset->cases[SPLIT_TRAIN][2].image_path[0];
    assert_int_equal(file_write(path, "no picture", 10), ADELE_OK);
    take_of(reader, dataset, 0, 1, 2, false);
    take_of(reader, dataset, 1, 2, 1, false);
    assert_int_not_equal(case_reader_take(reader, 2, NONE, 0, &files), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), path));
    case_reader_destroy(reader);
    dataset_close(dataset);
}

static void files_of_another_size_are_read_at_both(void **state) {
    struct case_reader *reader = NULL;
    struct dataset *dataset = open_set(state, 4, &reader);
    take(reader, dataset, 0, 1, true);
    take(reader, dataset, 1, NONE, true);
    case_reader_destroy(reader);
    dataset_close(dataset);
}

static void an_error_is_that_of_its_case(void **state) {
    struct case_reader *reader = NULL;
    struct case_files files;
    struct dataset *dataset = open_set(state, 0, &reader);
    char *path = dataset->cases[SPLIT_TRAIN][1].image_path[0];
    assert_int_equal(file_write(path, "no picture", 10), ADELE_OK);
    take(reader, dataset, 0, 1, false);
    assert_int_not_equal(case_reader_take(reader, 1, 2, 1, &files), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), path));
    assert_int_equal(files.images.n, 0);
    take(reader, dataset, 0, 1, false);
    take(reader, dataset, 2, NONE, false); // the bad one is not wanted any more
    case_reader_destroy(reader);
    dataset_close(dataset);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(cases_in_any_order),
        TEST(several_cases_are_read_ahead),
        TEST(an_error_behind_others_is_that_of_its_case),
        TEST(files_of_another_size_are_read_at_both),
        TEST(an_error_is_that_of_its_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
