// SPDX-License-Identifier: MIT
// The spatial Gaussian of a CRF, on rows of pixels with n_lanes values each. A Gaussian of sigma s
// is one of s / sqrt 2 applied twice: the first brings the values to a grid with a point for every
// other pixel in x and y, the second brings them from there to the pixels. Both are separable; what
// the grid loses is 3e-5 of the kernel's peak where s is 3 and less where it is larger. Where s is
// smaller, or the kernel reaches over the whole image, the grid has a point for every pixel and the
// first Gaussian is the whole kernel.
#ifndef ADELE_CPU_CRF_GAUSSIAN_H
#define ADELE_CPU_CRF_GAUSSIAN_H

#include "device/crf_spatial.h"

#include <stddef.h>

struct crf_gaussian {
    int h, w;
    int step;                  // pixels from one point of the grid to the next: 1 or 2
    int margin;                // pixels from the first point of the grid to the first pixel
    int n_rows, n_columns;     // of the grid
    int reach;                 // in pixels, of each of the two Gaussians
    struct crf_spatial tables; // tap; row and column: 1 / root of the sums of the kernel
    // Taps at even and at odd distances; the one at distance 0 is halved, since all sums are of
    // pairs. With a step of 1 the even ones are all taps.
    int n_even, n_odd;
    float *even, *odd;
};

ADELE_MUST_CHECK adele_status crf_gaussian_init(const struct adele_crf_desc *desc,
                                                struct crf_gaussian *out);
void crf_gaussian_deinit(struct crf_gaussian *gaussian);

// Floats of a row of the grid, and of the lines that a thread needs.
size_t crf_gaussian_row_floats(const struct crf_gaussian *gaussian, int n_lanes);
size_t crf_gaussian_line_floats(const struct crf_gaussian *gaussian, int n_lanes);

struct crf_grid {
    int n_lanes;
    float *rows;  // (h, row floats): rows of the image with the columns of the grid
    float *grid;  // (n_rows, row floats)
    float *zeros; // (row floats)
};

// Row y of grid->rows from `src` (w, n_lanes). `lines` of this thread are 0 at first.
void crf_gaussian_gather(const struct crf_gaussian *gaussian, const struct crf_grid *grid,
                         const float *src, int y, float *lines);
// The grid from all rows.
void crf_gaussian_sum(const struct crf_gaussian *gaussian, const struct crf_grid *grid,
                      int n_threads);
// dst (w, n_lanes) = src + weight * row y of what the kernel makes of all rows.
void crf_gaussian_spread(const struct crf_gaussian *gaussian, const struct crf_grid *grid, int y,
                         float weight, const float *src, float *lines, float *dst);
#endif
