// SPDX-License-Identifier: MIT
// What keeps clean labels clean. The curves of a network that learns clean labels bend as those of
// one that is about to memorize wrong ones, so that the paper's rule corrects both; and a
// correction of clean labels replaces them by the network's mistakes. What tells them apart is how
// far the network agrees with itself: it predicts the training images at two scales. Where the
// labels are right, it agrees with them about as well as with itself; where they are wrong, much
// less, as long as it has not memorized them.
//
// The labels are the original ones: the question is what was given, so that a category whose labels
// were found wrong once is not asked about again. Mirror images are no second view, because left
// and right may be categories.
//
// A curve of few points may bend by chance, but where the labels are very wrong the first epochs
// are the best to correct them: before correction.min_points values, twice the margin is asked for.
// A category that is left alone is asked about again at the next epoch, because the network's
// predictions swing from epoch to epoch, and labels that are wrong may look right in one of them.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/log.h"

#include <math.h>
#include <string.h>

// The other scale, of a network that is trained at scale 1 alone.
#define ONLY_SCALE 1.5
// Times the margin, before correction.min_points values.
#define EARLY 2.0

static adele_status view_init(struct trainer *trainer, double scale) {
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    struct inference_config config = {.batch = trainer->full.n,
                                      .n_scales = 1,
                                      .scales = {scale},
                                      .average = ADELE_ENSEMBLE_PROBABILITIES,
                                      .temperature = 1.0};
    struct veto *veto = &trainer->veto;
    TRY(inference_create(trainer->device, trainer->network, &config, trainer->n_categories, set->c,
                         set->h, set->w, &veto->views[veto->n_views]));
    veto->n_views++;
    return ADELE_OK;
}

// The scales that the network is trained at, for at those it was made to agree.
static adele_status views_init(struct trainer *trainer) {
    TRY(view_init(trainer, 1.0));
    for (int k = 1; k < trainer->n_scales; k++)
        TRY(view_init(trainer, trainer->config->loss.scales[k]));
    return trainer->n_scales > 1 ? ADELE_OK : view_init(trainer, ONLY_SCALE);
}

adele_status trainer_veto_init(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    size_t bytes = resident_map_bytes(&trainer->resident[SPLIT_TRAIN]);
    TRY(device->iface->alloc(device, bytes, (void **)&trainer->scratch_map));
    if (trainer->config->correction.veto <= 0.0)
        return ADELE_OK;
    TRY(device->iface->alloc(device, bytes, (void **)&trainer->veto.map));
    adele_status status = views_init(trainer);
    return status == ADELE_OK
               ? status
               : fail_context(status, "correction.veto: %g", trainer->config->correction.veto);
}

void trainer_veto_deinit(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    for (int i = 0; i < trainer->veto.n_views; i++)
        inference_destroy(trainer->veto.views[i]);
    device->iface->release(device, trainer->veto.map);
    device->iface->release(device, trainer->scratch_map);
    memset(&trainer->veto, 0, sizeof trainer->veto);
    trainer->scratch_map = NULL;
}

static adele_status predict(struct trainer *trainer, int i_view, uint8_t *map) {
    struct inference_output output = {.prediction = map};
    return inference_run(trainer->veto.views[i_view], &trainer->resident[SPLIT_TRAIN], &output,
                         NULL, NULL);
}

static adele_status compare(struct trainer *trainer, const uint8_t *prediction,
                            const uint8_t *labels, struct score *out) {
    int64_t counts[3 * 256];
    TRY(trainer_count_maps(trainer, SPLIT_TRAIN, prediction, labels, counts));
    score_compute(counts, trainer->n_categories, out);
    return ADELE_OK;
}

// IoU of each category, NaN where it does not occur: with itself at the scale that agrees best, and
// with the original labels, now or in the training pass, whichever agrees better.
static adele_status measure(struct trainer *trainer, double *own, double *labels) {
    struct score score;
    TRY(predict(trainer, 0, trainer->scratch_map));
    TRY(compare(trainer, trainer->scratch_map, trainer->resident[SPLIT_TRAIN].noisy, &score));
    for (int c = 0; c < trainer->n_categories; c++) {
        own[c] = NAN;
        labels[c] = fmax(score.iou[c], trainer->series[c][trainer->n_values - 1]);
    }
    for (int i = 1; i < trainer->veto.n_views; i++) {
        TRY(predict(trainer, i, trainer->veto.map));
        TRY(compare(trainer, trainer->veto.map, trainer->scratch_map, &score));
        for (int c = 0; c < trainer->n_categories; c++)
            own[c] = fmax(own[c], score.iou[c]); // a NaN counts as absent
    }
    return ADELE_OK;
}

static bool was_corrected(const struct trainer *trainer, int epoch, int c) {
    for (int e = 1; e < epoch; e++)
        if (trainer->corrected[(size_t)e * 256 + (size_t)c])
            return true;
    return false;
}

// Whether some category is to be corrected whose labels were not found wrong before.
static bool has_question(const struct trainer *trainer, int epoch,
                         const struct schedule_decision *decision) {
    for (int c = 1; c < trainer->n_categories; c++)
        if (decision->correct[c] && !was_corrected(trainer, epoch, c))
            return true;
    return false;
}

adele_status trainer_veto(struct trainer *trainer, int epoch, struct schedule_decision *decision) {
    double own[256], labels[256], margin = trainer->config->correction.veto;
    if (margin <= 0.0 || !has_question(trainer, epoch, decision))
        return ADELE_OK;
    TRY(measure(trainer, own, labels));
    bool is_early = trainer->n_values < trainer->config->correction.min_points, any = false;
    margin *= is_early ? EARLY : 1.0;
    for (int c = 1; c < trainer->n_categories; c++) {
        if (decision->correct[c] && !was_corrected(trainer, epoch, c)) {
            decision->correct[c] = own[c] - labels[c] > margin; // false for NaN
            if (!decision->correct[c])
                trainer->schedule.is_done[c] = 0;
            log_line(LOG_INFO, "epoch %d: %s: IoU with the labels %.3f, with itself %.3f: they %s",
                     epoch, trainer->dataset->category_names[c], labels[c], own[c],
                     decision->correct[c] ? "are corrected" : "look clean, and stay");
        }
        any = any || decision->correct[c];
    }
    decision->any = any;
    decision->correct[0] = any;
    return ADELE_OK;
}
