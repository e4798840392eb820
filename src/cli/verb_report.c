// SPDX-License-Identifier: MIT
// adele report RUN... -o DIR: draws what the runs left in their folders, and prints the table.
#include "cli/cli.h"

#include "base/memory.h"
#include "report/report.h"

#include <argp.h>
#include <stdio.h>

struct report_arguments {
    const char *folder;
    int n_runs;
    char **runs; // borrowed from argv
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    struct report_arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->folder = value;
        return 0;
    case ARGP_KEY_ARGS:
        arguments->runs = state->argv + state->next;
        arguments->n_runs = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name the folder of one run or more");
        return 0;
    case ARGP_KEY_END:
        if (arguments->folder == NULL)
            argp_error(state, "name the folder for the report: -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder for the figures and tables; made when it is not there", 0},
    {0}};

const struct argp report_argp = {
    options,
    parse_option,
    "RUN...",
    "Curves with fits and onsets, example panels, and a table of one or more runs.\v"
    "Writes into DIR: comparison.png, RUN_onset.png and RUN_panels.png (each also as .svg), "
    "table.md and table.csv. Prints the table.",
    NULL,
    NULL,
    NULL};

int verb_report(int argc, char **argv) {
    struct report_arguments arguments = {0};
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&report_argp, argc, argv, 0, NULL, &arguments) != 0)
        return CLI_USAGE;
    struct report_summary *summaries = NULL;
    char *table = NULL;
    adele_status status = report_write(arguments.n_runs, (const char *const *)arguments.runs,
                                       arguments.folder, &summaries);
    if (status == ADELE_OK)
        status = report_table(arguments.n_runs, summaries, &table);
    if (status == ADELE_OK)
        printf("%s\nFigures and tables: %s\n", table, arguments.folder);
    memory_free(table);
    report_summaries_destroy(arguments.n_runs, summaries);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
