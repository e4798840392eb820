// SPDX-License-Identifier: MIT
// The gate of the method ensemble: whether the ensemble may rewrite the labels of a class (METHOD
// section 7). It needs no truth. It compares the labels with the ensemble's two decisions: `plain`,
// the most probable class of each pixel, and `decided`, by area, which would be the new labels.
//
// A network that learns clean labels makes mistakes of its own, too, so that a difference alone
// says nothing. But its mistakes lie on both sides of a contour, image by image, and they are about
// as large as the difference between its two decisions.
#ifndef ADELE_CORRECTION_GATE_H
#define ADELE_CORRECTION_GATE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The thresholds. They are shares, so that they hold for images and objects of any size.
#define GATE_KNOWN     0.55
#define GATE_ONE_SIDED 0.85
#define GATE_DEVIATION 0.1
#define GATE_MARGIN    0.2

// The fixed-point unit of the probabilities' sums: integers have the same sum in any order.
#define GATE_UNIT (1 << 20)
// A probability in that unit; what is not finite counts as 0, as in the guided filter.
static inline int64_t gate_mass(float q) {
    return isfinite(q) ? llroundf(q * (float)GATE_UNIT) : 0;
}

// Of a class: sums over the images whose labels contain it, since only those are rewritten to it.
// Pixels labelled 255 are left out, except from the probabilities.
struct gate_counts {
    int64_t labelled, plain, decided;      // pixels that have the class in each map
    int64_t plain_labelled, plain_decided; // in both
    int64_t deviation;                     // of gate_deviation
    int64_t mass, sure_mass; // the sum of its probabilities, and of those above one half; GATE_UNIT
};

// Of one image: how far its area in the labels is from that in the plain decision, in pixels, after
// the decision's areas are scaled so that their sum over all images is that of the labels. `total`
// has the sums `labelled` and `plain`. 0 where the plain decision has no pixel of the class.
int64_t gate_deviation(const struct gate_counts *total, int64_t labelled, int64_t plain);

struct gate_result {
    // The share of the class's probability that lies at pixels where it is above one half. Below
    // GATE_KNOWN the class is not learned, and its decision is no better than the labels.
    double known;
    // The deviation as a share of the labelled area, and as a share of the pixels in which the
    // plain decision and the labels differ, at most 1: 1 where within each image all of them lie on
    // one side, because the whole contour was drawn too large or too small there.
    double deviation, one_sided;
    // IoU of the plain decision with the decision by area, and with the labels.
    double with_decided, with_labels;
    bool corrects;
};

// A class that no image's labels contain, or that the ensemble does not predict, is not corrected;
// shares without a denominator are NaN. takes_learned: every class that is learned is corrected,
// whether its labels are clearly wrong or not.
void gate_decide(const struct gate_counts *counts, bool takes_learned, struct gate_result *out);

// For people: why the labels may be rewritten or not, with what was measured and what is needed:
// "no label has the class", "the network has not learned the class: ...", "the labels are clearly
// wrong: ...", "the labels are not clearly wrong: ...". Cut off at `bytes`; GATE_TEXT are enough.
#define GATE_TEXT 700
void gate_explain(const struct gate_result *result, char *out, size_t bytes);
// Whether it is "not clearly wrong" that it says.
bool gate_looks_clean(const struct gate_result *result);
#endif
