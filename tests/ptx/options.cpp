// SPDX-License-Identifier: MIT
// The freedom of the hardware, from the environment. A value that is not known ends the program: a
// test that runs otherwise than it was asked to proves nothing.
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace ptx {

static int choice(const char *variable, const char *value, const char *const *names, int n) {
    for (int i = 0; i < n; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(value, names[i], length) == 0 &&
            (value[length] == '\0' || value[length] == ':'))
            return i;
    }
    fprintf(stderr, "ptx: %s=%s: known are", variable, value);
    for (int i = 0; i < n; i++)
        fprintf(stderr, " %s", names[i]);
    fprintf(stderr, "\n");
    exit(2);
}

static struct ptx_options read_options(void) {
    static const char *const copy_times[] = {"late", "early", "either"};
    static const char *const orders[] = {"forward", "backward", "shuffle"};
    static const char *const sums[PTX_MMA_SUMS] = {"exact", "float", "cut", "ampere", "hopper"};
    static const char *const units[] = {"0", "1", "-1"};
    static const int unit_values[] = {0, 1, -1};
    static const char *const faults[PTX_FAULTS] = {"wrong", "crash", "hang"};
    struct ptx_options out = {PTX_COPY_LATE, PTX_ORDER_FORWARD, 1, PTX_MMA_EXACT, 0, PTX_FAULTS,
                              nullptr};
    const char *value = getenv("PTX_CP_ASYNC");
    if (value != NULL)
        out.copy_time = (enum ptx_copy_time)choice("PTX_CP_ASYNC", value, copy_times, 3);
    value = getenv("PTX_ORDER");
    if (value != NULL) {
        out.order = (enum ptx_order)choice("PTX_ORDER", value, orders, 3);
        const char *colon = strchr(value, ':');
        out.seed = colon != NULL ? strtoull(colon + 1, NULL, 0) : out.seed;
    }
    value = getenv("PTX_MMA");
    if (value != NULL)
        out.mma_sum = (enum ptx_mma_sum)choice("PTX_MMA", value, sums, PTX_MMA_SUMS);
    value = getenv("PTX_EX2");
    if (value != NULL)
        out.ex2_units = unit_values[choice("PTX_EX2", value, units, 3)];
    value = getenv("PTX_PLANT");
    if (value != NULL) {
        out.fault = (enum ptx_fault)choice("PTX_PLANT", value, faults, PTX_FAULTS);
        out.faulty = strchr(value, ':');
        if (out.faulty == NULL || *++out.faulty == '\0') {
            fprintf(stderr, "ptx: PTX_PLANT=%s: a part of a kernel's name must follow, %s:sgd\n",
                    value, faults[out.fault]);
            exit(2);
        }
    }
    return out;
}

uint32_t random_below(uint32_t n) {
    struct ptx_options *options = ptx_options();
    options->seed = options->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(options->seed >> 33) % n;
}

} // namespace ptx

struct ptx_options *ptx_options(void) {
    static struct ptx_options options = ptx::read_options();
    return &options;
}
