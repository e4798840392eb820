// SPDX-License-Identifier: MIT
#include "base/json.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

// cJSON needs some 64 bytes of memory for two bytes of text, so this limits it to 2 GiB; our own
// files are far smaller.
#define MAX_JSON_BYTES ((size_t)64 << 20)

adele_status json_read(const char *path, cJSON **out) {
    *out = NULL;
    char *text = NULL;
    size_t bytes = 0;
    TRY(file_read(path, MAX_JSON_BYTES, &text, &bytes));

    const char *end = text;
    cJSON *value = NULL;
    // cJSON stops at a NUL and would silently ignore the rest.
    const char *nul = memchr(text, '\0', bytes);
    if (nul != NULL)
        end = nul;
    else
        value = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, 1);
    if (value != NULL) {
        memory_free(text);
        *out = value;
        return ADELE_OK;
    }

    size_t line = 1;
    size_t column = 1;
    for (const char *c = text; c < end && c < text + bytes; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    memory_free(text);
    return FAIL(ADELE_FORMAT, "Correct the file at this line, or write it again.",
                "%s:%zu: not valid JSON (column %zu)", path, line, column);
}

double json_number(const cJSON *object, const char *name) {
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(node) ? node->valuedouble : NAN;
}

bool json_whole(const cJSON *object, const char *name, double max, double *out) {
    *out = json_number(object, name);
    return *out >= 0.0 && *out <= max && floor(*out) == *out;
}

bool json_add(cJSON *object, const char *key, cJSON *item) {
    if (item != NULL && cJSON_AddItemToObject(object, key, item))
        return true;
    cJSON_Delete(item);
    return false;
}

bool json_append(cJSON *array, cJSON *item) {
    if (item != NULL && cJSON_AddItemToArray(array, item))
        return true;
    cJSON_Delete(item);
    return false;
}

adele_status json_write(const char *path, const cJSON *value) {
    OWNED_BY(cJSON_free) char *text = value != NULL ? cJSON_Print(value) : NULL;
    TRY(CHECK_MEMORY(text));
    OWNED_BY(file_writer_abandon) struct file_writer *writer = NULL;
    TRY(file_writer_begin(path, &writer));
    TRY(file_writer_write(writer, text, strlen(text)));
    TRY(file_writer_write(writer, "\n", 1));
    return file_writer_commit(&writer);
}
