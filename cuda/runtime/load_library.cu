// SPDX-License-Identifier: MIT
#include "runtime/load_library.cuh"

#include <stdio.h>
#include <stdlib.h>

namespace adele_cuda {

void library_note_missing(struct cuda_context *context, const char *format, const char *a,
                          const char *b) {
    char *text = context->device.missing;
    size_t used = strlen(text), bytes = sizeof context->device.missing;
    used += (size_t)snprintf(text + used, bytes - used, "%s", used > 0 ? "; " : "");
    if (used < bytes)
        (void)snprintf(text + used, bytes - used, format, a, b);
}

void *library_open(const char *variable, const char *const *names, int n_names) {
    const char *wanted = getenv(variable);
    if (wanted != NULL && wanted[0] != '\0')
        return dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
    for (int i = 0; i < n_names; i++) {
        char path[256];
        snprintf(path, sizeof path, "/usr/local/cuda/lib64/%s", names[i]);
        void *module = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (module == NULL)
            module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (module != NULL)
            return module;
    }
    return NULL;
}

void *library_load(struct cuda_context *context, const char *variable, const char *const *names,
                   int n_names) {
    void *module = library_open(variable, names, n_names);
    const char *wanted = getenv(variable);
    if (module == NULL && wanted != NULL && wanted[0] != '\0')
        library_note_missing(context, "%.100s, which %s names", wanted, variable);
    else if (module == NULL)
        library_note_missing(context, "%s (%s may name its file)", names[0], variable);
    return module;
}

} // namespace adele_cuda
