// SPDX-License-Identifier: MIT
#include "simt_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

[[noreturn]] static void refuse(const char *variable, const char *value, const char *allowed) {
    fprintf(stderr, "simt: %s is \"%s\": set it to %s\n", variable, value, allowed);
    abort();
}

// The index of the variable's value among the names; 0 when it is not set.
static int choice_of(const char *variable, const char *const *names, int n_names,
                     const char *allowed) {
    const char *value = getenv(variable);
    if (!value)
        return 0;
    for (int i = 0; i < n_names; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    refuse(variable, value, allowed);
}

struct simt_settings simt_settings_read() {
    static const char *const tensor_cores[] = {"ampere", "hopper", "nearest"};
    static const char *const streams[] = {"eager", "lazy"};
    static const char *const libraries[] = {"none", "cublas", "cudnn", "all", "nccl"};
    struct simt_settings settings = {};
    settings.is_hopper = choice_of("SIMT_DEVICE", tensor_cores, 2, "ampere or hopper") == 1;
    settings.tensor_core = (enum simt_tensor_core)choice_of("SIMT_TENSOR_CORE", tensor_cores, 3,
                                                            "ampere, hopper or nearest");
    if (settings.is_hopper && !getenv("SIMT_TENSOR_CORE"))
        settings.tensor_core = SIMT_TENSOR_CORE_HOPPER;
    settings.is_lazy = choice_of("SIMT_STREAMS", streams, 2, "eager or lazy") == 1;
    int there = choice_of("SIMT_LIBRARIES", libraries, 5, "none, cublas, cudnn, nccl or all");
    settings.has_cublas = (there & 1) != 0;
    settings.has_cudnn = (there & 2) != 0;
    settings.has_nccl = there >= 3;
    const char *order = getenv("SIMT_ORDER");
    if (order) {
        char *end = NULL;
        errno = 0;
        settings.is_shuffled = true;
        settings.seed = strtoull(order, &end, 10);
        if (end == order || *end != '\0' || errno != 0 || order[0] == '-')
            refuse("SIMT_ORDER", order, "a whole number");
    }
    return settings;
}
