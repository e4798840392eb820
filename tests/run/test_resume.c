// SPDX-License-Identifier: MIT
// The program, killed in the middle of its work and continued: the files are those of a run that
// was left alone.
#include "base/file.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define N_KILLS    3
#define PATIENCE_S 120.0 // for something that must happen, on the slowest machine

// Arguments of `adele train`, with the texts they point to.
struct command {
    char config[4096], run[4096];
    const char *argv[32];
};

// Runs whose name begins with it have the method ensemble, with a correction after epoch 2 of 3.
#define ENSEMBLE "ensemble"

static void command_init(struct command *command, void *const *state, const char *run) {
    (void)snprintf(command->config, sizeof command->config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(command->run, sizeof command->run, "%s", scratch_path(state, run));
    const char *const argv[] = {ADELE_CLI,        "train",      command->config,
                                "--run",          command->run, tiny_run_resume(command->run),
                                "--device",       "cpu",        "--set",
                                "train.epochs=6", NULL};
    memcpy(command->argv, argv, sizeof argv);
    if (strncmp(run, ENSEMBLE, strlen(ENSEMBLE)) != 0)
        return;
    static const char *const more[] = {
        "--set", "train.epochs=3",      "--set", "correction.method=ensemble",
        "--set", "correction.at=0.667", "--set", "correction.gate=false",
        "--set", "loss.form=plain",     NULL};
    memcpy(command->argv + sizeof argv / sizeof *argv - 1, more, sizeof more);
}

static int run_alone_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    struct command command;
    struct program_result result;
    command_init(&command, state, "alone");
    program_run(command.argv, &result);
    if (result.code != 0)
        print_error("%s%s", result.out, result.err);
    int code = result.code;
    program_result_deinit(&result);
    return code;
}

// Temporary files begin with a dot, which file_list_directory leaves out.
static void assert_no_temporaries(const char *run, const char *name) {
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", run, name);
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries))
        if (strstr(entry->d_name, FILE_TEMPORARY_MARK))
            fail_msg("%s/%s is left", path, entry->d_name);
    (void)closedir(entries);
}

static void finish(void *const *state, const char *run) {
    struct command command;
    struct program_result result;
    command_init(&command, state, run);
    program_run(command.argv, &result);
    if (result.code != 0)
        fail_msg("code %d: %s", result.code, result.err);
    program_result_deinit(&result);
    assert_no_temporaries(command.run, "");
    assert_no_temporaries(command.run, "labels");
    assert_no_temporaries(command.run, "checkpoints");
}

static void the_run_alone_is_worth_comparing(void **state) {
    assert_int_equal(tiny_run_n_records(state, "alone"), 6);
    assert_true(tiny_run_metric(state, "alone", 6, "correction/changed_pixels") >= 1.0);
}

// A number that changes whenever the file is replaced; 0 without one.
static uint64_t file_identity(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0)
        return 0;
    return (uint64_t)status.st_ino * 1000003 + (uint64_t)status.st_mtim.tv_sec * 1000000007 +
           (uint64_t)status.st_mtim.tv_nsec;
}

// Starts the run, waits until it replaces its last checkpoint, and kills it.
static void kill_after_a_checkpoint(void *const *state, const char *run) {
    struct command command;
    char path[4200];
    command_init(&command, state, run);
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", command.run);
    uint64_t before = file_identity(path);
    pid_t pid = program_start(command.argv);
    double end = seconds_now() + PATIENCE_S;
    while (file_identity(path) == before && program_is_running(pid) && seconds_now() < end)
        seconds_sleep(0.0005);
    (void)kill(pid, SIGKILL);
    assert_int_equal(program_wait(pid), 128 + SIGKILL);
}

// Of six epochs. Moments within an epoch, and within the writing of a file, are test_kills'.
static void killed_after_three_checkpoints(void **state) {
    for (int i = 0; i < N_KILLS; i++)
        kill_after_a_checkpoint(state, "killed");
    assert_int_not_equal(tiny_run_n_records(state, "killed"), 6);
    finish(state, "killed");
    tiny_run_assert_same(state, "alone", "killed");
}

// Waits for RUN/NAME; false when the program ended before.
static bool wait_for(void *const *state, pid_t pid, const char *run, const char *name) {
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", scratch_path(state, run), name);
    double end = seconds_now() + PATIENCE_S;
    while (!file_exists(path)) {
        if (!program_is_running(pid))
            return false;
        if (seconds_now() > end) {
            (void)kill(pid, SIGKILL);
            fail_msg("%s did not come within %.0f s", path, PATIENCE_S);
        }
        seconds_sleep(0.0005);
    }
    return true;
}

