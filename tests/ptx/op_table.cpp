// SPDX-License-Identifier: MIT
// From an instruction's words to its row, and from its operands to places.
#include "ops.h"

#include <string.h>

namespace ptx {

static std::multimap<std::string, struct op_row> make_table() {
    std::multimap<std::string, struct op_row> table;
    std::vector<struct op_row> (*const files[])() = {
        arithmetic_rows, integer_rows, compare_rows, convert_rows, move_rows,     memory_rows,
        atomic_rows,     copy_rows,    warp_rows,    mma_rows,     mbarrier_rows, tma_rows,
        cluster_rows,    fence_rows,   wgmma_rows,   register_rows};
    for (auto rows : files)
        for (const struct op_row &row : rows())
            table.insert({row.name, row});
    return table;
}

// Whether the words 1 .. n - 2 are what the row says; *modifiers the choice for each of its tokens.
static bool match(const struct op_row &row, const std::vector<std::string> &words,
                  std::vector<std::string> *modifiers) {
    size_t i = 1, n = words.size() - 1;
    modifiers->clear();
    if (row.modifiers[0] == '\0')
        return n <= 1;
    for (std::string token : split_at(row.modifiers, ' ')) {
        bool may_be_missing = token.back() == '?', is_found = false;
        if (may_be_missing)
            token.pop_back();
        if (i < n)
            for (const std::string &choice : split_at(token, '|'))
                is_found = is_found || choice == words[i];
        if (!is_found && !may_be_missing)
            return false;
        modifiers->push_back(is_found ? words[i++] : "");
    }
    return i >= n;
}

void build_instruction(class body_parser &parser, const std::vector<std::string> &words,
                       std::vector<struct operand> &operands, struct inst &out) {
    static const std::multimap<std::string, struct op_row> table = make_table();
    struct op_maker maker = {parser, out, operands, {}, words.back()};
    auto range = table.equal_range(words[0]);
    const char *problem = range.first == range.second ? "an instruction that is not known"
                                                      : "modifiers that are not known";
    for (auto found = range.first; found != range.second; ++found) {
        const struct op_row &row = found->second;
        if (!match(row, words, &maker.modifiers))
            continue;
        out.run = row.functions.empty() ? nullptr : find_function(row.functions, maker.type);
        if (!row.functions.empty() && out.run == nullptr) {
            problem = "a type that is not known here";
            continue; // floats and integers may have rows of their own
        }
        out.kind = row.kind;
        out.option = row.option;
        if (row.operands != NULL)
            maker.place_all(row.operands);
        if (row.build != nullptr)
            row.build(maker);
        return;
    }
    throw error(problem);
}

enum reg_class class_of(const std::string &type) {
    return type == "pred" ? REG_PRED : type.substr(1) == "64" ? REG_64 : REG_32;
}

inst_fn find_function(const std::vector<struct typed_fn> &functions, const std::string &type) {
    for (const struct typed_fn &one : functions)
        if (type == one.type)
            return one.run;
    return nullptr;
}

// ---- operands -----------------------------------------------------------------------------------

const struct operand &op_maker::operand_at(size_t i) const {
    if (i >= operands.size())
        throw error("too few operands");
    return operands[i];
}

uint32_t op_maker::place_of(const struct operand &o, enum reg_class cls) {
    switch (o.kind) {
    case OPERAND_REG:
    case OPERAND_PAIR:
        if (o.reg.cls != cls)
            throw error("an operand whose width differs from the type's");
        return o.reg.place;
    case OPERAND_NUMBER:
        return parser.registers.add_constant(
            cls == REG_PRED ? (o.number != 0 ? ALL_LANES : 0) : o.number, cls, "");
    case OPERAND_SYMBOL:
        (void)parser.space_of(o.symbol); // or there is none
        return parser.registers.add_constant((uint64_t)o.offset, cls, o.symbol);
    default:
        throw error("an operand of a kind that does not belong here");
    }
}

static enum reg_class class_in(char letter, const std::string &type) {
    switch (letter) {
    case 'p':
        return REG_PRED;
    case '4':
        return REG_32;
    case '8':
        return REG_64;
    case 'w':
        return type.substr(1) == "32" ? REG_64 : REG_32;
    default:
        return class_of(type);
    }
}

void op_maker::place_all(const char *pattern) {
    if (operands.size() != strlen(pattern))
        throw error("another number of operands than " + std::to_string(strlen(pattern)));
    for (size_t i = 0; i < operands.size(); i++) {
        if (operands[i].kind == OPERAND_PAIR)
            throw error("a second result that is not known here");
        out.place[i] = place_of(operands[i], class_in(pattern[i], type));
    }
}

uint32_t op_maker::place_of_address(const struct operand &memory, int64_t *offset, bool *is_wide) {
    if (memory.kind != OPERAND_MEMORY)
        throw error("an address is missing");
    const struct operand &inner = memory.parts.at(0);
    *is_wide = inner.kind != OPERAND_REG || inner.reg.cls == REG_64;
    *offset = inner.kind == OPERAND_REG ? memory.offset : 0;
    return inner.kind == OPERAND_REG ? inner.reg.place : place_of(inner, REG_64);
}

void op_maker::set_address(const struct operand &memory) {
    out.address = place_of_address(memory, &out.offset, &out.has_wide_address);
}

enum space op_maker::space_named(const std::string &word) {
    return word == "global" || word == "const"         ? SPACE_GLOBAL
           : word == "shared" || word == "shared::cta" ? SPACE_SHARED
           : word == "shared::cluster"                 ? SPACE_CLUSTER
           : word == "local"                           ? SPACE_LOCAL
           : word == "param"                           ? SPACE_PARAM
                                                       : SPACE_GENERIC;
}

} // namespace ptx
