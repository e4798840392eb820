// SPDX-License-Identifier: MIT
// train.parts: which images an epoch's parts take, their gradients and running statistics against
// those of batches on their own, runs that are resumed, and a NaN in a part other than the first.
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
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

// ---- the plan -----------------------------------------------------------------------------------

static void parts_have_equal_sizes(void **state) {
    (void)state;
    static const struct {
        int n_images, batch, parts;
        bool drop_last, needs_two;
        int n_steps, n_last, n_dropped;
    } cases[] = {{18, 4, 1, false, true, 5, 2, 0},  {17, 4, 1, false, true, 4, 5, 0},
                 {16, 4, 2, false, false, 4, 4, 0}, {18, 4, 2, false, false, 5, 2, 0},
                 {18, 4, 2, false, true, 4, 4, 2},  {19, 4, 2, false, false, 5, 2, 1},
                 {18, 10, 2, false, true, 2, 8, 0}, {17, 4, 4, false, false, 4, 4, 1},
                 {18, 10, 2, true, true, 1, 10, 8}, {23, 8, 4, false, false, 3, 4, 3},
                 {23, 8, 4, false, true, 2, 8, 7},  {31, 8, 2, false, true, 4, 6, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config;
        struct epoch_plan plan;
        memset(&config, 0, sizeof config);
        config.train.epochs = 3;
        config.train.accumulate = 1;
        config.train.parts = cases[i].parts;
        config.train.drop_last = cases[i].drop_last;
        epoch_plan_init(&plan, &config, cases[i].n_images, cases[i].batch, cases[i].needs_two);
        assert_int_equal(plan.n_steps, cases[i].n_steps);
        assert_int_equal(plan.n_last_images, cases[i].n_last);
        assert_int_equal(plan.n_dropped_images, cases[i].n_dropped);
        assert_int_equal(plan.part_images, cases[i].batch / cases[i].parts);
        assert_int_equal((plan.n_steps - 1) * plan.batch + plan.n_last_images,
                         cases[i].n_images - cases[i].n_dropped);
    }
}

static void bad_values_are_refused(void **state) {
    static const struct {
        const char *sets[4];
        const char *says;
    } cases[] = {{{"train.parts=3", "train.batch=6"}, "train.parts is 3, no power of two"},
                 {{"train.parts=4", "train.batch=6"}, "train.batch is 6, which train.parts: 4"},
                 {{"train.parts=2", "train.accumulate=2"}, "train.accumulate is 2"},
                 {{"train.parts=0"}, "train.parts"},
                 {{"train.parts=32", "train.batch=32"}, "has 18 training images"},
                 {{"train.parts=4"}, "a batch of 1 image"}}; // a batch norm needs two
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = 0;
        while (cases[i].sets[n])
            n++;
        struct config *config = NULL;
        struct trainer_result result;
        char *text = tiny_set_config(scratch_path(state, "set"), NULL);
        adele_status status = config_parse("t.yaml", text, strlen(text), n, cases[i].sets, &config);
        struct trainer_options options = {
            .config = config, .run_folder = scratch_path(state, "bad"), .device = "cpu"};
        if (status == ADELE_OK)
            status = trainer_run(&options, &result);
        assert_true(status == ADELE_CONFIG || status == ADELE_INVALID_ARGUMENT);
        if (!strstr(adele_error_message(), cases[i].says))
            fail_msg("'%s' is not in: %s", cases[i].says, adele_error_message());
        config_destroy(config);
        memory_free(text);
    }
}

// ---- the mean -----------------------------------------------------------------------------------

static struct safetensors *train_and_open(void *const *state, const char *name,
                                          const char *const *sets) {
    struct safetensors *file = NULL;
    char path[256];
    check_ok(tiny_run(state, name, false, sets, NULL));
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", name);
    check_ok(safetensors_open(scratch_path(state, path), &file));
    return file;
}

