// SPDX-License-Identifier: MIT
// Trainings on a device that runs a convolution of all scales as one op: the same checkpoints and
// the same messages as on one that has no such op.
#include "base/log.h"
#include "support/compare.h"
#include "support/scales_device.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SCALES "loss.form=official", "loss.scales=[1.0, 0.7, 1.5]", "train.epochs=2"

static adele_status train(void **state, const char *name, const char *device,
                          const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, name), .device = device};
    adele_status status = trainer_run(&options, &result);
    config_destroy(config);
    return status;
}

// Everything that a checkpoint holds but the name of the device.
static void assert_same_checkpoint(void **state, const char *run, const char *other_run) {
    char path[256], other_path[256];
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", run);
    (void)snprintf(other_path, sizeof other_path, "%s/checkpoints/last.safetensors", other_run);
    struct safetensors *a = tiny_run_open(state, path), *b = tiny_run_open(state, other_path);
    assert_int_equal(safetensors_count(a), safetensors_count(b));
    for (int i = 0; i < safetensors_count(a); i++) {
        const struct safetensors_entry *entry = safetensors_at(a, i);
        const struct safetensors_entry *other = safetensors_find(b, entry->name);
        assert_non_null(other);
        assert_int_equal(entry->bytes, other->bytes);
        assert_true(compare_bytes(entry->name, entry->data, other->data, entry->bytes));
    }
    safetensors_close(a);
    safetensors_close(b);
}

// n_together: convolutions that ran at all scales, forward and as often backward.
static void assert_same_training(void **state, const char *name, int n_together,
                                 const char *const *sets) {
    char turns[64], together[64];
    (void)snprintf(turns, sizeof turns, "turns_%s", name);
    (void)snprintf(together, sizeof together, "together_%s", name);
    check_ok(train(state, turns, "cpu", sets));
    check_ok(train(state, together, "together", sets));
    assert_same_checkpoint(state, turns, together);
    assert_int_equal(scales_device.n_forward, n_together);
    assert_int_equal(scales_device.n_backward, n_together);
    assert_int_equal(scales_device.n_ops, 0);
}

static void see_line(void *context, enum log_level level, const char *line) {
    int *n = context;
    *n +=
        level == LOG_DETAIL && strstr(line, "19 convolutions run at all 3 scales at once") != NULL;
}

// Two epochs of 18 images: 4 batches of 4, and one of 2, which has plans of its own. The U-Net has
// 19 convolutions, and the log of the run on one of the two devices says that they run together.
static void a_step_has_the_same_bytes(void **state) {
    int n_said = 0;
    log_set_sink(see_line, &n_said);
    assert_same_training(state, "whole", 10 * 19, SETS(SCALES, "loss.lambda=1"));
    log_set_sink(NULL, NULL);
    assert_int_equal(n_said, 1);
}

// The gradients of a batch's two parts are added up; parts of a single image are left out. Of the
// convolutions, every other one runs scale by scale.
static void parts_have_the_same_bytes(void **state) {
    scales_device_leaves_out = true;
    assert_same_training(state, "parts", 2 * 8 * 10,
                         SETS(SCALES, "train.parts=2", "loss.learn_scale_weights=true",
                              "loss.dice=0.5", "train.optimizer={name: adamw, lr: 0.01}"));
    scales_device_leaves_out = false;
}

// The search for the source runs plan by plan, and finds what the step that ran together has left.
static void a_source_is_named_the_same(void **state) {
    static const char *const fatal[] = {SCALES,
                                        "train.optimizer.lr=1000",
                                        "train.optimizer.weight_decay=1",
                                        "train.optimizer.momentum=0",
                                        "correction.enabled=false",
                                        "train.epochs=3",
                                        NULL};
    char message[1024];
    assert_int_equal(train(state, "turns_fatal", "cpu", fatal), ADELE_NUMERIC);
    (void)snprintf(message, sizeof message, "%s", adele_error_message());
    assert_non_null(strstr(message, "(scale "));
    assert_int_equal(train(state, "together_fatal", "together", fatal), ADELE_NUMERIC);
    assert_string_equal(adele_error_message(), message);
    assert_true(scales_device.n_forward > 0);
}

// Of a dry run, which makes the plans of several batches one after the other.
static void count_batch(void *context, const struct adele_train_batch *batch) {
    int *n = context;
    (void)batch;
    ++*n;
}

static void a_dry_run_measures_groups(void **state) {
    struct config *config = tiny_run_config(state, SETS(SCALES));
    int n = 0;
    const struct trainer_options options = {.config = config, .device = "together", .context = &n};
    check_ok(trainer_dry_run(&options, (struct dry_run_times){1e9, 0.0}, count_batch));
    assert_true(n > 1);
    assert_true(scales_device.n_forward > 0 && scales_device.n_backward > 0);
    assert_int_equal(scales_device.n_ops, 0);
    config_destroy(config);
}

static int setup(void **state) {
    adele_device_provide("together", scales_device_open);
    return tiny_run_setup(state);
}

static int teardown(void **state) {
    adele_device_provide("together", NULL);
    return scratch_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_has_the_same_bytes),
        cmocka_unit_test(parts_have_the_same_bytes),
        cmocka_unit_test(a_source_is_named_the_same),
        cmocka_unit_test(a_dry_run_measures_groups),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
