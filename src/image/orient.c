// SPDX-License-Identifier: MIT
// Turns and mirrors pictures according to the orientation of Exif and TIFF, as viewers do.
#include "base/fail.h"
#include "base/memory.h"
#include "image/codec.h"
#include <string.h>

// Orientations from 5 on exchange rows and columns.
static bool is_transposed(int orientation) {
    return orientation >= 5 && orientation <= 8;
}

void orient_extents(int orientation, int *width, int *height) {
    if (!is_transposed(orientation))
        return;
    int old_width = *width;
    *width = *height;
    *height = old_width;
}

adele_status orient_image(struct image *image, int orientation) {
    // Orientation 2: the stored columns run backwards, 4: the rows, 3: both; 5 to 8 the same of the
    // transposed picture (5: none, 6: the rows, 7: both, 8: the columns).
    bool is_column_back =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool is_row_back = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    if (orientation < 2 || orientation > 8)
        return ADELE_OK;
    size_t in_w = (size_t)image->width, in_h = (size_t)image->height;
    size_t pixel_bytes = (size_t)image->n_channels * ((size_t)image->n_bits / 8);
    int width = image->width, height = image->height;
    orient_extents(orientation, &width, &height);
    char *turned = memory_calloc(in_w * in_h, pixel_bytes), *to = turned;
    TRY(CHECK_MEMORY(turned));
    for (size_t y = 0; y < (size_t)height; y++)
        for (size_t x = 0; x < (size_t)width; x++, to += pixel_bytes) {
            size_t in_y = is_transposed(orientation) ? x : y;
            size_t in_x = is_transposed(orientation) ? y : x;
            in_y = is_row_back ? in_h - 1 - in_y : in_y;
            in_x = is_column_back ? in_w - 1 - in_x : in_x;
            memcpy(to, (const char *)image->pixels + (in_y * in_w + in_x) * pixel_bytes,
                   pixel_bytes);
        }
    memory_free(image->pixels);
    image->pixels = turned;
    image->width = width;
    image->height = height;
    image->orientation = orientation;
    image->notes |= IMAGE_NOTE_TURNED;
    return ADELE_OK;
}
