// SPDX-License-Identifier: MIT
// A correction at the end of an epoch (METHOD sections 2 and 3).
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "correction/correction_adele.h"
#include "correction/correction_ensemble.h"
#include "correction/label_exchange.h"
#include "ranks/image_owner.h"

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

static adele_status find_owners(struct corrector *corrector, int epoch) {
    const struct run_data *data = corrector->data;
    const struct epoch_plan *epochs = corrector->epochs;
    int n_images = data->resident[SPLIT_TRAIN].set.n_images, n_ranks = ranks_count(data->ranks);
    const struct epoch_batches batches = epoch_plan_batches(epochs);
    if (corrector->adele && !corrector->adele->inference)
        return image_owners_of_training(&batches, data->config->train.seed, epoch,
                                        epoch_plan_steps(epochs, epoch), n_images, n_ranks,
                                        corrector->owners);
    image_owners_of_shares(n_images, corrector->counter.batch, n_ranks, corrector->owners);
    return ADELE_OK;
}

// From the labels in corrector->scratch_map, which are those of the device. Collective.
static adele_status rewrite_labels(struct corrector *corrector, int epoch,
                                   const struct schedule_decision *decision, int64_t *out_changed) {
    struct run_data *data = corrector->data;
    TRY(label_rewriter_begin(&corrector->rewriter));
    if (corrector->owners)
        TRY(find_owners(corrector, epoch));
    if (corrector->ensemble)
        TRY(correction_ensemble_rewrite(corrector, decision));
    else
        TRY(correction_adele_rewrite(corrector, epoch, decision));
    TRY(label_rewriter_end(&corrector->rewriter, out_changed));
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
                     "epoch %d: %s: %lld pixel%s of the labels became another class, "
                     "%lld became this one",
                     epoch, data->dataset->category_names[c], (long long)from[c],
                     from[c] == 1 ? "" : "s", (long long)to[c]);
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
    OWNED struct schedule_decision *decision = NULL;
    TRY(ALLOCATE(&decision, 1));
    bool is_last = false;
    TRY(schedule_decide(&schedule, epoch, curves->n_values, (const double *const *)curves->iou,
                        &corrector->schedule, decision));
    if (corrector->ensemble)
        TRY(correction_ensemble_decide(corrector, epoch, decision, &is_last));
    else
        TRY(veto_apply(&corrector->adele->veto, corrector, epoch, decision));
    memcpy(corrector->onsets, decision->onset, sizeof corrector->onsets);
    memcpy(corrector->corrected + (size_t)epoch * 256, decision->correct, 256);
    if (decision->any)
        TRY(correct(corrector, epoch, decision, out_changed));
    if (is_last) // the decision lies in its memory until here
        TRY(ensemble_close(&corrector->ensemble->ensemble));
    return ADELE_OK;
}
