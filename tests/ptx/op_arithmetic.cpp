// SPDX-License-Identifier: MIT
// Arithmetic that integers and floats share, and that of floats (PTX ISA, "Integer Arithmetic
// Instructions" and "Floating-Point Instructions"). Floats round to the nearest, as the host does.
#include "lanes.h"
#include "ops.h"

#include <cfenv>
#include <cmath>
#include <string.h>

namespace ptx {

PTX_F1(negate, -a)
PTX_F1(absolute, a < 0 || (a == 0 && std::signbit((double)a)) ? -a : a)
PTX_F1(reciprocal, (T)1 / a)
PTX_F1(square_root, std::sqrt(a))
PTX_F2(add, a + b)
PTX_F2(subtract, a - b)
PTX_F2(multiply, a *b)
PTX_F2(float_divide, a / b)
PTX_F2(smaller, a < b ? a : b)
PTX_F2(larger, a > b ? a : b)
// A division by zero gives all ones, the remainder the dividend; the least number by -1 wraps.
PTX_F2(divide, b == 0 ? (T)-1 : b == (T)-1 && (T)-1 < (T)0 ? (T)(0 - a) : (T)(a / b))
PTX_F2(remainder_of, b == 0 ? a : b == (T)-1 && (T)-1 < (T)0 ? (T)0 : (T)(a % b))

// Of a number and NaN the number; -0 is smaller than +0.
struct float_smaller {
    template <class D, class T> PTX_INLINE D apply(T a, T b) {
        if (a != a)
            return b;
        if (b != b)
            return a;
        return a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
    }
};
struct float_larger {
    template <class D, class T> PTX_INLINE D apply(T a, T b) {
        if (a != a)
            return b;
        if (b != b)
            return a;
        return a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
    }
};

struct upper_half { // of a product
    template <class D> PTX_INLINE D apply(int32_t a, int32_t b) {
        return (D)((int64_t)a * b >> 32);
    }
    template <class D> PTX_INLINE D apply(uint32_t a, uint32_t b) {
        return (D)((uint64_t)a * b >> 32);
    }
    template <class D> PTX_INLINE D apply(int64_t a, int64_t b) {
        return (D)((__int128)a * b >> 64);
    }
    template <class D> PTX_INLINE D apply(uint64_t a, uint64_t b) {
        return (D)((unsigned __int128)a * b >> 64);
    }
};
struct multiply_add { // of integers
    template <class D, class T> PTX_INLINE D apply(T a, T b, D c) {
        return (D)(a * b + c);
    }
};
struct wide_multiply {
    template <class D, class T> PTX_INLINE D apply(T a, T b) {
        return (D)((D)a * (D)b);
    }
};
struct wide_multiply_add {
    template <class D, class T> PTX_INLINE D apply(T a, T b, D c) {
        return (D)((D)a * (D)b + c);
    }
};
struct fused {
    template <class D> PTX_INLINE D apply(float a, float b, float c) {
        return __builtin_fmaf(a, b, c);
    }
    template <class D> PTX_INLINE D apply(double a, double b, double c) {
        return __builtin_fma(a, b, c);
    }
};

// Rounds towards minus infinity.
__attribute__((noinline, optimize("rounding-math"))) static void
fused_down(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<float> d(w, i.place[0]);
    const lane_values<float> a(w, i.place[1]), b(w, i.place[2]), c(w, i.place[3]);
    std::fesetround(FE_DOWNWARD);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        volatile float x = a[l], y = b[l], z = c[l];
        volatile float r = __builtin_fmaf(x, y, z);
        d.set(l, r);
    }
    std::fesetround(FE_TONEAREST);
}

// ---- approximations -----------------------------------------------------------------------------

#define LEAST_FLOAT  1.17549435e-38f
#define LEAST_DOUBLE 2.2250738585072014e-308

// The ISA allows two units in the last place; PTX_EX2 moves the result by up to as much.
static float exp2_of(float x, bool flushes) {
    if (flushes && std::fabs(x) < LEAST_FLOAT)
        x = 0.0f * x;
    float r = (float)std::exp2((double)x);
    int units = ptx_options()->ex2_units;
    for (int k = 0; k < 2 && units != 0 && r > 0.0f && std::isfinite(r); k++)
        r = std::nextafter(r, units > 0 ? INFINITY : 0.0f);
    return flushes && r < LEAST_FLOAT ? 0.0f : r;
}
template <bool flushes> static void exp2_row(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<float> d(w, i.place[0]);
    const lane_values<float> a(w, i.place[1]);
    each_lane(
        lanes, PTX_LANE { d.set(l, exp2_of(a[l], flushes)); });
}

