// SPDX-License-Identifier: MIT
#include "device/device.h"

#include "base/fail.h"

adele_status adele_device_alloc_zeroed(const struct adele_device *device, size_t bytes,
                                       const char *purpose, void **out) {
    *out = NULL;
    void *block = NULL;
    adele_status status = device->iface->alloc(device, bytes, &block);
    if (status == ADELE_OK)
        status = device->iface->fill(device, block, 0, bytes);
    if (status != ADELE_OK) {
        device->iface->release(device, block);
        return fail_context(status, "device memory for %s", purpose);
    }
    *out = block;
    return ADELE_OK;
}
