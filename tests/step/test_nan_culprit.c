// SPDX-License-Identifier: MIT
// A NaN that begins in a weight, an image, a layer's output, a gradient or a loss: the step it
// appears in is the last one done, and what it began in is named. The CPU with some of its ops
// replaced makes them.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "image/image.h"
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

#define N_STEPS  5 // of an epoch of the tiny set: 18 images, batches of 4
#define I_CONV   5 // of the U-Net's convolutions: the second of down2
#define CONV     "down2.maxpool_conv.1.double_conv.3"
#define BAD_CASE 7
#define HALF_NAN 0x7e00

enum plant { PLANT_NONE, PLANT_WEIGHT, PLANT_IMAGE, PLANT_OUTPUT, PLANT_GRADIENT, PLANT_LOGIT };

static struct adele_device_iface faulty;
static const struct adele_device_iface *sane;
static struct {
    enum plant plant;
    int epoch, step;      // from 1; of PLANT_WEIGHT: after its update
    int n_times;          // that it appears; looks at the same step again do not count
    bool is_gone;         // when the step is looked at again
    const int32_t *order; // of the first step, to tell steps by
    int at_epoch, at_step;
    bool is_on;          // in the step in hand
    int n_hits, i_conv;  // convolutions of the step so far
    const float *weight; // of convolution I_CONV
    long n_updates;
} fault;

// Training samples with labels; evaluation without.
static adele_status faulty_sample(struct adele_op *op, const struct adele_sample_args *args) {
    fault.is_on = false;
    if (args->noisy) {
        if (!fault.order)
            fault.order = args->sample_ids;
        int step = (int)((args->sample_ids - fault.order) / 4) + 1;
        bool is_again = fault.at_epoch == (int)args->epoch && fault.at_step == step;
        fault.at_epoch = (int)args->epoch;
        fault.at_step = step;
        fault.i_conv = 0;
        fault.is_on = fault.at_epoch == fault.epoch && step == fault.step &&
                      ((is_again && !fault.is_gone) || fault.n_hits < fault.n_times);
        size_t n = (size_t)args->set.c * (size_t)args->set.h * (size_t)args->set.w;
        if (fault.plant == PLANT_IMAGE)
            ((uint16_t *)args->set.images)[BAD_CASE * n + n / 2] = HALF_NAN;
    }
    return sane->sample_forward(op, args);
}

static adele_status faulty_conv2d(struct adele_op *op, const struct adele_conv2d_args *args) {
    adele_status status = sane->conv2d_forward(op, args);
    if (fault.i_conv++ != I_CONV)
        return status;
    fault.weight = args->weight;
    if (fault.is_on && fault.plant == PLANT_OUTPUT)
        *(float *)args->dst = NAN;
    return status;
}

static adele_status faulty_backward(struct adele_op *op, const struct adele_conv2d_args *args) {
    adele_status status = sane->conv2d_backward(op, args);
    if (fault.is_on && fault.plant == PLANT_GRADIENT && args->weight == fault.weight)
        args->d_weight[2] = INFINITY;
    return status;
}

static adele_status faulty_loss(struct adele_op *op, const struct adele_loss_args *args) {
    // Of the likeliest category: an infinite loss, whose gradient is finite.
    if (fault.is_on && fault.plant == PLANT_LOGIT)
        *(float *)args->logits[0] = -INFINITY;
    return sane->loss_forward(op, args);
}

static adele_status faulty_sgd(struct adele_op *op, const struct adele_sgd_args *args) {
    adele_status status = sane->sgd_forward(op, args);
    fault.n_updates++;
    fault.n_hits += fault.is_on;
    if (fault.is_on && fault.plant == PLANT_WEIGHT)
        ((float *)fault.weight)[3] = NAN;
    return status;
}

static adele_status open_faulty(enum adele_precision precision, struct adele_device **out) {
    struct adele_device *device = NULL;
    adele_status status = adele_device_open("cpu", precision, &device);
    if (status != ADELE_OK)
        return status;
    sane = device->iface;
    faulty = *sane;
    faulty.sample_forward = faulty_sample;
    faulty.conv2d_forward = faulty_conv2d;
    faulty.conv2d_backward = faulty_backward;
    faulty.loss_forward = faulty_loss;
    faulty.sgd_forward = faulty_sgd;
    device->iface = &faulty;
    *out = device;
    return ADELE_OK;
}

// The tiny set again, with one image of 16 bits: so all of the split are kept as halfs.
static void write_wide_set(void *const *state) {
    struct tiny_set set = tiny_set_default(3);
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "wide"), &set);
    struct image wide;
    check_ok(image_init(&wide, set.width, set.height, 1, 16));
    for (int i = 0; i < set.width * set.height; i++)
        ((uint16_t *)wide.pixels)[i] = (uint16_t)(i % 256 * 200);
    check_ok(image_save_png(scratch_path(state, "wide/imagesTr/train_003_0000.png"), &wide));
    image_deinit(&wide);
}

