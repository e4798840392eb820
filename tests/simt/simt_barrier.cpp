// SPDX-License-Identifier: MIT
// Barriers of a block, of some of its threads (bar.sync) and of a cluster; and how a thread waits
// for anything else. PTX ISA, sections "bar", "barrier.cluster".
#include "simt_async.h"
#include "simt_internal.h"

#include <stdio.h>

// ---- the barrier of the block -------------------------------------------------------------------

// The first thread of the running thread's block.
static int first_of_block() {
    return simt_rank() * simt_run.n_threads;
}

static void check_one_place(const struct simt_thread *last) {
    for (int i = 0; i < simt_run.n_threads; i++) {
        const struct simt_thread *other = &simt_run.threads[first_of_block() + i];
        if (other->line != last->line || other->barrier != last->barrier ||
            (other->file != last->file && strcmp(other->file, last->file) != 0)) {
            simt_error_stuck();
            simt_abandon();
        }
    }
}

static int barrier_result(enum simt_barrier_kind kind) {
    int n_true = 0;
    for (int i = 0; i < simt_run.n_threads; i++)
        n_true += simt_run.threads[first_of_block() + i].predicate != 0;
    if (kind == SIMT_BARRIER_OR)
        return n_true > 0;
    return kind == SIMT_BARRIER_AND ? n_true == simt_run.n_threads : n_true;
}

int simt_barrier(enum simt_barrier_kind kind, int predicate, const char *file, int line) {
    struct simt_thread *self = &simt_run.threads[simt_run.current];
    struct simt_block *block = simt_block();
    self->state = SIMT_AT_BARRIER;
    self->barrier = kind, self->predicate = predicate;
    self->file = file, self->line = line;
    if (++block->n_at_barrier < simt_run.n_threads) {
        simt_wait();
        return self->result;
    }
    check_one_place(self);
    int result = kind == SIMT_BARRIER ? 0 : barrier_result(kind);
    block->n_at_barrier = 0;
    block->n_barriers++;
    block->barrier_file = file, block->barrier_line = line;
    for (int i = 0; i < simt_run.n_threads; i++) {
        struct simt_thread *other = &simt_run.threads[first_of_block() + i];
        other->result = result;
        other->warp_epoch = 0;
        if (other != self)
            simt_make_ready(first_of_block() + i);
    }
    self->state = SIMT_RUNNING;
    simt_check_barrier();
    return result;
}

// ---- other things to wait for -------------------------------------------------------------------

void simt_wait_for(const void *object, uint32_t detail,
                   void (*describe)(const struct simt_thread *self, char *out, size_t bytes),
                   const char *file, int line) {
    struct simt_thread *self = &simt_run.threads[simt_run.current];
    self->state = SIMT_AT_OBJECT;
    self->object = object, self->detail = detail, self->describe = describe;
    self->file = file, self->line = line;
    simt_wait();
}

// Threads that have come to a barrier which needs some more.
struct gathering {
    uint32_t n_wanted; // 0: nobody is there
    std::vector<int> threads;
};

static void release(struct gathering *all) {
    for (int thread : all->threads)
        simt_make_ready(thread);
    all->threads.clear();
    all->n_wanted = 0;
}

// ---- bar.sync -----------------------------------------------------------------------------------

static const uint32_t n_named = 16; // of a block; number 0 is that of __syncthreads
static struct gathering named[SIMT_MAX_CLUSTER][n_named];

static void describe_named(const struct simt_thread *self, char *out, size_t bytes) {
    int rank = (int)(self - simt_run.threads) / simt_run.n_threads;
    const struct gathering *all = &named[rank][self->detail];
    snprintf(out, bytes, "named_barrier_sync(%u), to which %d of %u threads have come",
             self->detail, (int)all->threads.size(), all->n_wanted);
}

void simt_named_barrier(uint32_t id, uint32_t n_threads, const char *file, int line) {
    simt_async_use();
    if (id < 1 || id >= n_named || n_threads == 0 || n_threads % 32 != 0 ||
        (int)n_threads > simt_run.n_threads)
        simt_fail("named_barrier_sync(%u, %u) at %s:%d: the number must be 1 to 15, and the "
                  "threads a multiple of 32 and no more than the block's %d",
                  id, n_threads, simt_file_name(file), line, simt_run.n_threads);
    struct gathering *all = &named[simt_rank()][id];
    if (all->n_wanted != 0 && all->n_wanted != n_threads)
        simt_fail("named_barrier_sync(%u, %u) at %s:%d, where others wait for %u threads", id,
                  n_threads, simt_file_name(file), line, all->n_wanted);
    all->n_wanted = n_threads;
    if (all->threads.size() + 1 < n_threads) {
        all->threads.push_back(simt_run.current);
        simt_wait_for(all, id, describe_named, file, line);
        return;
    }
    release(all);
    simt_block()->n_barriers++;
    simt_check_barrier();
}

// ---- the barrier of a cluster -------------------------------------------------------------------

long simt_cluster_syncs;
static struct gathering cluster;

static void describe_cluster(const struct simt_thread *, char *out, size_t bytes) {
    snprintf(out, bytes, "cluster_sync");
}

static bool cluster_is_complete(size_t n_here) {
    return n_here > 0 && n_here + (size_t)simt_run.n_done == (size_t)simt_run.n_all;
}

void simt_cluster_sync(const char *file, int line) {
    simt_async_use();
    if (!cluster_is_complete(cluster.threads.size() + 1)) {
        cluster.threads.push_back(simt_run.current);
        simt_wait_for(&cluster, 0, describe_cluster, file, line);
        return;
    }
    release(&cluster);
    simt_cluster_syncs++;
    simt_check_barrier();
}

uint32_t simt_cluster_rank() {
    return (uint32_t)simt_rank();
}

// A thread that has ended counts as one that has arrived.
void simt_barriers_thread_ended() {
    if (!cluster_is_complete(cluster.threads.size()))
        return;
    release(&cluster);
    simt_cluster_syncs++;
}

void simt_barriers_begin() {
    simt_cluster_syncs = 0;
    cluster = {};
    for (auto &block : named)
        for (struct gathering &one : block)
            one = {};
}
