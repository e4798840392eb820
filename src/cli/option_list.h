// SPDX-License-Identifier: MIT
// The options of a verb as its parser's tables have them, for what is written from these tables.
#ifndef ADELE_CLI_OPTION_LIST_H
#define ADELE_CLI_OPTION_LIST_H

#include <argp.h>
#include <stdbool.h>

#define OPTION_MAX_NAMES 4

// One option: the first row of the table and the aliases that follow it. Everything is borrowed.
struct option_entry {
    int n_names, n_letters;
    const char *names[OPTION_MAX_NAMES]; // without "--"
    char letters[OPTION_MAX_NAMES];
    const char *value; // its name, DIR for example; NULL when the option takes none
    bool is_value_optional;
    const char *doc;
};

// Calls `visit` for each option that is not hidden, those of child parsers after the parser's own,
// in the order of the tables.
void option_list_visit(const struct argp *argp,
                       void (*visit)(const struct option_entry *option, void *context),
                       void *context);
// The row of that key in the tables of a parser and its children; NULL: none.
const struct argp_option *option_list_find(const struct argp *argp, int key);
// The parser of the options that argp adds to every verb.
extern const struct argp option_list_standard;

// What a shell may offer for a value of that name: "last|best" is a choice.
enum option_value {
    OPTION_VALUE_ANY,
    OPTION_VALUE_FOLDER,
    OPTION_VALUE_FILE,
    OPTION_VALUE_KEY, // a key of the configuration, and what it is set to
    OPTION_VALUE_CHOICE
};
enum option_value option_value_kind(const char *name);
// Calls `visit` for each word of a choice, which lies at `word` and has `length` characters; not
// for those that stand for others, such as the N of "cuda:N".
void option_value_visit(const char *name, void (*visit)(const char *word, int length));
#endif
