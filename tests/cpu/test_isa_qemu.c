// SPDX-License-Identifier: MIT
// The program on a processor that has no AVX at all: a Nehalem of 2008 as qemu-x86_64 emulates it
// (Debian's qemu-user), where an instruction of a later set ends the program. Without qemu-x86_64
// in PATH the tests are skipped.
#include "base/file.h"
#include "base/memory.h"
#include "support/outputs.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/tiny_set.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EMULATOR  "qemu-x86_64"
#define MAX_WORDS 24

static char emulator[4096]; // its path; empty where it is not installed

static void find_emulator(void) {
    char *folders = strdup(getenv("PATH") != NULL ? getenv("PATH") : "");
    assert_non_null(folders);
    for (char *folder = strtok(folders, ":"); folder; folder = strtok(NULL, ":")) {
        (void)snprintf(emulator, sizeof emulator, "%s/" EMULATOR, folder);
        if (access(emulator, X_OK) == 0)
            break;
        emulator[0] = '\0';
    }
    free(folders);
}

static int setup(void **state) {
    struct tiny_set set = tiny_set_default(3);
    find_emulator();
    assert_int_equal(unsetenv("ADELE_CPU_ISA"), 0);
    if (emulator[0] == '\0')
        print_message("there is no " EMULATOR " here\n"); // CTest takes this for "skipped"
    if (scratch_setup(state) != 0)
        return -1;
    set.n_train = 4;
    set.n_val = set.n_test = 1;
    tiny_set_write(scratch_path(state, "set"), &set);
    char *text = tiny_set_config(scratch_path(state, "set"), NULL);
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return 0;
}

// argv[0] is the program's path. It ends with 0, or the test fails.
static void run_emulated(const char *const *argv, struct program_result *out) {
    const char *words[MAX_WORDS] = {emulator, "-cpu", "Nehalem"};
    int n = 3;
    if (emulator[0] == '\0')
        skip();
    for (int i = 0; argv[i]; i++) {
        assert_true(n < MAX_WORDS - 1);
        words[n++] = argv[i];
    }
    program_run(words, out);
    if (out->code != 0)
        fail_msg("%s: code %d\n%s%s", argv[0], out->code, out->out, out->err);
}

static void info_names_the_set(void **state) {
    (void)state;
    struct program_result result = {0};
    run_emulated((const char *const[]){ADELE_CLI, "info", NULL}, &result);
    assert_non_null(strstr(result.out, ", sse41, "));
    program_result_deinit(&result);
}

static void outputs_line(const struct program_result *result, char *out, size_t size) {
    const char *line = strstr(result->out, OUTPUTS_LINE);
    assert_non_null(line);
    (void)snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
}

// The tests of ops without convolutions: right, and with the bits that this processor computes.
static void ops_are_right_and_have_the_same_bits(void **state) {
    (void)state;
    static const char *const ops[] = {"add", "global_pool", "batch_norm", "sgd", "ensemble"};
    assert_int_equal(setenv(OUTPUTS_VARIABLE, "1", 1), 0);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        char program[4096], emulated[128], own[128];
        struct program_result result = {0};
        (void)snprintf(program, sizeof program, "%s/test_%s", ADELE_TEST_FOLDER, ops[i]);
        const char *const argv[] = {program, NULL};
        run_emulated(argv, &result);
        outputs_line(&result, emulated, sizeof emulated);
        program_result_deinit(&result);
        program_run(argv, &result);
        outputs_line(&result, own, sizeof own);
        program_result_deinit(&result);
        if (strcmp(emulated, own) != 0)
            fail_msg("%s: %s emulated, %s here", ops[i], emulated, own);
    }
    assert_int_equal(unsetenv(OUTPUTS_VARIABLE), 0);
}

// An epoch of one step, which goes through every kernel of the U-Net and oneDNN's code for SSE4.1.
static void it_trains(void **state) {
    char config[4096], run[4096];
    struct program_result result = {0};
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "emulated"));
    run_emulated((const char *const[]){ADELE_CLI, "train", config, "--run", run, "--device", "cpu",
                                       "--set", "train.epochs=1", "--set", "loss.scales=[1.0]",
                                       NULL},
                 &result);
    program_result_deinit(&result);
    assert_int_equal(tiny_run_n_records(state, "emulated"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_names_the_set),
        cmocka_unit_test(ops_are_right_and_have_the_same_bits),
        cmocka_unit_test(it_trains),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