static int setup(void **state) {
    adele_device_provide("faulty", open_faulty);
    if (tiny_run_setup(state) != 0)
        return -1;
    write_wide_set(state);
    return 0;
}

static int teardown(void **state) {
    adele_device_provide("faulty", NULL);
    return scratch_teardown(state);
}

static char warnings[4096];

static void keep_warning(void *context, enum log_level level, const char *line) {
    (void)context;
    size_t used = strlen(warnings);
    if (level == LOG_WARNING)
        (void)snprintf(warnings + used, sizeof warnings - used, "%s\n", line);
}

static void plan_fault(enum plant plant, int epoch, int step, int n_times) {
    memset(&fault, 0, sizeof fault);
    fault.plant = plant;
    fault.epoch = epoch;
    fault.step = step;
    fault.n_times = n_times;
}

static adele_status train(void *const *state, const char *name, const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, name), .device = "faulty"};
    warnings[0] = '\0';
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

// Weights, momenta, running statistics and curves of the last checkpoint.
static void assert_finite(void *const *state, const char *run) {
    char path[4096];
    struct safetensors *file = NULL;
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", scratch_path(state, run));
    check_ok(safetensors_open(path, &file));
    for (int i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_entry *entry = safetensors_at(file, i);
        bool is_double = entry->dtype == SAFETENSORS_F64;
        if (!is_double && entry->dtype != SAFETENSORS_F32)
            continue;
        for (size_t k = 0; k < (size_t)entry->n_elements; k++)
            if (!isfinite(is_double ? ((const double *)entry->data)[k]
                                    : (double)((const float *)entry->data)[k]))
                fail_msg("%s: %s[%zu] is not finite", path, entry->name, k);
    }
    safetensors_close(file);
}

struct story {
    const char *name;
    enum plant plant;
    const char *culprit;
};
// What a step brings that another time would not have.
static const struct story stories[] = {
    {"output", PLANT_OUTPUT, "the output of '" CONV "' is not finite"},
    {"gradient", PLANT_GRADIENT, "the gradient of '" CONV ".weight' is not finite"},
    {"logit", PLANT_LOGIT, "the loss is not finite"},
};
#define N_STORIES (sizeof stories / sizeof *stories)

static void stop_names_what_it_began_in(void **state) {
    for (size_t i = 0; i < N_STORIES; i++) {
        char run[64];
        (void)snprintf(run, sizeof run, "stop_%s", stories[i].name);
        plan_fault(stories[i].plant, 2, 3, 1);
        assert_int_equal(train(state, run, SETS("train.epochs=3")), ADELE_NUMERIC);
        assert_says(adele_error_message(), "epoch 2, step 3 of 5: ");
        assert_says(adele_error_message(), stories[i].culprit);
        assert_int_equal(fault.n_updates, N_STEPS + 3); // that step was the last
        assert_finite(state, run);
    }
}

static void skip_keeps_all_numbers_finite(void **state) {
    for (size_t i = 0; i < N_STORIES; i++) {
        char run[64];
        (void)snprintf(run, sizeof run, "skip_%s", stories[i].name);
        plan_fault(stories[i].plant, 2, 3, 1);
        check_ok(train(state, run, SETS("train.epochs=3", "train.on_nan=skip")));
        assert_says(warnings, "epoch 2, step 3 of 5: ");
        assert_says(warnings, stories[i].culprit);
        assert_int_equal(fault.n_updates, 3 * N_STEPS);
        assert_true(tiny_run_metric(state, run, 2, "train/left_out_steps") == 1.0);
        assert_finite(state, run);
    }
}

// However far the look came, it leaves nothing behind: no second update of running statistics.
static void the_look_changes_nothing(void **state) {
    for (size_t i = 0; i < N_STORIES; i++) {
        char seen[64], gone[64];
        (void)snprintf(seen, sizeof seen, "skip_%s", stories[i].name);
        (void)snprintf(gone, sizeof gone, "gone_%s", stories[i].name);
        plan_fault(stories[i].plant, 2, 3, 1);
        fault.is_gone = true;
        check_ok(train(state, gone, SETS("train.epochs=3", "train.on_nan=skip")));
        assert_says(warnings, "epoch 2, step 3 of 5: ");
        tiny_run_assert_same(state, seen, gone);
    }
}

