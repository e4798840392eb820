// SPDX-License-Identifier: MIT
// A NaN or an infinity in a chosen step: it is found in that step, named, and handled as
// train.on_nan says. The CPU with two of its ops replaced plays the device that makes them.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// Steps of an epoch of the tiny set: 18 images, batches of 4.
#define N_STEPS 5

static struct adele_device_iface faulty;
static const struct adele_device_iface *sane;
static struct {
    long first_update, last_update; // the steps in question, counted from 1 over the whole process
    float value;
    long offset;          // of the gradient's float; -1: what the loss hands to backward
    bool hits_statistics; // also the running statistics, as a NaN in forward would
    void (*harm)(void);   // done in the first of the steps in question
    long n_updates, n_losses;
} fault;

static bool is_hit(long i) {
    return i >= fault.first_update && i <= fault.last_update;
}

static adele_status faulty_sgd(struct adele_op *op, const struct adele_sgd_args *args) {
    if (is_hit(++fault.n_updates)) {
        if (fault.harm)
            fault.harm();
        fault.harm = NULL;
        if (fault.offset >= 0)
            args->gradients[fault.offset] = fault.value;
        for (int64_t i = 0; fault.hits_statistics && i < args->n_kept; i++)
            args->state[i] = fault.value;
    }
    return sane->sgd_forward(op, args);
}

// The loss sees logits that are not finite.
static adele_status faulty_loss(struct adele_op *op, const struct adele_loss_args *args) {
    if (is_hit(++fault.n_losses) && fault.offset < 0)
        *(float *)args->logits[0] = fault.value;
    return sane->loss_forward(op, args);
}

static adele_status open_faulty(enum adele_precision precision, struct adele_device **out) {
    struct adele_device *device = NULL;
    adele_status status = adele_device_open("cpu", precision, &device);
    if (status != ADELE_OK)
        return status;
    sane = device->iface;
    faulty = *sane;
    faulty.sgd_forward = faulty_sgd;
    faulty.loss_forward = faulty_loss;
    device->iface = &faulty;
    *out = device;
    return ADELE_OK;
}

static int setup(void **state) {
    adele_device_provide("faulty", open_faulty);
    return tiny_run_setup(state);
}

static int teardown(void **state) {
    adele_device_provide("faulty", NULL);
    return scratch_teardown(state);
}

// The first and the last warning of the run.
static char first_warning[1024], warning[1024];
static int n_warnings;

static void keep_warning(void *context, enum log_level level, const char *line) {
    (void)context;
    if (level != LOG_WARNING)
        return;
    if (n_warnings++ == 0)
        (void)snprintf(first_warning, sizeof first_warning, "%s", line);
    (void)snprintf(warning, sizeof warning, "%s", line);
}

static void plan_fault(long first, long last, float value, long offset) {
    memset(&fault, 0, sizeof fault);
    fault.first_update = first;
    fault.last_update = last;
    fault.value = value;
    fault.offset = offset;
}

static adele_status train(void *const *state, const char *name, bool resume,
                          const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .resume = resume,
                                      .device = "faulty"};
    n_warnings = 0;
    warning[0] = '\0';
    log_set_sink(keep_warning, NULL);
    adele_status status = trainer_run(&options, &result);
    log_set_sink(NULL, NULL);
    config_destroy(config);
    return status;
}

static void assert_says(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

// No metric of the epoch is NaN (null), as far as a run without a fault has it.
static void assert_finite(void *const *state, const char *run, int epoch) {
    static const char *const names[] = {"train/loss", "train/pred_vs_noisy/iou/disc",
                                        "train/pred_vs_noisy/miou", "val/pred_vs_true/miou"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (isfinite(tiny_run_metric(state, "clean", epoch, names[i])) &&
            !isfinite(tiny_run_metric(state, run, epoch, names[i])))
            fail_msg("%s, epoch %d: %s is not finite", run, epoch, names[i]);
}

static void without_a_fault_nothing_changes(void **state) {
    plan_fault(0, -1, NAN, 0);
    check_ok(train(state, "clean", false, SETS("train.epochs=3")));
    assert_int_equal(n_warnings, 0);
    assert_int_equal(fault.n_updates, 3 * N_STEPS);
    check_ok(tiny_run(state, "cpu", false, SETS("train.epochs=3"), NULL));
    assert_true(isnan(tiny_run_metric(state, "clean", 3, "train/left_out_steps")));
}

static void stop_names_epoch_step_and_layer(void **state) {
    char copy[4096], last[4096];
    plan_fault(0, -1, NAN, 0);
    check_ok(train(state, "stop", false, SETS("train.epochs=1")));
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "stop.safetensors"));
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "stop/checkpoints/last.safetensors"));
    check_ok(scratch_copy(last, copy));
    plan_fault(3, 3, INFINITY, 5); // in the first convolution's 36 floats
    assert_int_equal(train(state, "stop", true, SETS("train.epochs=3")), ADELE_NUMERIC);
    assert_says(adele_error_message(), "epoch 2, step 3 of 5");
    assert_says(adele_error_message(), "'inc.double_conv.0.weight'");
    assert_says(adele_error_hint(), "train.on_nan");
    assert_true(same_bytes(copy, last));
    plan_fault(0, -1, NAN, 0); // and from there it goes on as if nothing had been
    check_ok(train(state, "stop", true, SETS("train.epochs=3")));
    tiny_run_assert_same(state, "clean", "stop");
}

