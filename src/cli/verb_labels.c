// SPDX-License-Identifier: MIT
#include "base/log.h"
#include "cli/cli.h"
#include "train/model.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

struct arguments {
    const char *run, *output;
    int epoch;
};

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder for the label files and changes.csv", 0},
    {"epoch", 'e', "N", 0, "As they were after the correction of that epoch (default: the last)",
     0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->output = value;
        return 0;
    case 'e':
        arguments->epoch = atoi(value);
        if (arguments->epoch < 1)
            argp_error(state, "--epoch %s: a whole number from 1", value);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->run)
            argp_error(state, "one RUN only; '%s' is too much", value);
        arguments->run = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->run || !arguments->output)
            argp_error(state, "name the run's folder and -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_line(void *context, enum log_level level, const char *line) {
    (void)context;
    if (level != LOG_DETAIL)
        printf("%s\n", line);
}

const struct argp labels_argp = {
    options,
    parse,
    "RUN",
    "Writes the corrected training labels of a run in the input's own layout and file type, "
    "and changes.csv, most changed first.",
    0,
    0,
    0};

int verb_labels(int argc, char **argv) {
    struct arguments arguments = {.epoch = -1};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&labels_argp, argc, argv, 0, 0, &arguments);
    log_set_sink(print_line, NULL);
    adele_status status = model_export_labels(arguments.run, arguments.epoch, arguments.output);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    printf("corrected labels in %s\n", arguments.output);
    return CLI_OK;
}
