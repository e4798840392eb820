// SPDX-License-Identifier: MIT
#include "predict/evaluation.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "predict/model_output.h"
#include "scores/score_summary.h"

#include <string.h>

struct evaluation {
    struct model *model;
    const struct adele_evaluate_options *options;
    struct output *scores_output, *cases_output; // NULL where no file is wanted
    struct score score;
    int n_images;
    struct case_scores case_scores;
    struct adele_case_scores *cases; // NULL: not wanted
};

static adele_status save_scores(const struct evaluation *of, const char *split) {
    const struct model *model = of->model;
    OWNED_BY(cJSON_Delete)
    cJSON *json = score_to_json(&of->score, split, of->n_images, model->category_names);
    bool is_fine = json &&
                   json_add(json, "checkpoint", cJSON_CreateString(file_base_name(model->path))) &&
                   json_add(json, "epoch", cJSON_CreateNumber(model->epoch)) &&
                   (!of->cases || json_add(json, "cases", case_scores_to_json(of->cases)));
    TRY(is_fine ? output_begin(of->scores_output) : CHECK_MEMORY(NULL));
    return output_end(of->scores_output, json_write(of->options->scores_file, json));
}

static adele_status save_cases(const struct evaluation *of) {
    TRY(output_begin(of->cases_output));
    return output_end(of->cases_output,
                      case_scores_write(of->options->cases_file, &of->case_scores));
}

static void fill_score(const struct score *score, int n_images, struct adele_score *out) {
    *out = (struct adele_score){.n_classes = score->n_categories,
                                .n_images = n_images,
                                .miou = score->miou,
                                .miou_foreground = score->miou_foreground,
                                .dice_foreground = score->dice_foreground};
    memcpy(out->iou, score->iou, sizeof out->iou);
    memcpy(out->dice, score->dice, sizeof out->dice);
}

static adele_status check_different(const char *scores, const char *cases) {
    OWNED char *a = NULL, *b = NULL;
    if (!scores || !cases)
        return ADELE_OK;
    TRY(path_resolve(scores, &a));
    TRY(path_resolve(cases, &b));
    if (strcmp(a, b) == 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give each a file of its own.",
                    "%s would be JSON and CSV", scores);
    return ADELE_OK;
}

static adele_status plan_files(struct evaluation *of, const struct model_options *wanted) {
    const char *scores = of->options->scores_file, *cases = of->options->cases_file;
    TRY(check_different(scores, cases));
    TRY(model_plan_file(of->model, wanted, scores, &of->scores_output));
    return model_plan_file(of->model, wanted, cases, &of->cases_output);
}

static adele_status evaluate(struct evaluation *of, const struct model_options *wanted,
                             struct adele_score *out) {
    const struct adele_evaluate_options *options = of->options;
    bool has_cases = options->cases_file || options->cases;
    struct model_options with_cases = *wanted;
    with_cases.case_scores = has_cases ? &of->case_scores : NULL;
    TRY(plan_files(of, wanted));
    enum dataset_split split;
    TRY(model_evaluate(of->model, &with_cases, &of->score, &of->n_images, &split));
    if (has_cases)
        TRY(case_scores_summarize(&of->case_scores, &of->cases));
    fill_score(&of->score, of->n_images, out);
    out->split = dataset_split_name(split);
    if (ranks_index(wanted->ranks) > 0)
        return ADELE_OK;
    if (options->cases_file)
        TRY(save_cases(of));
    return options->scores_file ? save_scores(of, out->split) : ADELE_OK;
}

adele_status evaluation_run(struct model *model, const struct adele_evaluate_options *options,
                            const struct model_options *wanted, struct adele_score *out) {
    struct evaluation evaluation = {.model = model, .options = options};
    adele_status status = evaluate(&evaluation, wanted, out);
    if (status == ADELE_OK && options->cases) {
        *options->cases = evaluation.cases;
        evaluation.cases = NULL;
    }
    score_summary_destroy(evaluation.cases);
    case_scores_deinit(&evaluation.case_scores);
    output_destroy(evaluation.scores_output);
    output_destroy(evaluation.cases_output);
    return status;
}
