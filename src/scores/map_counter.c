// SPDX-License-Identifier: MIT
#include "scores/map_counter.h"

#include "base/fail.h"

#include <string.h>

#define COUNTS_BYTES ((size_t)3 * 256 * sizeof(int64_t))

adele_status map_counter_init(struct map_counter *out, const struct adele_device *device, int n,
                              int h, int w, int n_categories) {
    const struct adele_count_desc desc = {.n = n, .h = h, .w = w, .n_categories = n_categories};
    *out = (struct map_counter){.device = device, .n_categories = n_categories};
    TRY(device->iface->count_create(device, &desc, &out->op));
    return device->iface->alloc(device, COUNTS_BYTES, (void **)&out->counts);
}

void map_counter_deinit(struct map_counter *counter) {
    if (counter->device) {
        counter->device->iface->op_destroy(counter->op);
        counter->device->iface->release(counter->device, counter->counts);
    }
    memset(counter, 0, sizeof *counter);
}

adele_status map_counter_run(struct map_counter *counter, const uint8_t *prediction,
                             const uint8_t *labels, int64_t counts[3 * 256]) {
    const struct adele_device *device = counter->device;
    struct adele_count_args args = {
        .prediction = prediction, .labels = labels, .counts = counter->counts};
    TRY(device->iface->fill(device, counter->counts, 0, COUNTS_BYTES));
    TRY(device->iface->count_forward(counter->op, &args));
    TRY(device->iface->synchronize(device));
    return device->iface->download(device, counts, counter->counts, COUNTS_BYTES);
}

adele_status map_counter_score(struct map_counter *counter, const uint8_t *prediction,
                               const uint8_t *labels, struct score *out) {
    int64_t counts[3 * 256];
    TRY(map_counter_run(counter, prediction, labels, counts));
    score_compute(counts, counter->n_categories, out);
    return ADELE_OK;
}
