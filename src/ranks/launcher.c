// SPDX-License-Identifier: MIT
#include "ranks/launcher.h"

#include <limits.h>
#include <stdlib.h>

// A number of processes and, beside it, this one's. mpirun comes before Slurm, because inside a
// Slurm job mpirun starts its helpers, and they the processes, as a step of one task a host.
// SLURM_NTASKS is not here: a batch script has it too, and is one process.
static const struct {
    const char *count, *index;
} launchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}, // Open MPI
    {"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},   // MVAPICH
    {"PMI_SIZE", "PMI_RANK"},                         // MPICH, Intel MPI
    {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},         // srun, with PMI2 or PMIx
};

// -1: the variable is not there or holds no number.
static int number_of(const char *variable) {
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || *text == '\0')
        return -1;
    long value = strtol(text, &end, 10);
    return *end == '\0' && value >= 0 && value <= INT_MAX ? (int)value : -1;
}

struct launch launch_find(void) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        int n = number_of(launchers[i].count), index = number_of(launchers[i].index);
        if (n > 0)
            return (struct launch){launchers[i].count, n, index > 0 ? index : 0};
    }
    return (struct launch){NULL, 1, 0};
}
