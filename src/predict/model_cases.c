// SPDX-License-Identifier: MIT
// Evaluation and prediction of a split or a folder.
#include "predict/model.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "predict/case_runner.h"
#include "predict/model_output.h"

adele_status model_visit(struct model *model, const struct model_options *options,
                         struct dataset *dataset, struct output *output,
                         const struct model_visitor *visitor) {
    CLEANUP(case_runner_deinit)
    struct case_runner runner = {.model = model,
                                 .options = options,
                                 .dataset = dataset,
                                 .output = output,
                                 .visitor = visitor};
    int n_images = 0;
    return case_runner_run(&runner, options->split, NULL, &n_images);
}

// Also ends the output; `status` is that of the cases.
static adele_status end_run(struct case_runner *runner, adele_status status) {
    status = output_end(runner->output, status);
    output_destroy(runner->output);
    case_runner_deinit(runner);
    dataset_close(runner->dataset);
    return status;
}

// Such a score says little; often the cause is 255 in the label files.
static void warn_without_foreground(const struct dataset *dataset, enum dataset_split split,
                                    const int64_t counts[3 * 256]) {
    int64_t n = 0;
    for (int c = 1; c < dataset->n_categories; c++)
        n += counts[512 + c];
    if (n == 0)
        log_line(LOG_WARNING,
                 "%s: the masks of the %s split hold no foreground; `adele check` says more",
                 dataset->root, dataset_split_name(split));
}

// A data set without test cases has none that a score could be of but the validation split's.
static adele_status choose_split(const struct dataset *dataset, const struct model_options *options,
                                 enum dataset_split *out) {
    const int *n_cases = dataset->n_cases;
    *out = options->split;
    if (n_cases[*out] == 0 && *out == SPLIT_TEST && options->may_be_val)
        *out = SPLIT_VAL;
    if (n_cases[*out] > 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA,
                n_cases[SPLIT_VAL] > 0 ? "Choose another: --split val." : "Choose --split train.",
                "%s: the %s split is empty", dataset->root, dataset_split_name(options->split));
}

static adele_status evaluate(struct case_runner *runner, struct score *out, int *out_images,
                             enum dataset_split *out_split) {
    struct model *model = runner->model;
    const struct model_options *options = runner->options;
    int64_t counts[3 * 256] = {0};
    TRY(model_open_dataset(model, options, NULL, &runner->dataset));
    TRY(dataset_match_categories(runner->dataset, model->n_categories, model->category_names));
    TRY(choose_split(runner->dataset, options, out_split));
    TRY(model_plan_masks(model, options, runner->dataset, *out_split, &runner->output));
    if (options->case_scores)
        TRY(case_scores_init(options->case_scores, model->n_categories, model->category_names,
                             runner->dataset->is_volume));
    TRY(case_runner_run(runner, *out_split, counts, out_images));
    score_compute(counts, model->n_categories, out);
    warn_without_foreground(runner->dataset, *out_split, counts);
    return ADELE_OK;
}

adele_status model_evaluate(struct model *model, const struct model_options *options,
                            struct score *out, int *out_images, enum dataset_split *out_split) {
    struct case_runner runner = {.model = model, .options = options};
    *out_images = 0;
    return end_run(&runner, evaluate(&runner, out, out_images, out_split));
}

adele_status model_predict(struct model *model, const struct model_options *options,
                           int *out_cases) {
    struct case_runner runner = {.model = model, .options = options};
    struct dataset_config data;
    model_dataset_config(model, options, &data);
    int n_images = 0;
    *out_cases = 0;
    adele_status status =
        dataset_open_folder(options->data, model->n_channels, &data, &runner.dataset);
    if (status == ADELE_OK)
        status = model_plan_masks(model, options, runner.dataset, SPLIT_TEST, &runner.output);
    if (status == ADELE_OK) {
        runner.dataset->has_palette = model->has_palette && !runner.dataset->is_volume;
        status = case_runner_run(&runner, SPLIT_TEST, NULL, &n_images);
    }
    if (status == ADELE_OK)
        *out_cases = runner.dataset->n_cases[SPLIT_TEST];
    return end_run(&runner, status);
}
