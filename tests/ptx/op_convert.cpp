// SPDX-License-Identifier: MIT
// Conversions (PTX ISA, "cvt"): from the last word's type to that of the word before.
#include "lanes.h"
#include "ops.h"

#include <cmath>
#include <string.h>

namespace ptx {

PTX_F1(round_down, std::floor(a))
PTX_F1(round_up_to, std::ceil(a))
PTX_F1(round_to_zero, std::trunc(a))
PTX_F1(round_to_nearest, std::nearbyint(a))
PTX_F1(saturate, a > 0 ? (a < 1 ? a : (T)1) : (T)0) // NaN becomes 0
// Integers among each other, integers to floats, floats to floats: as C does it.
PTX_F1(plain, a)

// A value that does not fit becomes the nearest that does, NaN zero.
template <class Round> struct to_integer {
    template <class D, class S> PTX_INLINE D apply(S a) {
        if (a != a)
            return (D)0;
        const bool is_signed = std::is_signed<D>::value;
        const S top = std::ldexp((S)1, (int)(8 * sizeof(D)) - (is_signed ? 1 : 0));
        const S bottom = is_signed ? -top : (S)0;
        const uint64_t highest = (uint64_t)1 << (8 * sizeof(D) - 1);
        S r = Round::template apply<S>(a);
        if (r >= top)
            return is_signed ? (D)(highest - 1) : (D)-1;
        if (r <= bottom)
            return is_signed ? (D)highest : (D)0;
        return (D)r;
    }
};

// The lower half of a wider register.
template <class D, class S>
PTX_VECTOR void widen_lower_half(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<D> d(w, i.place[0]);
    const lane_values<uint64_t> a(w, i.place[1]);
    set_each(
        d, lanes, PTX_LANE { return (D)(S)a[l]; });
}

// ---- short floats -------------------------------------------------------------------------------

static uint32_t bits_of(float value) {
    uint32_t out;
    memcpy(&out, &value, sizeof out);
    return out;
}
static uint32_t bf16_of(float value) { // to the nearest, ties to even; every NaN is one
    uint32_t bits = bits_of(value);
    return value != value ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
PTX_F1(to_bf16, bf16_of(a))
PTX_VECTOR static void to_bf16_pair(struct warp &w, const struct inst &i,
                                    uint32_t lanes) { // a is the upper
    lane_values<uint32_t> d(w, i.place[0]);
    const lane_values<float> a(w, i.place[1]), b(w, i.place[2]);
    set_each(
        d, lanes, PTX_LANE { return bf16_of(a[l]) << 16 | bf16_of(b[l]); });
}
static uint32_t tf32_of(float value) { // ties away from zero
    uint32_t bits = bits_of(value);
    bool is_finite = (bits & 0x7f800000u) != 0x7f800000u;
    return is_finite ? (bits + 0x1000u) & 0xffffe000u : bits;
}
static float float_of_f16(uint32_t half) { // exact
    const int exponent = (int)(half >> 10 & 31u);
    const float fraction = (float)(half & 0x3ffu);
    float out =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0f + fraction, exponent - 25);
    if (exponent == 31)
        out = fraction == 0.0f ? HUGE_VALF : NAN;
    return half & 0x8000u ? -out : out;
}
PTX_F1(from_f16, float_of_f16(a))
PTX_F1(to_tf32, tf32_of(a))

// ---- the table ----------------------------------------------------------------------------------

#define FROM(name, S, D, F)                                                                        \
    { name, unary<D, S, F> }
#define FROM_INTEGERS(D, F)                                                                        \
    FROM("u8", uint8_t, D, F), FROM("s8", int8_t, D, F), FROM("u16", uint16_t, D, F),              \
        FROM("s16", int16_t, D, F), FROM("u32", uint32_t, D, F), FROM("s32", int32_t, D, F),       \
        FROM("u64", uint64_t, D, F), FROM("s64", int64_t, D, F)
#define FROM_FLOATS(D, F) FROM("f32", float, D, F), FROM("f64", double, D, F)

static void set_places(struct op_maker &maker) {
    const std::string &to = maker.modifiers.back();
    if (maker.operands.size() != 2)
        throw error("cvt has two operands");
    const struct operand &from = maker.operand_at(1);
    maker.out.place[0] = maker.place_of(maker.operand_at(0), class_of(to));
    bool is_lower_half =
        class_of(maker.type) == REG_32 && from.kind == OPERAND_REG && from.reg.cls == REG_64;
    if (!is_lower_half) {
        maker.out.place[1] = maker.place_of(from, class_of(maker.type));
        return;
    }
    maker.out.place[1] = from.reg.place;
    maker.out.run = nullptr;
    if (to.substr(1) == "64" && maker.type == "s32")
        maker.out.run = widen_lower_half<int64_t, int32_t>;
    else if (to.substr(1) == "64" && maker.type == "u32")
        maker.out.run = widen_lower_half<int64_t, uint32_t>;
    else
        throw error("a part of a register that is not known here");
}

#define ROW(modifiers, ...)                                                                        \
    { "cvt", modifiers, NULL, {__VA_ARGS__}, INST_PLAIN, 0, set_places }
// Rounding to an integer, as one of four words; the result an integer or a float.
#define TO_INTEGER(name, D)                                                                        \
    ROW("rzi " name, FROM_FLOATS(D, to_integer<round_to_zero>)),                                   \
        ROW("rni " name, FROM_FLOATS(D, to_integer<round_to_nearest>)),                            \
        ROW("rmi " name, FROM_FLOATS(D, to_integer<round_down>)),                                  \
        ROW("rpi " name, FROM_FLOATS(D, to_integer<round_up_to>))
#define ROUNDED(word, F)                                                                           \
    ROW(word " f32", {"f32", unary<float, float, F>}),                                             \
        ROW(word " f64", {"f64", unary<double, double, F>})

std::vector<struct op_row> convert_rows() {
    return {
        ROW("u8", FROM_INTEGERS(uint8_t, plain)),
        ROW("s8", FROM_INTEGERS(int8_t, plain)),
        ROW("u16", FROM_INTEGERS(uint16_t, plain)),
        ROW("s16", FROM_INTEGERS(int16_t, plain)),
        ROW("u32", FROM_INTEGERS(uint32_t, plain)),
        ROW("s32", FROM_INTEGERS(int32_t, plain)),
        ROW("u64", FROM_INTEGERS(uint64_t, plain)),
        ROW("s64", FROM_INTEGERS(int64_t, plain)),
        ROW("rn f32", FROM_INTEGERS(float, plain), FROM("f64", double, float, plain)),
        ROW("rn f64", FROM_INTEGERS(double, plain)),
        ROW("f64", FROM("f32", float, double, plain)), // exact
        TO_INTEGER("u16", uint16_t),
        TO_INTEGER("s16", int16_t),
        TO_INTEGER("u32", uint32_t),
        TO_INTEGER("s32", int32_t),
        TO_INTEGER("u64", uint64_t),
        TO_INTEGER("s64", int64_t),
        ROUNDED("rzi", round_to_zero),
        ROUNDED("rni", round_to_nearest),
        ROUNDED("rmi", round_down),
        ROUNDED("rpi", round_up_to),
        ROUNDED("sat", saturate),
        {"cvt", "rn bf16", "44", {FROM("f32", float, uint32_t, to_bf16)}},
        {"cvt", "rn bf16x2", "444", {{"f32", to_bf16_pair}}},
        {"cvt", "f32", "44", {FROM("f16", uint32_t, float, from_f16)}},
        {"cvt", "rna tf32", "44", {FROM("f32", float, uint32_t, to_tf32)}},
    };
}

} // namespace ptx
