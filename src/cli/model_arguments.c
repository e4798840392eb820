// SPDX-License-Identifier: MIT
#include "cli/model_arguments.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

enum model_option { OPTION_CHECKPOINT = 512, OPTION_OVERWRITE };

static const struct argp_option options[] = {
    {"device", 'd', "NAME", 0,
     "auto, cpu, cuda or cuda:N; /ENGINE behind it forces one: cpu/direct, cuda/cudnn (default: "
     "auto)",
     1},
    {"scales", 'S', "LIST", 0, "Input scales to average, as 0.75,1,1.5 (default: 1)", 1},
    {"flip", 'f', 0, 0, "Average with the mirror image (not where left and right are categories)",
     1},
    {"crf", 'c', "N", OPTION_ARG_OPTIONAL,
     "Follow the image's edges by N iterations of a dense CRF (default: 10)", 1},
    {"batch", 'b', "N", 0, "Slices of a volume at a time (default: 8)", 1},
    {"checkpoint", OPTION_CHECKPOINT, "WHICH", 0, CLI_CHECKPOINT_HELP, 1},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 1},
    {0}};

static void parse_scales(struct argp_state *state, const char *text,
                         struct inference_config *inference) {
    inference->n_scales = 0;
    const char *at = text;
    while (1) {
        char *end = NULL;
        double scale = strtod(at, &end);
        if (end == at || !(scale > 0.0 && scale <= 8.0) || (*end && *end != ','))
            argp_error(state, "--scales %s: numbers above 0 and up to 8 with commas between", text);
        if (inference->n_scales == INFERENCE_MAX_SCALES)
            argp_error(state, "--scales %s: at most %d", text, INFERENCE_MAX_SCALES);
        inference->scales[inference->n_scales++] = scale;
        if (!*end)
            return;
        at = end + 1;
    }
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct model_arguments *arguments = state->input;
    switch (key) {
    case 'd':
        arguments->device = value;
        return 0;
    case 'S':
        parse_scales(state, value, &arguments->options.inference);
        return 0;
    case 'f':
        arguments->options.inference.flip = true;
        return 0;
    case 'c':
        arguments->options.inference.crf_iterations = value ? atoi(value) : 10;
        if (arguments->options.inference.crf_iterations < 1)
            argp_error(state, "--crf=%s: a whole number from 1", value);
        return 0;
    case 'b':
        arguments->options.inference.batch = atoi(value);
        if (arguments->options.inference.batch < 1)
            argp_error(state, "--batch %s: a whole number from 1", value);
        return 0;
    case OPTION_CHECKPOINT:
        arguments->which = cli_parse_checkpoint(state, value);
        return 0;
    case OPTION_OVERWRITE:
        arguments->options.is_overwriting = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->checkpoint)
            argp_error(state, "one CHECKPOINT or RUN only; '%s' is too much", value);
        arguments->checkpoint = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->checkpoint)
            argp_error(state, "name a checkpoint file or a run folder");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const char *cli_parse_checkpoint(struct argp_state *state, const char *value) {
    if (strcmp(value, "last") != 0 && strcmp(value, "best") != 0)
        argp_error(state, "--checkpoint %s: last or best", value);
    return value;
}

const struct argp model_argp = {options, parse, 0, 0, 0, 0, 0};

void model_arguments_init(struct model_arguments *arguments) {
    memset(arguments, 0, sizeof *arguments);
    arguments->device = "auto";
    model_options_init(&arguments->options);
}

static void draw_case(void *context, int i, int n) {
    char text[64];
    snprintf(text, sizeof text, "case %d/%d", i, n);
    progress_draw(context, (double)i / n, text);
}

int model_arguments_run(struct model_arguments *arguments,
                        adele_status (*work)(struct model *model, void *context), void *context) {
    struct progress progress;
    struct model model;
    adele_status status = progress_init(&progress, NULL);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    arguments->options.on_case = draw_case;
    arguments->options.should_stop = progress_should_stop;
    arguments->options.context = &progress;
    status = model_load(arguments->checkpoint, arguments->which, arguments->device, &model);
    if (status == ADELE_OK) {
        printf("checkpoint %s, after epoch %d\n", model.path, model.epoch);
        status = work(&model, context);
        model_deinit(&model);
    }
    progress_deinit(&progress);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
