// SPDX-License-Identifier: MIT
// Mean, median and the bootstrap interval of the mean over cases.
#ifndef ADELE_SCORES_SCORE_STATISTICS_H
#define ADELE_SCORES_SCORE_STATISTICS_H

#include "adele/status.h"

struct statistic {
    int n; // values that are not NaN; all that follows is NaN when there is none
    double mean, median;
    // The 95 % percentile bootstrap interval of the mean: the 2.5th and 97.5th percentile of the
    // means of 10,000 samples of n values, drawn with replacement by Philox with seed 0, so that
    // the same values have the same interval. NaN when n is below 2.
    double low, high;
};
// Of values[0 .. n - 1], where NaN is left out. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status statistic_compute(const double *values, int n, struct statistic *out);
#endif
