// SPDX-License-Identifier: MIT
// The ops around the network, at the shapes of the two pipelines: loss, sgd, sample, ensemble,
// decide, crf, correct, count.
#include "bench.h"

#include <string.h>

struct pipeline {
    const char *name;
    int n, channels, categories, size;
    int sizes[3];  // of the images at scales 1.0, 0.7, 1.5
    int logits[3]; // of their logits
    double divisor;
    int64_t n_weights; // of the network, about
};

static const struct pipeline pipelines[] = {
    {"segthor", 5, 1, 5, 256, {256, 179, 384}, {256, 179, 384}, 3.0, 17250000},
    {"voc", 10, 3, 21, 448, {448, 313, 672}, {56, 40, 84}, 1.0, 124200000}};
#define N_PIPELINES (sizeof pipelines / sizeof *pipelines)

static void run_pipeline_case(struct bench *bench, const char *op, const struct pipeline *p,
                              const char *shape, const struct problem *full,
                              const struct problem *small) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", op, p->name);
    struct bench_case c = {.name = name, .full = full, .small = small};
    snprintf(c.shape, sizeof c.shape, "%s", shape);
    bench_run_case(bench, &c);
}

// ---- loss ---------------------------------------------------------------------------------------

static void bench_loss(struct bench *bench, const struct pipeline *p) {
    struct problem full, small;
    struct adele_loss_desc desc = {.n = p->n,
                                   .c = p->categories,
                                   .h = bench_extent(bench, p->size),
                                   .w = bench_extent(bench, p->size),
                                   .n_scales = 3,
                                   .form = ADELE_LOSS_PROGRAM,
                                   .lambda = 1.0,
                                   .rho = 0.8,
                                   .divisor = p->divisor};
    for (int k = 0; k < 3; k++)
        desc.h_scale[k] = desc.w_scale[k] = bench_extent(bench, p->logits[k]);
    problem_loss(&desc, &full);
    struct adele_loss_desc few = desc;
    few.n = 2;
    few.h = few.w = 40;
    for (int k = 0; k < 3; k++)
        few.h_scale[k] = few.w_scale[k] = 40 * p->logits[k] / p->size;
    problem_loss(&few, &small);
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%d %d,%d,%d>%d", desc.n, desc.c, desc.h_scale[0],
             desc.h_scale[1], desc.h_scale[2], desc.h);
    run_pipeline_case(bench, "loss", p, shape, &full, &small);
}

// ---- dice ---------------------------------------------------------------------------------------

static void bench_dice(struct bench *bench, const struct pipeline *p) {
    struct problem full, small;
    struct adele_dice_desc desc = {.n = p->n,
                                   .c = p->categories,
                                   .h = bench_extent(bench, p->size),
                                   .w = bench_extent(bench, p->size),
                                   .weight = 1.0};
    desc.h_logits = desc.w_logits = bench_extent(bench, p->logits[0]);
    problem_dice(&desc, &full);
    struct adele_dice_desc few = desc;
    few.n = 2;
    few.h = few.w = 40;
    few.h_logits = few.w_logits = 40 * p->logits[0] / p->size;
    problem_dice(&few, &small);
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%d %d>%d", desc.n, desc.c, desc.h_logits, desc.h);
    run_pipeline_case(bench, "dice", p, shape, &full, &small);
}

// ---- sgd, adamw, combine, average ---------------------------------------------------------------

// A tenth of the weights lies in segments of their own, without decay, as biases do.
static void bench_updates(struct bench *bench, const struct pipeline *p) {
    int64_t count = (int64_t)(1.0 * bench_extent(bench, 1000) / 1000 * (double)p->n_weights);
    int64_t cut = count / 10 * 9 / 16 * 16;
    struct adele_sgd_segment segments[] = {
        {.offset = 0, .count = cut, .lr_scale = 1.0F, .decay = 5e-4F},
        {.offset = cut, .count = count - cut, .lr_scale = 2.0F}};
    struct adele_sgd_segment few[] = {{.count = 1008, .lr_scale = 1.0F, .decay = 5e-4F},
                                      {.offset = 1008, .count = 77, .lr_scale = 2.0F}};
    struct adele_sgd_desc desc = {.n_segments = 2, .segments = segments};
    struct adele_sgd_desc few_desc = {.n_segments = 2, .segments = few};
    struct problem full, small;
    problem_sgd(&desc, &full);
    problem_sgd(&few_desc, &small);
    char shape[64];
    snprintf(shape, sizeof shape, "%lld", (long long)count);
    run_pipeline_case(bench, "sgd", p, shape, &full, &small);
    struct adele_adamw_desc adamw = {.n_segments = 2, .segments = segments};
    struct adele_adamw_desc few_adamw = {.n_segments = 2, .segments = few};
    struct problem full_adamw, small_adamw;
    problem_adamw(&adamw, &full_adamw);
    problem_adamw(&few_adamw, &small_adamw);
    run_pipeline_case(bench, "adamw", p, shape, &full_adamw, &small_adamw);
    struct adele_combine_desc combine = {count}, few_combine = {1085};
    struct problem full_combine, small_combine;
    problem_combine(&combine, &full_combine);
    problem_combine(&few_combine, &small_combine);
    run_pipeline_case(bench, "combine", p, shape, &full_combine, &small_combine);
    struct adele_average_desc average = {count}, few_average = {1085};
    struct problem full_average, small_average;
    problem_average(&average, &full_average);
    problem_average(&few_average, &small_average);
    run_pipeline_case(bench, "average", p, shape, &full_average, &small_average);
}

