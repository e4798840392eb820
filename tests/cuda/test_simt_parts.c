// SPDX-License-Identifier: MIT
// train.parts and train.accumulate on the CUDA sources under emulation (or, with
// ADELE_TEST_DEVICES=cuda, on a GPU): a step is one captured graph, with the bytes of a step that
// is launched op by op, and images that are in the host's memory are found in the batch that was
// fetched.
#include "runtime/cuda_device.h"
#include "support/scratch.h"
#include "support/simt_devices.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Of 8 images, in batches of 4.
#define N_STEPS  2
#define N_EPOCHS 2

static const char *device_name(void) {
    const char *kind = getenv("ADELE_TEST_DEVICES");
#ifdef ADELE_HAVE_CUDA
    if (kind != NULL && strcmp(kind, "cuda") == 0)
        return cuda_device_count() > 0 ? "cuda/direct" : NULL;
#endif
    (void)kind;
#ifdef ADELE_HAVE_SIMT
    return "simt";
#else
    return NULL;
#endif
}

static int setup(void **state) {
    struct tiny_set set = tiny_set_default(3);
    set.n_train = 4 * N_STEPS;
    set.n_val = set.n_test = 1;
    set.height = set.width = 32;
    set.noise_px = 2;
    simt_devices_provide();
    if (scratch_setup(state) != 0)
        return -1;
    tiny_set_write(scratch_path(state, "set"), &set);
    return 0;
}

static int teardown(void **state) {
    adele_device_provide("simt", NULL);
    return scratch_teardown(state);
}

static void train(void *const *state, const char *name, const char *key, const char *residency) {
    struct config *config = tiny_run_config(
        state, SETS(key, "train.batch=4", "train.epochs=2", residency, "loss.scales=[1.0]",
                    "train.evaluate_test=false", "train.average=true"));
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, name), .device = device_name()};
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
}

#ifdef ADELE_HAVE_SIMT
long simt_graph_launches(void); // of the emulator
#endif

// `n_kinds`: of steps. The first step of each kind is launched op by op.
static void compare_ways(void *const *state, const char *key, long n_kinds) {
    if (device_name() == NULL) {
        print_message("no GPU here, or a build without an emulator\n");
        skip();
    }
    char launches[32], graphs[32], host[32];
    (void)snprintf(launches, sizeof launches, "%s_launches", key);
    (void)snprintf(graphs, sizeof graphs, "%s_graphs", key);
    (void)snprintf(host, sizeof host, "%s_host", key);
    assert_int_equal(setenv("ADELE_CUDA_GRAPHS", "0", 1), 0);
    train(state, launches, key, "data.residency=device");
    assert_int_equal(unsetenv("ADELE_CUDA_GRAPHS"), 0);
#ifdef ADELE_HAVE_SIMT
    long before = simt_graph_launches();
#endif
    train(state, graphs, key, "data.residency=device");
#ifdef ADELE_HAVE_SIMT
    if (strcmp(device_name(), "simt") == 0)
        assert_int_equal(simt_graph_launches() - before, N_EPOCHS * N_STEPS - n_kinds);
#else
    (void)n_kinds;
#endif
    train(state, host, key, "data.residency=host");
    assert_true(isfinite(tiny_run_metric(state, graphs, N_EPOCHS, "train/loss")));
    tiny_run_assert_same(state, launches, graphs);
    tiny_run_assert_same(state, graphs, host);
}

static void a_step_of_parts_is_one_graph(void **state) {
    compare_ways(state, "train.parts=2", 1);
}

static void steps_of_an_update_are_graphs(void **state) {
    compare_ways(state, "train.accumulate=2", 2); // the last step of an update is another one
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_step_of_parts_is_one_graph),
                                       cmocka_unit_test(steps_of_an_update_are_graphs)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
