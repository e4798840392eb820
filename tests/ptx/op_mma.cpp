// SPDX-License-Identifier: MIT
// mma.sync, written from the PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"
// and "... mma.m16n8k8" (not from the emulator: see ptx.h). With g = lane / 4 and t = lane % 4:
//
// m16n8k16, bf16, two elements a register, element i of
//   A (0 .. 7): row g for i in {0, 1, 4, 5}, else g + 8; column 2 t + (i & 1), + 8 from i = 4 on
//   B (0 .. 3): row 2 t + (i & 1), + 8 from i = 2 on; column g
// m16n8k8, tf32, one element a register, element i of
//   A (0 .. 3): row g for even i, else g + 8; column t, + 4 from i = 2 on
//   B (0, 1): row t, + 4 for i = 1; column g
// and of both
//   C (0 .. 3): row g for i < 2, else g + 8; column 2 t + (i & 1)
#include "lanes.h"
#include "mma_sum.h"
#include "ops.h"

#include <string.h>

namespace ptx {

// Places: 4 of d, 4 of a, 2 of b, 4 of c.
#define D_FIRST 0
#define A_FIRST 4
#define B_FIRST 8
#define C_FIRST 10

static float float_of_bits(uint32_t bits) {
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static float half_of(uint32_t word, int i) { // a bf16 is the upper half of a float
    return float_of_bits(i & 1 ? word & 0xffff0000u : word << 16);
}

// Every operand has been read when the first result is written: the registers may be the same.
static void multiply(struct warp &w, const struct inst &i, const float a[16][16],
                     const float b[16][8], int n, int operand_bytes) {
    float d[16][8];
    for (int e = 0; e < 4; e++) {
        const lane_values<float> c(w, i.place[C_FIRST + e]);
        for (int l = 0; l < N_LANES; l++)
            d[e < 2 ? l / 4 : l / 4 + 8][l % 4 * 2 + (e & 1)] = c[l];
    }
    mma_sum(ptx_options()->mma_sum, d, a, b, n, operand_bytes);
    for (int e = 0; e < 4; e++) {
        lane_values<float> out(w, i.place[D_FIRST + e]);
        for (int l = 0; l < N_LANES; l++)
            out.set(l, d[e < 2 ? l / 4 : l / 4 + 8][l % 4 * 2 + (e & 1)]);
    }
}

static void multiply_bf16(struct warp &w, const struct inst &i, uint32_t) {
    float a[16][16], b[16][8];
    for (int e = 0; e < 8; e++) {
        const lane_values<uint32_t> words(w, i.place[A_FIRST + e / 2]);
        const int row = e < 2 || e == 4 || e == 5 ? 0 : 8, column = (e & 1) + (e >= 4 ? 8 : 0);
        for (int l = 0; l < N_LANES; l++)
            a[row + l / 4][column + l % 4 * 2] = half_of(words[l], e);
    }
    for (int e = 0; e < 4; e++) {
        const lane_values<uint32_t> words(w, i.place[B_FIRST + e / 2]);
        const int row = (e & 1) + (e >= 2 ? 8 : 0);
        for (int l = 0; l < N_LANES; l++)
            b[row + l % 4 * 2][l / 4] = half_of(words[l], e);
    }
    multiply(w, i, a, b, 16, 2);
}

// The lower 13 bits of an operand are not looked at.
static void multiply_tf32(struct warp &w, const struct inst &i, uint32_t) {
    const uint32_t upper = 0xffffe000u;
    float a[16][16] = {}, b[16][8] = {};
    for (int l = 0; l < N_LANES; l++) {
        int g = l / 4, t = l % 4;
        for (int e = 0; e < 4; e++)
            a[e % 2 == 0 ? g : g + 8][e < 2 ? t : t + 4] =
                float_of_bits(lane_values<uint32_t>(w, i.place[A_FIRST + e])[l] & upper);
        for (int e = 0; e < 2; e++)
            b[e == 0 ? t : t + 4][g] =
                float_of_bits(lane_values<uint32_t>(w, i.place[B_FIRST + e])[l] & upper);
    }
    multiply(w, i, a, b, 8, 4);
}

static void build_multiply(struct op_maker &maker) {
    static const size_t sizes[] = {4, 4, 2, 4};
    size_t place = 0;
    for (size_t k = 0; k < 4; k++) {
        const struct operand &fragment = maker.operand_at(k);
        if (fragment.parts.size() != sizes[k])
            throw error("a fragment of another size");
        for (const struct operand &part : fragment.parts)
            maker.out.place[place++] = maker.place_of(part, REG_32);
    }
}

std::vector<struct op_row> mma_rows() {
    return {
        {"mma",
         "sync aligned m16n8k16 row col f32 bf16 bf16",
         NULL,
         {{"f32", multiply_bf16}},
         INST_ALIGNED,
         0,
         build_multiply},
        {"mma",
         "sync aligned m16n8k8 row col f32 tf32 tf32",
         NULL,
         {{"f32", multiply_tf32}},
         INST_ALIGNED,
         0,
         build_multiply},
    };
}

} // namespace ptx
