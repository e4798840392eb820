// SPDX-License-Identifier: MIT
#include "base/buffer.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256 // a metrics line is a few kilobytes: four doublings

void buffer_deinit(struct buffer *buffer) {
    memory_free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer) {
    buffer->n_bytes = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

adele_status buffer_add(struct buffer *buffer, const void *data, size_t n_bytes) {
    if (n_bytes > SIZE_MAX / 4 - buffer->n_bytes)
        return FAIL(ADELE_NO_MEMORY, "Close other programs.", "cannot allocate %zu bytes", n_bytes);
    size_t needed = buffer->n_bytes + n_bytes + 1;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity != 0 ? buffer->capacity : FIRST_CAPACITY;
        while (capacity < needed)
            capacity *= 2;
        char *grown = memory_realloc(buffer->data, capacity, 1);
        TRY(CHECK_MEMORY(grown));
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    if (n_bytes > 0)
        memcpy(buffer->data + buffer->n_bytes, data, n_bytes);
    buffer->n_bytes += n_bytes;
    buffer->data[buffer->n_bytes] = '\0';
    return ADELE_OK;
}

adele_status buffer_text(struct buffer *buffer, const char *text) {
    return buffer_add(buffer, text, strlen(text));
}

adele_status buffer_printf(struct buffer *buffer, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "cannot format \"%s\"", format);
    if ((size_t)n < sizeof text)
        return buffer_add(buffer, text, (size_t)n);
    OWNED char *longer = NULL;
    TRY(ALLOCATE(&longer, (size_t)n + 1));
    va_start(arguments, format);
    (void)vsnprintf(longer, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return buffer_add(buffer, longer, (size_t)n);
}

// A program that embeds the library may run in a locale with a decimal comma.
static adele_status add_number(struct buffer *buffer, char *text) {
    char *comma = strchr(text, ',');
    if (comma != NULL)
        *comma = '.';
    return buffer_text(buffer, text);
}

adele_status buffer_number(struct buffer *buffer, double value, const char *otherwise) {
    if (!isfinite(value))
        return buffer_text(buffer, otherwise);
    char text[40];
    for (int n_digits = 15; n_digits <= 17; n_digits++) {
        (void)snprintf(text, sizeof text, "%.*g", n_digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return add_number(buffer, text);
}

adele_status buffer_fixed(struct buffer *buffer, double value, int n_decimals) {
    char text[512]; // a double has up to 309 digits before the point
    (void)snprintf(text, sizeof text, "%.*f", n_decimals, value);
    return add_number(buffer, text);
}

adele_status buffer_json_string(struct buffer *buffer, const char *text) {
    TRY(buffer_text(buffer, "\""));
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            TRY(buffer_printf(buffer, "\\%c", *c));
        else if ((unsigned char)*c < 0x20)
            TRY(buffer_printf(buffer, "\\u%04x", (unsigned)*c));
        else
            TRY(buffer_add(buffer, c, 1));
    }
    return buffer_text(buffer, "\"");
}

adele_status buffer_csv_field(struct buffer *buffer, const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL)
        return buffer_text(buffer, text);
    TRY(buffer_text(buffer, "\""));
    for (const char *c = text; *c != '\0'; c++)
        TRY(buffer_text(buffer, *c == '"' ? "\"\"" : (char[]){*c, '\0'}));
    return buffer_text(buffer, "\"");
}

adele_status buffer_save(const struct buffer *buffer, const char *folder, const char *name) {
    OWNED char *path = file_join(folder, name);
    TRY(CHECK_MEMORY(path));
    return file_write(path, buffer->data, buffer->n_bytes);
}
