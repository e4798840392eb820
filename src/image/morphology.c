// SPDX-License-Identifier: MIT
// Erosion and dilation of binary masks by a 3 x 3 square.
//
// n passes of a 3 x 3 square are one pass of a square of 2 n + 1, and that is a row pass followed
// by a column pass. In a pass, a pixel is cleared (eroded) when a zero lies within n, or set
// (dilated) when a non-zero lies within n; both come from the distance to the last such pixel, once
// from each side, so the cost does not depend on n. Only the part that can change is processed: the
// non-zero area with a margin. Complexity O(height * width).
#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"

#include <string.h>

struct part {
    int top, left, bottom, right; // the last two are outside
};

// One line of `n` pixels, `stride` apart. Pixels within `radius` of one whose truth value is
// `spreading` become `spreading` themselves. `copy` holds n bytes of work space.
static void spread_line(uint8_t *line, size_t stride, int n, int radius, bool spreading,
                        uint8_t *copy) {
    for (int i = 0; i < n; ++i)
        copy[i] = line[(size_t)i * stride];
    int64_t last = -(int64_t)radius - 1; // farther than the radius from every pixel
    uint8_t value = 0;
    for (int i = 0; i < n; ++i) {
        if ((copy[i] != 0) == spreading) {
            last = i;
            value = copy[i];
        } else if (i - last <= radius) {
            line[(size_t)i * stride] = value;
        }
    }
    last = (int64_t)n + radius;
    for (int i = n - 1; i >= 0; --i) {
        if ((copy[i] != 0) == spreading) {
            last = i;
            value = copy[i];
        } else if (last - i <= radius) {
            line[(size_t)i * stride] = value;
        }
    }
}

static bool is_empty(const uint8_t *row, int n) {
    return row[0] == 0 && memcmp(row, row + 1, (size_t)n - 1) == 0;
}

// The bounding box of the non-zero pixels with `margin` pixels around it; empty when there are
// none.
static struct part find_part(const uint8_t *mask, int height, int width, int margin) {
    struct part part = {height, width, 0, 0};
    for (int y = 0; y < height; y++) {
        const uint8_t *row = mask + (size_t)y * (size_t)width;
        if (is_empty(row, width))
            continue;
        int first = 0, last = width - 1;
        while (row[first] == 0)
            first++;
        while (row[last] == 0)
            last--;
        part.top = y < part.top ? y : part.top;
        part.bottom = y + 1;
        part.left = first < part.left ? first : part.left;
        part.right = last + 1 > part.right ? last + 1 : part.right;
    }
    part.top = part.top > margin ? part.top - margin : 0;
    part.left = part.left > margin ? part.left - margin : 0;
    part.bottom = height - part.bottom > margin ? part.bottom + margin : height;
    part.right = width - part.right > margin ? part.right + margin : width;
    return part;
}

static adele_status spread(uint8_t *mask, int height, int width, int n_iterations, bool spreading) {
    if (height < 1 || width < 1 || n_iterations < 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "morphology of a %d x %d mask, %d iterations",
                    width, height, n_iterations);
    if (n_iterations == 0)
        return ADELE_OK;
    size_t longest = (size_t)(height > width ? height : width);
    OWNED uint8_t *copy = NULL;
    TRY(ALLOCATE(&copy, longest));
    // An erosion changes nothing outside of this part, and the zeros at its border erode it.
    struct part part = find_part(mask, height, width, spreading ? n_iterations : 1);
    for (int y = part.top; y < part.bottom; ++y)
        spread_line(mask + (size_t)y * (size_t)width + part.left, 1, part.right - part.left,
                    n_iterations, spreading, copy);
    for (int x = part.left; x < part.right; ++x)
        spread_line(mask + (size_t)part.top * (size_t)width + x, (size_t)width,
                    part.bottom - part.top, n_iterations, spreading, copy);
    return ADELE_OK;
}

adele_status morphology_erode(uint8_t *mask, int height, int width, int n_iterations) {
    return spread(mask, height, width, n_iterations, false);
}

adele_status morphology_dilate(uint8_t *mask, int height, int width, int n_iterations) {
    return spread(mask, height, width, n_iterations, true);
}
