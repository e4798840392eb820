// SPDX-License-Identifier: MIT
// A verb that several processes, which a launcher has started, may run together.
#ifndef ADELE_CLI_TOGETHER_H
#define ADELE_CLI_TOGETHER_H

#include "adele/ranks.h"
#include "cli/progress.h"

// Joins the other ranks and calls `work` with `ranks` (NULL: one process), with a progress bar, log
// lines and signals set up; prints an error once and returns the exit code, the same of all ranks.
// `say`, unless it is NULL, then prints what there is to say after that status, in one process.
int together_run(struct progress *progress,
                 adele_status (*work)(struct adele_ranks *ranks, void *context),
                 void (*say)(adele_status status, void *context), void *context);
#endif
