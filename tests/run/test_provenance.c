// SPDX-License-Identifier: MIT
// What a run was made by: in its checkpoints, in config.resolved.yaml, and in the one line that a
// run says when it goes on on something else.
#include "run/provenance.h"

#include "base/file.h"
#include "base/memory.h"
#include "cpu/isa.h"
#include "run/checkpoint.h"
#include "run_folder/run_folder.h"
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

#define SWITCH  "ADELE_CPU_ISA"
#define RESUMED "warning: resumed with "

static enum cpu_isa best; // what a program without the switch computes with

// Trains CONFIG into scratch/RUN, or goes on there, by a program that is limited to `isa` (NULL:
// not limited).
static void train(void *const *state, const char *isa, const char *config, const char *run,
                  const char *device, const char *epochs, struct program_result *result) {
    char path[4096], folder[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, config));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, run));
    const char *const argv[] = {
        ADELE_CLI,  "train", path,    "--run", folder, tiny_run_resume(folder),
        "--device", device,  "--set", epochs,  NULL};
    if (isa)
        assert_int_equal(setenv(SWITCH, isa, 1), 0);
    program_run(argv, result);
    assert_int_equal(unsetenv(SWITCH), 0);
}

// The same where it must end well; `err` takes its standard error.
static void train_well(void *const *state, const char *isa, const char *run, const char *device,
                       const char *epochs, char err[4096]) {
    struct program_result result;
    train(state, isa, "tiny.yaml", run, device, epochs, &result);
    if (result.code != 0)
        fail_msg("code %d: %s", result.code, result.err);
    assert_null(strstr(result.out, "resumed with"));
    err[0] = '\0';
    size_t used = 0;
    for (const char *line = result.err; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        n += line[n] == '\n';
        if (strncmp(line, "epoch ", 6) != 0) // the progress
            used += (size_t)snprintf(err + used, 4096 - used, "%.*s", (int)n, line);
        line += n;
    }
    program_result_deinit(&result);
}

static char *read_text(void *const *state, const char *name) {
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, name), 0, &text, &bytes));
    return text;
}

static int count(const char *text, const char *part) {
    size_t length = strlen(part);
    int n = 0;
    for (; *text != '\0'; text++)
        n += strncmp(text, part, length) == 0;
    return n;
}

// "run" has two epochs on the processor's best set, "before" as many on the lowest.
static int runs_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || unsetenv(SWITCH) != 0 || tiny_run_setup(state) != 0)
        return -1;
    best = CPU_ISA_AVX512_BF16;
    while (!cpu_isa_is_there(best))
        best--;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    char err[4096];
    train_well(state, NULL, "run", "cpu", "train.epochs=2", err);
    train_well(state, "sse41", "before", "cpu", "train.epochs=2", err);
    return 0;
}

// ---- rows ---------------------------------------------------------------------------------------

static void differences_are_named_and_unknown_rows_are_none(void **state) {
    (void)state;
    struct provenance here = {{"1", "gcc 12", "cpu", "auto", "avx2", "oneDNN 2.6.3"}};
    struct provenance there = here, unknown = {{""}};
    char line[PROVENANCE_LINE_BYTES];
    assert_true(provenance_is_same(&here, &there));
    assert_true(provenance_is_same(&here, &unknown));
    (void)strcpy(there.rows[PROVENANCE_INSTRUCTION_SET], "avx512");
    (void)strcpy(there.rows[PROVENANCE_LIBRARIES], "oneDNN 3.0.0");
    assert_false(provenance_is_same(&here, &there));
    provenance_print_differences(&here, &there, line, sizeof line);
    assert_string_equal(line, "instruction set avx2 / libraries oneDNN 2.6.3");
    there.rows[PROVENANCE_LIBRARIES][0] = '\0';
    provenance_print_differences(&there, &here, line, sizeof line);
    assert_string_equal(line, "instruction set avx512");
    provenance_print(&there, line, sizeof line);
    assert_string_equal(
        line, "adele 1 / compiler gcc 12 / device cpu / engine auto / instruction set avx512");
}

static void checkpoints_hold_the_rows(void **state) {
    static const char *const names[] = {"run/checkpoints/last.safetensors",
                                        "run/checkpoints/best.safetensors",
                                        "before/checkpoints/last.safetensors"};
    for (int i = 0; i < 3; i++) {
        struct safetensors *file = NULL;
        check_ok(safetensors_open(scratch_path(state, names[i]), &file));
        assert_string_equal(safetensors_metadata(file, "adele.version"), ADELE_VERSION);
        assert_string_equal(safetensors_metadata(file, "made.compiler"), provenance_compiler());
        assert_string_equal(safetensors_metadata(file, "made.device"), "cpu");
        assert_string_equal(safetensors_metadata(file, "made.engine"), "auto");
        assert_string_equal(safetensors_metadata(file, "made.instruction_set"),
                            i < 2 ? cpu_isa_name(best) : "sse41");
        assert_int_equal(strncmp(safetensors_metadata(file, "made.libraries"), "oneDNN ", 7), 0);
        assert_null(safetensors_metadata(file, "made.earlier"));
        safetensors_close(file);
    }
}

