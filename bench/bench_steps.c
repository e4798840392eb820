// SPDX-License-Identifier: MIT
// The ops around the network, at the shapes of the two pipelines: loss, sgd, sample, ensemble,
// decide, crf, correct, count.
#include "bench.h"

#include <string.h>

// Tolerance of a probability: the error of the lattice itself (device/lattice.h).
#define CRF_TOLERANCE 0.03

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

void problem_loss(const struct adele_loss_desc *desc, struct problem *out) {
    int n_pixels = desc->n * desc->h * desc->w;
    out->kind = ADELE_OP_loss;
    out->desc.loss = *desc;
    out->workspace_offset = offsetof(struct adele_loss_args, workspace);
    out->tolerance = 1e-3;
    for (int k = 0; k < desc->n_scales; k++) {
        TENSOR(out, loss, logits[k], READ_F, desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]);
        problem_range(out, -8.0, 8.0); // so that some images pass rho
        TENSOR(out, loss, d_logits[k], WRITE_F, desc->n, desc->c, desc->h_scale[k],
               desc->w_scale[k]);
    }
    PLAIN(out, loss, scale_weights, FIELD_FLOATS, READ_F, ADELE_MAX_SCALES);
    PLAIN(out, loss, d_scale_weights, FIELD_FLOATS, READ_F | WRITE_F, ADELE_MAX_SCALES);
    problem_range(out, 0.0, 0.0);
    PLAIN(out, loss, labels, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->c - 1);
    PLAIN(out, loss, noisy, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->c - 1);
    PLAIN(out, loss, truth, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->c - 1);
    PLAIN(out, loss, counts, FIELD_COUNTS, READ_F | WRITE_F, ADELE_COUNT_SIZE);
    PLAIN(out, loss, sums, FIELD_DOUBLES, READ_F | WRITE_F, ADELE_SUM_COUNT);
    PLAIN(out, loss, prediction, FIELD_BYTES, WRITE_F, n_pixels);
    PLAIN(out, loss, confidence_foreground, FIELD_FLOATS, WRITE_F, n_pixels);
    PLAIN(out, loss, confidence_background, FIELD_FLOATS, WRITE_F, n_pixels);
}

