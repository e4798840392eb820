// SPDX-License-Identifier: MIT
// What `adele check` and `adele init` say of a data set first.
#ifndef ADELE_CLI_PRINT_FINGERPRINT_H
#define ADELE_CLI_PRINT_FINGERPRINT_H

#include "adele/data.h"
#include <cjson/cJSON.h>
#include <stdbool.h>

// Some lines to standard output; at most about 60, however large the data set is.
void print_fingerprint(const char *root, const struct adele_fingerprint *fingerprint);
// The same as the object "fingerprint" of `json`; false when memory is out.
bool print_fingerprint_add_json(cJSON *json, const struct adele_fingerprint *fingerprint);
#endif
