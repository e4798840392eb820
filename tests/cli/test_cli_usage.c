// SPDX-License-Identifier: MIT
// Help, wrong arguments and failures of the program: exit codes, and messages that name what is
// wrong.
#include "base/file.h"
#include "cli/cli.h"
#include "support/cli_run.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VERB_NAME(name, help) #name,
static const char *const verbs[] = {CLI_VERBS(VERB_NAME)};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void help_explains_every_verb(void **state) {
    (void)state;
    struct program_result all, result;
    ADELE(&all, "--help");
    assert_code(&all, 0);
    for (size_t i = 0; i < N_VERBS; i++) {
        char usage[64];
        (void)snprintf(usage, sizeof usage, "Usage: adele %s", verbs[i]);
        assert_non_null(strstr(all.out, verbs[i]));
        ADELE(&result, verbs[i], "--help");
        assert_code(&result, 0);
        if (!strstr(result.out, usage))
            fail_msg("no '%s' in\n%s", usage, result.out);
        // `adele help VERB` says the same.
        struct program_result same;
        ADELE(&same, "help", verbs[i]);
        assert_code(&same, 0);
        assert_string_equal(same.out, result.out);
        program_result_deinit(&same);
        program_result_deinit(&result);
    }
    ADELE(&result, "help");
    assert_code(&result, 0);
    assert_string_equal(result.out, all.out);
    program_result_deinit(&result);
    program_result_deinit(&all);
    ADELE(&result, "--version");
    assert_code(&result, 0);
    assert_int_equal(strncmp(result.out, "adele ", 6), 0);
    program_result_deinit(&result);
}

static void wrong_usage_exits_with_2(void **state) {
    (void)state;
    struct program_result result;
    program_run((const char *const[]){ADELE_CLI, NULL}, &result);
    assert_failed(&result, 2, "Usage: adele");
    ADELE(&result, "trane");
    assert_failed(&result, 2, "'trane'");
    for (size_t i = 0; i < N_VERBS; i++) {
        ADELE(&result, verbs[i], "--no-such-option");
        assert_failed(&result, 2, "--no-such-option");
    }
    for (size_t i = 0; i < N_VERBS - 3; i++) { // selftest, info and help need nothing
        ADELE(&result, verbs[i]);
        assert_failed(&result, 2, verbs[i]);
    }
    ADELE(&result, "help", "trane");
    assert_failed(&result, 2, "'trane'");
    ADELE(&result, "help", "train", "noise");
    assert_failed(&result, 2, "'noise'");
    ADELE(&result, "help", "--completion", "tcsh");
    assert_failed(&result, 2, "tcsh");
    ADELE(&result, "evaluate", "run", "--split", "holdout");
    assert_failed(&result, 2, "holdout");
    ADELE(&result, "evaluate", "run", "--scales", "1,,2");
    assert_failed(&result, 2, "--scales 1,,2");
    ADELE(&result, "predict", "run", "-i", "a", "-o", "b", "--batch", "0");
    assert_failed(&result, 2, "--batch 0");
    const char *const windows[] = {"64",       "64,",   "0,64",     "64,0",
                                   "64,64,64", "64x64", "16385,64", "-1,9"};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        ADELE(&result, "evaluate", "run", "--window", windows[i]);
        assert_failed(&result, 2, windows[i]);
    }
    ADELE(&result, "noise", "set", "-o", "x", "--target-miou", "1.5");
    assert_failed(&result, 2, "1.5");
    ADELE(&result, "noise", "set", "-o", "x", "--kind", "salt");
    assert_failed(&result, 2, "salt");
    ADELE(&result, "noise", "set", "-o", "x", "--corners", "2..8");
    assert_failed(&result, 2, "'2..8' is not a range such as 4..8, within 3..100");
    const char *const shares[] = {"--outward", "--object-fraction", "--shift-fraction"};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        ADELE(&result, "noise", "set", "-o", "x", shares[i], "1.1");
        assert_failed(&result, 2, "'1.1' is not a number from 0 to 1");
    }
    ADELE(&result, "labels", "run", "-o", "x", "--epoch", "none");
    assert_failed(&result, 2, "--epoch none");
}

