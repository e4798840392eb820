// SPDX-License-Identifier: MIT
#include "cli/cli.h"
#include "cli/model_arguments.h"

static const struct argp_option options[] = {
    {"input", 'i', "DIR", 0, "Folder of images or volumes", 0},
    {"output", 'o', "DIR", 0, "Folder for the label maps", 0},
    {"probabilities", 'p', 0, 0, "Also write NAME.safetensors with the probabilities", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct model_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = arguments;
        return 0;
    case 'i':
        arguments->options.data = value;
        arguments->options.is_folder = true;
        return 0;
    case 'o':
        arguments->options.masks_folder = value;
        return 0;
    case 'p':
        arguments->options.probabilities = true;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->options.data || !arguments->options.masks_folder)
            argp_error(state, "name the folders with -i DIR and -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static adele_status predict(struct model *model, void *context) {
    const struct model_arguments *arguments = context;
    int n_cases = 0;
    adele_status status = model_predict(model, &arguments->options, &n_cases);
    if (status == ADELE_OK)
        printf("%d label map(s) in %s\n", n_cases, arguments->options.masks_folder);
    return status;
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp predict_argp = {
    options,
    parse,
    "CHECKPOINT|RUN",
    "Writes a label map for every image of a folder, at the image's own size: what is brought "
    "to that size is the network's answer, not the finished map.",
    children,
    0,
    0};

int verb_predict(int argc, char **argv) {
    struct model_arguments arguments;
    model_arguments_init(&arguments);
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&predict_argp, argc, argv, 0, 0, &arguments);
    return model_arguments_run(&arguments, predict, &arguments);
}
