// SPDX-License-Identifier: MIT
// The problems of the ops of device/label_ops.h.
#include "support/problem.h"

// Tolerance of a probability: the error of the lattice itself (device/lattice.h).
#define CRF_TOLERANCE 0.03

void problem_ensemble(const struct adele_ensemble_desc *desc, struct problem *out) {
    PROBLEM(out, ensemble, desc, 1e-4);
    out->args.ensemble.flip = true;
    out->args.ensemble.weight = 0.25F;
    TENSOR(out, ensemble, logits, READ_F, desc->n, desc->c, desc->h_in, desc->w_in);
    PLAIN(out, ensemble, accumulator, FIELD_FLOATS, READ_F | WRITE_F,
          (size_t)desc->n * (size_t)desc->c * (size_t)(desc->h * desc->w));
}

void problem_decide(const struct adele_decide_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    PROBLEM(out, decide, desc, 1e-4);
    PLAIN(out, decide, accumulator, FIELD_FLOATS, READ_F, n_pixels * (size_t)desc->c);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, decide, prediction, FIELD_BYTES, WRITE_F, n_pixels);
    PLAIN(out, decide, confidence_foreground, FIELD_FLOATS, WRITE_F, n_pixels);
    PLAIN(out, decide, confidence_background, FIELD_FLOATS, WRITE_F, n_pixels);
}

void problem_accumulate_maps(const struct adele_accumulate_maps_desc *desc, struct problem *out) {
    PROBLEM(out, accumulate_maps, desc, 1e-3); // a unit in the last place
    out->args.accumulate_maps.beta = 0.9F;
    TENSOR(out, accumulate_maps, logits, READ_F, desc->n, desc->c, desc->h, desc->w);
    PLAIN(out, accumulate_maps, maps, FIELD_HALVES, READ_F | WRITE_F,
          (size_t)desc->n * (size_t)desc->c * (size_t)(desc->h * desc->w));
    problem_range(out, 0.0, 1.0);
}

void problem_guided_filter(const struct adele_guided_filter_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    PROBLEM(out, guided_filter, desc, 1e-5); // label_ops.h
    WORKSPACE(out, guided_filter);
    out->args.guided_filter.scale = 1.0F;
    out->args.guided_filter.high = 255.0F;
    PLAIN(out, guided_filter, maps, FIELD_HALVES, READ_F,
          (size_t)desc->n * (size_t)desc->c * (size_t)(desc->h_maps * desc->w_maps));
    problem_range(out, 0.0, 1.0);
    PLAIN(out, guided_filter, images, FIELD_BYTES, READ_F, n_pixels * (size_t)desc->image_c);
    problem_range(out, 0, 255);
    PLAIN(out, guided_filter, dst, FIELD_FLOATS, WRITE_F, n_pixels * (size_t)desc->c);
}

void problem_area_decision(const struct adele_area_decision_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    PROBLEM(out, area_decision, desc, 1e-6);
    WORKSPACE(out, area_decision);
    PLAIN(out, area_decision, q, FIELD_FLOATS, READ_F, n_pixels * (size_t)desc->c);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, area_decision, prediction, FIELD_BYTES, WRITE_F, n_pixels);
    PLAIN(out, area_decision, thresholds, FIELD_FLOATS, WRITE_F, (size_t)desc->n * (size_t)desc->c);
}

// One step of METHOD section 3's CRF. Bytes are those of its arguments; the size of the
// lattice depends on the image and is not counted.
void problem_crf(const struct adele_crf_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    PROBLEM(out, crf, desc, CRF_TOLERANCE);
    WORKSPACE(out, crf);
    PLAIN(out, crf, probabilities, FIELD_FLOATS, READ_F, n_pixels * (size_t)desc->c);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, crf, images, FIELD_BYTES, READ_F, n_pixels * (size_t)desc->image_c);
    problem_range(out, 0, 255);
    PLAIN(out, crf, dst, FIELD_FLOATS, WRITE_F, n_pixels * (size_t)desc->c);
}

void problem_correct(const struct adele_correct_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    PROBLEM(out, correct, desc, 0.0);
    for (int c = 0; c < desc->n_categories; c += 2)
        out->args.correct.correct[c] = 1;
    PLAIN(out, correct, base, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->n_categories - 1);
    PLAIN(out, correct, labels, FIELD_BYTES, WRITE_F, n_pixels);
    PLAIN(out, correct, prediction, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->n_categories - 1);
    PLAIN(out, correct, confidence_foreground, FIELD_FLOATS, READ_F, n_pixels);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, correct, confidence_background, FIELD_FLOATS, READ_F, n_pixels);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, correct, n_changed, FIELD_COUNTS, READ_F | WRITE_F, 1);
}

void problem_count(const struct adele_count_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    PROBLEM(out, count, desc, 0.0);
    PLAIN(out, count, prediction, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->n_categories - 1);
    PLAIN(out, count, labels, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->n_categories - 1);
    PLAIN(out, count, counts, FIELD_COUNTS, READ_F | WRITE_F, 3 * 256);
}
