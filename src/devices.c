// SPDX-License-Identifier: MIT
// The one file that names the devices of the build: opens one by name.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "device/device.h"
#include "device/families.h"
#include "device/identity.h"
#include "device/verdict.h"
#ifdef ADELE_HAVE_CUDA
#include "runtime/cuda_device.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_DEVICES "Known devices: auto, cpu, cpu/direct, cuda, cuda:N, and cuda:N/ENGINE."

static struct provided {
    char name[32]; // "" = none
    adele_device_opener open;
} provided[8];

// "" finds a place for a new one. NULL when there is none.
static struct provided *find_provided(const char *name) {
    for (size_t i = 0; i < sizeof provided / sizeof provided[0]; i++)
        if (strcmp(name, provided[i].name) == 0)
            return &provided[i];
    return NULL;
}

void adele_device_provide(const char *name, adele_device_opener open) {
    struct provided *place = find_provided(name);
    if (place == NULL)
        place = find_provided("");
    if (place == NULL)
        return;
    (void)snprintf(place->name, sizeof place->name, "%s", open != NULL ? name : "");
    place->open = open;
}

#ifdef ADELE_HAVE_CUDA
// Parses what follows "cuda" in a name: "", ":1", "/direct", ":1/cudnn". "/cudnn2" is the engine
// cudnn with the third of its candidates first, for the self-test.
static adele_status parse_cuda(const char *name, struct cuda_options *options,
                               int *cudnn_candidate) {
    *cudnn_candidate = 0;
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
    if (strncmp(rest, "/cudnn", 6) == 0 && strchr("12", rest[6]) != NULL && rest[7] == '\0') {
        options->engine = CUDA_ENGINE_CUDNN;
        *cudnn_candidate = rest[6] - '0';
        return ADELE_OK;
    }
    return FAIL(ADELE_INVALID_ARGUMENT, "Engines are auto, direct, plain, cudnn and cublas.",
                "device \"%s\": cannot read \"%s\"", name, rest);
}

static adele_status open_cuda(const char *name, enum adele_precision precision,
                              struct adele_device **out) {
    struct cuda_options options = {.precision = precision, .engine = CUDA_ENGINE_AUTO};
    int cudnn_candidate;
    TRY(parse_cuda(name, &options, &cudnn_candidate));
    TRY(cuda_device_create(&options, out));
    cuda_device_set_cudnn_candidate(*out, cudnn_candidate);
    return ADELE_OK;
}

static void identify_cuda(const char *name, struct device_identity *out) {
    struct cuda_options options = {.precision = ADELE_PRECISION_FP32};
    int cudnn_candidate;
    if (parse_cuda(name, &options, &cudnn_candidate) != ADELE_OK)
        return; // adele_device_open reports the error
    (void)snprintf(out->base, sizeof out->base, "cuda:%d", options.ordinal);
    cuda_device_identity(options.ordinal, out->text, sizeof out->text);
    out->is_cuda = true;
}

int adele_device_gpu_count(void) {
    return cuda_device_count();
}
#else
static adele_status open_cuda(const char *name, enum adele_precision precision,
                              struct adele_device **out) {
    (void)precision;
    (void)out;
    return FAIL(ADELE_UNSUPPORTED, "Use --device cpu, or build where nvcc is installed.",
                "device \"%s\": this build has no CUDA device", name);
}

static void identify_cuda(const char *name, struct device_identity *out) {
    (void)name;
    (void)out;
}

int adele_device_gpu_count(void) {
    return 0;
}
#endif

static bool has_cuda(void) {
    return adele_device_gpu_count() > 0;
}

static bool is_cuda(const char *name) {
    return strncmp(name, "cuda", 4) == 0 && strchr(":/", name[4]) != NULL;
}

// A device of adele_device_provide is identified by its name without the engine.
void device_identify(const char *name, struct device_identity *out) {
    memset(out, 0, sizeof *out);
    if (name[0] != '\0' && find_provided(name) != NULL) {
        int length = (int)strcspn(name, "/");
        (void)snprintf(out->base, sizeof out->base, "%.*s", length, name);
        (void)snprintf(out->text, sizeof out->text, "%.*s", length, name);
    } else if (is_cuda(name) || (strcmp(name, "auto") == 0 && has_cuda())) {
        identify_cuda(is_cuda(name) ? name : "cuda", out);
    }
}

// Disables what the self-test found faulty, if it has run on this device; and before it has run to
// its end, what no release has run on a GPU.
static void disable_faulty(const char *name, struct adele_device *device) {
    struct device_identity identity;
    struct verdict verdict = {false, 0};
    device_identify(name, &identity);
    if (identity.text[0] == '\0' || verdict_is_off())
        return;
    (void)verdict_find(identity.text, &verdict);
    device->disabled_families = verdict.left_out;
    if (!verdict.is_complete && identity.is_cuda && strcmp(device->instruction_set, "sm_90") == 0)
        device->disabled_families |= families_of_hopper();
}

static adele_status open_by_name(const char *name, enum adele_precision precision,
                                 struct adele_device **out) {
    const struct provided *own = name[0] != '\0' ? find_provided(name) : NULL;
    *out = NULL;
    if (own != NULL)
        return own->open(precision, out);
    if (strcmp(name, "auto") == 0)
        return has_cuda() ? open_cuda("cuda", precision, out) : cpu_device_create(precision, out);
    if (strcmp(name, "cpu") == 0)
        return cpu_device_create(precision, out);
    if (strcmp(name, "cpu/direct") == 0)
        return cpu_device_create_direct(precision, out);
    if (is_cuda(name))
        return open_cuda(name, precision, out);
    return FAIL(ADELE_INVALID_ARGUMENT, KNOWN_DEVICES, "unknown device \"%s\"", name);
}

adele_status adele_device_open(const char *name, enum adele_precision precision,
                               struct adele_device **out) {
    TRY(open_by_name(name, precision, out));
    disable_faulty(name, *out);
    return ADELE_OK;
}

void adele_device_close(struct adele_device *device) {
    if (device != NULL)
        device->iface->destroy(device);
}
