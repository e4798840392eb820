// SPDX-License-Identifier: MIT
#include "support/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void rows_assert(const char *path, const struct image *whole, bool is_by_rows) {
    struct image_rows *rows = NULL;
    if (image_rows_open(path, &rows) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    assert_int_equal(rows != NULL, is_by_rows);
    if (rows == NULL)
        return;
    const struct image *header = image_rows_describe(rows);
    assert_true(header->width == whole->width && header->height == whole->height);
    assert_true(header->n_channels == whole->n_channels && header->n_bits == whole->n_bits);
    assert_int_equal(header->notes, whole->notes);
    size_t row_bytes = image_row_bytes(header);
    char *band = malloc((size_t)header->height * row_bytes);
    assert_non_null(band);
    for (int y = 0, n = 1; y < header->height; y += n, n++) {
        if (n > header->height - y)
            n = header->height - y;
        if (image_rows_read(rows, n, band) != ADELE_OK)
            fail_msg("%s", adele_error_message());
        assert_memory_equal(band, (const char *)whole->pixels + (size_t)y * row_bytes,
                            (size_t)n * row_bytes);
    }
    assert_int_equal(image_rows_read(rows, 1, band), ADELE_INVALID_ARGUMENT);
    free(band);
    image_rows_close(rows);
}
