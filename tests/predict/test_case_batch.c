// SPDX-License-Identifier: MIT
// Pictures that are predicted in batches have the masks and the scores that they have one by one.
#include "predict/case_batch.h"

#include "base/file.h"
#include "image/image.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N_TEST = 34, CATEGORIES = 3 }; // batches of 4, and two pictures
enum { I_SMALL = 6, SMALL = 30 };     // a picture of another size

static int setup(void **state) {
    char name[64];
    if (tiny_run_setup(state) != 0)
        return -1;
    check_ok(
        tiny_run(state, "run", false, SETS("train.epochs=2", "correction.enabled=false"), NULL));
    struct tiny_set many = tiny_set_default(9);
    many.n_test = N_TEST;
    many.n_train = 1;
    many.n_val = 0;
    many.height = many.width = 40; // the network works at 32 x 28
    tiny_set_write(scratch_path(state, "many"), &many);
    (void)snprintf(name, sizeof name, "many/imagesTs/test_%03d_0000.png", I_SMALL);
    tiny_crop(state, name, SMALL, SMALL);
    (void)snprintf(name, sizeof name, "many/labelsTs/test_%03d.png", I_SMALL);
    tiny_crop(state, name, SMALL, SMALL);
    return 0;
}

static adele_status evaluate(void *const *state, int batch, const char *masks, int crf_iterations,
                             struct score *score, struct case_scores *scores) {
    struct model model;
    struct model_options options;
    enum dataset_split split;
    int n_images = 0;
    model_options_init(&options);
    options.data = scratch_path(state, "many");
    options.masks_folder = scratch_path(state, masks);
    options.inference.batch = batch;
    options.inference.crf_iterations = crf_iterations;
    options.case_scores = scores;
    check_ok(model_load(scratch_path(state, "run"), NULL, "cpu", &model));
    adele_status status = model_evaluate(&model, &options, score, &n_images, &split);
    model_deinit(&model);
    if (status == ADELE_OK)
        assert_int_equal(n_images, N_TEST);
    return status;
}

static void assert_same_masks(void *const *state, const char *a, const char *b) {
    for (int i = 0; i < N_TEST; i++) {
        char path_a[64], path_b[64];
        (void)snprintf(path_a, sizeof path_a, "%s/test_%03d.png", a, i);
        (void)snprintf(path_b, sizeof path_b, "%s/test_%03d.png", b, i);
        if (!same_bytes(scratch_path(state, path_a), scratch_path(state, path_b)))
            fail_msg("%s and %s differ", path_a, path_b);
    }
}

static void check_same(void *const *state, const char *one, const char *four, int crf_iterations) {
    struct score score_of_one, score_of_four;
    struct case_scores of_one = {0}, of_four = {0};
    check_ok(evaluate(state, 1, one, crf_iterations, &score_of_one, &of_one));
    check_ok(evaluate(state, 8, four, crf_iterations, &score_of_four, &of_four));
    assert_same_masks(state, one, four);
    assert_memory_equal(score_of_one.iou, score_of_four.iou, CATEGORIES * sizeof(double));
    assert_int_equal(of_one.n_cases, N_TEST);
    assert_int_equal(of_four.n_cases, N_TEST);
    for (int i = 0; i < N_TEST; i++) {
        assert_string_equal(of_one.cases[i].name, of_four.cases[i].name);
        for (int c = 0; c < CATEGORIES; c++) {
            const struct class_score *a = &of_one.cases[i].classes[c];
            const struct class_score *b = &of_four.cases[i].classes[c];
            assert_int_equal(a->n_labelled, b->n_labelled);
            assert_int_equal(a->n_predicted, b->n_predicted);
            assert_int_equal(a->n_both, b->n_both);
        }
    }
    case_scores_deinit(&of_one);
    case_scores_deinit(&of_four);
}

static void a_batch_has_the_masks_and_scores_of_its_pictures(void **state) {
    check_same(state, "one", "four", 0);
}

static void so_it_has_with_a_crf(void **state) {
    check_same(state, "crf_one", "crf_four", 2);
}

static void a_bad_picture_in_a_batch_is_named(void **state) {
    struct score score;
    const char *path = scratch_path(state, "many/imagesTs/test_013_0000.png");
    assert_int_equal(file_write(path, "no picture", 10), ADELE_OK);
    assert_int_not_equal(evaluate(state, 8, "bad", 0, &score, NULL), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "test_013_0000.png"));
}

static void batches_are_of_small_pictures_and_leave_some_for_all_processes(void **state) {
    (void)state;
    assert_int_equal(case_batch_size(200, 8, 128, 128), 8);
    assert_int_equal(case_batch_size(200, 5, 128, 128), 5);
    assert_int_equal(case_batch_size(50, 8, 128, 128), 6);
    assert_int_equal(case_batch_size(15, 8, 128, 128), 1);
    assert_int_equal(case_batch_size(0, 8, 128, 128), 1);
    assert_int_equal(case_batch_size(1000, 8, 256, 256), 4);
    assert_int_equal(case_batch_size(1000, 8, 512, 512), 1);
    assert_int_equal(case_batch_size(1000, 8, 32768, 32768), 1);
    assert_int_equal(case_batch_size(1000, 4096, 8, 8), CASES_AT_ONCE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_of_small_pictures_and_leave_some_for_all_processes),
        cmocka_unit_test(a_batch_has_the_masks_and_scores_of_its_pictures),
        cmocka_unit_test(so_it_has_with_a_crf),
        cmocka_unit_test(a_bad_picture_in_a_batch_is_named),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
