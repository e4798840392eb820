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
enum barrier_vote { VOTE_NONE, VOTE_OR, VOTE_AND }; // option of a barrier

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
    uint32_t barrier_pc, barrier_votes;
    uint8_t *local;
    struct lane_copies *copies; // (N_LANES)
};

struct block_run {
    struct ptx_kernel *kernel;
    unsigned grid[3], block[3], id[3];
    uint8_t *shared;
    size_t shared_bytes;
    const uint8_t *params;
    std::vector<struct warp> warps;
};

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
uint32_t memory_generation(void); // changes when memory is added or removed

// warp.cpp: runs until the end, a barrier, or so many steps.
void run_warp(struct warp &w, uint64_t n_steps);
std::string lane_name(const struct warp &w, int lane);               // "thread (1, 0, 0)"
std::string inst_name(const struct ptx_kernel *kernel, uint32_t pc); // "'add ...' (file:line)"
std::string hex(uint64_t value);

// block.cpp: the special registers that are the same in all blocks, once; then, for each block, all
// warps of block.id, to their ends.
void begin_grid(struct block_run &block);
void run_block(struct block_run &block);

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
