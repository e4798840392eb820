// SPDX-License-Identifier: MIT
// The public C API over the rooms.
#include "adele/adele.h"

#include "base/fail.h"
#include "base/log.h"
#include "infer/model.h"
#include "infer/run_folder.h"
#include "run/trainer.h"

#include <string.h>

const char *adele_version(void) {
    return ADELE_VERSION;
}

static adele_log_function log_function;

static void forward_line(void *context, enum log_level level, const char *line) {
    log_function(context, level == LOG_WARNING, line);
}

void adele_log_to(adele_log_function function, void *context) {
    log_function = function;
    log_set_sink(function ? forward_line : NULL, context);
}

static bool ask_stop(void *context) {
    const struct adele_train_options *options = context;
    return options->should_stop && options->should_stop(options->context) != 0;
}

adele_status adele_train(const struct adele_train_options *options,
                         struct adele_train_result *out) {
    memset(out, 0, sizeof *out);
    struct config *config = NULL;
    TRY(config_load(options->config, options->n_sets, options->sets, &config));
    adele_status status = ADELE_OK;
    if (options->resume)
        status = run_paths_resolve(options->run_folder, NULL, config);
    struct trainer_options trainer = {.config = config,
                                      .run_folder = options->run_folder,
                                      .resume = options->resume != 0,
                                      .device = options->device ? options->device : "auto",
                                      .should_stop = ask_stop,
                                      .context = (void *)options};
    struct trainer_result result = {0};
    if (status == ADELE_OK)
        status = trainer_run(&trainer, &result);
    *out = (struct adele_train_result){.n_epochs = result.n_epochs,
                                       .val_miou = result.val_miou,
                                       .test_miou = result.test_miou,
                                       .best_miou = result.best_miou,
                                       .best_epoch = result.best_epoch};
    config_destroy(config);
    return status;
}

adele_status adele_evaluate(const char *checkpoint, const char *device, const char *data,
                            const char *split, struct adele_score *out) {
    struct model_options options;
    model_options_init(&options);
    options.data = data;
    if (!dataset_split_find(split, &options.split))
        return FAIL(ADELE_INVALID_ARGUMENT, "Use train, val or test.", "no split is named '%s'",
                    split ? split : "(null)");
    struct model model;
    TRY(model_load(checkpoint, NULL, device ? device : "auto", &model));
    struct score score;
    int n_images = 0;
    adele_status status = model_evaluate(&model, &options, &score, &n_images);
    model_deinit(&model);
    TRY(status);
    out->n_categories = score.n_categories;
    out->n_images = n_images;
    memcpy(out->iou, score.iou, sizeof out->iou);
    memcpy(out->dice, score.dice, sizeof out->dice);
    out->miou = score.miou;
    out->miou_foreground = score.miou_foreground;
    out->dice_foreground = score.dice_foreground;
    return ADELE_OK;
}

adele_status adele_predict(const char *checkpoint, const char *device, const char *input,
                           const char *output, int *out_cases) {
    struct model_options options;
    model_options_init(&options);
    options.data = input;
    options.is_folder = true;
    options.masks_folder = output;
    struct model model;
    TRY(model_load(checkpoint, NULL, device ? device : "auto", &model));
    adele_status status = model_predict(&model, &options, out_cases);
    model_deinit(&model);
    return status;
}

adele_status adele_export_labels(const char *run_folder, int epoch, const char *output) {
    return model_export_labels(
        &(struct label_export){.run_folder = run_folder, .epoch = epoch, .folder = output});
}

void adele_find_onset(const double *iou, int n, int n_epochs, double r, struct adele_onset *out) {
    struct onset_config config;
    struct onset_result result;
    onset_config_init(&config, ONSET_SEGTHOR);
    config.n_epochs = n_epochs;
    config.r = r;
    onset_find(&config, n, iou, &result);
    *out = (struct adele_onset){.is_known = result.known,
                                .epoch = result.known ? result.epoch : 0,
                                .a = result.fit.a,
                                .b = result.fit.b,
                                .c = result.fit.c};
}
