// SPDX-License-Identifier: MIT
// What lanes do together: barriers, shuffles, ldmatrix (PTX ISA, "bar", "shfl.sync", "ldmatrix").
#include "async.h"
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

// ---- barriers: warp.cpp and block.cpp wait ------------------------------------------------------

// The machine releases a barrier when all have come; for itself an instruction does nothing, but
// that bar.arrive counts its warp.
static void arrive(struct warp &w, const struct inst &i, uint32_t) {
    if (i.option != BARRIER_ARRIVE)
        return;
    uint32_t id = lane_values<uint32_t>(w, i.place[2])[0];
    if (id >= (uint32_t)N_BARRIERS)
        throw error("barrier " + std::to_string(id) + " of " + std::to_string(N_BARRIERS));
    w.block->n_arrived[id] += N_LANES;
}

// bar.sync 0; bar.sync 1, 128; bar.arrive 1, 128: places 2 and 3.
static void build_barrier(struct op_maker &maker) {
    if (maker.operands.empty() || maker.operands.size() > 2)
        throw error("a barrier has one or two operands");
    for (size_t k = 0; k < maker.operands.size(); k++)
        maker.out.place[2 + k] = maker.place_of(maker.operands[k], REG_32);
    if (maker.out.option == BARRIER_ARRIVE && maker.operands.size() < 2)
        throw error("bar.arrive needs a number of threads");
}
// bar.warp.sync mask;
static void build_warp_barrier(struct op_maker &maker) {
    maker.out.place[5] = maker.place_of(maker.operand_at(0), REG_32);
}
// bar.red.or.pred %p1, 0, %p2;
static void build_vote(struct op_maker &maker) {
    if (maker.operands.size() != 3 || maker.operands[1].kind != OPERAND_NUMBER ||
        maker.operands[1].number != 0)
        throw error("a barrier other than 0 of all threads");
    maker.out.place[0] = maker.place_of(maker.operands[0], REG_PRED);
    maker.out.place[1] = maker.place_of(maker.operands[2], REG_PRED);
}

// ---- shuffles -----------------------------------------------------------------------------------

enum shuffle_mode { SHUFFLE_INDEX, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BUTTERFLY };

// The lane that lane l reads, for the operands b and c; false when it is out of range.
static bool shuffle_source(enum shuffle_mode mode, int l, uint32_t b, uint32_t c, int *source) {
    int delta = (int)(b & 31), clamp = (int)(c & 31), segment = (int)(c >> 8 & 31);
    int least = l & segment, most = least | (clamp & ~segment);
    switch (mode) {
    case SHUFFLE_INDEX:
        *source = least | (delta & ~segment);
        return *source <= most;
    case SHUFFLE_UP:
        *source = l - delta;
        return *source >= most;
    case SHUFFLE_DOWN:
        *source = l + delta;
        return *source <= most;
    default:
        *source = l ^ delta;
        return *source <= most;
    }
}

// place: d, p, a, b, c, mask.
static void shuffle(struct warp &w, const struct inst &i, uint32_t lanes) {
    const lane_values<uint32_t> a(w, i.place[2]), b(w, i.place[3]), c(w, i.place[4]);
    lane_values<uint32_t> d(w, i.place[0]);
    uint32_t in_range = 0, out[N_LANES];
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest), source;
        if (shuffle_source((enum shuffle_mode)i.option, l, b[l], c[l], &source))
            in_range |= 1u << l;
        else
            source = l;
        if (!(lanes >> source & 1))
            throw error(lane_name(w, l) + ": shfl.sync reads lane " + std::to_string(source) +
                        ", which takes no part");
        out[l] = a[source];
    }
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
        d.set(__builtin_ctz(rest), out[__builtin_ctz(rest)]);
    if (i.place[1] != NO_PLACE)
        set_lane_bits(w, i.place[1], lanes, in_range);
}

static void build_shuffle(struct op_maker &maker) {
    if (maker.operands.size() != 5)
        throw error("shfl.sync has five operands");
    maker.out.place[0] = maker.place_of(maker.operands[0], REG_32);
    if (maker.operands[0].kind == OPERAND_PAIR)
        maker.out.place[1] = maker.operands[0].second.place;
    for (size_t k = 1; k < 5; k++)
        maker.out.place[k + 1] = maker.place_of(maker.operands[k], REG_32);
}

// ---- ldmatrix -----------------------------------------------------------------------------------

// Lanes 8 k .. 8 k + 7 hold the addresses of the eight rows of matrix k; lane l gets of each matrix
// two neighbouring elements of row l / 4, of column l / 4 when the option says "trans".
static void load_matrices(struct warp &w, const struct inst &i, uint32_t) {
    uint16_t rows[4][8][8];
    struct lane_memory memory;
    const uint32_t lanes = i.n_parts == 4 ? ALL_LANES : (1u << 8 * i.n_parts) - 1;
    reach_all(w, i, SPACE_SHARED, lanes, 16, &memory);
    if (w.block->async != NULL)
        note_accesses(w, lanes, memory, 16, false);
    for (int l = 0; l < 8 * i.n_parts; l++)
        memcpy(rows[l / 8][l % 8], memory.at[l], 16);
    for (int k = 0; k < i.n_parts; k++) {
        lane_values<uint32_t> d(w, i.place[k]);
        for (int l = 0; l < N_LANES; l++) {
            int major = l / 4, minor = l % 4 * 2;
            uint32_t first = i.option != 0 ? rows[k][minor][major] : rows[k][major][minor];
            uint32_t second = i.option != 0 ? rows[k][minor + 1][major] : rows[k][major][minor + 1];
            d.set(l, first | second << 16);
        }
    }
}

