// SPDX-License-Identifier: MIT
// train.accumulate: which steps an update takes, the mean of their gradients, and runs that are
// resumed or skip an update.
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "loader/epoch_plan.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// 5 steps an epoch, 13 in all: epoch 3 has 3.
static void updates_end_with_their_epoch(void **state) {
    (void)state;
    const struct epoch_plan plan = {.n_steps = 5, .n_steps_total = 13, .accumulate = 2};
    static const struct update_steps want[] = {{0, 2}, {0, 2}, {2, 4}, {2, 4}, {4, 5}};
    for (int i = 0; i < 5; i++) {
        struct update_steps steps = epoch_plan_update(&plan, 1, i);
        assert_int_equal(steps.first, want[i].first);
        assert_int_equal(steps.end, want[i].end);
    }
    assert_int_equal(epoch_plan_update(&plan, 3, 2).end, 3);
    static const int updates[] = {0, 0, 1, 1, 2, 3}; // done with so many steps
    for (int i = 0; i <= 5; i++)
        assert_int_equal(epoch_plan_updates(&plan, 1, i), updates[i]);
    assert_int_equal(epoch_plan_updates(&plan, 3, 3), 2);
    const struct epoch_plan single = {.n_steps = 5, .n_steps_total = 10, .accumulate = 1};
    assert_int_equal(epoch_plan_update(&single, 1, 3).first, 3);
    assert_int_equal(epoch_plan_update(&single, 1, 3).end, 4);
    assert_int_equal(epoch_plan_updates(&single, 2, 5), 5);
}

// ---- the mean -----------------------------------------------------------------------------------

static void copy_file(void *const *state, const char *from, const char *to) {
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, from), 0, &text, &bytes));
    check_ok(file_write(scratch_path(state, to), text, bytes));
    memory_free(text);
}

// One epoch on n images that are all the same, in batches of 4.
static void train_on_copies(void *const *state, const char *name, int n, const char *accumulate) {
    struct tiny_set set = tiny_set_default(5);
    char root[4096], from[128], to[128];
    (void)snprintf(root, sizeof root, "%s", scratch_path(state, name));
    set.n_train = n;
    tiny_set_write(root, &set);
    for (int i = 1; i < n; i++) {
        (void)snprintf(from, sizeof from, "%s/imagesTr/train_000_0000.png", name);
        (void)snprintf(to, sizeof to, "%s/imagesTr/train_%03d_0000.png", name, i);
        copy_file(state, from, to);
        (void)snprintf(from, sizeof from, "%s/labelsTr/train_000.png", name);
        (void)snprintf(to, sizeof to, "%s/labelsTr/train_%03d.png", name, i);
        copy_file(state, from, to);
    }
    const char *const sets[] = {"train.epochs=1", "correction.enabled=false",
                                "train.evaluate_test=false", accumulate};
    struct config *config = NULL;
    struct trainer_result result;
    char *text = tiny_set_config(root, NULL);
    check_ok(config_parse("t.yaml", text, strlen(text), 4, sets, &config));
    (void)snprintf(to, sizeof to, "%s_run", name);
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, to), .device = "cpu"};
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
    memory_free(text);
}

// The first momenta are the gradients: those of two equal batches are each half of one's, up to the
// rounding of sums in another order.
static void two_equal_batches_are_one(void **state) {
    struct safetensors *one = NULL, *two = NULL;
    train_on_copies(state, "one", 4, "train.accumulate=1");
    train_on_copies(state, "two", 8, "train.accumulate=2");
    check_ok(safetensors_open(scratch_path(state, "one_run/checkpoints/last.safetensors"), &one));
    check_ok(safetensors_open(scratch_path(state, "two_run/checkpoints/last.safetensors"), &two));
    static const char *const names[] = {"momentum.inc.double_conv.0.weight",
                                        "momentum.inc.double_conv.1.weight",
                                        "momentum.outc.conv.weight", "momentum.outc.conv.bias"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct safetensors_entry *a = safetensors_find(one, names[i]);
        const struct safetensors_entry *b = safetensors_find(two, names[i]);
        double difference = 0.0, size = 0.0;
        assert_true(a && b && a->bytes == b->bytes);
        for (size_t j = 0; j < a->bytes / sizeof(float); j++) {
            double x = ((const float *)a->data)[j], y = ((const float *)b->data)[j];
            difference += (x - y) * (x - y);
            size += x * x;
        }
        if (!(size > 0.0) || !(sqrt(difference) <= 1e-3 * sqrt(size)))
            fail_msg("%s differs by %g of %g", names[i], sqrt(difference), sqrt(size));
    }
    safetensors_close(one);
    safetensors_close(two);
}

// ---- runs ---------------------------------------------------------------------------------------

#define ACCUMULATE                                                                                 \
    "train.accumulate=2", "train.epochs=3", "train.evaluate_test=false",                           \
        "correction.enabled=false", "train.optimizer.name=adamw",                                  \
        "train.optimizer.momentum=", "train.optimizer.lr=0.01"

// Of 5 steps an epoch 3 updates. A run that is to stop within one stops behind it.
static void a_resumed_run_is_the_same(void **state) {
    struct safetensors *file = NULL;
    check_ok(tiny_run(state, "whole", false, SETS(ACCUMULATE), NULL));
    for (int n_asked = 1; n_asked <= 5; n_asked += 2) {
        char name[32];
        (void)snprintf(name, sizeof name, "parts%d", n_asked);
        tiny_run_interrupted(state, name, n_asked, SETS(ACCUMULATE));
        check_ok(tiny_run(state, name, true, SETS(ACCUMULATE), NULL));
        tiny_run_assert_same(state, "whole", name);
    }
    check_ok(safetensors_open(scratch_path(state, "whole/checkpoints/last.safetensors"), &file));
    assert_int_equal(((const int64_t *)safetensors_find(file, "adamw.updates")->data)[0], 9);
    safetensors_close(file);
}

// Rates that overflow: the first update makes the weights infinite, and the step after it is named.
static void a_step_that_is_not_finite_is_named(void **state) {
    assert_int_equal(tiny_run(state, "nan", false,
                              SETS("train.accumulate=2", "train.epochs=1",
                                   "train.optimizer.lr=1000", "train.optimizer.weight_decay=1",
                                   "train.optimizer.momentum=1", "train.iterations=400",
                                   "train.evaluate_test=false", "correction.enabled=false"),
                              NULL),
                     ADELE_NUMERIC);
    assert_non_null(strstr(adele_error_message(), "is not finite"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_end_with_their_epoch),
        cmocka_unit_test(two_equal_batches_are_one),
        cmocka_unit_test(a_resumed_run_is_the_same),
        cmocka_unit_test(a_step_that_is_not_finite_is_named),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