// A fault that is gone when the step is looked at again is named as the device saw it.
static void a_loss_is_found_too(void **state) {
    plan_fault(2, 2, NAN, -1);
    assert_int_equal(train(state, "loss", false, SETS("train.epochs=1")), ADELE_NUMERIC);
    assert_says(adele_error_message(), "epoch 1, step 2 of 5");
    assert_says(adele_error_message(), "the loss is not finite");
    assert_int_equal(fault.n_updates, 2); // no step was done after it
}

static void skip_leaves_out_the_step_and_counts_it(void **state) {
    plan_fault(7, 8, NAN, 5);
    fault.hits_statistics = true;
    check_ok(train(state, "skip", false, SETS("train.epochs=3", "train.on_nan=skip")));
    assert_int_equal(n_warnings, 2); // at once, and the sum at the epoch's end
    assert_says(first_warning, "epoch 2, step 2 of 5");
    assert_says(warning, "epoch 2: 2 of 5 steps skipped");
    assert_true(tiny_run_metric(state, "skip", 2, "train/left_out_steps") == 2.0);
    for (int epoch = 1; epoch <= 3; epoch++)
        assert_finite(state, "skip", epoch);
    assert_true(tiny_run_metric(state, "skip", 1, "train/loss") ==
                tiny_run_metric(state, "clean", 1, "train/loss"));
}

// The averages of the weights and of the running statistics stop together.
static bool stop_after(void *context) {
    int *n_left = context;
    return (*n_left)-- == 0;
}

static struct safetensors *train_steps(void *const *state, const char *name, int n_steps) {
    struct config *config = tiny_run_config(state, SETS("train.on_nan=skip", "train.average=true"));
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .device = "faulty",
                                      .should_stop = stop_after,
                                      .context = &n_steps};
    struct trainer_result result;
    struct safetensors *file = NULL;
    char path[128];
    plan_fault(2, 2, NAN, 5);
    fault.hits_statistics = true;
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    config_destroy(config);
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", name);
    check_ok(safetensors_open(scratch_path(state, path), &file));
    return file;
}

static void a_skipped_step_moves_no_average(void **state) {
    struct safetensors *before = train_steps(state, "average1", 1);
    struct safetensors *after = train_steps(state, "average2", 2);
    int n_same = 0;
    for (int i = 0; i < safetensors_count(before); i++) {
        const struct safetensors_entry *old = safetensors_at(before, i);
        if (strncmp(old->name, "average.", 8) != 0)
            continue;
        const struct safetensors_entry *now = safetensors_find(after, old->name);
        assert_non_null(now);
        assert_int_equal(now->bytes, old->bytes);
        if (memcmp(now->data, old->data, old->bytes) != 0)
            fail_msg("%s has moved", old->name);
        n_same++;
    }
    assert_true(n_same > 4);
    safetensors_close(before);
    safetensors_close(after);
}

static bool stop_after_four_steps(void *context) {
    int *n_asked = context;
    return ++*n_asked == 3; // before the third update of two steps
}

