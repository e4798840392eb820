// SPDX-License-Identifier: MIT
#include "api/model.h"

#include "base/fail.h"
#include "base/memory.h"
#include "onnx/onnx_export.h"
#include "predict/evaluation.h"

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
    self->segmenter.model = &self->model;
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
    inference_destroy(model->segmenter.inference);
    model_deinit(&model->model);
    memory_free(model);
}

const struct adele_model_info *adele_model_describe(const struct adele_model *model) {
    return &model->info;
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

adele_status split_name_read(const char *name, enum dataset_split *out) {
    if (name == NULL || dataset_split_find(name, out))
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Use train, val or test.", "no split is named '%s'", name);
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
    return segmenter_drop_plans(&model->segmenter);
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
    adele_status status = read_evaluate_options(model, options, &wanted);
    if (status == ADELE_OK)
        status = evaluation_run(&model->model, options, &wanted, out);
    status = ranks_agree(model->ranks, status);
    if (status != ADELE_OK && options->cases) {
        adele_case_scores_destroy(*options->cases);
        *options->cases = NULL;
    }
    return status;
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
    TRY(segmenter_drop_plans(&model->segmenter));
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

adele_status adele_model_segment(struct adele_model *model, const struct adele_images *images,
                                 const struct adele_inference *inference, uint8_t *classes,
                                 float *probabilities) {
    struct inference_config config;
    TRY(segment_check_images(&model->model, images, classes));
    TRY(inference_options_read(inference, &config));
    return segment_images(&model->segmenter, images, &config, classes, probabilities);
}

// ---- export -----------------------------------------------------------------------------------

adele_status adele_model_export(struct adele_model *model,
                                const struct adele_export_options *options) {
    if (options->output == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a file, such as model.onnx.",
                    "no output is given");
    return onnx_export(&model->model, options->output, options->overwrite != 0);
}

// ---- in one call --------------------------------------------------------------------------------

adele_status adele_evaluate(const char *path, const char *device, const char *data,
                            const char *split, struct adele_score *out) {
    OWNED_BY(adele_model_close) struct adele_model *model = NULL;
    enum dataset_split known;
    memset(out, 0, sizeof *out);
    TRY(split_name_read(split, &known)); // before the model is loaded
    TRY(adele_model_open(path, NULL, device, &model));
    return adele_model_evaluate(
        model, &(struct adele_evaluate_options){.data = data, .split = split}, out);
}

adele_status adele_predict(const char *path, const char *device, const char *input,
                           const char *output, int *out_cases) {
    OWNED_BY(adele_model_close) struct adele_model *model = NULL;
    if (out_cases != NULL)
        *out_cases = 0;
    TRY(adele_model_open(path, NULL, device, &model));
    return adele_model_predict(
        model, &(struct adele_predict_options){.input = input, .output = output}, out_cases);
}
