// SPDX-License-Identifier: MIT
#ifndef ADELE_CLI_PRINT_JSON_H
#define ADELE_CLI_PRINT_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

// Prints the value to standard output and deletes it; returns the exit code. `is_whole` is false
// where memory was out when the value was made: then the error is printed.
int print_json(cJSON *value, bool is_whole);
#endif