static void bench_loss(struct bench *bench, const struct pipeline *p) {
    struct problem full = {0}, small = {0};
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

void problem_dice(const struct adele_dice_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    out->kind = ADELE_OP_dice;
    out->desc.dice = *desc;
    out->workspace_offset = offsetof(struct adele_dice_args, workspace);
    out->tolerance = 1e-4;
    TENSOR(out, dice, logits, READ_F, desc->n, desc->c, desc->h_logits, desc->w_logits);
    TENSOR(out, dice, d_logits, READ_F | WRITE_F, desc->n, desc->c, desc->h_logits, desc->w_logits);
    PLAIN(out, dice, labels, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->c - 1);
    PLAIN(out, dice, sums, FIELD_DOUBLES, READ_F | WRITE_F, ADELE_SUM_COUNT);
}

static void bench_dice(struct bench *bench, const struct pipeline *p) {
    struct problem full = {0}, small = {0};
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

// ---- sgd, adamw, combine, average
// ------------------------------------------------------------------------

void problem_sgd(const struct adele_sgd_desc *desc, struct problem *out) {
    int64_t count = 0;
    for (int i = 0; i < desc->n_segments; i++)
        if (desc->segments[i].offset + desc->segments[i].count > count)
            count = desc->segments[i].offset + desc->segments[i].count;
    out->kind = ADELE_OP_sgd;
    out->desc.sgd = *desc;
    out->args.sgd.rate = 0.01F;
    out->args.sgd.momentum = 0.9F;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    PLAIN(out, sgd, weights, FIELD_FLOATS, READ_F | WRITE_F, count);
    PLAIN(out, sgd, gradients, FIELD_FLOATS, READ_F, count);
    PLAIN(out, sgd, momenta, FIELD_FLOATS, READ_F | WRITE_F, count);
}

void problem_adamw(const struct adele_adamw_desc *desc, struct problem *out) {
    struct problem sgd = {0};
    problem_sgd(&(const struct adele_sgd_desc){desc->n_segments, desc->segments}, &sgd);
    int64_t count = (int64_t)sgd.fields[0].count;
    out->kind = ADELE_OP_adamw;
    out->desc.adamw = *desc;
    out->args.adamw =
        (struct adele_adamw_args){.rate = 0.01F, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8F};
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    PLAIN(out, adamw, weights, FIELD_FLOATS, READ_F | WRITE_F, count);
    PLAIN(out, adamw, gradients, FIELD_FLOATS, READ_F, count);
    PLAIN(out, adamw, first, FIELD_FLOATS, READ_F | WRITE_F, count);
    PLAIN(out, adamw, second, FIELD_FLOATS, READ_F | WRITE_F, count);
    problem_range(out, 0.0, 1.0); // mean squares
    PLAIN(out, adamw, n_updates, FIELD_COUNTS, READ_F | WRITE_F, 1);
}

void problem_combine(const struct adele_combine_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_combine;
    out->desc.combine = *desc;
    out->args.combine.scale = 0.25F;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-6;
    PLAIN(out, combine, a, FIELD_FLOATS, READ_F, desc->n_floats);
    PLAIN(out, combine, b, FIELD_FLOATS, READ_F, desc->n_floats);
    PLAIN(out, combine, out, FIELD_FLOATS, WRITE_F, desc->n_floats);
}

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
    struct problem full = {0}, small = {0};
    problem_sgd(&desc, &full);
    problem_sgd(&few_desc, &small);
    char shape[64];
    snprintf(shape, sizeof shape, "%lld", (long long)count);
    run_pipeline_case(bench, "sgd", p, shape, &full, &small);
    struct adele_adamw_desc adamw = {.n_segments = 2, .segments = segments};
    struct adele_adamw_desc few_adamw = {.n_segments = 2, .segments = few};
    struct problem full_adamw = {0}, small_adamw = {0};
    problem_adamw(&adamw, &full_adamw);
    problem_adamw(&few_adamw, &small_adamw);
    run_pipeline_case(bench, "adamw", p, shape, &full_adamw, &small_adamw);
    struct adele_combine_desc combine = {count}, few_combine = {1085};
    struct problem full_combine = {0}, small_combine = {0};
    problem_combine(&combine, &full_combine);
    problem_combine(&few_combine, &small_combine);
    run_pipeline_case(bench, "combine", p, shape, &full_combine, &small_combine);
    struct adele_average_desc average = {count}, few_average = {1085};
    struct problem full_average = {0}, small_average = {0};
    problem_average(&average, &full_average);
    problem_average(&few_average, &small_average);
    run_pipeline_case(bench, "average", p, shape, &full_average, &small_average);
}

// ---- sample -------------------------------------------------------------------------------------

#define SET_BATCHES 8 // the set is so many batches large

void problem_sample(const struct adele_sample_desc *desc, struct problem *out) {
    struct adele_sample_set *set = &out->args.sample.set;
    size_t n_set = (size_t)desc->n * SET_BATCHES, plane = (size_t)desc->h * (size_t)desc->w;
    *set = (struct adele_sample_set){.pixel = desc->c == 1 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8,
                                     .n_images = (int)n_set,
                                     .c = desc->c,
                                     .h = desc->h,
                                     .w = desc->w};
    size_t bytes = desc->c == 1 ? 2 : 1;
    out->kind = ADELE_OP_sample;
    out->desc.sample = *desc;
    out->args.sample.epoch = 3;
    out->workspace_offset = offsetof(struct adele_sample_args, workspace);
    out->tolerance = 2e-4;
    PLAIN(out, sample, set.images, FIELD_BYTES, READ_F, n_set * (size_t)desc->c * plane * bytes);
    problem_range(out, 0, desc->c == 1 ? 0x5b : 255); // as halves: 0 to 255
    out->fields[out->n_fields - 1].moved_count = (size_t)(desc->n * desc->c) * plane * bytes;
    PLAIN(out, sample, set.mean, FIELD_FLOATS, READ_F, n_set * (size_t)desc->c);
    problem_range(out, 100.0, 130.0);
    PLAIN(out, sample, set.inv_std, FIELD_FLOATS, READ_F, n_set * (size_t)desc->c);
    problem_range(out, 0.01, 0.03);
    static const size_t maps[] = {offsetof(struct adele_sample_args, set.labels),
                                  offsetof(struct adele_sample_args, set.noisy),
                                  offsetof(struct adele_sample_args, set.truth)};
    for (int i = 0; i < 3; i++) {
        struct field *map = problem_field(out, "set's labels", maps[i], FIELD_BYTES, READ_F);
        map->count = n_set * plane;
        map->moved_count = (size_t)desc->n * plane;
        problem_range(out, 0, 4);
    }
    PLAIN(out, sample, sample_ids, FIELD_INTS, READ_F, desc->n);
    problem_range(out, 3, 3 + desc->n - 1);
    for (int k = 0; k < desc->n_scales; k++)
        TENSOR(out, sample, images[k], WRITE_F, desc->n, desc->c, desc->h_scale[k],
               desc->w_scale[k]);
    PLAIN(out, sample, labels, FIELD_BYTES, WRITE_F, (size_t)desc->n * plane);
    PLAIN(out, sample, noisy, FIELD_BYTES, WRITE_F, (size_t)desc->n * plane);
    PLAIN(out, sample, truth, FIELD_BYTES, WRITE_F, (size_t)desc->n * plane);
}

static void bench_sample(struct bench *bench, const struct pipeline *p) {
    struct problem full = {0}, small = {0};
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

void problem_augment_intensity(const struct adele_augment_intensity_desc *desc,
                               struct problem *out) {
    out->kind = ADELE_OP_augment_intensity;
    out->desc.augment_intensity = *desc;
    out->args.augment_intensity.epoch = 3;
    out->workspace_offset = offsetof(struct adele_augment_intensity_args, workspace);
    out->tolerance = 1e-3;
    PLAIN(out, augment_intensity, sample_ids, FIELD_INTS, READ_F, desc->n);
    problem_range(out, 0, desc->n - 1);
    TENSOR(out, augment_intensity, images, READ_F | WRITE_F, desc->n, desc->c, desc->h, desc->w);
    problem_range(out, -2.0, 2.0);
}

// Each image gets everything but brightness, which would take the images of repeated runs to 0 or
// beyond all numbers.
static void bench_intensity(struct bench *bench, const struct pipeline *p) {
    struct problem full = {0}, small = {0};
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

void problem_ensemble(const struct adele_ensemble_desc *desc, struct problem *out) {
    out->kind = ADELE_OP_ensemble;
    out->desc.ensemble = *desc;
    out->args.ensemble.flip = true;
    out->args.ensemble.weight = 0.25F;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-4;
    TENSOR(out, ensemble, logits, READ_F, desc->n, desc->c, desc->h_in, desc->w_in);
    PLAIN(out, ensemble, accumulator, FIELD_FLOATS, READ_F | WRITE_F,
          (size_t)desc->n * (size_t)desc->c * (size_t)(desc->h * desc->w));
}

void problem_decide(const struct adele_decide_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    out->kind = ADELE_OP_decide;
    out->desc.decide = *desc;
    out->workspace_offset = (size_t)-1;
    out->tolerance = 1e-4;
    PLAIN(out, decide, accumulator, FIELD_FLOATS, READ_F, n_pixels * (size_t)desc->c);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, decide, prediction, FIELD_BYTES, WRITE_F, n_pixels);
    PLAIN(out, decide, confidence_foreground, FIELD_FLOATS, WRITE_F, n_pixels);
    PLAIN(out, decide, confidence_background, FIELD_FLOATS, WRITE_F, n_pixels);
}

// One step of METHOD section 3's CRF. Bytes are those of its arguments; the size of the
// lattice depends on the image and is not counted.
void problem_crf(const struct adele_crf_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    out->kind = ADELE_OP_crf;
    out->desc.crf = *desc;
    out->workspace_offset = offsetof(struct adele_crf_args, workspace);
    out->tolerance = CRF_TOLERANCE;
    PLAIN(out, crf, probabilities, FIELD_FLOATS, READ_F, n_pixels * (size_t)desc->c);
    problem_range(out, 0.0, 1.0);
    PLAIN(out, crf, images, FIELD_BYTES, READ_F, n_pixels * (size_t)desc->image_c);
    problem_range(out, 0, 255);
    PLAIN(out, crf, dst, FIELD_FLOATS, WRITE_F, n_pixels * (size_t)desc->c);
}

void problem_correct(const struct adele_correct_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)(desc->h * desc->w);
    out->kind = ADELE_OP_correct;
    out->desc.correct = *desc;
    for (int c = 0; c < desc->n_categories; c += 2)
        out->args.correct.correct[c] = 1;
    out->workspace_offset = (size_t)-1;
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
    out->kind = ADELE_OP_count;
    out->desc.count = *desc;
    out->workspace_offset = (size_t)-1;
    PLAIN(out, count, prediction, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->n_categories - 1);
    PLAIN(out, count, labels, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->n_categories - 1);
    PLAIN(out, count, counts, FIELD_COUNTS, READ_F | WRITE_F, 3 * 256);
}

// Full and few images of one op that works on whole label maps.
static void bench_labels(struct bench *bench, const struct pipeline *p) {
    int size = bench_extent(bench, p->size), few = 33, c = p->categories;
    struct problem full = {0}, small = {0};
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%dx%dx%d", p->n, c, size, size);
    int logits = bench_extent(bench, p->logits[2]);
    struct adele_ensemble_desc ensemble = {p->n, c, logits, logits, size, size, 0};
    struct adele_ensemble_desc few_ensemble = {2, c, 20, 20, few, few, 0};
    problem_ensemble(&ensemble, &full);
    problem_ensemble(&few_ensemble, &small);
    run_pipeline_case(bench, "ensemble", p, shape, &full, &small);

    full = small = (struct problem){0};
    struct adele_decide_desc decide = {p->n, c, size, size, ADELE_ENSEMBLE_LOGITS, 3.0};
    struct adele_decide_desc few_decide = {2, c, few, few, ADELE_ENSEMBLE_LOGITS, 3.0};
    problem_decide(&decide, &full);
    problem_decide(&few_decide, &small);
    run_pipeline_case(bench, "decide", p, shape, &full, &small);

    full = small = (struct problem){0};
    struct adele_crf_desc crf = {p->n, c, p->channels, size, size, 1, 3.0, 3.0, 32.0, 13.0, 10.0};
    struct adele_crf_desc few_crf = crf;
    few_crf.n = 2;
    few_crf.h = few_crf.w = few;
    problem_crf(&crf, &full);
    problem_crf(&few_crf, &small);
    run_pipeline_case(bench, "crf", p, shape, &full, &small);

    full = small = (struct problem){0};
    struct adele_correct_desc correct = {p->n, c,     size,  size, ADELE_CORRECT_SINGLE, 0.8, 0.8,
                                         true, false, false, true};
    struct adele_correct_desc few_correct = correct;
    few_correct.n = 2;
    few_correct.h = few_correct.w = few;
    problem_correct(&correct, &full);
    problem_correct(&few_correct, &small);
    run_pipeline_case(bench, "correct", p, shape, &full, &small);

    full = small = (struct problem){0};
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
