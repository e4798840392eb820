// SPDX-License-Identifier: MIT
// What the emulator's own files share: fibers, the block that runs, failures, the checks.
#ifndef ADELE_SIMT_ROOM_H
#define ADELE_SIMT_ROOM_H

#include "simt_kernel.h"
#include "simt_runtime.h"

#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif

#define SIMT_MAX_THREADS 1024

// ---- fibers (simt_fiber.cpp) --------------------------------------------------------------------

struct simt_fiber {
    void *saved;          // its stack pointer, or its ucontext_t, while it does not run
    unsigned char *stack; // lowest byte
    size_t stack_bytes;
    void *fake_stack; // AddressSanitizer's
};

// A fiber at rest: one that is parked, else a new one that will begin with `body`.
struct simt_fiber *simt_fiber_take(void (*body)());
void simt_fiber_park(struct simt_fiber *fiber); // may be taken again; it goes on where it parked
// Leaves `from` and goes on in `to`; comes back when somebody switches to `from`. NULL: the host.
void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to);
// Forgets what every fiber was doing: each begins anew when next taken. Only from the host.
void simt_fiber_reset_all();

// ---- copies under way (simt_stream.cpp)
// -----------------------------------------------------------

void simt_copy_begin(void *to, const void *from, size_t bytes, cudaStream_t stream);
void simt_copies_finish(cudaStream_t stream); // NULL: of all streams

// ---- the block that runs (simt_run.cpp) ---------------------------------------------------------

enum simt_thread_state { SIMT_NEW, SIMT_RUNNING, SIMT_AT_BARRIER, SIMT_AT_WARP, SIMT_DONE };

struct simt_copy { // a cp.async that is under way
    void *to;
    const void *from; // NULL: zeros
    long group;
};

struct simt_thread {
    uint3 index;
    enum simt_thread_state state;
    struct simt_fiber *fiber;
    // where it waits
    enum simt_barrier_kind barrier;
    int predicate, result;
    const char *file;
    int line;
    struct simt_warp_call *call;
    uint32_t warp_epoch; // times it has met its warp in __syncwarp since the last barrier
    long n_groups;       // committed cp.async groups
    std::vector<struct simt_copy> copies;
};

struct simt_run {
    const struct simt_grid *grid; // NULL: no kernel runs
    int n_threads, n_started, n_done, n_at_barrier;
    int current; // the running thread, -1: the host
    struct simt_thread threads[SIMT_MAX_THREADS];
    int ready[SIMT_MAX_THREADS]; // a ring of threads that may go on
    int first_ready, n_ready;
    uint64_t i_block;         // counts all blocks of all launches
    const char *barrier_file; // the last barrier that the block has passed
    int barrier_line;
    size_t static_shared;
};
extern struct simt_run simt_run;

// The running thread waits until somebody makes it ready.
void simt_wait();
void simt_make_ready(int thread);

// ---- failures (simt_error.cpp) ------------------------------------------------------------------

const char *simt_warp_name(enum simt_warp_kind kind);
const char *simt_barrier_name(enum simt_barrier_kind kind);
const char *simt_file_name(const char *path); // without its folders
// Records a failure for cudaGetLastError.
cudaError_t simt_error(cudaError_t code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Of the running thread: ends the launch. "kernel K, block (..), thread (..): " comes before.
[[noreturn]] void simt_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Of the block: who waits where.
void simt_error_stuck();
[[noreturn]] void simt_abandon(); // simt_run.cpp: back to the host, once a failure is recorded

// ---- memory (simt_memory.cpp, simt_shared.cpp) --------------------------------------------------

struct simt_allocation {
    unsigned char *data;
    size_t bytes;
    struct simt_shadow *shadow; // of the checked build; NULL as long as no kernel wrote here
    bool is_host;
};
// The allocation that holds the byte, else the nearest one below it (or NULL).
struct simt_allocation *simt_allocation_find(const void *address);
size_t simt_shared_allowed(const void *kernel, bool *is_raised);
void simt_shared_end(); // after a launch

// ---- checks (simt_check.cpp, only in the checked build) -----------------------------------------

#ifdef ADELE_SIMT_CHECKED
void simt_check_grid_begins();
void simt_check_block_begins();
void simt_check_barrier();
void simt_check_runs(bool is_thread); // a thread goes on (or, false, the host)
void simt_check_read(const void *address, size_t bytes);
void simt_check_write(const void *address, size_t bytes);
void simt_check_atomic(const void *address, size_t bytes);
void simt_check_freed(struct simt_allocation *allocation);
void simt_check_fence();
void *simt_checked_memcpy(void *to, const void *from, size_t bytes);
void *simt_checked_memset(void *to, int value, size_t bytes);
void *simt_check_shared(size_t bytes, size_t align); // room for an array, with gaps around
void simt_check_shared_end();
#else
static inline void simt_check_grid_begins() {
}
static inline void simt_check_block_begins() {
}
static inline void simt_check_barrier() {
}
static inline void simt_check_runs(bool) {
}
static inline void simt_check_read(const void *, size_t) {
}
static inline void simt_check_write(const void *, size_t) {
}
static inline void simt_check_atomic(const void *, size_t) {
}
static inline void simt_check_freed(struct simt_allocation *) {
}
#endif

#endif
