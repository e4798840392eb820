// SPDX-License-Identifier: MIT
#include "cli/cli.h"
#include "cli/model_arguments.h"

#include <stdio.h>

struct arguments {
    struct model_arguments model;
    struct adele_predict_options options;
};

static const struct argp_option option_table[] = {
    {"input", 'i', "DIR", 0, "Folder of images or volumes", 0},
    {"output", 'o', "DIR", 0, "Folder for the masks", 0},
    {"probabilities", 'p', 0, 0, "Also write NAME.safetensors with the probabilities", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->model;
        return 0;
    case 'i':
        arguments->options.input = value;
        return 0;
    case 'o':
        arguments->options.output = value;
        return 0;
    case 'p':
        arguments->options.probabilities = 1;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->options.input || !arguments->options.output)
            argp_error(state, "name the folders with -i DIR and -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static adele_status predict(struct adele_model *model, void *context) {
    struct arguments *arguments = context;
    struct adele_predict_options *options = &arguments->options;
    int n_cases = 0;
    options->inference = arguments->model.inference;
    options->overwrite = arguments->model.overwrite;
    options->watch = arguments->model.watch;
    adele_status status = adele_model_predict(model, options, &n_cases);
    if (status == ADELE_OK && !arguments->model.is_quiet)
        printf("%d mask(s) in %s\n", n_cases, options->output);
    return status;
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp predict_argp = {
    option_table,
    parse,
    "CHECKPOINT|RUN",
    "Writes a mask for every image of a folder, at the image's own size: what is brought "
    "to that size is the network's output, not the finished map.\v" MODEL_RANKS_DOC,
    children,
    0,
    0};

int verb_predict(int argc, char **argv) {
    struct arguments arguments = {0};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&predict_argp, argc, argv, 0, 0, &arguments);
    return model_arguments_run(&arguments.model, predict, &arguments);
}
