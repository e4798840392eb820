// SPDX-License-Identifier: MIT
// The registers of wgmma (PTX ISA, "wgmma.fence", "wgmma.wait_group"): until the group of a wgmma
// is complete, its accumulators and its registers of A belong to it alone; and a register that
// threads have read or written needs a wgmma.fence before a wgmma has it. Several of one shape
// may have the same accumulators without one.
#include "lanes.h"
#include "wgmma.h"

namespace ptx {

static struct register_state &state_at(struct warp &w, uint32_t place) {
    return w.wgmma->registers[place / 64];
}

void follow_registers(struct warp &w) {
    const struct register_use &use = w.block->kernel->uses[w.pc];
    struct warp_wgmma &own = *w.wgmma;
    if (use.is_wgmma)
        return;
    // nvcc may keep an accumulator in two registers, of which ptxas makes one.
    if (use.is_copy && state_at(w, use.places[1]).number > own.n_complete) {
        state_at(w, use.places[0]) = state_at(w, use.places[1]);
        return;
    }
    for (uint32_t place : use.places) {
        struct register_state &state = state_at(w, place);
        if (state.number > own.n_complete)
            throw error("a register of a wgmma under way, before wgmma.wait_group");
        state.touched = own.n_fences + 1;
    }
}

// All accumulators under way at once, and the addresses beside them, must fit into what setmaxnreg
// left.
static void check_room(struct warp &w) {
    const uint32_t least_others = 8;
    uint32_t n = 0;
    if (w.wgmma->checked[w.pc] == w.n_registers)
        return;
    for (const struct register_state &state : w.wgmma->registers)
        n += state.number > w.wgmma->n_complete;
    if (n + least_others > w.n_registers)
        throw error("wgmma holds " + std::to_string(n) + " registers of a thread that has " +
                    std::to_string(w.n_registers));
    w.wgmma->checked[w.pc] = w.n_registers;
}

void hold_registers(struct warp &w, const std::vector<uint32_t> &accumulators,
                    const std::vector<uint32_t> &a) {
    struct warp_wgmma &own = *w.wgmma;
    const uint16_t columns = (uint16_t)(accumulators.size() * 2);
    if (own.n_fences == 0)
        throw error("no wgmma.fence before the first wgmma");
    for (uint32_t place : accumulators) {
        struct register_state &state = state_at(w, place);
        bool is_under_way = state.number > own.n_complete;
        if (state.touched > own.n_fences)
            throw error("an accumulator that threads have touched since the last wgmma.fence");
        if (is_under_way && (state.columns != columns || !state.is_accumulator))
            throw error("an accumulator that a wgmma of another shape under way has");
    }
    for (uint32_t place : a) {
        struct register_state &state = state_at(w, place);
        if (state.touched > own.n_fences)
            throw error("a register of A that threads have touched since the last wgmma.fence");
        if (state.number > own.n_complete && state.is_accumulator)
            throw error("a register of A that is an accumulator of a wgmma under way");
    }
    own.n_issued++;
    for (uint32_t place : a)
        state_at(w, place) = {0, own.n_issued, columns, false};
    for (uint32_t place : accumulators)
        state_at(w, place) = {0, own.n_issued, columns, true};
    check_room(w);
}

} // namespace ptx
