// SPDX-License-Identifier: MIT
#include "adele/audit.h"
#include "adele/ranks.h"
#include "cli/cli.h"
#include "cli/model_arguments.h"
#include "cli/progress.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum audit_option {
    OPTION_REGIONS = 256,
    OPTION_OVERLAYS,
    OPTION_CONFIDENCE,
    OPTION_MIN_PIXELS,
    OPTION_MASK,
    OPTION_LABELS,
    OPTION_FOLDS,
    OPTION_CONFIG
};

struct arguments {
    struct model_arguments model;
    struct adele_audit_options options;
    const char *config;
    int n_folds; // 0: a model is given
};

static const struct argp_option option_table[] = {
    {"output", 'o', "DIR", 0, "Folder of the results (default: the folder audit of the run)", 0},
    {"data", 'D', "DIR", 0, "Data set (default: the run's own)", 0},
    {"labels", OPTION_LABELS, "DIR", 0,
     "Other training labels, same file names (default: those that the run was given)", 0},
    {"split", 'p', "train|val|test", 0, "Which split (default: train)", 0},
    {"folds", OPTION_FOLDS, "N", 0,
     "Instead of a run take a data set: train a network without each of N parts of the training "
     "split, and audit the part with it; needs -o",
     0},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Configuration of the folds' trainings (default: a small U-Net, 400 steps)", 0},
    {"confidence", OPTION_CONFIDENCE, "X", 0,
     "A region is doubtful from this mean probability of another class on (default: 0.5)", 0},
    {"min-pixels", OPTION_MIN_PIXELS, "N", 0,
     "Pixels of the smallest doubtful region (default: a 20,000th of the image's, 4 at least)", 0},
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

static void check_folds(struct argp_state *state, const struct arguments *arguments) {
    const struct adele_audit_options *options = &arguments->options;
    if (arguments->n_folds == 0) {
        if (arguments->config)
            argp_error(state, "--config is of the trainings of --folds");
        return;
    }
    if (!options->output)
        argp_error(state, "--folds: name a folder of the results with -o DIR");
    if (options->data || options->split || arguments->model.checkpoint)
        argp_error(state, "--folds takes the data set alone: no --data, --split or --checkpoint");
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
    case OPTION_FOLDS:
        arguments->n_folds = (int)parse_count(state, "--folds", value, 2, 1000);
        return 0;
    case OPTION_CONFIG:
        arguments->config = value;
        return 0;
    case ARGP_KEY_END:
        check_folds(state, arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static double percent(int64_t part, int64_t whole) {
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_totals(const struct adele_audit_options *options,
                         const struct adele_audit_summary *summary) {
    printf("%d images; %lld doubtful regions hold %.2f %% of the labelled pixels\n",
           summary->n_images, (long long)summary->n_regions,
           percent(summary->n_doubtful_pixels, summary->n_pixels));
    if (options->min_pixels == 0)
        printf("regions of fewer pixels than a 20,000th of the image's, or than 4, are not counted "
               "(--min-pixels)\n");
    else if (options->min_pixels > 1)
        printf("regions of fewer than %lld pixels are not counted (--min-pixels)\n",
               (long long)options->min_pixels);
}

static void print_classes(const struct adele_model_info *model,
                          const struct adele_audit_summary *summary) {
    printf("%-20s  %6s  %s\n", "class", "score", "doubtful, of the labelled pixels of the class");
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

static void take_model_arguments(struct arguments *arguments) {
    struct adele_audit_options *options = &arguments->options;
    options->inference = arguments->model.inference;
    options->overwrite = arguments->model.overwrite;
    options->watch = arguments->model.watch;
}

static adele_status audit(struct adele_model *model, void *context) {
    struct arguments *arguments = context;
    struct adele_audit_options *options = &arguments->options;
    struct adele_audit_summary summary;
    take_model_arguments(arguments);
    adele_status status = adele_model_audit(model, options, &summary);
    if (status != ADELE_OK || arguments->model.is_quiet)
        return status;
    print_totals(options, &summary);
    print_classes(adele_model_describe(model), &summary);
    if (options->output)
        printf("most doubtful first: %s/audit.csv\n", options->output);
    else if (strstr(arguments->model.path, ".safetensors") == NULL)
        printf("most doubtful first: %s/audit/audit.csv\n", arguments->model.path);
    else
        printf("most doubtful first: audit/audit.csv in the run's folder\n");
    return ADELE_OK;
}

static adele_status audit_folds(struct arguments *arguments, struct adele_ranks *ranks) {
    struct adele_data data = {.root = arguments->model.path,
                              .config = arguments->config,
                              .noisy_labels = arguments->options.labels};
    const bool is_quiet = adele_ranks_index(ranks) > 0;
    struct adele_audit_summary summary;
    struct progress progress;
    progress_init(&progress);
    if (ranks != NULL)
        progress_join_ranks(&progress, is_quiet);
    arguments->model.watch = (struct adele_watch){NULL, progress_should_stop, &progress};
    take_model_arguments(arguments);
    arguments->options.labels = NULL;
    arguments->options.ranks = ranks;
    adele_status status = adele_audit_folds(&data, arguments->n_folds, arguments->model.device,
                                            &arguments->options, &summary);
    if (status == ADELE_OK && !is_quiet) {
        print_totals(&arguments->options, &summary);
        printf("most doubtful first: %s/audit.csv\n", arguments->options.output);
    }
    progress_deinit(&progress);
    return status;
}

// As for a training, all is said before this process leaves.
static int run_folds(struct arguments *arguments) {
    struct adele_ranks *ranks = NULL;
    int code = CLI_OK;
    adele_status status = adele_ranks_join(&ranks);
    if (status == ADELE_OK)
        status = audit_folds(arguments, ranks);
    if (status != ADELE_OK)
        code = status == ADELE_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
    if (status != ADELE_OK && adele_ranks_should_report(ranks, status))
        (void)cli_report_failure(status);
    (void)fflush(stdout);
    adele_ranks_leave(ranks, status);
    return code;
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp audit_argp = {
    option_table,
    parse,
    "CHECKPOINT|RUN|DATA",
    "Ranks images, classes and connected regions by how doubtful their labels are, given what a "
    "trained network predicts: audit.csv, classes.csv, regions.csv, and pictures of the most "
    "doubtful images.\vThe score of an image is the IoU that its label is expected to have under "
    "the prediction, over all classes but the background; low scores are doubtful. "
    "Where predictions of a class are larger or smaller than its labels in the median, scores "
    "allow for it, and a line says so; an error in size that most labels of a class share is "
    "therefore seen in regions.csv alone. A "
    "network that has memorized wrong labels doubts none of them: use a run with correction, an "
    "early checkpoint, or --folds.\n\n" MODEL_RANKS_DOC
    " With --folds each of them trains and audits "
    "folds of its own.",
    children,
    0,
    0};

int verb_audit(int argc, char **argv) {
    struct arguments arguments = {0};
    adele_audit_options_init(&arguments.options);
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&audit_argp, argc, argv, 0, 0, &arguments);
    if (arguments.n_folds > 0)
        return run_folds(&arguments);
    return model_arguments_run(&arguments.model, audit, &arguments);
}
