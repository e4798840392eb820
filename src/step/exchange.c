// SPDX-License-Identifier: MIT
#include "step/exchange.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "step/piece_sum.h"

#include <stdio.h>
#include <string.h>

#define REASON_BYTES 512

struct exchange {
    const struct adele_device *device;
    struct ranks *ranks;
    int64_t n_floats, n_chunk; // n_chunk: of one rank, through the host
    int n_ranks;
    bool is_queued;
    // Of the exchange between devices; device memory. NULL where the device has none.
    float *scratch;
    // Of the exchange through the host, of alloc_pinned, plain (n_floats) both. `vector`: a copy of
    // the device's vector. `pieces`: this rank's chunk of each rank's vector.
    float *vector, *pieces;
    size_t device_bytes;
};

static adele_status allocate_scratch(struct exchange *self) {
    int64_t n_floats = self->n_ranks * adele_exchange_chunk(self->n_floats, self->n_ranks);
    self->device_bytes = (size_t)n_floats * sizeof(float);
    return adele_device_alloc_zeroed(self->device, self->device_bytes, "the exchange between GPUs",
                                     (void **)&self->scratch);
}

// Also where the program was built without NCCL, so that the device has no exchange of its own.
static adele_status allocate_on_host(struct exchange *self) {
    const struct adele_device *device = self->device;
    size_t bytes = (size_t)self->n_floats * sizeof(float);
    self->device_bytes = 0;
    TRY(device->iface->alloc_pinned(device, bytes, (void **)&self->pieces));
    return device->iface->alloc_pinned(device, bytes, (void **)&self->vector);
}

adele_status exchange_create(const struct adele_device *device, struct ranks *ranks,
                             int64_t n_floats, struct exchange **out) {
    OWNED_BY(exchange_destroy) struct exchange *self = NULL;
    *out = NULL;
    TRY(ALLOCATE(&self, 1));
    *self = (struct exchange){
        .device = device, .ranks = ranks, .n_floats = n_floats, .n_ranks = ranks_count(ranks)};
    self->n_chunk = n_floats / self->n_ranks;
    TRY(device->iface->exchange_open ? allocate_scratch(self) : allocate_on_host(self));
    *out = self;
    self = NULL;
    return ADELE_OK;
}

// Where the ranks have not left each other together, one of them has failed.
void exchange_destroy(struct exchange *exchange) {
    if (!exchange)
        return;
    const struct adele_device *device = exchange->device;
    if (exchange->is_queued)
        (void)device->iface->exchange_leave(device, true);
    device->iface->release(device, exchange->scratch);
    device->iface->release(device, exchange->vector);
    device->iface->release(device, exchange->pieces);
    memory_free(exchange);
}

size_t exchange_device_bytes(const struct exchange *exchange) {
    return exchange->device_bytes;
}

bool exchange_is_queued(const struct exchange *exchange) {
    return exchange->is_queued;
}

// ---- connecting ---------------------------------------------------------------------------------

// Why the lowest rank that has a reason cannot exchange directly; "" when none has.
static adele_status share_reason(struct ranks *ranks, adele_status mine, char out[REASON_BYTES]) {
    char own[REASON_BYTES] = "";
    OWNED char *all = NULL;
    if (mine != ADELE_OK)
        (void)snprintf(own, sizeof own, "%.500s", adele_error_message());
    TRY(ALLOCATE(&all, (size_t)ranks_count(ranks) * REASON_BYTES));
    out[0] = '\0';
    TRY(ranks_gather(ranks, own, sizeof own, all));
    int rank = 0;
    while (rank + 1 < ranks_count(ranks) && all[(size_t)rank * REASON_BYTES] == '\0')
        rank++;
    const char *first = all + (size_t)rank * REASON_BYTES;
    if (first[0] != '\0')
        (void)snprintf(out, REASON_BYTES, "rank %d: %.480s", rank, first);
    return ADELE_OK;
}

// The most neighbouring ranks, a power of two, of which every group is on one host.
static int count_near(const struct ranks *ranks) {
    for (int n = ranks_count(ranks); n > 1; n /= 2) {
        bool is_near = true;
        for (int r = 0; r < ranks_count(ranks); r++)
            is_near = is_near && strcmp(ranks_host(ranks, r), ranks_host(ranks, r / n * n)) == 0;
        if (is_near)
            return n;
    }
    return 1;
}

// *reason: "" when all devices are connected.
static adele_status connect_devices(struct exchange *self, char reason[REASON_BYTES]) {
    const struct adele_device *device = self->device;
    struct ranks *ranks = self->ranks;
    unsigned char id[ADELE_EXCHANGE_ID_BYTES] = {0};
    const struct adele_exchange_ranks group = {.rank = ranks_index(ranks),
                                               .n = self->n_ranks,
                                               .n_near = count_near(ranks),
                                               .seconds = ranks_time_limit(ranks)};
    adele_status status =
        device->iface->exchange_open
            ? device->iface->exchange_open(device, group.rank == 0 ? id : NULL)
            : FAIL(ADELE_UNSUPPORTED, "", "the device %s has no other way", device->iface->name);
    TRY(share_reason(ranks, status, reason));
    if (reason[0] != '\0')
        return ADELE_OK;
    TRY(ranks_broadcast(ranks, id, sizeof id));
    return share_reason(ranks, device->iface->exchange_join(device, id, &group), reason);
}

static adele_status go_through_host(struct exchange *self) {
    const struct adele_device *device = self->device;
    if (device->iface->exchange_open)
        TRY(device->iface->exchange_leave(device, true));
    if (self->pieces)
        return ADELE_OK;
    device->iface->release(device, self->scratch);
    self->scratch = NULL;
    return allocate_on_host(self);
}

adele_status exchange_connect(struct exchange *exchange) {
    const struct adele_device *device = exchange->device;
    char reason[REASON_BYTES];
    TRY(connect_devices(exchange, reason));
    exchange->is_queued = reason[0] == '\0';
    if (exchange->is_queued) {
        log_line(LOG_INFO, "exchange between ranks: %s", device->exchange);
        return ADELE_OK;
    }
    log_line(LOG_INFO, "exchange between ranks: MPI, through the host's memory (%s)", reason);
    return ranks_agree(exchange->ranks, go_through_host(exchange));
}

adele_status exchange_disconnect(struct exchange *exchange) {
    const struct adele_device *device = exchange->device;
    if (!exchange->is_queued)
        return ADELE_OK;
    exchange->is_queued = false;
    return device->iface->exchange_leave(device, false);
}

// ---- a sum --------------------------------------------------------------------------------------

adele_status exchange_sum_part(struct exchange *exchange, float *part, int64_t n, bool is_last) {
    const struct adele_device *device = exchange->device;
    return device->iface->exchange_sum(device, part, exchange->scratch, n, is_last);
}

adele_status exchange_sum(struct exchange *exchange, float *vector) {
    const struct adele_device *device = exchange->device;
    size_t bytes = (size_t)exchange->n_floats * sizeof(float);
    size_t chunk_bytes = (size_t)exchange->n_chunk * sizeof(float);
    float *host = exchange->vector;
    if (exchange->is_queued)
        return exchange_sum_part(exchange, vector, exchange->n_floats, true);
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, host, vector, bytes));
    TRY(ranks_exchange(exchange->ranks, host, chunk_bytes, exchange->pieces));
    piece_sum(exchange->pieces, exchange->n_ranks, exchange->n_chunk);
    TRY(ranks_gather(exchange->ranks, exchange->pieces, chunk_bytes, host));
    return device->iface->upload(device, vector, host, bytes);
}
