// SPDX-License-Identifier: MIT
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/model_arguments.h"
#include "cli/print_scores.h"

#include <math.h>
#include <stdio.h>

struct arguments {
    struct model_arguments model;
    struct adele_evaluate_options options;
};

static const struct argp_option option_table[] = {
    {"data", 'D', "DIR", 0, "Data set (default: the run's own)", 0},
    {"split", 'p', "train|val|test", 0,
     "Which split (default: test, or val where the set has no test cases)", 0},
    {"json", 'j', "FILE", 0, "Also write the scores there", 0},
    {"csv", 'C', "FILE", 0, "Also write the scores of each case and class there", 0},
    {"save-masks", 'm', "DIR", 0, "Also write the predicted masks there", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct adele_evaluate_options *options = &arguments->options;
    const struct argument rows[] = {{'D', .text = &options->data},
                                    {'p', .choice = &options->split},
                                    {'j', .text = &options->scores_file},
                                    {'C', .text = &options->cases_file},
                                    {'m', .text = &options->masks_folder}};
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &arguments->model;
    return ARGUMENTS_STORE(rows, key, value, state);
}

static void print_cell(double value) {
    if (isfinite(value))
        printf("  %6.4f", value);
    else
        printf("  %6s", "-");
}

static void print_scores(const struct adele_model_info *model, const struct adele_score *score) {
    printf("%-20s  %6s  %6s\n", "class", "IoU", "Dice");
    for (int c = 0; c < score->n_classes; c++) {
        printf("%-20s", model->class_names[c]);
        print_cell(score->iou[c]);
        print_cell(score->dice[c]);
        printf("\n");
    }
    printf("%-20s", "mean");
    print_cell(score->miou);
    printf("\n%-20s", "mean foreground");
    print_cell(score->miou_foreground);
    print_cell(score->dice_foreground);
    printf("\n");
}

static adele_status evaluate(struct adele_model *model, void *context) {
    struct arguments *arguments = context;
    struct adele_evaluate_options *options = &arguments->options;
    struct adele_score score;
    struct adele_case_scores *cases = NULL;
    options->cases = &cases;
    options->inference = arguments->model.inference;
    options->overwrite = arguments->model.overwrite;
    options->watch = arguments->model.watch;
    adele_status status = adele_model_evaluate(model, options, &score);
    if (score.n_classes > 0 && !arguments->model.is_quiet) {
        printf("%s split, %d images\n", score.split, score.n_images);
        print_scores(adele_model_describe(model), &score);
        if (cases)
            print_case_scores(cases);
    }
    adele_case_scores_destroy(cases);
    return status; // that of the files of scores
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp evaluate_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "CHECKPOINT|RUN",
    .children = children,
    .doc = "Scores of a checkpoint on a split.\vThe network sees images at the size it was "
           "trained at; its output is resized to each label file's own size and compared there "
           "(the scores in a run's metrics are counted at the training size). Counts are summed "
           "over the whole split. A class that is neither predicted nor labelled has no score "
           "and is left out of the means.\n\n"
           "Case by case (a picture, or a volume as a whole): IoU, Dice, HD95 (the larger of "
           "the 95th percentiles of the distances between the surfaces in both directions), "
           "ASSD (their average), in mm with the voxels' spacing, of pictures in pixels; "
           "boundary IoU within 2 % of the picture's diagonal; and lesions: connected "
           "components, of which one of the labels is found when one of its pixels is "
           "predicted, and one of the prediction is false when none of its pixels is labelled. "
           "The interval of the mean is the percentile bootstrap's (10,000 samples of the "
           "cases). Where a class is in one of both masks, IoU, Dice and boundary IoU are 0 and "
           "the distances undefined; where it is in neither, all are. The background has IoU "
           "and Dice only. What is undefined is an empty field of the CSV file, '-' in the "
           "table, and left out of mean, median and interval; `cases` says how many are left. "
           "`adele compare` reads RUN/scores.csv.\n\n" MODEL_RANKS_DOC};

int verb_evaluate(int argc, char **argv) {
    struct arguments arguments = {0};
    argp_parse(&evaluate_argp, argc, argv, 0, 0, &arguments);
    return model_arguments_run(&arguments.model, evaluate, &arguments);
}
