// SPDX-License-Identifier: MIT
// mbarriers: PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier", sections
// "Phase of the mbarrier object", "Tracking asynchronous operations by the mbarrier object"
// (expect-tx, complete-tx), "Phase Completion", "arrive-on", "mbarrier.test_wait/try_wait".
#include "simt_async.h"

#include <map>
#include <stdio.h>

static const int64_t largest_tx = (1 << 20) - 1;
static const uint32_t largest_count = (1 << 20) - 1;
static const uint64_t mark = 0x6d62617272696572u; // what an mbarrier's memory holds

static std::map<const uint64_t *, struct simt_mbarrier> barriers; // of the running cluster

void simt_mbarriers_begin() {
    barriers.clear();
}

// ---- which one ----------------------------------------------------------------------------------

static void place_of(const void *shared, char *out, size_t bytes) {
    simt_shared_describe(shared, out, bytes);
}

static void check_address(const uint64_t *bar, const char *name, const char *file, int line) {
    simt_async_use();
    if ((uintptr_t)bar % 8 != 0 || !simt_is_shared(bar, 8))
        simt_fail("%s at %s:%d: %p is not 8 bytes of shared memory of this block, aligned to 8",
                  name, simt_file_name(file), line, (const void *)bar);
}

static struct simt_mbarrier *find(const uint64_t *bar) {
    auto found = barriers.find(bar);
    return bar && found != barriers.end() && *bar == mark ? &found->second : NULL;
}

// Whether the running thread may use what another thread has initialized: a barrier of the block
// must lie between, and for another block a fence and cluster_sync.
static bool is_visible(const struct simt_mbarrier *barrier) {
    if (barrier->initializer / 32 == simt_run.current / 32)
        return true; // __syncwarp may lie between
    if (barrier->rank == simt_rank() && barrier->n_barriers < simt_block()->n_barriers)
        return true;
    return barrier->n_syncs < simt_cluster_syncs &&
           (barrier->is_fenced || barrier->rank == simt_rank());
}

static struct simt_mbarrier *use(const uint64_t *bar, const char *name, const char *file,
                                 int line) {
    char place[120];
    struct simt_mbarrier *barrier = find(bar);
    place_of(bar, place, sizeof place);
    if (!barrier)
        simt_fail("%s at %s:%d: no mbarrier at %s (not initialized, or overwritten)", name,
                  simt_file_name(file), line, place);
    if (!is_visible(barrier))
        simt_fail("%s at %s:%d: the mbarrier at %s was initialized by thread %d with no barrier "
                  "of the %s between",
                  name, simt_file_name(file), line, place, barrier->initializer,
                  barrier->rank == simt_rank() ? "block" : "cluster after a fence_barrier_init");
    return barrier;
}

struct simt_mbarrier *simt_mbarrier_of_copy(const uint64_t *bar, int rank, const char *file,
                                            int line) {
    char place[120];
    check_address(bar, "tma_load", file, line);
    const uint64_t *there = (const uint64_t *)simt_shared_of_peer(bar, rank);
    struct simt_mbarrier *barrier = use(there, "tma_load", file, line);
    place_of(there, place, sizeof place);
    if (!barrier->is_fenced)
        simt_fail("tma_load at %s:%d signals the mbarrier at %s, which no fence_barrier_init has "
                  "made visible to it",
                  simt_file_name(file), line, place);
    return barrier;
}

void simt_mbarriers_fence() {
    for (auto &one : barriers)
        if (one.second.initializer == simt_run.current)
            one.second.is_fenced = true;
}

// ---- phases -------------------------------------------------------------------------------------

static void complete_phase(struct simt_mbarrier *barrier) {
    if (barrier->pending > 0 || barrier->tx != 0)
        return;
    if (barrier->n_in_flight > 0) {
        char place[120];
        place_of(barrier->address, place, sizeof place);
        simt_stop("the phase of the mbarrier at %s is complete while %d tensor copies that signal "
                  "it are in flight: mbarrier_expect_tx names too few bytes",
                  place, barrier->n_in_flight);
        return;
    }
    barrier->phase++;
    barrier->pending = barrier->count;
    for (int thread : barrier->waiting)
        simt_make_ready(thread);
    barrier->waiting.clear();
    simt_check_barrier();
}

static void arrive(struct simt_mbarrier *barrier, const char *name, const char *file, int line) {
    char place[120];
    place_of(barrier->address, place, sizeof place);
    if (barrier->pending == 0)
        simt_fail("%s at %s:%d: the mbarrier at %s has had all of its %u arrivals in this phase",
                  name, simt_file_name(file), line, place, barrier->count);
    barrier->pending--;
    complete_phase(barrier);
    simt_abandon_if_stopped();
}

