// SPDX-License-Identifier: MIT
// Which program has started this process, and how many beside it: known from the environment, so
// that a process on its own never starts MPI.
#ifndef ADELE_RANKS_LAUNCHER_H
#define ADELE_RANKS_LAUNCHER_H

struct launch {
    const char *variable; // that says the number: "OMPI_COMM_WORLD_SIZE"; NULL: no launcher
    int n_processes;      // 1 without a launcher
    int index;            // of this process; 0 where the launcher does not say
};
struct launch launch_find(void);
#endif
