// SPDX-License-Identifier: MIT
#include "cli/cli.h"
#include "device/device.h"
#include "train/provenance.h"

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

const struct argp info_argp = {
    0, 0, 0, "Version, build and devices, and what has to be the same for the same results.",
    0, 0, 0};

int verb_info(int argc, char **argv) {
    static const char *const names[] = {"cpu", "cuda"};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&info_argp, argc, argv, 0, 0, 0);
    int code = CLI_OK;
    printf("adele %s\ncompiler: %s\n", ADELE_VERSION, provenance_compiler());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct adele_device *device = NULL;
        if (adele_device_open(names[i], ADELE_PRECISION_FP32, &device) == ADELE_OK) {
            print_device(names[i], device);
        } else {
            printf("device %s: %s\n", names[i], adele_error_message());
            if (adele_error_hint()[0] != '\0')
                printf("  hint: %s\n", adele_error_hint());
            // A machine without a GPU is not at fault; without the CPU device nothing runs.
            code = strcmp(names[i], "cpu") == 0 ? CLI_FAILED : code;
        }
        adele_device_close(device);
    }
    return code;
}
