// SPDX-License-Identifier: MIT
// The registers of a warp, as the functions of op_*.cpp see them.
#ifndef ADELE_PTX_LANES_H
#define ADELE_PTX_LANES_H

#include "machine.h"

#include <type_traits>

namespace ptx {

// A register: a value for each lane. Values of up to 32 bits lie in words of 32 bits.
template <class T> struct lane_values {
    typedef std::conditional_t<std::is_same<T, float>::value, float, uint32_t> narrow;
    typedef std::conditional_t<sizeof(T) == 8, T, narrow> word;
    word *words;

    lane_values(struct warp &w, uint32_t place) : words((word *)(w.registers + place)) {
    }
    T operator[](int lane) const {
        return (T)words[lane];
    }
    void set(int lane, T value) {
        words[lane] = (word)value;
    }
};

// A predicate: a bit for each lane.
static inline uint32_t &lane_bits(struct warp &w, uint32_t place) {
    return *(uint32_t *)(w.registers + place);
}
static inline void set_lane_bits(struct warp &w, uint32_t place, uint32_t lanes, uint32_t bits) {
    uint32_t &out = lane_bits(w, place);
    out = (out & ~lanes) | (bits & lanes);
}

#define PTX_INLINE __attribute__((always_inline)) static inline
// each_lane(lanes, PTX_LANE { ... l ... }): inlined into whatever the caller is compiled for.
#define PTX_LANE [&](int l) __attribute__((always_inline))
// body(lane) for each of the lanes. All 32 are a loop that the compiler can make vector code of: an
// operand may be the result's own register, but a lane touches its own values only.
template <class F> PTX_INLINE void each_lane(uint32_t lanes, F body) {
    if (lanes == ALL_LANES) {
#pragma GCC ivdep
        for (int lane = 0; lane < N_LANES; lane++)
            body(lane);
        return;
    }
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
        body(__builtin_ctz(rest));
}

// The lane's bit. Loops with this table become vector code for every processor, those with a shift
// do not.
alignas(64) constexpr uint32_t LANE_BIT[N_LANES] = {
    1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
    1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
    1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
    1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31};

// What runs most is compiled for processors with AVX2 and FMA and for those without, where fma is a
// call, and chosen when the program starts: one binary for every x86-64 machine. The bits are the
// same, for nothing else is contracted. (A name of a processor would choose by its maker.)
#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__) ||                            \
    defined(__SANITIZE_ADDRESS__)
#define PTX_VECTOR
#elif __GNUC__ >= 12
#define PTX_VECTOR __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define PTX_VECTOR __attribute__((target_clones("fma", "default")))
#endif

// ---- the shapes of most instructions ------------------------------------------------------------

// d = value_of(lane) for each of the lanes. Where most lanes take part, all 32 are computed, as
// vector code, and the others keep what they have.
template <class D, class F> PTX_INLINE void set_each(lane_values<D> d, uint32_t lanes, F value_of) {
    if (lanes == ALL_LANES || __builtin_popcount(lanes) < N_LANES / 4) {
        each_lane(
            lanes, PTX_LANE { d.set(l, value_of(l)); });
        return;
    }
    each_lane(
        ALL_LANES, PTX_LANE {
            typename lane_values<D>::word value = (typename lane_values<D>::word)value_of(l);
            d.words[l] = lanes & LANE_BIT[l] ? value : d.words[l];
        });
}

// d = F(a), d = F(a, b), d = F(a, b, c), with D the type of d and of c.
template <class D, class T, class F>
PTX_VECTOR void unary(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<D> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]);
    set_each(
        d, lanes, PTX_LANE { return F::template apply<D>(a[l]); });
}
template <class D, class T, class F>
PTX_VECTOR void binary(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<D> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]), b(w, i.place[2]);
    set_each(
        d, lanes, PTX_LANE { return F::template apply<D>(a[l], b[l]); });
}
template <class D, class T, class F>
PTX_VECTOR void ternary(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<D> d(w, i.place[0]);
    const lane_values<T> a(w, i.place[1]), b(w, i.place[2]);
    const lane_values<D> c(w, i.place[3]);
    set_each(
        d, lanes, PTX_LANE { return F::template apply<D>(a[l], b[l], c[l]); });
}

// A function object of one, two or three values of type T with a result of type D.
#define PTX_F1(name, expression)                                                                   \
    struct name {                                                                                  \
        template <class D, class T> PTX_INLINE D apply(T a) {                                      \
            return (D)(expression);                                                                \
        }                                                                                          \
    };
#define PTX_F2(name, expression)                                                                   \
    struct name {                                                                                  \
        template <class D, class T> PTX_INLINE D apply(T a, T b) {                                 \
            return (D)(expression);                                                                \
        }                                                                                          \
    };

// Cells of a row: the function of each type.
#define PTX_SAME(type, T, shape, F)                                                                \
    { type, shape<T, T, F> }
#define PTX_SIGNED(shape, F)                                                                       \
    PTX_SAME("s16", int16_t, shape, F), PTX_SAME("s32", int32_t, shape, F),                        \
        PTX_SAME("s64", int64_t, shape, F)
#define PTX_UNSIGNED(shape, F)                                                                     \
    PTX_SAME("u16", uint16_t, shape, F), PTX_SAME("u32", uint32_t, shape, F),                      \
        PTX_SAME("u64", uint64_t, shape, F)
#define PTX_BITS(shape, F)                                                                         \
    PTX_SAME("b16", uint16_t, shape, F), PTX_SAME("b32", uint32_t, shape, F),                      \
        PTX_SAME("b64", uint64_t, shape, F)
#define PTX_FLOATS(shape, F) PTX_SAME("f32", float, shape, F), PTX_SAME("f64", double, shape, F)

} // namespace ptx
#endif
