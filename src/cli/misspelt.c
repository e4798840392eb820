// SPDX-License-Identifier: MIT
#include "cli/misspelt.h"

#include "cli/option_list.h"

#include <stdio.h>
#include <string.h>

// ---- verbs --------------------------------------------------------------------------------------

// Whether so many insertions, deletions, replacements or swaps of neighbours lead from a to b.
static bool is_within(const char *a, const char *b, int n_edits) {
    if (*a == *b)
        return *a == '\0' || is_within(a + 1, b + 1, n_edits);
    if (n_edits == 0)
        return false;
    bool is_swap = *a != '\0' && *b != '\0' && a[1] == b[0] && b[1] == a[0];
    return (is_swap && is_within(a + 2, b + 2, n_edits - 1)) ||
           (*a != '\0' && *b != '\0' && is_within(a + 1, b + 1, n_edits - 1)) ||
           (*a != '\0' && is_within(a + 1, b, n_edits - 1)) ||
           (*b != '\0' && is_within(a, b + 1, n_edits - 1));
}

// Of a short word, more edits would lead to anything.
static int most_edits(size_t length) {
    return length < 2 ? 0 : length < 5 ? 1 : 2;
}

const char *misspelt_nearest_verb(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < cli_n_verbs; i++)
        if (length >= 3 && strncmp(name, cli_verbs[i].name, length) == 0)
            return cli_verbs[i].name;
    for (int n_edits = 1; n_edits <= most_edits(length); n_edits++)
        for (size_t i = 0; i < cli_n_verbs; i++)
            if (is_within(name, cli_verbs[i].name, n_edits))
                return cli_verbs[i].name;
    return NULL;
}

// ---- options ------------------------------------------------------------------------------------

// A word that may be an option of the verb, and what was found out about it.
struct search {
    const char *name; // of a long option, without "--" and value; or NULL
    size_t length;
    char letter; // of a short option, where name is NULL
    bool is_option, takes_value;
    int n_edits; // of `nearest`
    const char *nearest;
};

static void compare_name(struct search *search, const char *name, bool takes_value) {
    char word[64];
    if (strncmp(name, search->name, search->length) == 0) { // getopt takes shortened names too
        search->is_option = true;
        search->takes_value = takes_value;
        return;
    }
    (void)snprintf(word, sizeof word, "%.*s", (int)search->length, search->name);
    for (int n_edits = 1; n_edits < search->n_edits; n_edits++)
        if (is_within(word, name, n_edits)) {
            search->n_edits = n_edits;
            search->nearest = name;
        }
}

static void compare(const struct option_entry *option, void *context) {
    struct search *search = context;
    bool takes_value = option->value != NULL && !option->is_value_optional;
    for (int i = 0; search->name != NULL && i < option->n_names; i++)
        compare_name(search, option->names[i], takes_value);
    if (search->name == NULL && memchr(option->letters, search->letter, (size_t)option->n_letters))
        search->takes_value = takes_value;
}

static struct search find_option(const struct cli_verb *verb, const char *word) {
    struct search search = {.name = word[1] == '-' ? word + 2 : NULL, .letter = word[1]};
    if (search.name != NULL) {
        search.length = strcspn(search.name, "=");
        search.n_edits = most_edits(search.length) + 1;
    }
    option_list_visit(verb->argp, compare, &search);
    option_list_visit(&option_list_standard, compare, &search);
    return search;
}

bool misspelt_check_options(const struct cli_verb *verb, int argc, char *const *argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0')
            continue;
        const struct search search = find_option(verb, argv[i]);
        if (search.name != NULL && !search.is_option && search.nearest != NULL) {
            fprintf(stderr,
                    "adele: error: `adele %s` has no option '--%.*s'; did you mean '--%s'?\n"
                    "  hint: `adele %s --help` lists its options.\n",
                    verb->name, (int)search.length, search.name, search.nearest, verb->name);
            return false;
        }
        bool is_value_next = search.name != NULL ? search.name[search.length] == '\0'
                                                 : argv[i][2] == '\0'; // else it is attached
        if (search.takes_value && is_value_next)
            i++;
    }
    return true;
}
