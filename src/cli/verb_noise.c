// SPDX-License-Identifier: MIT
// adele noise: noisy versions of a data set's training labels, as files like the input's.
#include "adele/data.h"
#include "cli/cli.h"
#include "cli/shell.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

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
    bool has_iterations;
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
    {"layout", OPTION_LAYOUT, "auto|nnunet|voc|img_ann", 0, "Default: auto, which detects it", 0},
    {"train", OPTION_TRAIN, "LIST", 0,
     "Training split: a list of the layout (fold1, trainaug), or a file NAMES.txt", 0},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Take the data section (label_map, splits) from a configuration", 0},
    {"follow-links", OPTION_LINKS, NULL, 0,
     "Symbolic links may lead out of the folder (data.follow_links)", 0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

static double parse_share(struct argp_state *state, const char *name, const char *text) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= 1))
        argp_error(state, "%s: '%s' is not a number from 0 to 1", name, text);
    return value;
}

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

static uint64_t parse_seed(struct argp_state *state, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        argp_error(state, "--seed: '%s' is not a whole number from 0", text);
    return value;
}

static void check_complete(struct argp_state *state, const struct noise_arguments *arguments) {
    if (arguments->data.root == NULL && arguments->data.config == NULL)
        argp_error(state, "name the data set's folder");
    if (arguments->noise.output == NULL)
        argp_error(state, "say where the noisy labels go: -o DIR");
    if (arguments->has_iterations && arguments->noise.target_miou > 0)
        argp_error(state, "--target-miou and --iterations exclude each other");
}

// Options of what the noise is like.
static error_t parse_noise(int key, const char *text, struct argp_state *state) {
    struct noise_arguments *arguments = state->input;
    struct adele_noise_options *noise = &arguments->noise;
    switch (key) {
    case OPTION_KIND:
        noise->kind = cli_parse_choice(state, key, text);
        return 0;
    case OPTION_TARGET:
        noise->target_miou = parse_share(state, "--target-miou", text);
        if (!(noise->target_miou > 0 && noise->target_miou < 1))
            argp_error(state, "--target-miou: %s is not between 0 and 1", text);
        return 0;
    case OPTION_ITERATIONS:
        parse_range(state, "--iterations", text, 1, &noise->iterations_low,
                    &noise->iterations_high);
        arguments->has_iterations = true;
        return 0;
    case OPTION_SEED:
        noise->seed = parse_seed(state, text);
        return 0;
    case OPTION_FLIP:
        noise->flip_fraction = parse_share(state, "--flip-fraction", text);
        return 0;
    case OPTION_OUTWARD:
        noise->outward = parse_share(state, "--outward", text);
        return 0;
    case OPTION_CORNERS:
        parse_range(state, "--corners", text, 3, &noise->corners_low, &noise->corners_high);
        return 0;
    case OPTION_OBJECTS:
        noise->object_fraction = parse_share(state, "--object-fraction", text);
        return 0;
    case OPTION_SHIFT:
        noise->shift_fraction = parse_share(state, "--shift-fraction", text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct noise_arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->noise.output = text;
        return 0;
    case OPTION_LAYOUT:
        arguments->data.layout = cli_parse_choice(state, key, text);
        return 0;
    case OPTION_TRAIN:
        arguments->data.split[0] = text;
        return 0;
    case OPTION_CONFIG:
        arguments->data.config = text;
        return 0;
    case OPTION_LINKS:
        arguments->data.follow_links = 1;
        return 0;
    case OPTION_OVERWRITE:
        arguments->noise.overwrite = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->data.root != NULL)
            argp_error(state, "one DATA only; unexpected argument '%s'", text);
        arguments->data.root = text;
        return 0;
    case ARGP_KEY_END:
        check_complete(state, arguments);
        return 0;
    default:
        return parse_noise(key, text, state);
    }
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
    option_table,
    parse_option,
    "DATA",
    "Writes noisy versions of the training labels, in the layout and file type of the input, "
    "with changes.csv and noise.json.\vTrain on them with data.noisy_labels. Exit code: 0 "
    "done, 1 failed, 2 wrong usage.",
    NULL,
    NULL,
    NULL};

int verb_noise(int argc, char **argv) {
    struct noise_arguments arguments = {0};
    struct adele_noise_report *report = NULL;
    adele_noise_options_init(&arguments.noise);
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&noise_argp, argc, argv, 0, NULL, &arguments);
    adele_status status = adele_noise(&arguments.data, &arguments.noise, &report);
    if (status == ADELE_OK) {
        print_summary(&arguments.noise, report);
        print_next(&arguments);
    }
    adele_noise_report_destroy(report);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
