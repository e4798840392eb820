// SPDX-License-Identifier: MIT
// The ranks of a host share its cores. A launcher may have bound each rank to some of them: Open
// MPI's mpirun binds to a single core where it starts two ranks, which leaves most of a host idle.
#define _GNU_SOURCE // sched_getaffinity
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "ranks/ranks_state.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

// Of one rank.
struct cores {
    int32_t n_host; // cores of the host that it could be given; 0: not known
    cpu_set_t set;  // it may run on these
};

// Cores that the operating system grants when all are asked for: those of the container, or of the
// job. What a launcher has bound the process to is restored.
static void find_cores(struct cores *out) {
    cpu_set_t all, granted;
    memset(out, 0, sizeof *out);
    memset(&all, 0xff, sizeof all);
    if (sched_getaffinity(0, sizeof out->set, &out->set) != 0)
        return; // more cores than the set has bits
    if (sched_setaffinity(0, sizeof all, &all) == 0 &&
        sched_getaffinity(0, sizeof granted, &granted) == 0)
        out->n_host = CPU_COUNT(&granted);
    (void)sched_setaffinity(0, sizeof out->set, &out->set);
}

static bool is_on_host(const struct ranks *ranks, int a, int b) {
    return strcmp(ranks->hosts[a], ranks->hosts[b]) == 0;
}

// Cores that a rank has for itself, where those that it shares with other ranks are divided; and
// what it would have if all cores of the host were divided among the host's ranks.
static int count_own(const struct ranks *ranks, const struct cores *all, int rank, int *out_share) {
    int n_sharing = 0, n_on_host = 0;
    for (int r = 0; r < ranks->n; r++) {
        cpu_set_t both;
        if (!is_on_host(ranks, r, rank))
            continue;
        CPU_AND(&both, &all[r].set, &all[rank].set);
        n_on_host++;
        n_sharing += CPU_COUNT(&both) > 0;
    }
    int n_own = n_sharing > 0 ? CPU_COUNT(&all[rank].set) / n_sharing : 0;
    int n_share = all[rank].n_host / n_on_host;
    *out_share = n_share > 0 ? n_share : 1;
    return n_own > 0 ? n_own : 1;
}

adele_status ranks_share_cores(struct ranks *ranks) {
    struct cores mine;
    OWNED struct cores *all = NULL;
    if (ranks == NULL)
        return ADELE_OK;
    find_cores(&mine);
    TRY(ALLOCATE(&all, ranks->n));
    ranks->fewest.rank = -1;
    TRY(ranks_gather(ranks, &mine, sizeof mine, all));
    for (int r = ranks->n - 1; r >= 0; r--) {
        int n_share, n_own = count_own(ranks, all, r, &n_share);
        if (r == ranks->index)
            ranks->n_cores = n_own;
        if (n_own < n_share)
            ranks->fewest = (struct few_cores){r, n_own, n_share};
    }
    const char *setting = getenv("OMP_NUM_THREADS");
    if (mine.n_host > 0 && (setting == NULL || *setting == '\0'))
        omp_set_num_threads(ranks->n_cores);
    return ADELE_OK;
}

void ranks_log_cores(const struct ranks *ranks) {
    if (ranks == NULL)
        return;
    log_line(LOG_DETAIL, "rank %d of %d, on %s, with %d thread%s", ranks->index, ranks->n,
             ranks->hosts[ranks->index], omp_get_max_threads(),
             omp_get_max_threads() == 1 ? "" : "s");
    if (ranks->fewest.rank >= 0)
        log_line(
            ranks->index == 0 ? LOG_WARNING : LOG_DETAIL,
            "rank %d on %s may run on %d core%s, and its share of the host is %d: the launcher "
            "binds it (mpirun --bind-to none does not)",
            ranks->fewest.rank, ranks->hosts[ranks->fewest.rank], ranks->fewest.n_own,
            ranks->fewest.n_own == 1 ? "" : "s", ranks->fewest.n_share);
}