static void info_lists_the_devices(void **state) {
    (void)state;
    struct program_result result;
    ADELE(&result, "info");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "device cpu: "));
    assert_non_null(strstr(result.out, "  engine           auto\n"));
    assert_non_null(strstr(result.out, "  instruction set  "));
    assert_non_null(strstr(result.out, "  libraries        oneDNN "));
    assert_non_null(strstr(result.out, "  what repeats     the same bytes for the same build"));
    if (file_exists("/proc/meminfo"))
        assert_non_null(strstr(result.out, " MB free\n"));
    program_result_deinit(&result);
}

static void a_missing_file_is_named(void **state) {
    struct program_result result;
    ADELE(&result, "train", "nowhere/c.yaml");
    assert_error(&result, "nowhere/c.yaml");
    ADELE(&result, "evaluate", "nowhere/run");
    assert_error(&result, "nowhere/run");
    ADELE(&result, "compare", "nowhere/a.csv", "nowhere/b.csv");
    assert_error(&result, "nowhere/a.csv");
    ADELE(&result, "onset", "nowhere/onset.json");
    assert_error(&result, "nowhere/onset.json");
    ADELE(&result, "labels", "nowhere/run", "-o", scratch_path(state, "x"));
    assert_error(&result, "nowhere/run");
    ADELE(&result, "report", "nowhere/run", "-o", scratch_path(state, "x"));
    assert_error(&result, "nowhere/run");
    ADELE(&result, "noise", "nowhere/set", "-o", scratch_path(state, "x"));
    assert_error(&result, "nowhere/set");
    ADELE(&result, "check", "nowhere/set");
    assert_int_equal(result.code, 1);
    assert_true(strstr(result.err, "nowhere/set") || strstr(result.out, "nowhere/set"));
    program_result_deinit(&result);
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "x"),
          "--set", "data.root=nowhere/set");
    assert_error(&result, "nowhere/set");
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", "nowhere/images", "-o",
          scratch_path(state, "x"));
    assert_error(&result, "nowhere/images");
}

static void a_misspelt_key_names_the_nearest(void **state) {
    struct program_result result;
    check_ok(file_write(scratch_path(state, "bad.yaml"), "data: {root: x}\ntrain: {epohcs: 3}\n",
                        sizeof "data: {root: x}\ntrain: {epohcs: 3}\n" - 1));
    ADELE(&result, "train", scratch_path(state, "bad.yaml"));
    assert_non_null(strstr(result.err, "bad.yaml"));
    assert_non_null(strstr(result.err, "epohcs"));
    assert_error(&result, "train.epochs");
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--set", "train.optimizer.Ir=0.1");
    assert_error(&result, "train.optimizer.lr");
}

static void a_value_out_of_range_is_named(void **state) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--set", "correction.tau=1.5");
    assert_non_null(strstr(result.err, "1.5"));
    assert_error(&result, "correction.tau");
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--set", "loss.form=papre");
    assert_error(&result, "papre");
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--device", "abacus", "--run",
          scratch_path(state, "x"));
    assert_error(&result, "abacus");
}

// A path below a regular file: not even root can make that folder.
static void a_folder_that_cannot_be_written_is_named(void **state) {
    char below[4200];
    struct program_result result;
    (void)snprintf(below, sizeof below, "%s/below", scratch_path(state, "tiny.yaml"));
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "report", scratch_path(state, "run"), "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "set/imagesTs"),
          "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "noise", scratch_path(state, "set"), "-o", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "evaluate", scratch_path(state, "run"), "--json", below);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "export", scratch_path(state, "run"), "-o", below);
    assert_error(&result, "tiny.yaml");
}

static void a_run_is_not_overwritten(void **state) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "run"));
    assert_non_null(strstr(result.err, "hint: Continue it with --resume"));
    assert_error(&result, "holds a run already");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_explains_every_verb),
        cmocka_unit_test(wrong_usage_exits_with_2),
        cmocka_unit_test(info_lists_the_devices),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_misspelt_key_names_the_nearest),
        cmocka_unit_test(a_value_out_of_range_is_named),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_named),
        cmocka_unit_test(a_run_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, cli_run_setup, scratch_teardown);
}
