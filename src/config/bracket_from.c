// SPDX-License-Identifier: MIT
// data.label_map: "from: 255" means "from: [255]". libcyaml's schema has one type for a key, so the
// single value gets its brackets before the text is parsed. Lines stay where they are, so that
// messages name the right ones.
#include "config/key_table.h"

#include "base/memory.h"

#include <ctype.h>
#include <string.h>

struct scan {
    const char *at, *end;
    char *to;
    int depth;             // of [ and {
    bool is_at_word_start; // what follows may begin a key
};

// Behind the quoted text that begins at `at`; the end when it is never closed.
static const char *skip_quoted(const char *at, const char *end) {
    char quote = *at++;
    while (at < end && *at != quote)
        at += quote == '"' && *at == '\\' && at + 1 < end ? 2 : 1;
    return at < end ? at + 1 : end;
}

// Where the value of a key "from" begins, on the same line; NULL when there is no such key here.
static const char *value_of_from(const char *at, const char *end) {
    char quote = *at == '"' || *at == '\'' ? *at : '\0';
    at += quote != '\0';
    if (end - at < 4 || memcmp(at, "from", 4) != 0)
        return NULL;
    at += 4;
    if (quote != '\0' && (at == end || *at++ != quote))
        return NULL;
    while (at < end && *at == ' ')
        at++;
    if (at == end || *at != ':')
        return NULL;
    const char *value = ++at;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    bool is_key = value > at || quote != '\0'; // "from:1" is one word
    return is_key && value < end ? value : NULL;
}

// The end of a single value, without the blanks and the comment behind it.
static const char *value_end(const char *at, const char *end, bool is_flow) {
    const char *last = at;
    while (at < end && *at != '\n' && *at != '\r') {
        if (is_flow && (*at == ',' || *at == '}' || *at == ']'))
            break;
        if (*at == '#' && isblank((unsigned char)at[-1]))
            break;
        const char *next = *at == '"' || *at == '\'' ? skip_quoted(at, end) : at + 1;
        if (!isblank((unsigned char)*at))
            last = next;
        at = next;
    }
    return last;
}

static void copy_to(struct scan *scan, const char *until) {
    size_t bytes = (size_t)(until - scan->at);
    memcpy(scan->to, scan->at, bytes);
    scan->to += bytes;
    scan->at = until;
}

// A key "from" with its value, when it is a single one.
static bool take_from(struct scan *scan) {
    const char *value = value_of_from(scan->at, scan->end);
    if (value == NULL || strchr("[{&*|>!#\n\r", *value) != NULL)
        return false;
    const char *last = value_end(value, scan->end, scan->depth > 0);
    copy_to(scan, value);
    if (last == value)
        return true;
    *scan->to++ = '[';
    copy_to(scan, last);
    *scan->to++ = ']';
    return true;
}

static void take_one(struct scan *scan) {
    char c = *scan->at;
    if (scan->is_at_word_start && take_from(scan)) {
        scan->is_at_word_start = false;
        return;
    }
    if (scan->is_at_word_start && (c == '"' || c == '\'')) {
        copy_to(scan, skip_quoted(scan->at, scan->end));
        scan->is_at_word_start = false;
        return;
    }
    if (scan->is_at_word_start && c == '#') {
        const char *line_end = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));
        copy_to(scan, line_end != NULL ? line_end : scan->end);
        return;
    }
    scan->depth += c == '[' || c == '{';
    scan->depth -= (c == ']' || c == '}') && scan->depth > 0;
    scan->is_at_word_start = isspace((unsigned char)c) || c == '{' || c == '[' || c == ',';
    copy_to(scan, scan->at + 1);
}

char *config_bracket_from(const char *text, size_t bytes, size_t *out_bytes) {
    // "from:" and a blank come before each pair of brackets: at most a third is added.
    char *out = memory_calloc(bytes + bytes / 3 + 3, 1);
    if (out == NULL)
        return NULL;
    struct scan scan = {.at = text, .end = text + bytes, .to = out, .is_at_word_start = true};
    while (scan.at < scan.end)
        take_one(&scan);
    *out_bytes = (size_t)(scan.to - out);
    return out;
}
