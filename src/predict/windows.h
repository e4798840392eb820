// SPDX-License-Identifier: MIT
// Where the windows of a sliding window lie along one axis of an image, and how much each of their
// pixels counts.
#ifndef ADELE_PREDICT_WINDOWS_H
#define ADELE_PREDICT_WINDOWS_H

#include "adele/status.h"

// Neighbours overlap by half of the window or more, and the first and the last one end with the
// image. A window that is larger than the image is the only one, and the image lies in its middle.
struct window_axis {
    int extent, window; // pixels of the image and of a window
    int n;
    int *start;    // (n): position of each window's first pixel in the image, ascending
    float *weight; // (window): a Gaussian around the middle, deviation window / 8
    float *sum;    // (extent): of the weights of all windows at that pixel
};

// ADELE_NO_MEMORY. After an error, window_axis_deinit frees what was made.
ADELE_MUST_CHECK adele_status window_axis_init(struct window_axis *out, int extent, int window);
void window_axis_deinit(struct window_axis *axis); // also zeroes it; legal on a zeroed struct
#endif
