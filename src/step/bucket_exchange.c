// SPDX-License-Identifier: MIT
#include "step/bucket_exchange.h"

#include "base/fail.h"
#include "step/piece_sum.h"

#include <string.h>

adele_status bucket_exchange_init(struct bucket_exchange *out, const struct adele_device *device,
                                  struct ranks *ranks, const struct buckets *buckets) {
    *out = (struct bucket_exchange){.device = device, .ranks = ranks, .buckets = buckets};
    out->bytes = (size_t)buckets->n_ranks * (size_t)buckets->own_floats * sizeof *out->pieces;
    return adele_device_alloc_zeroed(device, out->bytes, "the exchange between ranks",
                                     (void **)&out->pieces);
}

// After a failure messages may be on their way to and from blocks that are freed now.
void bucket_exchange_deinit(struct bucket_exchange *self) {
    if (!self->device)
        return;
    ranks_cancel(self->ranks);
    self->device->iface->release(self->device, self->pieces);
    memset(self, 0, sizeof *self);
}

// Where the piece of a rank begins in a bucket's place.
static float *piece(const struct bucket_exchange *self, const struct bucket *bucket, int rank) {
    return self->pieces + rank * self->buckets->own_floats + bucket->at;
}

// The i-th rank behind this one, so that not all of them send to the same one first.
static int rank_behind(const struct bucket_exchange *self, int i) {
    return (ranks_index(self->ranks) + i) % self->buckets->n_ranks;
}

static adele_status receive(const struct bucket_exchange *self, int i_bucket) {
    const struct bucket *bucket = &self->buckets->all[i_bucket];
    struct chunk own = bucket_chunk(bucket, ranks_index(self->ranks));
    for (int i = 1; i < self->buckets->n_ranks; i++) {
        int rank = rank_behind(self, i);
        TRY(ranks_receive(self->ranks, rank, piece(self, bucket, rank),
                          (size_t)own.n * sizeof(float)));
    }
    return ADELE_OK;
}

adele_status bucket_exchange_begin(const struct bucket_exchange *self) {
    int i_rest = self->buckets->n - 1;
    for (int i = i_rest - 1; i >= 0; i--)
        TRY(receive(self, i));
    return receive(self, i_rest);
}

adele_status bucket_exchange_send(const struct bucket_exchange *self, int i_bucket,
                                  const float *vector) {
    const struct bucket *bucket = &self->buckets->all[i_bucket];
    for (int i = 1; i < self->buckets->n_ranks; i++) {
        int rank = rank_behind(self, i);
        struct chunk theirs = bucket_chunk(bucket, rank);
        TRY(ranks_send(self->ranks, rank, vector + theirs.first, (size_t)theirs.n * sizeof(float)));
    }
    int rank = ranks_index(self->ranks);
    struct chunk own = bucket_chunk(bucket, rank);
    if (own.n > 0)
        memcpy(piece(self, bucket, rank), vector + own.first, (size_t)own.n * sizeof(float));
    return ADELE_OK;
}

adele_status bucket_exchange_sum(const struct bucket_exchange *self, float **out) {
    TRY(ranks_wait(self->ranks));
    piece_sum(self->pieces, self->buckets->n_ranks, self->buckets->own_floats);
    *out = self->pieces;
    return ADELE_OK;
}

adele_status bucket_exchange_spread(const struct bucket_exchange *self, int i_first, int n,
                                    const float *own, float *vector) {
    for (int b = i_first; b < i_first + n; b++) {
        const struct bucket *bucket = &self->buckets->all[b];
        struct chunk mine = bucket_chunk(bucket, ranks_index(self->ranks));
        size_t bytes = (size_t)mine.n * sizeof(float);
        for (int i = 1; i < self->buckets->n_ranks; i++) {
            int rank = rank_behind(self, i);
            struct chunk theirs = bucket_chunk(bucket, rank);
            TRY(ranks_receive(self->ranks, rank, vector + theirs.first,
                              (size_t)theirs.n * sizeof(float)));
            TRY(ranks_send(self->ranks, rank, own + bucket->at, bytes));
        }
        if (bytes > 0)
            memcpy(vector + mine.first, own + bucket->at, bytes);
    }
    return ADELE_OK;
}
