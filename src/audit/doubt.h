// SPDX-License-Identifier: MIT
// How doubtful the label map of one image is, given the probabilities that a network predicts for
// it: a score for the image and each class, and the connected regions that it would label
// otherwise. h, w: height and width in pixels; K: classes, with the background. Pixels labelled
// 255 count nowhere.
#ifndef ADELE_AUDIT_DOUBT_H
#define ADELE_AUDIT_DOUBT_H

#include "adele/status.h"
#include <stdbool.h>
#include <stdint.h>

#define DOUBT_MAX_CATEGORIES 256

// Everything is borrowed.
struct doubt_image {
    int n_categories, h, w;
    const uint8_t *labels;      // (h, w): below n_categories, or 255
    const float *probabilities; // (K, h, w)
};

// Of class c in an image.
struct doubt_overlap {
    double inside, outside; // sums of q_c (below) over the pixels with the label c and with another
    int64_t n_labelled;     // pixels with the label c
    int64_t n_predicted;
};

// The score of class c is the IoU that its label is expected to have,
//     inside / union     inside: sum of q_c over the pixels labelled c
//                        union: number of these pixels + sum of q_c over the others
// for each class that is labelled or predicted somewhere in the image. q_c is the mean of the
// probability of c and of 1 where c is predicted (else 0): unsure networks rank better by their
// predictions, sure ones by their probabilities.
//
// A bias b of class c (audit_bias.h) is removed from these sums first: Q, the sum of q_c over all
// pixels that count, becomes Q / b. Of b > 1, the excess is taken from outside of the label first,
// and the rest from inside of it. Of b < 1, what is missing is added inside of the label first, as
// far as it has pixels, and the rest outside. A network that draws contours a little too far out
// then scores a label that is too large like one that is too small.
//
// The score of the image pools the classes but the background: sum of inside / sum of union. A
// thousandth of the image's pixels is added to both, or else a single pixel in an image without
// foreground would be the most doubtful of all. bench/cleanlab_peer.py compares with other scores.
struct doubt_score {
    double score; // 0 .. 1, low = doubtful; the background's where it is the only class; 1 without
                  // a pixel that counts
    int worst_class;    // with the lowest score among the classes that are pooled; -1: none
    double worst_score; // 1 when there is none
    int64_t n_pixels;   // that count
    double of_class[DOUBT_MAX_CATEGORIES];              // NaN: neither labelled nor predicted
    struct doubt_overlap overlap[DOUBT_MAX_CATEGORIES]; // no bias removed
};
// Fills the scores from `overlap` and `n_pixels`. bias: of each class; NULL: none.
void doubt_pool(struct doubt_score *score, int n_categories, const double *bias);

// Maps and memory of one image after another; zero-initialized.
struct doubt {
    uint8_t *prediction;  // (h, w): the class with the highest probability
    uint8_t *is_doubtful; // (h, w): 1 in the regions that doubt_find_regions has found
    int32_t *queue;       // pixels of a region, in the order in which they are found
    int64_t capacity;     // pixels
};
void doubt_deinit(struct doubt *doubt); // also zeroes it

// Fills doubt->prediction and *out. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status doubt_score(struct doubt *doubt, const struct doubt_image *image,
                                          struct doubt_score *out);

// Pixels with one label and one other prediction that touch, also at corners.
struct doubt_region {
    int x, y, width, height; // of the bounding box
    uint8_t from, to;        // label, prediction
    int64_t n_pixels;
    double confidence; // mean probability of `to`
    double doubt;      // sum of the probability of `to` minus that of `from`
};
// Which regions count.
struct doubt_limits {
    double confidence; // at least
    int64_t n_pixels;  // at least
};
// After doubt_score of the same image: calls `found` for each region within the limits, by its
// first pixel in reading order, and fills doubt->is_doubtful.
ADELE_MUST_CHECK adele_status doubt_find_regions(
    struct doubt *doubt, const struct doubt_image *image, const struct doubt_limits *limits,
    adele_status (*found)(void *context, const struct doubt_region *), void *context);
#endif
