// SPDX-License-Identifier: MIT
// adele report RUN... -o DIR: draws what the runs left in their folders, and prints the table.
#include "cli/cli.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/output.h"
#include "infer/run_folder.h"
#include "report/report.h"

#include <argp.h>
#include <stdio.h>

enum report_option { OPTION_OVERWRITE = 256 };

struct report_arguments {
    const char *folder, *data;
    bool is_overwriting;
    int n_runs;
    char **runs; // borrowed from argv
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    struct report_arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->folder = value;
        return 0;
    case 'D':
        arguments->data = value;
        return 0;
    case OPTION_OVERWRITE:
        arguments->is_overwriting = true;
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
    {"data", 'D', "DIR", 0, "The runs' data set, where it has moved: the report is kept out of it",
     0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
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

// A report needs nothing of the runs' configurations, so one that cannot be read guards nothing.
static adele_status guard_run(const char *run, const char *data, struct output *output) {
    struct config *config = NULL;
    adele_status status = run_folder_load_config(run, data, &config);
    if (status != ADELE_OK)
        return status == ADELE_NO_MEMORY ? status : ADELE_OK;
    status = run_folder_guard(run, config, output_guard(output));
    config_destroy(config);
    return status;
}

static adele_status write_report(const struct report_arguments *arguments,
                                 struct report_summary **summaries) {
    struct output *output = NULL;
    adele_status status;
    TRY(output_create(arguments->folder, arguments->is_overwriting, &output));
    TRY_GOTO(output_guard_add_data(output_guard(output), arguments->data), done);
    for (int i = 0; i < arguments->n_runs; i++)
        TRY_GOTO(guard_run(arguments->runs[i], arguments->data, output), done);
    status =
        report_write(arguments->n_runs, (const char *const *)arguments->runs, output, summaries);
done:
    output_destroy(output);
    return status;
}

int verb_report(int argc, char **argv) {
    struct report_arguments arguments = {0};
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&report_argp, argc, argv, 0, NULL, &arguments) != 0)
        return CLI_USAGE;
    struct report_summary *summaries = NULL;
    char *table = NULL;
    adele_status status = write_report(&arguments, &summaries);
    if (status == ADELE_OK)
        status = report_table(arguments.n_runs, summaries, &table);
    if (status == ADELE_OK)
        printf("%s\nFigures and tables: %s\n", table, arguments.folder);
    memory_free(table);
    report_summaries_destroy(arguments.n_runs, summaries);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
