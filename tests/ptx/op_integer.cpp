// SPDX-License-Identifier: MIT
// Bits of integers, and additions of several words (PTX ISA, "Logic and Shift Instructions",
// "Extended-Precision Integer Arithmetic Instructions").
#include "lanes.h"
#include "ops.h"

namespace ptx {

PTX_F1(invert, ~a)
PTX_F2(bits_and, a &b)
PTX_F2(bits_or, a | b)
PTX_F2(bits_xor, a ^ b)

// Amounts beyond the width shift everything out.
struct shift_left {
    template <class T> PTX_INLINE T apply(T a, uint32_t b) {
        return b >= 8 * sizeof(T) ? (T)0 : (T)(a << b);
    }
};
struct shift_right {
    template <class T> PTX_INLINE T apply(T a, uint32_t b) {
        const uint32_t most = 8 * sizeof(T) - 1;
        if (std::is_signed<T>::value)
            return (T)(a >> (b <= most ? b : most));
        return b <= most ? (T)(a >> b) : (T)0;
    }
};
template <class T, class F>
PTX_VECTOR void shift(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<T> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]);
    const lane_values<uint32_t> b(w, i.place[2]);
    set_each(
        d, lanes, PTX_LANE { return F::template apply<T>(a[l], b[l]); });
}

template <class T> static void insert_bits(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<T> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]), b(w, i.place[2]);
    const lane_values<uint32_t> position(w, i.place[3]), length(w, i.place[4]);
    each_lane(
        lanes, PTX_LANE {
            uint32_t from = position[l] & 255, n = length[l] & 255;
            T out = b[l];
            for (uint32_t k = 0; k < n && from + k < 8 * sizeof(T); k++)
                out = (out & ~((T)1 << (from + k))) | (a[l] >> k & 1) << (from + k);
            d.set(l, out);
        });
}

// Each four bits of c choose a byte of the two words; the highest of them copies its sign instead.
PTX_VECTOR static void permute_bytes(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<uint32_t> d(w, i.place[0]);
    const lane_values<uint32_t> a(w, i.place[1]), b(w, i.place[2]), c(w, i.place[3]);
    each_lane(
        lanes, PTX_LANE {
            uint64_t both = (uint64_t)b[l] << 32 | a[l];
            uint32_t out = 0;
            for (unsigned k = 0; k < 4; k++) {
                uint32_t selector = c[l] >> (4 * k) & 15;
                uint32_t byte = (uint32_t)(both >> (8 * (selector & 7))) & 255;
                if (selector & 8)
                    byte = byte & 128 ? 255 : 0;
                out |= byte << (8 * k);
            }
            d.set(l, out);
        });
}

template <class T> static void count_ones(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<uint32_t> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]);
    each_lane(
        lanes, PTX_LANE { d.set(l, (uint32_t)__builtin_popcountll((uint64_t)a[l])); });
}
template <class T>
static void count_leading_zeros(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<uint32_t> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]);
    const uint32_t width = 8 * sizeof(T);
    each_lane(
        lanes, PTX_LANE {
            T v = a[l];
            d.set(l, v == 0 ? width : (uint32_t)__builtin_clzll((uint64_t)v) - (64 - width));
        });
}

static void reverse_bits(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<uint32_t> d(w, i.place[0]);
    const lane_values<uint32_t> a(w, i.place[1]);
    each_lane(
        lanes, PTX_LANE {
            uint32_t out = 0;
            for (int k = 0; k < 32; k++)
                out |= (a[l] >> k & 1) << (31 - k);
            d.set(l, out);
        });
}
// bfind of an unsigned number: the place of its leading one, or with .shiftamt (option 1) how far
// it is from bit 31; all ones where there is none.
static void find_leading_one(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<uint32_t> d(w, i.place[0]);
    const lane_values<uint32_t> a(w, i.place[1]);
    each_lane(
        lanes, PTX_LANE {
            uint32_t v = a[l], zeros = v == 0 ? 0 : (uint32_t)__builtin_clz(v);
            d.set(l, v == 0 ? UINT32_MAX : i.option != 0 ? zeros : 31 - zeros);
        });
}

// ---- carries ------------------------------------------------------------------------------------

enum carry_op { CARRY_ADD, CARRY_SUB, CARRY_MAD_LO, CARRY_MAD_HI };
#define TAKES_CARRY 1
#define GIVES_CARRY 2

