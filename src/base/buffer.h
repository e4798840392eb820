// SPDX-License-Identifier: MIT
// Bytes that grow: what a file or a line is made of before it is written.
#ifndef ADELE_BASE_BUFFER_H
#define ADELE_BASE_BUFFER_H

#include "adele/status.h"
#include <stddef.h>

struct buffer { // zeroed = empty
    char *data; // NUL-terminated beyond n_bytes once anything was added, else NULL
    size_t n_bytes, capacity;
};

void buffer_deinit(struct buffer *buffer); // also zeroes it
void buffer_clear(struct buffer *buffer);  // empties it and keeps the storage
ADELE_MUST_CHECK adele_status buffer_add(struct buffer *buffer, const void *data, size_t n_bytes);
ADELE_MUST_CHECK adele_status buffer_text(struct buffer *buffer, const char *text);
ADELE_MUST_CHECK adele_status buffer_printf(struct buffer *buffer, const char *format, ...)
    ADELE_PRINTF(2, 3);
// The shortest decimal text that reads back as the same double, with a point in every locale;
// `otherwise` when the value is not finite.
ADELE_MUST_CHECK adele_status buffer_number(struct buffer *buffer, double value,
                                            const char *otherwise);
// With that many decimals, and a point in every locale.
ADELE_MUST_CHECK adele_status buffer_fixed(struct buffer *buffer, double value, int n_decimals);
// With quotes and escapes.
ADELE_MUST_CHECK adele_status buffer_json_string(struct buffer *buffer, const char *text);
// Quoted only where CSV requires it.
ADELE_MUST_CHECK adele_status buffer_csv_field(struct buffer *buffer, const char *text);
// The file FOLDER/NAME, whole or not at all.
ADELE_MUST_CHECK adele_status buffer_save(const struct buffer *buffer, const char *folder,
                                          const char *name);
#endif
