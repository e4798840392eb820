// SPDX-License-Identifier: MIT
// The parts of a batch on several ranks: the same files as one process writes, byte by byte, also
// of runs that are interrupted at one rank and resumed on another number of them, and of runs in
// which a rank alone has a loss that is not finite. Where there are two ranks, the plans of a
// step's scales run together. This program is its own rank: with arguments, it is one of several
// that train.
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "support/mpirun.h"
#include "support/scales_device.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

// ---- in a rank ----------------------------------------------------------------------------------

static struct adele_device_iface faulty;
static const struct adele_device_iface *sane;
static long i_loss, n_losses; // the loss op's call that is spoilt, from 1 (0: none); calls so far
static bool is_together;      // a convolution of all scales is one op, with the same bytes

static adele_status faulty_loss(struct adele_op *op, const struct adele_loss_args *args) {
    if (++n_losses == i_loss)
        *(float *)args->logits[0] = -INFINITY;
    return sane->loss_forward(op, args);
}

static adele_status open_faulty(enum adele_precision precision, struct adele_device **out) {
    struct adele_device *device = NULL;
    adele_status status = adele_device_open("cpu", precision, &device);
    if (status != ADELE_OK)
        return status;
    sane = device->iface;
    faulty = *sane;
    faulty.loss_forward = faulty_loss;
    device->iface = &faulty;
    if (is_together)
        scales_device_wrap(device);
    *out = device;
    return ADELE_OK;
}

static bool has_stopped(void *context) {
    long *n_left = context;
    return *n_left >= 0 && (*n_left)-- == 0;
}

enum { CODE_DONE, CODE_FAILED, CODE_STOPPED, N_ARGUMENTS = 7 };

// PROGRAM FOLDER RUN RESUME STOP LOSS RANK SETS..: at rank RANK, the run is asked to stop the
// STOP-th time (from 0) that it asks, and the LOSS-th loss is not finite.
static int train(int argc, char **argv) {
    struct ranks *ranks = NULL;
    char *folder = argv[1], run[4096];
    if (ranks_open(&ranks) != ADELE_OK)
        return 9;
    bool is_it = ranks_index(ranks) == atoi(argv[6]);
    long n_left = is_it ? atol(argv[4]) : -1;
    i_loss = is_it ? atol(argv[5]) : 0;
    n_losses = 0;
    is_together = ranks_count(ranks) == 2;
    adele_device_provide("faulty", open_faulty);
    (void)snprintf(run, sizeof run, "%s/%s", folder, argv[2]);
    struct config *config = tiny_run_config((void *const *)&folder, // argv ends with NULL
                                            (const char *const *)argv + N_ARGUMENTS);
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = run,
                                      .resume = atoi(argv[3]) != 0,
                                      .device = "faulty",
                                      .ranks = ranks,
                                      .should_stop = has_stopped,
                                      .context = &n_left};
    adele_status status = trainer_run(&options, &result);
    bool has_scales = config->loss.form != ADELE_LOSS_PLAIN;
    config_destroy(config);
    if ((is_together && has_scales) != (scales_device.n_backward > 0))
        return 9;
    if (status != ADELE_OK)
        fprintf(stderr, "rank %d: %s\n", ranks_index(ranks), adele_error_message());
    (void)argc;
    ranks_close(ranks, status != ADELE_OK && status != ADELE_INTERRUPTED);
    return status == ADELE_OK            ? CODE_DONE
           : status == ADELE_INTERRUPTED ? CODE_STOPPED
                                         : CODE_FAILED;
}

// ---- the tests ----------------------------------------------------------------------------------

// What happens in a run.
struct event {
    int stop, loss, rank; // stop -1, loss 0: none
};
static const struct event nothing = {-1, 0, 0};

static void on_ranks(void *const *state, int n_ranks, const char *run, bool resume,
                     struct event event, const char *const *sets, struct program_result *out) {
    char self[4096], stop[16], loss[16], rank[16];
    const char *argv[MPIRUN_MOST_ARGUMENTS] = {self, *state, run, resume ? "1" : "0",
                                               stop, loss,   rank};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    (void)snprintf(stop, sizeof stop, "%d", event.stop);
    (void)snprintf(loss, sizeof loss, "%d", event.loss);
    (void)snprintf(rank, sizeof rank, "%d", event.rank);
    for (int i = 0; sets[i]; i++)
        argv[N_ARGUMENTS + i] = sets[i];
    mpirun_run(n_ranks, argv, out);
}

