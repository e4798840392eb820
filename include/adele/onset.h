// SPDX-License-Identifier: MIT
// The epoch at which a network begins to memorize the errors of its labels, found in a series of
// IoU values of the training predictions (ADELE, sections 3.1 and 3.2).
#ifndef ADELE_ONSET_H
#define ADELE_ONSET_H

#include "adele/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct adele_onset {
    int is_known; // 0: not yet
    int epoch;    // correction starts at the end of the first epoch e with e - 1 >= epoch
    // f(t) = a (1 - exp(-t^b / c)), fitted. All 0 where nothing was fitted, because the series is
    // one that has no onset yet; where the fit did not converge, what it had reached (is_known is
    // 0 then).
    double a, b, c;
};
// The onset in a series of n training IoU values, one an epoch (the rule for SegTHOR), for a run of
// n_epochs and the threshold r of the relative change (the paper: 0.9). Series of fewer than three
// values, constant ones, and those with a value that is not finite have none yet.
void adele_find_onset(const double *iou, int n, int n_epochs, double r, struct adele_onset *out);

struct adele_onset_series {
    const char *name;     // of the class; NULL: none is given
    const char *pipeline; // "segthor" or "voc": the rule
    int n;                // values
    struct adele_onset onset;
};
struct adele_onset_list {
    int n;
    const struct adele_onset_series *series; // (n)
};
// The onsets of recorded series: `path` is the onset.json of a run, or a JSON array of objects with
// "pipeline", "iou" (values, oldest first) and, each optional, "name", "r", "n_epochs",
// "interval_iterations", "iterations_per_epoch", "smooth", "min_points", "while_rising". Destroy
// *out with adele_onset_list_destroy. Errors, which name the file: ADELE_IO, ADELE_FORMAT (no
// JSON), ADELE_DATA (series number and key), ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_onset_read(const char *path, struct adele_onset_list **out);
void adele_onset_list_destroy(struct adele_onset_list *list); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
