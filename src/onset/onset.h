// SPDX-License-Identifier: MIT
// When a category starts to be memorized: METHOD section 2 (the paper's section 3.1 and 3.2).
#ifndef ADELE_ONSET_ONSET_H
#define ADELE_ONSET_ONSET_H

#include "adele/status.h"
#include <stdbool.h>

enum onset_pipeline { ONSET_SEGTHOR, ONSET_VOC };

// f(t) = a (1 - exp(-t^b / c)), 0 <= a <= 1, 0 <= b <= 1, c >= 0: the parameters of the official
// program.
struct curve_fit {
    double a, b, c;
    double residual; // weighted sum of squares
    int n_iterations;
    bool converged;
};

struct curve_point {
    double t, y;
};
// Point i of those that are fitted; `context` is the caller's.
typedef struct curve_point (*curve_point_at)(const void *context, int i);

// Bounded weighted least squares from (1, 1, 1) over points 0 .. n - 1, sigma_i = geomspace(1, 0.1,
// n)[i]. curve_fit.c. converged is false if n < 1, or if a t or a y is not finite or a t negative.
// Fewer than three points are fitted too, because the official program does so after it has cut the
// flat start: one point leaves the fit at its start, and the onset that follows lies beyond the
// present epoch. Deterministic; no heap.
void curve_fit_solve(int n, curve_point_at point_at, const void *context, struct curve_fit *out);
double curve_fit_value(const struct curve_fit *fit, double t);
double curve_fit_derivative(const struct curve_fit *fit,
                            double t); // at t + 1e-6, as in the official program

struct onset_config {
    enum onset_pipeline pipeline;
    double r;                    // 0.9
    int n_epochs;                // SegTHOR: relative change is evaluated at t = 1 .. n_epochs - 1
    double iterations_per_epoch; // VOC
    int interval_iterations;     // VOC: iterations between two IoU values, 100
    int min_points;              // no onset before the series has this many values; official: 3
    bool while_rising; // official: true. false: no onset while the last value is well above those
                       // before it
    int smooth;        // number of values in the centred moving average before the fit; 1 = off
};

struct onset_result {
    bool known;    // false: "not yet" (short, constant or unfittable series)
    int epoch;     // first epoch at which the official program corrects (as in golden/onset.json)
    int n_dropped; // SegTHOR: length of the flat start that was cut
    double t0, dt; // abscissa of value i of the fitted part: t0 + i * dt (for plots)
    struct curve_fit fit;
};

// Fills the defaults of a pipeline: r 0.9, n_epochs 100 or 16, 10581/10 iterations, interval 100,
// smooth 1, min_points 3, while_rising true.
void onset_config_init(struct onset_config *out, enum onset_pipeline pipeline);

// The onset by the series of `n` IoU values known so far. It is not known for fewer than min_points
// values (3 at least), a constant series, a value that is not finite, a fit that does not converge,
// and, without while_rising, a last value that is more than 0.02 above all before it: the class is
// still being learned then, whatever a fit to few points says. `epoch` is the official program's
// onset number, that of golden/onset.json: n_dropped + 1 + the number of t whose relative change is
// <= r (n_dropped is 0 for VOC). Epochs count from 1 here, so correction is on at the end of epoch
// e when e - 1 >= epoch. After a flat start is cut down to one or two points the number exceeds
// every epoch so far: "not yet". Smoothing averages the values that are left after the cut; the cut
// itself compares the raw ones. No heap.
void onset_find(const struct onset_config *config, int n, const double *iou,
                struct onset_result *out);

// ---- schedule.c: which categories are corrected at the end of an epoch --------------------------
#define SCHEDULE_MAX_CATEGORIES 256

// When a category's correction begins. The first two correct all categories at once, which is what
// the method is compared with: the slow ones are then corrected before they are learned.
enum schedule_mode {
    SCHEDULE_ALL_FROM_FIRST, // all at the first onset of a foreground category
    SCHEDULE_ALL_FROM_MEAN,  // all at the onset of the mean foreground series
    SCHEDULE_PER_CATEGORY    // each at its own onset: the method
};

struct schedule_config {
    struct onset_config onset;
    enum schedule_mode mode;
    int every; // SegTHOR: each category once per so many epochs (10); 1 = every epoch
    int n_categories;
    bool has_background_onset; // false: category 0 never has an onset of its own
};

// What is kept between epochs (saved in checkpoints).
struct schedule_state {
    int onset_epoch[SCHEDULE_MAX_CATEGORIES]; // first epoch that was on, 0 = not yet
    unsigned char is_on[SCHEDULE_MAX_CATEGORIES];
    unsigned char is_done[SCHEDULE_MAX_CATEGORIES]; // corrected since the last multiple of `every`
};

struct schedule_decision {
    bool any;
    unsigned char
        correct[SCHEDULE_MAX_CATEGORIES]; // categories to correct now; [0] is set when any is
    struct onset_result
        onset[SCHEDULE_MAX_CATEGORIES]; // of this epoch's fits (known = false for category 0);
                                        // ALL_FROM_MEAN: the mean's, for each
};

// At the end of epoch `epoch` (SegTHOR counts from 1; VOC's comparison uses epoch - 1 >= onset with
// epoch from 1 too). `iou[c]` is category c's series so far (n values each). Updates `state`, fills
// `out`. Rules: a category that is on stays on; SegTHOR: at epochs divisible by `every` is_done is
// cleared first, and categories that are done are skipped; METHOD sections 2 and 3. Errors: no
// memory, with `state` as it was.
ADELE_MUST_CHECK adele_status schedule_decide(const struct schedule_config *config, int epoch,
                                              int n, const double *const *iou,
                                              struct schedule_state *state,
                                              struct schedule_decision *out);
#endif
