// SPDX-License-Identifier: MIT
// What a device is, and what results on it depend on.
#ifndef ADELE_DEVICE_H
#define ADELE_DEVICE_H

#include "adele/status.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Texts are "" where there is nothing to say.
struct adele_device_info {
    char description[256];         // "CUDA device 0, NVIDIA ..., 80 GB"
    char engine[128];              // "auto", or what the name asked for: "direct"
    char instruction_set[128];     // that is used: "avx2", "sm_90"
    char best_instruction_set[64]; // that the processor has
    char libraries[128];           // "oneDNN 2.6.3, glibc 2.36"
    char missing[256];             // libraries that were looked for and are not there
    char repeats[256];             // which results repeat bit by bit
    uint64_t free_bytes;           // of its memory; UINT64_MAX: not known
    char selftest[1536];           // what the test of a GPU's kernels has found; "": needs none
};
// Opens the device ("cpu", "cuda", "cuda:1", "cpu/direct"..., "auto"; NULL: "auto") and closes it
// again. Errors, after which *out is empty: ADELE_INVALID_ARGUMENT for a name that is none,
// ADELE_UNSUPPORTED for a device that this build does not have, ADELE_DEVICE for one that the
// machine does not have or that does not open, ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_device_describe(const char *name,
                                                    struct adele_device_info *out);
// The compiler of this build: "gcc 12.2.0". Static storage.
const char *adele_compiler(void);

#ifdef __cplusplus
}
#endif
#endif
