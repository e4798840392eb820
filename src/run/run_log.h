// SPDX-License-Identifier: MIT
// The log's lines of a training, appended to log.txt in the run's folder as well.
#ifndef ADELE_RUN_RUN_LOG_H
#define ADELE_RUN_RUN_LOG_H

#include "adele/log.h"
#include "adele/status.h"

struct run_log;

// From now on the lines of the whole process go to RUN/log.txt (of rank N > 0: RUN/log.N.txt), with
// the seconds since now, and to the function of run_log_forward_to. ADELE_INVALID_ARGUMENT while
// another log is open, ADELE_IO when the file cannot be opened.
ADELE_MUST_CHECK adele_status run_log_open(const char *run_folder, int rank, struct run_log **out);
void run_log_close(struct run_log *log); // NULL is legal
// The logs of all ranks, which are closed, or about to be.
void run_log_remove(const char *run_folder, int n_ranks);

// Where the lines go as well: see adele_log_to.
void run_log_forward_to(adele_log_function function, void *context);
#endif
