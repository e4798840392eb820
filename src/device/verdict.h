// SPDX-License-Identifier: MIT
// The stored result of the self-test (selftest/selftest.h): a line in a file beside the engine
// cache, $XDG_CACHE_HOME/adele/selftest.txt, whose key is GPU, driver, libraries and the hash of
// the program. A line that is damaged, or of another build, is ignored, and the test is run again.
// It lies below selftest/, because adele_device_open applies it to every device (devices.c).
#ifndef ADELE_DEVICE_VERDICT_H
#define ADELE_DEVICE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct verdict {
    bool is_complete;  // false: the time limit was reached before all families were tested
    uint64_t left_out; // families (device/families.h) that are faulty
};

// `identity`: the text of device_identify. False when no result is stored.
bool verdict_find(const char *identity, struct verdict *out);
// Stores it if possible; where the cache folder cannot be written, the test is run again next time.
void verdict_put(const char *identity, const struct verdict *verdict);
// ADELE_SELFTEST=off in the environment: nothing is tested, and stored results are ignored.
bool verdict_is_off(void);

#ifdef __cplusplus
}
#endif
#endif
