// SPDX-License-Identifier: MIT
// Several ranks that are stopped within an epoch, and go on as another number of ranks: the
// predictions of the training pass, of which each rank has some, go through the checkpoint. This
// program is its own rank: with arguments it trains, or resumes.
#include "run/trainer.h"

#include "ranks/ranks.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_TRAIN = 24, STEPS_OF_EPOCH = 3, NEVER = 1000 };

// ---- in a rank ----------------------------------------------------------------------------------

struct stop {
    int n_done, n_steps; // of this process; where it asks to stop
};

static void count_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    struct stop *stop = context;
    (void)epoch, (void)n_epochs, (void)step, (void)n_steps;
    stop->n_done++;
}

static bool should_stop(void *context) {
    const struct stop *stop = context;
    return stop->n_done >= stop->n_steps;
}

// One process is asked before each step; several ranks are in each, before it counts. Only the last
// of them asks to stop.
static struct stop stop_after(const struct ranks *ranks, int n_steps) {
    int n_ranks = ranks_count(ranks);
    if (n_ranks == 1)
        return (struct stop){0, n_steps};
    return (struct stop){0, ranks_index(ranks) == n_ranks - 1 ? n_steps - 1 : NEVER};
}

// PROGRAM FOLDER RUN STEPS: trains, or resumes the run, for so many steps.
static int run_rank(char **argv) {
    static const char *const sets[] = {"train.parts=4",
                                       "train.batch=8",
                                       "train.iterations=14", // the fifth epoch has two steps
                                       "train.optimizer.lr=0.2",
                                       "correction.source=training_pass",
                                       "correction.r=0.01",
                                       "correction.tau=0.1",
                                       NULL};
    struct ranks *ranks = NULL;
    void *folder = argv[1];
    if (ranks_open(&ranks) != ADELE_OK)
        return 1;
    struct stop stop = stop_after(ranks, atoi(argv[3]));
    struct config *config = tiny_run_config(&folder, sets);
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(&folder, argv[2]),
                                      .resume = true,
                                      .device = "cpu",
                                      .ranks = ranks,
                                      .on_step = count_step,
                                      .should_stop = should_stop,
                                      .context = &stop};
    adele_status status = trainer_run(&options, &result);
    bool has_failed = status != ADELE_OK && status != ADELE_INTERRUPTED;
    if (has_failed)
        fprintf(stderr, "error: %s\n", adele_error_message());
    config_destroy(config);
    ranks_close(ranks, has_failed);
    return has_failed ? 1 : 0;
}

// ---- the tests ----------------------------------------------------------------------------------

// Stops after so many steps, if the training has so many.
static void train(void *const *state, int n_ranks, const char *run, int n_steps) {
    char self[4096], steps[16];
    const char *const argv[] = {self, *state, run, steps, NULL};
    struct program_result result;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    (void)snprintf(steps, sizeof steps, "%d", n_steps);
    program_set_threads(1);
    if (n_ranks == 1)
        program_run(argv, &result);
    else
        mpirun_run(n_ranks, argv, &result);
    if (result.code != 0)
        fail_msg("%d ranks, %s: code %d\n%s", n_ranks, run, result.code, result.err);
    program_result_deinit(&result);
}

static void assert_same_checkpoint(void *const *state, const char *run_a, const char *run_b) {
    char a[4096], b[4096];
    (void)snprintf(a, sizeof a, "%s/checkpoints/last.safetensors", scratch_path(state, run_a));
    (void)snprintf(b, sizeof b, "%s/checkpoints/last.safetensors", scratch_path(state, run_b));
    if (!same_bytes(a, b))
        fail_msg("the checkpoints of %s and %s differ", run_a, run_b);
}

static int set_up(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = N_TRAIN;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "set"), &set);
    return 0;
}

// In the second epoch, where a third of the images have their prediction from the first; and in the
// fourth, after corrections. A third of the images has no prediction of the last epoch, whose
// correction takes that of the epoch before.
static void a_stop_within_an_epoch(void **state) {
    train(state, 1, "alone", NEVER);
    for (int epoch = 4; epoch <= 5; epoch++)
        assert_true(tiny_run_metric(state, "alone", epoch, "correction/changed_pixels") >= 1.0);
    train(state, 1, "stopped", STEPS_OF_EPOCH + 2);
    train(state, 4, "ranks", STEPS_OF_EPOCH + 2);
    assert_same_checkpoint(state, "stopped", "ranks");
    train(state, 1, "stopped", 2 * STEPS_OF_EPOCH);
    train(state, 2, "ranks", 2 * STEPS_OF_EPOCH);
    assert_same_checkpoint(state, "stopped", "ranks");
    train(state, 4, "ranks", NEVER);
    tiny_run_assert_same(state, "alone", "ranks");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_within_an_epoch),
    };
    if (argc == 4)
        return run_rank(argv);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, scratch_teardown);
}
