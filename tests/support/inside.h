// SPDX-License-Identifier: MIT
// Runs the command line's main in a forked child of the test, with one call failing. The test is
// linked with the sources of the command line, whose main is there named adele_main.
#ifndef ADELE_TESTS_INSIDE_H
#define ADELE_TESTS_INSIDE_H

#include "support/faults.h"

struct inside_result {
    int code;                  // exit code, or 128 + the signal that ended it
    long n_calls[FAULT_COUNT]; // of each kind; -1 when the child did not come to its end
    char *out, *err;
};

// `argv` ends with NULL. `i` < 0: nothing fails, and the calls are counted. Free with
// inside_result_deinit.
void inside_run(const char *const *argv, enum fault_kind kind, long i, struct inside_result *out);
void inside_result_deinit(struct inside_result *result); // also zeroes it

int adele_main(int argc, char **argv);

#endif
