// SPDX-License-Identifier: MIT
#include "correction/gate.h"

#include <math.h>
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

void gate_decide(const struct gate_counts *counts, struct gate_result *out) {
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
    // Comparisons with NaN are false.
    bool is_drawn_one_sided = out->one_sided >= GATE_ONE_SIDED && out->deviation >= GATE_DEVIATION;
    bool is_far = out->with_decided - out->with_labels >= GATE_MARGIN;
    bool is_there = counts->labelled > 0 && counts->plain > 0;
    out->corrects = is_there && out->known >= GATE_KNOWN && (is_drawn_one_sided || is_far);
}