static void rollback_is_as_if_nothing_had_been(void **state) {
    plan_fault(PLANT_NONE, 0, 0, 0);
    check_ok(train(state, "clean", SETS("train.epochs=3")));
    for (size_t i = 0; i < N_STORIES; i++) {
        char run[64];
        (void)snprintf(run, sizeof run, "back_%s", stories[i].name);
        plan_fault(stories[i].plant, 2, 3, 1);
        check_ok(train(state, run, SETS("train.epochs=3", "train.on_nan=rollback")));
        assert_says(warnings, stories[i].culprit);
        tiny_run_assert_same(state, "clean", run);
    }
}

// In the next step, by the layer whose weight it is, in every way of handling it.
static void a_weight_is_named(void **state) {
    static const char culprit[] =
        "the output of '" CONV "' is not finite because '" CONV ".weight' is not";
    plan_fault(PLANT_WEIGHT, 2, 2, 1);
    assert_int_equal(train(state, "weight_stop", SETS("train.epochs=3")), ADELE_NUMERIC);
    assert_says(adele_error_message(), "epoch 2, step 3 of 5: ");
    assert_says(adele_error_message(), culprit);
    assert_int_equal(fault.n_updates, N_STEPS + 3);
    plan_fault(PLANT_WEIGHT, 2, 2, 1); // nothing brings the weight back: it ends with epoch 3
    assert_int_equal(train(state, "weight_skip", SETS("train.epochs=4", "train.on_nan=skip")),
                     ADELE_NUMERIC);
    assert_says(adele_error_message(), "all steps of the epoch were skipped");
    assert_says(adele_error_message(), culprit);
    plan_fault(PLANT_WEIGHT, 2, 2, 1);
    check_ok(train(state, "weight_back", SETS("train.epochs=3", "train.on_nan=rollback")));
    assert_says(warnings, culprit);
    tiny_run_assert_same(state, "clean", "weight_back");
}

// An image is in every epoch.
static void an_image_is_named(void **state) {
    static const char culprit[] = "the input image 'train_007' is not finite";
    char root[4096], noisy[4200];
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, "wide"));
    (void)snprintf(noisy, sizeof noisy, "data.noisy_labels=%s/noisyTr",
                   scratch_path(state, "wide"));
    plan_fault(PLANT_IMAGE, 0, 0, 0);
    assert_int_equal(train(state, "image_stop", SETS(root, noisy)), ADELE_NUMERIC);
    assert_says(adele_error_message(), culprit);
    assert_says(adele_error_message(), "epoch 1, step ");
    plan_fault(PLANT_IMAGE, 0, 0, 0);
    check_ok(train(state, "image_skip", SETS(root, noisy, "train.epochs=3", "train.on_nan=skip")));
    assert_says(warnings, culprit);
    for (int epoch = 1; epoch <= 3; epoch++)
        assert_true(tiny_run_metric(state, "image_skip", epoch, "train/left_out_steps") == 1.0);
    assert_finite(state, "image_skip");
    plan_fault(PLANT_IMAGE, 0, 0, 0);
    assert_int_equal(train(state, "image_back", SETS(root, noisy, "train.on_nan=rollback")),
                     ADELE_NUMERIC);
    assert_says(adele_error_message(), culprit);
}

// Without any fault planted: the highest rate and decay that a configuration can have, without
// momentum, so that an update makes -999 w - 1000 g of a weight w with the gradient g. In front of
// a batch norm the scale of a layer's weights changes nothing, their gradient is at right angles to
// them, and their norm grows by 999 or more at every step, whatever the gradients are. Float ends
// at 3.4e38: from a norm above 1e-3 (the U-Net's first layer has one of about 1) a weight is beyond
// it after at most 14 updates, and the 15th step meets it, unless a product was beyond it before.
#define FATAL                                                                                      \
    "train.optimizer.lr=1000", "train.optimizer.weight_decay=1", "train.optimizer.momentum=0"

static void a_rate_that_is_too_high_is_found(void **state) {
    plan_fault(PLANT_NONE, 0, 0, 0);
    assert_int_equal(train(state, "rate", SETS(FATAL, "correction.enabled=false")), ADELE_NUMERIC);
    int epoch = 0, step = 0;
    assert_int_equal(sscanf(adele_error_message(), "epoch %d, step %d", &epoch, &step), 2);
    assert_int_equal(fault.n_updates, (epoch - 1) * N_STEPS + step);
    assert_in_range(fault.n_updates, 2, 15);
    print_message("%s\n", adele_error_message());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_names_what_it_began_in),
        cmocka_unit_test(skip_keeps_all_numbers_finite),
        cmocka_unit_test(the_look_changes_nothing),
        cmocka_unit_test(rollback_is_as_if_nothing_had_been),
        cmocka_unit_test(a_weight_is_named),
        cmocka_unit_test(an_image_is_named),
        cmocka_unit_test(a_rate_that_is_too_high_is_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
