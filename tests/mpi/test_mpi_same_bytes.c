// SPDX-License-Identifier: MIT
// One training on one, two and four ranks leaves the same files, byte by byte: checkpoints, labels,
// metrics, onsets. Only the number of parts makes it another training.
#include "base/file.h"
#include "mpi/launch.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SGD   "train.optimizer.momentum=0.9", "train.optimizer.lr=0.2"
#define ADAMW "train.optimizer.name=adamw"
// Curves of intervals of one step, so that a correction begins with the third epoch.
#define VOC                                                                                        \
    ADAMW, "correction.pipeline=voc", "train.schedule=poly", "train.iterations=7",                 \
        "correction.interval=1", "correction.guard=false", "correction.flip=true",                 \
        "correction.crf_from_epoch=1", "data.augment.enabled=true", "data.augment.hsv=0",          \
        "data.crop=[32, 28]", "loss.learn_scale_weights=true"
#define EARLY "correction.r=0.01", "correction.tau=0.1" // a correction within a few epochs

static bool has_changed_labels(void *const *state, const char *run) {
    for (int epoch = 1; epoch <= tiny_run_n_records(state, run); epoch++)
        if (tiny_run_metric(state, run, epoch, "correction/changed_pixels") >= 1.0)
            return true;
    return false;
}

// The training of `launch` with so many parts: on one process, and on 2, 4, ... up to `most` ranks.
static void assert_same_bytes(void *const *state, struct launch launch, const char *parts,
                              int most) {
    const char *sets[32];
    int n = 0;
    while (launch.sets[n]) {
        sets[n] = launch.sets[n];
        n++;
    }
    assert_true(n < 30);
    sets[n++] = parts;
    sets[n] = NULL;
    launch.sets = sets;
    launch.n_ranks = 1;
    launch.run = "alone";
    launch_ok(state, &launch);
    assert_true(has_changed_labels(state, "alone"));
    for (launch.n_ranks = 2; launch.n_ranks <= most; launch.n_ranks *= 2) {
        launch.run = "together";
        launch_ok(state, &launch);
        tiny_run_assert_same(state, "alone", "together");
        check_ok(file_remove_tree(scratch_path(state, "together")));
    }
    check_ok(file_remove_tree(scratch_path(state, "alone")));
}

// Two parts, and four.
static void assert_same_on_cpu(void *const *state, const char *const *sets) {
    assert_same_bytes(state, (struct launch){.sets = sets}, "train.parts=4", 4);
    assert_same_bytes(state, (struct launch){.sets = sets}, "train.parts=2", 2);
}

static void segthor(void **state) {
    assert_same_on_cpu(
        state, SETS(SGD, "loss.dice=0.5", "correction.source=training_pass", "train.epochs=5"));
}
static void voc(void **state) {
    assert_same_on_cpu(state, SETS(VOC, "train.optimizer.lr=0.01", "correction.scales=[1.0, 1.5]",
                                   "loss.scales=[1.0, 1.5]"));
}
static void patches(void **state) {
    assert_same_on_cpu(state, SETS(SGD, EARLY, "data.patch=[32, 24]", "train.epochs=5",
                                   "correction.source=inference", "correction.scales=[1.0, 1.25]",
                                   "correction.veto=0.001"));
}
// With one thread everywhere, because the CPU's weight gradients of 7 x 7 convolutions depend on
// the number of threads (CONTRIBUTING.md).
static void deeplab(void **state) {
    struct launch launch = {.environment = SETS("OMP_NUM_THREADS=1"),
                            .sets = SETS(VOC, "train.optimizer.lr=0.01", "model.name=deeplabv1",
                                         "model.backbone=resnet18", "model.rate=2",
                                         "data.residency=host", "correction.scales=[1.0]",
                                         "loss.scales=[1.0, 1.1]", "train.best_by=last")};
    assert_same_bytes(state, launch, "train.parts=4", 4);
    assert_same_bytes(state, launch, "train.parts=2", 2);
}

// The emulator takes a second for three images: an epoch is of four, in one or two steps.
// `libraries`: "nccl", whose stand-in connects the emulated GPUs, or "none".
static void assert_same_on_simt(void *const *state, const char *libraries, const char *const *sets,
                                const char *parts, int most) {
    assert_same_bytes(state,
                      (struct launch){.program = ADELE_SIMT_CLI,
                                      .device = "simt",
                                      .sets = sets,
                                      .environment = SETS(libraries)},
                      parts, most);
}
static void segthor_on_simt(void **state) {
    assert_same_on_simt(state, "SIMT_LIBRARIES=nccl",
                        SETS(SGD, EARLY, "correction.source=training_pass", "train.epochs=3",
                             "train.batch=2", "loss.scales=[1.0, 1.1]",
                             "train.evaluate_test=false"),
                        "train.parts=2", 2);
}
static void voc_on_simt(void **state) {
    assert_same_on_simt(state, "SIMT_LIBRARIES=none",
                        SETS(VOC, "train.optimizer.lr=0.03", "train.batch=4", "train.iterations=4",
                             "correction.scales=[1.0]", "loss.scales=[1.0, 1.1]",
                             "train.evaluate_test=false"),
                        "train.parts=4", 4);
}

static int small_setup(void **state) {
    return launch_setup_of(state, 4, 1);
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, launch_setup, scratch_teardown)
#define SMALL_TEST(name) cmocka_unit_test_setup_teardown(name, small_setup, scratch_teardown)

// With ADELE_TEST_DEVICES=simt on the emulator, otherwise on the CPU.
int main(void) {
    const struct CMUnitTest tests[] = {TEST(segthor), TEST(voc), TEST(patches), TEST(deeplab)};
    const struct CMUnitTest simt_tests[] = {SMALL_TEST(segthor_on_simt), SMALL_TEST(voc_on_simt)};
    const char *devices = getenv("ADELE_TEST_DEVICES");
    int code = launch_prepare();
    if (code != 0)
        return code;
    if (!devices || strcmp(devices, "simt") != 0)
        return cmocka_run_group_tests(tests, NULL, NULL);
    if (ADELE_SIMT_CLI[0] == '\0')
        return skip_program("the command line on the emulator");
    return cmocka_run_group_tests(simt_tests, NULL, NULL);
}
