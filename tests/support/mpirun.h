// SPDX-License-Identifier: MIT
// Programs that are started as several ranks on this machine. CMake names the mpirun of the MPI
// that the build has; without MPI there is none, and tests that need it are skipped.
#ifndef ADELE_TESTS_MPIRUN_H
#define ADELE_TESTS_MPIRUN_H

#include "support/program.h"

#include "adele/status.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define MPIRUN_MOST_ARGUMENTS 160
#define MPIRUN_NEXT           "//" // before a second command, that of one more rank

bool mpirun_is_there(void);

struct mpirun_command {
    const char *argv[MPIRUN_MOST_ARGUMENTS + 6]; // ends with NULL; borrows what it is made of
    char n_ranks[16], n_first[16];
};
// mpirun's command for `argv` as so many ranks; `options` are further ones of mpirun. Both end with
// NULL. Sets the variables of this process that mpirun reads: it may run as root, may start more
// ranks than the machine has cores, and binds them to none of these.
void mpirun_command(int n_ranks, const char *const *options, const char *const *argv,
                    struct mpirun_command *out);
// program_run of that command, without further options.
void mpirun_run(int n_ranks, const char *const *argv, struct program_result *out);
// program_start_heard of the same: returns mpirun's process.
pid_t mpirun_start(int n_ranks, const char *const *argv, FILE *err);

// In a rank: ends it, and by its exit code mpirun and the test.
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition,         \
                    adele_error_message());                                                        \
            _exit(3);                                                                              \
        }                                                                                          \
    } while (0)
#define REQUIRE_OK(expression) REQUIRE((expression) == ADELE_OK)

#endif