// ---- the configuration --------------------------------------------------------------------------

static void the_resolved_configuration_says_them_and_trains_again(void **state) {
    struct program_result result;
    char line[PROVENANCE_LINE_BYTES];
    char *text = read_text(state, "run/config.resolved.yaml");
    const char *begin = "# made by adele " ADELE_VERSION " / compiler ";
    assert_int_equal(strncmp(text, begin, strlen(begin)), 0);
    (void)snprintf(line, sizeof line,
                   " / device cpu / engine auto / instruction set %s / libraries ",
                   cpu_isa_name(best));
    assert_non_null(strstr(text, line));
    assert_int_equal(count(text, "#"), 1);
    memory_free(text);
    train(state, NULL, "run/config.resolved.yaml", "again", "cpu", "train.epochs=2", &result);
    assert_int_equal(result.code, 0);
    program_result_deinit(&result);
    assert_true(same_bytes(scratch_path(state, "run/" CHECKPOINT_LAST),
                           scratch_path(state, "again/" CHECKPOINT_LAST)));
    assert_true(same_bytes(scratch_path(state, "run/config.resolved.yaml"),
                           scratch_path(state, "again/config.resolved.yaml")));
}

// A trainer of this process in scratch/RUN, which has a checkpoint, before it takes that over.
struct opened {
    char folder[4096], last[4200];
    struct config *config;
    struct trainer *trainer;
};

static void open_run(struct opened *out, void *const *state, const char *run) {
    (void)snprintf(out->folder, sizeof out->folder, "%s", scratch_path(state, run));
    (void)snprintf(out->last, sizeof out->last, "%s/" CHECKPOINT_LAST, out->folder);
    out->config = tiny_run_config(state, SETS("train.epochs=2"));
    struct trainer_options options = {
        .config = out->config, .run_folder = out->folder, .resume = true, .device = "cpu"};
    check_ok(trainer_create(&options, &out->trainer));
}

static void close_run(struct opened *opened) {
    trainer_destroy(opened->trainer);
    config_destroy(opened->config);
}

// A checkpoint comes from anywhere; U+2028 ends a line too, says YAML.
static void text_of_a_checkpoint_becomes_no_key(void **state) {
    struct opened opened;
    struct config *config = NULL;
    open_run(&opened, state, "again");
    memory_free(opened.trainer->origin.earlier);
    opened.trainer->origin.earlier =
        memory_strdup("until\ntrain: {epochs: 9}\r\nname: \"b\"\xe2\x80\xa8name: \"c\"\n");
    check_ok(run_origin_save_config(&opened.trainer->origin, opened.config, opened.folder));
    char *text = read_text(state, "again/config.resolved.yaml");
    assert_non_null(
        strstr(text, "\n# until\n# train: {epochs: 9}?\n# name: \"b\"???name: \"c\"\n"));
    memory_free(text);
    check_ok(config_load(scratch_path(state, "again/config.resolved.yaml"), 0, NULL, &config));
    assert_int_equal(config->train.epochs, 2);
    assert_string_equal(config->name, opened.config->name);
    config_destroy(config);
    close_run(&opened);
}

// ---- resuming -----------------------------------------------------------------------------------

static void on_the_same_nothing_is_said(void **state) {
    char err[4096];
    train_well(state, NULL, "run", "cpu", "train.epochs=3", err);
    assert_string_equal(err, "");
}

// Also where there is one instruction set only.
static void on_another_engine_it_is_said_once(void **state) {
    char err[4096];
    train_well(state, NULL, "run", "cpu/direct", "train.epochs=4", err);
    assert_string_equal(err, RESUMED "engine direct; the checkpoint was made with engine auto: "
                                     "training goes on, but may not end with the same bytes\n");
}

