// SPDX-License-Identifier: MIT
// What a run says between its steps. It changes nothing in the run.
#include "support/tiny_run.h"

#include "support/scratch.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define N_EPOCHS 4 // with a correction
#define N_STEPS  5 // of an epoch: 18 images in batches of 4

struct seen {
    int n_calls;
    struct adele_train_progress all[N_EPOCHS * N_STEPS];
};

static void see(void *context, const struct adele_train_progress *progress) {
    struct seen *seen = context;
    assert_true(seen->n_calls < N_EPOCHS * N_STEPS);
    seen->all[seen->n_calls++] = *progress;
}

static void run(void *const *state, const char *name, double seconds, struct seen *seen) {
    struct config *config = tiny_run_config(state, SETS("train.epochs=4"));
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .device = "cpu",
                                      .on_progress = seen != NULL ? see : NULL,
                                      .progress_seconds = seconds,
                                      .context = seen};
    struct trainer_result result;
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
}

static void every_step_is_told(void **state) {
    struct seen seen = {0};
    run(state, "told", 0.0, &seen);
    assert_int_equal(seen.n_calls, N_EPOCHS * N_STEPS);
    for (int i = 0; i < seen.n_calls; i++) {
        const struct adele_train_progress *at = &seen.all[i];
        assert_int_equal(at->epoch, 1 + i / N_STEPS);
        assert_int_equal(at->n_epochs, N_EPOCHS);
        assert_int_equal(at->step, 1 + i % N_STEPS);
        assert_int_equal(at->n_steps, N_STEPS);
        assert_int_equal(at->n_done_steps, i + 1);
        assert_int_equal(at->n_steps_total, N_EPOCHS * N_STEPS);
        assert_true(at->images_per_second > 0.0 && isfinite(at->images_per_second));
    }
    // The losses of an epoch's steps have the mean that the run records.
    for (int epoch = 0; epoch < N_EPOCHS; epoch++) {
        double sum = 0.0, want = tiny_run_metric(state, "told", epoch + 1, "train/loss");
        for (int i = 0; i < N_STEPS; i++)
            sum += seen.all[epoch * N_STEPS + i].loss;
        if (!(fabs(sum / N_STEPS - want) <= 1e-9 * fabs(want)))
            fail_msg("epoch %d: the mean of the losses is %.12g, recorded %.12g", epoch + 1,
                     sum / N_STEPS, want);
    }
    assert_true(seen.all[0].loss != seen.all[1].loss);
}

static void nobody_is_told_more_often_than_asked(void **state) {
    struct seen seen = {0};
    run(state, "once", 1e9, &seen);
    assert_int_equal(seen.n_calls, 1);
    assert_int_equal(seen.all[0].n_done_steps, 1);
}

static void telling_changes_nothing(void **state) {
    run(state, "silent", 0.0, NULL);
    tiny_run_assert_same(state, "silent", "told");
    tiny_run_assert_same(state, "silent", "once");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_is_told),
        cmocka_unit_test(nobody_is_told_more_often_than_asked),
        cmocka_unit_test(telling_changes_nothing),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
