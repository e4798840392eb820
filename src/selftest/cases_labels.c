// SPDX-License-Identifier: MIT
// Cases of the ops that predict and correct.
#include "selftest/cases.h"

enum { LOOSE_PIXELS = 2 }; // of some thousand may lie on the edge of a decision

void case_ensemble(struct trial *trial, const void *from) {
    const struct adele_ensemble_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->ensemble_create(device, desc, &trial->op)))
        return;
    struct adele_shape shape = {desc->n, desc->c, desc->h_in, desc->w_in};
    size_t count = (size_t)desc->n * (size_t)desc->c * (size_t)desc->h * (size_t)desc->w;
    struct adele_ensemble_args args = {.logits = trial_tensor(trial, shape, -2.0, 2.0),
                                       .flip = true,
                                       .weight = 0.5f,
                                       .accumulator =
                                           trial_sum(trial, "accumulator", TRIAL_FLOAT, count)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->ensemble_forward(trial->op, &args));
}

void case_decide(struct trial *trial, const void *from) {
    const struct adele_decide_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->decide_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t count = n_pixels * (size_t)desc->c;
    trial->n_loose = LOOSE_PIXELS;
    struct adele_decide_args args = {
        .accumulator = trial_floats(trial, count, 0.0, 1.0),
        .prediction = trial_out(trial, "prediction", TRIAL_BYTE, n_pixels),
        .confidence_foreground = trial_out(trial, "confidence_foreground", TRIAL_FLOAT, n_pixels),
        .confidence_background = trial_out(trial, "confidence_background", TRIAL_FLOAT, n_pixels),
        .probabilities = trial_out(trial, "probabilities", TRIAL_FLOAT, count)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->decide_forward(trial->op, &args));
}

void case_accumulate_maps(struct trial *trial, const void *from) {
    const struct adele_accumulate_maps_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->accumulate_maps_create(device, desc, &trial->op)))
        return;
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    size_t count = (size_t)desc->n * (size_t)desc->c * (size_t)desc->h * (size_t)desc->w;
    struct adele_accumulate_maps_args args = {.logits = trial_tensor(trial, shape, -2.0, 2.0),
                                              .maps = trial_sum(trial, "maps", TRIAL_HALF, count),
                                              .beta = 0.5f};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->accumulate_maps_forward(trial->op, &args));
}

void case_guided_filter(struct trial *trial, const void *from) {
    const struct adele_guided_filter_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->guided_filter_create(device, desc, &trial->op)))
        return;
    size_t planes = (size_t)desc->n * (size_t)desc->c, plane = (size_t)desc->h * (size_t)desc->w;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->image_c * plane;
    size_t map = (size_t)desc->h_maps * (size_t)desc->w_maps;
    bool is_u8 = desc->pixel == ADELE_PIXEL_U8;
    struct adele_guided_filter_args args = {
        .maps = trial_halves(trial, planes * map, 0.0, 1.0),
        .scale = 1.25f,
        .images = is_u8 ? (const void *)trial_bytes(trial, n_pixels, 256)
                        : (const void *)trial_halves(trial, n_pixels, -2.0, 3.0),
        .high = is_u8 ? 255.0f : 0.0f,
        .dst = trial_out(trial, "dst", TRIAL_FLOAT, planes * plane),
        .workspace = trial_workspace(trial)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->guided_filter_forward(trial->op, &args));
}

void case_area_decision(struct trial *trial, const void *from) {
    const struct adele_area_decision_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->area_decision_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t planes = (size_t)desc->n * (size_t)desc->c;
    struct adele_area_decision_args args = {
        .q = trial_floats(trial, n_pixels * (size_t)desc->c, 0.0, 0.8),
        .prediction = trial_out(trial, "prediction", TRIAL_BYTE, n_pixels),
        .thresholds = trial_out(trial, "thresholds", TRIAL_FLOAT, planes),
        .workspace = trial_workspace(trial)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->area_decision_forward(trial->op, &args));
}

void case_crf(struct trial *trial, const void *from) {
    const struct adele_crf_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->crf_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t count = n_pixels * (size_t)desc->c;
    struct adele_crf_args args = {.probabilities = trial_floats(trial, count, 0.05, 1.0),
                                  .images =
                                      trial_bytes(trial, n_pixels * (size_t)desc->image_c, 256),
                                  .dst = trial_out(trial, "probabilities", TRIAL_FLOAT, count),
                                  .workspace = trial_workspace(trial)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->crf_forward(trial->op, &args));
}

void case_correct(struct trial *trial, const void *from) {
    const struct adele_correct_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->correct_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    struct adele_correct_args args = {
        .base = trial_bytes(trial, n_pixels, desc->n_categories),
        .labels = trial_out(trial, "labels", TRIAL_BYTE, n_pixels),
        .prediction = trial_bytes(trial, n_pixels, desc->n_categories),
        .confidence_foreground = trial_floats(trial, n_pixels, 0.0, 1.0),
        .confidence_background = trial_floats(trial, n_pixels, 0.0, 1.0),
        .correct = {1, 1, 1},
        .n_changed = trial_sum(trial, "n_changed", TRIAL_INT64, 1)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->correct_forward(trial->op, &args));
}

void case_count(struct trial *trial, const void *from) {
    const struct adele_count_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->count_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    struct adele_count_args args = {
        .prediction = trial_bytes(trial, n_pixels, desc->n_categories),
        .labels = trial_bytes(trial, n_pixels, 256), // including 255, which is ignored
        .counts = trial_sum(trial, "counts", TRIAL_INT64, (size_t)3 * 256)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->count_forward(trial->op, &args));
}