template <class T, enum carry_op op>
static void with_carry(struct warp &w, const struct inst &i, uint32_t lanes) {
    typedef unsigned __int128 wide;
    const unsigned width = 8 * sizeof(T);
    lane_values<T> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]), b(w, i.place[2]);
    const lane_values<T> c(w, op >= CARRY_MAD_LO ? i.place[3] : i.place[2]);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        uint32_t in = i.option & TAKES_CARRY ? w.carry >> l & 1 : 0;
        wide product = (wide)a[l] * b[l], sum;
        if (op == CARRY_ADD)
            sum = (wide)a[l] + b[l] + in;
        else if (op == CARRY_SUB)
            sum = (wide)a[l] - b[l] - in;
        else
            sum = (wide)(op == CARRY_MAD_LO ? (T)product : (T)(product >> width)) + c[l] + in;
        if (i.option & GIVES_CARRY)
            w.carry = (w.carry & ~(1u << l)) | (uint32_t)(sum >> width & 1) << l;
        d.set(l, (T)sum);
    }
}

#define CARRY_HIGH                                                                                 \
    {"u32", with_carry<uint32_t, CARRY_MAD_HI>}, {                                                 \
        "u64", with_carry<uint64_t, CARRY_MAD_HI>                                                  \
    }
// Two's complement: signed and unsigned words are the same here.
#define CARRY(op)                                                                                  \
    {"u32", with_carry<uint32_t, op>}, {"s32", with_carry<uint32_t, op>},                          \
        {"b32", with_carry<uint32_t, op>}, {"u64", with_carry<uint64_t, op>},                      \
        {"s64", with_carry<uint64_t, op>}, {                                                       \
        "b64", with_carry<uint64_t, op>                                                            \
    }

std::vector<struct op_row> integer_rows() {
    const int takes = TAKES_CARRY, gives = GIVES_CARRY;
    return {
        {"not", "", "tt", {PTX_BITS(unary, invert)}},
        {"and", "", "ttt", {PTX_BITS(binary, bits_and)}},
        {"or", "", "ttt", {PTX_BITS(binary, bits_or)}},
        {"xor", "", "ttt", {PTX_BITS(binary, bits_xor)}},
        {"shl",
         "",
         "tt4",
         {{"b16", shift<uint16_t, shift_left>},
          {"b32", shift<uint32_t, shift_left>},
          {"b64", shift<uint64_t, shift_left>}}},
        {"shr",
         "",
         "tt4",
         {{"b16", shift<uint16_t, shift_right>},
          {"u16", shift<uint16_t, shift_right>},
          {"s16", shift<int16_t, shift_right>},
          {"b32", shift<uint32_t, shift_right>},
          {"u32", shift<uint32_t, shift_right>},
          {"s32", shift<int32_t, shift_right>},
          {"b64", shift<uint64_t, shift_right>},
          {"u64", shift<uint64_t, shift_right>},
          {"s64", shift<int64_t, shift_right>}}},
        {"bfi", "", "ttt44", {{"b32", insert_bits<uint32_t>}, {"b64", insert_bits<uint64_t>}}},
        {"prmt", "", "tttt", {{"b32", permute_bytes}}},
        {"popc", "", "4t", {{"b32", count_ones<uint32_t>}, {"b64", count_ones<uint64_t>}}},
        {"brev", "", "tt", {{"b32", reverse_bits}}},
        {"bfind", "", "tt", {{"u32", find_leading_one}}},
        {"bfind", "shiftamt", "tt", {{"u32", find_leading_one}}, INST_PLAIN, 1},
        {"clz",
         "",
         "4t",
         {{"b32", count_leading_zeros<uint32_t>}, {"b64", count_leading_zeros<uint64_t>}}},
        {"add", "cc", "ttt", {CARRY(CARRY_ADD)}, INST_PLAIN, gives},
        {"addc", "", "ttt", {CARRY(CARRY_ADD)}, INST_PLAIN, takes},
        {"addc", "cc", "ttt", {CARRY(CARRY_ADD)}, INST_PLAIN, takes | gives},
        {"sub", "cc", "ttt", {CARRY(CARRY_SUB)}, INST_PLAIN, gives},
        {"subc", "", "ttt", {CARRY(CARRY_SUB)}, INST_PLAIN, takes},
        {"subc", "cc", "ttt", {CARRY(CARRY_SUB)}, INST_PLAIN, takes | gives},
        {"mad", "lo cc", "tttt", {CARRY(CARRY_MAD_LO)}, INST_PLAIN, gives},
        {"mad", "hi cc", "tttt", {CARRY_HIGH}, INST_PLAIN, gives},
        {"madc", "lo", "tttt", {CARRY(CARRY_MAD_LO)}, INST_PLAIN, takes},
        {"madc", "hi", "tttt", {CARRY_HIGH}, INST_PLAIN, takes},
        {"madc", "lo cc", "tttt", {CARRY(CARRY_MAD_LO)}, INST_PLAIN, takes | gives},
        {"madc", "hi cc", "tttt", {CARRY_HIGH}, INST_PLAIN, takes | gives},
    };
}

} // namespace ptx