static double without_subnormals(double x) {
    return std::fabs(x) < LEAST_DOUBLE ? std::copysign(0.0, x) : x;
}
// The upper half of a reciprocal's bits.
static void reciprocal_row(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<double> d(w, i.place[0]);
    const lane_values<double> a(w, i.place[1]);
    each_lane(
        lanes, PTX_LANE {
            double r = without_subnormals(1.0 / without_subnormals(a[l]));
            uint64_t bits;
            memcpy(&bits, &r, sizeof bits);
            if (std::isfinite(r))
                bits &= 0xffffffff00000000ull;
            memcpy(&r, &bits, sizeof bits);
            d.set(l, r);
        });
}

#define WIDE(shape, F)                                                                             \
    {"s16", shape<int32_t, int16_t, F>}, {"u16", shape<uint32_t, uint16_t, F>},                    \
        {"s32", shape<int64_t, int32_t, F>}, {                                                     \
        "u32", shape<uint64_t, uint32_t, F>                                                        \
    }

std::vector<struct op_row> arithmetic_rows() {
    return {
        {"add", "rn?", "ttt", {PTX_FLOATS(binary, add)}},
        {"add", "", "ttt", {PTX_SIGNED(binary, add), PTX_UNSIGNED(binary, add)}},
        {"sub", "rn?", "ttt", {PTX_FLOATS(binary, subtract)}},
        {"sub", "", "ttt", {PTX_SIGNED(binary, subtract), PTX_UNSIGNED(binary, subtract)}},
        {"mul", "rn?", "ttt", {PTX_FLOATS(binary, multiply)}},
        {"mul", "lo", "ttt", {PTX_SIGNED(binary, multiply), PTX_UNSIGNED(binary, multiply)}},
        {"mul",
         "hi",
         "ttt",
         {PTX_SAME("s32", int32_t, binary, upper_half),
          PTX_SAME("u32", uint32_t, binary, upper_half),
          PTX_SAME("s64", int64_t, binary, upper_half),
          PTX_SAME("u64", uint64_t, binary, upper_half)}},
        {"mul", "wide", "wtt", {WIDE(binary, wide_multiply)}},
        {"mad",
         "lo",
         "tttt",
         {PTX_SIGNED(ternary, multiply_add), PTX_UNSIGNED(ternary, multiply_add)}},
        {"mad", "wide", "wttw", {WIDE(ternary, wide_multiply_add)}},
        {"fma", "rn", "tttt", {PTX_FLOATS(ternary, fused)}},
        {"fma", "rm", "tttt", {{"f32", fused_down}}},
        {"div", "rn", "ttt", {PTX_FLOATS(binary, float_divide)}},
        {"div", "", "ttt", {PTX_SIGNED(binary, divide), PTX_UNSIGNED(binary, divide)}},
        {"rem", "", "ttt", {PTX_SIGNED(binary, remainder_of), PTX_UNSIGNED(binary, remainder_of)}},
        {"neg", "", "tt", {PTX_SIGNED(unary, negate), PTX_FLOATS(unary, negate)}},
        {"abs", "", "tt", {PTX_SIGNED(unary, absolute), PTX_FLOATS(unary, absolute)}},
        {"min",
         "",
         "ttt",
         {PTX_SIGNED(binary, smaller), PTX_UNSIGNED(binary, smaller),
          PTX_FLOATS(binary, float_smaller)}},
        {"max",
         "",
         "ttt",
         {PTX_SIGNED(binary, larger), PTX_UNSIGNED(binary, larger),
          PTX_FLOATS(binary, float_larger)}},
        {"rcp", "rn", "tt", {PTX_FLOATS(unary, reciprocal)}},
        {"rcp", "approx ftz", "tt", {{"f64", reciprocal_row}}},
        {"sqrt", "rn", "tt", {PTX_FLOATS(unary, square_root)}},
        {"ex2", "approx", "tt", {{"f32", exp2_row<false>}}},
        {"ex2", "approx ftz", "tt", {{"f32", exp2_row<true>}}},
    };
}

} // namespace ptx
