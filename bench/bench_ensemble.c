// SPDX-License-Identifier: MIT
// The ops of a correction from an ensemble (average, accumulate_maps, guided_filter,
// area_decision), at the shapes of the two pipelines.
#include "bench.h"

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
    struct problem full, small;
    const struct adele_accumulate_maps_desc maps = {n, c, logits, logits}, few_maps = {2, c, 9, 9};
    problem_accumulate_maps(&maps, &full);
    problem_accumulate_maps(&few_maps, &small);
    run_case(bench, "accumulate_maps", shape, &full, &small);

    const struct adele_guided_filter_desc filter = {
        n, c, logits, logits, size, size, shape->image_c, ADELE_PIXEL_U8, radius, 1e-3};
    const struct adele_guided_filter_desc few_filter = {
        2, c, 9, 9, few, few, shape->image_c, ADELE_PIXEL_U8, 2, 1e-3};
    problem_guided_filter(&filter, &full);
    problem_guided_filter(&few_filter, &small);
    run_case(bench, "guided_filter", shape, &full, &small);

    const struct adele_area_decision_desc area = {n, c, size, size, ADELE_AREA_THRESHOLDS};
    const struct adele_area_decision_desc few_area = {2, c, few, few, ADELE_AREA_THRESHOLDS};
    problem_area_decision(&area, &full);
    problem_area_decision(&few_area, &small);
    run_case(bench, "area_decision", shape, &full, &small);
}
