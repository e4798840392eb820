// SPDX-License-Identifier: MIT
#include "adele/audit.h"
#include "cli/cli.h"
#include "cli/model_arguments.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum audit_option {
    OPTION_REGIONS = 256,
    OPTION_OVERLAYS,
    OPTION_CONFIDENCE,
    OPTION_MIN_PIXELS,
    OPTION_MASK,
    OPTION_LABELS
};

struct arguments {
    struct model_arguments model;
    struct adele_audit_options options;
};

static const struct argp_option option_table[] = {
    {"output", 'o', "DIR", 0, "Folder of the results (default: the folder audit of the run)", 0},
    {"data", 'D', "DIR", 0, "Data set (default: the run's own)", 0},
    {"labels", OPTION_LABELS, "DIR", 0,
     "Other training labels, same file names (default: those that the run was given)", 0},
    {"split", 'p', "train|val|test", 0, "Which split (default: train)", 0},
    {"confidence", OPTION_CONFIDENCE, "X", 0,
     "A region is doubtful from this mean probability of another class on (default: 0.5)", 0},
    {"min-pixels", OPTION_MIN_PIXELS, "N", 0, "Pixels of a doubtful region (default: 1)", 0},
    {"regions", OPTION_REGIONS, "N", 0, "Rows of regions.csv (default: 10000)", 0},
    {"overlays", OPTION_OVERLAYS, "N", 0, "Images with pictures (default: 32)", 0},
    {"mask-doubtful", OPTION_MASK, "VALUE", 0,
     "Also write the labels with this value, which the data set ignores (255), in doubtful regions",
     0},
    {0}};

static long long parse_count(struct argp_state *state, const char *name, const char *text,
                             long long low, long long high) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < low || value > high)
        argp_error(state, "%s %s: a whole number from %lld to %lld", name, text, low, high);
    return value;
}

static double parse_share(struct argp_state *state, const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0.0 && value <= 1.0))
        argp_error(state, "%s %s: a number from 0 to 1", name, text);
    return value;
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct adele_audit_options *options = &arguments->options;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->model;
        return 0;
    case 'o':
        options->output = value;
        return 0;
    case 'D':
        options->data = value;
        return 0;
    case OPTION_LABELS:
        options->labels = value;
        return 0;
    case 'p':
        options->split = cli_parse_choice(state, key, value);
        return 0;
    case OPTION_CONFIDENCE:
        options->confidence = parse_share(state, "--confidence", value);
        return 0;
    case OPTION_MIN_PIXELS:
        options->min_pixels = parse_count(state, "--min-pixels", value, 1, INT64_MAX);
        return 0;
    case OPTION_REGIONS:
        options->n_regions = (int)parse_count(state, "--regions", value, 0, 10000000);
        return 0;
    case OPTION_OVERLAYS:
        options->n_overlays = (int)parse_count(state, "--overlays", value, 0, 9999);
        return 0;
    case OPTION_MASK:
        options->mask_value = (int)parse_count(state, "--mask-doubtful", value, 0, 65535);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static double percent(int64_t part, int64_t whole) {
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_summary(const struct adele_model_info *model,
                          const struct adele_audit_summary *summary) {
    printf("%d images; %lld doubtful regions hold %.2f %% of the pixels\n", summary->n_images,
           (long long)summary->n_regions, percent(summary->n_doubtful_pixels, summary->n_pixels));
    printf("%-20s  %6s  %8s\n", "class", "score", "doubtful");
    for (int c = 0; c < summary->n_classes; c++) {
        printf("%-20s", model->class_names[c]);
        if (isfinite(summary->score[c]))
            printf("  %6.4f", summary->score[c]);
        else
            printf("  %6s", "-");
        printf("  %6.2f %%\n",
               percent(summary->class_doubtful_pixels[c], summary->class_pixels[c]));
    }
}

static adele_status audit(struct adele_model *model, void *context) {
    struct arguments *arguments = context;
    struct adele_audit_options *options = &arguments->options;
    struct adele_audit_summary summary;
    options->inference = arguments->model.inference;
    options->overwrite = arguments->model.overwrite;
    options->watch = arguments->model.watch;
    adele_status status = adele_model_audit(model, options, &summary);
    if (status != ADELE_OK)
        return status;
    print_summary(adele_model_describe(model), &summary);
    if (options->output)
        printf("most doubtful first: %s/audit.csv\n", options->output);
    else
        printf("most doubtful first: audit/audit.csv in the run's folder\n");
    return ADELE_OK;
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp audit_argp = {
    option_table,
    parse,
    "CHECKPOINT|RUN",
    "Ranks images, classes and connected regions by how doubtful their labels are, given what a "
    "trained network predicts: audit.csv, classes.csv, regions.csv, and pictures of the most "
    "doubtful images.\vThe score of an image is the mean over its classes of the IoU that its "
    "label is expected to have under the predicted probabilities; low scores are doubtful. A "
    "network that has memorized wrong labels doubts none of them: use a run with correction, or "
    "an early checkpoint.",
    children,
    0,
    0};

int verb_audit(int argc, char **argv) {
    struct arguments arguments = {0};
    adele_audit_options_init(&arguments.options);
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&audit_argp, argc, argv, 0, 0, &arguments);
    return model_arguments_run(&arguments.model, audit, &arguments);
}
