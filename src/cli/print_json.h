// SPDX-License-Identifier: MIT
#ifndef ADELE_CLI_PRINT_JSON_H
#define ADELE_CLI_PRINT_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

// Prints the value to standard output and deletes it; returns the exit code. `is_whole` is false
// where memory was out when the value was made: then the error is printed.
int print_json(cJSON *value, bool is_whole);
// Adds the item to the array, or deletes it: false when memory is out.
bool print_json_append(cJSON *array, cJSON *item);
// A new object in the array. NULL when memory is out; what is added to that fails, too.
cJSON *print_json_object(cJSON *array);
#endif
