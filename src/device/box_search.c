// SPDX-License-Identifier: MIT
#include "device/box_search.h"

struct box_size box_search(const int64_t *of_width, const int64_t *of_height, int most_pixels,
                           int n, int h, int w) {
    struct box_size best = {0};
    int64_t least = INT64_MAX;
    for (int width = w < most_pixels ? w : most_pixels; width >= 1; width--)
        for (int height = 1; height <= h && height <= most_pixels / width; height++) {
            int images = most_pixels / (width * height);
            images = images < n ? images : n;
            int64_t cost = of_width[width] * of_height[height] * ((n + images - 1) / images);
            if (cost < least) {
                least = cost;
                best = (struct box_size){images, height, width};
            }
        }
    return best;
}
