// SPDX-License-Identifier: MIT
// What the emulator's own files share: fibers, the block that runs, failures, the checks.
#ifndef ADELE_SIMT_INTERNAL_H
#define ADELE_SIMT_INTERNAL_H

#include "simt_kernel.h"
#include "simt_runtime.h"
#include "simt_settings.h"

#include <memory>
#include <mutex>
#include <time.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif

#define SIMT_MAX_THREADS 1024 // of a block, and of a cluster
#define SIMT_MAX_CLUSTER 8    // blocks

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

// ---- work of streams (simt_stream.cpp, simt_graph.cpp) ------------------------------------------

enum simt_work_kind {
    SIMT_WORK_KERNEL,
    SIMT_WORK_COPY,
    SIMT_WORK_FILL,
    SIMT_WORK_MESSAGES,
    SIMT_WORK_RECORD,
    SIMT_WORK_WAIT
};

// The last record of an event.
struct simt_record {
    cudaStream_t stream;
    long number; // of its work
    bool is_done;
    struct timespec time; // when it was done
};

// A group of messages between processes (simt_nccl.cpp).
struct simt_messages;

// Arguments of a kernel may be aligned to 128 bytes (CUtensorMap).
struct alignas(128) simt_line {
    unsigned char bytes[128];
};

// One operation in a stream's queue or in a graph.
struct simt_work {
    enum simt_work_kind kind;
    long number;                             // counts the work of all streams
    struct simt_grid grid;                   // of a kernel
    std::vector<struct simt_line> arguments; // of a kernel
    std::vector<unsigned char> bytes;        // of a copy from pageable memory, its source
    void *to;                                // of a copy or a fill
    const void *from;                        // of a copy; NULL: `bytes`
    size_t n_bytes;
    int value;    // of a fill
    bool is_late; // a copy from page-locked memory, which even an eager stream does not do at once
    std::shared_ptr<struct simt_record> record;
    std::shared_ptr<const struct simt_messages> messages;
};

// Sends and receives what can be sent and received now; cudaErrorNotReady as long as some is left.
// `done`: how far each message is, kept by the caller, empty at first.
cudaError_t simt_messages_go_on(const struct simt_messages *messages, std::vector<size_t> *done);

// Puts the work into the stream's queue, or into the graph that is captured from it. The result is
// the failure of what was done at once.
cudaError_t simt_work_add(cudaStream_t stream, struct simt_work work);
// Does what is in the stream's queue (NULL: the default stream's), and waits for messages of other
// processes.
cudaError_t simt_work_finish(cudaStream_t stream);
// The same without waiting: cudaErrorNotReady when a message is not there yet.
cudaError_t simt_work_try(cudaStream_t stream);
cudaError_t simt_work_finish_all();
bool simt_work_is_under_way(); // in any stream
extern std::recursive_mutex simt_work_lock;

// Of a call that a captured stream forbids: records why, and spoils the capture, when this thread
// captures `stream` or, NULL, whichever it is.
cudaError_t simt_capture_check(const char *call, cudaStream_t stream);
// Test hook: graphs launched so far.
extern "C" long simt_graph_launches(void);
// Takes the work when this thread captures the stream.
bool simt_capture_takes(cudaStream_t stream, struct simt_work *work, cudaError_t *code);

// ---- launches (simt_launch.cpp) -----------------------------------------------------------------

// The threads that __launch_bounds__ declares; 0: it does not.
int simt_launch_bound(const void *kernel);
cudaError_t simt_run_grid(const struct simt_grid *grid); // simt_run.cpp

void simt_plant_synchronize(); // simt_plant.cpp: waits for ever behind a kernel that hangs

// ---- the blocks that run (simt_run.cpp) ---------------------------------------------------------

// The blocks of a cluster run together: thread `i` of the block with rank `r` in its cluster has
// the number r * n_threads + i. Without clusters one block runs at a time.

enum simt_thread_state {
    SIMT_NEW,
    SIMT_RUNNING,
    SIMT_AT_BARRIER,
    SIMT_AT_WARP,
    SIMT_AT_OBJECT, // waits for what `describe` tells
    SIMT_DONE
};

