// SPDX-License-Identifier: MIT
// train.average: the average of a run against its definition, and where it is the model.
#include "step/averaged_weights.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "predict/model.h"
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

#define PLAIN "loss.form=plain", "correction.enabled=false", "train.average=true"

static struct safetensors *open_checkpoint(void *const *state, const char *run, const char *name) {
    struct safetensors *file = NULL;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/checkpoints/%s.safetensors", run, name);
    check_ok(safetensors_open(scratch_path(state, path), &file));
    return file;
}

static const float *values(const struct safetensors *file, const char *prefix, const char *name,
                           size_t *n) {
    char full[256];
    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    const struct safetensors_entry *entry = safetensors_find(file, full);
    if (entry == NULL)
        fail_msg("no tensor %s", full);
    *n = entry->bytes / sizeof(float);
    return entry->data;
}

// average += (1 - d) (weights - average), in float, from the averages of `before`. A device may
// contract the product and the sum, so that the last bits may differ.
static void assert_updated(const struct safetensors *before, const struct safetensors *after,
                           const char *name, double t) {
    size_t n[3];
    double d = fmin(0.99, (1.0 + t) / (10.0 + t)), largest = 0.0;
    const float *old = values(before, "average.", name, &n[0]);
    const float *average = values(after, "average.", name, &n[1]);
    const float *weights = values(after, "model.", name, &n[2]);
    assert_true(n[0] > 0 && n[0] == n[1] && n[1] == n[2]);
    for (size_t i = 0; i < n[0]; i++) {
        double want = old[i] + (1.0 - d) * ((double)weights[i] - old[i]);
        double scale = fabs((double)old[i]) + fabs((double)weights[i]);
        assert_true(fabs(average[i] - want) <= 4e-7 * scale);
        largest = fmax(largest, fabs((double)average[i] - old[i]));
    }
    assert_true(largest > 0.0);
}

// Runs that end after 1, 2 and 3 updates, between which alone a run stops; running statistics are
// averaged like weights.
static void each_update_moves_the_average(void **state, const char *name, const char *const *sets) {
    struct safetensors *files[3];
    char run[64];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(run, sizeof run, "%s%d", name, i);
        tiny_run_interrupted(state, run, i + 1, sets);
        files[i] = open_checkpoint(state, run, "last");
    }
    for (int i = 1; i < 3; i++) {
        assert_updated(files[i - 1], files[i], "inc.double_conv.0.weight", i);
        assert_updated(files[i - 1], files[i], "inc.double_conv.1.running_mean", i);
        assert_updated(files[i - 1], files[i], "inc.double_conv.1.running_var", i);
    }
    for (int i = 0; i < 3; i++)
        safetensors_close(files[i]);
}

static void with_sgd(void **state) {
    each_update_moves_the_average(state, "sgd", SETS(PLAIN));
}

static void with_adamw(void **state) {
    each_update_moves_the_average(
        state, "adamw", SETS(PLAIN, "train.optimizer.name=adamw", "train.optimizer.momentum=0.99"));
}

static void with_parts(void **state) {
    each_update_moves_the_average(state, "parts", SETS(PLAIN, "train.parts=2"));
}

static void with_two_steps_an_update(void **state) {
    each_update_moves_the_average(state, "accumulate",
                                  SETS(PLAIN, "train.accumulate=2", "train.batch=3"));
}

// t goes on across epochs, also where an epoch's last update has fewer steps.
static void updates_are_counted_across_epochs(void **state) {
    (void)state;
    struct epoch_plan plan = {.n_steps = 5, .accumulate = 2, .n_epochs = 4, .n_steps_total = 20};
    assert_true(averaged_weights_decay(&plan, 1, 0) == 0.1f);
    assert_true(averaged_weights_decay(&plan, 1, 1) == 0.1f);
    assert_true(averaged_weights_decay(&plan, 1, 2) == (float)(2.0 / 11.0));
    assert_true(averaged_weights_decay(&plan, 1, 4) == (float)(3.0 / 12.0));
    assert_true(averaged_weights_decay(&plan, 2, 0) == (float)(4.0 / 13.0));
    assert_true(averaged_weights_decay(&plan, 1000000, 0) == 0.99f);
}

