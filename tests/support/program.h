// SPDX-License-Identifier: MIT
// Runs a program as a child, with its output kept. Every failure to start one fails the running
// CMocka test.
#ifndef ADELE_TESTS_PROGRAM_H
#define ADELE_TESTS_PROGRAM_H

#include <stdio.h>
#include <sys/types.h>

struct program_result {
    int code;  // exit code, or 128 + the signal that ended it
    char *out; // standard output, NUL-terminated
    char *err; // standard error
};

#define PROGRAM_THREADS 2
// `argv` ends with NULL; argv[0] is the program's path. The child runs with two OpenMP threads that
// sleep while they wait, whatever the environment says, so that runs are alike. Free with
// program_result_deinit.
void program_run(const char *const *argv, struct program_result *out);
void program_result_deinit(struct program_result *result); // also zeroes it

// The same in two steps: the output goes nowhere. program_wait answers the code.
pid_t program_start(const char *const *argv);
// With the standard error in that file; the standard output goes nowhere.
pid_t program_start_heard(const char *const *argv, FILE *err);
int program_wait(pid_t pid);
// Whether it still runs; a child that ended is left for program_wait.
int program_is_running(pid_t pid);

// The whole of a file that tmpfile made, NUL-terminated; closes it. Free with free.
char *program_read_back(FILE *file);
// Programs that start from now on run with so many threads instead.
void program_set_threads(int n_threads);

int count_of(const char *text, const char *part); // how often `part` stands in it

double seconds_now(void); // of a monotonic clock
void seconds_sleep(double seconds);

#endif
