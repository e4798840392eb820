// SPDX-License-Identifier: MIT
#include "simt_plant.h"
#include "simt_internal.h"
#include "simt_libraries.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool leaves_out_first, never_ends;

static bool is_planted(const char *setting, const char *fault, const char *file,
                       const char *kernel) {
    size_t length = strlen(fault);
    if (strncmp(setting, fault, length) != 0 || setting[length] != ':')
        return false;
    const char *wanted_file = setting + length + 1, *colon = strchr(wanted_file, ':');
    const char *slash = strrchr(file, '/'), *base = slash != NULL ? slash + 1 : file;
    if (colon == NULL || strlen(base) != (size_t)(colon - wanted_file) ||
        strncmp(base, wanted_file, strlen(base)) != 0)
        return false;
    kernel += *kernel == '(';
    return strncmp(kernel, colon + 1, strlen(colon + 1)) == 0;
}

void simt_plant_launch(const char *file, const char *kernel) {
    const char *setting = getenv("ADELE_SIMT_PLANT");
    leaves_out_first = setting != NULL && is_planted(setting, "wrong", file, kernel);
    if (setting != NULL && is_planted(setting, "crash", file, kernel)) {
        (void)signal(SIGSEGV, SIG_DFL); // a sanitizer's own would take its time to tell of it
        (void)raise(SIGSEGV);
    }
    never_ends = never_ends || (setting != NULL && is_planted(setting, "hang", file, kernel));
}

// A launch comes back at once, whatever the kernel does; a wait for it does not.
void simt_plant_synchronize() {
    while (never_ends)
        (void)pause();
}

bool simt_plant_never_ends() {
    return never_ends;
}

bool simt_plant_ignores_pitches() {
    const char *setting = getenv("ADELE_SIMT_PLANT");
    return setting != NULL && is_planted(setting, "wrong", "tensor_map", "pitches");
}

bool simt_plant_leaves_out_first() {
    bool is_planted_here = leaves_out_first;
    leaves_out_first = false; // a launch that was not announced is not meant
    return is_planted_here;
}
