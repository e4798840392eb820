// SPDX-License-Identifier: MIT
// The one file that names the devices of the build: opens one by name.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "device/device.h"
#ifdef ADELE_HAVE_CUDA
#include "cuda_device.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_DEVICES "Known devices: auto, cpu, cpu/direct, cuda, cuda:N, and cuda:N/ENGINE."

static struct {
    char name[32]; // "" = none
    adele_device_opener open;
} provided;

void adele_device_provide(const char *name, adele_device_opener open) {
    (void)snprintf(provided.name, sizeof provided.name, "%s", open != NULL ? name : "");
    provided.open = open;
}

#ifdef ADELE_HAVE_CUDA
// "", ":1", "/direct", ":1/cudnn": what follows "cuda" in a name.
static adele_status parse_cuda(const char *name, struct cuda_options *options) {
    const char *rest = name + strlen("cuda");
    if (*rest == ':') {
        char *end;
        long ordinal = strtol(rest + 1, &end, 10);
        if (end == rest + 1 || ordinal < 0 || ordinal > 1024)
            return FAIL(ADELE_INVALID_ARGUMENT, KNOWN_DEVICES,
                        "device \"%s\": \"%s\" is not the number of a GPU", name, rest + 1);
        options->ordinal = (int)ordinal;
        rest = end;
    }
    if (*rest == '\0')
        return ADELE_OK;
    if (*rest == '/' && cuda_engine_parse(rest + 1, &options->engine))
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Engines are auto, direct, plain, cudnn and cublas.",
                "device \"%s\": cannot read \"%s\"", name, rest);
}

static adele_status open_cuda(const char *name, enum adele_precision precision,
                              struct adele_device **out) {
    struct cuda_options options = {.precision = precision, .engine = CUDA_ENGINE_AUTO};
    TRY(parse_cuda(name, &options));
    return cuda_device_create(&options, out);
}

static bool has_cuda(void) {
    return cuda_device_count() > 0;
}
#else
static adele_status open_cuda(const char *name, enum adele_precision precision,
                              struct adele_device **out) {
    (void)precision;
    (void)out;
    return FAIL(ADELE_UNSUPPORTED, "Use --device cpu, or build where nvcc is installed.",
                "device \"%s\": this build has no CUDA device", name);
}

static bool has_cuda(void) {
    return false;
}
#endif

adele_status adele_device_open(const char *name, enum adele_precision precision,
                               struct adele_device **out) {
    *out = NULL;
    if (provided.open != NULL && strcmp(name, provided.name) == 0)
        return provided.open(precision, out);
    if (strcmp(name, "auto") == 0)
        return has_cuda() ? open_cuda("cuda", precision, out) : cpu_device_create(out);
    if (strcmp(name, "cpu") == 0)
        return cpu_device_create(out);
    if (strcmp(name, "cpu/direct") == 0)
        return cpu_device_create_direct(out);
    if (strncmp(name, "cuda", 4) == 0 && strchr(":/", name[4]) != NULL)
        return open_cuda(name, precision, out);
    return FAIL(ADELE_INVALID_ARGUMENT, KNOWN_DEVICES, "unknown device \"%s\"", name);
}

void adele_device_close(struct adele_device *device) {
    if (device != NULL)
        device->iface->destroy(device);
}
