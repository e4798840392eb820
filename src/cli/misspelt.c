// SPDX-License-Identifier: MIT
#include "cli/misspelt.h"

#include "adele/adele.h"
#include "base/edit_distance.h"
#include "cli/option_list.h"
#include "cli/shell.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// ---- verbs --------------------------------------------------------------------------------------

// Of a short word, more edits would lead to anything.
static int most_edits(size_t length) {
    return length < 2 ? 0 : length < 5 ? 1 : 2;
}

const char *misspelt_nearest_verb(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < cli_n_verbs; i++)
        if (length >= 3 && strncmp(name, cli_verbs[i].name, length) == 0)
            return cli_verbs[i].name;
    const char *nearest = NULL;
    int limit = most_edits(length) + 1;
    for (size_t i = 0; i < cli_n_verbs; i++) {
        const int n_edits = edit_distance(name, cli_verbs[i].name, EDIT_SWAP_ONE);
        if (n_edits < limit) {
            limit = n_edits;
            nearest = cli_verbs[i].name;
        }
    }
    return nearest;
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
    const int n_edits = edit_distance(word, name, EDIT_SWAP_ONE);
    if (n_edits < search->n_edits) {
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

// ---- keys of a configuration --------------------------------------------------------------------

#define MAX_KEYS   3 // that a message names
#define MAX_DEPTH  8 // of groups
#define WORD_BYTES 64

struct found_keys {
    struct adele_config_key keys[MAX_KEYS];
    int n;
};

static int depth_of(const char *key) {
    int n = 0;
    for (; *key != '\0'; key++)
        n += *key == '.';
    return n;
}

// Keys whose last part is within so many edits of the word, or whose path is the word; those in
// the fewest groups first.
static void find_keys(const char *word, int n_edits, struct found_keys *found) {
    struct adele_config_key key;
    for (int depth = 0; depth < MAX_DEPTH; depth++)
        for (int i = 0; adele_config_key(i, &key); i++) {
            const char *dot = strrchr(key.name, '.'), *last = dot != NULL ? dot + 1 : key.name;
            bool is_meant =
                edit_distance(word, last, EDIT_SWAP_ONE) <= n_edits || strcmp(word, key.name) == 0;
            if (is_meant && depth_of(key.name) == depth && found->n < MAX_KEYS)
                found->keys[found->n++] = key;
        }
}

// What --batch, --batch-size or --epoch means, in this order: the name of a key, a name that begins
// with one, a misspelt one.
static void find_meant_keys(const struct search *search, struct found_keys *found) {
    char word[WORD_BYTES];
    (void)snprintf(word, sizeof word, "%.*s", (int)search->length, search->name);
    for (char *c = word; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c;
    find_keys(word, 0, found);
    if (found->n > 0 || search->nearest != NULL)
        return;
    const int most = most_edits(strlen(word));
    for (int n_edits = 1; n_edits <= most && found->n == 0; n_edits++)
        find_keys(word, n_edits, found);
    char *end = strchr(word, '_');
    if (found->n > 0 || end == NULL || end == word)
        return;
    *end = '\0';
    find_keys(word, 0, found);
}

static void note_set(const struct option_entry *option, void *context) {
    bool *has_set = context;
    for (int i = 0; i < option->n_names; i++)
        *has_set = *has_set || strcmp(option->names[i], "set") == 0;
}

// The value that was given with the option, or "VALUE".
static const char *value_of(const struct search *search, const char *next) {
    if (search->name[search->length] == '=')
        return search->name + search->length + 1;
    bool is_value = next != NULL && (next[0] != '-' || isdigit((unsigned char)next[1]));
    return is_value ? next : "VALUE";
}

// Whether the word is a key of the configuration, which --set takes; then after a message.
static bool refuse_key(const struct cli_verb *verb, const struct search *search, const char *next) {
    struct found_keys found = {0};
    bool has_set = false;
    option_list_visit(verb->argp, note_set, &has_set);
    if (has_set)
        find_meant_keys(search, &found);
    if (found.n == 0)
        return false;
    fprintf(stderr,
            "adele: error: `adele %s` has no option '--%.*s'; keys of a configuration are "
            "given with --set\n  hint: Write",
            verb->name, (int)search->length, search->name);
    for (int i = 0; i < found.n; i++) {
        char setting[WORD_BYTES + 256];
        (void)snprintf(setting, sizeof setting, "%s=%s", found.keys[i].name,
                       value_of(search, next));
        fputs(i == 0 ? " --set " : i + 1 < found.n ? ", --set " : " or --set ", stderr);
        shell_print_word(stderr, setting);
    }
    fprintf(stderr, "; `adele %s --help` lists its options.\n", verb->name);
    return true;
}

// ---- a command ----------------------------------------------------------------------------------

static void refuse_option(const struct cli_verb *verb, const struct search *search) {
    fprintf(stderr,
            "adele: error: `adele %s` has no option '--%.*s'; did you mean '--%s'?\n"
            "  hint: `adele %s --help` lists its options.\n",
            verb->name, (int)search->length, search->name, search->nearest, verb->name);
}

bool misspelt_check_options(const struct cli_verb *verb, int argc, char *const *argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0')
            continue;
        const struct search search = find_option(verb, argv[i]);
        const bool is_unknown = search.name != NULL && !search.is_option;
        if (is_unknown && refuse_key(verb, &search, i + 1 < argc ? argv[i + 1] : NULL))
            return false;
        if (is_unknown && search.nearest != NULL) {
            refuse_option(verb, &search);
            return false;
        }
        bool is_value_next = search.name != NULL ? search.name[search.length] == '\0'
                                                 : argv[i][2] == '\0'; // else it is attached
        if (search.takes_value && is_value_next)
            i++;
    }
    return true;
}
