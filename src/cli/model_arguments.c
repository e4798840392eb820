// SPDX-License-Identifier: MIT
#include "cli/model_arguments.h"

#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/together.h"

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
    struct adele_inference *inference = &arguments->inference;
    const struct argument rows[] = {
        {ARGP_KEY_ARG, "CHECKPOINT or RUN", .text = &arguments->path,
         .required = "name a checkpoint file or a run folder"},
        {'d', .text = &arguments->device},
        {'f', .flag = &inference->flip},
        {'c', .whole = &inference->crf_iterations, .low = 1, .otherwise = 10},
        {'b', .whole = &inference->batch, .low = 1},
        {OPTION_CHECKPOINT, .choice = &arguments->checkpoint},
        {OPTION_OVERWRITE, .flag = &arguments->overwrite}};
    switch (key) {
    case 'S':
        parse_scales(state, value, inference);
        return 0;
    case OPTION_WINDOW:
        parse_window(state, value, inference);
        return 0;
    default:
        return ARGUMENTS_STORE(rows, key, value, state);
    }
}

const struct argp model_argp = {.options = options, .parser = parse};

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

struct call {
    struct model_arguments *arguments;
    adele_status (*work)(struct adele_model *model, void *context);
    void *context;
    struct progress progress;
};

static adele_status open_and_call(struct adele_ranks *ranks, void *context) {
    struct call *call = context;
    struct model_arguments *arguments = call->arguments;
    struct adele_model *model = NULL;
    arguments->is_quiet = adele_ranks_index(ranks) > 0;
    arguments->watch = (struct adele_watch){draw_case, progress_should_stop, &call->progress};
    adele_status status = adele_model_open_together(ranks, arguments->path, arguments->checkpoint,
                                                    arguments->device, &model);
    if (status == ADELE_OK) {
        if (!arguments->is_quiet)
            model_print_checkpoint(adele_model_describe(model));
        status = call->work(model, call->context);
    }
    adele_model_close(model);
    return status;
}

static void say_how_to_go_on(adele_status status, void *context) {
    (void)context;
    if (status == ADELE_INTERRUPTED)
        fprintf(stderr, "  to go on: the same command begins again, with --overwrite where it has "
                        "written files already\n");
}

int model_arguments_run(struct model_arguments *arguments,
                        adele_status (*work)(struct adele_model *model, void *context),
                        void *context) {
    struct call call = {.arguments = arguments, .work = work, .context = context};
    return together_run(&call.progress, open_and_call, say_how_to_go_on, &call);
}
