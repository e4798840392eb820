// SPDX-License-Identifier: MIT
#include "run/start_report.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "correction/correction_plan.h"
#include "run_folder/metric_values.h"

#include <math.h>
#include <string.h>

static void describe_data(const struct trainer *trainer, struct adele_train_start *start) {
    const struct run_data *data = &trainer->data;
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    // Of the first scale, which is 1.
    struct adele_shape input = plan_input_shape(trainer->step.full.plans[0]);
    struct adele_train_split *const splits[SPLIT_COUNT] = {
        [SPLIT_TRAIN] = &start->train, [SPLIT_VAL] = &start->val, [SPLIT_TEST] = &start->test};
    for (int split = 0; split < SPLIT_COUNT; split++)
        *splits[split] = (struct adele_train_split){data->dataset->n_cases[split],
                                                    data->resident[split].set.n_images};
    start->data_folder = data->dataset->root;
    start->layout = dataset_layout_name(data->dataset->layout);
    start->height = images->h;
    start->width = images->w;
    start->n_channels = images->c;
    start->crop_height = input.h;
    start->crop_width = input.w;
    for (int i = 0; i < images->n; i++) {
        int h = images->origin[i].height, w = images->origin[i].width;
        start->min_file_height = i == 0 || h < start->min_file_height ? h : start->min_file_height;
        start->min_file_width = i == 0 || w < start->min_file_width ? w : start->min_file_width;
        start->max_file_height = h > start->max_file_height ? h : start->max_file_height;
        start->max_file_width = w > start->max_file_width ? w : start->max_file_width;
    }
}

// Shares of the labels that the run was given; `shares` has room for 256.
static void count_classes(const struct run_data *data, struct adele_train_start *start,
                          double *shares) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    int64_t n_pixels = (int64_t)images->n * images->h * images->w, counts[256] = {0};
#pragma omp parallel for reduction(+ : counts)
    for (int64_t i = 0; i < n_pixels; i++)
        counts[images->labels[i]]++;
    int64_t n_labelled = n_pixels - counts[ADELE_IGNORE];
    for (int c = 0; c < data->n_categories; c++)
        shares[c] = n_labelled > 0 ? (double)counts[c] / (double)n_labelled : 0.0;
    start->n_classes = data->n_categories;
    start->class_names = (const char *const *)data->dataset->category_names;
    start->class_shares = shares;
    start->ignored_share = (double)counts[ADELE_IGNORE] / (double)n_pixels;
}

static const char *backbone_name(const struct config *config) {
    const char *name = config->model.backbone;
    if (strncmp(config->model.name, "deeplab", strlen("deeplab")) != 0)
        return "";
    return name == NULL || strcmp(name, "default") == 0 ? "resnet38d" : name;
}

static void describe_steps(const struct trainer *trainer, struct adele_train_start *start) {
    const struct epoch_plan *epochs = &trainer->step.epochs;
    start->network = trainer->config->model.name;
    start->backbone = backbone_name(trainer->config);
    start->n_parameters = network_parameter_count(trainer->network);
    start->batch = epochs->batch;
    for (int k = 0; k < trainer->step.n_scales; k++)
        start->step_flops += epochs->n_parts * plan_flops(trainer->step.full.plans[k], true);
    start->device = trainer->device->description;
    start->precision = config_precision_name(trainer->config->train.precision);
    start->planned_bytes = trainer->memory.planned;
    start->available_bytes = trainer->memory.available;
    start->n_epochs = epochs->n_epochs;
    start->n_steps = epochs->n_steps;
    start->n_last_images = epochs->n_last_images;
    start->n_dropped_images = epochs->n_dropped_images;
    start->n_steps_total = epochs->n_steps_total;
    start->n_done_steps = trainer->progress.step;
    start->n_processes = ranks_count(trainer->options.ranks);
    start->n_parts = epochs->n_parts;
}

// By the records of the epochs before.
static adele_status count_corrected(const struct trainer *trainer,
                                    struct adele_train_start *start) {
    size_t n_epochs = (size_t)trainer->progress.epoch + 1;
    OWNED double *pixels = NULL;
    if (trainer->metrics == NULL) // a dry run
        return ADELE_OK;
    TRY(metric_values_read(trainer->metrics, "correction/changed_pixels", n_epochs, &pixels));
    for (size_t i = 0; i < n_epochs; i++)
        start->n_corrected_pixels += isfinite(pixels[i]) ? llround(pixels[i]) : 0;
    return ADELE_OK;
}

adele_status start_report(const struct trainer *trainer) {
    const struct trainer_options *options = &trainer->options;
    const struct noise_config *noise = &trainer->config->data.noise;
    double shares[256];
    struct correction_plan plan;
    correction_plan_describe(&trainer->corrector, &plan);
    log_line(LOG_DETAIL, "labels to be corrected: %s", plan.when);
    if (plan.warning[0] != '\0')
        log_line(LOG_DETAIL, "warning: %s", plan.warning);
    if (options->on_start == NULL)
        return ADELE_OK;
    struct adele_train_start start = {
        .run_folder = options->run_folder,
        .correction = plan.when,
        .correction_warning = plan.warning,
        .noise = noise->kind != NOISE_NONE ? noise_kind_names[noise->kind] : NULL,
        .noise_miou = trainer->data.noise.miou_foreground};
    describe_data(trainer, &start);
    count_classes(&trainer->data, &start, shares);
    describe_steps(trainer, &start);
    TRY(count_corrected(trainer, &start));
    options->on_start(options->context, &start);
    return ADELE_OK;
}