static void run_on(void *const *state, int n_ranks, const char *run, bool resume,
                   struct event event, const char *const *sets, int code) {
    struct program_result result;
    on_ranks(state, n_ranks, run, resume, event, sets, &result);
    if (result.code != code)
        fail_msg("%s on %d ranks: exit code %d, not %d:\n%s", run, n_ranks, result.code, code,
                 result.err);
    program_result_deinit(&result);
}

// An epoch has 2 steps of 4 parts of 2 images; 2 of 18 images are left out.
#define PARTS "train.parts=4", "train.batch=8", "train.evaluate_test=false"
// Of the training pass; with all that a part's vector holds.
#define PASS PARTS, "train.epochs=4", "loss.learn_scale_weights=true", "loss.dice=0.5"
#define INTENSITY                                                                                  \
    "data.augment.brightness=0.5", "data.augment.contrast=0.5", "data.augment.gamma=0.5",          \
        "data.augment.noise=0.5", "data.augment.blur=0.5"
#define VOC                                                                                        \
    "train.parts=4", "train.batch=8", "correction.pipeline=voc", "train.iterations=9",             \
        "correction.interval=3", "correction.tau=0.3", "correction.guard=false",                   \
        "data.augment.enabled=true", "data.augment.hsv=0", "data.crop=[32, 28]", INTENSITY,        \
        "loss.learn_scale_weights=true", "loss.scales=[1.0, 1.5]", "train.schedule=poly"

// Three epochs of two steps, labels are corrected after the second. Each rank has the maps of its
// own images.
#define ENSEMBLE                                                                                   \
    PARTS, "train.epochs=3", "correction.method=ensemble", "correction.at=0.667",                  \
        "correction.gate=false", "loss.form=plain"

static void the_number_of_ranks_does_not_matter(void **state) {
    run_on(state, 1, "pass1", false, nothing, SETS(PASS), CODE_DONE);
    run_on(state, 2, "pass2", false, nothing, SETS(PASS), CODE_DONE);
    run_on(state, 4, "pass4", false, nothing, SETS(PASS), CODE_DONE);
    tiny_run_assert_same(state, "pass1", "pass2");
    tiny_run_assert_same(state, "pass1", "pass4");
    assert_true(tiny_run_metric(state, "pass1", 4, "correction/changed_pixels") > 0.0);
    run_on(state, 1, "voc1", false, nothing, SETS(VOC), CODE_DONE);
    run_on(state, 4, "voc4", false, nothing, SETS(VOC), CODE_DONE);
    tiny_run_assert_same(state, "voc1", "voc4");
}

// Asked at the last rank, within an epoch; the checkpoint holds what all ranks have done of it.
static void resumed_on_another_number_of_ranks(void **state) {
    const struct event stop = {6, 0, 1}; // after step 7, the first of epoch 4, which corrects
    run_on(state, 2, "back1", false, stop, SETS(PASS), CODE_STOPPED);
    run_on(state, 1, "back1", true, nothing, SETS(PASS), CODE_DONE);
    tiny_run_assert_same(state, "pass1", "back1");
    run_on(state, 2, "back4", false, stop, SETS(PASS), CODE_STOPPED);
    run_on(state, 4, "back4", true, nothing, SETS(PASS), CODE_DONE);
    tiny_run_assert_same(state, "pass1", "back4");
    run_on(state, 4, "vocback", false, (struct event){2, 0, 3}, SETS(VOC), CODE_STOPPED);
    run_on(state, 2, "vocback", true, nothing, SETS(VOC), CODE_DONE);
    tiny_run_assert_same(state, "voc1", "vocback");
}

