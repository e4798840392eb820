// SPDX-License-Identifier: MIT
#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

namespace ptx {

static bool is_space(char c) {
    return isspace((unsigned char)c) != 0;
}

bool is_word_character(char c) {
    return isalnum((unsigned char)c) != 0 || c == '_' || c == '$' || c == '%';
}

size_t round_up(size_t bytes, size_t align) {
    return (bytes + align - 1) / align * align;
}

// Strings are kept as they are: names of files may contain slashes.
std::string without_comments(const char *text, size_t bytes) {
    std::string out;
    out.reserve(bytes);
    for (size_t i = 0; i < bytes && text[i] != '\0';) {
        bool is_slash = text[i] == '/' && i + 1 < bytes;
        if (text[i] == '"') {
            size_t end = i + 1;
            while (end < bytes && text[end] != '"')
                end++;
            end = end < bytes ? end + 1 : bytes;
            out.append(text + i, end - i);
            i = end;
        } else if (is_slash && text[i + 1] == '/') {
            while (i < bytes && text[i] != '\n')
                i++;
        } else if (is_slash && text[i + 1] == '*') {
            i += 2;
            while (i + 1 < bytes && !(text[i] == '*' && text[i + 1] == '/'))
                i++;
            i += 2;
        } else {
            out += text[i++];
        }
    }
    return out;
}

std::string trimmed(const std::string &text) {
    size_t from = text.find_first_not_of(" \t\r\n("), to = text.find_last_not_of(" \t\r\n)");
    return from == std::string::npos || to == std::string::npos ? ""
                                                                : text.substr(from, to - from + 1);
}

std::vector<std::string> split_at(const std::string &text, char separator) {
    std::vector<std::string> out;
    for (size_t from = 0; from <= text.size();) {
        size_t to = text.find(separator, from);
        if (to == std::string::npos)
            to = text.size();
        out.push_back(text.substr(from, to - from));
        from = to + 1;
    }
    return out;
}

std::vector<std::string> split_at_commas(const std::string &text) {
    std::vector<std::string> out;
    int depth = 0;
    std::string part;
    for (char c : text) {
        depth += strchr("{[(", c) != NULL;
        depth -= strchr("}])", c) != NULL;
        if (c == ',' && depth == 0) {
            out.push_back(part);
            part.clear();
        } else {
            part += c;
        }
    }
    if (part.find_first_not_of(" \t\n\r") != std::string::npos)
        out.push_back(part);
    return out;
}

bool parse_number(const std::string &text, uint64_t *bits) {
    char *end;
    if (text.size() >= 10 && text[0] == '0' && strchr("fFdD", text[1]) != NULL)
        *bits = strtoull(text.c_str() + 2, &end, 16);
    else if (!text.empty() && text[0] == '-')
        *bits = (uint64_t)strtoll(text.c_str(), &end, 0);
    else if (!text.empty() && isdigit((unsigned char)text[0]))
        *bits = strtoull(text.c_str(), &end, 0);
    else
        return false;
    if (*end == 'U') // 0x80U
        end++;
    return *end == '\0';
}

// ---- the cursor ---------------------------------------------------------------------------------

bool cursor::is_done() {
    while (at < end && is_space(*at))
        at++;
    return at >= end;
}

char cursor::peek() {
    return is_done() ? '\0' : *at;
}

bool cursor::starts_with(const char *word) const {
    size_t n = strlen(word), left = (size_t)(end - at);
    return left >= n && memcmp(at, word, n) == 0 && (left == n || !is_word_character(at[n]));
}

std::string cursor::until(const char *stops) {
    const char *from = at;
    while (at < end && strchr(stops, *at) == NULL)
        at++;
    return std::string(from, at);
}

std::string cursor::through(char stop) {
    const char stops[] = {stop, '\0'};
    std::string out = until(stops);
    at += at < end;
    return out;
}

std::string cursor::word() {
    if (is_done())
        return "";
    const char *from = at;
    if (*at == '.')
        at++;
    while (at < end && is_word_character(*at))
        at++;
    if (at == from)
        at++;
    return std::string(from, at);
}

std::string cursor::in_parentheses() {
    if (peek() != '(')
        throw error("a '(' is missing before: " + std::string(at, end).substr(0, 40));
    at++;
    return through(')');
}

std::string cursor::in_braces() {
    if (peek() != '{')
        throw error("a '{' is missing before: " + std::string(at, end).substr(0, 40));
    const char *from = ++at;
    for (int depth = 1; at < end; at++) {
        if (*at == '"') {
            at++;
            while (at < end && *at != '"')
                at++;
        } else if (*at == '{') {
            depth++;
        } else if (*at == '}' && --depth == 0) {
            return std::string(from, at++);
        }
    }
    throw error("a '}' is missing");
}

// ---- declarations -------------------------------------------------------------------------------

size_t type_bytes(const std::string &type) {
    return type == ".pred" ? 1 : type.size() < 3 ? 0 : (size_t)atoi(type.c_str() + 2) / 8;
}

static bool is_type(const std::string &word) {
    return word.size() > 2 && strchr("busf", word[1]) != NULL && isdigit((unsigned char)word[2]);
}

struct declaration parse_declaration(const std::string &text) {
    struct cursor c(text);
    struct declaration out;
    while (!c.is_done()) {
        std::string word = c.word();
        if (word == ".align") {
            out.align = (size_t)atoi(c.word().c_str());
        } else if (word == ".extern") {
            out.is_extern = true;
        } else if (word == "[") {
            out.bytes *= strtoull(c.through(']').c_str(), NULL, 0);
        } else if (word == "=") {
            out.values = c.peek() == '{' ? c.in_braces() : std::string(c.at, c.end);
            break;
        } else if (word[0] != '.') {
            out.name = word;
        } else if (is_type(word)) {
            out.type = word;
            out.bytes = type_bytes(word);
        }
    }
    if (out.name.empty() || out.type.empty())
        throw error("a declaration that cannot be read: " + text);
    if (out.align == 0)
        out.align = type_bytes(out.type);
    return out;
}

std::vector<struct param> parse_params(const std::string &text, size_t *total) {
    std::vector<struct param> out;
    size_t offset = 0;
    for (const std::string &part : split_at_commas(text)) {
        struct declaration d = parse_declaration(part);
        offset = round_up(offset, d.align);
        out.push_back({d.name, offset, d.bytes});
        offset += d.bytes;
    }
    if (total != NULL)
        *total = offset;
    return out;
}

} // namespace ptx
