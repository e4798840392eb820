// SPDX-License-Identifier: MIT
// Cases of the ops that predict and correct.
#include "selftest/cases.h"

enum { LOOSE_PIXELS = 2 }; // of some thousand may lie on the edge of a decision

static void fill_ensemble(struct trial *trial, const struct adele_ensemble_desc *desc,
                          struct adele_ensemble_args *args) {
    struct adele_shape shape = {desc->n, desc->c, desc->h_in, desc->w_in};
    size_t count = (size_t)desc->n * (size_t)desc->c * (size_t)desc->h * (size_t)desc->w;
    *args = (struct adele_ensemble_args){.logits = trial_tensor(trial, shape, -2.0, 2.0),
                                         .flip = true,
                                         .weight = 0.5f,
                                         .accumulator =
                                             trial_sum(trial, "accumulator", TRIAL_FLOAT, count)};
}
CASE(ensemble)

static void fill_decide(struct trial *trial, const struct adele_decide_desc *desc,
                        struct adele_decide_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t count = n_pixels * (size_t)desc->c;
    trial->n_loose = LOOSE_PIXELS;
    *args = (struct adele_decide_args){
        .accumulator = trial_floats(trial, count, 0.0, 1.0),
        .prediction = trial_out(trial, "prediction", TRIAL_BYTE, n_pixels),
        .confidence_foreground = trial_out(trial, "confidence_foreground", TRIAL_FLOAT, n_pixels),
        .confidence_background = trial_out(trial, "confidence_background", TRIAL_FLOAT, n_pixels),
        .probabilities = trial_out(trial, "probabilities", TRIAL_FLOAT, count)};
}
CASE(decide)

static void fill_accumulate_maps(struct trial *trial, const struct adele_accumulate_maps_desc *desc,
                                 struct adele_accumulate_maps_args *args) {
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    size_t count = (size_t)desc->n * (size_t)desc->c * (size_t)desc->h * (size_t)desc->w;
    *args = (struct adele_accumulate_maps_args){.logits = trial_tensor(trial, shape, -2.0, 2.0),
                                                .maps = trial_sum(trial, "maps", TRIAL_HALF, count),
                                                .beta = 0.5f};
}
CASE(accumulate_maps)

static void fill_guided_filter(struct trial *trial, const struct adele_guided_filter_desc *desc,
                               struct adele_guided_filter_args *args) {
    size_t planes = (size_t)desc->n * (size_t)desc->c, plane = (size_t)desc->h * (size_t)desc->w;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->image_c * plane;
    size_t map = (size_t)desc->h_maps * (size_t)desc->w_maps;
    bool is_u8 = desc->pixel == ADELE_PIXEL_U8;
    *args = (struct adele_guided_filter_args){
        .maps = trial_halves(trial, planes * map, 0.0, 1.0),
        .scale = 1.25f,
        .images = is_u8 ? (const void *)trial_bytes(trial, n_pixels, 256)
                        : (const void *)trial_halves(trial, n_pixels, -2.0, 3.0),
        .high = is_u8 ? 255.0f : 0.0f,
        .dst = trial_out(trial, "dst", TRIAL_FLOAT, planes * plane),
        .workspace = trial_workspace(trial)};
}
CASE(guided_filter)

static void fill_area_decision(struct trial *trial, const struct adele_area_decision_desc *desc,
                               struct adele_area_decision_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t planes = (size_t)desc->n * (size_t)desc->c;
    *args = (struct adele_area_decision_args){
        .q = trial_floats(trial, n_pixels * (size_t)desc->c, 0.0, 0.8),
        .prediction = trial_out(trial, "prediction", TRIAL_BYTE, n_pixels),
        .thresholds = trial_out(trial, "thresholds", TRIAL_FLOAT, planes),
        .workspace = trial_workspace(trial)};
}
CASE(area_decision)

static void fill_crf(struct trial *trial, const struct adele_crf_desc *desc,
                     struct adele_crf_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t count = n_pixels * (size_t)desc->c;
    *args =
        (struct adele_crf_args){.probabilities = trial_floats(trial, count, 0.05, 1.0),
                                .images = trial_bytes(trial, n_pixels * (size_t)desc->image_c, 256),
                                .dst = trial_out(trial, "probabilities", TRIAL_FLOAT, count),
                                .workspace = trial_workspace(trial)};
}
CASE(crf)

static void fill_correct(struct trial *trial, const struct adele_correct_desc *desc,
                         struct adele_correct_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    *args = (struct adele_correct_args){
        .base = trial_bytes(trial, n_pixels, desc->n_categories),
        .labels = trial_out(trial, "labels", TRIAL_BYTE, n_pixels),
        .prediction = trial_bytes(trial, n_pixels, desc->n_categories),
        .confidence_foreground = trial_floats(trial, n_pixels, 0.0, 1.0),
        .confidence_background = trial_floats(trial, n_pixels, 0.0, 1.0),
        .correct = {1, 1, 1},
        .n_changed = trial_sum(trial, "n_changed", TRIAL_INT64, 1)};
}
CASE(correct)

static void fill_count(struct trial *trial, const struct adele_count_desc *desc,
                       struct adele_count_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    *args = (struct adele_count_args){
        .prediction = trial_bytes(trial, n_pixels, desc->n_categories),
        .labels = trial_bytes(trial, n_pixels, 256), // including 255, which is ignored
        .counts = trial_sum(trial, "counts", TRIAL_INT64, (size_t)3 * 256)};
}
CASE(count)
