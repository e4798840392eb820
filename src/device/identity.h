// SPDX-License-Identifier: MIT
// What identifies a device for the results of the self-test that are kept (verdict.h).
#ifndef ADELE_DEVICE_IDENTITY_H
#define ADELE_DEVICE_IDENTITY_H

#include <stdbool.h>

struct device_identity {
    char base[32];  // the name without its engine: "cuda:0"; "" for a device that has no families
    char text[256]; // GPU, driver and libraries; "" when there is no such device
    bool is_cuda;
};

// devices.c: identifies the device of that name without opening it.
void device_identify(const char *name, struct device_identity *out);
#endif
