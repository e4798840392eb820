// SPDX-License-Identifier: MIT
#include "loader/resident.h"

#include "base/fail.h"
#include "base/log.h"

#include <string.h>

bool resident_is_host_memory(const struct adele_device *device) {
    return device->iface->alloc_pinned == device->iface->alloc;
}

size_t resident_map_bytes(const struct resident *resident) {
    return (size_t)resident->set.n_images * (size_t)resident->set.h * (size_t)resident->set.w;
}

static size_t images_bytes(const struct resident *resident) {
    return (size_t)resident->set.n_images * resident->image_bytes;
}

// What this process counts of them.
static size_t counted_bytes(const struct resident *resident) {
    return resident->is_counted_elsewhere ? 0 : images_bytes(resident);
}

static bool is_on_host(const struct resident *resident) {
    return resident->slots[0] != NULL;
}

size_t resident_device_bytes(const struct resident *resident) {
    size_t n_maps = (size_t)(resident->labels != NULL) + (size_t)(resident->noisy != NULL) +
                    (size_t)(resident->truth != NULL);
    size_t n_planes = (size_t)resident->set.n_images * (size_t)resident->set.c;
    size_t pixels = is_on_host(resident) ? 2 * (size_t)resident->batch * resident->image_bytes
                                         : counted_bytes(resident);
    return pixels + n_maps * resident_map_bytes(resident) + 2 * n_planes * sizeof(float);
}

size_t resident_host_bytes(const struct resident *resident) {
    return is_on_host(resident) ? counted_bytes(resident) : 0;
}

static adele_status upload_new(const struct adele_device *device, const void *host, size_t bytes,
                               void **out) {
    TRY(device->iface->alloc(device, bytes, out));
    return device->iface->upload(device, *out, host, bytes);
}

// The slots of two batches, zeroed, because ops also read rows that are never prefetched.
static adele_status slots_init(struct resident *resident) {
    const struct adele_device *device = resident->device;
    size_t bytes = (size_t)resident->batch * resident->image_bytes;
    for (int i = 0; i < 2; i++)
        TRY(adele_device_alloc_zeroed(device, bytes, "two batches of images",
                                      (void **)&resident->slots[i]));
    return device->iface->upload_fence(device); // so that copies follow the zeros
}

static adele_status to_host_init(struct resident *resident) {
    log_line(LOG_INFO,
             "data: %.1f MB of images stay in the host's memory, two batches of %.1f MB on the "
             "device",
             (double)images_bytes(resident) / 1e6,
             (double)((size_t)resident->batch * resident->image_bytes) / 1e6);
    return slots_init(resident);
}

static adele_status upload_images(struct resident *resident, const struct dataset_images *images,
                                  bool to_host) {
    const struct adele_device *device = resident->device;
    size_t bytes = images_bytes(resident);
    if (images->pixels.block != NULL && resident_is_host_memory(device)) {
        resident->images = images->images;
        resident->is_borrowed = true;
        resident->is_counted_elsewhere = images->is_counted_elsewhere;
    } else if (!to_host) {
        TRY(upload_new(device, images->images, bytes, &resident->images));
    } else {
        TRY(device->iface->alloc_pinned(device, bytes, &resident->images));
        memcpy(resident->images, images->images, bytes);
    }
    if (to_host)
        return to_host_init(resident);
    resident->set.images = resident->images;
    return ADELE_OK;
}

static adele_status upload_maps(struct resident *resident, const struct dataset_images *images,
                                bool with_noisy) {
    const struct adele_device *device = resident->device;
    size_t bytes = resident_map_bytes(resident);
    if (images->labels) {
        TRY(upload_new(device, images->labels, bytes, (void **)&resident->labels));
        if (with_noisy)
            TRY(upload_new(device, images->labels, bytes, (void **)&resident->noisy));
    }
    if (images->truth)
        TRY(upload_new(device, images->truth, bytes, (void **)&resident->truth));
    return ADELE_OK;
}

