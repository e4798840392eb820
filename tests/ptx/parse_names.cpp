// SPDX-License-Identifier: MIT
// Names of registers, variables and numbers, and where they lie.
#include "parse.h"

#include <ctype.h>
#include <stdlib.h>

namespace ptx {

// ---- registers ----------------------------------------------------------------------------------

uint32_t register_file::step(enum reg_class cls) {
    return cls == REG_PRED ? N_LANES / 8 : cls == REG_32 ? N_LANES * 4 : N_LANES * 8;
}

uint32_t register_file::add(enum reg_class cls, uint32_t count) {
    uint32_t place = (uint32_t)round_up(next, 64);
    next = place + count * step(cls);
    return place;
}

uint32_t register_file::add_constant(uint64_t bits, enum reg_class cls, const std::string &symbol) {
    if (cls == REG_32)
        bits &= 0xffffffffu;
    auto key = std::make_pair(symbol, std::make_pair(bits, (int)cls));
    auto found = constant_places.find(key);
    if (found != constant_places.end())
        return found->second;
    uint32_t place = add(cls, 1);
    constants.push_back({place, cls, bits, symbol});
    constant_places[key] = place;
    return place;
}

size_t register_file::bytes() const {
    return round_up(next, 256);
}

// .reg .b32 %r<40>, %last;
void body_parser::declare_registers(const std::string &statement) {
    struct cursor c(statement);
    c.word();
    std::string type = c.word();
    enum reg_class cls = type == ".pred" ? REG_PRED : type_bytes(type) == 8 ? REG_64 : REG_32;
    if (type_bytes(type) == 0 || type_bytes(type) > 8)
        throw error("registers of an unknown type: " + statement);
    while (!c.is_done()) {
        std::string name = c.word();
        if (c.peek() == '<') {
            c.at++;
            uint32_t count = (uint32_t)atoi(c.through('>').c_str());
            uint32_t first = registers.add(cls, count);
            scopes_.back().ranges.push_back({name, first, count, register_file::step(cls), cls});
        } else {
            scopes_.back().registers[name] = {cls, registers.add(cls, 1)};
        }
        if (c.peek() == ',')
            c.at++;
    }
}

bool body_parser::find_special(const std::string &name, struct reg *out) {
    static const char *const names[N_SPECIALS] = {
        "%tid.x",       "%tid.y",       "%tid.z",      "%ntid.x",          "%ntid.y",
        "%ntid.z",      "%ctaid.x",     "%ctaid.y",    "%ctaid.z",         "%nctaid.x",
        "%nctaid.y",    "%nctaid.z",    "%laneid",     "%cluster_ctarank", "%cluster_nctarank",
        "%clusterid.x", "%clusterid.y", "%clusterid.z"};
    for (int i = 0; i < N_SPECIALS; i++) {
        if (name != names[i])
            continue;
        if (kernel_->special_place[i] == NO_PLACE)
            kernel_->special_place[i] = registers.add(REG_32, 1);
        *out = {REG_32, kernel_->special_place[i]};
        return true;
    }
    return false;
}

static bool find_in_range(const struct register_range &range, const std::string &stem,
                          const std::string &digits, struct reg *out) {
    if (digits.empty() || range.stem != stem)
        return false;
    uint32_t number = (uint32_t)atoi(digits.c_str());
    *out = {range.cls, range.first + number * range.step};
    return number < range.count;
}

bool body_parser::find_register(const std::string &name, struct reg *out) {
    if (find_special(name, out))
        return true;
    size_t n_stem = name.size();
    while (n_stem > 0 && isdigit((unsigned char)name[n_stem - 1]))
        n_stem--;
    std::string stem = name.substr(0, n_stem), digits = name.substr(n_stem);
    for (size_t i = scopes_.size(); i-- > 0;) {
        auto found = scopes_[i].registers.find(name);
        if (found != scopes_[i].registers.end()) {
            *out = found->second;
            return true;
        }
        for (const struct register_range &range : scopes_[i].ranges)
            if (find_in_range(range, stem, digits, out))
                return true;
    }
    return false;
}

// ---- variables ----------------------------------------------------------------------------------

// Parameters of calls lie in local memory, like variables of a thread.
void body_parser::declare_variable(const std::string &statement, enum space space) {
    struct declaration d = parse_declaration(statement);
    std::string own = d.name + "#" + std::to_string(variables_.size());
    bool is_local = space == SPACE_LOCAL;
    size_t &used = is_local ? kernel_->local_bytes : kernel_->shared_bytes;
    used = round_up(used, d.align);
    variables_[own] = {space, (is_local ? LOCAL_BASE : SHARED_BASE) + used, d.bytes, d.align,
                       false};
    used += d.bytes;
    scopes_.back().names[d.name] = own;
}

std::string body_parser::resolve(const std::string &name) const {
    for (size_t i = scopes_.size(); i-- > 0;) {
        auto found = scopes_[i].names.find(name);
        if (found != scopes_[i].names.end())
            return found->second;
    }
    return name;
}

enum space body_parser::space_of(const std::string &symbol) const {
    auto own = variables_.find(symbol);
    if (own != variables_.end())
        return own->second.space;
    auto of_module = kernel_->module->variables.find(symbol);
    if (of_module != kernel_->module->variables.end())
        return of_module->second.space;
    throw error("no such symbol: " + symbol);
}

// ---- operands -----------------------------------------------------------------------------------

struct operand body_parser::parse_operand(const std::string &raw) {
    size_t from = raw.find_first_not_of(" \t\r\n"), to = raw.find_last_not_of(" \t\r\n");
    if (from == std::string::npos)
        throw error("an empty operand");
    std::string text = raw.substr(from, to - from + 1);
    struct operand out;
    if (text[0] == '{') {
        out.kind = OPERAND_VECTOR;
        for (const std::string &part : split_at_commas(text.substr(1, text.rfind('}') - 1)))
            out.parts.push_back(parse_operand(part));
        return out;
    }
    if (text[0] == '[') {
        out.kind = OPERAND_MEMORY;
        for (const std::string &part : split_at_commas(text.substr(1, text.rfind(']') - 1)))
            out.parts.push_back(parse_operand(part));
        if (out.parts.empty())
            throw error("an empty address");
        out.offset = out.parts[0].offset;
        return out;
    }
    size_t bar = text.find('|');
    if (bar != std::string::npos) {
        out = parse_operand(text.substr(0, bar));
        out.second = parse_operand(text.substr(bar + 1)).reg;
        out.kind = OPERAND_PAIR;
        return out;
    }
    if (parse_number(text, &out.number))
        return out;
    size_t plus = text.find('+');
    std::string name = trimmed(text.substr(0, plus));
    if (plus != std::string::npos)
        out.offset = strtoll(text.c_str() + plus + 1, NULL, 0);
    if (find_register(name, &out.reg)) {
        out.kind = OPERAND_REG;
        return out;
    }
    out.kind = OPERAND_SYMBOL;
    out.symbol = resolve(name);
    return out;
}

} // namespace ptx
