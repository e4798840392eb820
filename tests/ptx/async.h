// SPDX-License-Identifier: MIT
// What blocks of a cluster share, and what runs beside the threads: mbarriers, bulk copies (TMA)
// and what they read and write. Kernels of sm_90a have it; for others only the lists are empty.
#ifndef ADELE_PTX_ASYNC_H
#define ADELE_PTX_ASYNC_H

#include "machine.h"
#include "tensor_map.h"

#include <deque>

namespace ptx {

constexpr int MOST_BLOCK_THREADS = 1024;
// A thread of a cluster: its block's rank, and its index there.
static inline int cluster_thread(const struct warp &w, int lane) {
    return (int)w.block->rank * MOST_BLOCK_THREADS + thread_of(w, lane);
}

// ---- mbarriers (PTX ISA, section "mbarrier") ----------------------------------------------------

struct mbarrier {
    uint32_t expected = 0; // arrivals of a phase
    uint32_t pending = 0;  // of them, those that the present phase still waits for
    int64_t tx = 0;        // bytes that it still waits for; below 0 when they came before expect_tx
    uint64_t phase = 0;    // complete phases
    int thread = 0;        // of the cluster, that initialized it
    bool is_fenced = false;    // fence.mbarrier_init or a release by that thread has followed
    bool is_for_async = false; // or fence.proxy.async: asynchronous copies may use it
    bool is_published = false; // the thread has arrived at the cluster's barrier behind its fence
    bool is_remote = false;    // and that barrier is complete: other blocks may use it
};
// Throws when there is none at the place.
struct mbarrier &mbarrier_at(const struct shared_place &place);
void mbarrier_expect(struct mbarrier &barrier, int64_t bytes);
// Bytes that have arrived, and the phase when it waits for nothing more.
void mbarrier_complete(struct cluster_run &cluster, struct mbarrier &barrier, int64_t bytes);
std::string mbarrier_state(const struct mbarrier &barrier);

// ---- what is in shared memory (shadow.cpp) -----------------------------------------------------

constexpr uint32_t GRANULE = 16; // bytes: the least that asynchronous copies and wgmma touch
enum granule_content : uint8_t {
    CONTENT_NONE,    // nobody wrote it: NaN, which may be read where the result is not used
    CONTENT_THREADS, // written by ld, st and their like
    CONTENT_TMA      // + the swizzle mode with which TMA wrote it
};
struct granule {
    uint8_t content;
    uint8_t n_loading;  // copies under way that write it
    uint16_t n_reading; // copies and wgmmas under way that read it
};
// Of each word of four bytes: the thread of the cluster that wrote it last, and how many
// fence.proxy.async that thread had executed. Until its next one the word is not there for the
// asynchronous proxy (PTX ISA, "Async proxy"). That the writer executes the fence, and not somebody
// who has met it at a barrier, is stricter than the memory model and what kernels do.
struct word_writer {
    uint32_t thread = UINT32_MAX;
    uint32_t n_fences = 0;
};
struct block_async {
    std::map<uint32_t, struct mbarrier> barriers; // by their offset
    std::vector<struct granule> granules;
    std::vector<struct word_writer> writers;
    std::shared_ptr<struct block_wgmma> wgmma; // where the kernel has it
    uint32_t n_free_registers;                 // that setmaxnreg.dec has given back
};
void begin_shadow(struct block_run &block);
// op_registers.cpp: setmaxnreg.
void begin_registers(struct block_run &block);
// An access by a lane, at the host's address (which may be no shared memory).
void note_access(struct warp &w, int lane, const uint8_t *at, size_t bytes, bool is_write);
void note_accesses(struct warp &w, uint32_t lanes, const struct lane_memory &memory, size_t bytes,
                   bool is_write);
// Throws when the asynchronous proxy may not read them: `who` begins the message.
void check_async_read(const struct block_run &block, uint32_t offset, uint32_t bytes,
                      const char *who);
void check_async_write(const struct block_run &block, uint32_t offset, uint32_t bytes,
                       const char *who);

// ---- bulk copies (tma_copy.cpp) -----------------------------------------------------------------

struct async_copy {
    bool is_load;   // from global memory to shared memory
    bool is_tensor; // else plain bytes
    bool is_done;
    struct tensor_map map;
    int32_t coordinates[MOST_DIMENSIONS];
    uint64_t global; // of plain bytes
    uint32_t bytes;  // in shared memory
    uint32_t offset, barrier_offset;
    std::vector<struct block_run *> blocks; // whose shared memory it reads or writes
    std::string where;
};
typedef std::shared_ptr<struct async_copy> async_copy_ref;
struct bulk_groups { // of a thread
    std::vector<async_copy_ref> open;
    std::deque<std::vector<async_copy_ref>> committed;
};
// Under way (1), or no longer (-1).
void mark_copy(struct async_copy &copy, int change);
void carry_out(struct cluster_run &cluster, struct async_copy &copy);

// ---- the blocks of a cluster, which run together -----------------------------------------------

struct cluster_run {
    std::vector<struct block_run> blocks;
    unsigned size[3];                     // of the cluster, in blocks
    struct block_run *current;            // whose warp has the turn
    uint64_t n_events;                    // whatever may end a wait
    uint64_t n_barriers;                  // barriers of the cluster that are complete
    uint64_t n_arrivals;                  // at barriers of the cluster, ever
    std::vector<uint32_t> n_proxy_fences; // of each thread
    std::deque<async_copy_ref> copies;    // under way, in their order
    std::map<int, struct bulk_groups> groups;
};

} // namespace ptx
#endif
