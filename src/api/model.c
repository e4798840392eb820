// SPDX-License-Identifier: MIT
#include "api/model.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "infer/model_output.h"
#include "scores/score_summary.h"

#include <string.h>

// ---- opening ------------------------------------------------------------------------------------

adele_status checkpoint_name_check(const char *name) {
    if (name == NULL || strcmp(name, "last") == 0 || strcmp(name, "best") == 0)
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Use last or best.", "no checkpoint is named '%s'", name);
}

adele_status adele_model_open(const char *path, const char *checkpoint, const char *device,
                              struct adele_model **out) {
    struct adele_model *self = NULL;
    *out = NULL;
    if (path == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a checkpoint file, or a run's folder.",
                    "no path is given");
    TRY(checkpoint_name_check(checkpoint));
    TRY(ALLOCATE(&self, 1));
    adele_status status =
        model_load(path, checkpoint, device != NULL ? device : "auto", &self->model);
    if (status != ADELE_OK) {
        memory_free(self);
        return status;
    }
    const struct model *model = &self->model;
    self->info =
        (struct adele_model_info){.path = model->path,
                                  .epoch = model->epoch,
                                  .n_channels = model->n_channels,
                                  .n_classes = model->n_categories,
                                  .class_names = (const char *const *)model->category_names,
                                  .height = model->height,
                                  .width = model->width,
                                  .is_averaged = model->is_averaged};
    *out = self;
    return ADELE_OK;
}

void adele_model_close(struct adele_model *model) {
    if (model == NULL)
        return;
    inference_destroy(model->inference);
    model_deinit(&model->model);
    memory_free(model);
}

const struct adele_model_info *adele_model_describe(const struct adele_model *model) {
    return &model->info;
}

adele_status model_drop_plans(struct adele_model *self) {
    inference_destroy(self->inference);
    self->inference = NULL;
    return network_drop_plans(self->model.network);
}

// ---- options ------------------------------------------------------------------------------------

_Static_assert(ADELE_MAX_INPUT_SCALES == INFERENCE_MAX_SCALES, "both arrays hold the same scales");

enum { MAX_BATCH = 4096, MAX_WINDOW = 16384 }; // of train.batch and data.size, too

static adele_status check_window(const struct adele_inference *inference) {
    int h = inference->window_height, w = inference->window_width;
    if ((h == 0 && w == 0) || (h > 0 && h <= MAX_WINDOW && w > 0 && w <= MAX_WINDOW))
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Use both extents of a window, or 0 and 0 for none.",
                "a window of %d x %d pixels (height x width), not from 1 to %d", h, w, MAX_WINDOW);
}

adele_status inference_options_read(const struct adele_inference *inference,
                                    struct inference_config *out) {
    struct model_options defaults;
    model_options_init(&defaults);
    *out = defaults.inference;
    if (inference == NULL)
        return ADELE_OK;
    if (inference->n_scales < 0 || inference->n_scales > ADELE_MAX_INPUT_SCALES)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%d scales, not from 0 to %d", inference->n_scales,
                    ADELE_MAX_INPUT_SCALES);
    for (int i = 0; i < inference->n_scales; i++) {
        if (!(inference->scales[i] > 0.0 && inference->scales[i] <= 8.0))
            return FAIL(ADELE_INVALID_ARGUMENT, "", "scale %g is not above 0 and up to 8",
                        inference->scales[i]);
        out->scales[i] = inference->scales[i];
    }
    if (inference->n_scales > 0)
        out->n_scales = inference->n_scales;
    if (inference->batch < 0 || inference->batch > MAX_BATCH)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "batch %d, not from 0 to %d", inference->batch,
                    MAX_BATCH);
    if (inference->crf_iterations < 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "crf_iterations %d: below 0",
                    inference->crf_iterations);
    TRY(check_window(inference));
    out->window_h = inference->window_height;
    out->window_w = inference->window_width;
    if (inference->batch > 0)
        out->batch = inference->batch;
    out->crf_iterations = inference->crf_iterations;
    out->flip = inference->flip != 0;
    return ADELE_OK;
}

static bool watch_should_stop(void *context) {
    const struct adele_watch *watch = context;
    return watch->should_stop != NULL && watch->should_stop(watch->context) != 0;
}

static void watch_case(void *context, int i, int n) {
    const struct adele_watch *watch = context;
    if (watch->on_case != NULL)
        watch->on_case(watch->context, i, n);
}

void watch_connect(const struct adele_watch *watch, struct model_options *out) {
    out->on_case = watch_case;
    out->should_stop = watch_should_stop;
    out->context = (void *)watch;
}

// ---- evaluation ---------------------------------------------------------------------------------

// What an evaluation measures and writes.
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
    cJSON *json = score_to_json(&of->score, split, of->n_images, model->category_names);
    bool is_fine = json &&
                   json_add(json, "checkpoint", cJSON_CreateString(file_base_name(model->path))) &&
                   json_add(json, "epoch", cJSON_CreateNumber(model->epoch)) &&
                   (!of->cases || json_add(json, "cases", case_scores_to_json(of->cases)));
    adele_status status = is_fine ? output_begin(of->scores_output) : CHECK_MEMORY(NULL);
    if (status == ADELE_OK)
        status = output_end(of->scores_output, json_write(of->options->scores_file, json));
    cJSON_Delete(json);
    return status;
}

static adele_status save_cases(const struct evaluation *of) {
    TRY(output_begin(of->cases_output));
    return output_end(of->cases_output,
                      case_scores_write(of->options->cases_file, &of->case_scores));
}

