// SPDX-License-Identifier: MIT
// mbarriers (PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier"): a phase
// waits for arrivals and for bytes (pending count and tx-count), and is complete when both are 0.
// The object in shared memory is opaque; what is known of it is kept beside, and its eight bytes
// must stay as init left them.
#include "async.h"
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

#define MOST_COUNT ((1 << 20) - 1) // of arrivals, and of bytes in either direction

static uint64_t pattern_of(const struct shared_place &place) {
    return 0x7265697272616200ull + place.offset;
}

struct mbarrier &mbarrier_at(const struct shared_place &place) {
    auto found = place.block->async->barriers.find(place.offset);
    if (found == place.block->async->barriers.end())
        throw error("no mbarrier at offset " + std::to_string(place.offset) +
                    " of shared memory of block " + std::to_string(place.block->rank) +
                    ": mbarrier.init has not run");
    uint64_t bytes;
    memcpy(&bytes, place.block->shared + place.offset, sizeof bytes);
    if (bytes != pattern_of(place))
        throw error("the mbarrier at offset " + std::to_string(place.offset) + " was written over");
    return found->second;
}

std::string mbarrier_state(const struct mbarrier &barrier) {
    return "phase " + std::to_string(barrier.phase) + ", " + std::to_string(barrier.pending) +
           " of " + std::to_string(barrier.expected) + " arrivals pending, tx-count " +
           std::to_string(barrier.tx);
}

static void end_phase(struct mbarrier &barrier) {
    if (barrier.pending != 0 || barrier.tx != 0)
        return;
    barrier.phase++;
    barrier.pending = barrier.expected;
}

void mbarrier_expect(struct mbarrier &barrier, int64_t bytes) {
    barrier.tx += bytes;
    if (bytes < 0 || bytes > MOST_COUNT || barrier.tx > MOST_COUNT)
        throw error("expect_tx of " + std::to_string(bytes) + " bytes: " + mbarrier_state(barrier) +
                    ", at most are " + std::to_string(MOST_COUNT));
}

void mbarrier_complete(struct cluster_run &cluster, struct mbarrier &barrier, int64_t bytes) {
    barrier.tx -= bytes;
    if (barrier.tx < -MOST_COUNT)
        throw error("more bytes arrive than an mbarrier counts: " + mbarrier_state(barrier));
    end_phase(barrier);
    cluster.n_events++;
}

static void arrive_at(struct mbarrier &barrier, uint32_t count) {
    if (count < 1 || count > barrier.pending)
        throw error("an arrival of " + std::to_string(count) + " where the mbarrier has " +
                    mbarrier_state(barrier));
    barrier.pending -= count;
    end_phase(barrier);
}

// ---- init, inval --------------------------------------------------------------------------------

static struct shared_place place_of_lane(struct warp &w, const struct inst &i, int lane) {
    uint64_t address = address_of(w, i, lane);
    if (address % 8 != 0)
        throw error(lane_name(w, lane) + ": an mbarrier that is not aligned to 8 bytes");
    return locate_shared(w, i.space, address, 8, lane);
}

static void init(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        struct shared_place place = place_of_lane(w, i, l);
        uint32_t count = lane_values<uint32_t>(w, i.place[1])[l];
        if (count < 1 || count > MOST_COUNT)
            throw error("mbarrier.init with a count of " + std::to_string(count));
        if (place.block->async->barriers.count(place.offset) != 0)
            throw error("mbarrier.init where an mbarrier is: mbarrier.inval comes before");
        uint64_t bytes = pattern_of(place);
        note_access(w, l, place.block->shared + place.offset, 8, true);
        memcpy(place.block->shared + place.offset, &bytes, sizeof bytes);
        struct mbarrier barrier;
        barrier.expected = barrier.pending = count;
        barrier.thread = cluster_thread(w, l);
        place.block->async->barriers[place.offset] = barrier;
    }
    w.block->cluster->n_events++;
}

static void invalidate(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        struct shared_place place = place_of_lane(w, i, __builtin_ctz(rest));
        if (mbarrier_at(place).tx != 0)
            throw error("mbarrier.inval with bytes under way: " +
                        mbarrier_state(mbarrier_at(place)));
        place.block->async->barriers.erase(place.offset);
    }
}

// ---- arrive, expect_tx, complete_tx -------------------------------------------------------------

enum mbarrier_option { ARRIVE, ARRIVE_EXPECT, ARRIVE_NO_COMPLETE, ARRIVE_DROP, EXPECT, COMPLETE };

// What test_wait gets back: the phase that this arrival belongs to.
static uint64_t token_of(const struct mbarrier &barrier) {
    return barrier.phase << 20 | barrier.pending;
}

static struct mbarrier &barrier_of_lane(struct warp &w, const struct inst &i, int lane) {
    struct shared_place place = place_of_lane(w, i, lane);
    struct mbarrier &barrier = mbarrier_at(place);
    if (place.block != w.block && !barrier.is_remote)
        throw error(lane_name(w, lane) + ": the mbarrier of another block, whose init no " +
                    "barrier.cluster behind fence.mbarrier_init has made known yet");
    return barrier;
}

