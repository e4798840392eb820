// SPDX-License-Identifier: MIT
#include "adele/device.h"

#include "base/fail.h"
#include "device/families.h"
#include "device/identity.h"
#include "device/verdict.h"
#include "run/provenance.h"

#include <stdio.h>
#include <string.h>

const char *adele_compiler(void) {
    return provenance_compiler();
}

static void describe_selftest(const char *name, const struct adele_device *device, char *out,
                              size_t bytes) {
    struct device_identity identity;
    struct verdict verdict;
    char left_out[1200];
    device_identify(name, &identity);
    if (identity.text[0] == '\0')
        return;
    if (!verdict_find(identity.text, &verdict)) {
        (void)snprintf(out, bytes, "has not run on this device and build yet");
        return;
    }
    families_print(verdict.left_out, left_out, sizeof left_out);
    const char *part = verdict.is_complete ? "" : " (not at its end yet)";
    const char *use = device->disabled_families == verdict.left_out ? "" : ", not applied now";
    if (verdict.left_out == 0)
        (void)snprintf(out, bytes, "no kernels are left out%s", part);
    else
        (void)snprintf(out, bytes, "leaves out faulty kernels%s: %s%s", part, left_out, use);
}

adele_status adele_device_describe(const char *name, struct adele_device_info *out) {
    struct adele_device *device = NULL;
    struct provenance made_by;
    memset(out, 0, sizeof *out);
    if (name == NULL)
        name = "auto";
    TRY(adele_device_open(name, ADELE_PRECISION_FP32, &device));
    provenance_of(device, &made_by);
    const struct {
        char *to;
        size_t bytes;
        const char *from;
    } texts[] = {
        {out->description, sizeof out->description, device->description},
        {out->engine, sizeof out->engine, made_by.rows[PROVENANCE_ENGINE]},
        {out->instruction_set, sizeof out->instruction_set,
         made_by.rows[PROVENANCE_INSTRUCTION_SET]},
        {out->best_instruction_set, sizeof out->best_instruction_set, device->best_instruction_set},
        {out->libraries, sizeof out->libraries, made_by.rows[PROVENANCE_LIBRARIES]},
        {out->missing, sizeof out->missing, device->missing},
        {out->repeats, sizeof out->repeats, device->repeats}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        (void)snprintf(texts[i].to, texts[i].bytes, "%s", texts[i].from);
    size_t free_bytes = device->iface->free_bytes(device);
    out->free_bytes = free_bytes == SIZE_MAX ? UINT64_MAX : free_bytes;
    describe_selftest(name, device, out->selftest, sizeof out->selftest);
    adele_device_close(device);
    return ADELE_OK;
}