static const float *floats_of(const struct safetensors *file, const char *name, size_t *n) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    assert_non_null(entry);
    *n = entry->bytes / sizeof(float);
    return entry->data;
}

#define ONE_SCALE "train.evaluate_test=false", "correction.enabled=false", "loss.scales=[1.0]"

// The first momenta are the gradients. Two steps of one update take the same images with the same
// weights, so that their mean gradient is that of the parts, up to the rounding of the last sums.
static void gradients_are_the_mean_of_the_parts(void **state) {
    struct safetensors *steps = train_and_open(
        state, "steps",
        SETS(ONE_SCALE, "train.batch=4", "train.accumulate=2", "train.iterations=2"));
    struct safetensors *parts = train_and_open(
        state, "parts", SETS(ONE_SCALE, "train.batch=8", "train.parts=2", "train.iterations=1"));
    static const char *const names[] = {"momentum.inc.double_conv.0.weight",
                                        "momentum.inc.double_conv.1.weight",
                                        "momentum.down2.maxpool_conv.1.double_conv.3.weight",
                                        "momentum.outc.conv.weight", "momentum.outc.conv.bias"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n, n_parts;
        double difference = 0.0, size = 0.0;
        const float *a = floats_of(steps, names[i], &n), *b = floats_of(parts, names[i], &n_parts);
        assert_int_equal(n, n_parts);
        for (size_t j = 0; j < n; j++) {
            difference += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
            size += (double)a[j] * a[j];
        }
        if (!(size > 0.0) || !(sqrt(difference) <= 1e-5 * sqrt(size)))
            fail_msg("%s differs by %g of %g", names[i], sqrt(difference), sqrt(size));
    }
    safetensors_close(steps);
    safetensors_close(parts);
}

// Statistics s become (1 - m) s + m b with those of a batch, b. Of one step s1 = (1 - m) s0 + m b0,
// of two s2 = (1 - m) s1 + m b1; those of two parts are the mean of both from s0:
// (1 - m) s0 + m (b0 + b1) / 2.
static void statistics_are_the_mean_of_the_parts(void **state) {
    struct safetensors *one = train_and_open(
        state, "one", SETS(ONE_SCALE, "train.batch=4", "train.accumulate=2", "train.iterations=1"));
    struct safetensors *two = train_and_open(
        state, "two", SETS(ONE_SCALE, "train.batch=4", "train.accumulate=2", "train.iterations=2"));
    struct safetensors *parts = train_and_open(
        state, "both", SETS(ONE_SCALE, "train.batch=8", "train.parts=2", "train.iterations=1"));
    static const char *const names[] = {"model.inc.double_conv.1.running_mean",
                                        "model.inc.double_conv.1.running_var"};
    const double m = 0.1, first[] = {0.0, 1.0}; // PyTorch's
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        const float *s1 = floats_of(one, names[i], &n), *s2 = floats_of(two, names[i], &n);
        const float *got = floats_of(parts, names[i], &n);
        for (size_t j = 0; j < n; j++) {
            double b0 = (s1[j] - (1.0 - m) * first[i]) / m, b1 = (s2[j] - (1.0 - m) * s1[j]) / m;
            double want = (1.0 - m) * first[i] + m * (b0 + b1) / 2.0;
            if (!(fabs(got[j] - want) <= 1e-5 * fmax(1.0, fabs(want))))
                fail_msg("%s of channel %zu is %.9g instead of %.9g", names[i], j, (double)got[j],
                         want);
        }
    }
    safetensors_close(one);
    safetensors_close(two);
    safetensors_close(parts);
}

// ---- runs ---------------------------------------------------------------------------------------

// An epoch has 3 steps, of 2 parts of 3 images.
#define PARTS "train.parts=2", "train.batch=6"
#define ALL_OF_IT                                                                                  \
    PARTS, "train.epochs=3", "train.optimizer.name=adamw",                                         \
        "train.optimizer.momentum=", "train.optimizer.lr=0.01", "loss.learn_scale_weights=true",   \
        "loss.dice=0.5"
