// SPDX-License-Identifier: MIT
// Reading the body of a kernel: names become places. Functions are put in where they are called,
// for PTX that nvcc writes for this project has no recursion and no calls through pointers.
#ifndef ADELE_PTX_PARSE_H
#define ADELE_PTX_PARSE_H

#include "text.h"

#include <unordered_map>

namespace ptx {

enum operand_kind {
    OPERAND_REG,
    OPERAND_NUMBER,
    OPERAND_SYMBOL,
    OPERAND_VECTOR, // {a, b}: parts
    OPERAND_MEMORY, // [a + offset]: parts[0] is what stands inside; [a, {b}] has two parts
    OPERAND_PAIR    // a|b: reg and second
};
struct operand {
    enum operand_kind kind = OPERAND_NUMBER;
    struct reg reg {
        REG_32, NO_PLACE
    }, second{REG_PRED, NO_PLACE};
    uint64_t number = 0;
    int64_t offset = 0;
    std::string symbol;
    std::vector<struct operand> parts;
};

// ".reg .b32 %r<40>" declares 40 registers of one stem.
struct register_range {
    std::string stem;
    uint32_t first, count, step;
    enum reg_class cls;
};

// What a pair of braces declares; names of an outer scope stay visible.
struct scope {
    std::unordered_map<std::string, struct reg> registers;
    std::vector<struct register_range> ranges;
    std::unordered_map<std::string, std::string> names; // of variables, to those of the kernel
    std::string number;                                 // which keeps its labels apart
};

// The registers of a kernel: 4 bytes for 32 predicates, one bit a lane; else a value a lane.
struct register_file {
    uint32_t add(enum reg_class cls, uint32_t count);
    uint32_t add_constant(uint64_t bits, enum reg_class cls, const std::string &symbol);
    size_t bytes() const;
    static uint32_t step(enum reg_class cls);
    std::vector<struct constant> constants;

    uint32_t next = 64; // place 0 is NO_PLACE
    std::map<std::pair<std::string, std::pair<uint64_t, int>>, uint32_t> constant_places;
};

class body_parser {
  public:
    explicit body_parser(struct ptx_kernel *kernel);
    void parse();

    // For the families of instructions (ops.h).
    struct ptx_kernel &kernel() {
        return *kernel_;
    }
    struct register_file registers;
    enum space space_of(const std::string &symbol) const; // throws when there is none

  private:
    // parse_body.cpp
    void parse_block(const std::string &body, const std::string &label_suffix,
                     const std::string &return_label);
    void parse_directive(const std::string &statement);
    void parse_instruction(const std::string &statement, const std::string &label_suffix,
                           const std::string &return_label);
    void parse_predicate(struct cursor &c, struct inst &out);
    void inline_call(const std::string &operands);
    // parse_names.cpp
    void declare_registers(const std::string &statement);
    void declare_variable(const std::string &statement, enum space space);
    struct operand parse_operand(const std::string &raw);
    bool find_register(const std::string &name, struct reg *out);
    bool find_special(const std::string &name, struct reg *out);
    std::string resolve(const std::string &name) const;
    // parse_layout.cpp
    std::string label_in(const struct scope &scope, const std::string &name) const;
    void set_targets();
    std::map<std::string, uint64_t> lay_out_shared();
    void lay_out_constants();

    struct ptx_kernel *kernel_;
    std::vector<struct scope> scopes_;
    std::unordered_map<std::string, struct variable> variables_;
    std::unordered_map<std::string, uint32_t> labels_;
    // The instruction, and the labels that it may mean, innermost scope first.
    std::vector<std::pair<uint32_t, std::vector<std::string>>> branches_;
    int n_calls_ = 0, depth_ = 0, n_scopes_ = 0;
    std::string where_;
};

} // namespace ptx
#endif