adele_status split_name_read(const char *name, enum dataset_split *out) {
    if (name == NULL || dataset_split_find(name, out))
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Use train, val or test.", "no split is named '%s'", name);
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
    char *a = NULL, *b = NULL;
    if (!scores || !cases)
        return ADELE_OK;
    adele_status status = path_resolve(scores, &a);
    if (status == ADELE_OK)
        status = path_resolve(cases, &b);
    if (status == ADELE_OK && strcmp(a, b) == 0)
        status = FAIL(ADELE_INVALID_ARGUMENT, "Give each a file of its own.",
                      "%s would be JSON and CSV", scores);
    memory_free(a);
    memory_free(b);
    return status;
}

static adele_status plan_files(struct evaluation *of, const struct model_options *wanted) {
    const char *scores = of->options->scores_file, *cases = of->options->cases_file;
    TRY(check_different(scores, cases));
    TRY(model_plan_file(of->model, wanted, scores, &of->scores_output));
    return model_plan_file(of->model, wanted, cases, &of->cases_output);
}

static adele_status evaluate(struct evaluation *of, struct model_options *wanted,
                             struct adele_score *out) {
    const struct adele_evaluate_options *options = of->options;
    bool has_cases = options->cases_file || options->cases;
    wanted->case_scores = has_cases ? &of->case_scores : NULL;
    TRY(plan_files(of, wanted));
    enum dataset_split split;
    TRY(model_evaluate(of->model, wanted, &of->score, &of->n_images, &split));
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

static adele_status read_evaluate_options(struct adele_model *model,
                                          const struct adele_evaluate_options *options,
                                          struct model_options *out) {
    TRY(split_name_read(options->split, &out->split));
    out->may_be_val = options->split == NULL;
    TRY(inference_options_read(&options->inference, &out->inference));
    out->data = options->data;
    out->masks_folder = options->masks_folder;
    out->is_overwriting = options->overwrite != 0;
    watch_connect(&options->watch, out);
    return model_drop_plans(model);
}

// `status`: of the evaluation. The statistics become the caller's, where it wants them.
static adele_status end_evaluation(struct evaluation *of, adele_status status) {
    if (status == ADELE_OK && of->options->cases) {
        *of->options->cases = of->cases;
        of->cases = NULL;
    }
    adele_case_scores_destroy(of->cases);
    case_scores_deinit(&of->case_scores);
    output_destroy(of->scores_output);
    output_destroy(of->cases_output);
    return status;
}

adele_status adele_model_evaluate(struct adele_model *model,
                                  const struct adele_evaluate_options *options,
                                  struct adele_score *out) {
    static const struct adele_evaluate_options defaults;
    struct model_options wanted;
    memset(out, 0, sizeof *out);
    if (options == NULL)
        options = &defaults;
    if (options->cases)
        *options->cases = NULL;
    TRY(ranks_check_usable(model->ranks));
    model_options_init(&wanted);
    wanted.ranks = model->ranks;
    struct evaluation evaluation = {.model = &model->model, .options = options};
    adele_status status = read_evaluate_options(model, options, &wanted);
    if (status == ADELE_OK)
        status = evaluate(&evaluation, &wanted, out);
    return end_evaluation(&evaluation, ranks_agree(model->ranks, status));
}

// ---- prediction ---------------------------------------------------------------------------------

static adele_status predict(struct adele_model *model, const struct adele_predict_options *options,
                            int *out_cases) {
    struct model_options wanted;
    if (options->input == NULL || options->output == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name both folders.", "no %s is given",
                    options->input == NULL ? "input" : "output");
    model_options_init(&wanted);
    TRY(inference_options_read(&options->inference, &wanted.inference));
    wanted.data = options->input;
    wanted.is_folder = true;
    wanted.masks_folder = options->output;
    wanted.is_overwriting = options->overwrite != 0;
    wanted.probabilities = options->probabilities != 0;
    wanted.ranks = model->ranks;
    watch_connect(&options->watch, &wanted);
    TRY(model_drop_plans(model));
    return model_predict(&model->model, &wanted, out_cases);
}

adele_status adele_model_predict(struct adele_model *model,
                                 const struct adele_predict_options *options, int *out_cases) {
    int n_cases = 0;
    if (out_cases != NULL)
        *out_cases = 0;
    TRY(ranks_check_usable(model->ranks));
    adele_status status = ranks_agree(model->ranks, predict(model, options, &n_cases));
    if (out_cases != NULL)
        *out_cases = status == ADELE_OK ? n_cases : 0;
    return status;
}

// ---- in one call --------------------------------------------------------------------------------

adele_status adele_evaluate(const char *path, const char *device, const char *data,
                            const char *split, struct adele_score *out) {
    struct adele_model *model = NULL;
    enum dataset_split known;
    memset(out, 0, sizeof *out);
    TRY(split_name_read(split, &known)); // before the model is loaded
    TRY(adele_model_open(path, NULL, device, &model));
    adele_status status = adele_model_evaluate(
        model, &(struct adele_evaluate_options){.data = data, .split = split}, out);
    adele_model_close(model);
    return status;
}

adele_status adele_predict(const char *path, const char *device, const char *input,
                           const char *output, int *out_cases) {
    struct adele_model *model = NULL;
    if (out_cases != NULL)
        *out_cases = 0;
    TRY(adele_model_open(path, NULL, device, &model));
    adele_status status = adele_model_predict(
        model, &(struct adele_predict_options){.input = input, .output = output}, out_cases);
    adele_model_close(model);
    return status;
}
