// SPDX-License-Identifier: MIT
// The file of `adele onset`: through the verb, whose answers go nowhere.
#include "cli/cli.h"
#include "fuzz.h"

#include <stdio.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    FUZZ_REQUIRE(freopen("/dev/null", "w", stdout) != NULL);
    return 0;
}

// The program prints the failure here.
int cli_report_failure(adele_status status) {
    fuzz_check_status(status);
    return CLI_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    char name[] = "adele onset", json[] = "--json", path[64];
    snprintf(path, sizeof path, "%s", fuzz_file(0, data, n_bytes));
    char *table[] = {name, path, NULL}, *array[] = {name, json, path, NULL};
    int code = verb_onset(2, table);
    FUZZ_REQUIRE(code == CLI_OK || code == CLI_FAILED);
    FUZZ_REQUIRE(verb_onset(3, array) == code);
    return 0;
}
