// SPDX-License-Identifier: MIT
// adele noise: noisy versions of a data set's training labels, as files like the input's.
#include "adele/data.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/shell.h"

#include <argp.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum noise_option {
    OPTION_KIND = 256,
    OPTION_TARGET,
    OPTION_ITERATIONS,
    OPTION_SEED,
    OPTION_FLIP,
    OPTION_LAYOUT,
    OPTION_CONFIG,
    OPTION_TRAIN,
    OPTION_OVERWRITE,
    OPTION_LINKS,
    OPTION_OUTWARD,
    OPTION_CORNERS,
    OPTION_OBJECTS,
    OPTION_SHIFT
};

struct noise_arguments {
    struct adele_data data;
    struct adele_noise_options noise;
    bool has_target, has_iterations;
};

static const struct argp_option option_table[] = {
    {"output", 'o', "DIR", 0, "Where the noisy labels go (required)", 0},
    {"kind", OPTION_KIND, "under-over|flip|mixed|boundary|coarse|missing|extra|confuse|shift", 0,
     "Default: under-over. boundary: contours move at random, coarse: polygons of few corners, "
     "missing, extra: whole objects, confuse: objects get another class, shift: of the whole map",
     0},
    {"target-miou", OPTION_TARGET, "X", 0,
     "Mean foreground IoU of the noisy labels against the clean ones to aim at, 0 < X < 1", 0},
    {"iterations", OPTION_ITERATIONS, "A..B", 0,
     "Erosions or dilations, or steps of boundary, drawn from this range for each image (default "
     "2..4)",
     0},
    {"seed", OPTION_SEED, "N", 0, "Seed of all draws (default 0)", 0},
    {"flip-fraction", OPTION_FLIP, "F", 0,
     "Share of all pixels that flip or mixed give another class (default 0.05)", 0},
    {"outward", OPTION_OUTWARD, "F", 0,
     "Share of a contour that boundary tends to move outward (default 0.5)", 0},
    {"corners", OPTION_CORNERS, "A..B", 0,
     "Corners of a polygon of coarse, drawn from this range for each object (default 4..8)", 0},
    {"object-fraction", OPTION_OBJECTS, "F", 0,
     "Share of the objects that missing, extra or confuse changes (default 0.2)", 0},
    {"shift-fraction", OPTION_SHIFT, "F", 0,
     "Mean distance of shift, as a share of the shorter side (default 0.05)", 0},
    {"layout", OPTION_LAYOUT, CLI_LAYOUTS, 0, "Default: auto, which detects it", 0},
    {"train", OPTION_TRAIN, "LIST", 0,
     "Training split: a list of the layout (fold1, trainaug), or a file NAMES.txt", 0},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Take the data section (label_map, splits) from a configuration", 0},
    {"follow-links", OPTION_LINKS, NULL, 0,
     "Symbolic links may lead out of the folder (data.follow_links)", 0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

// A..B, or one number for both.
static void parse_range(struct argp_state *state, const char *name, const char *text, int least,
                        int *low, int *high) {
    int n_read = 0, n = sscanf(text, "%d..%d%n", low, high, &n_read);
    if (n == 1) {
        n_read = 0;
        n = 1 + (sscanf(text, "%d%n", high, &n_read) == 1);
    }
    if (n != 2 || text[n_read] != '\0' || *low < least || *high < *low || *high > 100)
        argp_error(state, "%s: '%s' is not a range such as 4..8, within %d..100", name, text,
                   least);
}

static void check_complete(struct argp_state *state, const struct noise_arguments *arguments) {
    const double target = arguments->noise.target_miou;
    if (arguments->data.root == NULL && arguments->data.config == NULL)
        argp_error(state, "name the data set's folder");
    if (arguments->has_target && !(target > 0 && target < 1))
        argp_error(state, "--target-miou: %g is not between 0 and 1", target);
    if (arguments->has_target && arguments->has_iterations)
        argp_error(state, "--target-miou and --iterations exclude each other");
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct noise_arguments *arguments = state->input;
    struct adele_data *data = &arguments->data;
    struct adele_noise_options *noise = &arguments->noise;
    const struct argument rows[] = {
        {ARGP_KEY_ARG, "DATA", .text = &data->root},
        {'o', .text = &noise->output, .required = "say where the noisy labels go: -o DIR"},
        {OPTION_KIND, .choice = &noise->kind},
        {OPTION_TARGET, .share = &noise->target_miou},
        {OPTION_SEED, .seed = &noise->seed},
        {OPTION_FLIP, .share = &noise->flip_fraction},
        {OPTION_OUTWARD, .share = &noise->outward},
        {OPTION_OBJECTS, .share = &noise->object_fraction},
        {OPTION_SHIFT, .share = &noise->shift_fraction},
        {OPTION_LAYOUT, .choice = &data->layout},
        {OPTION_TRAIN, .text = &data->split[0]},
        {OPTION_CONFIG, .text = &data->config},
        {OPTION_LINKS, .flag = &data->follow_links},
        {OPTION_OVERWRITE, .flag = &noise->overwrite}};
    arguments->has_target |= key == OPTION_TARGET;
    arguments->has_iterations |= key == OPTION_ITERATIONS;
    switch (key) {
    case OPTION_ITERATIONS:
        parse_range(state, "--iterations", value, 1, &noise->iterations_low,
                    &noise->iterations_high);
        return 0;
    case OPTION_CORNERS:
        parse_range(state, "--corners", value, 3, &noise->corners_low, &noise->corners_high);
        return 0;
    case ARGP_KEY_END:
        check_complete(state, arguments);
        break;
    }
    return ARGUMENTS_STORE(rows, key, value, state);
}

static void print_summary(const struct adele_noise_options *options,
                          const struct adele_noise_report *report) {
    printf("%s: %d masks, %s noise, seed %llu\n", options->output, report->n_images, options->kind,
           (unsigned long long)options->seed);
    for (int c = 1; c < report->n_classes; c++) {
        if (isfinite(report->iou[c]))
            printf("  %-20s IoU %.4f\n", report->class_names[c], report->iou[c]);
        else
            printf("  %-20s absent\n", report->class_names[c]);
    }
    if (isfinite(report->miou_foreground))
        printf("  foreground mIoU %.4f (strength %.4f)\n", report->miou_foreground,
               report->strength);
}

static void print_set(const char *key, const char *value) {
    char text[4200];
    (void)snprintf(text, sizeof text, "%s=%s", key, value);
    printf(" --set ");
    shell_print_word(stdout, text);
}

// The commands that train with the noisy labels.
static void print_next(const struct noise_arguments *arguments) {
    const struct adele_data *data = &arguments->data;
    printf("next: ");
    if (data->config == NULL) {
        printf("adele init ");
        shell_print_path(stdout, data->root, "");
        printf(" -o own.yaml\n      ");
    }
    printf("adele train ");
    shell_print_path(stdout, data->config != NULL ? data->config : "own.yaml", "");
    if (data->config != NULL && data->root != NULL)
        print_set("data.root", data->root);
    print_set("data.noisy_labels", arguments->noise.output);
    if (data->config != NULL)
        printf(" --set data.noise.kind=none");
    printf("\n");
}

const struct argp noise_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "DATA",
    .doc = "Writes noisy versions of the training labels, in the layout and file type of the "
           "input, with changes.csv and noise.json.\vTrain on them with data.noisy_labels. Exit "
           "code: 0 done, 1 failed, 2 wrong usage."};

int verb_noise(int argc, char **argv) {
    struct noise_arguments arguments = {0};
    struct adele_noise_report *report = NULL;
    adele_noise_options_init(&arguments.noise);
    argp_parse(&noise_argp, argc, argv, 0, NULL, &arguments);
    adele_status status = adele_noise(&arguments.data, &arguments.noise, &report);
    if (status == ADELE_OK) {
        print_summary(&arguments.noise, report);
        print_next(&arguments);
    }
    adele_noise_report_destroy(report);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
