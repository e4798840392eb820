// SPDX-License-Identifier: MIT
// Runs a grid: block by block, and within a block one thread after the other until each has ended
// or waits.
//
// A worker is a fiber that begins threads, one after the other on the same stack. Only when a
// thread has to wait does it keep the stack for itself, and the next thread begins on another
// worker's; a kernel without barriers therefore runs on a single stack.
#include "simt_internal.h"

#include <utility>

struct simt_position simt_here;
struct simt_run simt_run;

static std::mutex one_launch_at_a_time;
static bool is_abandoned;

// ---- threads ------------------------------------------------------------------------------------

static void become(int thread) {
    simt_run.current = thread;
    simt_here.thread = simt_run.threads[thread].index;
    simt_check_runs(true);
}

static void begin_thread(int thread, struct simt_fiber *fiber) {
    struct simt_thread *self = &simt_run.threads[thread];
    self->state = SIMT_RUNNING;
    self->fiber = fiber;
    become(thread);
    simt_run.grid->run(simt_run.grid->arguments);
    self->state = SIMT_DONE;
    if (!self->copies.empty())
        self->copies.clear();
    self->n_groups = 0;
    simt_run.n_done++;
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
        } else if (simt_run.n_started < simt_run.n_threads) {
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
    else if (simt_run.n_started < simt_run.n_threads)
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

// ---- the barrier of the block -------------------------------------------------------------------

static void check_one_place(const struct simt_thread *last) {
    for (int i = 0; i < simt_run.n_threads; i++) {
        const struct simt_thread *other = &simt_run.threads[i];
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
        n_true += simt_run.threads[i].predicate != 0;
    if (kind == SIMT_BARRIER_OR)
        return n_true > 0;
    return kind == SIMT_BARRIER_AND ? n_true == simt_run.n_threads : n_true;
}

int simt_barrier(enum simt_barrier_kind kind, int predicate, const char *file, int line) {
    struct simt_thread *self = &simt_run.threads[simt_run.current];
    self->state = SIMT_AT_BARRIER;
    self->barrier = kind, self->predicate = predicate;
    self->file = file, self->line = line;
    if (++simt_run.n_at_barrier < simt_run.n_threads) {
        simt_wait();
        return self->result;
    }
    check_one_place(self);
    int result = kind == SIMT_BARRIER ? 0 : barrier_result(kind);
    simt_run.n_at_barrier = 0;
    simt_run.barrier_file = file, simt_run.barrier_line = line;
    for (int i = 0; i < simt_run.n_threads; i++) {
        struct simt_thread *other = &simt_run.threads[i];
        other->result = result;
        other->warp_epoch = 0;
        if (other != self)
            simt_make_ready(i);
    }
    self->state = SIMT_RUNNING;
    simt_check_barrier();
    return result;
}

// ---- blocks and grids ---------------------------------------------------------------------------

// Runs the block to its end; false when the launch failed.
static bool run_block(uint3 index) {
    simt_here.block = index;
    simt_run.i_block++;
    simt_run.n_started = simt_run.n_done = simt_run.n_at_barrier = simt_run.n_ready = 0;
    simt_run.barrier_file = NULL;
    simt_run.static_shared = 0;
    for (int i = 0; i < simt_run.n_threads; i++) {
        simt_run.threads[i].state = SIMT_NEW;
        simt_run.threads[i].warp_epoch = 0;
    }
    simt_check_block_begins();
    simt_fiber_switch(NULL, take_worker());
    simt_run.current = -1;
    simt_check_runs(false);
    if (!is_abandoned && simt_run.n_done < simt_run.n_threads) {
        simt_error_stuck();
        is_abandoned = true;
    }
    return !is_abandoned;
}

static void number_threads(dim3 block) {
    int i = 0;
    for (unsigned z = 0; z < block.z; z++)
        for (unsigned y = 0; y < block.y; y++)
            for (unsigned x = 0; x < block.x; x++)
                simt_run.threads[i++].index = make_uint3(x, y, z);
    simt_run.n_threads = i;
}

// ---- the order of blocks ------------------------------------------------------------------------

static uint64_t mix(uint64_t value) { // SplitMix64
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static std::vector<uint32_t> order; // of the running grid's blocks, when they are shuffled

static void shuffle_blocks(uint64_t n_blocks) {
    static uint64_t n_launches;
    uint64_t random = mix(simt_run.settings.seed) + n_launches++;
    order.resize(n_blocks);
    for (uint64_t i = 0; i < n_blocks; i++)
        order[i] = (uint32_t)i;
    for (uint64_t i = n_blocks; i > 1; i--)
        std::swap(order[i - 1], order[(random = mix(random)) % i]);
}

static uint3 block_number(dim3 grid, uint64_t i) {
    return make_uint3((unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y),
                      (unsigned)(i / grid.x / grid.y));
}

cudaError_t simt_run_grid(const struct simt_grid *all) {
    std::lock_guard<std::mutex> lock(one_launch_at_a_time);
    simt_run.grid = all;
    simt_run.settings = simt_settings_read();
    simt_run.current = -1;
    is_abandoned = false;
    simt_here.block_extent = all->block;
    simt_here.grid_extent = all->grid;
    number_threads(all->block);
    simt_check_grid_begins();
    uint64_t n_blocks = (uint64_t)all->grid.x * all->grid.y * all->grid.z;
    bool is_shuffled = simt_run.settings.is_shuffled, goes_on = true;
    if (is_shuffled)
        shuffle_blocks(n_blocks);
    for (uint64_t i = 0; i < n_blocks && goes_on; i++) {
        uint64_t number = is_shuffled ? order[i] : i;
        goes_on =
            (number == 0 && all->leaves_out_first) || run_block(block_number(all->grid, number));
    }
    if (!goes_on) {
        simt_fiber_reset_all();
        for (int i = 0; i < simt_run.n_threads; i++) {
            simt_run.threads[i].copies.clear();
            simt_run.threads[i].n_groups = 0;
        }
    }
    simt_shared_end();
    simt_run.grid = NULL;
    return goes_on ? cudaSuccess : cudaErrorLaunchFailure;
}
