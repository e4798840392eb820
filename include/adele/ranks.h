// SPDX-License-Identifier: MIT
// Several processes that work together, on one machine or on many: training, and what a model does
// with a data set (adele_model_open_together). A launcher of MPI starts them ("mpirun -n 4
// PROGRAM", srun), each joins the others, passes them to adele_train, for instance, and leaves:
//
//   struct adele_ranks *ranks;
//   adele_status status = adele_ranks_join(&ranks);
//   if (status == ADELE_OK)
//       status = adele_train(&(struct adele_train_options){.ranks = ranks, ...}, &result);
//   if (status != ADELE_OK && adele_ranks_should_report(ranks, status))
//       fprintf(stderr, "%s\n", adele_error_message());
//   adele_ranks_leave(ranks, status);
#ifndef ADELE_RANKS_H
#define ADELE_RANKS_H

#include "adele/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct adele_ranks;

// As how many processes a launcher has started this program; 1 without a launcher. From the
// environment alone.
int adele_ranks_launched(void);

// Which of them this one is, from 0; 0 where the launcher does not say.
int adele_ranks_launched_index(void);

// Joins the processes that were started with this one, by MPI, which is started if the program has
// not done so. *out is NULL for a process on its own: NULL is legal wherever ranks are passed, and
// nothing of MPI is called. On each host the processes share out the cores: OpenMP's number of
// threads is set unless OMP_NUM_THREADS is. Once in a process; all of them call it. Errors, after
// which *out may still have to be passed to adele_ranks_leave: ADELE_UNSUPPORTED when several were
// started and this build has no MPI, or MPI does not join them; ADELE_DEVICE for an error of MPI;
// ADELE_INVALID_ARGUMENT for a wrong ADELE_RANK_TIMEOUT; ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_ranks_join(struct adele_ranks **out);

int adele_ranks_count(const struct adele_ranks *ranks); // 1 for NULL
int adele_ranks_index(const struct adele_ranks *ranks); // of this process, from 0

// After `status`, an error: 1 if this process is the one to tell it, which is then
// adele_error_message, with the rank and host before it where only this rank has failed. May wait
// three seconds, for another process that knows more to tell it first and end this one.
int adele_ranks_should_report(struct adele_ranks *ranks, adele_status status);

// With ADELE_OK, ADELE_INTERRUPTED and errors that all ranks have: waits for the others, and leaves
// them. After an error of this rank alone it ends all processes, this one too, with exit code 1.
void adele_ranks_leave(struct adele_ranks *ranks, adele_status status);

// "Open MPI v4.1.4"; "" in a build without MPI. Static storage.
const char *adele_mpi_library(void);

#ifdef __cplusplus
}
#endif
#endif