static void change(struct warp &w, const struct inst &i, struct mbarrier &barrier, int lane) {
    uint32_t value = i.place[2] != NO_PLACE ? lane_values<uint32_t>(w, i.place[2])[lane] : 1;
    switch (i.option) {
    case ARRIVE:
        arrive_at(barrier, value);
        break;
    case ARRIVE_EXPECT: // expect-tx comes before arrive-on
        mbarrier_expect(barrier, value);
        arrive_at(barrier, 1);
        break;
    case ARRIVE_NO_COMPLETE:
        if (value >= barrier.pending)
            throw error("mbarrier.arrive.noComplete completes the phase: " +
                        mbarrier_state(barrier));
        arrive_at(barrier, value);
        break;
    case ARRIVE_DROP:
        if (value > barrier.expected)
            throw error("mbarrier.arrive_drop of more than are expected");
        barrier.expected -= value;
        arrive_at(barrier, value);
        break;
    case EXPECT:
        mbarrier_expect(barrier, value);
        break;
    default:
        mbarrier_complete(*w.block->cluster, barrier, value);
        break;
    }
}

// place: state or none, (address), count or bytes or none.
static void update(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        struct mbarrier &barrier = barrier_of_lane(w, i, l);
        if (i.place[0] != NO_PLACE)
            lane_values<uint64_t>(w, i.place[0]).set(l, token_of(barrier));
        change(w, i, barrier, l);
    }
    w.block->cluster->n_events++;
}

// ---- test_wait, try_wait ------------------------------------------------------------------------

// A phase of a parity is complete when it is the one before the present phase.
static bool is_complete(const struct mbarrier &barrier, bool by_parity, uint64_t value) {
    if (by_parity) {
        if (value > 1)
            throw error("a parity of " + std::to_string(value));
        return (barrier.phase & 1) != value;
    }
    uint64_t phase = value >> 20;
    if (phase != barrier.phase && phase + 1 != barrier.phase)
        throw error("the state of phase " + std::to_string(phase) + ", the mbarrier is in phase " +
                    std::to_string(barrier.phase));
    return phase != barrier.phase;
}

// A failed wait is told at once: try_wait may return before its time limit, whatever that is.
// option: by parity; place: result, (address), state or parity.
static void wait(struct warp &w, const struct inst &i, uint32_t lanes) {
    uint32_t complete = 0, offset = 0;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        struct shared_place place = place_of_lane(w, i, l);
        if (place.block != w.block)
            throw error(lane_name(w, l) + ": a wait for the mbarrier of another block");
        uint64_t value = i.option != 0 ? lane_values<uint32_t>(w, i.place[2])[l]
                                       : lane_values<uint64_t>(w, i.place[2])[l];
        if (is_complete(mbarrier_at(place), i.option != 0, value))
            complete |= LANE_BIT[l];
        else
            offset = place.offset;
    }
    set_lane_bits(w, i.place[0], lanes, complete);
    if (complete != lanes)
        fail_wait(w, lanes & ~complete, offset, false);
}

// ---- rows ---------------------------------------------------------------------------------------

static void set_barrier(struct op_maker &maker, size_t i_address, const std::string &space) {
    maker.set_address(maker.operand_at(i_address));
    maker.out.space = op_maker::space_named(space);
    maker.parser.kernel().is_async = true;
}
static void build_init(struct op_maker &maker) {
    set_barrier(maker, 0, maker.modifiers.back());
    if (maker.operands.size() > 1)
        maker.out.place[1] = maker.place_of(maker.operands[1], REG_32);
}
static void build_arrive(struct op_maker &maker) {
    const struct operand &state = maker.operand_at(0);
    set_barrier(maker, 1, maker.modifiers.back());
    bool is_sink = state.kind == OPERAND_SYMBOL && state.symbol == "_";
    if (!is_sink && maker.out.space == SPACE_CLUSTER)
        throw error("an arrival at .shared::cluster answers no state");
    if (!is_sink)
        maker.out.place[0] = maker.place_of(state, REG_64);
    if (maker.operands.size() > 2)
        maker.out.place[2] = maker.place_of(maker.operands[2], REG_32);
    else if (maker.out.option == ARRIVE_EXPECT || maker.out.option == ARRIVE_NO_COMPLETE)
        throw error("a count is missing");
}
static void build_count(struct op_maker &maker) {
    set_barrier(maker, 0, maker.modifiers.back());
    maker.out.place[2] = maker.place_of(maker.operand_at(1), REG_32);
}
static void build_wait(struct op_maker &maker) {
    maker.out.option = maker.modifiers[1].empty() ? 0 : 1;
    maker.out.place[0] = maker.place_of(maker.operand_at(0), REG_PRED);
    set_barrier(maker, 1, maker.modifiers.back());
    maker.out.place[2] =
        maker.place_of(maker.operand_at(2), maker.out.option != 0 ? REG_32 : REG_64);
}

#define ORDER " release|relaxed|acquire? cta|cluster?"
#define SPACE " shared|shared::cta|shared::cluster?"
#define ROW(modifiers, run, option, build)                                                         \
    { "mbarrier", modifiers, NULL, {{"b64", run}}, INST_PLAIN, option, build }

std::vector<struct op_row> mbarrier_rows() {
    return {
        ROW("init" SPACE, init, 0, build_init),
        ROW("inval" SPACE, invalidate, 0, build_init),
        ROW("arrive" ORDER SPACE, update, ARRIVE, build_arrive),
        ROW("arrive expect_tx" ORDER SPACE, update, ARRIVE_EXPECT, build_arrive),
        ROW("arrive noComplete" ORDER SPACE, update, ARRIVE_NO_COMPLETE, build_arrive),
        ROW("arrive_drop" ORDER SPACE, update, ARRIVE_DROP, build_arrive),
        ROW("expect_tx" ORDER SPACE, update, EXPECT, build_count),
        ROW("complete_tx" ORDER SPACE, update, COMPLETE, build_count),
        ROW("test_wait|try_wait parity?" ORDER SPACE, wait, 0, build_wait),
    };
}

} // namespace ptx
