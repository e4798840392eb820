// SPDX-License-Identifier: MIT
// Checks of the ops in label_ops.h.
#include "device/op_check.h"

#include "base/fail.h"
#include "device/crf_spatial.h"

#include <math.h>

static adele_status check_arrays(const char *op, bool are_given, const char *hint) {
    return are_given ? ADELE_OK : FAIL(ADELE_INVALID_ARGUMENT, hint, "%s: an array is missing", op);
}

static adele_status check_maps(const char *op, int n, int c, int h, int w) {
    if (n < 1 || c < 1 || c > ADELE_MAX_CATEGORIES || h < 1 || w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 classes, extents of at least 1.",
                    "%s: bad shape %d x %d x %d x %d", op, n, c, h, w);
    return ADELE_OK;
}

static adele_status check_mode(const char *op, enum adele_ensemble_mode mode) {
    if ((int)mode < ADELE_ENSEMBLE_PROBABILITIES || (int)mode > ADELE_ENSEMBLE_LOGITS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use probabilities or logits.", "%s: unknown mode %d",
                    op, (int)mode);
    return ADELE_OK;
}

adele_status op_check_ensemble(const struct adele_ensemble_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->c > ADELE_MAX_CATEGORIES || desc->h_in < 1 ||
        desc->w_in < 1 || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 classes, extents of at least 1.",
                    "ensemble: %d x %d x %d x %d to %d x %d", desc->n, desc->c, desc->h_in,
                    desc->w_in, desc->h, desc->w);
    return check_mode("ensemble", desc->mode);
}

adele_status op_check_ensemble_args(const struct adele_ensemble_args *args) {
    TRY(check_arrays("ensemble", args->logits != NULL && args->accumulator != NULL,
                     "Give logits and accumulator."));
    if (!isfinite(args->weight))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 / number of members.", "ensemble: weight %g",
                    (double)args->weight);
    return ADELE_OK;
}

adele_status op_check_decide(const struct adele_decide_desc *desc) {
    TRY(check_maps("decide", desc->n, desc->c, desc->h, desc->w));
    TRY(check_mode("decide", desc->mode));
    if (desc->mode == ADELE_ENSEMBLE_LOGITS &&
        (!(desc->temperature > 0.0) || !isfinite(desc->temperature)))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a temperature above 0, 1 for none.",
                    "decide: temperature %g", desc->temperature);
    return ADELE_OK;
}

adele_status op_check_decide_args(const struct adele_decide_args *args) {
    return check_arrays("decide", args->accumulator != NULL && args->prediction != NULL,
                        "Give accumulator and prediction.");
}

adele_status op_check_accumulate_maps(const struct adele_accumulate_maps_desc *desc) {
    return check_maps("accumulate_maps", desc->n, desc->c, desc->h, desc->w);
}

adele_status op_check_accumulate_maps_args(const struct adele_accumulate_maps_args *args) {
    TRY(check_arrays("accumulate_maps", args->logits != NULL && args->maps != NULL,
                     "Give logits and maps."));
    if (!(args->beta >= 0.0f && args->beta <= 1.0f))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 0 to 1.", "accumulate_maps: beta %g",
                    (double)args->beta);
    return ADELE_OK;
}

adele_status op_check_guided_filter(const struct adele_guided_filter_desc *desc) {
    TRY(check_maps("guided_filter", desc->n, desc->c, desc->h, desc->w));
    TRY(check_maps("guided_filter", desc->n, desc->c, desc->h_maps, desc->w_maps));
    if (desc->image_c < 1 || (int)desc->pixel < ADELE_PIXEL_U8 ||
        (int)desc->pixel > ADELE_PIXEL_F16)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 or more channels of u8 or f16.",
                    "guided_filter: image of %d channels, pixel type %d", desc->image_c,
                    (int)desc->pixel);
    if (desc->radius < 0 || (desc->radius > 0 && !(desc->eps > 0.0 && isfinite(desc->eps))))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a radius of 0 or more and eps above 0.",
                    "guided_filter: radius %d, eps %g", desc->radius, desc->eps);
    return ADELE_OK;
}

adele_status op_check_guided_filter_args(const struct adele_guided_filter_desc *desc,
                                         const struct adele_guided_filter_args *args) {
    bool has_images = args->images != NULL || args->batch_images != NULL;
    if (args->maps == NULL || args->dst == NULL ||
        (desc->radius > 0 && (!has_images || args->workspace == NULL)))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give maps, images, dst and workspace.",
                    "guided_filter: an array is missing");
    if (!isfinite(args->scale) || !isfinite(args->low) || !isfinite(args->high) ||
        args->low > args->high)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a finite scale, and low <= high.",
                    "guided_filter: scale %g, from %g to %g", (double)args->scale,
                    (double)args->low, (double)args->high);
    return ADELE_OK;
}

