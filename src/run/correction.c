// SPDX-License-Identifier: MIT
// A correction at the end of an epoch (METHOD sections 2 and 3).
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "run/corrector.h"
#include "run/image_owner.h"
#include "run/label_exchange.h"

#include <stdio.h>
#include <string.h>

static void log_decision(const struct corrector *corrector, int epoch,
                         const struct schedule_decision *decision) {
    char line[512] = "";
    size_t used = 0;
    for (int c = 1; c < corrector->data->n_categories && used < sizeof line - 1; c++)
        if (decision->correct[c])
            used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", used ? ", " : "",
                                     corrector->data->dataset->category_names[c]);
    log_line(LOG_INFO, "epoch %d: correcting %s", epoch, line);
}

// ---- rewriting the labels -----------------------------------------------------------------------

// Rewrites the labels of images first .. first + n - 1, whose prediction is in
// corrector->prediction.
static adele_status correct_images(struct corrector *corrector,
                                   const struct schedule_decision *decision, int first, int n) {
    const struct resident *train = &corrector->data->resident[SPLIT_TRAIN];
    size_t offset = (size_t)first * (size_t)train->set.h * (size_t)train->set.w;
    bool is_original = corrector->data->config->correction.base == BASE_ORIGINAL;
    struct adele_correct_args args = {
        .base = (is_original ? train->noisy : train->labels) + offset,
        .labels = train->labels + offset,
        .prediction = corrector->prediction.category,
        .confidence_foreground = corrector->prediction.confidence_foreground,
        .confidence_background = corrector->prediction.confidence_background,
        .n_changed = corrector->n_changed};
    memcpy(args.correct, decision->correct, sizeof args.correct);
    struct adele_op *op =
        n == corrector->prediction.n ? corrector->correct : corrector->correct_rest;
    return corrector->data->device->iface->correct_forward(op, &args);
}

// An image's labels depend on its own prediction alone, so a batch is corrected before the next one
// is predicted, and a rank corrects its own batches.
static adele_status predict_and_correct(struct corrector *corrector, int epoch,
                                        const struct schedule_decision *decision) {
    const struct prediction *prediction = &corrector->prediction;
    const struct image_share share = corrector->counter.share;
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
    TRY(set_inference_begin(corrector->inference, &corrector->data->resident[SPLIT_TRAIN],
                            &output));
    do {
        TRY(set_inference_next(corrector->inference, &first, &n));
        if (n > 0)
            TRY(correct_images(corrector, decision, first, n));
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
static adele_status correct_whole_set(struct corrector *corrector,
                                      const struct schedule_decision *decision) {
    if (corrector->owners)
        TRY(prediction_clear_others(corrector->data, &corrector->prediction, corrector->owners));
    TRY(correct_images(corrector, decision, 0, corrector->prediction.n));
    return corrector->owners ? restore_others(corrector) : ADELE_OK;
}

static adele_status find_owners(struct corrector *corrector, int epoch) {
    const struct run_data *data = corrector->data;
    const struct epoch_plan *epochs = corrector->epochs;
    int n_images = data->resident[SPLIT_TRAIN].set.n_images, n_ranks = ranks_count(data->ranks);
    if (!corrector->inference)
        return image_owners_of_training(epochs, data->config->train.seed, epoch,
                                        epoch_plan_steps(epochs, epoch), n_images, n_ranks,
                                        corrector->owners);
    image_owners_of_shares(n_images, corrector->counter.batch, n_ranks, corrector->owners);
    return ADELE_OK;
}

// From the labels in corrector->scratch_map, which are those of the device. Collective.
static adele_status rewrite_labels(struct corrector *corrector, int epoch,
                                   const struct schedule_decision *decision, int64_t *out_changed) {
    struct run_data *data = corrector->data;
    const struct adele_device *device = data->device;
    TRY(device->iface->fill(device, corrector->n_changed, 0, sizeof *out_changed));
    if (corrector->owners)
        TRY(find_owners(corrector, epoch));
    if (corrector->inference)
        TRY(predict_and_correct(corrector, epoch, decision));
    else
        TRY(correct_whole_set(corrector, decision));
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, out_changed, corrector->n_changed, sizeof *out_changed));
    TRY(ranks_sum(data->ranks, out_changed, 1));
    return label_exchange_run(data, corrector->scratch_map, corrector->owners);
}

// ---- what changed -------------------------------------------------------------------------------

// Pixels of class c in `labels` that are something else in `others`: the count op leaves out pixels
// whose label is 255, and 255 in the other map is no class.
static adele_status count_differences(struct corrector *corrector, const uint8_t *labels,
                                      const uint8_t *others, int64_t out[256]) {
    int64_t counts[3 * 256];
    TRY(shared_counter_run(&corrector->counter, others, labels, counts));
    for (int c = 0; c < corrector->data->n_categories; c++)
        out[c] = counts[512 + c] - counts[c];
    return ADELE_OK;
}

// Also of a class that was not corrected itself: its pixels may have become another one.
static adele_status log_changes(struct corrector *corrector, int epoch) {
    const struct run_data *data = corrector->data;
    const uint8_t *before = corrector->scratch_map, *after = data->resident[SPLIT_TRAIN].labels;
    int64_t from[256] = {0}, to[256] = {0};
    TRY(count_differences(corrector, before, after, from));
    TRY(count_differences(corrector, after, before, to));
    for (int c = 0; c < data->n_categories; c++)
        if (from[c] > 0 || to[c] > 0)
            log_line(LOG_INFO,
                     "epoch %d: %s: %lld pixels of the labels became another class, "
                     "%lld became this one",
                     epoch, data->dataset->category_names[c], (long long)from[c], (long long)to[c]);
    return ADELE_OK;
}

static adele_status correct(struct corrector *corrector, int epoch,
                            const struct schedule_decision *decision, int64_t *out_changed) {
    const struct adele_device *device = corrector->data->device;
    const struct resident *train = &corrector->data->resident[SPLIT_TRAIN];
    log_decision(corrector, epoch, decision);
    TRY(device->iface->copy(device, corrector->scratch_map, train->labels,
                            resident_map_bytes(train)));
    TRY(rewrite_labels(corrector, epoch, decision, out_changed));
    return log_changes(corrector, epoch);
}

adele_status corrector_run(struct corrector *corrector, int epoch, int64_t *out_changed) {
    const struct curves *curves = &corrector->curves;
    *out_changed = -1;
    if (!corrector->data->config->correction.enabled)
        return ADELE_OK;
    struct schedule_config schedule = corrector_schedule(corrector);
    struct schedule_decision *decision = NULL;
    TRY(ALLOCATE(&decision, 1));
    adele_status status;
    TRY_GOTO(schedule_decide(&schedule, epoch, curves->n_values, (const double *const *)curves->iou,
                             &corrector->schedule, decision),
             done);
    TRY_GOTO(veto_apply(corrector, epoch, decision), done);
    memcpy(corrector->onsets, decision->onset, sizeof corrector->onsets);
    memcpy(corrector->corrected + (size_t)epoch * 256, decision->correct, 256);
    if (decision->any)
        status = correct(corrector, epoch, decision, out_changed);
done:
    memory_free(decision);
    return status;
}
