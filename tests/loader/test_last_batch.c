// SPDX-License-Identifier: MIT
// What becomes of the last batch of an epoch: kept, joined to the one before, or dropped. The set
// has 18 training images of 32 x 28, of which scale 0.7 leaves the U-Net one pixel at its lowest
// level.
#include "base/log.h"
#include "base/random.h"
#include "base/safetensors.h"
#include "data/dataset.h"
#include "data/load.h"
#include "nn/memory_check.h"
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

#define SEED 8 // of tiny_set_config

static char lines[1 << 16];

static void keep_line(void *context, enum log_level level, const char *line) {
    size_t used = strlen(lines);
    (void)context;
    (void)level;
    (void)snprintf(lines + used, sizeof lines - used, "%s\n", line);
}

static void run(void *const *state, const char *name, const char *const *sets) {
    lines[0] = '\0';
    log_set_sink(keep_line, NULL);
    adele_status status = tiny_run(state, name, false, sets, NULL);
    log_set_sink(NULL, NULL);
    check_ok(status);
}

static void sizes_of_the_last_step(void **state) {
    (void)state;
    static const struct {
        enum last_batch kind;
        int n_images, batch, want;
    } cases[] = {{LAST_KEPT, 18, 4, 2},     {LAST_KEPT, 17, 4, 1},    {LAST_KEPT, 16, 4, 4},
                 {LAST_JOINED, 18, 4, 2},   {LAST_JOINED, 17, 4, 5},  {LAST_JOINED, 16, 4, 4},
                 {LAST_DROPPED, 18, 4, 4},  {LAST_DROPPED, 17, 4, 4}, {LAST_DROPPED, 16, 4, 4},
                 {LAST_JOINED, 18, 17, 18}, {LAST_JOINED, 0, 4, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(last_batch_images(cases[i].kind, cases[i].n_images, cases[i].batch),
                         cases[i].want);
}

// One image alone would leave one value of each channel at the deepest batch norm.
static void a_single_image_joins_the_batch_before(void **state) {
    run(state, "joined", SETS("train.batch=17", "train.epochs=2"));
    assert_non_null(strstr(lines, "steps: 2, 1 an epoch, 2 epochs"));
    assert_non_null(strstr(lines, "last batch of an epoch: 18 images"));
    assert_true(tiny_run_metric(state, "joined", 2, "step") == 2.0);
    assert_true(isfinite(tiny_run_metric(state, "joined", 2, "train/loss")));
    // The same images in the same order as in a batch of 18.
    run(state, "whole", SETS("train.batch=18", "train.epochs=2"));
    assert_null(strstr(lines, "last batch of an epoch"));
    assert_true(tiny_run_metric(state, "joined", 2, "train/loss") ==
                tiny_run_metric(state, "whole", 2, "train/loss"));
    // Images on the host come in batches, which the larger one has to fit.
    run(state, "host", SETS("train.batch=17", "train.epochs=2", "data.residency=host"));
    assert_true(tiny_run_metric(state, "joined", 2, "train/loss") ==
                tiny_run_metric(state, "host", 2, "train/loss"));
}

// Where each channel has more than one value, an image alone is trained on, as ever.
static void a_single_image_with_pixels_stays_alone(void **state) {
    run(state, "alone",
        SETS("train.batch=17", "train.epochs=1", "loss.form=plain", "loss.scales=[1.0]",
             "data.size=[64, 64]", "correction.enabled=false"));
    assert_non_null(strstr(lines, "steps: 2, 2 an epoch, 1 epochs"));
    assert_null(strstr(lines, "last batch of an epoch"));
}

// The labels of a map that a correction left, and the original ones beside it.
static void assert_left_alone(void *const *state, int epoch, const int32_t *order) {
    char path[128];
    struct safetensors *file = NULL;
    (void)snprintf(path, sizeof path, "dropped/labels/epoch_%04d.safetensors", epoch);
    check_ok(safetensors_open(scratch_path(state, path), &file));
    const struct safetensors_entry *labels = safetensors_find(file, "labels");
    assert_non_null(labels);
    struct config *config = tiny_run_config(state, NULL);
    struct dataset_config data;
    struct dataset *dataset = NULL;
    struct dataset_images images = {0};
    config_dataset(config, &data);
    check_ok(dataset_open(&data, &dataset));
    check_ok(dataset_load(dataset, SPLIT_TRAIN, false, &images));
    size_t n_pixels = (size_t)images.h * (size_t)images.w;
    int n_changed = 0;
    for (int i = 0; i < images.n; i++) {
        size_t at = (size_t)order[i] * n_pixels;
        bool is_same =
            memcmp((const uint8_t *)labels->data + at, images.labels + at, n_pixels) == 0;
        if (i >= 16) // behind four batches of 4
            assert_true(is_same);
        n_changed += !is_same;
    }
    assert_true(n_changed > 2);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    config_destroy(config);
    safetensors_close(file);
}

#define DROPPED "train.drop_last=true", "train.epochs=4"

// Images that an epoch leaves out have no prediction of it, so that its correction leaves their
// labels alone, also in a run that was interrupted in that epoch.
static void drop_last_leaves_the_rest_out(void **state) {
    int32_t order[TINY_SET_TRAIN];
    run(state, "dropped", SETS(DROPPED));
    assert_non_null(strstr(lines, "steps: 16, 4 an epoch, 4 epochs"));
    assert_true(tiny_run_metric(state, "dropped", 1, "step") == 4.0);
    int first = 1;
    while (first < 4 &&
           !(tiny_run_metric(state, "dropped", first, "correction/changed_pixels") > 0.0))
        first++;
    random_permutation(SEED, RANDOM_ORDER, (uint32_t)first, TINY_SET_TRAIN, order);
    assert_left_alone(state, first, order);
    int n_steps = 4 * first - 1; // before the last step of the epoch that corrects
    tiny_run_interrupted(state, "resumed", n_steps, SETS(DROPPED));
    check_ok(tiny_run(state, "resumed", true, SETS(DROPPED), NULL));
    tiny_run_assert_same(state, "dropped", "resumed");
}

// The last epoch has two steps of five. Its correction takes no predictions of the epoch before,
// which a run that is resumed between the two does not have.
static void a_cut_epoch_corrects_what_it_predicted(void **state) {
#define CUT "train.iterations=22", "correction.base=original"
    run(state, "cut", SETS(CUT));
    assert_true(tiny_run_metric(state, "cut", 4, "correction/changed_pixels") > 100.0);
    tiny_run_interrupted(state, "cut_resumed", 20, SETS(CUT));
    check_ok(tiny_run(state, "cut_resumed", true, SETS(CUT), NULL));
    tiny_run_assert_same(state, "cut", "cut_resumed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_the_last_step),
        cmocka_unit_test(a_single_image_joins_the_batch_before),
        cmocka_unit_test(a_single_image_with_pixels_stays_alone),
        cmocka_unit_test(drop_last_leaves_the_rest_out),
        cmocka_unit_test(a_cut_epoch_corrects_what_it_predicted),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
