// SPDX-License-Identifier: MIT
// cJSON with the error record of this library.
#ifndef ADELE_BASE_JSON_H
#define ADELE_BASE_JSON_H
#include "adele/status.h"
#include "base/memory.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
// Parses a file; ADELE_FORMAT names the file and the line. Free with cJSON_Delete.
ADELE_MUST_CHECK adele_status json_read(const char *path, cJSON **out);
// Pretty-prints into the file, atomically, with a final newline. ADELE_NO_MEMORY when `value` is
// NULL: memory was out when it was built.
ADELE_MUST_CHECK adele_status json_write(const char *path, const cJSON *value);
// The member as a number; NaN where it is none.
double json_number(const cJSON *object, const char *name);
// Whether the member is a whole number from 0 to max; *out is the number, NaN where it is none.
bool json_whole(const cJSON *object, const char *name, double max, double *out);
// Adds the item to the object or array, which owns it then. False when memory is out or `item` is
// NULL (memory was out when it was created); the item is freed then, so that calls can be chained
// by &&.
bool json_add(cJSON *object, const char *key, cJSON *item);
bool json_append(cJSON *array, cJSON *item);
OWNER(cJSON_Delete, cJSON)
OWNER(cJSON_free, char)
#endif
