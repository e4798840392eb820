// SPDX-License-Identifier: MIT
// What runs: a grid's blocks one after the other, the warps of a block in turns from barrier to
// barrier, the lanes of a warp together where they agree, each with a program counter of its own
// where they do not.
#ifndef ADELE_PTX_MACHINE_H
#define ADELE_PTX_MACHINE_H

#include "program.h"

namespace ptx {

struct pending_copy { // cp.async
    uint8_t *to;
    const uint8_t *from;
    int n_live; // bytes; zeros behind
};
struct lane_copies {
    std::vector<struct pending_copy>
        orders;                 // the committed groups one behind the other, and the open one
    std::vector<size_t> groups; // how many orders each committed group has
    size_t n_committed;         // orders in all of them
};

enum warp_state { WARP_READY, WARP_AT_BARRIER, WARP_DONE };
enum barrier_vote { VOTE_NONE, VOTE_OR, VOTE_AND, BARRIER_ARRIVE }; // option of a barrier

// Lanes as bits. A lane that is alive is in one of current, parked and blocked, or its warp waits
// at a barrier.
struct warp {
    uint8_t *registers;
    struct block_run *block;
    int index;
    enum warp_state state;
    uint32_t live;         // have not ended
    uint32_t current, pc;  // run now, all at pc
    uint32_t parked;       // wait for their turn, at pcs[lane]
    uint32_t parked_least; // the least pc of these
    uint32_t blocked;      // wait for others at an instruction that runs together, at pcs[lane]
    uint32_t pcs[N_LANES];
    uint32_t carry; // of add.cc and its like
    uint32_t barrier_pc, barrier_votes, barrier_id;
    uint32_t barrier_threads; // that take part; 0 = all of the block
    // Lanes whose last wait failed come behind the others; the turn of their warp ends.
    uint32_t waiting;
    bool has_failed;
    bool must_repeat; // the instruction: it could not go on
    // Of each lane: where its last wait failed, cluster_run::n_events then, and how often waits
    // have failed since that event.
    uint32_t failed_pcs[N_LANES], n_failures[N_LANES];
    uint64_t failed_events[N_LANES];
    uint64_t stuck_at;      // n_events when all lanes were found to wait for ever; else UINT64_MAX
    uint32_t failed_pc;     // where
    int64_t failed_barrier; // the mbarrier's offset, or -1
    // Lanes that have arrived at the cluster's barrier and not waited; those of its present phase.
    uint32_t cluster_open, cluster_arrived;
    uint32_t n_registers;     // of a thread, which setmaxnreg changes
    struct warp_wgmma *wgmma; // wgmma.h; NULL where the kernel has none
    uint8_t *local;
    struct lane_copies *copies; // (N_LANES)
};

constexpr int N_BARRIERS = 16; // of a block
struct block_run {
    struct ptx_kernel *kernel;
    struct cluster_run *cluster; // that it belongs to, and its place in there
    unsigned rank;
    struct block_async *async;      // NULL where the kernel has nothing of the kind
    unsigned n_arrived[N_BARRIERS]; // threads, by bar.arrive
    unsigned grid[3], block[3], id[3];
    uint8_t *shared;
    size_t shared_bytes;
    const uint8_t *params;
    std::vector<struct warp> warps;
};

static inline int thread_of(const struct warp &w, int lane) {
    return w.index * N_LANES + lane;
}
// warp.cpp: a wait that failed. The warp's turn ends, other warps go on. `repeats`: the instruction
// is to run again; else it has told the lanes that the wait failed. barrier: the offset of its
// mbarrier, or -1.
void fail_wait(struct warp &w, uint32_t lanes, int64_t barrier, bool repeats);

// address.cpp: the host's memory behind an address, of `bytes` bytes (a power of two) that are all
// there and aligned; throws with the lane's name.
uint8_t *reach(struct warp &w, const struct inst &i, enum space space, uint64_t address,
               size_t bytes, int lane);
uint64_t address_of(struct warp &w, const struct inst &i, int lane); // the register and the offset

// Where the lanes of an instruction find their memory.
enum lane_pattern { LANES_ANYWHERE, LANES_IN_A_ROW, LANES_AT_ONE };
struct lane_memory {
    enum lane_pattern pattern; // in a row: all 32, each `bytes` behind the one before
    uint8_t *at[N_LANES];      // of the lanes that take part
};
// The same for all of the lanes (at least one), whose addresses are in the instruction's register.
void reach_all(struct warp &w, const struct inst &i, enum space space, uint32_t lanes, size_t bytes,
               struct lane_memory *out);
// The memory behind so many bytes of global memory; throws when they are not all in one block.
uint8_t *reach_global(uint64_t address, size_t bytes);
// The block of the cluster, and the offset in its shared memory, of an address of `bytes` bytes.
struct shared_place {
    struct block_run *block;
    uint32_t offset;
};
struct shared_place locate_shared(struct warp &w, enum space space, uint64_t address, size_t bytes,
                                  int lane);
uint32_t memory_generation(void); // changes when memory is added or removed

// warp.cpp: runs until the end, a barrier, or so many steps.
void run_warp(struct warp &w, uint64_t n_steps);
std::string lane_name(const struct warp &w, int lane);               // "thread (1, 0, 0)"
std::string inst_name(const struct ptx_kernel *kernel, uint32_t pc); // "'add ...' (file:line)"
std::string hex(uint64_t value);

// block.cpp: the special registers that are the same in all blocks, once; then, for each block,
// what it begins with, its barriers (true: one was complete) and the checks at its end.
void begin_grid(struct block_run &block);
void begin_block(struct block_run &block);
bool release_barriers(struct block_run &block);
void end_block(struct block_run &block);

// cluster.cpp: all warps of the cluster's blocks, which have their ids, to their ends.
void run_cluster(struct cluster_run &cluster);

// options.cpp
uint32_t random_below(uint32_t n);

// report.cpp: PTX_REPORT.
void report_launched(struct ptx_kernel *kernel);
// report.cpp too: PTX_TRACE=KERNEL:LAUNCH:THREAD (part of the name, a count from 1, an index in its
// block): the lane of the warp that is traced, or -1; and a line for an instruction that it ran.
int traced_lane(const struct warp &w);
void trace(const struct warp &w, const struct inst &i, int lane);

} // namespace ptx
#endif
