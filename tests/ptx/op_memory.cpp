// SPDX-License-Identifier: MIT
// Loads and stores (PTX ISA, "ld", "st").
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

template <class T> static void load(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        const uint8_t *from = reach(w, i, i.space, address_of(w, i, l), sizeof(T) * i.n_parts, l);
        for (unsigned k = 0; k < i.n_parts; k++) {
            T value;
            memcpy(&value, from + sizeof value * k, sizeof value);
            if (sizeof(T) < 8 && i.has_wide_data)
                lane_values<int64_t>(w, i.place[k]).set(l, (int64_t)value);
            else
                lane_values<T>(w, i.place[k]).set(l, value);
        }
    }
}

template <class T> static void store(struct warp &w, const struct inst &i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        uint8_t *to = reach(w, i, i.space, address_of(w, i, l), sizeof(T) * i.n_parts, l);
        for (unsigned k = 0; k < i.n_parts; k++) {
            T value = sizeof(T) < 8 && i.has_wide_data ? (T)lane_values<int64_t>(w, i.place[k])[l]
                                                       : lane_values<T>(w, i.place[k])[l];
            memcpy(to + sizeof value * k, &value, sizeof value);
        }
    }
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
    const std::string &window = maker.modifiers[0];
    maker.out.space = window == "global" || window == "const" ? SPACE_GLOBAL
                      : window == "shared"                    ? SPACE_SHARED
                      : window == "local"                     ? SPACE_LOCAL
                      : window == "param"                     ? SPACE_PARAM
                                                              : SPACE_GENERIC;
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
         "global|shared|local|param|const? nc? v2|v4?",
         NULL,
         {BY_TYPE(load)},
         INST_PLAIN,
         0,
         build_load},
        {"st",
         "global|shared|local|param? v2|v4?",
         NULL,
         {BY_TYPE(store)},
         INST_PLAIN,
         0,
         build_store},
    };
}

} // namespace ptx
