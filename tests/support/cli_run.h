// SPDX-License-Identifier: MIT
// The program as a person runs it, and a run of it that the verbs work on. Every failure fails the
// running CMocka test.
#ifndef ADELE_TESTS_CLI_RUN_H
#define ADELE_TESTS_CLI_RUN_H

#include "support/program.h"

// Runs `adele ARGUMENTS`.
#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

// CMocka's group fixture: a scratch folder with the data set "set", its configuration "tiny.yaml",
// and "run" trained with it, of four epochs. *state holds the path, as in scratch.h.
int cli_run_setup(void **state);

// Fails unless the code is as wanted; shows what the program said.
void assert_code(const struct program_result *result, int code);
// Also that it printed the part to standard error; frees the result.
void assert_failed(struct program_result *result, int code, const char *part);
// Exit code 1 with one "adele: error:" line that has the part; frees the result.
void assert_error(struct program_result *result, const char *part);
// Fails unless scratch/NAME is a file.
void assert_there(void *const *state, const char *name);

#endif
