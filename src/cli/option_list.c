// SPDX-License-Identifier: MIT
#include "cli/option_list.h"

#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

// argp adds these options to every parser, but does not show its table of them.
static const struct argp_option standard[] = {{"help", '?', 0, 0, "Give this help list", -1},
                                              {"usage", 0, 0, 0, "Give a short usage message", -1},
                                              {0}};
const struct argp option_list_standard = {standard, 0, 0, 0, 0, 0, 0};

// argp's own rule for the end of a table: no name, no key, no text, no group.
static bool is_last(const struct argp_option *row) {
    return row->name == NULL && row->key == 0 && row->doc == NULL && row->group == 0;
}

static void add_names(const struct argp_option *row, struct option_entry *entry) {
    if (row->name != NULL && entry->n_names < OPTION_MAX_NAMES)
        entry->names[entry->n_names++] = row->name;
    bool is_letter = row->key > 0 && row->key < 128 && isprint(row->key);
    if (is_letter && entry->n_letters < OPTION_MAX_NAMES &&
        memchr(entry->letters, row->key, (size_t)entry->n_letters) == NULL)
        entry->letters[entry->n_letters++] = (char)row->key;
}

void option_list_visit(const struct argp *argp,
                       void (*visit)(const struct option_entry *option, void *context),
                       void *context) {
    const struct argp_option *row = argp->options;
    while (row != NULL && !is_last(row)) {
        struct option_entry entry = {.value = row->arg,
                                     .is_value_optional = (row->flags & OPTION_ARG_OPTIONAL) != 0,
                                     .doc = row->doc != NULL ? row->doc : ""};
        bool is_shown = (row->flags & OPTION_HIDDEN) == 0;
        add_names(row++, &entry);
        for (; !is_last(row) && (row->flags & OPTION_ALIAS) != 0; row++)
            if ((row->flags & OPTION_HIDDEN) == 0)
                add_names(row, &entry);
        if (is_shown && entry.n_names > 0)
            visit(&entry, context);
    }
    for (const struct argp_child *child = argp->children; child != NULL && child->argp; child++)
        option_list_visit(child->argp, visit, context);
}

enum option_value option_value_kind(const char *name) {
    static const struct {
        const char *name;
        enum option_value kind;
    } kinds[] = {
        {"DIR", OPTION_VALUE_FOLDER}, {"FILE", OPTION_VALUE_FILE}, {"KEY=VALUE", OPTION_VALUE_KEY}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].kind;
    return strchr(name, '|') != NULL ? OPTION_VALUE_CHOICE : OPTION_VALUE_ANY;
}

void option_value_visit(const char *name, void (*visit)(const char *word, int length)) {
    while (*name != '\0') {
        size_t length = strcspn(name, "|");
        bool is_literal = true;
        for (size_t i = 0; i < length; i++)
            is_literal = is_literal && !isupper((unsigned char)name[i]);
        if (is_literal)
            visit(name, (int)length);
        name += length + (name[length] == '|');
    }
}

const struct argp_option *option_list_find(const struct argp *argp, int key) {
    const struct argp_option *found = NULL;
    for (const struct argp_option *row = argp->options; row != NULL && !is_last(row); row++)
        if (row->key == key && row->name != NULL)
            return row;
    for (const struct argp_child *child = argp->children;
         found == NULL && child != NULL && child->argp != NULL; child++)
        found = option_list_find(child->argp, key);
    return found;
}