static adele_status fill_in(struct resident *out, const struct adele_device *device,
                            const struct dataset_images *images,
                            const struct resident_options *options, bool to_host) {
    memset(out, 0, sizeof *out);
    out->device = device;
    struct adele_sample_set *set = &out->set;
    set->pixel = images->is_f16 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8;
    set->n_images = images->n;
    set->c = images->c;
    set->h = images->h;
    set->w = images->w;
    out->batch = options->batch;
    out->image_bytes =
        (size_t)images->c * (size_t)images->h * (size_t)images->w * (images->is_f16 ? 2u : 1u);
    size_t n_floats = (size_t)images->n * (size_t)images->c;
    TRY(upload_images(out, images, to_host));
    TRY(upload_new(device, images->mean, n_floats * sizeof(float), (void **)&out->mean));
    TRY(upload_new(device, images->inv_std, n_floats * sizeof(float), (void **)&out->inv_std));
    TRY(upload_maps(out, images, options->with_noisy));
    set->mean = out->mean;
    set->inv_std = out->inv_std;
    set->labels = out->labels;
    set->noisy = out->noisy;
    set->truth = out->truth;
    return ADELE_OK;
}

adele_status resident_init(struct resident *out, const struct adele_device *device,
                           const struct dataset_images *images,
                           const struct resident_options *options) {
    adele_status status =
        fill_in(out, device, images, options, options->residency == RESIDENCY_HOST);
    if (status == ADELE_NO_MEMORY && options->residency == RESIDENCY_AUTO &&
        !resident_is_host_memory(device)) {
        resident_deinit(out);
        status = fill_in(out, device, images, options, true);
    }
    if (status != ADELE_OK)
        resident_deinit(out);
    return status;
}

void resident_deinit(struct resident *resident) {
    if (resident->device) {
        const struct adele_device *device = resident->device;
        void *images = resident->is_borrowed ? NULL : resident->images;
        void *blocks[] = {resident->slots[0], resident->slots[1], images,          resident->mean,
                          resident->inv_std,  resident->labels,   resident->noisy, resident->truth};
        if (is_on_host(resident)) { // a copy may be under way
            adele_status status = device->iface->synchronize(device);
            (void)status; // an earlier call has reported a failure
        }
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
            device->iface->release(device, blocks[i]);
    }
    memset(resident, 0, sizeof *resident);
}

// ---- images on the host -------------------------------------------------------------------------

adele_status resident_move_to_host(struct resident *resident) {
    if (is_on_host(resident))
        return ADELE_OK;
    const struct adele_device *device = resident->device;
    size_t bytes = images_bytes(resident);
    void *host = NULL;
    TRY(device->iface->alloc_pinned(device, bytes, &host));
    adele_status status = device->iface->download(device, host, resident->images, bytes);
    if (status != ADELE_OK) {
        device->iface->release(device, host);
        return status;
    }
    if (!resident->is_borrowed)
        device->iface->release(device, resident->images);
    resident->is_borrowed = resident->is_counted_elsewhere = false;
    resident->images = host;
    resident->set.images = NULL;
    return to_host_init(resident);
}

adele_status resident_set_batch(struct resident *resident, int batch) {
    const struct adele_device *device = resident->device;
    const struct resident old = *resident;
    resident->batch = batch;
    if (!is_on_host(resident) || batch == old.batch)
        return ADELE_OK;
    resident->slots[0] = resident->slots[1] = NULL;
    adele_status status = slots_init(resident);
    for (int i = 0; i < 2; i++)
        device->iface->release(device, status == ADELE_OK ? old.slots[i] : resident->slots[i]);
    if (status != ADELE_OK)
        *resident = old;
    return status;
}

adele_status resident_prefetch(struct resident *resident, const int32_t *ids, int n) {
    if (!is_on_host(resident))
        return ADELE_OK;
    const struct adele_device *device = resident->device;
    if (n > resident->batch)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a batch of %d images, there is room for %d", n,
                    resident->batch);
    uint8_t *to = resident->slots[1 - resident->i_slot];
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0)
            TRY(device->iface->upload_begin(device, to + (size_t)i * resident->image_bytes,
                                            (const uint8_t *)resident->images +
                                                (size_t)ids[i] * resident->image_bytes,
                                            resident->image_bytes));
    return ADELE_OK;
}

adele_status resident_swap(struct resident *resident) {
    if (!is_on_host(resident))
        return ADELE_OK;
    resident->i_slot = 1 - resident->i_slot;
    return resident->device->iface->upload_fence(resident->device);
}

const void *resident_batch(const struct resident *resident) {
    return is_on_host(resident) ? resident->slots[resident->i_slot] : NULL;
}
