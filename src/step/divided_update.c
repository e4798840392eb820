// SPDX-License-Identifier: MIT
#include "step/divided_update.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

static adele_status divide_momenta(const struct divided_update *self) {
    const struct buckets *buckets = self->exchange.buckets;
    int rank = ranks_index(self->exchange.ranks), n = 0;
    OWNED struct network_range *ranges = NULL;
    TRY(ALLOCATE(&ranges, buckets->n));
    for (int b = 0; b + 1 < buckets->n; b++) {
        struct chunk own = bucket_chunk(&buckets->all[b], rank);
        if (own.n > 0)
            ranges[n++] = (struct network_range){own.first, own.n, buckets->all[b].at};
    }
    return network_divide_momenta(self->network, n, ranges, buckets->all[buckets->n - 1].at);
}

adele_status divided_update_init(struct divided_update *out, const struct adele_device *device,
                                 struct ranks *ranks, const struct buckets *buckets,
                                 struct network *network) {
    *out = (struct divided_update){.network = network};
    TRY(bucket_exchange_init(&out->exchange, device, ranks, buckets));
    out->weights = out->exchange.pieces + buckets->own_floats;
    TRY(ALLOCATE(&out->bad, ranks_count(ranks)));
    return divide_momenta(out);
}

void divided_update_deinit(struct divided_update *self) {
    bucket_exchange_deinit(&self->exchange);
    divided_update_drop_collected(self);
    memory_free(self->segments);
    memory_free(self->segment_of);
    memory_free(self->bad);
    memset(self, 0, sizeof *self);
}

// ---- what this rank updates ---------------------------------------------------------------------

static void choose_from_bucket(struct divided_update *self, const struct bucket *bucket,
                               int i_segment, const struct adele_sgd_segment *whole) {
    struct chunk own = bucket_chunk(bucket, ranks_index(self->exchange.ranks));
    int64_t first = whole->offset > own.first ? whole->offset : own.first;
    int64_t end = whole->offset + whole->count;
    if (end > own.first + own.n)
        end = own.first + own.n;
    if (first >= end)
        return;
    self->segment_of[self->n_segments] = i_segment;
    self->segments[self->n_segments++] =
        (struct adele_sgd_segment){.offset = bucket->at + first - own.first,
                                   .count = end - first,
                                   .lr_scale = whole->lr_scale,
                                   .decay = whole->decay};
}

adele_status divided_update_choose(struct divided_update *self, int n_segments,
                                   const struct adele_sgd_segment *segments) {
    const struct buckets *buckets = self->exchange.buckets;
    // A segment ends, or a bucket does, behind each piece of a segment.
    TRY(ALLOCATE(&self->segments, n_segments + buckets->n));
    TRY(ALLOCATE(&self->segment_of, n_segments + buckets->n));
    self->n_segments = 0;
    for (int i = 0; i < n_segments; i++)
        for (int b = 0; b + 1 < buckets->n; b++)
            choose_from_bucket(self, &buckets->all[b], i, &segments[i]);
    // The op counts updates also where a small network has nothing for this rank: it gets a zero.
    if (self->n_segments == 0)
        self->segments[self->n_segments++] = (struct adele_sgd_segment){.count = 1};
    return ADELE_OK;
}

// ---- for a checkpoint ---------------------------------------------------------------------------

static adele_status collect(const struct divided_update *self, const float *arena, float *whole) {
    const struct bucket_exchange *exchange = &self->exchange;
    struct ranks *ranks = exchange->ranks;
    for (int b = 0; b + 1 < exchange->buckets->n; b++) {
        const struct bucket *bucket = &exchange->buckets->all[b];
        struct chunk own = bucket_chunk(bucket, ranks_index(ranks));
        size_t bytes = (size_t)own.n * sizeof(float);
        if (!whole)
            TRY(ranks_send(ranks, 0, arena + bucket->at, bytes));
        else if (bytes > 0)
            memcpy(whole + own.first, arena + bucket->at, bytes);
        for (int r = 1; whole && r < ranks_count(ranks); r++) {
            struct chunk theirs = bucket_chunk(bucket, r);
            TRY(ranks_receive(ranks, r, whole + theirs.first, (size_t)theirs.n * sizeof(float)));
        }
    }
    return ranks_wait(ranks);
}

// Into new memory on rank 0.
static adele_status collect_arena(const struct divided_update *self, const float *arena,
                                  float **out) {
    struct ranks *ranks = self->exchange.ranks;
    if (ranks_index(ranks) == 0)
        TRY(ALLOCATE(out, network_graph(self->network)->n_weights + 1));
    adele_status status = collect(self, arena, *out);
    if (status != ADELE_OK)
        ranks_cancel(ranks); // before the block is freed
    return status;
}

adele_status divided_update_collect(struct divided_update *self) {
    if (!self->network)
        return ADELE_OK;
    const float *second = network_second_moments(self->network);
    TRY(collect_arena(self, network_momenta(self->network), &self->momenta));
    return second ? collect_arena(self, second, &self->second_moments) : ADELE_OK;
}

void divided_update_drop_collected(struct divided_update *self) {
    memory_free(self->momenta);
    memory_free(self->second_moments);
    self->momenta = self->second_moments = NULL;
}
