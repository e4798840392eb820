// SPDX-License-Identifier: MIT
// The ops of a correction from an ensemble (average, accumulate_maps, guided_filter,
// area_decision), at the shapes of the two pipelines.
#include "bench.h"

void problem_average(const struct adele_average_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_average;
    out->desc.average = *desc;
    out->args.average.decay = 0.99F;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    PLAIN(out, average, average, FIELD_FLOATS, READ_F | WRITE_F, desc->n_floats);
    PLAIN(out, average, values, FIELD_FLOATS, READ_F, desc->n_floats);
}

void problem_accumulate_maps(const struct adele_accumulate_maps_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_accumulate_maps;
    out->desc.accumulate_maps = *desc;
    out->args.accumulate_maps.beta = 0.9F;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-3; // a unit in the last place
    TENSOR(out, accumulate_maps, logits, READ_F, desc->n, desc->c, desc->h, desc->w);
    PLAIN(out, accumulate_maps, maps, FIELD_HALVES, READ_F | WRITE_F,
          (size_t)desc->n * (size_t)desc->c * (size_t)(desc->h * desc->w));
    problem_range(out, 0.0, 1.0);
}

void problem_guided_filter(const struct adele_guided_filter_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    out->kind = ADELE_OP_guided_filter;
    out->desc.guided_filter = *desc;
    out->args.guided_filter.scale = 1.0F;
    out->args.guided_filter.high = 255.0F;
    out->workspace_offset = offsetof(struct adele_guided_filter_args, workspace);
    out->tolerance = 1e-5; // label_ops.h
    PLAIN(out, guided_filter, maps, FIELD_HALVES, READ_F,
          (size_t)desc->n * (size_t)desc->c * (size_t)(desc->h_maps * desc->w_maps));
    problem_range(out, 0.0, 1.0);
    PLAIN(out, guided_filter, images, FIELD_BYTES, READ_F, n_pixels * (size_t)desc->image_c);
    problem_range(out, 0, 255);
    PLAIN(out, guided_filter, dst, FIELD_FLOATS, WRITE_F, n_pixels * (size_t)desc->c);
}

void problem_area_decision(const struct adele_area_decision_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    out->kind = ADELE_OP_area_decision;
    out->desc.area_decision = *desc;
    out->workspace_offset = offsetof(struct adele_area_decision_args, workspace);
    out->tolerance = 1e-6;
    PLAIN(out, area_decision, q, FIELD_FLOATS, READ_F, n_pixels * (size_t)desc->c);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, area_decision, prediction, FIELD_BYTES, WRITE_F, n_pixels);
    PLAIN(out, area_decision, thresholds, FIELD_FLOATS, WRITE_F, (size_t)desc->n * (size_t)desc->c);
}

static void run_case(struct bench *bench, const char *op, const struct ensemble_shape *shape,
                     const struct problem *full, const struct problem *small) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", op, shape->pipeline);
    struct bench_case c = {.name = name, .full = full, .small = small};
    snprintf(c.shape, sizeof c.shape, "%dx%dx%dx%d", shape->n, shape->c, shape->size, shape->size);
    bench_run_case(bench, &c);
}

void bench_ensemble(struct bench *bench, const struct ensemble_shape *shape) {
    int n = shape->n, c = shape->c, size = bench_extent(bench, shape->size), few = 33;
    int logits = bench_extent(bench, shape->logits), radius = (6 * size + 50) / 100;
    struct problem full = {0}, small = {0};
    const struct adele_accumulate_maps_desc maps = {n, c, logits, logits}, few_maps = {2, c, 9, 9};
    problem_accumulate_maps(&maps, &full);
    problem_accumulate_maps(&few_maps, &small);
    run_case(bench, "accumulate_maps", shape, &full, &small);

    full = small = (struct problem){0};
    const struct adele_guided_filter_desc filter = {
        n, c, logits, logits, size, size, shape->image_c, ADELE_PIXEL_U8, radius, 1e-3};
    const struct adele_guided_filter_desc few_filter = {
        2, c, 9, 9, few, few, shape->image_c, ADELE_PIXEL_U8, 2, 1e-3};
    problem_guided_filter(&filter, &full);
    problem_guided_filter(&few_filter, &small);
    run_case(bench, "guided_filter", shape, &full, &small);

    full = small = (struct problem){0};
    const struct adele_area_decision_desc area = {n, c, size, size, ADELE_AREA_THRESHOLDS};
    const struct adele_area_decision_desc few_area = {2, c, few, few, ADELE_AREA_THRESHOLDS};
    problem_area_decision(&area, &full);
    problem_area_decision(&few_area, &small);
    run_case(bench, "area_decision", shape, &full, &small);
}
