// SPDX-License-Identifier: MIT
// cp.async: an order to copy, which may be carried out at any time up to the wait. PTX_COPY_LATE
// leaves 0xff (a NaN) in the place until then, so that whoever reads too early, or still reads what
// was there before, is found out; PTX_COPY_EARLY copies at once, which finds out who overwrites
// what another warp still reads.
#include "async.h"
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

#define COPY_BYTES 16

static void carry_out(const struct pending_copy &copy) {
    if (copy.n_live == COPY_BYTES) {
        memcpy(copy.to, copy.from, COPY_BYTES);
        return;
    }
    memset(copy.to, 0, COPY_BYTES);
    if (copy.n_live > 0)
        memcpy(copy.to, copy.from, (size_t)copy.n_live);
}

static bool is_early(void) {
    struct ptx_options *options = ptx_options();
    return options->copy_time == PTX_COPY_EARLY ||
           (options->copy_time == PTX_COPY_EITHER && random_below(2) == 0);
}

// place 0: how many bytes are copied, NO_PLACE = all; zeros behind.
static void copy(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct lane_memory memory;
    reach_all(w, i, SPACE_SHARED, lanes, COPY_BYTES, &memory);
    if (w.block->async != NULL)
        note_accesses(w, lanes, memory, COPY_BYTES, true);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        uint8_t *to = memory.at[l];
        int n_live = i.place[0] != NO_PLACE ? lane_values<int32_t>(w, i.place[0])[l] : COPY_BYTES;
        if (n_live < 0 || n_live > COPY_BYTES)
            throw error(lane_name(w, l) + ": cp.async of " + std::to_string(n_live) + " bytes");
        uint64_t source =
            lane_values<uint64_t>(w, i.source)[l] + (uint64_t)(int64_t)i.source_offset;
        if (source % COPY_BYTES != 0)
            throw error(lane_name(w, l) + ": the source of cp.async is not aligned to 16");
        const uint8_t *from =
            n_live > 0 ? reach(w, i, SPACE_GLOBAL, source, (size_t)n_live, l) : NULL;
        struct pending_copy order = {to, from, n_live};
        if (is_early()) {
            carry_out(order);
            continue;
        }
        memset(to, 0xff, COPY_BYTES);
        w.copies[l].orders.push_back(order);
    }
}

static void commit(struct warp &w, const struct inst &, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        struct lane_copies &copies = w.copies[__builtin_ctz(rest)];
        copies.groups.push_back(copies.orders.size() - copies.n_committed);
        copies.n_committed = copies.orders.size();
    }
}

// option: how many groups may stay under way.
static void wait(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        struct lane_copies &copies = w.copies[__builtin_ctz(rest)];
        if (copies.groups.size() <= (size_t)i.option)
            continue;
        size_t n_groups = copies.groups.size() - (size_t)i.option, n = 0;
        for (size_t k = 0; k < n_groups; k++)
            n += copies.groups[k];
        for (size_t k = 0; k < n; k++)
            carry_out(copies.orders[k]);
        copies.orders.erase(copies.orders.begin(), copies.orders.begin() + (ptrdiff_t)n);
        copies.groups.erase(copies.groups.begin(), copies.groups.begin() + (ptrdiff_t)n_groups);
        copies.n_committed -= n;
    }
}

static void build_copy(struct op_maker &maker) {
    maker.set_address(maker.operand_at(0));
    const struct operand &from = maker.operand_at(1), &bytes = maker.operand_at(2);
    if (from.kind != OPERAND_MEMORY || from.parts.at(0).kind != OPERAND_REG ||
        from.parts[0].reg.cls != REG_64 || bytes.number != COPY_BYTES ||
        from.offset != (int32_t)from.offset)
        throw error("a cp.async of another kind than 16 bytes from a register's address");
    maker.out.source = from.parts[0].reg.place;
    maker.out.source_offset = (int32_t)from.offset;
    if (maker.operands.size() > 3)
        maker.out.place[0] = maker.place_of(maker.operand_at(3), REG_32);
}
static void build_wait(struct op_maker &maker) {
    if (maker.operand_at(0).kind != OPERAND_NUMBER)
        throw error("a wait for a number of groups that is not a constant");
    maker.out.option = (int)maker.operands[0].number;
}

std::vector<struct op_row> copy_rows() {
    return {
        {"cp", "async cg shared", NULL, {{"global", copy}}, INST_PLAIN, 0, build_copy},
        {"cp", "async", NULL, {{"commit_group", commit}}},
        {"cp", "async", NULL, {{"wait_group", wait}}, INST_PLAIN, 0, build_wait},
    };
}

} // namespace ptx
