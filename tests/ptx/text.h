// SPDX-License-Identifier: MIT
// Reading PTX text: words, braces, declarations of variables and parameters.
#ifndef ADELE_PTX_TEXT_H
#define ADELE_PTX_TEXT_H

#include "program.h"

namespace ptx {

std::string without_comments(const char *text, size_t bytes);
// Without the white space and the parentheses around it.
std::string trimmed(const std::string &text);
// At the commas that stand in no braces, brackets or parentheses.
std::vector<std::string> split_at_commas(const std::string &text);
std::vector<std::string> split_at(const std::string &text, char separator);
bool is_word_character(char c);
// Whether the text is a number: its bits, for 0f3F800000 and 0d... those of the float or the
// double.
bool parse_number(const std::string &text, uint64_t *bits);

struct cursor {
    const char *at, *end;

    explicit cursor(const std::string &text) : at(text.data()), end(text.data() + text.size()) {
    }
    bool is_done(); // after white space
    char peek();    // the next character that is not white space; 0 at the end
    bool starts_with(const char *word) const;
    // What these answer is left behind the cursor, except for the stop.
    std::string until(const char *stops);
    std::string through(char stop); // the stop is dropped
    std::string word();           // a directive with its dot, a name, a number, one other character
    std::string in_parentheses(); // without the two
    std::string in_braces();      // from { to its }, without the two
};

// ".param .align 8 .b8 name[208]", and of .global, .const, .shared, .local.
struct declaration {
    std::string name, type;
    size_t bytes = 0, align = 0;
    bool is_extern = false;
    std::string values; // of its initializer
};
struct declaration parse_declaration(const std::string &text);
// The parameters of a kernel or a function, one behind the other; *total their size, if not NULL.
std::vector<struct param> parse_params(const std::string &text, size_t *total);
size_t type_bytes(const std::string &type); // ".f32"
size_t round_up(size_t bytes, size_t align);

} // namespace ptx
#endif