// Learned from the training pass: its predictions are in the checkpoint of a step, too.
#define FROM_TRAINING                                                                              \
    PARTS, "train.epochs=4", "correction.source=training_pass", "data.augment.enabled=false"
#define VOC                                                                                        \
    "train.parts=2", "train.batch=4", "correction.pipeline=voc", "train.schedule=poly",            \
        "train.iterations=17", "correction.interval=3", "correction.tau=0.3",                      \
        "correction.guard=false", "data.augment.enabled=true", "data.augment.hsv=0",               \
        "data.crop=[32, 28]", "loss.learn_scale_weights=true", "loss.scales=[1.0, 1.5]"

static void resume_within_epochs(void *const *state, const char *name, const char *const *sets,
                                 int n_first, int n_last) {
    char whole[64], resumed[64];
    (void)snprintf(whole, sizeof whole, "%s_whole", name);
    check_ok(tiny_run(state, whole, false, sets, NULL));
    for (int n_asked = n_first; n_asked <= n_last; n_asked++) {
        (void)snprintf(resumed, sizeof resumed, "%s_after%d", name, n_asked);
        tiny_run_interrupted(state, resumed, n_asked, sets);
        check_ok(tiny_run(state, resumed, true, sets, NULL));
        tiny_run_assert_same(state, whole, resumed);
    }
}

static void resumed_runs_are_the_same(void **state) {
    resume_within_epochs(state, "adamw", SETS(ALL_OF_IT), 1, 2);
    resume_within_epochs(state, "pass", SETS(FROM_TRAINING), 7, 8);
    resume_within_epochs(state, "voc", SETS(VOC), 5, 6);
}

// Rows of both parts in the checkpoint of a step.
static void sums_are_kept_for_each_part(void **state) {
    struct safetensors *file = NULL;
    tiny_run_interrupted(state, "sums", 2, SETS(PARTS));
    check_ok(safetensors_open(scratch_path(state, "sums/checkpoints/last.safetensors"), &file));
    const struct safetensors_entry *sums = safetensors_find(file, "progress.sums");
    assert_non_null(sums);
    assert_int_equal(sums->bytes, 2 * ADELE_SUM_COUNT * sizeof(double));
    const double *rows = sums->data;
    assert_true(rows[ADELE_SUM_STEPS] == 2.0 && rows[ADELE_SUM_COUNT + ADELE_SUM_STEPS] == 2.0);
    assert_true(rows[ADELE_SUM_TOTAL] != rows[ADELE_SUM_COUNT + ADELE_SUM_TOTAL]);
    safetensors_close(file);
}

// ---- numbers that are not finite ----------------------------------------------------------------

static struct adele_device_iface faulty;
static const struct adele_device_iface *sane;
static struct {
    long i_loss, n_losses; // the loss op's call in question, from 1; calls so far
    int32_t id;            // the image whose pixels are NaN; -1: none
} fault;

// -infinity of the likeliest class: the loss is infinite, its gradient is not.
static adele_status faulty_loss(struct adele_op *op, const struct adele_loss_args *args) {
    if (++fault.n_losses == fault.i_loss)
        *(float *)args->logits[0] = -INFINITY;
    return sane->loss_forward(op, args);
}

static adele_status faulty_sample(struct adele_op *op, const struct adele_sample_args *args) {
    const struct adele_sample_set *set = &args->set;
    if (args->noisy && fault.id >= 0) // of a training step: the normalization makes its pixels NaN
        ((float *)set->mean)[fault.id * set->c] = NAN;
    return sane->sample_forward(op, args);
}

static adele_status open_faulty(enum adele_precision precision, struct adele_device **out) {
    struct adele_device *device = NULL;
    adele_status status = adele_device_open("cpu", precision, &device);
    if (status != ADELE_OK)
        return status;
    sane = device->iface;
    faulty = *sane;
    faulty.loss_forward = faulty_loss;
    faulty.sample_forward = faulty_sample;
    device->iface = &faulty;
    *out = device;
    return ADELE_OK;
}

