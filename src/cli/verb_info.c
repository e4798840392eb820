// SPDX-License-Identifier: MIT
#include "cli/cli.h"
#include "device/families.h"
#include "device/verdict.h"
#include "run/provenance.h"

#include <argp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void print_device(const char *name, const struct adele_device *device) {
    struct provenance made_by;
    provenance_of(device, &made_by);
    // A description begins with the name of the device.
    const char *rest = strncmp(device->description, name, strlen(name)) == 0 ? "" : ": ";
    printf("device %s%s%s\n", *rest != '\0' ? name : "", rest, device->description);
    for (int row = PROVENANCE_ENGINE; row < PROVENANCE_COUNT; row++) {
        printf("  %-16s %s", provenance_row_name((enum provenance_row)row), made_by.rows[row]);
        const char *best = device->best_instruction_set;
        if (row == PROVENANCE_INSTRUCTION_SET && strcmp(best, made_by.rows[row]) == 0)
            printf(" (the best that this processor has)");
        else if (row == PROVENANCE_INSTRUCTION_SET && best[0] != '\0')
            printf(" (this processor has %s)", best);
        printf("\n");
    }
    if (device->missing[0] != '\0')
        printf("  %-16s %s\n", "not found", device->missing);
    size_t free_bytes = device->iface->free_bytes(device);
    if (free_bytes != SIZE_MAX)
        printf("  %-16s %zu MB free\n", "memory", free_bytes / 1000000);
    printf("  %-16s %s\n", "what repeats", device->repeats);
}

static void print_verdict(const char *name, const struct adele_device *device) {
    struct device_identity identity;
    struct verdict verdict;
    char left_out[1200];
    device_identify(name, &identity);
    if (identity.text[0] == '\0')
        return;
    if (!verdict_find(identity.text, &verdict)) {
        printf("  %-16s has not run on this device and build yet\n", "self-test");
        return;
    }
    families_print(verdict.left_out, left_out, sizeof left_out);
    const char *part = verdict.is_complete ? "" : " (not at its end yet)";
    const char *heeds = device->disabled_families == verdict.left_out ? "" : ", not heeded now";
    if (verdict.left_out == 0)
        printf("  %-16s no kernels are left out%s\n", "self-test", part);
    else
        printf("  %-16s leaves out faulty kernels%s: %s%s\n", "self-test", part, left_out, heeds);
}

static const struct argp_option options[] = {
    {"device", 'd', "NAME", 0, "Of this device alone, cuda:1 for instance (default: cpu and cuda)",
     0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    const char **device = state->input;
    switch (key) {
    case 'd':
        *device = value;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp info_argp = {
    options, parse,
    0,       "Version, build and devices, and what has to be the same for the same results.",
    0,       0,
    0};

static bool print_named(const char *name) {
    struct adele_device *device = NULL;
    if (adele_device_open(name, ADELE_PRECISION_FP32, &device) == ADELE_OK) {
        print_device(name, device);
        print_verdict(name, device);
        adele_device_close(device);
        return true;
    }
    printf("device %s: %s\n", name, adele_error_message());
    if (adele_error_hint()[0] != '\0')
        printf("  hint: %s\n", adele_error_hint());
    return false;
}

int verb_info(int argc, char **argv) {
    const char *device = NULL;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&info_argp, argc, argv, 0, 0, &device);
    printf("adele %s\ncompiler: %s\n", ADELE_VERSION, provenance_compiler());
    // A machine without a GPU is not at fault; without the CPU device, or the one asked for, it is.
    bool is_fine = print_named(device != NULL ? device : "cpu");
    if (device == NULL)
        (void)print_named("cuda");
    return is_fine ? CLI_OK : CLI_FAILED;
}
