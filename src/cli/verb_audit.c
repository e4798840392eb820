// SPDX-License-Identifier: MIT
#include "adele/audit.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/model_arguments.h"
#include "cli/together.h"

#include <math.h>
#include <stdio.h>
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
    const struct argument rows[] = {
        {'o', .text = &options->output},
        {'D', .text = &options->data},
        {OPTION_LABELS, .text = &options->labels},
        {'p', .choice = &options->split},
        {OPTION_CONFIDENCE, .share = &options->confidence},
        {OPTION_MIN_PIXELS, .large = &options->min_pixels, .low = 1},
        {OPTION_REGIONS, .whole = &options->n_regions, .high = 10000000},
        {OPTION_OVERLAYS, .whole = &options->n_overlays, .high = 9999},
        {OPTION_MASK, .whole = &options->mask_value, .high = 65535},
        {OPTION_FOLDS, .whole = &arguments->n_folds, .low = 2, .high = 1000},
        {OPTION_CONFIG, .text = &arguments->config}};
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &arguments->model;
    else if (key == ARGP_KEY_END)
        check_folds(state, arguments);
    return ARGUMENTS_STORE(rows, key, value, state);
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

static adele_status audit_folds(struct adele_ranks *ranks, void *context) {
    struct arguments *arguments = context;
    struct adele_data data = {.root = arguments->model.path,
                              .config = arguments->config,
                              .noisy_labels = arguments->options.labels};
    struct adele_audit_summary summary;
    arguments->model.watch = (struct adele_watch){.should_stop = progress_should_stop};
    take_model_arguments(arguments);
    arguments->options.labels = NULL;
    arguments->options.ranks = ranks;
    adele_status status = adele_audit_folds(&data, arguments->n_folds, arguments->model.device,
                                            &arguments->options, &summary);
    if (status == ADELE_OK && adele_ranks_index(ranks) == 0) {
        print_totals(&arguments->options, &summary);
        printf("most doubtful first: %s/audit.csv\n", arguments->options.output);
    }
    return status;
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp audit_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "CHECKPOINT|RUN|DATA",
    .children = children,
    .doc = "Ranks images, classes and connected regions by how doubtful their labels are, given "
           "what a trained network predicts: audit.csv, classes.csv, regions.csv, and pictures "
           "of the most doubtful images.\vThe score of an image is the IoU that its label is "
           "expected to have under the prediction, over all classes but the background; low "
           "scores are doubtful. Where predictions of a class are larger or smaller than its "
           "labels in the median, scores allow for it, and a line says so; an error in size "
           "that most labels of a class share is therefore seen in regions.csv alone. A network "
           "that has memorized wrong labels doubts none of them: use a run with correction, an "
           "early checkpoint, or --folds.\n\n" MODEL_RANKS_DOC
           " With --folds each of them trains and audits folds of its own."};

int verb_audit(int argc, char **argv) {
    struct arguments arguments = {0};
    adele_audit_options_init(&arguments.options);
    argp_parse(&audit_argp, argc, argv, 0, 0, &arguments);
    struct progress progress;
    if (arguments.n_folds > 0)
        return together_run(&progress, audit_folds, NULL, &arguments);
    return model_arguments_run(&arguments.model, audit, &arguments);
}
