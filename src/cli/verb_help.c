// SPDX-License-Identifier: MIT
// adele help: the list of verbs, the help of one, and what is written from the option tables for
// others to read: manual pages and the shells' completion. The build installs their output.
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/misspelt.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

struct help_arguments {
    const struct cli_verb *verb; // NULL = none
    const char *completion;      // of that shell
    int is_manual;
};

static const struct argp_option options[] = {
    {"man", 'm', 0, 0, "Print the manual page, of adele or of COMMAND, for `man -l -`", 0},
    {"completion", 'c', "bash|zsh", 0,
     "Print the completion: source <(adele help --completion bash)", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct help_arguments *arguments = state->input;
    const struct argument rows[] = {{'m', .flag = &arguments->is_manual},
                                    {'c', .choice = &arguments->completion}};
    if (key != ARGP_KEY_ARG)
        return ARGUMENTS_STORE(rows, key, value, state);
    if (arguments->verb != NULL)
        argp_error(state, "one COMMAND only; unexpected argument '%s'", value);
    arguments->verb = cli_verb_find(value);
    if (arguments->verb == NULL) {
        const char *nearest = misspelt_nearest_verb(value);
        argp_error(state, "no command '%s'%s%s%s", value, nearest ? "; did you mean '" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
    }
    return 0;
}

const struct argp help_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[COMMAND]",
    .doc = "Lists the commands, or explains one, as adele COMMAND --help does."};

int verb_help(int argc, char **argv) {
    struct help_arguments arguments = {0};
    argp_parse(&help_argp, argc, argv, 0, 0, &arguments);
    if (arguments.completion != NULL && strcmp(arguments.completion, "bash") == 0) {
        completion_print_bash();
    } else if (arguments.completion != NULL) {
        completion_print_zsh();
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