// ---- the model of a run -------------------------------------------------------------------------

static void assert_same_values(const struct safetensors *a, const char *prefix_a,
                               const struct safetensors *b, const char *prefix_b, bool is_same) {
    size_t n[2];
    const char *name = "outc.conv.weight";
    const float *x = values(a, prefix_a, name, &n[0]), *y = values(b, prefix_b, name, &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_true((memcmp(x, y, n[0] * sizeof *x) == 0) == is_same);
}

static float first_weight(void *const *state, const char *run) {
    struct model model;
    float *weights = NULL;
    check_ok(model_load(scratch_path(state, run), NULL, "cpu", &model));
    check_ok(network_download(model.network, &weights));
    float first = weights[0];
    memory_free(weights);
    model_deinit(&model);
    return first;
}

// train.best_by: last keeps the model of the last epoch as the best one.
static void the_average_is_the_model(void **state) {
    size_t n = 0;
    struct trainer_result with, without;
    check_ok(
        tiny_run(state, "with", false, SETS(PLAIN, "train.epochs=2", "train.best_by=last"), &with));
    check_ok(tiny_run(
        state, "without", false,
        SETS(PLAIN, "train.epochs=2", "train.best_by=last", "train.evaluate_averaged=false"),
        &without));
    struct safetensors *last = open_checkpoint(state, "with", "last");
    struct safetensors *best = open_checkpoint(state, "with", "best");
    struct safetensors *raw = open_checkpoint(state, "without", "best");
    assert_same_values(last, "average.", best, "model.", true);
    assert_same_values(last, "model.", best, "model.", false);
    assert_same_values(last, "model.", raw, "model.", true);
    assert_null(safetensors_find(best, "average.outc.conv.weight"));
    assert_true(with.val_miou != without.val_miou);
    assert_true(first_weight(state, "with") ==
                values(last, "average.", "inc.double_conv.0.weight", &n)[0]);
    assert_true(first_weight(state, "without") ==
                values(last, "model.", "inc.double_conv.0.weight", &n)[0]);
    safetensors_close(last);
    safetensors_close(best);
    safetensors_close(raw);
}

// The average alone changes neither the weights nor what a run does with them.
static void training_does_not_depend_on_it(void **state) {
    check_ok(tiny_run(
        state, "none", false,
        SETS("loss.form=plain", "correction.enabled=false", "train.epochs=2", "train.best_by=last"),
        NULL));
    struct safetensors *with = open_checkpoint(state, "without", "last");
    struct safetensors *none = open_checkpoint(state, "none", "last");
    assert_null(safetensors_find(none, "average.outc.conv.weight"));
    assert_null(safetensors_metadata(none, "model.averaged"));
    assert_same_values(with, "model.", none, "model.", true);
    assert_same_values(with, "momentum.", none, "momentum.", true);
    safetensors_close(with);
    safetensors_close(none);
}

static void a_resumed_run_is_the_same(void **state) {
    const char *const *sets = SETS(PLAIN, "train.epochs=2", "train.best_by=last");
    tiny_run_interrupted(state, "resumed", 7, sets); // within epoch 2
    check_ok(tiny_run(state, "resumed", true, sets, NULL));
    tiny_run_assert_same(state, "with", "resumed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_sgd),
        cmocka_unit_test(with_adamw),
        cmocka_unit_test(with_parts),
        cmocka_unit_test(with_two_steps_an_update),
        cmocka_unit_test(updates_are_counted_across_epochs),
        cmocka_unit_test(the_average_is_the_model),
        cmocka_unit_test(training_does_not_depend_on_it),
        cmocka_unit_test(a_resumed_run_is_the_same),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
