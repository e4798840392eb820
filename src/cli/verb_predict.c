// SPDX-License-Identifier: MIT
#include "cli/arguments.h"
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
    {"probabilities", 'p', 0, 0,
     "Also write NAME.safetensors: a tensor probabilities, F32, 1 x classes x height x width "
     "at the image's own size; of a volume, slices x classes x height x width",
     0},
    {0}};

#define FOLDERS "name the folders with -i DIR and -o DIR"

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct adele_predict_options *options = &arguments->options;
    const struct argument rows[] = {{'i', .text = &options->input, .required = FOLDERS},
                                    {'o', .text = &options->output, .required = FOLDERS},
                                    {'p', .flag = &options->probabilities}};
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &arguments->model;
    return ARGUMENTS_STORE(rows, key, value, state);
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
    .options = option_table,
    .parser = parse,
    .args_doc = "CHECKPOINT|RUN",
    .children = children,
    .doc = "Writes a mask for every image of a folder, at the image's own size: what is brought "
           "to that size is the network's output, not the finished map.\v" MODEL_RANKS_DOC};

int verb_predict(int argc, char **argv) {
    struct arguments arguments = {0};
    argp_parse(&predict_argp, argc, argv, 0, 0, &arguments);
    return model_arguments_run(&arguments.model, predict, &arguments);
}
