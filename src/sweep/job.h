// SPDX-License-Identifier: MIT
// A run as a child process of the program.
#ifndef ADELE_SWEEP_JOB_H
#define ADELE_SWEEP_JOB_H

#include "adele/status.h"

#include <stdbool.h>
#include <sys/types.h>

struct job {
    pid_t pid;  // 0: none
    int status; // of waitpid, after its end
};
// Starts `program` with arguments that end with NULL and so many OpenMP threads. Its input is
// empty; its output and errors replace the file `output`. It is killed when the calling thread
// ends, so that no run goes on without its table, and gets no signal of the terminal, so that
// job_stop is the one that it gets.
ADELE_MUST_CHECK adele_status job_start(const char *program, const char *const *arguments,
                                        int n_threads, const char *output, struct job *out);
bool job_has_ended(struct job *job);  // does not wait; pid is 0 then
void job_stop(const struct job *job); // by SIGTERM: the run saves its state and ends

// Why a job failed, from its status and what it printed: the message and hint that `adele` prints,
// or the signal that ended it. Both are NULL after ADELE_NO_MEMORY; free with memory_free.
ADELE_MUST_CHECK adele_status job_reason(const struct job *job, const char *output, char **message,
                                         char **hint);
#endif
