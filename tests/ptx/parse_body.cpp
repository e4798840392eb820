// SPDX-License-Identifier: MIT
// The statements of a body: labels, directives, instructions, calls.
#include "ops.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

namespace ptx {

body_parser::body_parser(struct ptx_kernel *kernel) : kernel_(kernel) {
    for (const struct param &param : kernel->params)
        variables_[param.name] = {SPACE_PARAM, PARAM_BASE + param.offset, param.bytes, 1, false};
}

void body_parser::parse() {
    parse_block(kernel_->body, "", "");
    struct inst last;
    last.kind = INST_EXIT;
    kernel_->code.push_back(last);
    kernel_->sources.push_back({"(end)", ""});
    kernel_->uses.resize(kernel_->code.size());
    set_targets();
    lay_out_constants();
    kernel_->register_bytes = registers.bytes();
    kernel_->constants = registers.constants;
    kernel_->is_parsed = true;
    kernel_->body.clear();
}

void parse_kernel(struct ptx_kernel *kernel) {
    body_parser parser(kernel);
    parser.parse();
}

// Two pairs of braces may each have a label of one name: those of inline assembly do.
std::string body_parser::label_in(const struct scope &scope, const std::string &name) const {
    return name + "@" + scope.number;
}

// A label of a function that is put in twice is two labels: so the suffix.
void body_parser::parse_block(const std::string &body, const std::string &label_suffix,
                              const std::string &return_label) {
    struct cursor c(body);
    size_t n_scopes = scopes_.size();
    scopes_.emplace_back();
    scopes_.back().number = std::to_string(++n_scopes_);
    while (!c.is_done()) {
        if (*c.at == '{') {
            scopes_.emplace_back();
            scopes_.back().number = std::to_string(++n_scopes_);
            c.at++;
        } else if (*c.at == '}') {
            scopes_.pop_back();
            c.at++;
        } else if (c.starts_with(".loc")) {
            int file = 0, line = 0;
            (void)sscanf(c.until("\n").c_str(), ".loc %d %d", &file, &line);
            where_ = kernel_->module->files[file] + ":" + std::to_string(line);
        } else if (*c.at == '.') {
            parse_directive(c.through(';'));
        } else {
            const char *colon = c.at;
            while (colon < c.end && is_word_character(*colon))
                colon++;
            if (colon < c.end && *colon == ':') {
                labels_[label_in(scopes_.back(), std::string(c.at, colon) + label_suffix)] =
                    (uint32_t)kernel_->code.size();
                c.at = colon + 1;
                continue;
            }
            std::string statement = c.through(';');
            if (statement.find_first_not_of(" \t\n\r") != std::string::npos)
                parse_instruction(statement, label_suffix, return_label);
        }
    }
    scopes_.resize(n_scopes);
}

void body_parser::parse_directive(const std::string &statement) {
    struct cursor c(statement);
    std::string word = c.word();
    if (word == ".reg")
        declare_registers(statement);
    else if (word == ".local" || word == ".param")
        declare_variable(statement, SPACE_LOCAL);
    else if (word == ".shared")
        declare_variable(statement, SPACE_SHARED);
    else if (word != ".pragma")
        throw error("a directive that is not known: " + statement);
}

// @%p1, @!%p1
void body_parser::parse_predicate(struct cursor &c, struct inst &out) {
    c.at++;
    if (c.peek() == '!') {
        out.is_negated = true;
        c.at++;
    }
    struct reg reg;
    std::string name = c.word();
    if (!find_register(name, &reg) || reg.cls != REG_PRED)
        throw error("no such predicate: " + name);
    out.predicate = reg.place;
}

static std::string on_one_line(const std::string &text) {
    std::string out = text;
    for (char &c : out)
        if (isspace((unsigned char)c))
            c = ' ';
    return out;
}

static void add_places(const struct operand &o, std::vector<uint32_t> *places) {
    if (o.kind == OPERAND_REG && o.reg.cls == REG_32)
        places->push_back(o.reg.place);
    for (const struct operand &part : o.parts)
        add_places(part, places);
}

static struct register_use use_of(const std::vector<std::string> &words,
                                  const std::vector<struct operand> &operands) {
    struct register_use out;
    for (const struct operand &o : operands)
        add_places(o, &out.places);
    out.is_wgmma = words[0] == "wgmma";
    out.is_copy = words[0] == "mov" && out.places.size() == 2 && operands[0].kind == OPERAND_REG &&
                  operands[1].kind == OPERAND_REG;
    return out;
}

void body_parser::parse_instruction(const std::string &statement, const std::string &label_suffix,
                                    const std::string &return_label) {
    struct inst out;
    struct register_use use;
    struct cursor c(statement);
    bool has_predicate = c.peek() == '@';
    std::string text = on_one_line(std::string(c.at, c.end));
    if (has_predicate)
        parse_predicate(c, out);
    (void)c.is_done();
    std::string opcode = c.until(" \t\n\r"), rest(c.at, c.end);
    std::vector<std::string> words = split_at(opcode, '.');
    uint32_t i_next = (uint32_t)kernel_->code.size();
    if (words[0] == "bra") {
        out.kind = INST_BRANCH;
        std::vector<std::string> labels;
        for (size_t k = scopes_.size(); k-- > 0;)
            labels.push_back(label_in(scopes_[k], trimmed(rest) + label_suffix));
        branches_.push_back({i_next, labels});
    } else if (words[0] == "ret" && !return_label.empty()) {
        out.kind = INST_BRANCH;
        branches_.push_back({i_next, {return_label}});
    } else if (words[0] == "ret" || words[0] == "exit") {
        out.kind = INST_EXIT;
    } else if (words[0] == "call") {
        if (has_predicate)
            throw error("a call with a predicate: " + text);
        inline_call(rest);
        return;
    } else {
        std::vector<struct operand> operands;
        for (const std::string &part : split_at_commas(rest))
            operands.push_back(parse_operand(part));
        if (kernel_->module->sm >= 90)
            use = use_of(words, operands);
        try {
            build_instruction(*this, words, operands, out);
        } catch (const std::exception &e) {
            throw error(std::string(e.what()) + ", in: " + text);
        }
    }
    kernel_->code.push_back(out);
    kernel_->sources.push_back({text, where_});
    kernel_->uses.resize(kernel_->code.size());
    kernel_->uses.back() = use;
}

// call.uni (result, ...), name, (argument, ...); each of the three in parentheses or not there.
void body_parser::inline_call(const std::string &operands) {
    std::vector<std::string> parts = split_at_commas(operands), results, arguments;
    size_t i = 0;
    if (parts.at(0).find('(') != std::string::npos)
        for (const std::string &part : split_at_commas(trimmed(parts[i++])))
            results.push_back(resolve(trimmed(part)));
    std::string name = trimmed(parts.at(i++));
    if (i < parts.size())
        for (const std::string &part : split_at_commas(trimmed(parts[i])))
            arguments.push_back(resolve(trimmed(part)));
    auto found = kernel_->module->functions.find(name);
    if (found == kernel_->module->functions.end())
        throw error("no such function: " + name);
    const struct function &f = found->second;
    if (f.params.size() != arguments.size() || f.results.size() != results.size())
        throw error("a call with other parameters than those of " + name);
    struct scope names;
    for (size_t k = 0; k < f.params.size(); k++)
        names.names[f.params[k].name] = arguments[k];
    for (size_t k = 0; k < f.results.size(); k++)
        names.names[f.results[k].name] = results[k];
    if (++depth_ > 100)
        throw error("calls deeper than 100: is " + name + " recursive?");
    // The function sees nothing of its caller's names.
    std::vector<struct scope> outer;
    outer.swap(scopes_);
    scopes_.push_back(names);
    std::string suffix = "#" + std::to_string(++n_calls_), end = "#end" + suffix;
    parse_block(f.body, suffix, end);
    labels_[end] = (uint32_t)kernel_->code.size();
    scopes_.swap(outer);
    depth_--;
}

} // namespace ptx
