// SPDX-License-Identifier: MIT
// Runs a grid: cluster by cluster (a block, as a rule), and within it one thread after the other
// until each has ended or waits.
//
// A worker is a fiber that begins threads, one after the other on the same stack. Only when a
// thread has to wait does it keep the stack for itself, and the next thread begins on another
// worker's; a kernel without barriers therefore runs on a single stack.
#include "simt_async.h"
#include "simt_internal.h"

#include <utility>

struct simt_position simt_here;
struct simt_run simt_run;
#if defined(__x86_64__)
const int simt_has_fma = __builtin_cpu_supports("fma") != 0;
#else
const int simt_has_fma = 0;
#endif

static std::mutex one_launch_at_a_time;
static bool is_abandoned;

// ---- threads ------------------------------------------------------------------------------------

static void become(int thread) {
    simt_run.current = thread;
    simt_here.thread = simt_run.threads[thread].index;
    simt_here.block = simt_block()->index;
    simt_check_runs(true);
}

static void begin_thread(int thread, struct simt_fiber *fiber) {
    struct simt_thread *self = &simt_run.threads[thread];
    self->state = SIMT_RUNNING;
    self->fiber = fiber;
    become(thread);
    simt_run.grid->run(simt_run.grid->arguments);
    simt_async_thread_ends();
    self->state = SIMT_DONE;
    if (!self->copies.empty())
        self->copies.clear();
    self->n_groups = 0;
    simt_run.n_done++;
    simt_block()->n_done++;
    simt_async_thread_ended();
}

static int take_ready() {
    int thread = simt_run.ready[simt_run.first_ready];
    simt_run.first_ready = (simt_run.first_ready + 1) % SIMT_MAX_THREADS;
    simt_run.n_ready--;
    return thread;
}

void simt_make_ready(int thread) {
    int last = (simt_run.first_ready + simt_run.n_ready) % SIMT_MAX_THREADS;
    simt_run.ready[last] = thread;
    simt_run.n_ready++;
}

static struct simt_fiber *fiber_of_worker; // of the worker that is entered for the first time

static void work() {
    struct simt_fiber *self = fiber_of_worker;
    for (;;) {
        if (simt_run.n_ready > 0) {
            simt_fiber_park(self);
            simt_fiber_switch(self, simt_run.threads[take_ready()].fiber);
        } else if (simt_run.n_started < simt_run.n_all) {
            begin_thread(simt_run.n_started++, self);
        } else {
            simt_fiber_park(self);
            simt_fiber_switch(self, NULL);
        }
    }
}

static struct simt_fiber *take_worker() {
    fiber_of_worker = simt_fiber_take(work);
    return fiber_of_worker;
}

void simt_wait() {
    int thread = simt_run.current;
    struct simt_fiber *self = simt_run.threads[thread].fiber, *next = NULL;
    if (simt_run.n_ready > 0)
        next = simt_run.threads[take_ready()].fiber;
    else if (simt_run.n_started < simt_run.n_all)
        next = take_worker();
    simt_fiber_switch(self, next);
    simt_run.threads[thread].state = SIMT_RUNNING;
    become(thread);
}

void simt_abandon() {
    is_abandoned = true;
    simt_fiber_switch(simt_run.threads[simt_run.current].fiber, NULL);
    __builtin_unreachable(); // its fiber begins anew
}

void simt_abandon_later() {
    is_abandoned = true;
}

void simt_abandon_if_stopped() {
    if (is_abandoned)
        simt_abandon();
}

// ---- blocks and grids ---------------------------------------------------------------------------

static void begin_cluster(dim3 first) {
    dim3 extent = simt_run.grid->cluster;
    simt_run.i_block++;
    simt_run.n_started = simt_run.n_done = simt_run.n_ready = 0;
    for (int rank = 0; rank < simt_run.n_blocks; rank++) {
        unsigned x = (unsigned)rank % extent.x, y = (unsigned)rank / extent.x % extent.y;
        unsigned z = (unsigned)rank / extent.x / extent.y;
        simt_run.blocks[rank] = {};
        simt_run.blocks[rank].index = make_uint3(first.x + x, first.y + y, first.z + z);
    }
    for (int i = 0; i < simt_run.n_all; i++) {
        simt_run.threads[i].state = SIMT_NEW;
        simt_run.threads[i].warp_epoch = 0;
    }
    simt_async_begin();
    simt_check_block_begins();
}

