// SPDX-License-Identifier: MIT
// A command, a run or an output that cannot be meant as it was given: the message says what it is,
// and what to give instead.
#include "base/file.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char config[4096]; // a file of a configuration

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "c.yaml"));
    check_ok(file_write(config, "data: {root: x}\n", 16));
    return 0;
}

// The words end with NULL.
static void assert_refused(const char *const *words, int code, const char *part) {
    const char *argv[8] = {ADELE_CLI};
    struct program_result result;
    for (int i = 0; words[i] != NULL; i++)
        argv[i + 1] = words[i];
    program_run(argv, &result);
    if (result.code != code || strstr(result.err, part) == NULL)
        fail_msg("exit code %d, wanted %d and '%s' in\n%s", result.code, code, part, result.err);
    program_result_deinit(&result);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_misspelt_command_names_the_nearest(void **state) {
    static const char *const pairs[][2] = {{"trian", "train"},        {"trane", "train"},
                                           {"eval", "evaluate"},      {"evalute", "evaluate"},
                                           {"lables", "labels"},      {"rport", "report"},
                                           {"selftests", "selftest"}, {"inof", "info"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char part[128];
        (void)snprintf(part, sizeof part,
                       "adele: error: no command '%s'; did you mean '%s'?\n  hint: `adele --help`",
                       pairs[i][0], pairs[i][1]);
        assert_refused(WORDS(pairs[i][0]), 2, part);
    }
    // Nothing is near.
    assert_refused(WORDS("xyzzy"), 2, "no command 'xyzzy'\n");
    assert_refused(WORDS("ab"), 2, "no command 'ab'\n");
    assert_refused(WORDS("help", "trian"), 2, "no command 'trian'; did you mean 'train'?");
}

static void a_misspelt_option_names_the_nearest(void **state) {
    static const char no_file[] = "nix: cannot open";
    (void)state;
    assert_refused(WORDS("train", "nix", "--divice", "cpu"), 2,
                   "adele: error: `adele train` has no option '--divice'; did you mean "
                   "'--device'?\n  hint: `adele train --help`");
    assert_refused(WORDS("train", "nix", "--sett=train.epochs=3"), 2, "did you mean '--set'?");
    assert_refused(WORDS("train", "nix", "--hepl"), 2, "did you mean '--help'?");
    // Nothing is near; a shortened name; values that look like options; what follows "--".
    assert_refused(WORDS("train", "nix", "--xyzzyx"), 2, "unrecognized option '--xyzzyx'");
    assert_refused(WORDS("train", "nix", "--resum"), 1, no_file);
    assert_refused(WORDS("train", "nix", "--run", "--divice"), 1, no_file);
    assert_refused(WORDS("train", "nix", "-d", "--divice"), 1, no_file);
    assert_refused(WORDS("train", "--", "--divice"), 1, "--divice: cannot open");
}

// Each key of a configuration may be taken for an option.
static void a_key_as_an_option_names_set(void **state) {
    static const char *const cases[][3] = {
        {"--epochs", "5", "--set train.epochs=5;"},
        {"--lr=0.1", NULL, "--set train.optimizer.lr=0.1;"},
        {"--batch", "8", "--set train.batch=8;"},
        {"--width", "32", "--set model.width=32;"},
        {"--seed", "3", "--set train.seed=3 or --set data.noise.seed=3;"},
        {"--train.epochs", "5", "--set train.epochs=5;"},
        {"--label-map", NULL, "--set data.label_map=VALUE;"},
        {"--label_map", "--resume", "--set data.label_map=VALUE;"},
        {"--size", "[64, 64]", "--set 'data.size=[64, 64]';"},
        {"--batch-size", "8", "--set train.batch=8;"},
        {"--epoch", "5", "--set train.epochs=5;"},
        {"--lambda", "-1", "--set loss.lambda=-1;"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(WORDS("train", "nix", cases[i][0], cases[i][1]), 2, cases[i][2]);
    assert_refused(WORDS("train", "nix", "--epochs", "5"), 2,
                   "adele: error: `adele train` has no option '--epochs'; keys of a configuration "
                   "are given with --set\n  hint: Write --set train.epochs=5; `adele train --help` "
                   "lists its options.\n");
    assert_refused(WORDS("table", "nix", "--epochs=5"), 2, "--set train.epochs=5;");
    // A misspelt option is still one; a command without --set has no use for the hint.
    assert_refused(WORDS("train", "nix", "--device-typos"), 2, "unrecognized option");
    assert_refused(WORDS("train", "nix", "--devcie", "cpu"), 2, "did you mean '--device'?");
    assert_refused(WORDS("report", "nix", "--epochs", "5"), 2, "unrecognized option '--epochs'");
}

static void a_configuration_is_no_run(void **state) {
    const char *out = scratch_path(state, "out");
    char is[4200];
    (void)snprintf(is, sizeof is,
                   "%s: is a configuration, not a run or a checkpoint\n  hint: Name "
                   "the folder of a run",
                   config);
    assert_refused(WORDS("evaluate", config), 1, is);
    assert_refused(WORDS("audit", config), 1, is);
    assert_refused(WORDS("predict", config, "-i", "x", "-o", out), 1, is);
    assert_refused(WORDS("export", config, "-o", out), 1, is);
    (void)snprintf(is, sizeof is, "%s: is a configuration, not a run\n", config);
    assert_refused(WORDS("labels", config, "-o", out), 1, is);
    assert_refused(WORDS("report", config, "-o", out), 1, is);
    assert_false(file_exists(out));
}

static void what_is_not_there_is_no_damaged_run(void **state) {
    const char *out = scratch_path(state, "out");
    assert_refused(WORDS("labels", "nix", "-o", out), 1, "nix: no such folder\n  hint: Check the");
    assert_refused(WORDS("report", "nix", "-o", out), 1, "nix: no such folder\n  hint: Check the");
    assert_refused(WORDS("evaluate", "nix"), 1, "nix: no such file or folder\n  hint: Check the");
    assert_refused(WORDS("evaluate", scratch_path(state, ".")), 1,
                   "/checkpoints/last.safetensors: not there\n  hint: Name the folder of a run");
    assert_refused(WORDS("labels", ADELE_CLI, "-o", out), 1,
                   ": is a file, not the folder of a run");
}

// The hint of a file asks for another name, that of a folder for another folder.
static void a_hint_says_what_to_choose(void **state) {
    const char *taken = scratch_path(state, "taken.yaml");
    check_ok(file_make_directory(scratch_path(state, "own")));
    check_ok(file_write(taken, "x", 1));
    assert_refused(WORDS("init", scratch_path(state, "own"), "-o", taken), 1,
                   "is there already\n  hint: Choose another name, or replace adele's own earlier "
                   "file with --overwrite.");
    assert_refused(WORDS("init", scratch_path(state, "own"), "-o", taken, "--overwrite"), 1,
                   "  hint: Move it away, or choose another name.");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misspelt_command_names_the_nearest),
        cmocka_unit_test(a_misspelt_option_names_the_nearest),
        cmocka_unit_test(a_key_as_an_option_names_set),
        cmocka_unit_test(a_configuration_is_no_run),
        cmocka_unit_test(what_is_not_there_is_no_damaged_run),
        cmocka_unit_test(a_hint_says_what_to_choose),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
