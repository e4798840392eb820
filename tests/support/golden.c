// SPDX-License-Identifier: MIT
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void golden_path_in(const char *default_folder, const char *file, char *out, size_t out_bytes) {
    const char *folder = getenv("ADELE_GOLDEN_DIR");
    if (folder == NULL || folder[0] == '\0')
        folder = default_folder;
    int n = snprintf(out, out_bytes, "%s/%s", folder, file);
    if (n < 0 || (size_t)n >= out_bytes)
        fail_msg("the path of golden file %s is too long", file);
}

struct safetensors *golden_open_in(const char *default_folder, const char *file) {
    char path[4096];
    struct safetensors *opened = NULL;
    golden_path_in(default_folder, file, path, sizeof path);
    if (safetensors_open(path, &opened) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return opened;
}

const struct safetensors_entry *golden_entry(const struct safetensors *file, const char *name) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (entry == NULL)
        fail_msg("the golden file has no array \"%s\"", name);
    return entry;
}

float *golden_f32(const struct safetensors *file, const char *name, int64_t *n_elements) {
    const struct safetensors_entry *entry = golden_entry(file, name);
    float *values = malloc((size_t)entry->n_elements * sizeof *values + 1);
    assert_non_null(values);
    if (safetensors_read_f32(file, name, entry->n_elements, values) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    if (n_elements != NULL)
        *n_elements = entry->n_elements;
    return values;
}

uint8_t *golden_u8(const struct safetensors *file, const char *name, int64_t *n_elements) {
    const struct safetensors_entry *entry = golden_entry(file, name);
    if (entry->dtype != SAFETENSORS_U8)
        fail_msg("the golden array \"%s\" is not of bytes", name);
    uint8_t *values = malloc(entry->bytes + 1);
    assert_non_null(values);
    memcpy(values, entry->data, entry->bytes);
    if (n_elements != NULL)
        *n_elements = entry->n_elements;
    return values;
}

const char *golden_text(const struct safetensors *file, const char *key) {
    const char *text = safetensors_metadata(file, key);
    if (text == NULL)
        fail_msg("the golden file has no scalar \"%s\"", key);
    return text;
}

double golden_number(const struct safetensors *file, const char *key) {
    const char *text = golden_text(file, key);
    if (strcmp(text, "True") == 0)
        return 1.0;
    if (strcmp(text, "False") == 0)
        return 0.0;
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0')
        fail_msg("the golden scalar \"%s\" is no number: %s", key, text);
    return value;
}

int golden_numbers(const struct safetensors *file, const char *key, int capacity, double *out) {
    const char *text = golden_text(file, key);
    int n = 0;
    for (text += strspn(text, "[], "); *text != '\0'; text += strspn(text, "[], ")) {
        char *end = NULL;
        double value = strtod(text, &end);
        if (end == text || n == capacity)
            fail_msg("the golden list \"%s\" is not up to %d numbers", key, capacity);
        out[n++] = value;
        text = end;
    }
    return n;
}