adele_status op_check_area_decision(const struct adele_area_decision_desc *desc) {
    TRY(check_maps("area_decision", desc->n, desc->c, desc->h, desc->w));
    if ((int64_t)desc->h * desc->w > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the images smaller.",
                    "area_decision: image of %d x %d", desc->h, desc->w);
    if ((int)desc->mode < ADELE_AREA_THRESHOLDS || (int)desc->mode > ADELE_AREA_ARGMAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use thresholds or argmax.",
                    "area_decision: unknown mode %d", (int)desc->mode);
    return ADELE_OK;
}

adele_status op_check_area_decision_args(const struct adele_area_decision_args *args) {
    return check_arrays("area_decision",
                        args->q != NULL && args->prediction != NULL && args->workspace != NULL,
                        "Give q, prediction and workspace.");
}

// Above 0, and not so narrow that the lattice's coordinates of `extent` lose their fractions.
static bool is_sigma(double sigma, double extent) {
    return isfinite(sigma) && sigma > 0.0 && extent / sigma <= 1e6;
}

adele_status op_check_crf(const struct adele_crf_desc *desc) {
    TRY(check_maps("crf", desc->n, desc->c, desc->h, desc->w));
    if (desc->image_c != 1 && desc->image_c != 3)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give gray or RGB images.", "crf: image of %d channels",
                    desc->image_c);
    if ((int64_t)desc->h * desc->w > CRF_MAX_PIXELS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the images smaller.",
                    "crf: image of %d x %d, at most %d pixels", desc->h, desc->w, CRF_MAX_PIXELS);
    if (desc->iterations < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 or more.", "crf: %d iterations",
                    desc->iterations);
    double extent = desc->h > desc->w ? desc->h : desc->w;
    if (!is_sigma(desc->spatial_sigma, extent) || !is_sigma(desc->bilateral_sigma, extent) ||
        !is_sigma(desc->colour_sigma, 255.0) || !isfinite(desc->spatial_weight) ||
        !isfinite(desc->bilateral_weight))
        return FAIL(ADELE_INVALID_ARGUMENT, "Widths above 0, weights finite; 3, 3, 32, 13, 10.",
                    "crf: spatial width %g, weight %g; bilateral width %g, colour %g, weight %g",
                    desc->spatial_sigma, desc->spatial_weight, desc->bilateral_sigma,
                    desc->colour_sigma, desc->bilateral_weight);
    return ADELE_OK;
}

adele_status op_check_crf_args(const struct adele_crf_args *args) {
    return check_arrays("crf",
                        args->probabilities != NULL && args->images != NULL && args->dst != NULL &&
                            args->workspace != NULL,
                        "Give probabilities, images, dst and workspace.");
}

adele_status op_check_correct(const struct adele_correct_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->n_categories < 1 ||
        desc->n_categories > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 classes, extents of at least 1.",
                    "correct: %d images of %d x %d with %d classes", desc->n, desc->h, desc->w,
                    desc->n_categories);
    if ((int)desc->rule < ADELE_CORRECT_BOTH || (int)desc->rule > ADELE_CORRECT_SINGLE)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use both or single.", "correct: unknown rule %d",
                    (int)desc->rule);
    if (isnan(desc->tau_foreground) || isnan(desc->tau_background))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give thresholds between 0 and 1.",
                    "correct: thresholds %g and %g", desc->tau_foreground, desc->tau_background);
    return ADELE_OK;
}

adele_status op_check_correct_args(const struct adele_correct_args *args) {
    return check_arrays("correct",
                        args->base != NULL && args->labels != NULL && args->prediction != NULL &&
                            args->confidence_foreground != NULL &&
                            args->confidence_background != NULL,
                        "Give base, labels, prediction and both confidences.");
}

adele_status op_check_count(const struct adele_count_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->n_categories < 1 ||
        desc->n_categories > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 classes, extents of at least 1.",
                    "count: %d maps of %d x %d with %d classes", desc->n, desc->h, desc->w,
                    desc->n_categories);
    return ADELE_OK;
}

adele_status op_check_count_args(const struct adele_count_args *args) {
    return check_arrays("count",
                        args->prediction != NULL && args->labels != NULL && args->counts != NULL,
                        "Give prediction, labels and counts.");
}
