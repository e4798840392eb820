// SPDX-License-Identifier: MIT
// wgmma (PTX ISA, "wgmma.mma_async", "wgmma.fence", "wgmma.commit_group", "wgmma.wait_group"):
// m64nNk16 of bf16 or f16 with sums in f32. Warp w % 4 of a warpgroup has rows 16 (w % 4) .. + 15;
// with g = lane / 4 and t = lane % 4, accumulator 4 j + e is row g (e < 2) or g + 8, column
// 8 j + 2 t + (e & 1), and element i of A in registers is row g for i in {0, 1, 4, 5}, else g + 8;
// column 2 t + (i & 1), + 8 from i = 4 on ("Register Fragments" of wgmma with k16).
#include "lanes.h"
#include "mma_sum.h"
#include "ops.h"
#include "wgmma.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

namespace ptx {

// Bits of the option.
#define IS_F16       1
#define A_REGISTERS  2
#define A_MN_MAJOR   4
#define B_MN_MAJOR   8
#define A_NEGATIVE   16
#define B_NEGATIVE   32
#define NO_SCALE_D   64 // a constant that is false
#define MOST_COLUMNS 256

void begin_wgmma(struct block_run &block) {
    const struct ptx_kernel *kernel = block.kernel;
    auto all = std::make_shared<struct block_wgmma>();
    all->warps.resize(block.warps.size());
    all->groups.resize((block.warps.size() + WARPGROUP - 1) / WARPGROUP);
    for (size_t k = 0; k < block.warps.size(); k++) {
        all->warps[k].registers.resize(kernel->register_bytes / 64);
        all->warps[k].checked.assign(kernel->code.size(), 0);
        block.warps[k].wgmma = &all->warps[k];
    }
    block.async->wgmma = all;
}

void end_wgmma(const struct block_run &block) {
    for (const struct warp &w : block.warps)
        if (w.wgmma->n_complete != w.wgmma->n_issued)
            throw error("warp " + std::to_string(w.index) +
                        " ended with a wgmma under way: wgmma.wait_group 0 is missing");
    for (const struct warp &w : block.warps)
        if (w.wgmma->n_issued !=
            block.warps[(size_t)(w.index / WARPGROUP * WARPGROUP)].wgmma->n_issued)
            throw error("the warps of a warpgroup issued different numbers of wgmmas");
}

static struct warpgroup &group_of(struct warp &w) {
    return w.block->async->wgmma->groups[(size_t)w.index / WARPGROUP];
}

// ---- operands -----------------------------------------------------------------------------------

static float float_of(uint16_t bits, bool is_f16) {
    if (!is_f16) {
        uint32_t word = (uint32_t)bits << 16;
        float out;
        memcpy(&out, &word, sizeof out);
        return out;
    }
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float magnitude = exponent == 0    ? ldexpf((float)fraction, -24)
                      : exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
                                       : ldexpf((float)(fraction + 1024), exponent - 25);
    return bits >> 15 ? -magnitude : magnitude;
}

// more_places from i.target on: the accumulators; then place 0 .. 3 the registers of A or place 0
// its descriptor, place 4 that of B, place 5 scale-d.
struct multiply_operands {
    int n_columns;
    std::vector<uint32_t> accumulators, a_registers;
    uint64_t a, b;
    bool scale_d;
};

// What all lanes of a warp must agree about.
template <class T> static T uniform(struct warp &w, uint32_t place, const char *what) {
    const lane_values<T> values(w, place);
    for (int l = 1; l < N_LANES; l++)
        if (values[l] != values[0])
            throw error(std::string("the lanes of a warp have different ") + what);
    return values[0];
}

static struct multiply_operands operands_of(struct warp &w, const struct inst &i) {
    struct multiply_operands out;
    const uint32_t *places = w.block->kernel->more_places.data() + i.target;
    out.n_columns = (int)i.n_parts * 8;
    out.accumulators.assign(places, places + out.n_columns / 2);
    out.a = 0;
    if ((i.option & A_REGISTERS) != 0)
        out.a_registers.assign(i.place, i.place + 4);
    else
        out.a = uniform<uint64_t>(w, i.place[0], "descriptors of A");
    out.b = uniform<uint64_t>(w, i.place[4], "descriptors of B");
    out.scale_d = (i.option & NO_SCALE_D) == 0;
    if (i.place[5] != NO_PLACE) {
        uint32_t bits = lane_bits(w, i.place[5]);
        if (bits != 0 && bits != ALL_LANES)
            throw error("the lanes of a warp have different scale-d");
        out.scale_d = bits != 0;
    }
    return out;
}

// The first warp that comes begins the wgmma; the others must bring the same.
static struct wgmma_op &op_of(struct warp &w, const struct multiply_operands &o, bool *is_first) {
    struct warpgroup &group = group_of(w);
    uint32_t number = w.wgmma->n_issued; // from 1 on
    *is_first = group.ops.size() < number;
    if (*is_first)
        group.ops.push_back({w.pc, o.a, o.b, o.scale_d, {}});
    struct wgmma_op &op = group.ops[number - 1];
    if (op.pc != w.pc || op.a != o.a || op.b != o.b || op.scale_d != o.scale_d)
        throw error("the warps of a warpgroup do not execute the same wgmma: another one is at " +
                    inst_name(w.block->kernel, op.pc) + ", or has other descriptors");
    return op;
}

static void change_readers(struct block_run &block, const struct wgmma_op &op, int change) {
    for (uint32_t g : op.granules) {
        uint16_t &n = block.async->granules[g].n_reading;
        n = (uint16_t)(n + change);
    }
}

// ---- wgmma.mma_async ----------------------------------------------------------------------------

static void read_a(struct warp &w, const struct inst &i, const struct multiply_operands &o,
                   float a[16][16], std::vector<uint32_t> *granules) {
    const bool is_f16 = (i.option & IS_F16) != 0;
    const float sign = (i.option & A_NEGATIVE) != 0 ? -1.0f : 1.0f;
    if (!o.a_registers.empty()) {
        for (int e = 0; e < 8; e++) {
            const lane_values<uint32_t> words(w, o.a_registers[(size_t)e / 2]);
            const int row = e < 2 || e == 4 || e == 5 ? 0 : 8, column = (e & 1) + (e >= 4 ? 8 : 0);
            for (int l = 0; l < N_LANES; l++)
                a[row + l / 4][column + l % 4 * 2] =
                    sign * float_of((uint16_t)(words[l] >> 16 * (e & 1)), is_f16);
        }
        return;
    }
    uint16_t rows[16 * 16];
    read_matrix(*w.block, o.a, (i.option & A_MN_MAJOR) != 0, w.index % WARPGROUP * 16, 16, rows,
                granules);
    for (int e = 0; e < 16 * 16; e++)
        a[e / 16][e % 16] = sign * float_of(rows[e], is_f16);
}

// Eight columns of the sums.
static void multiply_columns(struct warp &w, const struct multiply_operands &o, int j,
                             const float a[16][16], const float b[16][8]) {
    float d[16][8] = {};
    for (int e = 0; e < 4; e++) {
        const lane_values<float> c(w, o.accumulators[(size_t)(4 * j + e)]);
        for (int l = 0; l < N_LANES && o.scale_d; l++)
            d[e < 2 ? l / 4 : l / 4 + 8][l % 4 * 2 + (e & 1)] = c[l];
    }
    mma_sum(ptx_options()->mma_sum, d, a, b, 16, 2);
    for (int e = 0; e < 4; e++) {
        lane_values<float> out(w, o.accumulators[(size_t)(4 * j + e)]);
        for (int l = 0; l < N_LANES; l++)
            out.set(l, d[e < 2 ? l / 4 : l / 4 + 8][l % 4 * 2 + (e & 1)]);
    }
}

static void multiply(struct warp &w, const struct inst &i, uint32_t) {
    const struct multiply_operands o = operands_of(w, i);
    if (w.block->warps.size() / WARPGROUP <= (size_t)w.index / WARPGROUP)
        throw error("wgmma in a warpgroup of less than four warps");
    bool is_first;
    uint16_t rows[MOST_COLUMNS * 16];
    float a[16][16], b[16][8];
    hold_registers(w, o.accumulators, o.a_registers);
    struct wgmma_op &op = op_of(w, o, &is_first);
    std::vector<uint32_t> granules;
    read_a(w, i, o, a, &granules);
    size_t n_of_a = granules.size();
    read_matrix(*w.block, o.b, (i.option & B_MN_MAJOR) != 0, 0, o.n_columns, rows, &granules);
    if (!is_first)
        granules.resize(n_of_a); // B is the same for all four
    struct wgmma_op added = {0, 0, 0, false, granules};
    change_readers(*w.block, added, 1);
    op.granules.insert(op.granules.end(), granules.begin(), granules.end());
    const float sign = (i.option & B_NEGATIVE) != 0 ? -1.0f : 1.0f;
    for (int j = 0; j < o.n_columns / 8; j++) {
        for (int k = 0; k < 16; k++)
            for (int c = 0; c < 8; c++)
                b[k][c] = sign * float_of(rows[(8 * j + c) * 16 + k], (i.option & IS_F16) != 0);
        multiply_columns(w, o, j, a, b);
    }
    w.block->cluster->n_events++;
}

// ---- fence, groups ------------------------------------------------------------------------------

static void fence(struct warp &w, const struct inst &, uint32_t) {
    w.wgmma->n_fences++;
}

static void commit(struct warp &w, const struct inst &, uint32_t) {
    w.wgmma->groups.push_back(w.wgmma->n_issued);
}

// A wgmma is one operation of four warps: none sees its end before all have issued it.
static void wait(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct warp_wgmma &own = *w.wgmma;
    struct warpgroup &group = group_of(w);
    if (own.groups.size() <= (size_t)i.option)
        return;
    uint32_t n = own.groups[own.groups.size() - 1 - (size_t)i.option];
    const int first = w.index / WARPGROUP * WARPGROUP;
    for (int k = first; k < first + WARPGROUP && n > own.n_complete; k++)
        if (w.block->warps[(size_t)k].wgmma->n_issued < n) {
            fail_wait(w, lanes, -1, true);
            return;
        }
    while (own.groups.size() > (size_t)i.option)
        own.groups.pop_front();
    own.n_complete = n > own.n_complete ? n : own.n_complete;
    for (; group.n_released < n; group.n_released++) {
        struct wgmma_op &op = group.ops[group.n_released];
        change_readers(*w.block, op, -1);
        std::vector<uint32_t>().swap(op.granules);
    }
    w.block->cluster->n_events++;
}

// ---- rows ---------------------------------------------------------------------------------------

static bool flag(struct op_maker &maker, size_t i, const char *what) {
    const struct operand &o = maker.operand_at(i);
    if (o.kind != OPERAND_NUMBER || (o.number > 1 && (int64_t)o.number != -1))
        throw error(std::string("a constant is missing: ") + what);
    return o.number == 1;
}

// {d}, a-descriptor or {a}, b-descriptor, scale-d, scale-a, scale-b {, trans-a}, trans-b.
static void build_multiply(struct op_maker &maker) {
    struct ptx_kernel &kernel = maker.parser.kernel();
    const std::string &shape = maker.modifiers[3];
    const size_t n = (size_t)atoi(shape.c_str() + strlen("m64n"));
    if (shape != "m64n" + std::to_string(n) + "k16" || n < 8 || n > MOST_COLUMNS || n % 8 != 0)
        throw error("a shape that is not known here: " + shape);
    const struct operand &d = maker.operand_at(0), &a = maker.operand_at(1);
    bool has_registers = a.kind == OPERAND_VECTOR;
    if (d.parts.size() != n / 2 || (has_registers && a.parts.size() != 4) ||
        maker.operands.size() != (has_registers ? 7u : 8u))
        throw error("a fragment of another size, or another number of operands");
    kernel.is_async = kernel.has_wgmma = true;
    maker.out.target = (uint32_t)kernel.more_places.size();
    maker.out.n_parts = (uint8_t)(n / 8);
    for (const struct operand &part : d.parts)
        kernel.more_places.push_back(maker.place_of(part, REG_32));
    if (!has_registers)
        maker.out.place[0] = maker.place_of(a, REG_64);
    for (size_t k = 0; k < a.parts.size(); k++)
        maker.out.place[k] = maker.place_of(a.parts[k], REG_32);
    maker.out.place[4] = maker.place_of(maker.operands[2], REG_64);
    const struct operand &scale_d = maker.operands[3];
    if (scale_d.kind == OPERAND_REG)
        maker.out.place[5] = maker.place_of(scale_d, REG_PRED);
    else if (!flag(maker, 3, "scale-d"))
        maker.out.option |= NO_SCALE_D;
    maker.out.option |= maker.type == "f16" ? IS_F16 : 0;
    maker.out.option |= has_registers ? A_REGISTERS : 0;
    maker.out.option |= flag(maker, 4, "imm-scale-a") ? 0 : A_NEGATIVE;
    maker.out.option |= flag(maker, 5, "imm-scale-b") ? 0 : B_NEGATIVE;
    if (!has_registers && flag(maker, 6, "imm-trans-a"))
        maker.out.option |= A_MN_MAJOR;
    if (flag(maker, has_registers ? 6 : 7, "imm-trans-b"))
        maker.out.option |= B_MN_MAJOR;
}

static void build_fence(struct op_maker &maker) {
    maker.parser.kernel().is_async = maker.parser.kernel().has_wgmma = true;
}
static void build_wait(struct op_maker &maker) {
    build_fence(maker);
    if (maker.operand_at(0).kind != OPERAND_NUMBER)
        throw error("a wait for a number of groups that is not a constant");
    maker.out.option = (int)maker.operands[0].number;
}

std::vector<struct op_row> wgmma_rows() {
    std::string shapes = "m64n8k16";
    for (int n = 16; n <= MOST_COLUMNS; n += 8)
        shapes += "|m64n" + std::to_string(n) + "k16";
    static const std::string of_bf16 = "mma_async sync aligned " + shapes + " f32 bf16";
    static const std::string of_f16 = "mma_async sync aligned " + shapes + " f32 f16";
    return {
        {"wgmma", of_bf16.c_str(), NULL, {{"bf16", multiply}}, INST_ALIGNED, 0, build_multiply},
        {"wgmma", of_f16.c_str(), NULL, {{"f16", multiply}}, INST_ALIGNED, 0, build_multiply},
        {"wgmma", "fence sync", NULL, {{"aligned", fence}}, INST_ALIGNED, 0, build_fence},
        {"wgmma", "commit_group sync", NULL, {{"aligned", commit}}, INST_ALIGNED, 0, build_fence},
        {"wgmma", "wait_group sync", NULL, {{"aligned", wait}}, INST_ALIGNED, 0, build_wait},
    };
}

} // namespace ptx