// ---- sample -------------------------------------------------------------------------------------

static void bench_sample(struct bench *bench, const struct pipeline *p) {
    struct problem full, small;
    struct adele_sample_desc desc = {.n = p->n,
                                     .c = p->channels,
                                     .h = bench_extent(bench, p->size),
                                     .w = bench_extent(bench, p->size),
                                     .n_scales = 3,
                                     .augment = {.enabled = true,
                                                 .rotate_degrees = 45.0,
                                                 .translate = 0.1,
                                                 .scale_low = 0.8,
                                                 .scale_high = 1.5,
                                                 .flip = 0.5},
                                     .seed = 1};
    struct adele_sample_desc few = desc;
    few.n = 2;
    few.h = few.w = 40;
    for (int k = 0; k < 3; k++) {
        desc.h_scale[k] = desc.w_scale[k] = bench_extent(bench, p->sizes[k]);
        few.h_scale[k] = few.w_scale[k] = 40 * p->sizes[k] / p->size;
    }
    desc.h_scale[0] = desc.w_scale[0] = desc.h;
    problem_sample(&desc, &full);
    problem_sample(&few, &small);
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%d %d>%d,%d,%d", desc.n, desc.c, desc.h, desc.h_scale[0],
             desc.h_scale[1], desc.h_scale[2]);
    run_pipeline_case(bench, "sample", p, shape, &full, &small);
}

// ---- augment_intensity --------------------------------------------------------------------------

// Each image gets everything but brightness, which would take the images of repeated runs to 0 or
// beyond all numbers.
static void bench_intensity(struct bench *bench, const struct pipeline *p) {
    struct problem full, small;
    struct adele_augment_intensity_desc desc = {.n = p->n,
                                                .c = p->channels,
                                                .h = bench_extent(bench, p->size),
                                                .w = bench_extent(bench, p->size),
                                                .intensity = {0.0, 1.0, 1.0, 1.0, 1.0},
                                                .seed = 1};
    struct adele_augment_intensity_desc few = desc;
    few.n = 2;
    few.h = few.w = 40;
    problem_augment_intensity(&desc, &full);
    problem_augment_intensity(&few, &small);
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%d %dx%d", desc.n, desc.c, desc.h, desc.w);
    run_pipeline_case(bench, "augment_intensity", p, shape, &full, &small);
}

// ---- predictions and labels ---------------------------------------------------------------------

// Full and few images of one op that works on whole label maps.
static void bench_labels(struct bench *bench, const struct pipeline *p) {
    int size = bench_extent(bench, p->size), few = 33, c = p->categories;
    struct problem full, small;
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%dx%dx%d", p->n, c, size, size);
    int logits = bench_extent(bench, p->logits[2]);
    struct adele_ensemble_desc ensemble = {p->n, c, logits, logits, size, size, 0};
    struct adele_ensemble_desc few_ensemble = {2, c, 20, 20, few, few, 0};
    problem_ensemble(&ensemble, &full);
    problem_ensemble(&few_ensemble, &small);
    run_pipeline_case(bench, "ensemble", p, shape, &full, &small);

    struct adele_decide_desc decide = {p->n, c, size, size, ADELE_ENSEMBLE_LOGITS, 3.0};
    struct adele_decide_desc few_decide = {2, c, few, few, ADELE_ENSEMBLE_LOGITS, 3.0};
    problem_decide(&decide, &full);
    problem_decide(&few_decide, &small);
    run_pipeline_case(bench, "decide", p, shape, &full, &small);

    struct adele_crf_desc crf = {p->n, c, p->channels, size, size, 1, 3.0, 3.0, 32.0, 13.0, 10.0};
    struct adele_crf_desc few_crf = crf;
    few_crf.n = 2;
    few_crf.h = few_crf.w = few;
    problem_crf(&crf, &full);
    problem_crf(&few_crf, &small);
    run_pipeline_case(bench, "crf", p, shape, &full, &small);

    struct adele_correct_desc correct = {p->n, c,     size,  size, ADELE_CORRECT_SINGLE, 0.8, 0.8,
                                         true, false, false, true};
    struct adele_correct_desc few_correct = correct;
    few_correct.n = 2;
    few_correct.h = few_correct.w = few;
    problem_correct(&correct, &full);
    problem_correct(&few_correct, &small);
    run_pipeline_case(bench, "correct", p, shape, &full, &small);

    struct adele_count_desc count = {p->n, size, size, c}, few_count = {2, few, few, c};
    problem_count(&count, &full);
    problem_count(&few_count, &small);
    run_pipeline_case(bench, "count", p, shape, &full, &small);
}

void bench_steps(struct bench *bench) {
    for (size_t i = 0; i < N_PIPELINES; i++) {
        bench_loss(bench, &pipelines[i]);
        bench_dice(bench, &pipelines[i]);
        bench_updates(bench, &pipelines[i]);
        bench_pack(bench, pipelines[i].name, pipelines[i].n_weights);
        bench_initialize(bench, pipelines[i].name, pipelines[i].n_weights);
        bench_sample(bench, &pipelines[i]);
        bench_intensity(bench, &pipelines[i]);
        bench_labels(bench, &pipelines[i]);
        bench_ensemble(
            bench, &(const struct ensemble_shape){pipelines[i].name, pipelines[i].n,
                                                  pipelines[i].categories, pipelines[i].channels,
                                                  pipelines[i].size, pipelines[i].logits[0]});
    }
}
