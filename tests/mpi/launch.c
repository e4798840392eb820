// SPDX-License-Identifier: MIT
#include "mpi/launch.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_WORDS 48

int launch_prepare(void) {
    if (!mpirun_is_there() || ADELE_CLI[0] == '\0')
        return skip_program("the command line, built with MPI");
    return 0;
}

int launch_setup(void **state) {
    return launch_setup_of(state, 14, TINY_SET_VAL);
}

int launch_setup_of(void **state, int n_train, int n_val) {
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = n_train;
    set.n_val = n_val;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "set"), &set);
    char *text = memory_printf("name: tiny\n"
                               "data: {root: %s, noisy_labels: %s, size: [0, 0]}\n"
                               "model: {width: 4}\n"
                               "train: {epochs: 4, batch: 8, seed: 8, evaluate_test: true,\n"
                               "        optimizer: {lr: 0.1}}\n"
                               "correction: {r: 0.05, tau: 0.3, every: 1, min_points: 3,\n"
                               "             while_rising: true, veto: 0}\n",
                               scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    assert_non_null(text);
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return 0;
}

struct arguments {
    const char *texts[MPIRUN_MOST_ARGUMENTS + 1];
    int n;
};

static void add(struct arguments *arguments, const char *text) {
    assert_true(arguments->n < MPIRUN_MOST_ARGUMENTS);
    arguments->texts[arguments->n++] = text;
    arguments->texts[arguments->n] = NULL;
}

static void add_all(struct arguments *arguments, const char *const *texts) {
    while (texts && *texts)
        add(arguments, *texts++);
}

static void add_sets(struct arguments *arguments, const char *const *sets) {
    while (sets && *sets) {
        add(arguments, "--set");
        add(arguments, *sets++);
    }
}

// `paths`: of the configuration and of the run. Ranks have one thread each, a process on its own
// has two.
static void add_program(struct arguments *arguments, const struct launch *launch,
                        const char paths[2][4096], bool is_last) {
    add(arguments, "/usr/bin/env");
    add(arguments, launch->n_ranks > 1 ? "OMP_NUM_THREADS=1" : "OMP_NUM_THREADS=2");
    add_all(arguments, launch->environment);
    if (is_last)
        add_all(arguments, launch->last_environment);
    add(arguments, launch->program ? launch->program : ADELE_CLI);
    add(arguments, "train");
    add(arguments, paths[0]);
    add(arguments, "--run");
    add(arguments, paths[1]);
    add(arguments, "--device");
    const char *device = is_last && launch->last_device ? launch->last_device : launch->device;
    add(arguments, device ? device : "cpu");
    if (launch->resume)
        add(arguments, tiny_run_resume(paths[1]));
    add_sets(arguments, launch->sets);
    if (is_last)
        add_sets(arguments, launch->last_sets);
}

static void add_ranks(struct arguments *arguments, const struct launch *launch,
                      const char paths[2][4096], struct mpirun_command *command) {
    static const char *const no_options[] = {NULL};
    bool is_divided = launch->last_sets || launch->last_environment || launch->last_device;
    struct arguments programs = {.n = 0};
    add_program(&programs, launch, paths, false);
    if (is_divided) {
        add(&programs, MPIRUN_NEXT);
        add_program(&programs, launch, paths, true);
    }
    mpirun_command(launch->n_ranks - (is_divided ? 1 : 0),
                   launch->arguments ? launch->arguments : no_options, programs.texts, command);
    add_all(arguments, command->argv);
}

static void make_arguments(void *const *state, const struct launch *launch, char paths[2][4096],
                           struct mpirun_command *command, struct arguments *out) {
    out->n = 0;
    (void)snprintf(paths[0], 4096, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(paths[1], 4096, "%s", scratch_path(state, launch->run));
    add(out, "/usr/bin/timeout");
    add(out, "--kill-after=60");
    add(out, LAUNCH_SECONDS);
    add_all(out, launch->before);
    if (launch->n_ranks > 1)
        add_ranks(out, launch, paths, command);
    else
        add_program(out, launch, paths, false);
}

void launch_run(void *const *state, const struct launch *launch, struct program_result *out) {
    char paths[2][4096];
    struct mpirun_command command;
    struct arguments arguments;
    make_arguments(state, launch, paths, &command, &arguments);
    double started = seconds_now();
    program_run(arguments.texts, out);
    if (seconds_now() - started >= strtod(LAUNCH_SECONDS, NULL))
        launch_fail(out, "it had not ended after " LAUNCH_SECONDS " s");
}

pid_t launch_start(void *const *state, const struct launch *launch, FILE *err) {
    char paths[2][4096];
    struct mpirun_command command;
    struct arguments arguments;
    make_arguments(state, launch, paths, &command, &arguments);
    return err ? program_start_heard(arguments.texts, err) : program_start(arguments.texts);
}

void launch_fail(const struct program_result *result, const char *about) {
    (void)fprintf(stderr, "%s%s", result->out, result->err);
    fail_msg("%s: code %d", about, result->code);
}

void launch_ok(void *const *state, const struct launch *launch) {
    struct program_result result;
    launch_run(state, launch, &result);
    if (result.code != 0)
        launch_fail(&result, launch->run);
    program_result_deinit(&result);
}

void launch_words(void *const *state, int n_ranks, const char *const *words,
                  struct program_result *out) {
    char paths[MAX_WORDS][4200];
    const char *argv[MAX_WORDS + 4] = {ADELE_CLI};
    bool are_two = false;
    int n = 1;
    for (int i = 0; words[i]; i++) {
        assert_true(i < MAX_WORDS);
        are_two = are_two || strcmp(words[i], MPIRUN_NEXT) == 0;
        (void)snprintf(paths[i], sizeof paths[i], "%s", words[i]);
        if (words[i][0] == '@')
            (void)snprintf(paths[i], sizeof paths[i], "%s", scratch_path(state, words[i] + 1));
        argv[n++] = paths[i];
    }
    argv[n] = NULL;
    if (n_ranks == 1 && !are_two)
        program_run(argv, out);
    else
        mpirun_run(n_ranks, argv, out);
}

void launch_require_error(struct program_result *result, const char *const *words) {
    bool is_told = result->code == 1 && count_of(result->err, "adele: error:") == 1;
    for (int i = 0; words[i]; i++)
        is_told = is_told && strstr(result->err, words[i]);
    if (!is_told)
        launch_fail(result, "not that error");
    program_result_deinit(result);
}

static bool names_folder(const char *process, const char *folder) {
    char path[300], text[8192];
    (void)snprintf(path, sizeof path, "/proc/%s/cmdline", process);
    FILE *file = fopen(path, "r");
    if (!file) // ended meanwhile, or no process
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text[n] = '\0';
    return strstr(text, folder) != NULL;
}

int launch_n_left(void *const *state) {
    int n = 1;
    for (int tenths = 0; tenths < 600 && n > 0; tenths++) {
        DIR *folder = opendir("/proc");
        assert_non_null(folder);
        n = 0;
        for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
            n += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
                 names_folder(entry->d_name, *state);
        (void)closedir(folder);
        if (n > 0)
            seconds_sleep(0.1);
    }
    return n;
}

long mpi_calls(const char *counts, const char *function) {
    for (const char *line = counts; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t n = strlen(function);
        if (strncmp(line, function, n) == 0 && line[n] == ' ')
            return strtol(line + n, NULL, 10);
    }
    return -1;
}
