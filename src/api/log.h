// SPDX-License-Identifier: MIT
// The log's lines of a training, appended to log.txt in the run's folder as well.
#ifndef ADELE_API_LOG_H
#define ADELE_API_LOG_H

#include "adele/status.h"

struct train_log;

// From now on the lines of the whole process go to RUN/log.txt (of rank N > 0: RUN/log.N.txt), with
// the seconds since now, and to the function of adele_log_to. ADELE_INVALID_ARGUMENT while another
// log is open, ADELE_IO when the file cannot be opened.
ADELE_MUST_CHECK adele_status train_log_open(const char *run_folder, int rank,
                                             struct train_log **out);
void train_log_close(struct train_log *log); // NULL is legal
// The logs of all ranks, which are closed, or about to be.
void train_log_remove(const char *run_folder, int n_ranks);
#endif
