// SPDX-License-Identifier: MIT
// Comparisons, choices and predicates (PTX ISA, "Comparison and Selection Instructions").
#include "lanes.h"
#include "ops.h"

namespace ptx {

// Ordered comparisons are false when a value is NaN, those whose name ends in u are true.
#define COMPARISON(name, expression)                                                               \
    struct name {                                                                                  \
        template <class T> PTX_INLINE bool apply(T a, T b) {                                       \
            return expression;                                                                     \
        }                                                                                          \
    };
COMPARISON(is_equal, a == b)
COMPARISON(is_other, a != b && a == a && b == b)
COMPARISON(is_less, a < b)
COMPARISON(is_at_most, a <= b)
COMPARISON(is_more, a > b)
COMPARISON(is_at_least, a >= b)
COMPARISON(is_equal_or_nan, !(a < b) && !(a > b))
COMPARISON(is_other_or_nan, a != b)
COMPARISON(is_less_or_nan, !(a >= b))
COMPARISON(is_at_most_or_nan, !(a > b))
COMPARISON(is_more_or_nan, !(a <= b))
COMPARISON(is_at_least_or_nan, !(a < b))
COMPARISON(are_numbers, a == a && b == b)
COMPARISON(is_one_nan, a != a || b != b)

template <class D, class T, class F>
PTX_VECTOR void compare(struct warp &w, const struct inst &i, uint32_t lanes) {
    const lane_values<T> a(w, i.place[1]), b(w, i.place[2]);
    uint32_t out = 0;
    for (int l = 0; l < N_LANES; l++)
        out |= F::apply(a[l], b[l]) ? LANE_BIT[l] : 0;
    set_lane_bits(w, i.place[0], lanes, out);
}

template <class T> PTX_VECTOR void choose(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<T> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]), b(w, i.place[2]);
    uint32_t p = lane_bits(w, i.place[3]);
    set_each(
        d, lanes, PTX_LANE { return p & LANE_BIT[l] ? a[l] : b[l]; });
}

enum predicate_op { PREDICATE_NOT, PREDICATE_AND, PREDICATE_OR, PREDICATE_XOR };
template <enum predicate_op op>
static void combine(struct warp &w, const struct inst &i, uint32_t lanes) {
    uint32_t a = lane_bits(w, i.place[1]);
    uint32_t b = op == PREDICATE_NOT ? 0 : lane_bits(w, i.place[2]);
    uint32_t out = op == PREDICATE_NOT   ? ~a
                   : op == PREDICATE_AND ? a & b
                   : op == PREDICATE_OR  ? a | b
                                         : a ^ b;
    set_lane_bits(w, i.place[0], lanes, out);
}

#define OF_INTEGERS(F) PTX_SIGNED(compare, F), PTX_UNSIGNED(compare, F), PTX_BITS(compare, F)
#define OF_ALL(F)      OF_INTEGERS(F), PTX_FLOATS(compare, F)

std::vector<struct op_row> compare_rows() {
    return {
        {"setp", "eq", "ptt", {OF_ALL(is_equal)}},
        {"setp", "ne", "ptt", {OF_ALL(is_other)}},
        {"setp", "lt", "ptt", {OF_ALL(is_less)}},
        {"setp", "le", "ptt", {OF_ALL(is_at_most)}},
        {"setp", "gt", "ptt", {OF_ALL(is_more)}},
        {"setp", "ge", "ptt", {OF_ALL(is_at_least)}},
        {"setp", "lo", "ptt", {PTX_UNSIGNED(compare, is_less)}},
        {"setp", "ls", "ptt", {PTX_UNSIGNED(compare, is_at_most)}},
        {"setp", "hi", "ptt", {PTX_UNSIGNED(compare, is_more)}},
        {"setp", "hs", "ptt", {PTX_UNSIGNED(compare, is_at_least)}},
        {"setp", "equ", "ptt", {PTX_FLOATS(compare, is_equal_or_nan)}},
        {"setp", "neu", "ptt", {PTX_FLOATS(compare, is_other_or_nan)}},
        {"setp", "ltu", "ptt", {PTX_FLOATS(compare, is_less_or_nan)}},
        {"setp", "leu", "ptt", {PTX_FLOATS(compare, is_at_most_or_nan)}},
        {"setp", "gtu", "ptt", {PTX_FLOATS(compare, is_more_or_nan)}},
        {"setp", "geu", "ptt", {PTX_FLOATS(compare, is_at_least_or_nan)}},
        {"setp", "num", "ptt", {PTX_FLOATS(compare, are_numbers)}},
        {"setp", "nan", "ptt", {PTX_FLOATS(compare, is_one_nan)}},
        {"selp",
         "",
         "tttp",
         {{"b16", choose<uint16_t>},
          {"u16", choose<uint16_t>},
          {"s16", choose<int16_t>},
          {"b32", choose<uint32_t>},
          {"u32", choose<uint32_t>},
          {"s32", choose<int32_t>},
          {"f32", choose<float>},
          {"b64", choose<uint64_t>},
          {"u64", choose<uint64_t>},
          {"s64", choose<int64_t>},
          {"f64", choose<double>}}},
        {"not", "", "pp", {{"pred", combine<PREDICATE_NOT>}}},
        {"and", "", "ppp", {{"pred", combine<PREDICATE_AND>}}},
        {"or", "", "ppp", {{"pred", combine<PREDICATE_OR>}}},
        {"xor", "", "ppp", {{"pred", combine<PREDICATE_XOR>}}},
    };
}

} // namespace ptx
