// SPDX-License-Identifier: MIT
// adele noise: noisy versions of a data set's training labels, as files like the input's.
#include "base/fail.h"
#include "cli/cli.h"
#include "config/config.h"
#include "data/dataset.h"
#include "data/noise_files.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    OPTION_LINKS
};

struct noise_arguments {
    struct noise_config noise;
    const char *data, *folder, *config, *train;
    enum dataset_layout layout;
    bool has_iterations, is_overwriting, follow_links;
};

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Where the noisy labels go (required)", 0},
    {"kind", OPTION_KIND, "KIND", 0, "under-over (default), flip or mixed", 0},
    {"target-miou", OPTION_TARGET, "X", 0,
     "Mean foreground IoU of the noisy labels against the clean ones to aim at, 0 < X < 1", 0},
    {"iterations", OPTION_ITERATIONS, "A..B", 0,
     "Erosions or dilations, drawn from this range for each image (default 2..4)", 0},
    {"seed", OPTION_SEED, "N", 0, "Seed of all draws (default 0)", 0},
    {"flip-fraction", OPTION_FLIP, "F", 0,
     "Share of the pixels that flip or mixed give another category (default 0.05)", 0},
    {"layout", OPTION_LAYOUT, "NAME", 0, "auto (default), nnunet, voc or img_ann", 0},
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
static void parse_iterations(struct argp_state *state, const char *text,
                             struct noise_arguments *arguments) {
    int low, high, n_read = 0, n = sscanf(text, "%d..%d%n", &low, &high, &n_read);
    if (n == 1) {
        n_read = 0;
        n = 1 + (sscanf(text, "%d%n", &high, &n_read) == 1);
    }
    if (n != 2 || text[n_read] != '\0' || low < 1 || high < low || high > 100)
        argp_error(state, "--iterations: '%s' is not a range such as 2..4, within 1..100", text);
    arguments->noise.iterations_low = low;
    arguments->noise.iterations_high = high;
    arguments->has_iterations = true;
}

static void parse_kind(struct argp_state *state, const char *text, enum noise_kind *out) {
    for (int kind = NOISE_UNDER_OVER; kind <= NOISE_MIXED; kind++) {
        if (strcmp(text, noise_kind_name(kind)) == 0) {
            *out = kind;
            return;
        }
    }
    argp_error(state, "--kind: '%s' is none of under-over, flip, mixed", text);
}

static void parse_layout(struct argp_state *state, const char *text, enum dataset_layout *out) {
    for (int layout = LAYOUT_AUTO; layout <= LAYOUT_IMG_ANN; layout++) {
        if (strcmp(text, dataset_layout_name(layout)) == 0) {
            *out = layout;
            return;
        }
    }
    argp_error(state, "--layout: '%s' is none of auto, nnunet, voc, img_ann", text);
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
    if (arguments->data == NULL && arguments->config == NULL)
        argp_error(state, "name the data set's folder");
    if (arguments->folder == NULL)
        argp_error(state, "say where the noisy labels go: -o DIR");
    if (arguments->has_iterations && arguments->noise.target_miou > 0)
        argp_error(state, "--target-miou and --iterations exclude each other");
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct noise_arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->folder = text;
        return 0;
    case OPTION_KIND:
        parse_kind(state, text, &arguments->noise.kind);
        return 0;
    case OPTION_TARGET:
        arguments->noise.target_miou = parse_share(state, "--target-miou", text);
        if (!(arguments->noise.target_miou > 0 && arguments->noise.target_miou < 1))
            argp_error(state, "--target-miou: %s is not between 0 and 1", text);
        return 0;
    case OPTION_ITERATIONS:
        parse_iterations(state, text, arguments);
        return 0;
    case OPTION_SEED:
        arguments->noise.seed = parse_seed(state, text);
        return 0;
    case OPTION_FLIP:
        arguments->noise.flip_fraction = parse_share(state, "--flip-fraction", text);
        return 0;
    case OPTION_LAYOUT:
        parse_layout(state, text, &arguments->layout);
        return 0;
    case OPTION_TRAIN:
        arguments->train = text;
        return 0;
    case OPTION_CONFIG:
        arguments->config = text;
        return 0;
    case OPTION_OVERWRITE:
        arguments->is_overwriting = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->data != NULL)
            argp_error(state, "one data set at a time, but there is also '%s'", text);
        arguments->data = text;
        return 0;
    case OPTION_LINKS:
        arguments->follow_links = true;
        return 0;
    case ARGP_KEY_END:
        check_complete(state, arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// What the command line says wins over what the configuration says. Noise is made from the clean
// labels at the files' own size.
static adele_status find_dataset(const struct noise_arguments *arguments, struct config **config,
                                 struct dataset **out) {
    struct dataset_config merged = {.root = arguments->data, .foreground_slices_only = true};
    merged.map.other = -1;
    if (arguments->config != NULL) {
        char set[4200];
        const char *sets[] = {set};
        int length = arguments->data != NULL
                         ? snprintf(set, sizeof set, "data.root=%s", arguments->data)
                         : 0;
        if (length >= (int)sizeof set)
            return FAIL(ADELE_INVALID_ARGUMENT, "Use a shorter path.",
                        "%.64s...: the path is too long", arguments->data);
        TRY(config_load(arguments->config, length > 0, sets, config));
        config_dataset(*config, &merged);
    }
    merged.noisy_labels = merged.true_labels = NULL;
    merged.follow_links = merged.follow_links || arguments->follow_links;
    merged.height = merged.width = 0;
    if (arguments->layout != LAYOUT_AUTO)
        merged.layout = arguments->layout;
    if (arguments->train != NULL)
        merged.split[SPLIT_TRAIN] = arguments->train;
    return dataset_open(&merged, out);
}

static void print_summary(const struct noise_arguments *arguments, const struct dataset *dataset,
                          const struct noise_report *report, int n_images) {
    printf("%s: %d label maps, %s noise, seed %llu\n", arguments->folder, n_images,
           noise_kind_name(arguments->noise.kind), (unsigned long long)arguments->noise.seed);
    for (int c = 1; c < dataset->n_categories; c++) {
        if (report->iou[c] >= 0)
            printf("  %-20s IoU %.4f\n", dataset->category_names[c], report->iou[c]);
        else
            printf("  %-20s absent\n", dataset->category_names[c]);
    }
    if (report->miou_foreground >= 0)
        printf("  foreground mIoU %.4f (strength %.4f)\n", report->miou_foreground,
               report->strength);
}

const struct argp noise_argp = {
    options,
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
    struct config *config = NULL;
    struct dataset *dataset = NULL;
    struct noise_report report;
    int n_images = 0, code = CLI_OK;
    adele_status status;
    noise_config_init(&arguments.noise);
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&noise_argp, argc, argv, 0, NULL, &arguments) != 0)
        return CLI_USAGE;
    TRY_GOTO(find_dataset(&arguments, &config, &dataset), done);
    TRY_GOTO(noise_files_write(dataset, &arguments.noise, arguments.folder,
                               arguments.is_overwriting, &report, &n_images),
             done);
    print_summary(&arguments, dataset, &report, n_images);
    if (fflush(stdout) != 0)
        status = FAIL(ADELE_IO, "Check where the output goes.", "cannot write the summary");
done:
    if (status != ADELE_OK)
        code = cli_report_failure(status);
    dataset_close(dataset);
    config_destroy(config);
    return code;
}
