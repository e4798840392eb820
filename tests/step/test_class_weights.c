// SPDX-License-Identifier: MIT
// loss.class_weights: by hand, and in a run.
#include "step/class_weights.h"

#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

// 6, 3 and 1 pixels of three classes, none of the fourth, two ignored. The inverses of 6, 3 and 1
// have the mean 1/2.
static void inverse_frequencies_have_the_mean_one(void **state) {
    (void)state;
    uint8_t labels[12] = {0, 1, 0, 255, 0, 1, 2, 0, 0, 255, 1, 0};
    char *names[] = {"background", "a", "b", "c"};
    struct dataset dataset = {.category_names = names};
    struct config config = {.loss.n_class_weights = CLASS_WEIGHTS_INVERSE};
    struct run_data data = {.config = &config, .dataset = &dataset, .n_categories = 4};
    data.images[SPLIT_TRAIN] =
        (struct dataset_images){.n = 2, .c = 1, .h = 3, .w = 2, .labels = labels};
    float weights[4] = {0};
    bool is_there = false;
    check_ok(class_weights_find(&data, weights, &is_there));
    assert_true(is_there);
    static const float want[] = {1.0f / 3.0f, 2.0f / 3.0f, 2.0f, 1.0f};
    for (int c = 0; c < 4; c++)
        assert_true(fabsf(weights[c] - want[c]) <= 1e-6f);
}

static void numbers_are_those_of_the_configuration(void **state) {
    (void)state;
    struct config config = {.loss = {.n_class_weights = 2, .class_weights = {0.5, 4.0}}};
    config.data.root = "set";
    struct run_data data = {.config = &config, .n_categories = 2};
    float weights[2] = {0};
    bool is_there = false;
    check_ok(class_weights_find(&data, weights, &is_there));
    assert_true(is_there && weights[0] == 0.5f && weights[1] == 4.0f);
    data.n_categories = 3;
    assert_int_equal(class_weights_find(&data, weights, &is_there), ADELE_CONFIG);
    assert_string_equal(adele_error_message(),
                        "loss.class_weights has 2 numbers, but set has 3 classes");
    config.loss.n_class_weights = 0;
    check_ok(class_weights_find(&data, weights, &is_there));
    assert_false(is_there);
}

#define SHORT "train.epochs=1", "train.evaluate_test=false"

// With powers of two every product is exact: the same weight for all leaves each byte as it was.
static void equal_weights_change_nothing(void **state) {
    check_ok(tiny_run(state, "none", false, SETS(SHORT), NULL));
    check_ok(tiny_run(state, "equal", false, SETS(SHORT, "loss.class_weights=[2, 2, 2]"), NULL));
    check_ok(tiny_run(state, "inverse", false, SETS(SHORT, "loss.class_weights=inverse"), NULL));
    char a[4096], b[4096];
    (void)snprintf(a, sizeof a, "%s", scratch_path(state, "none/checkpoints/last.safetensors"));
    (void)snprintf(b, sizeof b, "%s", scratch_path(state, "equal/checkpoints/last.safetensors"));
    assert_true(same_bytes(a, b));
    (void)snprintf(b, sizeof b, "%s", scratch_path(state, "inverse/checkpoints/last.safetensors"));
    assert_false(same_bytes(a, b));
    assert_int_equal(tiny_run(state, "two", false, SETS(SHORT, "loss.class_weights=[1, 2]"), NULL),
                     ADELE_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_frequencies_have_the_mean_one),
        cmocka_unit_test(numbers_are_those_of_the_configuration),
        cmocka_unit_test(equal_weights_change_nothing),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
