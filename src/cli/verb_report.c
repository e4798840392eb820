// SPDX-License-Identifier: MIT
// adele report RUN... -o DIR: draws what the runs left in their folders, and prints the table.
#include "cli/arguments.h"
#include "cli/cli.h"

#include "adele/report.h"

#include <argp.h>
#include <stdio.h>

enum report_option { OPTION_OVERWRITE = 256 };

static error_t parse(int key, char *value, struct argp_state *state) {
    struct adele_report_options *arguments = state->input;
    const struct argument rows[] = {
        {'o', .text = &arguments->output, .required = "name the folder for the report: -o DIR"},
        {'D', .text = &arguments->data},
        {OPTION_OVERWRITE, .flag = &arguments->overwrite}};
    switch (key) {
    case ARGP_KEY_ARGS:
        arguments->runs = (const char *const *)state->argv + state->next;
        arguments->n_runs = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name the folder of one run or more");
        return 0;
    default:
        return ARGUMENTS_STORE(rows, key, value, state);
    }
}

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder for the figures and tables; made when it is not there", 0},
    {"data", 'D', "DIR", 0, "The runs' data set, where it has moved: the report is kept out of it",
     0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

const struct argp report_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RUN...",
    .doc = "Curves with fits and onsets, example panels, and a table of one or more "
           "runs.\vWrites into DIR: report.html, one file for a browser with all that follows "
           "and a gallery of the images whose labels changed most; comparison.png, "
           "RUN_onset.png and RUN_panels.png (each also as .svg), table.md and table.csv. "
           "Prints the table."};

int verb_report(int argc, char **argv) {
    struct adele_report_options arguments = {0};
    char *table = NULL;
    argp_parse(&report_argp, argc, argv, 0, NULL, &arguments);
    adele_status status = adele_report(&arguments, &table);
    if (status == ADELE_OK)
        printf("%s\nPage: %s/report.html\nFigures and tables: %s\n", table, arguments.output,
               arguments.output);
    adele_free(table);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
