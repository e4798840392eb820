// SPDX-License-Identifier: MIT
// Changed labels as runs: neighbouring pixels of an image that all became the same class. The form
// in which ranks send each other what they corrected.
#ifndef ADELE_CORRECTION_LABEL_RUNS_H
#define ADELE_CORRECTION_LABEL_RUNS_H

#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

struct label_run {
    uint32_t image;
    uint32_t first, count; // pixels of the image, row by row
    uint32_t label;        // their new class, or 255
};

// Ordered by image and first pixel. Zeroed: none. Free `runs` with memory_free.
struct label_runs {
    struct label_run *runs;
    size_t n;
};

// Adds the pixels of an image that differ in `after` from `before`, both (n_pixels).
ADELE_MUST_CHECK adele_status label_runs_add(struct label_runs *runs, int image,
                                             const uint8_t *before, const uint8_t *after,
                                             size_t n_pixels);

// What runs that arrive from a rank must keep to.
struct label_runs_limits {
    int n_images;
    size_t n_pixels; // of an image
    int n_categories;
    const int *owners; // (n_images): the rank that corrects the image
    int rank;          // that has sent the runs
};
// ADELE_FORMAT unless `bytes` are runs in their order, none of which overlap, of pixels and classes
// that exist, in images of that rank. `block` is aligned for runs.
ADELE_MUST_CHECK adele_status label_runs_check(const void *block, size_t bytes,
                                               const struct label_runs_limits *limits);

// How many of the n > 0 runs are of the same image as the first.
size_t label_runs_of_image(const struct label_run *runs, size_t n);
// Gives the pixels of an image (n_pixels) the labels of its runs, which have been checked.
void label_runs_apply(const struct label_run *runs, size_t n, uint8_t *labels);
#endif
