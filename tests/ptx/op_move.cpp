// SPDX-License-Identifier: MIT
// Moves, between a word and its parts too, and addresses of one window as generic ones.
#include "lanes.h"
#include "ops.h"

#include <string.h>

namespace ptx {

PTX_F1(same, a)

static void move_predicate(struct warp &w, const struct inst &i, uint32_t lanes) {
    set_lane_bits(w, i.place[0], lanes, lane_bits(w, i.place[1]));
}

// Parts of type T, from place 0 on, of a word of type W at the address' place.
template <class T, class W>
PTX_VECTOR void unpack(struct warp &w, const struct inst &i, uint32_t lanes) {
    W from[N_LANES]; // a part may lie where the word does
    memcpy(from, w.registers + i.address, sizeof from);
    for (unsigned k = 0; k < i.n_parts; k++)
        set_each(
            lane_values<T>(w, i.place[k]), lanes,
            PTX_LANE { return (T)(from[l] >> (8 * sizeof(T) * k)); });
}
template <class T, class W>
PTX_VECTOR void pack(struct warp &w, const struct inst &i, uint32_t lanes) {
    W value[N_LANES] = {};
    for (unsigned k = 0; k < i.n_parts; k++) {
        const lane_values<T> part(w, i.place[k]);
        each_lane(
            ALL_LANES, PTX_LANE { value[l] |= (W)part[l] << (8 * sizeof(T) * k); });
    }
    set_each(
        lane_values<W>(w, i.address), lanes, PTX_LANE { return value[l]; });
}

struct packing {
    const char *type;
    size_t n_parts;
    inst_fn pack, unpack;
};
static const struct packing packings[] = {
    {"b32", 2, pack<uint16_t, uint32_t>, unpack<uint16_t, uint32_t>},
    {"b64", 2, pack<uint32_t, uint64_t>, unpack<uint32_t, uint64_t>},
    {"b64", 4, pack<uint16_t, uint64_t>, unpack<uint16_t, uint64_t>},
};

// "_" stands for a part that nobody wants.
static uint32_t place_of_part(struct op_maker &maker, const struct operand &part) {
    if (part.kind == OPERAND_SYMBOL && part.symbol == "_")
        return maker.parser.registers.add(REG_32, 1);
    return maker.place_of(part, REG_32);
}

static void build_move(struct op_maker &maker) {
    bool unpacks = maker.operand_at(0).kind == OPERAND_VECTOR;
    bool packs = maker.operand_at(1).kind == OPERAND_VECTOR;
    if (!unpacks && !packs) {
        maker.place_all("tt");
        return;
    }
    const struct operand &vector = maker.operands[unpacks ? 0 : 1];
    for (const struct packing &one : packings) {
        if (maker.type != one.type || vector.parts.size() != one.n_parts)
            continue;
        for (size_t k = 0; k < one.n_parts; k++)
            maker.out.place[k] = place_of_part(maker, vector.parts[k]);
        maker.out.n_parts = (uint8_t)one.n_parts;
        maker.out.address = maker.place_of(maker.operands[unpacks ? 1 : 0], class_of(maker.type));
        maker.out.run = unpacks ? one.unpack : one.pack;
        return;
    }
    throw error("a mov with parts that are not known");
}

std::vector<struct op_row> move_rows() {
    return {
        {"mov",
         "",
         NULL,
         {PTX_SIGNED(unary, same),
          PTX_UNSIGNED(unary, same),
          PTX_BITS(unary, same),
          PTX_FLOATS(unary, same),
          {"pred", move_predicate}},
         INST_PLAIN,
         0,
         build_move},
        // The windows lie in the generic space at their own addresses.
        {"cvta", "to? global|shared|local|param", "tt", {PTX_SAME("u64", uint64_t, unary, same)}},
    };
}

} // namespace ptx
