// SPDX-License-Identifier: MIT
// The onset of memorization by the slope of the fitted curve: METHOD section 2.
#include "onset/onset.h"

#include <math.h>
#include <string.h>

// A rise of this much between two epochs ends the flat start of a SegTHOR series.
#define FLAT_RISE 0.1
// VOC evaluates the relative change of slope at t = 1 .. 15.
#define VOC_EPOCHS 16
#define MIN_VALUES 3
// A curve still rises if its last value is this far above all before it. Memorization raises the
// IoU too, but by about a hundredth per epoch.
#define RISE 0.02

void onset_config_init(struct onset_config *out, enum onset_pipeline pipeline) {
    *out = (struct onset_config){
        .pipeline = pipeline,
        .r = 0.9,
        .n_epochs = pipeline == ONSET_SEGTHOR ? 100 : VOC_EPOCHS,
        .iterations_per_epoch = 10581.0 / 10,
        .interval_iterations = 100,
        .min_points = MIN_VALUES,
        .while_rising = true,
        .smooth = 1,
    };
}

static bool still_rises(int n, const double *iou) {
    double highest = iou[0];
    for (int i = 1; i < n - 1; i++)
        highest = fmax(highest, iou[i]);
    return iou[n - 1] - highest > RISE;
}

static bool is_usable(const struct onset_config *config, int n, const double *iou) {
    bool is_constant = true;
    if (n < MIN_VALUES || n < config->min_points)
        return false;
    for (int i = 0; i < n; i++) {
        if (!isfinite(iou[i]))
            return false;
        is_constant = is_constant && iou[i] == iou[0];
    }
    return !is_constant && (config->while_rising || !still_rises(n, iou));
}

// The number of values before the first rise of FLAT_RISE or more; the last value is never dropped.
static int flat_start(int n, const double *iou) {
    int i = 0;
    while (i < n - 1 && iou[i + 1] - iou[i] < FLAT_RISE)
        i++;
    return i;
}

// The values behind the flat start, evenly spaced from 0 to `end`.
struct kept {
    int n, window; // of the moving average, 1: none
    const double *iou;
    double dt, end;
};

// The moving average is centred; its window shrinks at both ends.
static struct curve_point kept_point(const void *context, int i) {
    const struct kept *kept = context;
    int first = i - (kept->window - 1) / 2, last = i + kept->window / 2;
    double sum = 0;
    first = first < 0 ? 0 : first;
    last = last > kept->n - 1 ? kept->n - 1 : last;
    for (int k = first; k <= last; k++)
        sum += kept->iou[k];
    bool is_end = i > 0 && i == kept->n - 1;
    return (struct curve_point){is_end ? kept->end : i * kept->dt, sum / (last - first + 1)};
}

// At how many of t = 1 .. n_epochs - 1 the slope has changed by no more than r of its value at 1.
static int count_early(const struct curve_fit *fit, double r, int n_epochs) {
    double first = fabs(curve_fit_derivative(fit, 1));
    int count = 0;
    for (int t = 1; t < n_epochs; t++) {
        double change = fabs(fabs(curve_fit_derivative(fit, t)) - first) / first;
        if (change > 1)
            change = 0;
        // A slope of 0 at t = 1 makes the change NaN, which counts as late, as in the official
        // program.
        count += change <= r;
    }
    return count;
}

void onset_find(const struct onset_config *config, int n, const double *iou,
                struct onset_result *out) {
    memset(out, 0, sizeof *out);
    if (!is_usable(config, n, iou))
        return;
    bool is_voc = config->pipeline == ONSET_VOC;
    out->n_dropped = is_voc ? 0 : flat_start(n, iou);
    struct kept kept = {.n = n - out->n_dropped,
                        .window = config->smooth > 1 ? config->smooth : 1,
                        .iou = iou + out->n_dropped};
    kept.end = is_voc ? kept.n * (double)config->interval_iterations / config->iterations_per_epoch
                      : kept.n;
    kept.dt = kept.n > 1 ? kept.end / (kept.n - 1) : 0;
    out->dt = kept.dt;
    curve_fit_solve(kept.n, kept_point, &kept, &out->fit);
    out->known = out->fit.converged;
    if (out->known)
        out->epoch = out->n_dropped + 1 +
                     count_early(&out->fit, config->r, is_voc ? VOC_EPOCHS : config->n_epochs);
}