// Between the files of one epoch's end: some are newer than the checkpoint, which alone decides.
static void killed_between_the_files_of_an_epoch(void **state) {
    static const char *const files[] = {"labels/epoch_0003.safetensors",
                                        "checkpoints/best.safetensors",
                                        "labels/epoch_0005.safetensors", "labels/manifest.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct command command;
        command_init(&command, state, "between");
        pid_t pid = program_start(command.argv);
        (void)wait_for(state, pid, "between", files[i]);
        (void)kill(pid, SIGKILL);
        (void)program_wait(pid);
    }
    char left[4200]; // by a kill inside of a write, which is too short to be hit for certain
    (void)snprintf(left, sizeof left, "%s/checkpoints/.last.safetensors.tmp.1.0",
                   scratch_path(state, "between"));
    FILE *file = fopen(left, "w");
    assert_non_null(file);
    (void)fclose(file);
    finish(state, "between");
    tiny_run_assert_same(state, "alone", "between");
}

// Before, in and behind the epoch at whose end labels are corrected and the ensemble is freed.
static void an_ensemble_is_resumed(void **state) {
    static const char *const files[] = {"checkpoints/last.safetensors",
                                        "labels/epoch_0002.safetensors", "labels/manifest.json",
                                        "checkpoints/previous.safetensors"};
    finish(state, ENSEMBLE);
    assert_true(tiny_run_metric(state, ENSEMBLE, 2, "correction/changed_pixels") > 0.0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct command command;
        command_init(&command, state, ENSEMBLE "-killed");
        pid_t pid = program_start(command.argv);
        (void)wait_for(state, pid, ENSEMBLE "-killed", files[i]);
        (void)kill(pid, SIGKILL);
        (void)program_wait(pid);
    }
    finish(state, ENSEMBLE "-killed");
    tiny_run_assert_same(state, ENSEMBLE, ENSEMBLE "-killed");
}

static void interrupted_by(void *const *state, const char *run, int number) {
    struct command command;
    FILE *err = tmpfile();
    assert_non_null(err);
    command_init(&command, state, run);
    pid_t pid = program_start_heard(command.argv, err);
    assert_true(wait_for(state, pid, run, "checkpoints/last.safetensors"));
    assert_int_equal(kill(pid, number), 0);
    assert_int_equal(program_wait(pid), 130);
    char *text = program_read_back(err);
    const char *answer = strstr(text, "finishing this step; once more to stop without saving\n");
    assert_non_null(answer);
    assert_non_null(strstr(answer, "interrupted in epoch"));
    free(text);
    assert_int_not_equal(tiny_run_n_records(state, run), 6); // it did stop
    finish(state, run);
    tiny_run_assert_same(state, "alone", run);
}

static void a_second_run_in_the_folder_is_refused(void **state) {
    struct command command;
    struct program_result second;
    command_init(&command, state, "shared");
    pid_t pid = program_start(command.argv);
    assert_true(wait_for(state, pid, "shared", "checkpoints/last.safetensors"));
    assert_int_equal(kill(pid, SIGSTOP), 0); // so that it is there as long as the second
    command_init(&command, state, "shared"); // now there is a run to resume
    program_run(command.argv, &second);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(second.code, 1);
    assert_non_null(strstr(second.err, "another adele is writing there"));
    program_result_deinit(&second);
    assert_int_equal(program_wait(pid), 0);
    finish(state, "shared");
    tiny_run_assert_same(state, "alone", "shared");
}

static void sigint_saves_and_ends_with_130(void **state) {
    interrupted_by(state, "sigint", SIGINT);
}

static void sigterm_does_the_same(void **state) {
    interrupted_by(state, "sigterm", SIGTERM);
}

// Both signals are there when the program goes on, so that no moment between them matters. It ends
// without saving: the last checkpoint is the very file that it was.
static void a_second_signal_ends_without_saving(void **state) {
    struct command command;
    char path[4200];
    int status = 0;
    command_init(&command, state, "twice");
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", command.run);
    pid_t pid = program_start(command.argv);
    assert_true(wait_for(state, pid, "twice", "checkpoints/last.safetensors"));
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    uint64_t before = file_identity(path);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(before != 0 && file_identity(path) == before);
    finish(state, "twice");
    tiny_run_assert_same(state, "alone", "twice");
}

static void resuming_a_finished_run_changes_nothing(void **state) {
    finish(state, "killed");
    tiny_run_assert_same(state, "alone", "killed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_alone_is_worth_comparing),
        cmocka_unit_test(killed_after_three_checkpoints),
        cmocka_unit_test(killed_between_the_files_of_an_epoch),
        cmocka_unit_test(an_ensemble_is_resumed),
        cmocka_unit_test(a_second_run_in_the_folder_is_refused),
        cmocka_unit_test(sigint_saves_and_ends_with_130),
        cmocka_unit_test(sigterm_does_the_same),
        cmocka_unit_test(a_second_signal_ends_without_saving),
        cmocka_unit_test(resuming_a_finished_run_changes_nothing),
    };
    return cmocka_run_group_tests(tests, run_alone_setup, scratch_teardown);
}
