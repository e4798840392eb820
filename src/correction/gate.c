// SPDX-License-Identifier: MIT
#include "correction/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : NAN;
}

int64_t gate_deviation(const struct gate_counts *total, int64_t labelled, int64_t plain) {
    if (total->plain == 0)
        return 0;
    double scaled = (double)plain * ((double)total->labelled / (double)total->plain);
    return llabs(llround(scaled) - labelled);
}

// Comparisons with NaN are false.
static bool is_learned(const struct gate_result *result) {
    return result->known >= GATE_KNOWN;
}

static bool is_one_sided(const struct gate_result *result) {
    return result->one_sided >= GATE_ONE_SIDED && result->deviation >= GATE_DEVIATION;
}

static bool is_far(const struct gate_result *result) {
    return result->with_decided - result->with_labels >= GATE_MARGIN;
}

void gate_decide(const struct gate_counts *counts, bool takes_learned, struct gate_result *out) {
    int64_t differing = counts->plain + counts->labelled - 2 * counts->plain_labelled;
    *out = (struct gate_result){
        .known = share(counts->sure_mass, counts->mass),
        .deviation = share(counts->deviation, counts->labelled),
        .one_sided = share(counts->deviation, differing),
        .with_decided =
            share(counts->plain_decided, counts->plain + counts->decided - counts->plain_decided),
        .with_labels = share(counts->plain_labelled,
                             counts->plain + counts->labelled - counts->plain_labelled)};
    // Rounded areas, or images that the plain decision leaves out, may make it more than all.
    if (out->one_sided > 1.0)
        out->one_sided = 1.0;
    bool is_there = counts->labelled > 0 && counts->plain > 0;
    out->corrects =
        is_there && is_learned(out) && (takes_learned || is_one_sided(out) || is_far(out));
}

// ---- words --------------------------------------------------------------------------------------

bool gate_looks_clean(const struct gate_result *result) {
    return isfinite(result->with_labels) && is_learned(result) && !is_one_sided(result) &&
           !is_far(result);
}

void gate_explain(const struct gate_result *result, char *out, size_t bytes) {
    bool is_wrong = is_one_sided(result) || is_far(result);
    double margin = result->with_decided - result->with_labels;
    if (!isfinite(result->with_labels))
        (void)snprintf(out, bytes, "no label has the class");
    else if (!isfinite(result->known))
        (void)snprintf(out, bytes, "the network gives the class no probability");
    else if (!is_learned(result))
        (void)snprintf(out, bytes,
                       "the network has not learned the class: %.3f of its probability lies at "
                       "pixels where it is above one half, %.2f is needed",
                       result->known, GATE_KNOWN);
    else
        (void)snprintf(
            out, bytes,
            "%sthe labels are %sclearly wrong: they agree with the network's averaged "
            "prediction (IoU %.3f) by %.3f %s than its two decisions, by probability "
            "and by area, agree with each other (%.2f less is needed); areas deviate by %.3f "
            "(%.2f), and %.3f of the differing pixels lie on one side of the contour in "
            "their image (%.2f); labels are clearly wrong where the first, or both of "
            "the others, are reached",
            result->corrects && !is_wrong
                ? "the network has learned the class (correction.gate: learned), though "
                : "",
            is_wrong ? "" : "not ", result->with_labels, fabs(margin),
            margin < 0.0 ? "more" : "less", GATE_MARGIN, result->deviation, GATE_DEVIATION,
            result->one_sided, GATE_ONE_SIDED);
}