static void on_another_instruction_set_it_is_said_once(void **state) {
    char err[4096], want[512];
    if (best == CPU_ISA_SSE41) {
        print_message("skipped: this processor has no other set than sse41\n");
        skip();
    }
    train_well(state, NULL, "before", "cpu", "train.epochs=3", err);
    (void)snprintf(want, sizeof want,
                   RESUMED "instruction set %s; the checkpoint was made with instruction set "
                           "sse41: training goes on, but may not end with the same bytes\n",
                   cpu_isa_name(best));
    assert_string_equal(err, want);
    char *log = read_text(state, "before/log.txt");
    assert_int_equal(count(log, RESUMED), 1);
    assert_int_equal(count(log, "made by adele " ADELE_VERSION " / "), 2);
    memory_free(log);
    assert_int_equal(tiny_run_n_records(state, "before"), 3);
    // The next time it is the same set, and what made the earlier steps is not forgotten.
    train_well(state, NULL, "before", "cpu", "train.epochs=4", err);
    assert_string_equal(err, "");
    char *text = read_text(state, "before/config.resolved.yaml");
    assert_int_equal(count(text, "\n# until step 10: adele " ADELE_VERSION " / compiler "), 1);
    assert_int_equal(count(text, "# until step "), 1);
    assert_int_equal(count(text, " / instruction set sse41 / "), 1);
    memory_free(text);
}

// As adele 0.1.0 wrote them, with the version alone.
static void a_checkpoint_without_rows_says_nothing(void **state) {
    char err[4096];
    struct opened opened;
    struct safetensors *file = NULL;
    train_well(state, NULL, "old", "cpu", "train.epochs=2", err);
    open_run(&opened, state, "old");
    check_ok(checkpoint_load(opened.trainer, opened.last));
    for (int row = PROVENANCE_COMPILER; row < PROVENANCE_COUNT; row++)
        opened.trainer->origin.made_by.rows[row][0] = '\0';
    check_ok(checkpoint_save(opened.trainer, opened.last, NULL));
    close_run(&opened);
    check_ok(safetensors_open(scratch_path(state, "old/" CHECKPOINT_LAST), &file));
    assert_null(safetensors_metadata(file, "made.device"));
    safetensors_close(file);
    train_well(state, "sse41", "old", "cpu/direct", "train.epochs=3", err);
    assert_string_equal(err, "");
    char *text = read_text(state, "old/config.resolved.yaml");
    assert_null(strstr(text, "until step"));
    memory_free(text);
}

// ---- the switch ---------------------------------------------------------------------------------

static void assert_refused(void *const *state, const char *isa, const char *part) {
    struct program_result result;
    train(state, isa, "tiny.yaml", "refused", "cpu", "train.epochs=1", &result);
    assert_int_equal(result.code, 1);
    assert_int_equal(count(result.err, "adele: error: "), 1);
    if (!strstr(result.err, part))
        fail_msg("no '%s' in: %s", part, result.err);
    assert_non_null(strstr(
        result.err,
        "hint: Leave ADELE_CPU_ISA unset, or use one of those that this processor has: sse41"));
    program_result_deinit(&result);
}

static void an_unknown_set_is_refused(void **state) {
    assert_refused(state, "nonsense", "ADELE_CPU_ISA: unknown instruction set \"nonsense\"");
}

static void a_set_that_the_processor_lacks_is_refused(void **state) {
    char want[128];
    if (best == CPU_ISA_AVX512_BF16) {
        print_message("skipped: this processor has every set\n");
        skip();
    }
    const char *lacking = cpu_isa_name(best + 1);
    (void)snprintf(want, sizeof want, "ADELE_CPU_ISA: this processor has no %s", lacking);
    assert_refused(state, lacking, want);
}

static void info_says_what_is_used_and_what_there_is(void **state) {
    (void)state;
    struct program_result result;
    char want[128];
    assert_int_equal(setenv(SWITCH, "sse41", 1), 0);
    program_run((const char *const[]){ADELE_CLI, "info", NULL}, &result);
    assert_int_equal(unsetenv(SWITCH), 0);
    if (best == CPU_ISA_SSE41)
        (void)snprintf(want, sizeof want, "  instruction set  sse41 (the best that ");
    else
        (void)snprintf(want, sizeof want, "  instruction set  sse41 (this processor has %s)\n",
                       cpu_isa_name(best));
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.out, want));
    program_result_deinit(&result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_named_and_unknown_rows_are_none),
        cmocka_unit_test(checkpoints_hold_the_rows),
        cmocka_unit_test(the_resolved_configuration_says_them_and_trains_again),
        cmocka_unit_test(text_of_a_checkpoint_becomes_no_key),
        cmocka_unit_test(on_the_same_nothing_is_said),
        cmocka_unit_test(on_another_engine_it_is_said_once),
        cmocka_unit_test(on_another_instruction_set_it_is_said_once),
        cmocka_unit_test(a_checkpoint_without_rows_says_nothing),
        cmocka_unit_test(an_unknown_set_is_refused),
        cmocka_unit_test(a_set_that_the_processor_lacks_is_refused),
        cmocka_unit_test(info_says_what_is_used_and_what_there_is),
    };
    return cmocka_run_group_tests(tests, runs_setup, scratch_teardown);
}
