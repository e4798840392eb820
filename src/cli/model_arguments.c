// SPDX-License-Identifier: MIT
#include "cli/model_arguments.h"

#include "adele/ranks.h"
#include "cli/cli.h"
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>

enum model_option { OPTION_CHECKPOINT = 512, OPTION_OVERWRITE, OPTION_WINDOW };

static const struct argp_option options[] = {
    {"device", 'd', CLI_DEVICE_VALUES, 0, CLI_DEVICE_HELP, 1},
    {"scales", 'S', "LIST", 0, "Input scales to average, as 0.75,1,1.5 (default: 1)", 1},
    {"flip", 'f', 0, 0, "Average with the mirror image (not where left and right are classes)", 1},
    {"crf", 'c', "N", OPTION_ARG_OPTIONAL,
     "Follow the image's edges by N iterations of a dense CRF (default: 10)", 1},
    {"batch", 'b', "N", 0, "Slices of a volume, small pictures or windows at a time (default: 8)",
     1},
    {"window", OPTION_WINDOW, "H,W", 0,
     "Keep images at their own size and slide a window of this height and width over them", 1},
    {"checkpoint", OPTION_CHECKPOINT, "last|best", 0, "Which checkpoint of the run (default: last)",
     1},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 1},
    {0}};

static void parse_scales(struct argp_state *state, const char *text,
                         struct adele_inference *inference) {
    inference->n_scales = 0;
    const char *at = text;
    while (1) {
        char *end = NULL;
        double scale = strtod(at, &end);
        if (end == at || !(scale > 0.0 && scale <= 8.0) || (*end && *end != ','))
            argp_error(state, "--scales %s: numbers above 0 and up to 8 with commas between", text);
        if (inference->n_scales == ADELE_MAX_INPUT_SCALES)
            argp_error(state, "--scales %s: at most %d", text, ADELE_MAX_INPUT_SCALES);
        inference->scales[inference->n_scales++] = scale;
        if (!*end)
            return;
        at = end + 1;
    }
}

static void parse_window(struct argp_state *state, const char *text,
                         struct adele_inference *inference) {
    int h = 0, w = 0, n = 0;
    if (sscanf(text, "%5d,%5d%n", &h, &w, &n) != 2 || text[n] || h < 1 || h > 16384 || w < 1 ||
        w > 16384)
        argp_error(state, "--window %s: height and width, each from 1 to 16384, as 512,512", text);
    inference->window_height = h;
    inference->window_width = w;
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct model_arguments *arguments = state->input;
    switch (key) {
    case 'd':
        arguments->device = value;
        return 0;
    case 'S':
        parse_scales(state, value, &arguments->inference);
        return 0;
    case 'f':
        arguments->inference.flip = 1;
        return 0;
    case 'c':
        arguments->inference.crf_iterations = value ? atoi(value) : 10;
        if (arguments->inference.crf_iterations < 1)
            argp_error(state, "--crf=%s: a whole number from 1", value);
        return 0;
    case 'b':
        arguments->inference.batch = atoi(value);
        if (arguments->inference.batch < 1)
            argp_error(state, "--batch %s: a whole number from 1", value);
        return 0;
    case OPTION_CHECKPOINT:
        arguments->checkpoint = cli_parse_choice(state, key, value);
        return 0;
    case OPTION_WINDOW:
        parse_window(state, value, &arguments->inference);
        return 0;
    case OPTION_OVERWRITE:
        arguments->overwrite = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->path)
            argp_error(state, "one CHECKPOINT or RUN only; unexpected argument '%s'", value);
        arguments->path = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->path)
            argp_error(state, "name a checkpoint file or a run folder");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp model_argp = {options, parse, 0, 0, 0, 0, 0};

static void draw_case(void *context, int i, int n) {
    char text[64];
    snprintf(text, sizeof text, "case %d/%d", i, n);
    progress_draw(context, (double)i / n, text, "");
}

void model_print_checkpoint(const struct adele_model_info *info) {
    printf("checkpoint %s, after epoch %d\n", info->path, info->epoch);
    if (info->is_averaged)
        printf("averaged weights (train.evaluate_averaged)\n");
}

static adele_status open_and_call(struct model_arguments *arguments, struct adele_ranks *ranks,
                                  adele_status (*work)(struct adele_model *model, void *context),
                                  void *context) {
    struct progress progress;
    struct adele_model *model = NULL;
    arguments->is_quiet = adele_ranks_index(ranks) > 0;
    progress_init(&progress);
    if (ranks != NULL)
        progress_join_ranks(&progress, arguments->is_quiet);
    arguments->watch = (struct adele_watch){draw_case, progress_should_stop, &progress};
    adele_status status = adele_model_open_together(ranks, arguments->path, arguments->checkpoint,
                                                    arguments->device, &model);
    if (status == ADELE_OK) {
        const struct adele_model_info *info = adele_model_describe(model);
        if (!arguments->is_quiet)
            model_print_checkpoint(info);
        status = work(model, context);
    }
    adele_model_close(model);
    progress_deinit(&progress);
    return status;
}

// As for a training, all is said before this process leaves.
int model_arguments_run(struct model_arguments *arguments,
                        adele_status (*work)(struct adele_model *model, void *context),
                        void *context) {
    struct adele_ranks *ranks = NULL;
    int code = CLI_OK;
    adele_status status = adele_ranks_join(&ranks);
    if (status == ADELE_OK)
        status = open_and_call(arguments, ranks, work, context);
    if (status != ADELE_OK)
        code = status == ADELE_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
    if (status != ADELE_OK && adele_ranks_should_report(ranks, status)) {
        (void)cli_report_failure(status);
        if (status == ADELE_INTERRUPTED)
            fprintf(stderr, "  to go on: the same command begins again, with --overwrite where it "
                            "has written files already\n");
    }
    (void)fflush(stdout);
    adele_ranks_leave(ranks, status);
    return code;
}
