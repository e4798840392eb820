// SPDX-License-Identifier: MIT
#include "correction/correction_ensemble.h"

#include "base/fail.h"
#include "base/memory.h"
#include "correction/class_areas.h"

#include <string.h>

static void find_labelled(struct correction_ensemble *self, const struct dataset_images *images) {
    size_t n_pixels = (size_t)images->n * (size_t)images->h * (size_t)images->w;
    for (size_t i = 0; i < n_pixels; i++)
        self->is_labelled[images->labels[i]] = true;
}

adele_status correction_ensemble_create(struct corrector *corrector,
                                        const struct corrector_options *options) {
    TRY(ALLOCATE(&corrector->ensemble, 1));
    struct correction_ensemble *self = corrector->ensemble;
    find_labelled(self, &corrector->data->images[SPLIT_TRAIN]);
    TRY(ensemble_init(&self->ensemble, corrector->data, options->network, options->epochs));
    // The scratch map is free until the labels are rewritten.
    ensemble_gate_init(&self->gate, &self->ensemble, corrector->scratch_map);
    return ADELE_OK;
}

void correction_ensemble_destroy(struct correction_ensemble *self) {
    if (!self)
        return;
    ensemble_deinit(&self->ensemble);
    memory_free(self);
}

// With a fixed epoch, all classes at once; the onsets of the curves are only recorded.
static void choose_classes(const struct corrector *corrector, int epoch,
                           struct schedule_decision *decision) {
    const struct ensemble *ensemble = &corrector->ensemble->ensemble;
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
        if (!corrector->schedule.is_done[c] && corrector->ensemble->is_labelled[c])
            return false;
    return is_fixed ? decision->any : true;
}

// With the weights that the network has.
static adele_status accumulate_and_decide(struct corrector *corrector, int epoch,
                                          struct schedule_decision *decision, bool *out_is_last) {
    struct ensemble *ensemble = &corrector->ensemble->ensemble;
    choose_classes(corrector, epoch, decision);
    if (!ensemble_is_open(ensemble))
        return ADELE_OK;
    *out_is_last = are_all_done(corrector, decision);
    TRY(ensemble_accumulate(ensemble));
    if (decision->any) {
        TRY(class_areas_apply(ensemble, epoch));
        TRY(ensemble_decide(ensemble, epoch, false, ensemble->decided));
        TRY(ensemble_gate_apply(&corrector->ensemble->gate, epoch, decision));
    }
    return ADELE_OK;
}

adele_status correction_ensemble_decide(struct corrector *corrector, int epoch,
                                        struct schedule_decision *decision, bool *out_is_last) {
    struct network *network = corrector->network;
    if (!network_average(network))
        return accumulate_and_decide(corrector, epoch, decision, out_is_last);
    TRY(network_exchange_average(network));
    TRY(accumulate_and_decide(corrector, epoch, decision, out_is_last));
    return network_exchange_average(network);
}

adele_status correction_ensemble_rewrite(struct corrector *corrector,
                                         const struct schedule_decision *decision) {
    const struct ensemble *ensemble = &corrector->ensemble->ensemble;
    const struct adele_sample_set *set = &corrector->data->resident[SPLIT_TRAIN].set;
    size_t map = (size_t)set->h * (size_t)set->w;
    for (int i = ensemble->share.first; i < ensemble->share.end; i += ensemble->batch) {
        int left = ensemble->share.end - i, n = left < ensemble->batch ? left : ensemble->batch;
        TRY(label_rewriter_forward(&corrector->rewriter, decision,
                                   ensemble->decided + (size_t)i * map, i, n));
    }
    return ADELE_OK;
}
