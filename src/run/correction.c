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

// Rewrites the labels of images first .. first + n - 1, whose prediction is `category`, and whose
// confidences are in corrector->prediction. The method ensemble corrects each class once, so that
// its base are the labels of now, which then are the original ones for that class.
static adele_status correct_images(struct corrector *corrector,
                                   const struct schedule_decision *decision,
                                   const uint8_t *category, int first, int n) {
    const struct config *config = corrector->data->config;
    const struct resident *train = &corrector->data->resident[SPLIT_TRAIN];
    size_t offset = (size_t)first * (size_t)train->set.h * (size_t)train->set.w;
    bool is_original =
        config->correction.base == BASE_ORIGINAL && config->correction.method == METHOD_ADELE;
    struct adele_correct_args args = {
        .base = (is_original ? train->noisy : train->labels) + offset,
        .labels = train->labels + offset,
        .prediction = category,
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
            TRY(correct_images(corrector, decision, prediction->category, first, n));
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
    TRY(correct_images(corrector, decision, corrector->prediction.category, 0,
                       corrector->prediction.n));
    return corrector->owners ? restore_others(corrector) : ADELE_OK;
}

// The ensemble has decided the images of this rank's share.
static adele_status correct_share(struct corrector *corrector,
                                  const struct schedule_decision *decision) {
    const struct ensemble *ensemble = &corrector->ensemble;
    const struct adele_sample_set *set = &corrector->data->resident[SPLIT_TRAIN].set;
    size_t map = (size_t)set->h * (size_t)set->w;
    for (int i = ensemble->share.first; i < ensemble->share.end; i += ensemble->batch) {
        int left = ensemble->share.end - i, n = left < ensemble->batch ? left : ensemble->batch;
        TRY(correct_images(corrector, decision, ensemble->decided + (size_t)i * map, i, n));
    }
    return ADELE_OK;
}

static adele_status find_owners(struct corrector *corrector, int epoch) {
    const struct run_data *data = corrector->data;
    const struct epoch_plan *epochs = corrector->epochs;
    int n_images = data->resident[SPLIT_TRAIN].set.n_images, n_ranks = ranks_count(data->ranks);
    if (!corrector->inference && !corrector->ensemble.data)
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
    if (corrector->ensemble.data)
        TRY(correct_share(corrector, decision));
    else if (corrector->inference)
        TRY(predict_and_correct(corrector, epoch, decision));
    else
        TRY(correct_whole_set(corrector, decision));
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, out_changed, corrector->n_changed, sizeof *out_changed));
    TRY(ranks_sum(data->ranks, out_changed, 1));
    return label_exchange_changes(data, corrector->scratch_map, corrector->owners);
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

// ---- the method ensemble ------------------------------------------------------------------------

// With a fixed epoch, all classes at once; the onsets of the curves are only recorded.
static void choose_ensemble_classes(const struct corrector *corrector, int epoch,
                                    struct schedule_decision *decision) {
    const struct ensemble *ensemble = &corrector->ensemble;
    bool is_fixed = corrector->data->config->correction.timing == TIMING_FIXED;
    if (is_fixed) {
        decision->any = epoch >= ensemble_epoch(ensemble);
        for (int c = 0; c < corrector->data->n_categories; c++)
            decision->correct[c] = decision->any;
    }
    if (!ensemble_is_open(ensemble)) {
        memset(decision->correct, 0, sizeof decision->correct);
        decision->any = false;
    }
}

// A class that no label contains has no onset: the maps would never be freed.
static bool are_all_done(const struct corrector *corrector,
                         const struct schedule_decision *decision) {
    bool is_fixed = corrector->data->config->correction.timing == TIMING_FIXED;
    for (int c = 1; c < corrector->data->n_categories && !is_fixed; c++)
        if (!corrector->schedule.is_done[c] && corrector->is_labelled[c])
            return false;
    return is_fixed ? decision->any : true;
}

// Adds the epoch's predictions, and decides where a class is to be corrected. *out_is_last: no
// class is left for a later epoch.
static adele_status run_ensemble(struct corrector *corrector, int epoch,
                                 struct schedule_decision *decision, bool *out_is_last) {
    struct ensemble *ensemble = &corrector->ensemble;
    choose_ensemble_classes(corrector, epoch, decision);
    if (!ensemble_is_open(ensemble))
        return ADELE_OK;
    *out_is_last = are_all_done(corrector, decision);
    TRY(ensemble_accumulate(ensemble));
    if (decision->any) {
        TRY(ensemble_decide(ensemble, epoch, false, ensemble->decided));
        TRY(ensemble_gate_apply(&corrector->gate, epoch, decision));
    }
    return ADELE_OK;
}

// The same by the averaged weights.
static adele_status run_ensemble_averaged(struct corrector *corrector, int epoch,
                                          struct schedule_decision *decision, bool *out_is_last) {
    struct network *network = corrector->network;
    if (!network_average(network))
        return run_ensemble(corrector, epoch, decision, out_is_last);
    TRY(network_exchange_average(network));
    TRY(run_ensemble(corrector, epoch, decision, out_is_last));
    return network_exchange_average(network);
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
    bool is_last = false;
    TRY_GOTO(schedule_decide(&schedule, epoch, curves->n_values, (const double *const *)curves->iou,
                             &corrector->schedule, decision),
             done);
    if (corrector->ensemble.data)
        TRY_GOTO(run_ensemble_averaged(corrector, epoch, decision, &is_last), done);
    else
        TRY_GOTO(veto_apply(corrector, epoch, decision), done);
    memcpy(corrector->onsets, decision->onset, sizeof corrector->onsets);
    memcpy(corrector->corrected + (size_t)epoch * 256, decision->correct, 256);
    if (decision->any)
        status = correct(corrector, epoch, decision, out_changed);
    if (status == ADELE_OK && is_last) // the decision lies in its memory until here
        status = ensemble_close(&corrector->ensemble);
done:
    memory_free(decision);
    return status;
}
