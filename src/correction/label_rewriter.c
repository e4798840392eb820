// SPDX-License-Identifier: MIT
#include "correction/label_rewriter.h"

#include "base/fail.h"

#include <string.h>

// The ensemble has decided each pixel, so that every confidence, which is 0, is above the
// threshold.
static struct adele_correct_desc describe_rule(const struct run_data *data, int n_images) {
    const struct config *config = data->config;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    struct adele_correct_desc desc = {.n = n_images,
                                      .n_categories = data->n_categories,
                                      .h = set->h,
                                      .w = set->w,
                                      .rule = ADELE_CORRECT_BOTH,
                                      .tau_foreground = -1.0,
                                      .tau_background = -1.0,
                                      .class_constraint = config->correction.class_constraint};
    if (config_has_ensemble(config))
        return desc;
    desc.rule = config->correction.rule;
    desc.tau_foreground = config->correction.tau;
    desc.tau_background = config->correction.tau_background;
    desc.mask = config->correction.mask;
    desc.logic255 = config->correction.logic255;
    desc.guard = config->correction.guard;
    return desc;
}

static adele_status ops_init(struct label_rewriter *rewriter) {
    const struct adele_device *device = rewriter->data->device;
    struct adele_correct_desc desc = describe_rule(rewriter->data, rewriter->prediction.n);
    TRY(device->iface->correct_create(device, &desc, &rewriter->correct));
    desc.n = rewriter->data->resident[SPLIT_TRAIN].set.n_images % desc.n;
    return desc.n > 0 ? device->iface->correct_create(device, &desc, &rewriter->rest) : ADELE_OK;
}

adele_status label_rewriter_init(struct label_rewriter *out, struct run_data *data, int n_images) {
    const struct adele_device *device = data->device;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    struct prediction *prediction = &out->prediction;
    size_t n_pixels = (size_t)n_images * (size_t)set->h * (size_t)set->w;
    size_t bytes = n_pixels * sizeof(float);
    // The ensemble corrects each class once: the labels of now are the original ones of that class.
    *out = (struct label_rewriter){.data = data,
                                   .prediction.n = n_images,
                                   .is_from_original =
                                       data->config->correction.base == BASE_ORIGINAL &&
                                       data->config->correction.method == METHOD_ADELE};
    TRY(adele_device_alloc_zeroed(device, n_pixels, "the correction",
                                  (void **)&prediction->category));
    TRY(adele_device_alloc_zeroed(device, bytes, "the correction",
                                  (void **)&prediction->confidence_foreground));
    TRY(adele_device_alloc_zeroed(device, bytes, "the correction",
                                  (void **)&prediction->confidence_background));
    TRY(ops_init(out));
    return device->iface->alloc(device, sizeof(int64_t), (void **)&out->n_changed);
}

void label_rewriter_deinit(struct label_rewriter *rewriter) {
    if (!rewriter->data)
        return;
    const struct adele_device *device = rewriter->data->device;
    device->iface->op_destroy(rewriter->correct);
    device->iface->op_destroy(rewriter->rest);
    device->iface->release(device, rewriter->prediction.category);
    device->iface->release(device, rewriter->prediction.confidence_foreground);
    device->iface->release(device, rewriter->prediction.confidence_background);
    device->iface->release(device, rewriter->n_changed);
    memset(rewriter, 0, sizeof *rewriter);
}

adele_status label_rewriter_begin(struct label_rewriter *rewriter) {
    const struct adele_device *device = rewriter->data->device;
    return device->iface->fill(device, rewriter->n_changed, 0, sizeof *rewriter->n_changed);
}

adele_status label_rewriter_forward(const struct label_rewriter *rewriter,
                                    const struct schedule_decision *decision,
                                    const uint8_t *category, int first, int n) {
    const struct resident *train = &rewriter->data->resident[SPLIT_TRAIN];
    size_t offset = (size_t)first * (size_t)train->set.h * (size_t)train->set.w;
    struct adele_correct_args args = {
        .base = (rewriter->is_from_original ? train->noisy : train->labels) + offset,
        .labels = train->labels + offset,
        .prediction = category,
        .confidence_foreground = rewriter->prediction.confidence_foreground,
        .confidence_background = rewriter->prediction.confidence_background,
        .n_changed = rewriter->n_changed};
    memcpy(args.correct, decision->correct, sizeof args.correct);
    struct adele_op *op = n == rewriter->prediction.n ? rewriter->correct : rewriter->rest;
    return rewriter->data->device->iface->correct_forward(op, &args);
}

adele_status label_rewriter_end(const struct label_rewriter *rewriter, int64_t *out_changed) {
    const struct adele_device *device = rewriter->data->device;
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, out_changed, rewriter->n_changed, sizeof *out_changed));
    return ranks_sum(rewriter->data->ranks, out_changed, 1);
}
