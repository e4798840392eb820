// SPDX-License-Identifier: MIT
#include "run/exchange.h"

#include "base/fail.h"
#include "base/memory.h"
#include "infer/resident.h"

struct exchange {
    const struct adele_device *device;
    struct ranks *ranks;
    int64_t n_floats, n_chunk; // n_chunk: of one rank
    int n_ranks;
    // Of alloc_pinned, plain (n_floats) both. `vector`: a copy of the device's vector; NULL where
    // the device's memory is the host's. `pieces`: this rank's chunk of each rank's vector.
    float *vector, *pieces;
    size_t device_bytes;
};

adele_status exchange_create(const struct adele_device *device, struct ranks *ranks,
                             int64_t n_floats, struct exchange **out) {
    struct exchange *self = NULL;
    size_t bytes = (size_t)n_floats * sizeof(float);
    *out = NULL;
    TRY(ALLOCATE(&self, 1));
    *self = (struct exchange){
        .device = device, .ranks = ranks, .n_floats = n_floats, .n_ranks = ranks_count(ranks)};
    self->n_chunk = n_floats / self->n_ranks;
    bool is_host = resident_is_host_memory(device);
    adele_status status = device->iface->alloc_pinned(device, bytes, (void **)&self->pieces);
    if (status == ADELE_OK && !is_host)
        status = device->iface->alloc_pinned(device, bytes, (void **)&self->vector);
    if (status != ADELE_OK) {
        exchange_destroy(self);
        return status;
    }
    self->device_bytes = is_host ? bytes : 0;
    *out = self;
    return ADELE_OK;
}

void exchange_destroy(struct exchange *exchange) {
    if (!exchange)
        return;
    exchange->device->iface->release(exchange->device, exchange->vector);
    exchange->device->iface->release(exchange->device, exchange->pieces);
    memory_free(exchange);
}

size_t exchange_device_bytes(const struct exchange *exchange) {
    return exchange->device_bytes;
}

// The sum of the ranks' pieces, in the first one. A float's addition has the same bits on the host
// and on every device.
static void sum_pieces(const struct exchange *self) {
    for (int apart = 1; apart < self->n_ranks; apart *= 2)
        for (int r = 0; r < self->n_ranks; r += 2 * apart) {
            float *to = self->pieces + r * self->n_chunk;
            const float *from = self->pieces + (r + apart) * self->n_chunk;
#pragma omp parallel for simd schedule(static)
            for (int64_t i = 0; i < self->n_chunk; i++)
                to[i] += from[i];
        }
}

adele_status exchange_sum(struct exchange *exchange, float *vector) {
    const struct adele_device *device = exchange->device;
    size_t bytes = (size_t)exchange->n_floats * sizeof(float);
    size_t chunk_bytes = (size_t)exchange->n_chunk * sizeof(float);
    float *host = exchange->vector ? exchange->vector : vector;
    TRY(device->iface->synchronize(device));
    if (host != vector)
        TRY(device->iface->download(device, host, vector, bytes));
    TRY(ranks_exchange(exchange->ranks, host, chunk_bytes, exchange->pieces));
    sum_pieces(exchange);
    TRY(ranks_gather(exchange->ranks, exchange->pieces, chunk_bytes, host));
    return host != vector ? device->iface->upload(device, vector, host, bytes) : ADELE_OK;
}