void simt_mbarrier_complete(struct simt_mbarrier *barrier, uint32_t bytes) {
    barrier->tx -= bytes;
    barrier->n_in_flight--;
    if (barrier->tx < -largest_tx) {
        char place[120];
        place_of(barrier->address, place, sizeof place);
        simt_stop("the mbarrier at %s: more than %d bytes have come that no mbarrier_expect_tx "
                  "has named",
                  place, (int)largest_tx);
        return;
    }
    complete_phase(barrier);
}

// ---- the instructions ---------------------------------------------------------------------------

void simt_mbarrier_init(uint64_t *bar, uint32_t count, const char *file, int line) {
    check_address(bar, "mbarrier_init", file, line);
    if (count == 0 || count > largest_count)
        simt_fail("mbarrier_init at %s:%d for %u arrivals: 1 to %u are possible",
                  simt_file_name(file), line, count, largest_count);
    if (find(bar))
        simt_fail("mbarrier_init at %s:%d: there is a valid mbarrier already", simt_file_name(file),
                  line);
    *bar = mark;
    struct simt_mbarrier *barrier = &barriers[bar];
    *barrier = {};
    barrier->rank = simt_rank();
    barrier->address = bar;
    barrier->count = barrier->pending = count;
    barrier->initializer = simt_run.current;
    barrier->n_barriers = simt_block()->n_barriers;
    barrier->n_syncs = simt_cluster_syncs;
}

void simt_mbarrier_expect_tx(uint64_t *bar, uint32_t bytes, const char *file, int line) {
    check_address(bar, "mbarrier_expect_tx", file, line);
    struct simt_mbarrier *barrier = use(bar, "mbarrier_expect_tx", file, line);
    barrier->tx += bytes;
    if (barrier->tx > largest_tx)
        simt_fail("mbarrier_expect_tx at %s:%d: %lld bytes are expected, and %d are possible",
                  simt_file_name(file), line, (long long)barrier->tx, (int)largest_tx);
    arrive(barrier, "mbarrier_expect_tx", file, line);
}

void simt_mbarrier_arrive(uint64_t *bar, const char *file, int line) {
    check_address(bar, "mbarrier_arrive", file, line);
    arrive(use(bar, "mbarrier_arrive", file, line), "mbarrier_arrive", file, line);
}

void simt_mbarrier_arrive_cluster(uint64_t *bar, uint32_t rank, const char *file, int line) {
    const char *name = "mbarrier_arrive_cluster";
    check_address(bar, name, file, line);
    if (rank >= (uint32_t)simt_run.n_blocks)
        simt_fail("%s at %s:%d: block %u of a cluster of %d", name, simt_file_name(file), line,
                  rank, simt_run.n_blocks);
    if (simt_run.blocks[rank].n_done == simt_run.n_threads)
        simt_fail("%s at %s:%d: block %u of the cluster has ended", name, simt_file_name(file),
                  line, rank);
    uint64_t *there = (uint64_t *)simt_shared_of_peer(bar, (int)rank);
    if (!there)
        simt_fail("%s at %s:%d: block %u has not got this shared array yet: cluster_sync first",
                  name, simt_file_name(file), line, rank);
    arrive(use(there, name, file, line), name, file, line);
}

static void describe(const struct simt_thread *self, char *out, size_t bytes) {
    const struct simt_mbarrier *barrier = (const struct simt_mbarrier *)self->object;
    char place[120];
    place_of(barrier->address, place, sizeof place);
    snprintf(out, bytes,
             "mbarrier_wait (parity %u) for the mbarrier at %s in phase %u: %u of %u arrivals and "
             "%lld bytes are missing",
             self->detail, place, barrier->phase, barrier->pending, barrier->count,
             (long long)barrier->tx);
}

// A phase is complete when the current one has the other parity.
void simt_mbarrier_wait(uint64_t *bar, uint32_t parity, const char *file, int line) {
    check_address(bar, "mbarrier_wait", file, line);
    if (parity > 1)
        simt_fail("mbarrier_wait at %s:%d for parity %u", simt_file_name(file), line, parity);
    struct simt_mbarrier *barrier = use(bar, "mbarrier_wait", file, line);
    while ((barrier->phase & 1u) == parity) {
        barrier->waiting.push_back(simt_run.current);
        simt_wait_for(barrier, parity, describe, file, line);
    }
}
