// SPDX-License-Identifier: MIT
// What a correction did to the labels, for the log: pixels changed from and to each category.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/log.h"

adele_status trainer_keep_labels(struct trainer *trainer) {
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    return trainer->device->iface->copy(trainer->device, trainer->scratch_map, train->labels,
                                        resident_map_bytes(train));
}

// Pixels of category c in `labels` that are something else in `others`: the count op leaves out
// pixels whose label is 255, and 255 in the other map is no category.
static adele_status count_left(struct trainer *trainer, const uint8_t *labels,
                               const uint8_t *others, int64_t out[256]) {
    int64_t counts[3][256];
    TRY(trainer_count_maps(trainer, SPLIT_TRAIN, others, labels, &counts[0][0]));
    for (int c = 0; c < trainer->n_categories; c++)
        out[c] = counts[2][c] - counts[0][c];
    return ADELE_OK;
}

adele_status trainer_log_changes(struct trainer *trainer, int epoch) {
    const uint8_t *before = trainer->scratch_map, *after = trainer->resident[SPLIT_TRAIN].labels;
    int64_t from[256] = {0}, to[256] = {0};
    TRY(count_left(trainer, before, after, from));
    TRY(count_left(trainer, after, before, to));
    for (int c = 0; c < trainer->n_categories; c++)
        if (from[c] > 0 || to[c] > 0)
            log_line(LOG_INFO,
                     "epoch %d: %s: %lld pixels of the labels became another category, "
                     "%lld became this one",
                     epoch, trainer->dataset->category_names[c], (long long)from[c],
                     (long long)to[c]);
    return ADELE_OK;
}
