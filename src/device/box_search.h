// SPDX-License-Identifier: MIT
// The box of pixels that cuts a map into tiles of the least cost.
#ifndef ADELE_DEVICE_BOX_SEARCH_H
#define ADELE_DEVICE_BOX_SEARCH_H

#include <stdint.h>

struct box_size {
    int n, h, w; // images, rows, columns
};

// Of boxes of at most `most_pixels` in n images of h x w: the one with the least cost, and of equal
// ones the widest, whose rows are the longest runs of memory. of_width[i] and of_height[i]: cost of
// an axis that is cut into pieces of i = 1 .. most_pixels; a cut costs their product for each box
// of images.
struct box_size box_search(const int64_t *of_width, const int64_t *of_height, int most_pixels,
                           int n, int h, int w);
#endif
