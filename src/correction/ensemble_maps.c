// SPDX-License-Identifier: MIT
// The maps of an ensemble: their memory, and their way to and from checkpoints.
#include "correction/ensemble_maps.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"

#include <string.h>

// Bytes of maps that all ranks together send in a round: each of them receives all.
#define ROUND_BYTES ((size_t)1 << 26)

static size_t map_bytes(const struct ensemble *ensemble) { // of an image
    const struct adele_shape *shape = &ensemble->logits;
    return (size_t)shape->c * (size_t)shape->h * (size_t)shape->w * sizeof(uint16_t);
}

static size_t share_bytes(const struct ensemble *ensemble) { // of whole batches
    int n = ensemble->share.end - ensemble->share.first;
    size_t n_batches = (size_t)((n + ensemble->batch - 1) / ensemble->batch);
    // A rank without images has maps of no image, which are there until they are freed.
    return (n_batches > 0 ? n_batches : 1) * (size_t)ensemble->batch * map_bytes(ensemble);
}

size_t ensemble_bytes(const struct ensemble *ensemble) {
    return (size_t)ensemble->data->resident[SPLIT_TRAIN].set.n_images * map_bytes(ensemble);
}

// ---- memory -------------------------------------------------------------------------------------

static void count_bytes(struct ensemble *ensemble) {
    struct run_data *data = ensemble->data;
    size_t slot = ensemble->slot ? (size_t)ensemble->batch * map_bytes(ensemble) : 0;
    size_t maps = ensemble->maps ? share_bytes(ensemble) : 0;
    data->map_bytes = ensemble->slot ? slot : maps;
    data->map_host_bytes = ensemble->slot ? maps : 0;
}

static adele_status allocate_on_host(struct ensemble *ensemble) {
    const struct adele_device *device = ensemble->data->device;
    size_t bytes = share_bytes(ensemble), slot = (size_t)ensemble->batch * map_bytes(ensemble);
    void *block = NULL;
    TRY(adele_device_alloc_zeroed(device, slot, "the maps of a batch", (void **)&ensemble->slot));
    TRY(device->iface->alloc_pinned(device, bytes, &block));
    ensemble->maps = memset(block, 0, bytes);
    log_line(LOG_INFO,
             "ensemble: %.1f MB of predictions stay in the host's memory, those of a batch (%.1f "
             "MB) on the device",
             (double)bytes / 1e6, (double)slot / 1e6);
    return ADELE_OK;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t decider_workspace(const struct ensemble_decider *decider) {
    return larger(decider->filter->workspace_bytes, decider->decide->workspace_bytes);
}

static adele_status allocate_decision(struct ensemble *ensemble) {
    const struct resident *train = &ensemble->data->resident[SPLIT_TRAIN];
    size_t values = (size_t)ensemble->batch * (size_t)ensemble->logits.c * (size_t)train->set.h *
                    (size_t)train->set.w;
    size_t workspace =
        larger(decider_workspace(&ensemble->configured), decider_workspace(&ensemble->plain));
    const struct {
        void **block;
        size_t bytes;
    } blocks[] = {{(void **)&ensemble->q, values * sizeof *ensemble->q},
                  {(void **)&ensemble->area_factors,
                   (size_t)ensemble->logits.c * sizeof *ensemble->area_factors},
                  {&ensemble->workspace, workspace},
                  {(void **)&ensemble->decided, resident_map_bytes(train)}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i].bytes > 0)
            TRY(adele_device_alloc_zeroed(ensemble->data->device, blocks[i].bytes, "the ensemble",
                                          blocks[i].block));
    return ADELE_OK;
}

adele_status ensemble_maps_allocate(struct ensemble *ensemble) {
    const struct run_data *data = ensemble->data;
    adele_status status = ADELE_NO_MEMORY;
    bool may_move =
        data->config->data.residency == RESIDENCY_AUTO && !resident_is_host_memory(data->device);
    bool is_on_host = data->config->data.residency == RESIDENCY_HOST || data->are_images_moved;
    if (!is_on_host)
        status = adele_device_alloc_zeroed(data->device, share_bytes(ensemble), "the ensemble",
                                           (void **)&ensemble->maps);
    if (is_on_host || (status == ADELE_NO_MEMORY && may_move))
        status = allocate_on_host(ensemble);
    count_bytes(ensemble);
    return status == ADELE_OK ? allocate_decision(ensemble) : status;
}

void ensemble_maps_free(struct ensemble *ensemble) {
    const struct adele_device *device = ensemble->data->device;
    device->iface->release(device, ensemble->maps);
    device->iface->release(device, ensemble->slot);
    device->iface->release(device, ensemble->q);
    device->iface->release(device, ensemble->area_factors);
    device->iface->release(device, ensemble->workspace);
    device->iface->release(device, ensemble->decided);
    ensemble->maps = ensemble->slot = NULL;
    ensemble->q = ensemble->area_factors = NULL;
    ensemble->is_calibrated = false;
    ensemble->workspace = NULL;
    ensemble->decided = NULL;
    count_bytes(ensemble);
}

static uint16_t *maps_at(const struct ensemble *ensemble, int first) {
    size_t i = (size_t)(first - ensemble->share.first);
    return ensemble->maps + i * (map_bytes(ensemble) / sizeof(uint16_t));
}

adele_status ensemble_maps_fetch(struct ensemble *ensemble, int first, uint16_t **out) {
    const struct adele_device *device = ensemble->data->device;
    uint16_t *maps = maps_at(ensemble, first);
    *out = ensemble->slot ? ensemble->slot : maps;
    return ensemble->slot ? device->iface->upload(device, ensemble->slot, maps,
                                                  (size_t)ensemble->batch * map_bytes(ensemble))
                          : ADELE_OK;
}

