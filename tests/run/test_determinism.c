// SPDX-License-Identifier: MIT
// Same configuration, same bytes: whatever the number of threads and the order in which the file
// system names the files. Every run is compared with one of two threads, file by file.
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPOCHS "train.epochs=5"
#define BATCH  "train.batch=6" // of 21 samples: the last batch of an epoch has 3

// Trains NETWORK into scratch/RUN by a program of so many threads.
static void train(void *const *state, const char *run, const char *network, int n_threads,
                  const char *preload) {
    char config[4096], folder[4096], model[64];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, run));
    (void)snprintf(model, sizeof model, "model.name=%s", network);
    const char *const argv[] = {ADELE_CLI, "train", config,  "--run", folder,  "--device", "cpu",
                                "--set",   EPOCHS,  "--set", BATCH,   "--set", model,      NULL};
    if (preload)
        assert_int_equal(setenv("LD_PRELOAD", preload, 1), 0);
    program_set_threads(n_threads);
    struct program_result result;
    program_run(argv, &result);
    program_set_threads(PROGRAM_THREADS);
    assert_int_equal(unsetenv("LD_PRELOAD"), 0);
    if (result.code != 0)
        fail_msg("%s: code %d: %s", run, result.code, result.err);
    program_result_deinit(&result);
}

static int reference_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    // Without it the samples are numbered as the folder lists them.
    check_ok(file_remove_tree(scratch_path(state, "set/splits_final.json")));
    train(state, "reference", "unet", 2, NULL);
    return 0;
}

static void print_hash(void *const *state, const char *name) {
    char *bytes = NULL, hash[17];
    size_t n = 0;
    check_ok(file_read(scratch_path(state, name), 0, &bytes, &n));
    hash_xxh3_hex(bytes, n, hash);
    memory_free(bytes);
    print_message("%s  %s\n", hash, name);
}

static void the_reference_corrects(void **state) {
    assert_true(tiny_run_metric(state, "reference", 5, "correction/changed_pixels") >= 1.0);
    print_hash(state, "reference/checkpoints/last.safetensors");
    print_hash(state, "reference/labels/manifest.json");
    print_hash(state, "reference/metrics.jsonl");
}

static void a_second_run_is_the_same(void **state) {
    train(state, "again", "unet", 2, NULL);
    tiny_run_assert_same(state, "reference", "again");
}

static void one_thread_is_the_same(void **state) {
    train(state, "one", "unet", 1, NULL);
    tiny_run_assert_same(state, "reference", "one");
}

static void three_threads_are_the_same(void **state) {
    train(state, "three", "unet", 3, NULL);
    tiny_run_assert_same(state, "reference", "three");
}

static void another_order_of_files_is_the_same(void **state) {
    if (ADELE_ORDER_SHIM[0] == '\0')
        skip(); // a sanitizer's runtime allows no library before it
    train(state, "order", "unet", 2, ADELE_ORDER_SHIM);
    tiny_run_assert_same(state, "reference", "order");
}

// The comparison sees what it should.
static void a_changed_byte_is_seen(void **state) {
    char path[4096], *bytes = NULL;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s",
                   scratch_path(state, "again/checkpoints/last.safetensors"));
    check_ok(file_read(path, 0, &bytes, &n));
    bytes[n / 2] = (char)(bytes[n / 2] ^ 1);
    check_ok(file_write(path, bytes, n));
    memory_free(bytes);
    assert_false(same_bytes(scratch_path(state, "reference/checkpoints/last.safetensors"), path));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_corrects),
        cmocka_unit_test(a_second_run_is_the_same),
        cmocka_unit_test(one_thread_is_the_same),
        cmocka_unit_test(three_threads_are_the_same),
        cmocka_unit_test(another_order_of_files_is_the_same),
        cmocka_unit_test(a_changed_byte_is_seen),
    };
    return cmocka_run_group_tests(tests, reference_setup, scratch_teardown);
}