static void build_load_matrices(struct op_maker &maker) {
    const std::string &number = maker.modifiers[3]; // x1, x2, x4
    const struct operand &out = maker.operand_at(0);
    maker.out.option = maker.modifiers[4].empty() ? 0 : 1;
    maker.out.n_parts = (uint8_t)(number[1] - '0');
    if (out.parts.size() != maker.out.n_parts)
        throw error("another number of matrices");
    for (size_t k = 0; k < out.parts.size(); k++)
        maker.out.place[k] = maker.place_of(out.parts[k], REG_32);
    maker.set_address(maker.operand_at(1));
}

// ---- stmatrix -----------------------------------------------------------------------------------

// The way back (PTX ISA, "stmatrix"): each lane has two neighbouring elements of each matrix.
static void store_matrices(struct warp &w, const struct inst &i, uint32_t) {
    struct lane_memory memory;
    const uint32_t lanes = i.n_parts == 4 ? ALL_LANES : (1u << 8 * i.n_parts) - 1;
    reach_all(w, i, SPACE_SHARED, lanes, 16, &memory);
    if (w.block->async != NULL)
        note_accesses(w, lanes, memory, 16, true);
    for (int k = 0; k < i.n_parts; k++) {
        const lane_values<uint32_t> from(w, i.place[k]);
        for (int l = 0; l < N_LANES; l++)
            for (int e = 0; e < 2; e++) {
                int row = i.option != 0 ? l % 4 * 2 + e : l / 4;
                int column = i.option != 0 ? l / 4 : l % 4 * 2 + e;
                uint16_t value = (uint16_t)(from[l] >> 16 * e);
                memcpy(memory.at[8 * k + row] + 2 * column, &value, sizeof value);
            }
    }
}

static void build_store_matrices(struct op_maker &maker) {
    const std::string &number = maker.modifiers[3]; // x1, x2, x4
    const struct operand &from = maker.operand_at(1);
    maker.out.option = maker.modifiers[4].empty() ? 0 : 1;
    maker.out.n_parts = (uint8_t)(number[1] - '0');
    if (from.parts.size() != maker.out.n_parts)
        throw error("another number of matrices");
    for (size_t k = 0; k < from.parts.size(); k++)
        maker.out.place[k] = maker.place_of(from.parts[k], REG_32);
    maker.set_address(maker.operand_at(0));
}

#define SHUFFLE(word, mode)                                                                        \
    { "shfl", "sync " word, NULL, {{"b32", shuffle}}, INST_SHUFFLE, mode, build_shuffle }

std::vector<struct op_row> warp_rows() {
    return {
        {"bar", "", NULL, {{"sync", arrive}}, INST_BARRIER, VOTE_NONE, build_barrier},
        {"bar", "", NULL, {{"arrive", arrive}}, INST_ALIGNED, BARRIER_ARRIVE, build_barrier},
        {"barrier", "cta?", NULL, {{"sync", arrive}}, INST_BARRIER, VOTE_NONE, build_barrier},
        {"barrier",
         "cta? sync",
         NULL,
         {{"aligned", arrive}},
         INST_BARRIER,
         VOTE_NONE,
         build_barrier},
        {"barrier",
         "cta?",
         NULL,
         {{"arrive", arrive}},
         INST_ALIGNED,
         BARRIER_ARRIVE,
         build_barrier},
        {"bar", "warp", NULL, {{"sync", arrive}}, INST_SHUFFLE, VOTE_NONE, build_warp_barrier},
        {"bar", "red or", NULL, {{"pred", arrive}}, INST_BARRIER, VOTE_OR, build_vote},
        {"bar", "red and", NULL, {{"pred", arrive}}, INST_BARRIER, VOTE_AND, build_vote},
        SHUFFLE("idx", SHUFFLE_INDEX),
        SHUFFLE("up", SHUFFLE_UP),
        SHUFFLE("down", SHUFFLE_DOWN),
        SHUFFLE("bfly", SHUFFLE_BUTTERFLY),
        {"ldmatrix",
         "sync aligned m8n8 x1|x2|x4 trans? shared|shared::cta",
         NULL,
         {{"b16", load_matrices}},
         INST_ALIGNED,
         0,
         build_load_matrices},
        {"stmatrix",
         "sync aligned m8n8 x1|x2|x4 trans? shared|shared::cta",
         NULL,
         {{"b16", store_matrices}},
         INST_ALIGNED,
         0,
         build_store_matrices},
    };
}

} // namespace ptx
