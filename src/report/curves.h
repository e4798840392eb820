// SPDX-License-Identifier: MIT
// What onset.json and metrics.jsonl say about one category, ready to be drawn.
#ifndef ADELE_REPORT_CURVES_H
#define ADELE_REPORT_CURVES_H

#include "onset/onset.h"
#include "report/run.h"

struct category_curve {
    const char *name; // borrowed from the run
    int n;
    double *epochs, *iou; // (n): where value i lies on the epoch axis, and the value
    bool has_fit;
    struct curve_fit fit;
    int n_fit;
    double *fit_epochs, *fit_iou; // (n_fit): the fit, sampled
    double fitted_onset;          // of the fit; NaN: not yet
    double onset_epoch;           // NaN: not yet
    bool is_corrected;            // onset_epoch is the first correction; else the onset of the fit
    double *corrected;            // (n_corrected): epochs whose end corrected the category
    int n_corrected;
    double *early_learning, *memorization; // by record of the run; NULL: not recorded
};

struct category_curves {
    int n;
    struct category_curve *items;
    bool has_diagnostics, has_fit;
};

// The categories of run->onset that have values, without a background that has no onset of its own.
// After an error, category_curves_deinit frees what was read.
ADELE_MUST_CHECK adele_status category_curves_load(const struct report_run *run,
                                                   struct category_curves *out);
void category_curves_deinit(struct category_curves *curves); // also zeroes it
#endif
