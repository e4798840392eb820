// SPDX-License-Identifier: MIT
// adele report RUN... -o DIR: draws what the runs left in their folders, and prints the table.
#include "cli/cli.h"

#include "base/memory.h"
#include "report/report.h"

#include <argp.h>
#include <stdio.h>

struct report_options {
    const char *folder;
    int n_runs;
    char **runs; // borrowed from argv
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    struct report_options *options = state->input;
    switch (key) {
    case 'o':
        options->folder = value;
        return 0;
    case ARGP_KEY_ARGS:
        options->runs = state->argv + state->next;
        options->n_runs = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name the folder of one run or more");
        return 0;
    case ARGP_KEY_END:
        if (options->folder == NULL)
            argp_error(state, "name the folder for the report: -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int verb_report(int argc, char **argv) {
    static const struct argp_option known[] = {
        {"output", 'o', "DIR", 0, "Folder for the figures and tables; made when it is not there",
         0},
        {0}};
    static const struct argp parser = {
        known,
        parse_option,
        "RUN...",
        "Curves with fits and onsets, example panels, and a table of one or more runs.\v"
        "Writes into DIR: comparison.png, RUN_onset.png and RUN_panels.png (each also as .svg), "
        "table.md and table.csv. Prints the table.",
        NULL,
        NULL,
        NULL};
    struct report_options options = {0};
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&parser, argc, argv, 0, NULL, &options) != 0)
        return CLI_USAGE;
    struct report_summary *summaries = NULL;
    char *table = NULL;
    adele_status status =
        report_write(options.n_runs, (const char *const *)options.runs, options.folder, &summaries);
    if (status == ADELE_OK)
        status = report_table(options.n_runs, summaries, &table);
    if (status == ADELE_OK)
        printf("%s\nFigures and tables: %s\n", table, options.folder);
    memory_free(table);
    report_summaries_destroy(options.n_runs, summaries);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
