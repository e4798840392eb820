// SPDX-License-Identifier: MIT
// The table of instructions: a row for each family, in the file of its functions (op_*.cpp). What
// matches no row, with all its modifiers and its type, is an error, never a guess.
#ifndef ADELE_PTX_OPS_H
#define ADELE_PTX_OPS_H

#include "parse.h"

namespace ptx {

struct op_maker;
typedef void (*build_fn)(struct op_maker &maker);

struct typed_fn {
    const char *type; // "f32"
    inst_fn run;
};

struct op_row {
    const char *name; // the first word
    // The words between the first and the last, in their order: a|b is either, ? may be missing.
    const char *modifiers;
    // What each operand is: t of the instruction's type, w of twice its width, 4 and 8 of 32 and 64
    // bits, p a predicate. NULL: build places them.
    const char *operands;
    std::vector<struct typed_fn> functions; // by the last word
    enum inst_kind kind = INST_PLAIN;
    int option = 0;
    build_fn build = nullptr; // what is left to do; NULL = nothing
};

// What a build function works with.
struct op_maker {
    class body_parser &parser;
    struct inst &out;
    std::vector<struct operand> &operands;
    std::vector<std::string> modifiers; // as matched; "" where one that may be missing is
    std::string type;                   // the last word

    const struct operand &operand_at(size_t i) const; // throws when there are fewer
    uint32_t place_of(const struct operand &o, enum reg_class cls);
    void place_all(const char *pattern);
    void set_address(const struct operand &memory);
    // The register or constant of an address in brackets; *offset what is added to it.
    uint32_t place_of_address(const struct operand &memory, int64_t *offset, bool *is_wide);
    // The memory operand has the space that the word names ("" is generic).
    static enum space space_named(const std::string &word);
};

enum reg_class class_of(const std::string &type);
// nullptr when there is none for the type.
inst_fn find_function(const std::vector<struct typed_fn> &functions, const std::string &type);

void build_instruction(class body_parser &parser, const std::vector<std::string> &words,
                       std::vector<struct operand> &operands, struct inst &out);

// The rows of each file.
std::vector<struct op_row> arithmetic_rows();
std::vector<struct op_row> integer_rows();
std::vector<struct op_row> compare_rows();
std::vector<struct op_row> convert_rows();
std::vector<struct op_row> move_rows();
std::vector<struct op_row> memory_rows();
std::vector<struct op_row> atomic_rows();
std::vector<struct op_row> copy_rows();
std::vector<struct op_row> warp_rows();
std::vector<struct op_row> mma_rows();
std::vector<struct op_row> mbarrier_rows();
std::vector<struct op_row> tma_rows();
std::vector<struct op_row> cluster_rows();
std::vector<struct op_row> fence_rows();
std::vector<struct op_row> wgmma_rows();
std::vector<struct op_row> register_rows();

} // namespace ptx
#endif
