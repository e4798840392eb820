// SPDX-License-Identifier: MIT
// In the place of mpi.c in a build without MPI.
#include "base/fail.h"
#include "ranks/ranks.h"
#include "ranks/transport.h"

const char *ranks_library(void) {
    return "";
}

// Without an error each of the processes would train the same run.
adele_status mpi_open(const struct launch *launch, struct transport **out) {
    *out = NULL;
    return FAIL(ADELE_UNSUPPORTED,
                "Start it without mpirun or srun, or install MPI (tools/install-packages --mpi) "
                "and build adele again.",
                "this build of adele has no MPI, and %d processes of it were started (%s)",
                launch->n_processes, launch->variable);
}
