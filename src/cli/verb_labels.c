// SPDX-License-Identifier: MIT
#include "adele/data.h"
#include "adele/report.h"
#include "cli/arguments.h"
#include "cli/cli.h"

#include <argp.h>
#include <stdio.h>

enum labels_option { OPTION_CHECKPOINT = 256, OPTION_OVERWRITE };

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder for the label files and changes.csv", 0},
    {"epoch", 'e', "N", 0, "As they were after the correction of that epoch (default: the last)",
     0},
    {"checkpoint", OPTION_CHECKPOINT, "last|best", 0,
     "As they were at that checkpoint (default: last)", 0},
    {"data", 'D', "DIR", 0, "The run's data set, where it has moved", 0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

#define FOLDERS "name the run's folder and -o DIR"

static error_t parse(int key, char *value, struct argp_state *state) {
    struct adele_labels_options *arguments = state->input;
    const struct argument rows[] = {
        {ARGP_KEY_ARG, "RUN", .text = &arguments->run_folder, .required = FOLDERS},
        {'o', .text = &arguments->output, .required = FOLDERS},
        {'e', .whole = &arguments->epoch, .low = 1},
        {OPTION_CHECKPOINT, .choice = &arguments->checkpoint},
        {'D', .text = &arguments->data},
        {OPTION_OVERWRITE, .flag = &arguments->overwrite}};
    if (key == ARGP_KEY_END && arguments->epoch > 0 && arguments->checkpoint != NULL)
        argp_error(state, "--epoch and --checkpoint exclude each other");
    return ARGUMENTS_STORE(rows, key, value, state);
}

const struct argp labels_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RUN",
    .doc = "Writes the corrected training labels of a run in the input's own layout and file "
           "type, and changes.csv, most changed first."};

#define MOST_CLASSES 5

// "leaf": such a class is not corrected, and its labels say nothing about the network.
static void show_not_learned(void *context, const struct adele_class_correction *class) {
    int *n_shown = context;
    if (class->is_not_learned && class->first_epoch == 0 && ++*n_shown <= MOST_CLASSES)
        printf("%s%s", *n_shown == 1 ? "not learned, predicted almost nowhere: " : ", ",
               class->name);
}

int verb_labels(int argc, char **argv) {
    struct adele_labels_options arguments = {0};
    long long n_changed = 0;
    arguments.n_changed = &n_changed;
    argp_parse(&labels_argp, argc, argv, 0, 0, &arguments);
    adele_status status = adele_labels(&arguments);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    printf("%s in %s\n",
           n_changed > 0 ? "corrected labels" : "the labels that the run was given are",
           arguments.output);
    int n_shown = 0; // a run without onset.json has nothing to show
    if (adele_run_corrections(arguments.run_folder, show_not_learned, &n_shown) == ADELE_OK &&
        n_shown > 0)
        printf(n_shown > MOST_CLASSES ? ", and %d more\n" : "\n", n_shown - MOST_CLASSES);
    return CLI_OK;
}
