// SPDX-License-Identifier: MIT
#include "run/evaluator.h"

#include "base/fail.h"

#include <math.h>
#include <string.h>

static adele_status split_init(struct evaluator *evaluator, int split, struct network *network,
                               int batch) {
    const struct run_data *data = evaluator->data;
    const struct adele_sample_set *set = &data->resident[split].set;
    evaluator->scores[split].miou_foreground = NAN;
    if (set->n_images == 0)
        return ADELE_OK;
    if (split == SPLIT_TRAIN)
        return map_counter_init(&evaluator->label_counter, data->device, set->n_images, set->h,
                                set->w, data->n_categories);
    TRY(shared_counter_init(&evaluator->counters[split], data->device, data->ranks, set,
                            data->n_categories, batch));
    const struct inference_config config = set_inference_config(data->config, batch, 1.0);
    return set_inference_create(data->device, network, &config, data->images[split].origin,
                                data->n_categories, set->c, set->h, set->w,
                                &evaluator->inference[split]);
}

adele_status evaluator_init(struct evaluator *out, struct run_data *data, struct network *network,
                            int batch) {
    const struct adele_device *device = data->device;
    size_t largest = 0;
    memset(out, 0, sizeof *out);
    out->data = data;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        TRY(split_init(out, split, network, batch));
        size_t bytes = out->inference[split] ? resident_map_bytes(&data->resident[split]) : 0;
        largest = bytes > largest ? bytes : largest;
    }
    return largest > 0 ? device->iface->alloc(device, largest, (void **)&out->map) : ADELE_OK;
}

void evaluator_deinit(struct evaluator *evaluator) {
    if (!evaluator->data)
        return;
    const struct adele_device *device = evaluator->data->device;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        shared_counter_deinit(&evaluator->counters[split]);
        set_inference_destroy(evaluator->inference[split]);
    }
    map_counter_deinit(&evaluator->label_counter);
    device->iface->release(device, evaluator->map);
    memset(evaluator, 0, sizeof *evaluator);
}

adele_status evaluator_score_split(struct evaluator *evaluator, enum dataset_split split) {
    struct resident *resident = &evaluator->data->resident[split];
    const struct inference_output output = {.prediction = evaluator->map};
    struct shared_counter *counter = &evaluator->counters[split];
    TRY(set_inference_run_share(evaluator->inference[split], counter->share, resident, &output));
    // Where a split has a truth beside its noisy labels, scores are against the truth.
    const uint8_t *labels = resident->truth ? resident->truth : resident->labels;
    return shared_counter_score(counter, evaluator->map, labels, &evaluator->scores[split]);
}

adele_status evaluator_score_labels(struct evaluator *evaluator, struct score *out) {
    const struct resident *train = &evaluator->data->resident[SPLIT_TRAIN];
    memset(out, 0, sizeof *out);
    if (!train->truth)
        return ADELE_OK;
    return map_counter_score(&evaluator->label_counter, train->labels, train->truth, out);
}
