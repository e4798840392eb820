// SPDX-License-Identifier: MIT
#include "train/resident.h"

#include "base/fail.h"
#include "base/log.h"

#include <string.h>

size_t resident_map_bytes(const struct resident *resident) {
    return (size_t)resident->set.n_images * (size_t)resident->set.h * (size_t)resident->set.w;
}

static adele_status upload_new(const struct adele_device *device, const void *host, size_t bytes,
                               void **out) {
    TRY(device->iface->alloc(device, bytes, out));
    return device->iface->upload(device, *out, host, bytes);
}

// The images are the bulk, and a step reads only its batch of them: where the device has no room,
// they stay in the host's memory.
static adele_status upload_images(struct resident *resident, const void *host, size_t bytes) {
    const struct adele_device *device = resident->device;
    adele_status status = device->iface->alloc(device, bytes, &resident->images);
    if (status == ADELE_NO_MEMORY) {
        log_line(LOG_WARNING,
                 "%zu MB of images do not fit into the device: they stay in the host's memory",
                 bytes / 1000000);
        status = device->iface->alloc_pinned(device, bytes, &resident->images);
    }
    TRY(status);
    return device->iface->upload(device, resident->images, host, bytes);
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

adele_status resident_init(struct resident *out, const struct adele_device *device,
                           const struct dataset_images *images, bool with_noisy) {
    memset(out, 0, sizeof *out);
    out->device = device;
    struct adele_sample_set *set = &out->set;
    set->pixel = images->is_f16 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8;
    set->n_images = images->n;
    set->c = images->c;
    set->h = images->h;
    set->w = images->w;
    size_t n_planes = (size_t)images->n * (size_t)images->c;
    size_t image_bytes =
        n_planes * (size_t)images->h * (size_t)images->w * (images->is_f16 ? 2u : 1u);
    adele_status status;
    TRY_GOTO(upload_images(out, images->images, image_bytes), fail);
    TRY_GOTO(upload_new(device, images->mean, n_planes * sizeof(float), (void **)&out->mean), fail);
    TRY_GOTO(upload_new(device, images->inv_std, n_planes * sizeof(float), (void **)&out->inv_std),
             fail);
    TRY_GOTO(upload_maps(out, images, with_noisy), fail);
    set->images = out->images;
    set->mean = out->mean;
    set->inv_std = out->inv_std;
    set->labels = out->labels;
    set->noisy = out->noisy;
    set->truth = out->truth;
    return ADELE_OK;
fail:
    resident_deinit(out);
    return status;
}

void resident_deinit(struct resident *resident) {
    if (resident->device) {
        const struct adele_device_iface *iface = resident->device->iface;
        iface->release(resident->device, resident->images);
        iface->release(resident->device, resident->mean);
        iface->release(resident->device, resident->inv_std);
        iface->release(resident->device, resident->labels);
        iface->release(resident->device, resident->noisy);
        iface->release(resident->device, resident->truth);
    }
    memset(resident, 0, sizeof *resident);
}
