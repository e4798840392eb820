// SPDX-License-Identifier: MIT
// Brings the mask of one category, for noise, to a size where it covers about 1,000 pixels, so that
// a step of one pixel means the same for organs and pictures of any size: METHOD section 6. The
// official program resamples 8-bit masks, so "> 0" after its cubic interpolation means more than
// half: one half itself rounds to the even 0.
#ifndef ADELE_NOISE_NOISE_WINDOW_H
#define ADELE_NOISE_NOISE_WINDOW_H

#include "adele/status.h"
#include <stdint.h>

#define NOISE_COVERED 0.5F

// The part of the plane that is processed, and its size after resizing.
struct noise_window {
    int top, left, height, width;
    int small_height, small_width;
};
// The whole plane resized by sqrt(1000 / area) or, if that is too large, the neighbourhood of the
// category as far as contours get in n_steps steps of a pixel.
void noise_window_choose(const uint8_t *labels, int height, int width, int category, int n_steps,
                         int64_t area, struct noise_window *out);

// Buffers of one category's work, freed together.
struct noise_work {
    float *large, *small; // of the window, before and after resizing
    uint8_t *mask;        // (small_height, small_width), 0 or 1
};
ADELE_MUST_CHECK adele_status noise_work_init(struct noise_work *work,
                                              const struct noise_window *window);
void noise_work_deinit(struct noise_work *work); // legal on a zeroed struct
// work->mask: where the category covers more than half of a pixel of the small size.
ADELE_MUST_CHECK adele_status noise_work_shrink(const uint8_t *labels, int width, int category,
                                                const struct noise_window *window,
                                                struct noise_work *work);
// work->large: the mask resized back; a pixel belongs to it above NOISE_COVERED.
ADELE_MUST_CHECK adele_status noise_work_enlarge(const struct noise_window *window,
                                                 struct noise_work *work);

// The official program's order of organs (1, 3, 4, 2), then the others. With n categories, i runs
// over 0 .. noise_order_count(n) - 1; values from n on do not exist and are passed over.
int noise_order_category(int i);
int noise_order_count(int n_categories);
#endif
