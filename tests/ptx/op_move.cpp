// SPDX-License-Identifier: MIT
// Moves, between a word and its parts too, and addresses of one window as generic ones.
#include "lanes.h"
#include "ops.h"

namespace ptx {

PTX_F1(same, a)

static void move_predicate(struct warp &w, const struct inst &i, uint32_t lanes) {
    set_lane_bits(w, i.place[0], lanes, lane_bits(w, i.place[1]));
}

// Parts of type T, from place 0 on, of a word of type W at the address' place.
template <class T, class W>
static void unpack(struct warp &w, const struct inst &i, uint32_t lanes) {
    const lane_values<W> from(w, i.address);
    each_lane(
        lanes, PTX_LANE {
            W value = from[l];
            for (unsigned k = 0; k < i.n_parts; k++)
                lane_values<T>(w, i.place[k]).set(l, (T)(value >> (8 * sizeof(T) * k)));
        });
}
template <class T, class W> static void pack(struct warp &w, const struct inst &i, uint32_t lanes) {
    lane_values<W> to(w, i.address);
    each_lane(
        lanes, PTX_LANE {
            W value = 0;
            for (unsigned k = 0; k < i.n_parts; k++)
                value |= (W)lane_values<T>(w, i.place[k])[l] << (8 * sizeof(T) * k);
            to.set(l, value);
        });
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
