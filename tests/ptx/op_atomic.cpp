// SPDX-License-Identifier: MIT
// Atomic operations (PTX ISA, "atom", "red"): lane after lane, in an order that PTX_ORDER turns.
#include "async.h"
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

#define ATOMIC(name, expression)                                                                   \
    struct name {                                                                                  \
        template <class T> PTX_INLINE T apply(T old, T b, T c) {                                   \
            (void)old, (void)b, (void)c;                                                           \
            return expression;                                                                     \
        }                                                                                          \
    };
ATOMIC(atomic_add, old + b)
ATOMIC(atomic_and, old &b)
ATOMIC(atomic_or, old | b)
ATOMIC(atomic_xor, old ^ b)
ATOMIC(atomic_min, old < b ? old : b)
ATOMIC(atomic_max, old > b ? old : b)
ATOMIC(atomic_exchange, b)
ATOMIC(atomic_compare, old == b ? c : old)

// place: the old value (none for red), b, c (the same as b where there is none).
template <class T, class F>
static void atomic(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (int k = 0; k < N_LANES; k++) {
        int l = ptx_options()->order == PTX_ORDER_FORWARD ? k : N_LANES - 1 - k;
        if (!(lanes >> l & 1))
            continue;
        uint8_t *at = reach(w, i, i.space, address_of(w, i, l), sizeof(T), l);
        if (w.block->async != NULL)
            note_access(w, l, at, sizeof(T), true);
        T old, b = lane_values<T>(w, i.place[1])[l], c = lane_values<T>(w, i.place[2])[l];
        memcpy(&old, at, sizeof old);
        T fresh = F::apply(old, b, c);
        memcpy(at, &fresh, sizeof fresh);
        if (i.place[0] != NO_PLACE)
            lane_values<T>(w, i.place[0]).set(l, old);
    }
}

// option: the number of values behind the address.
static void build_atomic(struct op_maker &maker, bool has_result) {
    size_t first = has_result ? 1 : 0;
    if (maker.operands.size() != first + 1 + (size_t)maker.out.option)
        throw error("another number of operands");
    const std::string &window = maker.modifiers[0];
    maker.out.space = window == "global"   ? SPACE_GLOBAL
                      : window == "shared" ? SPACE_SHARED
                                           : SPACE_GENERIC;
    enum reg_class cls = class_of(maker.type);
    if (has_result)
        maker.out.place[0] = maker.place_of(maker.operand_at(0), cls);
    maker.set_address(maker.operand_at(first));
    maker.out.place[1] = maker.place_of(maker.operand_at(first + 1), cls);
    maker.out.place[2] = maker.place_of(maker.operands.back(), cls);
}
static void build_atom(struct op_maker &maker) {
    build_atomic(maker, true);
}
static void build_red(struct op_maker &maker) {
    build_atomic(maker, false);
}

#define WORDS(F)                                                                                   \
    {"b32", atomic<uint32_t, F>}, {"u32", atomic<uint32_t, F>}, {"s32", atomic<int32_t, F>},       \
        {"b64", atomic<uint64_t, F>}, {"u64", atomic<uint64_t, F>}, {                              \
        "s64", atomic<int64_t, F>                                                                  \
    }
// Floating-point atomics have no order of their sums to keep: the project has none.
#define ATOM(word, n_values, F)                                                                    \
    {"atom", "global|shared? " word, NULL, {WORDS(F)}, INST_PLAIN, n_values, build_atom}, {        \
        "red", "global|shared? " word, NULL, {WORDS(F)}, INST_PLAIN, n_values, build_red           \
    }

std::vector<struct op_row> atomic_rows() {
    return {
        ATOM("add", 1, atomic_add),       ATOM("and", 1, atomic_and),
        ATOM("or", 1, atomic_or),         ATOM("xor", 1, atomic_xor),
        ATOM("min", 1, atomic_min),       ATOM("max", 1, atomic_max),
        ATOM("exch", 1, atomic_exchange), ATOM("cas", 2, atomic_compare),
    };
}

} // namespace ptx
