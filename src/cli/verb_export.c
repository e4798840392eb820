// SPDX-License-Identifier: MIT
#include "adele/model.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/model_arguments.h"

#include <stdio.h>

enum export_option { OPTION_CHECKPOINT = 256, OPTION_OVERWRITE };

struct arguments {
    const char *path, *checkpoint;
    struct adele_export_options options;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The file to write, such as model.onnx", 0},
    {"checkpoint", OPTION_CHECKPOINT, "last|best", 0, "Which checkpoint of the run (default: last)",
     0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

#define FILES "name a checkpoint file or a run folder, and -o FILE"

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    const struct argument rows[] = {
        {ARGP_KEY_ARG, "CHECKPOINT or RUN", .text = &arguments->path, .required = FILES},
        {'o', .text = &arguments->options.output, .required = FILES},
        {OPTION_CHECKPOINT, .choice = &arguments->checkpoint},
        {OPTION_OVERWRITE, .flag = &arguments->options.overwrite}};
    return ARGUMENTS_STORE(rows, key, value, state);
}

const struct argp export_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "CHECKPOINT|RUN",
    .doc =
        "Writes the network as an ONNX file (opset 17) for other programs, such as ONNX "
        "Runtime. It takes images as their files hold them, normalizes them itself, and "
        "returns the logits at their size. Batch, height and width are free, but images should be "
        "resized to the height and width that the file's metadata name, those of the training "
        "(with data.patch: cut into windows of that size)."};

int verb_export(int argc, char **argv) {
    struct arguments arguments = {0};
    struct adele_model *model = NULL;
    argp_parse(&export_argp, argc, argv, 0, 0, &arguments);
    adele_status status = adele_model_open(arguments.path, arguments.checkpoint, "cpu", &model);
    if (status == ADELE_OK)
        status = adele_model_export(model, &arguments.options);
    if (status == ADELE_OK) {
        const struct adele_model_info *info = adele_model_describe(model);
        model_print_checkpoint(info);
        printf("%s: image (batch, %d, height, width) -> logits (batch, %d, height, width)\n"
               "Resize images to %d x %d (height x width), the size of the training; with "
               "data.patch, take windows of that size.\n",
               arguments.options.output, info->n_channels, info->n_classes, info->height,
               info->width);
    }
    adele_model_close(model);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