struct simt_copy { // a cp.async that is not finished
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
    void (*describe)(const struct simt_thread *self, char *out, size_t bytes);
    const void *object;
    uint32_t detail;
    uint32_t warp_epoch; // times it has met its warp in __syncwarp since the last barrier
    long n_groups;       // committed cp.async groups
    std::vector<struct simt_copy> copies;
};

struct simt_block {
    uint3 index;
    int n_done, n_at_barrier;
    long n_barriers;          // it has passed
    const char *barrier_file; // the last one
    int barrier_line;
    size_t static_shared;
};

struct simt_run {
    const struct simt_grid *grid; // NULL: no kernel runs
    struct simt_settings settings;
    int n_threads; // of a block
    int n_blocks;  // of the cluster
    int n_all;     // threads of the cluster
    int n_started, n_done;
    int current; // the running thread, -1: the host
    struct simt_thread threads[SIMT_MAX_THREADS];
    struct simt_block blocks[SIMT_MAX_CLUSTER];
    int ready[SIMT_MAX_THREADS]; // a ring of threads that may go on
    int first_ready, n_ready;
    uint64_t i_block; // counts all clusters of all launches
};
extern struct simt_run simt_run;

// Of the running thread.
static inline int simt_rank() {
    return simt_run.current / simt_run.n_threads;
}
static inline struct simt_block *simt_block() {
    return &simt_run.blocks[simt_rank()];
}

// The running thread waits until somebody makes it ready.
void simt_wait();
void simt_make_ready(int thread);
// The running thread waits, and `describe` tells for what when nothing goes on any more.
void simt_wait_for(const void *object, uint32_t detail,
                   void (*describe)(const struct simt_thread *self, char *out, size_t bytes),
                   const char *file, int line);

// ---- failures (simt_error.cpp) ------------------------------------------------------------------

const char *simt_warp_name(enum simt_warp_kind kind);
const char *simt_barrier_name(enum simt_barrier_kind kind);
const char *simt_file_name(const char *path); // without its folders
// Records a failure for cudaGetLastError.
cudaError_t simt_error(cudaError_t code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Of the running thread: ends the launch. "kernel K, block (..), thread (..): " comes before.
[[noreturn]] void simt_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Of the cluster, from the host or a thread: records a failure; no thread of it goes on.
void simt_stop(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Of the cluster: which threads wait where.
void simt_error_stuck();
[[noreturn]] void simt_abandon(); // simt_run.cpp: back to the host, once a failure is recorded
void simt_abandon_later();        // the same when the host runs
void simt_abandon_if_stopped();   // from a thread, after simt_stop

// ---- matrices (simt_matrix.cpp) -----------------------------------------------------------------

void simt_load_matrices(struct simt_warp_call *const calls[32], bool is_transposed);
void simt_store_matrices(struct simt_warp_call *const calls[32]);
void simt_multiply_bf16(struct simt_warp_call *const calls[32]);
void simt_multiply_tf32(struct simt_warp_call *const calls[32]);

// ---- memory (simt_memory.cpp, simt_shared.cpp) --------------------------------------------------

struct simt_allocation {
    unsigned char *data;
    size_t bytes;
    struct simt_shadow *shadow; // of the checked build; NULL as long as no kernel wrote here
    bool is_host;
};
// The allocation that holds the byte, else the nearest one below it (or NULL).
struct simt_allocation *simt_allocation_find(const void *address);
size_t simt_memory_used();                                    // of the device
bool simt_is_global(const void *address, size_t bytes);       // device or page-locked memory
bool simt_is_page_locked(const void *address, size_t bytes);  // memory of the host
bool simt_is_shared(const void *address, size_t bytes);       // of the running thread's block
size_t simt_shared_allowed(const void *kernel, bool *is_set); // dynamic, of a launch
void simt_shared_end();                                       // after a launch
size_t simt_shared_per_block();                               // the most a kernel may ask for

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
void *simt_check_shared(size_t bytes, size_t align); // memory of an array, with gaps around it
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
