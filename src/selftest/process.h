// SPDX-License-Identifier: MIT
// A program as a child process whose lines of output are read until a deadline.
#ifndef ADELE_SELFTEST_PROCESS_H
#define ADELE_SELFTEST_PROCESS_H

#include "adele/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_LINE_BYTES 2048
struct process {
    pid_t pid;
    int output;                      // its standard output
    size_t n_read;                   // bytes of `buffer`
    char buffer[PROCESS_LINE_BYTES]; // read and not yet returned
};

// Starts `path` with arguments that end with NULL. Its input is empty, its error output is
// discarded.
ADELE_MUST_CHECK adele_status process_start(const char *path, const char *const *arguments,
                                            struct process *out);
enum process_event { PROCESS_LINE, PROCESS_END, PROCESS_LATE };
// The next line, without its end; PROCESS_END when there is none, PROCESS_LATE after `deadline`,
// in seconds of clock_seconds.
enum process_event process_read(struct process *process, double deadline,
                                char line[PROCESS_LINE_BYTES]);
// Ends it if it still runs, and returns the status of waitpid. A process that the system cannot
// end, because a driver blocks it, is left running after two seconds; then 0 is returned.
int process_stop(struct process *process, bool is_killed);
#endif
