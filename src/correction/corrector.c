// SPDX-License-Identifier: MIT
// What a corrector is made of.
#include "correction/corrector.h"

#include "base/fail.h"
#include "base/memory.h"
#include "correction/correction_adele.h"
#include "correction/correction_ensemble.h"

#include <string.h>

struct schedule_config corrector_schedule(const struct corrector *corrector) {
    const struct config *config = corrector->data->config;
    struct schedule_config schedule = {
        .mode =
            config->correction.per_category ? SCHEDULE_PER_CATEGORY : config->correction.all_from,
        .every = config_has_ensemble(config) ? 0 // once
                                             : config->correction.every,
        .n_categories = corrector->data->n_categories};
    onset_config_init(&schedule.onset, config->correction.pipeline);
    schedule.onset.r = config->correction.r;
    schedule.onset.smooth = config->correction.smooth;
    // With the veto, a curve of fewer values needs a larger margin instead (veto.c).
    if (config->correction.veto <= 0.0 || config_has_ensemble(config))
        schedule.onset.min_points = config->correction.min_points;
    schedule.onset.while_rising = config->correction.while_rising;
    if (config->correction.pipeline == ONSET_SEGTHOR)
        schedule.onset.n_epochs = corrector->epochs->n_epochs;
    else {
        schedule.onset.interval_iterations = config->correction.interval;
        schedule.onset.iterations_per_epoch =
            (double)corrector->data->resident[SPLIT_TRAIN].set.n_images / corrector->epochs->batch;
    }
    return schedule;
}

static adele_status device_init(struct corrector *corrector,
                                const struct corrector_options *options) {
    struct run_data *data = corrector->data;
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    bool is_whole =
        data->config->correction.source == SOURCE_TRAINING_PASS && config_has_adele(data->config);
    TRY(label_rewriter_init(&corrector->rewriter, data,
                            is_whole ? train->set.n_images : options->epochs->part_images));
    if (ranks_count(data->ranks) > 1)
        TRY(ALLOCATE(&corrector->owners, train->set.n_images));
    TRY(shared_counter_init(&corrector->counter, data->device, data->ranks, &train->set,
                            data->n_categories, options->epochs->part_images));
    TRY(data->device->iface->alloc(data->device, resident_map_bytes(train),
                                   (void **)&corrector->scratch_map));
    return config_has_ensemble(data->config) ? correction_ensemble_create(corrector, options)
                                             : correction_adele_create(corrector, options);
}

adele_status corrector_init(struct corrector *out, struct run_data *data,
                            const struct corrector_options *options) {
    const struct config *config = data->config;
    size_t n_epochs = (size_t)options->epochs->n_epochs, n_values = n_epochs;
    memset(out, 0, sizeof *out);
    out->data = data;
    out->epochs = options->epochs;
    out->network = options->network;
    if (config->correction.pipeline == ONSET_VOC)
        n_values = (size_t)(options->epochs->n_steps_total / config->correction.interval);
    TRY(curves_init(&out->curves, data->n_categories, n_values));
    TRY(ALLOCATE(&out->corrected, (n_epochs + 1) * 256));
    return config->correction.enabled ? device_init(out, options) : ADELE_OK;
}

void corrector_deinit(struct corrector *corrector) {
    if (!corrector->data)
        return;
    const struct adele_device *device = corrector->data->device;
    curves_deinit(&corrector->curves);
    memory_free(corrector->corrected);
    memory_free(corrector->owners);
    correction_adele_destroy(corrector->adele, device);
    correction_ensemble_destroy(corrector->ensemble);
    label_rewriter_deinit(&corrector->rewriter);
    shared_counter_deinit(&corrector->counter);
    device->iface->release(device, corrector->scratch_map);
    memset(corrector, 0, sizeof *corrector);
}