adele_status ensemble_maps_store(struct ensemble *ensemble, int first) {
    const struct adele_device *device = ensemble->data->device;
    return ensemble->slot
               ? device->iface->download(device, maps_at(ensemble, first), ensemble->slot,
                                         (size_t)ensemble->batch * map_bytes(ensemble))
               : ADELE_OK;
}

// ---- checkpoints --------------------------------------------------------------------------------

// Maps of images first .. first + n - 1 of this rank's share, between `host` and where they lie.
static adele_status move_maps(const struct ensemble *ensemble, int first, int n, void *host,
                              bool is_restore) {
    const struct adele_device *device = ensemble->data->device;
    size_t bytes = (size_t)n * map_bytes(ensemble);
    uint16_t *maps = maps_at(ensemble, first);
    if (n == 0)
        return ADELE_OK;
    if (!ensemble->slot)
        return is_restore ? device->iface->upload(device, maps, host, bytes)
                          : device->iface->download(device, host, maps, bytes);
    memcpy(is_restore ? (void *)maps : host, is_restore ? host : (void *)maps, bytes);
    return ADELE_OK;
}

static int images_of_round(const struct image_share *share, int i, int n_round) {
    int left = share->end - share->first - i;
    return left < 0 ? 0 : left < n_round ? left : n_round;
}

static adele_status take_over(struct ensemble *ensemble, int rank, int i, int n_round,
                              const char *from, size_t bytes) {
    struct image_share share =
        image_share_of(ensemble->data->resident[SPLIT_TRAIN].set.n_images, ensemble->batch, rank,
                       ranks_count(ensemble->data->ranks));
    size_t map = map_bytes(ensemble), wanted = (size_t)images_of_round(&share, i, n_round) * map;
    if (bytes != wanted)
        return FAIL(ADELE_FORMAT, "Start all ranks with the same program.",
                    "rank %d has sent %zu bytes of the ensemble instead of %zu", rank, bytes,
                    wanted);
    if (ensemble->collected)
        memcpy((char *)ensemble->collected + (size_t)(share.first + i) * map, from, bytes);
    return ADELE_OK;
}

adele_status ensemble_download(const struct ensemble *ensemble, int i_image, uint8_t *labels,
                               uint16_t *maps) {
    const struct adele_device *device = ensemble->data->device;
    const struct resident *train = &ensemble->data->resident[SPLIT_TRAIN];
    size_t n = (size_t)train->set.h * (size_t)train->set.w;
    TRY(device->iface->download(device, labels, train->noisy + (size_t)i_image * n, n));
    return move_maps(ensemble, i_image, 1, maps, false);
}

// The next n_round images of every rank's share, from the i-th on.
static adele_status collect_round(struct ensemble *ensemble, int i, int n_round, size_t *starts,
                                  void *mine) {
    struct ranks *ranks = ensemble->data->ranks;
    int n = images_of_round(&ensemble->share, i, n_round);
    OWNED void *all = NULL;
    TRY(move_maps(ensemble, ensemble->share.first + i, n, mine, false));
    TRY(ranks_gather_sized(ranks, mine, (size_t)n * map_bytes(ensemble), &all, starts));
    for (int r = 0; r < ranks_count(ranks); r++)
        TRY(take_over(ensemble, r, i, n_round, (const char *)all + starts[r],
                      starts[r + 1] - starts[r]));
    return ADELE_OK;
}

static adele_status collect_from_ranks(struct ensemble *ensemble) {
    struct ranks *ranks = ensemble->data->ranks;
    int n_images = ensemble->data->resident[SPLIT_TRAIN].set.n_images, largest = 0;
    int n_round = (int)(ROUND_BYTES / (size_t)ranks_count(ranks) / map_bytes(ensemble));
    OWNED size_t *starts = NULL;
    n_round = n_round < 1 ? 1 : n_round < n_images ? n_round : n_images;
    OWNED void *mine = memory_aligned((size_t)n_round * map_bytes(ensemble));
    TRY(CHECK_MEMORY(mine));
    TRY(ALLOCATE(&starts, ranks_count(ranks) + 1));
    for (int r = 0; r < ranks_count(ranks); r++) {
        struct image_share share = image_share_of(n_images, ensemble->batch, r, ranks_count(ranks));
        largest = share.end - share.first > largest ? share.end - share.first : largest;
    }
    for (int i = 0; i < largest; i += n_round)
        TRY(collect_round(ensemble, i, n_round, starts, mine));
    return ADELE_OK;
}

adele_status ensemble_collect(struct ensemble *ensemble) {
    struct ranks *ranks = ensemble->data->ranks;
    if (!ensemble->maps)
        return ADELE_OK;
    if (ranks_index(ranks) == 0) {
        ensemble->collected = memory_aligned(ensemble_bytes(ensemble));
        TRY(CHECK_MEMORY(ensemble->collected));
    }
    if (ranks_count(ranks) > 1)
        return collect_from_ranks(ensemble);
    return move_maps(ensemble, 0, ensemble->share.end, ensemble->collected, false);
}

void ensemble_drop_collected(struct ensemble *ensemble) {
    memory_free(ensemble->collected);
    ensemble->collected = NULL;
}

adele_status ensemble_restore(struct ensemble *ensemble, const uint16_t *maps) {
    const struct adele_device *device = ensemble->data->device;
    struct image_share share = ensemble->share;
    TRY(device->iface->synchronize(device));
    if (!maps) {
        ensemble_maps_free(ensemble);
        return ADELE_OK;
    }
    if (!ensemble->maps)
        TRY(ensemble_maps_allocate(ensemble));
    const char *from = (const char *)maps + (size_t)share.first * map_bytes(ensemble);
    return move_maps(ensemble, share.first, share.end - share.first, (void *)from, true);
}
