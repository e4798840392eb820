// SPDX-License-Identifier: MIT
#include "correction/correction_adele.h"

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/image_owner.h"

#include <string.h>

static adele_status inference_init(struct corrector *corrector, struct network *network) {
    const struct config *config = corrector->data->config;
    const struct adele_sample_set *set = &corrector->data->resident[SPLIT_TRAIN].set;
    struct inference_config inference =
        set_inference_config(config, corrector->epochs->part_images, 1.0);
    inference.n_scales = config->correction.n_scales;
    inference.flip = config->correction.flip;
    inference.average = config->correction.average;
    inference.temperature = config->correction.temperature;
    inference.crf_iterations = config->correction.crf_iterations;
    bool has_crf_image = set->pixel == ADELE_PIXEL_U8 && (set->c == 1 || set->c == 3);
    if (inference.crf_iterations > 0 && !has_crf_image)
        return FAIL(ADELE_CONFIG, "Set correction.crf_iterations: 0.",
                    "correction.crf_iterations: %d, but a CRF needs gray or RGB images of 8 bits",
                    inference.crf_iterations);
    memcpy(inference.scales, config->correction.scales, sizeof config->correction.scales);
    return set_inference_create(
        corrector->data->device, network, &inference, corrector->data->images[SPLIT_TRAIN].origin,
        corrector->data->n_categories, set->c, set->h, set->w, &corrector->adele->inference);
}

adele_status correction_adele_create(struct corrector *corrector,
                                     const struct corrector_options *options) {
    TRY(ALLOCATE(&corrector->adele, 1));
    TRY(veto_init(&corrector->adele->veto, corrector, options));
    return corrector->data->config->correction.source == SOURCE_TRAINING_PASS
               ? ADELE_OK
               : inference_init(corrector, options->network);
}

void correction_adele_destroy(struct correction_adele *self, const struct adele_device *device) {
    if (!self)
        return;
    set_inference_destroy(self->inference);
    veto_deinit(&self->veto, device);
    memory_free(self);
}

// An image's labels depend on its own prediction alone, so a batch is corrected before the next one
// is predicted, and a rank corrects its own batches.
static adele_status predict_and_rewrite(struct corrector *corrector, int epoch,
                                        const struct schedule_decision *decision) {
    const struct prediction *prediction = &corrector->rewriter.prediction;
    const struct image_share share = corrector->counter.share;
    struct set_inference *inference = corrector->adele->inference;
    const struct inference_output output = {
        .prediction = prediction->category,
        .confidence_foreground = prediction->confidence_foreground,
        .confidence_background = prediction->confidence_background,
        .is_by_batch = true,
        .first = share.first,
        .end = share.end,
        .without_crf = epoch < corrector->data->config->correction.crf_from_epoch};
    int first = 0, n = 0;
    if (share.first == share.end)
        return ADELE_OK;
    TRY(set_inference_begin(inference, &corrector->data->resident[SPLIT_TRAIN], &output));
    do {
        TRY(set_inference_next(inference, &first, &n));
        if (n > 0)
            TRY(label_rewriter_forward(&corrector->rewriter, decision, prediction->category, first,
                                       n));
    } while (n > 0);
    return ADELE_OK;
}

// The labels of other ranks' images as they were: one that is not corrected has become its base,
// which may be the original labels.
static adele_status restore_others(struct corrector *corrector) {
    const struct run_data *data = corrector->data;
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    size_t map = (size_t)train->set.h * (size_t)train->set.w;
    struct image_share others = {0, 0};
    while (image_owners_next_others(corrector->owners, train->set.n_images,
                                    ranks_index(data->ranks), &others)) {
        size_t offset = (size_t)others.first * map;
        TRY(data->device->iface->copy(data->device, train->labels + offset,
                                      corrector->scratch_map + offset,
                                      (size_t)(others.end - others.first) * map));
    }
    return ADELE_OK;
}

// The training pass has left predictions of all images, on the ranks that trained on them.
static adele_status rewrite_whole_set(struct corrector *corrector,
                                      const struct schedule_decision *decision) {
    const struct prediction *prediction = &corrector->rewriter.prediction;
    if (corrector->owners)
        TRY(prediction_clear_others(corrector->data, prediction, corrector->owners));
    TRY(label_rewriter_forward(&corrector->rewriter, decision, prediction->category, 0,
                               prediction->n));
    return corrector->owners ? restore_others(corrector) : ADELE_OK;
}

adele_status correction_adele_rewrite(struct corrector *corrector, int epoch,
                                      const struct schedule_decision *decision) {
    return corrector->adele->inference ? predict_and_rewrite(corrector, epoch, decision)
                                       : rewrite_whole_set(corrector, decision);
}
