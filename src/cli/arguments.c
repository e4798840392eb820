// SPDX-License-Identifier: MIT
#include "cli/arguments.h"

#include "cli/option_list.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The option's name in argp's table, for messages.
static const char *name_of(const struct argument *row, const struct argp_state *state) {
    return option_list_find(state->root_argp, row->key)->name;
}

static const char *parse_choice(const struct argument *row, const char *value,
                                struct argp_state *state) {
    const struct argp_option *option = option_list_find(state->root_argp, row->key);
    for (const char *at = option->arg; *at != '\0';) {
        size_t length = strcspn(at, "|");
        if (strlen(value) == length && memcmp(at, value, length) == 0)
            return value;
        at += length + (at[length] == '|');
    }
    argp_error(state, "--%s: '%s' is none of %s", option->name, value, option->arg);
    return NULL;
}

static int64_t parse_whole(const struct argument *row, const char *value,
                           struct argp_state *state) {
    const int64_t most = row->whole != NULL ? INT_MAX : INT64_MAX;
    const int64_t high = row->high > 0 ? row->high : most;
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end != value && *end == '\0' && errno == 0 && number >= row->low && number <= high)
        return number;
    char limit[32] = "";
    if (row->high > 0)
        (void)snprintf(limit, sizeof limit, " to %lld", (long long)high);
    // A value that may be left out is written behind '='.
    argp_error(state, "--%s%c%s: a whole number from %lld%s", name_of(row, state),
               row->otherwise != 0 ? '=' : ' ', value, (long long)row->low, limit);
    return 0;
}

static double parse_share(const struct argument *row, const char *value, struct argp_state *state) {
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || !(number >= 0 && number <= 1))
        argp_error(state, "--%s: '%s' is not a number from 0 to 1", name_of(row, state), value);
    return number;
}

static uint64_t parse_seed(const struct argument *row, const char *value,
                           struct argp_state *state) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        argp_error(state, "--%s: '%s' is not a whole number from 0", name_of(row, state), value);
    return number;
}

static void store(const struct argument *row, const char *value, struct argp_state *state) {
    if (row->text != NULL)
        *row->text = value;
    else if (row->choice != NULL)
        *row->choice = parse_choice(row, value, state);
    else if (row->flag != NULL)
        *row->flag = 1;
    else if (row->whole != NULL)
        *row->whole = value != NULL ? (int)parse_whole(row, value, state) : row->otherwise;
    else if (row->large != NULL)
        *row->large = parse_whole(row, value, state);
    else if (row->share != NULL)
        *row->share = parse_share(row, value, state);
    else if (row->seed != NULL)
        *row->seed = parse_seed(row, value, state);
    else if (row->sets != NULL && row->sets->n == ARGUMENTS_MAX_SETS)
        argp_error(state, "more than %d --set", ARGUMENTS_MAX_SETS);
    else if (row->sets != NULL)
        row->sets->texts[row->sets->n++] = value;
}

error_t arguments_store(const struct argument *rows, size_t n, int key, const char *value,
                        struct argp_state *state) {
    for (size_t i = 0; i < n; i++) {
        const struct argument *row = &rows[i];
        if (key == ARGP_KEY_END && row->required != NULL && *row->text == NULL)
            argp_error(state, "%s", row->required);
        if (row->key != key)
            continue;
        if (key == ARGP_KEY_ARG && row->text == NULL)
            argp_error(state, "unexpected argument '%s'", value);
        else if (key == ARGP_KEY_ARG && *row->text != NULL)
            argp_error(state, "one %s only; unexpected argument '%s'", row->name, value);
        store(row, value, state);
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}
