// SPDX-License-Identifier: MIT
// Where the options and arguments of a verb go: a row each, so that a verb's parser for argp has
// code for what is special to the verb alone.
#ifndef ADELE_CLI_ARGUMENTS_H
#define ADELE_CLI_ARGUMENTS_H

#include <argp.h>
#include <stdint.h>

#define ARGUMENTS_MAX_SETS 256

struct argument_sets { // the values of --set
    const char *texts[ARGUMENTS_MAX_SETS];
    int n;
};

// One of the pointers is given: its type says what the value has to be. ARGP_KEY_ARG with none of
// them refuses any argument.
struct argument {
    int key;           // of the row of argp's table, or ARGP_KEY_ARG, which is given once at most
    const char *name;  // of ARGP_KEY_ARG: "RUN"
    const char **text; // any
    const char *required; // the error when *text was not given: "name the folder of the run"
    const char **choice;  // one of the words that argp's table names: "last|best"
    int *flag;            // becomes 1; the option has no value
    int *whole;           // a number from `low` to `high`
    int64_t *large;       // the same
    double *share;        // from 0 to 1
    uint64_t *seed;
    struct argument_sets *sets; // given any number of times
    int64_t low, high;          // high 0: no limit
    int otherwise;              // *whole, where the option is given without its value
};

// Of a parser of argp: stores the value, or ends the program with a usage error. ARGP_ERR_UNKNOWN
// for a key that has no row.
error_t arguments_store(const struct argument *rows, size_t n, int key, const char *value,
                        struct argp_state *state);
#define ARGUMENTS_STORE(rows, key, value, state)                                                   \
    arguments_store(rows, sizeof(rows) / sizeof *(rows), key, value, state)
#endif
