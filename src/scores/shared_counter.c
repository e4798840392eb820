// SPDX-License-Identifier: MIT
#include "scores/shared_counter.h"

#include "base/fail.h"

#include <string.h>

adele_status shared_counter_init(struct shared_counter *out, const struct adele_device *device,
                                 struct ranks *ranks, const struct adele_sample_set *set,
                                 int n_categories, int batch) {
    struct image_share share = image_share_mine(ranks, set->n_images, batch);
    *out = (struct shared_counter){.ranks = ranks,
                                   .batch = batch,
                                   .share = share,
                                   .map_bytes = (size_t)set->h * (size_t)set->w,
                                   .n_categories = n_categories};
    if (share.first == share.end)
        return ADELE_OK;
    return map_counter_init(&out->counter, device, share.end - share.first, set->h, set->w,
                            n_categories);
}

void shared_counter_deinit(struct shared_counter *counter) {
    map_counter_deinit(&counter->counter);
    memset(counter, 0, sizeof *counter);
}

adele_status shared_counter_run(struct shared_counter *counter, const uint8_t *prediction,
                                const uint8_t *labels, int64_t counts[3 * 256]) {
    size_t offset = (size_t)counter->share.first * counter->map_bytes;
    memset(counts, 0, 3 * 256 * sizeof *counts);
    if (counter->share.first < counter->share.end)
        TRY(map_counter_run(&counter->counter, prediction + offset, labels + offset, counts));
    return ranks_sum(counter->ranks, counts, 3 * 256);
}

adele_status shared_counter_score(struct shared_counter *counter, const uint8_t *prediction,
                                  const uint8_t *labels, struct score *out) {
    int64_t counts[3 * 256];
    TRY(shared_counter_run(counter, prediction, labels, counts));
    score_compute(counts, counter->n_categories, out);
    return ADELE_OK;
}
