// SPDX-License-Identifier: MIT
// adele help: the list of verbs, the help of one, and what is written from the option tables for
// others to read: manual pages and the shells' completion. The build installs their output.
#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/misspelt.h"

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct help_arguments {
    const struct cli_verb *verb; // NULL = none
    void (*print_completion)(void);
    bool is_manual;
};

static const struct argp_option options[] = {
    {"man", 'm', 0, 0, "Print the manual page, of adele or of COMMAND, for `man -l -`", 0},
    {"completion", 'c', "bash|zsh", 0,
     "Print the completion: source <(adele help --completion bash)", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct help_arguments *arguments = state->input;
    switch (key) {
    case 'm':
        arguments->is_manual = true;
        return 0;
    case 'c':
        arguments->print_completion = strcmp(cli_parse_choice(state, key, value), "bash") == 0
                                          ? completion_print_bash
                                          : completion_print_zsh;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->verb != NULL)
            argp_error(state, "one COMMAND only; unexpected argument '%s'", value);
        arguments->verb = cli_verb_find(value);
        if (arguments->verb == NULL) {
            const char *nearest = misspelt_nearest_verb(value);
            argp_error(state, "no command '%s'%s%s%s", value, nearest ? "; did you mean '" : "",
                       nearest ? nearest : "", nearest ? "'?" : "");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp help_argp = {options,
                               parse,
                               "[COMMAND]",
                               "Lists the commands, or explains one, as adele COMMAND --help does.",
                               0,
                               0,
                               0};

int verb_help(int argc, char **argv) {
    struct help_arguments arguments = {0};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&help_argp, argc, argv, 0, 0, &arguments);
    if (arguments.print_completion != NULL) {
        arguments.print_completion();
    } else if (arguments.is_manual) {
        manual_print(arguments.verb);
    } else if (arguments.verb != NULL) {
        char name[64];
        snprintf(name, sizeof name, "adele %s", arguments.verb->name);
        char option[] = "--help", *help[] = {name, option, NULL};
        return arguments.verb->run(2, help); // argp prints it and ends the program
    } else {
        cli_print_help();
    }
    return CLI_OK;
}
