// SPDX-License-Identifier: MIT
// What the self-test (selftest/selftest.h) found, kept from run to run in a file beside the engine
// cache, $XDG_CACHE_HOME/adele/selftest.txt, under GPU, driver, libraries and the hash of the
// program. A line that is damaged, or of another build, is none: then the test is run again.
#ifndef ADELE_DEVICE_VERDICT_H
#define ADELE_DEVICE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct verdict {
    bool is_complete;  // false: the time was up before all families were tested
    uint64_t left_out; // families (device/families.h) that are faulty
};

// devices.c: what a name of adele_device_open stands for, without opening it.
struct device_identity {
    char base[32];  // the name without its engine: "cuda:0"; "" for a device that has no families
    char text[256]; // GPU, driver and libraries; "" when there is no such device
    bool is_cuda;
};
void device_identify(const char *name, struct device_identity *out);

// `identity`: the text of device_identify. False when no verdict is there.
bool verdict_find(const char *identity, struct verdict *out);
// Keeps it where that can be done; a cache folder that cannot be written costs another test.
void verdict_put(const char *identity, const struct verdict *verdict);
// ADELE_SELFTEST=off in the environment: nothing is tested, and no verdict is heeded.
bool verdict_is_off(void);

#ifdef __cplusplus
}
#endif
#endif
