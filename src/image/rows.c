// SPDX-License-Identifier: MIT
// Pictures that are read row by row: which codec reads a file, and how far it has come.
#include "base/fail.h"
#include "image/codec.h"

adele_status image_rows_open(const char *path, struct image_rows **out) {
    const struct image_codec *codec;
    *out = NULL;
    TRY(image_find_codec(path, &codec));
    return codec->rows != NULL ? codec->rows(path, out) : ADELE_OK;
}

void image_rows_close(struct image_rows *rows) {
    if (rows != NULL)
        rows->close(rows);
}

const struct image *image_rows_describe(const struct image_rows *rows) {
    return &rows->header;
}

adele_status image_rows_read(struct image_rows *rows, int n_rows, void *out) {
    if (n_rows < 0 || n_rows > rows->header.height - rows->n_read)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%d rows after %d of %d", n_rows, rows->n_read,
                    rows->header.height);
    TRY(rows->read(rows, n_rows, out));
    rows->n_read += n_rows;
    return ADELE_OK;
}