// The checkpoint within the second epoch holds the maps of all ranks.
static void ranks_share_an_ensemble(void **state) {
    run_on(state, 1, "ensemble1", false, nothing, SETS(ENSEMBLE), CODE_DONE);
    assert_true(tiny_run_metric(state, "ensemble1", 2, "correction/changed_pixels") > 0.0);
    run_on(state, 4, "ensemble4", false, nothing, SETS(ENSEMBLE), CODE_DONE);
    tiny_run_assert_same(state, "ensemble1", "ensemble4");
    run_on(state, 4, "ensemble2", false, (struct event){3, 0, 3}, SETS(ENSEMBLE), CODE_STOPPED);
    run_on(state, 2, "ensemble2", true, nothing, SETS(ENSEMBLE), CODE_DONE);
    tiny_run_assert_same(state, "ensemble1", "ensemble2");
}

// Two parts a rank: the third loss of rank 1 is that of the third part of step 2.
static void a_bad_loss_at_one_rank_counts_for_all(void **state) {
    const struct event bad = {-1, 3, 1}, same = {-1, 4 + 3, 0};
    struct program_result result;
    on_ranks(state, 2, "stop", false, bad, SETS(PASS), &result);
    if (result.code != CODE_FAILED ||
        !strstr(result.err, "epoch 1, step 2 of 2: the loss is not finite"))
        fail_msg("exit code %d:\n%s", result.code, result.err);
    program_result_deinit(&result);
    run_on(state, 1, "skip1", false, same, SETS(PASS, "train.on_nan=skip"), CODE_DONE);
    run_on(state, 2, "skip2", false, bad, SETS(PASS, "train.on_nan=skip"), CODE_DONE);
    tiny_run_assert_same(state, "skip1", "skip2");
    assert_true(tiny_run_metric(state, "skip2", 1, "train/left_out_steps") == 1.0);
    run_on(state, 2, "roll2", false, (struct event){-1, 4 + 3, 1},
           SETS(PASS, "train.on_nan=rollback"), CODE_DONE);
    tiny_run_assert_same(state, "pass1", "roll2");
}

static void ranks_that_do_not_divide_the_parts_are_refused(void **state) {
    struct program_result result;
    on_ranks(state, 3, "three", false, nothing, SETS(PASS), &result);
    if (result.code != CODE_FAILED ||
        !strstr(result.err, "3 processes cannot share train.parts: 4"))
        fail_msg("exit code %d:\n%s", result.code, result.err);
    program_result_deinit(&result);
}

// Each rank counts its own images, and the gate's measures in onset.json are those of all.
static void ranks_count_for_the_gate(void **state) {
    static const char *const sets[] = {PARTS,
                                       "correction.method=ensemble",
                                       "loss.form=plain",
                                       "train.epochs=10",
                                       "correction.at=0.9",
                                       "correction.beta=0.5",
                                       NULL};
    static const char *const measures[] = {
        "known", "area_deviation", "one_sided", "iou_of_decisions", "iou_with_labels", NULL};
    char *text = NULL;
    size_t n = 0;
    run_on(state, 1, "gate1", false, nothing, sets, CODE_DONE);
    run_on(state, 4, "gate4", false, nothing, sets, CODE_DONE);
    tiny_run_assert_same(state, "gate1", "gate4");
    assert_int_equal(file_read(scratch_path(state, "gate1/onset.json"), 0, &text, &n), ADELE_OK);
    cJSON *onset = cJSON_ParseWithLength(text, n);
    const cJSON *box = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(onset, "categories"), 1);
    const cJSON *gate = cJSON_GetObjectItemCaseSensitive(box, "gate");
    for (const char *const *name = measures; *name != NULL; name++)
        assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(gate, *name)) > 0.0);
    cJSON_Delete(onset);
    memory_free(text);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_ranks_does_not_matter),
        cmocka_unit_test(resumed_on_another_number_of_ranks),
        cmocka_unit_test(ranks_share_an_ensemble),
        cmocka_unit_test(a_bad_loss_at_one_rank_counts_for_all),
        cmocka_unit_test(ranks_that_do_not_divide_the_parts_are_refused),
        cmocka_unit_test(ranks_count_for_the_gate),
    };
    if (argc >= N_ARGUMENTS)
        return train(argc, argv);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