static char warning[1024];

static void keep_warning(void *context, enum log_level level, const char *line) {
    (void)context;
    if (level == LOG_WARNING)
        (void)snprintf(warning, sizeof warning, "%s", line);
}

static adele_status train_faulty(void *const *state, const char *name, long i_loss, int32_t id,
                                 const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, name), .device = "faulty"};
    fault.i_loss = i_loss;
    fault.n_losses = 0;
    fault.id = id;
    warning[0] = '\0';
    log_set_sink(keep_warning, NULL);
    adele_status status = trainer_run(&options, &result);
    log_set_sink(NULL, NULL);
    config_destroy(config);
    return status;
}

// The fifth image of step 2 of epoch 1 is the second one of its second part.
static void an_image_of_the_second_part_is_named(void **state) {
    int order[TINY_SET_TRAIN];
    char says[128];
    struct config *config = tiny_run_config(state, NULL);
    random_permutation(config->train.seed, RANDOM_ORDER, 1, TINY_SET_TRAIN, order);
    config_destroy(config);
    assert_int_equal(train_faulty(state, "image", 0, order[6 + 4], SETS(PARTS)), ADELE_NUMERIC);
    (void)snprintf(says, sizeof says,
                   "epoch 1, step 2 of 3: the input image 'train_%03d' is not finite",
                   order[6 + 4]);
    if (!strstr(adele_error_message(), says))
        fail_msg("'%s' is not in: %s", says, adele_error_message());
}

// The loss of the second part of step 2: losses 3 and 4 are that step's.
static void a_bad_loss_of_the_second_part_counts(void **state) {
    assert_int_equal(train_faulty(state, "stop", 4, -1, SETS(PARTS)), ADELE_NUMERIC);
    if (!strstr(adele_error_message(), "epoch 1, step 2 of 3: the loss is not finite"))
        fail_msg("%s", adele_error_message());
    check_ok(
        train_faulty(state, "skip", 4, -1, SETS(PARTS, "train.on_nan=skip", "train.epochs=2")));
    assert_non_null(strstr(warning, "step 2 of 3: the loss is not finite; the step is skipped"));
    assert_true(tiny_run_metric(state, "skip", 1, "train/left_out_steps") == 1.0);
    assert_true(isnan(tiny_run_metric(state, "skip", 2, "train/left_out_steps")));
    assert_true(isfinite(tiny_run_metric(state, "skip", 2, "train/loss")));
}

// In epoch 2, whose losses begin with 7; the tiny set's evaluation has none.
static void a_rolled_back_run_is_the_clean_one(void **state) {
    check_ok(train_faulty(state, "clean", 0, -1, SETS(PARTS, "train.epochs=3")));
    assert_int_equal(fault.n_losses, 3 * 3 * 2);
    check_ok(train_faulty(state, "back", 6 + 4, -1,
                          SETS(PARTS, "train.epochs=3", "train.on_nan=rollback")));
    assert_non_null(strstr(warning, "rolled back"));
    tiny_run_assert_same(state, "clean", "back");
}

static int setup(void **state) {
    adele_device_provide("faulty", open_faulty);
    return tiny_run_setup(state);
}

static int teardown(void **state) {
    adele_device_provide("faulty", NULL);
    return scratch_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_have_equal_sizes),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(gradients_are_the_mean_of_the_parts),
        cmocka_unit_test(statistics_are_the_mean_of_the_parts),
        cmocka_unit_test(resumed_runs_are_the_same),
        cmocka_unit_test(sums_are_kept_for_each_part),
        cmocka_unit_test(an_image_of_the_second_part_is_named),
        cmocka_unit_test(a_bad_loss_of_the_second_part_counts),
        cmocka_unit_test(a_rolled_back_run_is_the_clean_one),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