// Two updates of two steps each are skipped because of their gradients, while all losses are
// finite: one before and one after the interruption.
static void a_resumed_run_counts_the_same(void **state) {
    const char *const *sets = SETS("train.epochs=1", "train.on_nan=skip", "train.accumulate=2");
    int n_asked = 0;
    plan_fault(2, 3, NAN, 5);
    check_ok(train(state, "whole", false, sets));
    assert_true(tiny_run_metric(state, "whole", 1, "train/left_out_steps") == 2.0);
    plan_fault(2, 3, NAN, 5);
    struct config *config = tiny_run_config(state, sets);
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "parts"),
                                      .device = "faulty",
                                      .should_stop = stop_after_four_steps,
                                      .context = &n_asked};
    struct trainer_result result;
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    config_destroy(config);
    check_ok(train(state, "parts", true, sets));
    tiny_run_assert_same(state, "whole", "parts");
}

static void skip_does_not_go_on_without_any_step(void **state) {
    plan_fault(1, 1000, NAN, -1);
    assert_int_equal(train(state, "none", false, SETS("train.epochs=3", "train.on_nan=skip")),
                     ADELE_NUMERIC);
}

static void rollback_repeats_the_epoch(void **state) {
    plan_fault(N_STEPS + 4, N_STEPS + 4, NAN, -1);
    fault.hits_statistics = true;
    check_ok(train(state, "back", false, SETS("train.epochs=3", "train.on_nan=rollback")));
    assert_int_equal(n_warnings, 1);
    assert_says(warning, "epoch 2, step 4 of 5");
    assert_says(warning, "rolled back to the checkpoint of epoch 1");
    assert_int_equal(fault.n_updates, 4 * N_STEPS - 1); // 5, 4 up to the bad one, 5, 5
    tiny_run_assert_same(state, "clean", "back");       // the fault came and went
}

static char harmed[4096]; // the last checkpoint of the run in hand

static void flip_a_bit(void) {
    char *bytes = NULL;
    size_t n_bytes = 0;
    check_ok(file_read(harmed, 0, &bytes, &n_bytes));
    bytes[n_bytes / 2] ^= 1;
    check_ok(file_write(harmed, bytes, n_bytes));
    memory_free(bytes);
}

// What opens, and cannot be read at its beginning: EIO.
static void make_unreadable(void) {
    assert_int_equal(remove(harmed), 0);
    assert_int_equal(symlink("/proc/self/mem", harmed), 0);
}

static void rollback_falls_back_to_the_checkpoint_before(void **state) {
    static void (*const harms[])(void) = {flip_a_bit, make_unreadable};
    static const char *const runs[] = {"flipped", "unreadable"};
    for (size_t i = 0; i < 2; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s/checkpoints/last.safetensors", runs[i]);
        (void)snprintf(harmed, sizeof harmed, "%s", scratch_path(state, name));
        plan_fault(2 * N_STEPS + 4, 2 * N_STEPS + 4, NAN, 0);
        fault.harm = harms[i];
        check_ok(train(state, runs[i], false, SETS("train.epochs=3", "train.on_nan=rollback")));
        assert_int_equal(n_warnings, 2);
        assert_says(first_warning, harmed);
        assert_says(first_warning, "resuming from checkpoints/previous.safetensors");
        assert_says(warning, "rolled back to the checkpoint of epoch 1");
        assert_int_equal(fault.n_updates, 5 * N_STEPS - 1);
        tiny_run_assert_same(state, "clean", runs[i]);
    }
}

static void rollback_gives_up(void **state) {
    plan_fault(N_STEPS + 1, 1000, NAN, 0);
    assert_int_equal(train(state, "up", false, SETS("train.epochs=3", "train.on_nan=rollback")),
                     ADELE_NUMERIC);
    assert_int_equal(n_warnings, 3);
    assert_says(adele_error_message(), "after 3 rollbacks in one epoch");
    assert_int_equal(tiny_run_n_records(state, "up"), 1);
    plan_fault(1, 1, NAN, 0); // no checkpoint yet
    assert_int_equal(train(state, "early", false, SETS("train.epochs=3", "train.on_nan=rollback")),
                     ADELE_NUMERIC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_fault_nothing_changes),
        cmocka_unit_test(stop_names_epoch_step_and_layer),
        cmocka_unit_test(a_loss_is_found_too),
        cmocka_unit_test(skip_leaves_out_the_step_and_counts_it),
        cmocka_unit_test(a_skipped_step_moves_no_average),
        cmocka_unit_test(a_resumed_run_counts_the_same),
        cmocka_unit_test(skip_does_not_go_on_without_any_step),
        cmocka_unit_test(rollback_repeats_the_epoch),
        cmocka_unit_test(rollback_falls_back_to_the_checkpoint_before),
        cmocka_unit_test(rollback_gives_up),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
