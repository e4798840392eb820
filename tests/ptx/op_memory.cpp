// SPDX-License-Identifier: MIT
// Loads and stores (PTX ISA, "ld", "st").
#include "async.h"
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

template <class T> PTX_INLINE T value_at(const uint8_t *from) {
    T out;
    memcpy(&out, from, sizeof out);
    return out;
}

// R: what the registers hold.
template <class T, class R>
PTX_INLINE void load_parts(struct warp &w, const struct inst &i, uint32_t lanes,
                           const struct lane_memory &memory) {
    for (unsigned k = 0; k < i.n_parts; k++) {
        lane_values<R> d(w, i.place[k]);
        const size_t at = sizeof(T) * k;
        if (memory.pattern == LANES_AT_ONE) {
            const R value = (R)value_at<T>(memory.at[__builtin_ctz(lanes)] + at);
            set_each(
                d, lanes, PTX_LANE { return (void)l, value; });
        } else if (memory.pattern == LANES_IN_A_ROW && i.n_parts == 1) {
            T values[N_LANES];
            memcpy(values, memory.at[0], sizeof values);
            each_lane(
                ALL_LANES, PTX_LANE { d.set(l, (R)values[l]); });
        } else {
            each_lane(
                lanes, PTX_LANE { d.set(l, (R)value_at<T>(memory.at[l] + at)); });
        }
    }
}
template <class T> PTX_VECTOR void load(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct lane_memory memory;
    reach_all(w, i, i.space, lanes, sizeof(T) * i.n_parts, &memory);
    if (w.block->async != NULL)
        note_accesses(w, lanes, memory, sizeof(T) * i.n_parts, false);
    if (sizeof(T) < 8 && i.has_wide_data)
        load_parts<T, int64_t>(w, i, lanes, memory);
    else
        load_parts<T, T>(w, i, lanes, memory);
}

// Of lanes that store to one place the last one wins.
template <class T, class R>
PTX_INLINE void store_parts(struct warp &w, const struct inst &i, uint32_t lanes,
                            const struct lane_memory &memory) {
    for (unsigned k = 0; k < i.n_parts; k++) {
        const lane_values<R> from(w, i.place[k]);
        if (memory.pattern == LANES_IN_A_ROW && i.n_parts == 1) {
            T values[N_LANES];
            each_lane(
                ALL_LANES, PTX_LANE { values[l] = (T)from[l]; });
            memcpy(memory.at[0], values, sizeof values);
            continue;
        }
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
            int l = __builtin_ctz(rest);
            const T value = (T)from[l];
            memcpy(memory.at[l] + sizeof value * k, &value, sizeof value);
        }
    }
}
template <class T> PTX_VECTOR void store(struct warp &w, const struct inst &i, uint32_t lanes) {
    struct lane_memory memory;
    reach_all(w, i, i.space, lanes, sizeof(T) * i.n_parts, &memory);
    if (w.block->async != NULL)
        note_accesses(w, lanes, memory, sizeof(T) * i.n_parts, true);
    if (sizeof(T) < 8 && i.has_wide_data)
        store_parts<T, int64_t>(w, i, lanes, memory);
    else
        store_parts<T, T>(w, i, lanes, memory);
}

// The register of a datum may be wider than its type.
static void place_data(struct op_maker &maker, const struct operand &data) {
    std::vector<struct operand> parts = {data};
    if (data.kind == OPERAND_VECTOR)
        parts = data.parts;
    const std::string &vector = maker.modifiers.back(); // "", "v2" or "v4"
    if (parts.size() != (vector.empty() ? 1u : (size_t)(vector[1] - '0')))
        throw error("a vector of another length");
    maker.out.n_parts = (uint8_t)parts.size();
    for (size_t k = 0; k < parts.size(); k++) {
        bool is_register = parts[k].kind == OPERAND_REG;
        enum reg_class cls = is_register ? parts[k].reg.cls : class_of(maker.type);
        if (cls == REG_PRED || (cls == REG_32 && class_of(maker.type) == REG_64))
            throw error("a register narrower than the type");
        maker.out.has_wide_data = cls == REG_64;
        maker.out.place[k] = maker.place_of(parts[k], cls);
    }
}

static void build_access(struct op_maker &maker, const struct operand &memory,
                         const struct operand &data) {
    maker.out.space = op_maker::space_named(maker.modifiers[0]);
    maker.set_address(memory);
    // Parameters of calls are not where those of the kernel are.
    if (maker.out.space == SPACE_PARAM && memory.parts[0].kind == OPERAND_SYMBOL)
        maker.out.space = maker.parser.space_of(memory.parts[0].symbol);
    place_data(maker, data);
}
static void build_load(struct op_maker &maker) {
    build_access(maker, maker.operand_at(1), maker.operand_at(0));
}
static void build_store(struct op_maker &maker) {
    build_access(maker, maker.operand_at(0), maker.operand_at(1));
}

// Floats are moved as bits.
#define BY_TYPE(F)                                                                                 \
    {"b8", F<uint8_t>}, {"u8", F<uint8_t>}, {"s8", F<int8_t>}, {"b16", F<uint16_t>},               \
        {"u16", F<uint16_t>}, {"s16", F<int16_t>}, {"b32", F<uint32_t>}, {"u32", F<uint32_t>},     \
        {"s32", F<int32_t>}, {"f32", F<uint32_t>}, {"b64", F<uint64_t>}, {"u64", F<uint64_t>},     \
        {"s64", F<uint64_t>}, {                                                                    \
        "f64", F<uint64_t>                                                                         \
    }

std::vector<struct op_row> memory_rows() {
    return {
        {"ld",
         "global|shared|shared::cta|shared::cluster|local|param|const? nc? v2|v4?",
         NULL,
         {BY_TYPE(load)},
         INST_PLAIN,
         0,
         build_load},
        {"st",
         "global|shared|shared::cta|shared::cluster|local|param? v2|v4?",
         NULL,
         {BY_TYPE(store)},
         INST_PLAIN,
         0,
         build_store},
    };
}

} // namespace ptx
