// SPDX-License-Identifier: MIT
#include "adele/adele.h"
#include "cli/arguments.h"
#include "cli/cli.h"

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void print_row(const char *name, const char *text) {
    printf("  %-16s %s\n", name, text);
}

static void print_instruction_set(const struct adele_device_info *device) {
    const char *best = device->best_instruction_set;
    printf("  %-16s %s", "instruction set", device->instruction_set);
    if (strcmp(best, device->instruction_set) == 0)
        printf(" (the best that this processor has)");
    else if (best[0] != '\0')
        printf(" (this processor has %s)", best);
    printf("\n");
}

static void print_device(const char *name, const struct adele_device_info *device) {
    // A description begins with the name of the device.
    const char *rest = strncmp(device->description, name, strlen(name)) == 0 ? "" : ": ";
    printf("device %s%s%s\n", *rest != '\0' ? name : "", rest, device->description);
    print_row("engine", device->engine);
    print_instruction_set(device);
    print_row("libraries", device->libraries);
    if (device->missing[0] != '\0')
        print_row("not found", device->missing);
    if (device->free_bytes != UINT64_MAX)
        printf("  %-16s %llu MB free\n", "memory",
               (unsigned long long)(device->free_bytes / 1000000));
    print_row("what repeats", device->repeats);
    if (device->selftest[0] != '\0')
        print_row("self-test", device->selftest);
}

static const struct argp_option options[] = {
    {"device", 'd', "cpu|cuda|cuda:N", 0,
     "Of this device alone, cuda:1 for instance (default: cpu and cuda)", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    const struct argument rows[] = {{'d', .text = state->input}, {ARGP_KEY_ARG}};
    return ARGUMENTS_STORE(rows, key, value, state);
}

const struct argp info_argp = {
    .options = options,
    .parser = parse,
    .doc = "Version, build and devices, and what has to be the same for the same results."};

static bool print_named(const char *name) {
    struct adele_device_info device;
    if (adele_device_describe(name, &device) == ADELE_OK) {
        print_device(name, &device);
        return true;
    }
    printf("device %s: %s\n", name, adele_error_message());
    if (adele_error_hint()[0] != '\0')
        printf("  hint: %s\n", adele_error_hint());
    return false;
}

int verb_info(int argc, char **argv) {
    const char *device = NULL;
    argp_parse(&info_argp, argc, argv, 0, 0, &device);
    printf("adele %s\ncompiler: %s\n", adele_version(), adele_compiler());
    bool has_mpi = adele_mpi_library()[0] != '\0';
    printf("several processes: %s\n", has_mpi ? adele_mpi_library() : "no, built without MPI");
    // No GPU is no failure; no CPU device is one, and so is the lack of the device that was named.
    bool is_fine = print_named(device != NULL ? device : "cpu");
    if (device == NULL)
        (void)print_named("cuda");
    return is_fine ? CLI_OK : CLI_FAILED;
}