// Runs the cluster to its end; false when the launch failed. When no thread can go on, something
// that is in flight arrives.
static bool run_cluster(dim3 first) {
    begin_cluster(first);
    simt_fiber_switch(NULL, take_worker());
    while (!is_abandoned && simt_run.n_done < simt_run.n_all && simt_async_go_on())
        if (simt_run.n_ready > 0)
            simt_fiber_switch(NULL, simt_run.threads[take_ready()].fiber);
    simt_run.current = -1;
    simt_check_runs(false);
    if (!is_abandoned && simt_run.n_done < simt_run.n_all) {
        simt_error_stuck();
        is_abandoned = true;
    }
    if (!is_abandoned)
        simt_async_end();
    return !is_abandoned;
}

static void number_threads(dim3 block, dim3 cluster) {
    int i = 0;
    simt_run.n_blocks = (int)(cluster.x * cluster.y * cluster.z);
    for (int rank = 0; rank < simt_run.n_blocks; rank++)
        for (unsigned z = 0; z < block.z; z++)
            for (unsigned y = 0; y < block.y; y++)
                for (unsigned x = 0; x < block.x; x++)
                    simt_run.threads[i++].index = make_uint3(x, y, z);
    simt_run.n_all = i;
    simt_run.n_threads = i / simt_run.n_blocks;
}

// ---- the order of clusters
// ------------------------------------------------------------------------

static uint64_t mix(uint64_t value) { // SplitMix64
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static std::vector<uint32_t> order; // of the running grid's clusters, when they are shuffled

static void shuffle_clusters(uint64_t n_clusters) {
    static uint64_t n_launches;
    uint64_t random = mix(simt_run.settings.seed) + n_launches++;
    order.resize(n_clusters);
    for (uint64_t i = 0; i < n_clusters; i++)
        order[i] = (uint32_t)i;
    for (uint64_t i = n_clusters; i > 1; i--)
        std::swap(order[i - 1], order[(random = mix(random)) % i]);
}

// The first block of cluster number `i`.
static dim3 cluster_number(dim3 grid, dim3 cluster, uint64_t i) {
    unsigned w = grid.x / cluster.x, h = grid.y / cluster.y;
    return dim3((unsigned)(i % w) * cluster.x, (unsigned)(i / w % h) * cluster.y,
                (unsigned)(i / w / h) * cluster.z);
}

cudaError_t simt_run_grid(const struct simt_grid *all) {
    std::lock_guard<std::mutex> lock(one_launch_at_a_time);
    simt_run.grid = all;
    simt_run.settings = simt_settings_read();
    simt_run.current = -1;
    is_abandoned = false;
    simt_here.block_extent = all->block;
    simt_here.grid_extent = all->grid;
    number_threads(all->block, all->cluster);
    simt_check_grid_begins();
    uint64_t n_clusters =
        (uint64_t)all->grid.x * all->grid.y * all->grid.z / (uint64_t)simt_run.n_blocks;
    bool is_shuffled = simt_run.settings.is_shuffled, goes_on = true;
    if (is_shuffled)
        shuffle_clusters(n_clusters);
    for (uint64_t i = 0; i < n_clusters && goes_on; i++) {
        uint64_t number = is_shuffled ? order[i] : i;
        goes_on = (number == 0 && all->leaves_out_first) ||
                  run_cluster(cluster_number(all->grid, all->cluster, number));
    }
    if (!goes_on) {
        simt_fiber_reset_all();
        for (int i = 0; i < simt_run.n_all; i++) {
            simt_run.threads[i].copies.clear();
            simt_run.threads[i].n_groups = 0;
        }
    }
    simt_shared_end();
    simt_run.grid = NULL;
    return goes_on ? cudaSuccess : cudaErrorLaunchFailure;
}
