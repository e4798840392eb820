// SPDX-License-Identifier: MIT
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/model_arguments.h"
#include "infer/model_output.h"

#include <math.h>

struct arguments {
    struct model_arguments model;
    const char *json;
    struct output *output; // of the scores; NULL: none
    struct score score;
};

static const struct argp_option options[] = {
    {"data", 'D', "DIR", 0, "Data set (default: the run's own)", 0},
    {"split", 'p', "NAME", 0, "train, val or test (default: test)", 0},
    {"json", 'j', "FILE", 0, "Also write the scores there", 0},
    {"save-masks", 'm', "DIR", 0, "Also write the predicted label maps there", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->model;
        return 0;
    case 'D':
        arguments->model.options.data = value;
        return 0;
    case 'p':
        if (dataset_split_find(value, &arguments->model.options.split))
            return 0;
        argp_error(state, "--split %s: train, val or test", value);
        return 0;
    case 'j':
        arguments->json = value;
        return 0;
    case 'm':
        arguments->model.options.masks_folder = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_cell(double value) {
    if (isfinite(value))
        printf("  %6.4f", value);
    else
        printf("  %6s", "-");
}

static void print_scores(const struct model *model, const struct score *score) {
    printf("%-20s  %6s  %6s\n", "category", "IoU", "Dice");
    for (int c = 0; c < score->n_categories; c++) {
        printf("%-20s", model->category_names[c]);
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

static adele_status save_scores(struct arguments *arguments, const struct model *model,
                                int n_images) {
    const char *split = dataset_split_name(arguments->model.options.split);
    cJSON *json = score_to_json(&arguments->score, split, n_images, model->category_names);
    bool is_fine = json &&
                   json_add(json, "checkpoint", cJSON_CreateString(file_base_name(model->path))) &&
                   json_add(json, "epoch", cJSON_CreateNumber(model->epoch));
    adele_status status = is_fine ? output_begin(arguments->output) : FAIL_NO_MEMORY(64);
    if (status == ADELE_OK)
        status = output_end(arguments->output, json_write(arguments->json, json));
    cJSON_Delete(json);
    return status;
}

static adele_status evaluate(struct model *model, void *context) {
    struct arguments *arguments = context;
    const struct model_options *model_options = &arguments->model.options;
    int n_images = 0;
    TRY(model_plan_file(model, model_options, arguments->json, &arguments->output));
    adele_status status = model_evaluate(model, model_options, &arguments->score, &n_images);
    if (status == ADELE_OK) {
        printf("%s split, %d images\n", dataset_split_name(model_options->split), n_images);
        print_scores(model, &arguments->score);
        if (arguments->json)
            status = save_scores(arguments, model, n_images);
    }
    output_destroy(arguments->output);
    return status;
}

static const struct argp_child children[] = {{&model_argp, 0, 0, 0}, {0}};

const struct argp evaluate_argp = {
    options,
    parse,
    "CHECKPOINT|RUN",
    "IoU and Dice of a checkpoint on a split.\vThe network sees images at the size it was "
    "trained at; its answer is brought to each label file's own size and compared there (the "
    "scores in a run's metrics are counted at the training size). Counts are summed over the "
    "whole split. A category that is neither predicted nor labelled has no score and is left "
    "out of the means.",
    children,
    0,
    0};

int verb_evaluate(int argc, char **argv) {
    struct arguments arguments = {0};
    model_arguments_init(&arguments.model);
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&evaluate_argp, argc, argv, 0, 0, &arguments);
    return model_arguments_run(&arguments.model, evaluate, &arguments);
}
