// SPDX-License-Identifier: MIT
// Pictures that are read by rows, against the same pictures read whole.
#ifndef ADELE_TESTS_ROWS_H
#define ADELE_TESTS_ROWS_H

#include "image/image.h"

// Fails the running CMocka test unless the file's rows, in bands of 1, 2, 3 ... of them, are those
// of `whole`; or, with is_by_rows false, unless the file is left to image_load.
void rows_assert(const char *path, const struct image *whole, bool is_by_rows);
#endif
