// SPDX-License-Identifier: MIT
// The one file that names the devices of the build: opens one by name.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "device/device.h"

#include <string.h>

adele_status adele_device_open(const char *name, struct adele_device **out) {
    *out = NULL;
    if (strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0)
        return cpu_device_create(out);
    if (strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0)
        return FAIL(ADELE_UNSUPPORTED, "Use --device cpu.",
                    "device \"%s\": this build has no CUDA device", name);
    return FAIL(ADELE_INVALID_ARGUMENT, "Known devices: auto, cpu, cuda, cuda:N.",
                "unknown device \"%s\"", name);
}

void adele_device_close(struct adele_device *device) {
    if (device != NULL)
        device->iface->destroy(device);
}
