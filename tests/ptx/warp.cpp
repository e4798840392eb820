// SPDX-License-Identifier: MIT
// A warp. Of lanes that disagree about a branch, those with the lowest program counter run first,
// so that they meet the others again behind it.
#include "async.h"
#include "lanes.h"
#include "wgmma.h"

namespace ptx {

std::string inst_name(const struct ptx_kernel *kernel, uint32_t pc) {
    if (pc >= kernel->code.size())
        return "the end";
    return "'" + kernel->sources[pc].text + "' (" + kernel->sources[pc].where + ")";
}

// ---- lanes that wait ----------------------------------------------------------------------------

PTX_VECTOR static void set_pcs(struct warp &w, uint32_t lanes, uint32_t pc) {
    for (int l = 0; l < N_LANES; l++)
        w.pcs[l] = lanes & LANE_BIT[l] ? pc : w.pcs[l];
}

static void park(struct warp &w, uint32_t lanes, uint32_t pc) {
    set_pcs(w, lanes, pc);
    w.parked |= lanes;
}

// Those of the parked lanes with the least pc become current; lanes whose wait failed come last.
PTX_VECTOR static void choose_current(struct warp &w) {
    uint32_t pcs[N_LANES], least = UINT32_MAX, second = UINT32_MAX, lanes = 0;
    if ((w.parked & ~w.waiting) == 0)
        w.waiting = 0;
    const uint32_t ready = w.parked & ~w.waiting;
    for (int l = 0; l < N_LANES; l++) {
        pcs[l] = ready & LANE_BIT[l] ? w.pcs[l] : UINT32_MAX;
        least = pcs[l] < least ? pcs[l] : least;
    }
    for (int l = 0; l < N_LANES; l++) {
        lanes |= pcs[l] == least ? LANE_BIT[l] : 0;
        uint32_t other = pcs[l] == least ? UINT32_MAX : pcs[l];
        second = other < second ? other : second;
    }
    w.current = lanes & ready;
    w.pc = least;
    w.parked &= ~w.current;
    w.parked_least = second;
}

static uint32_t blocked_at(const struct warp &w, uint32_t pc) {
    uint32_t out = 0;
    for (uint32_t rest = w.blocked; rest != 0; rest &= rest - 1)
        if (w.pcs[__builtin_ctz(rest)] == pc)
            out |= rest & -rest;
    return out;
}

// ---- instructions that lanes run together -------------------------------------------------------

// `lanes` have come to an instruction that `needed` must run together. True when all are here;
// otherwise the lanes wait, and those that the predicate leaves out go on.
static bool are_together(struct warp &w, uint32_t lanes, uint32_t needed) {
    uint32_t here = lanes | blocked_at(w, w.pc);
    if ((here & needed) == needed) {
        w.blocked &= ~here;
        w.current |= here;
        return true;
    }
    set_pcs(w, lanes, w.pc);
    w.blocked |= lanes;
    w.current &= ~lanes;
    w.pc++;
    return false;
}

static void arrive(struct warp &w, const struct inst &i, uint32_t pc) {
    w.state = WARP_AT_BARRIER;
    w.barrier_pc = pc;
    w.barrier_votes = i.option != VOTE_NONE ? lane_bits(w, i.place[1]) : 0;
    w.barrier_id = i.place[2] != NO_PLACE ? lane_values<uint32_t>(w, i.place[2])[0] : 0;
    w.barrier_threads = i.place[3] != NO_PLACE ? lane_values<uint32_t>(w, i.place[3])[0] : 0;
    if (w.barrier_id >= (uint32_t)N_BARRIERS || w.barrier_threads % N_LANES != 0)
        throw error("barrier " + std::to_string(w.barrier_id) + " of " +
                    std::to_string(w.barrier_threads) + " threads");
    w.block->cluster->n_events++;
    w.blocked = w.current = 0;
}

// No lane can run. That is right at a barrier where all of them wait.
static void resolve_blocked(struct warp &w) {
    const struct ptx_kernel *kernel = w.block->kernel;
    uint32_t pc = w.pcs[__builtin_ctz(w.blocked)];
    if (kernel->code[pc].kind == INST_BARRIER && blocked_at(w, pc) == w.live) {
        arrive(w, kernel->code[pc], pc);
        return;
    }
    std::string places;
    for (uint32_t rest = w.blocked; rest != 0; rest &= rest - 1) {
        std::string one = inst_name(kernel, w.pcs[__builtin_ctz(rest)]);
        if (places.find(one) == std::string::npos)
            places += (places.empty() ? "" : ", ") + one;
    }
    throw error("the lanes of warp " + std::to_string(w.index) + " wait for each other at " +
                places + ", " + std::to_string(__builtin_popcount(w.live)) + " of them alive");
}

// Every lane names the same others, which are there, and itself.
static uint32_t shuffle_mask(struct warp &w, const struct inst &i, uint32_t lanes) {
    const lane_values<uint32_t> masks(w, i.place[5]);
    uint32_t needed = masks[__builtin_ctz(lanes)], differing = 0;
    for (int l = 0; l < N_LANES; l++)
        differing |= masks[l] != needed ? LANE_BIT[l] : 0;
    if ((differing & lanes) != 0 || (lanes & ~needed) != 0)
        throw error("the masks of the lanes differ, or a lane is not in its own");
    if ((needed & ~w.live) != 0)
        throw error("the mask " + hex(needed) +
                    " names lanes that have ended or never were, alive are " + hex(w.live));
    return needed;
}

// Behind an instruction that has run, unless it is to run again.
static void go_on(struct warp &w) {
    w.pc += !w.must_repeat;
    w.must_repeat = false;
}

static void run_together(struct warp &w, const struct inst &i, uint32_t lanes) {
    uint32_t needed = w.live;
    if (i.kind == INST_SHUFFLE)
        needed = shuffle_mask(w, i, lanes);
    else if (i.kind == INST_ALIGNED && w.live != ALL_LANES)
        throw error("not all lanes of the warp are alive: " + hex(w.live));
    if (!are_together(w, lanes, needed))
        return;
    if (i.kind == INST_BARRIER) {
        arrive(w, i, w.pc);
        return;
    }
    i.run(w, i, needed);
    go_on(w);
}

// ---- one instruction ----------------------------------------------------------------------------

static void branch(struct warp &w, const struct inst &i, uint32_t lanes) {
    if (lanes == w.current) {
        w.pc = i.target;
    } else {
        park(w, lanes, i.target);
        park(w, w.current & ~lanes, w.pc + 1);
        choose_current(w);
    }
}

static void step(struct warp &w, const struct inst &i, int traced) {
    uint32_t lanes = w.current;
    if (i.predicate != NO_PLACE)
        lanes &= i.is_negated ? ~lane_bits(w, i.predicate) : lane_bits(w, i.predicate);
    if (lanes == 0) {
        w.pc++;
        return;
    }
    i.n_executed++;
    if (w.wgmma != NULL)
        follow_registers(w);
    switch (i.kind) {
    case INST_PLAIN:
        i.run(w, i, lanes);
        if (traced >= 0 && (lanes >> traced & 1))
            trace(w, i, traced);
        go_on(w);
        break;
    case INST_BRANCH:
        branch(w, i, lanes);
        break;
    case INST_EXIT:
        w.block->cluster->n_events++;
        w.live &= ~lanes;
        w.current &= ~lanes;
        w.pc++;
        break;
    default:
        run_together(w, i, lanes);
        break;
    }
}

// Waits for several things in turn, none of which comes.
#define MOST_FAILURES 64

static bool is_stuck(const struct warp &w) {
    const uint32_t lanes = w.current | w.parked;
    bool out = w.has_failed && (lanes & ~w.waiting) == 0;
    for (uint32_t rest = lanes; rest != 0 && out; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        out = w.failed_events[l] == w.block->cluster->n_events && w.n_failures[l] >= MOST_FAILURES;
    }
    return out;
}

void fail_wait(struct warp &w, uint32_t lanes, int64_t barrier, bool repeats) {
    const uint64_t n_events = w.block->cluster->n_events;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        bool is_same = w.failed_events[l] == n_events;
        // One that fails at the same place again without an event between will fail for ever.
        w.n_failures[l] = !is_same                  ? 1
                          : w.failed_pcs[l] == w.pc ? MOST_FAILURES
                                                    : w.n_failures[l] + 1;
        w.failed_pcs[l] = w.pc;
        w.failed_events[l] = n_events;
    }
    w.waiting |= lanes;
    w.has_failed = true;
    w.must_repeat = repeats;
    w.failed_pc = w.pc;
    w.failed_barrier = barrier;
}

void run_warp(struct warp &w, uint64_t n_steps) {
    int traced = traced_lane(w);
    const struct inst *code = w.block->kernel->code.data();
    w.has_failed = false;
    if (((w.current | w.parked) & ~w.waiting) == 0)
        w.waiting = 0;
    if (w.current != 0 && w.parked != 0)
        park(w, w.current, w.pc);
    if (w.current == 0 || w.parked != 0)
        choose_current(w);
    for (; n_steps > 0 && w.state == WARP_READY && !w.has_failed; n_steps--) {
        if (w.current == 0 || w.pc >= w.parked_least) {
            if (w.current != 0)
                park(w, w.current, w.pc);
            choose_current(w);
        }
        if (w.current != 0)
            step(w, code[w.pc], traced);
        else if (w.blocked != 0)
            resolve_blocked(w);
        else
            w.state = WARP_DONE;
    }
    if (n_steps == 0)
        w.block->cluster->n_events++;
    w.stuck_at = is_stuck(w) ? w.block->cluster->n_events : UINT64_MAX;
}

} // namespace ptx
