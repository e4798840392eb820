// SPDX-License-Identifier: MIT
// Trainings of the command line on several ranks, started by mpirun. Every failure to start one
// fails the running CMocka test; so does one that has not ended after LAUNCH_SECONDS.
#ifndef ADELE_TESTS_LAUNCH_H
#define ADELE_TESTS_LAUNCH_H

#include "support/program.h"

#include <stdbool.h>

#define LAUNCH_SECONDS "400" // ends what hangs, on a machine that is slow too

// Lists of texts end with NULL; a list that is NULL is empty.
struct launch {
    int n_ranks;         // 1: the program alone, without mpirun
    const char *run;     // its folder in the scratch folder
    const char *program; // NULL: ADELE_CLI
    const char *device;  // NULL: cpu
    bool resume;
    const char *const *sets;        // "key=value"
    const char *const *environment; // "NAME=VALUE"
    // Of the rank with the highest number, behind those of all ranks.
    const char *last_device;
    const char *const *last_sets, *const *last_environment;
    // What stands before mpirun, and further options of mpirun.
    const char *const *before, *const *arguments;
};

// For main: 0, or the code of a test that is skipped because mpirun or the build's MPI is missing.
int launch_prepare(void);

// A CMocka fixture: the data set of tiny_run.h with 14 training images, and tiny.yaml in the
// scratch folder: batches of 8, and an epoch's last one of 6.
int launch_setup(void **state);
// The same with other numbers of images.
int launch_setup_of(void **state, int n_train, int n_val);

// Free `out` with program_result_deinit.
void launch_run(void *const *state, const struct launch *launch, struct program_result *out);
// The same in two steps; the standard error goes into that file (NULL: nowhere). program_wait gives
// the code.
pid_t launch_start(void *const *state, const struct launch *launch, FILE *err);
// Fails the test unless it ends well.
void launch_ok(void *const *state, const struct launch *launch);

// `adele` with these words (up to NULL), where "@NAME" is a path in the scratch folder. Behind
// MPIRUN_NEXT stand the program and words of one more rank.
void launch_words(void *const *state, int n_ranks, const char *const *words,
                  struct program_result *out);
// Fails the test unless there was one error, with these words in it, and exit code 1. Frees
// `result`.
void launch_require_error(struct program_result *result, const char *const *words);

// Processes whose command line names the scratch folder, and that do not end within a minute.
int launch_n_left(void *const *state);

// Fails the test with the whole output, which CMocka would cut off.
void launch_fail(const struct program_result *result, const char *about);

// Of a file that ADELE_TEST_MPI_COUNT of mpi_faults.c has made: the calls of that function; -1
// where the library does not have it.
long mpi_calls(const char *counts, const char *function);

#endif
