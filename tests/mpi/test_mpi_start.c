// SPDX-License-Identifier: MIT
// Ranks that cannot train together: one error, before the first step, which names the rank that
// differs; all end with code 1, and no folder of the run is left.
#include "base/file.h"
#include "mpi/launch.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SETS_2 "train.parts=2", "train.optimizer.momentum=0.9"

static int setup(void **state) {
    if (launch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(4); // another seed
    set.n_train = 14;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "other"), &set);
    return 0;
}

// With all of `words`, which end with NULL, in its one error.
static void assert_refused(void *const *state, struct launch launch, const char *const *words) {
    struct program_result result;
    launch.run = "refused";
    launch_run(state, &launch, &result);
    bool is_told = result.code == 1 && count_of(result.err, "adele: error:") == 1;
    for (int i = 0; words[i]; i++)
        is_told = is_told && strstr(result.err, words[i]);
    if (!is_told)
        launch_fail(&result, "refused");
    program_result_deinit(&result);
    assert_false(file_exists(scratch_path(state, "refused")));
}

static void three_ranks(void **state) {
    assert_refused(state, (struct launch){.n_ranks = 3, .sets = SETS(SETS_2)},
                   SETS("3", "train.parts"));
}

static void more_ranks_than_parts(void **state) {
    assert_refused(state, (struct launch){.n_ranks = 4, .sets = SETS(SETS_2)},
                   SETS("4", "train.parts"));
}

static void another_configuration(void **state) {
    assert_refused(
        state,
        (struct launch){.n_ranks = 2, .sets = SETS(SETS_2), .last_sets = SETS("train.seed=9")},
        SETS("rank 1"));
}

static void another_data_set(void **state) {
    char root[4200], noisy[4200];
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, "other"));
    (void)snprintf(noisy, sizeof noisy, "data.noisy_labels=%s",
                   scratch_path(state, "other/noisyTr"));
    assert_refused(
        state, (struct launch){.n_ranks = 2, .sets = SETS(SETS_2), .last_sets = SETS(root, noisy)},
        SETS("rank 1"));
    // Labels alone: the same names and, at one value of a pixel, the same sizes.
    assert_refused(state,
                   (struct launch){.n_ranks = 2, .sets = SETS(SETS_2), .last_sets = SETS(noisy)},
                   SETS("rank 1"));
}

// Found when the pictures are read, after the logs are begun.
static void a_broken_picture(void **state) {
    char root[4200], noisy[4200];
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, "other"));
    (void)snprintf(noisy, sizeof noisy, "data.noisy_labels=%s",
                   scratch_path(state, "other/noisyTr"));
    check_ok(
        file_write(scratch_path(state, "other/imagesTr/train_003_0000.png"), "\x89PNG\r\n", 6));
    assert_refused(state, (struct launch){.n_ranks = 2, .sets = SETS(SETS_2, root, noisy)},
                   SETS("train_003_0000.png"));
}

static void another_instruction_set(void **state) {
    assert_refused(state,
                   (struct launch){.n_ranks = 4,
                                   .sets = SETS("train.parts=4", "train.optimizer.momentum=0.9"),
                                   .last_environment = SETS("ADELE_CPU_ISA=sse41")},
                   SETS("rank 3", "sse41"));
}

static void another_device(void **state) {
    assert_refused(state,
                   (struct launch){.n_ranks = 2, .sets = SETS(SETS_2), .last_device = "cpu/direct"},
                   SETS("rank 1"));
}

static void a_configuration_with_a_mistake_is_told_once(void **state) {
    assert_refused(
        state, (struct launch){.n_ranks = 4, .sets = SETS("train.parts=4", "train.epochs=none")},
        SETS("train.epochs"));
}

static void a_build_without_mpi(void **state) {
    struct program_result result;
    launch_run(
        state,
        &(struct launch){
            .n_ranks = 2, .run = "refused", .program = ADELE_WITHOUT_MPI, .sets = SETS(SETS_2)},
        &result);
    // Each of the processes is alone, and the first that ends takes the others with it.
    int n = count_of(result.err, "adele: error:");
    if (result.code != 1 || n < 1 || n > 2 || !strstr(result.err, "MPI"))
        launch_fail(&result, "refused");
    program_result_deinit(&result);
    assert_false(file_exists(scratch_path(state, "refused/checkpoints/last.safetensors")));
    // On its own it trains.
    launch_ok(state, &(struct launch){.n_ranks = 1,
                                      .run = "alone",
                                      .program = ADELE_WITHOUT_MPI,
                                      .sets = SETS(SETS_2, "train.epochs=1")});
}

int main(void) {
    int code = launch_prepare();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_ranks),
        cmocka_unit_test(more_ranks_than_parts),
        cmocka_unit_test(another_configuration),
        cmocka_unit_test(another_data_set),
        cmocka_unit_test(a_broken_picture),
        cmocka_unit_test(another_instruction_set),
        cmocka_unit_test(another_device),
        cmocka_unit_test(a_configuration_with_a_mistake_is_told_once),
        cmocka_unit_test(a_build_without_mpi),
    };
    return code != 0 ? code : cmocka_run_group_tests(tests, setup, scratch_teardown);
}
