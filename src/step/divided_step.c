// SPDX-License-Identifier: MIT
// A step of a divided update, once the gradients of all parts are on their way.
#include "base/fail.h"
#include "base/finite.h"
#include "step/divided_update.h"

static bool has_nonfinite(const float *values, int64_t n) {
    uint32_t bad = 0;
#pragma omp parallel for simd schedule(static) reduction(| : bad)
    for (int64_t i = 0; i < n; i++)
        bad |= float_is_nonfinite(&values[i]);
    return bad != 0;
}

static int64_t find_last_bad(const struct divided_update *self) {
    for (int i = self->n_segments - 1; i >= 0; i--)
        if (has_nonfinite(self->gradients + self->segments[i].offset, self->segments[i].count))
            return self->segment_of[i];
    return -1;
}

// One collective for what all ranks need before any weight may change.
adele_status divided_update_sum(struct divided_update *self, float *vector, bool *are_finite) {
    const struct bucket_exchange *exchange = &self->exchange;
    struct ranks *ranks = exchange->ranks;
    int own = ranks_index(ranks);
    TRY(bucket_exchange_sum(exchange, &self->gradients));
    self->bad[own] = find_last_bad(self);
    for (int r = 0; r < ranks_count(ranks); r++)
        if (r != own) {
            TRY(ranks_receive(ranks, r, &self->bad[r], sizeof *self->bad));
            TRY(ranks_send(ranks, r, &self->bad[own], sizeof *self->bad));
        }
    TRY(bucket_exchange_spread(exchange, exchange->buckets->n - 1, 1, self->gradients, vector));
    TRY(ranks_wait(ranks));
    *are_finite = true;
    for (int r = 0; r < ranks_count(ranks); r++)
        *are_finite = *are_finite && self->bad[r] < 0;
    return ADELE_OK;
}

adele_status divided_update_open(struct divided_update *self) {
    const struct adele_device *device = self->exchange.device;
    const struct buckets *buckets = self->exchange.buckets;
    const float *weights = network_weights(self->network);
    for (int b = 0; b + 1 < buckets->n; b++) {
        struct chunk own = bucket_chunk(&buckets->all[b], ranks_index(self->exchange.ranks));
        if (own.n > 0)
            TRY(device->iface->copy(device, self->weights + buckets->all[b].at, weights + own.first,
                                    (size_t)own.n * sizeof(float)));
    }
    return ADELE_OK;
}

// The op numbers the segments of its own rank. Where the loss is finite, the first update that it
// has skipped gets the last bad segment of all ranks.
static void complete_record(const struct divided_update *self, bool is_loss_finite,
                            int64_t *health) {
    int64_t last = -1;
    for (int r = 0; r < ranks_count(self->exchange.ranks); r++)
        last = self->bad[r] > last ? self->bad[r] : last;
    if (last >= 0 && is_loss_finite &&
        health[ADELE_HEALTH_FIRST_UPDATE] == health[ADELE_HEALTH_UPDATES])
        health[ADELE_HEALTH_FIRST_SEGMENT] = last;
}

adele_status divided_update_close(struct divided_update *self, bool is_loss_finite,
                                  int64_t *health) {
    const struct bucket_exchange *exchange = &self->exchange;
    complete_record(self, is_loss_finite, health);
    TRY(bucket_exchange_spread(exchange, 0, exchange->buckets->n - 1, self->weights,
                               network_writable_weights(self->network)));
    return ranks_wait(exchange->ranks);
}
