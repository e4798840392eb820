// SPDX-License-Identifier: MIT
#include "support/loss_problem.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/maps.h"
#include "support/outputs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

size_t loss_pixels(const struct loss_problem *p, int n) {
    return (size_t)n * (size_t)p->desc.h * (size_t)p->desc.w;
}

struct adele_shape loss_scale_shape(const struct loss_problem *p, int k) {
    struct adele_shape shape = {p->desc.n, p->desc.c, p->desc.h_scale[k], p->desc.w_scale[k]};
    return shape;
}

struct loss_problem loss_problem_make(struct arena *arena, struct adele_loss_desc desc, double size,
                                      bool has_truth) {
    static const int32_t ids[] = {6, -1, 0, 3, 5};
    struct loss_problem p = {.desc = desc, .ids = ids};
    for (int k = 0; k < desc.n_scales; k++)
        p.logits[k] = arena_random(arena, 10 + (uint64_t)k, shape_count(loss_scale_shape(&p, k)),
                                   -size, size);
    p.scale_weights = arena_random(arena, 20, LOSS_SCALES, -1.0, 1.0);
    p.labels = maps_random(arena, 21, loss_pixels(&p, desc.n), desc.c, 0.2);
    p.noisy = maps_random(arena, 22, loss_pixels(&p, desc.n), desc.c, 0.1);
    p.truth = has_truth ? maps_random(arena, 23, loss_pixels(&p, desc.n), desc.c, 0.1) : NULL;
    return p;
}

// Outputs as they are before the op: what accumulates starts at 2, rows of the set at 0.
void loss_start_outputs(struct arena *arena, const struct loss_problem *p,
                        struct loss_outputs *out) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < ADELE_COUNT_SIZE; i++)
        out->counts[i] = 2;
    for (int i = 0; i < ADELE_SUM_COUNT; i++)
        out->sums[i] = 2.0;
    out->is_finite = 7; // overwritten
    out->d_scale_weights = arena_random(arena, 0, LOSS_SCALES, 2.0, 2.0);
    for (int k = 0; k < p->desc.n_scales; k++)
        out->d_logits[k] = arena_floats(arena, shape_count(loss_scale_shape(p, k)));
    out->mixture = arena_floats(arena, loss_pixels(p, p->desc.n * p->desc.c));
    out->image_mask = maps_empty(arena, (size_t)p->desc.n);
    out->prediction = maps_empty(arena, loss_pixels(p, LOSS_SET));
    out->foreground = arena_floats(arena, loss_pixels(p, LOSS_SET));
    out->background = arena_floats(arena, loss_pixels(p, LOSS_SET));
}

void loss_upload(struct arena *arena, const struct loss_problem *p,
                 const struct loss_outputs *start, bool has_gradient,
                 struct adele_loss_args *args) {
    size_t n_labels = loss_pixels(p, p->desc.n), n_set = loss_pixels(p, LOSS_SET);
    for (int k = 0; k < p->desc.n_scales; k++) {
        args->logits[k] = arena_tensor(arena, loss_scale_shape(p, k), p->logits[k]);
        args->d_logits[k] = has_gradient ? arena_tensor(arena, loss_scale_shape(p, k), NULL) : NULL;
    }
    args->n_batches = p->n_batches;
    args->scale_weights = arena_upload(arena, p->scale_weights, LOSS_SCALES * sizeof(float));
    args->d_scale_weights =
        arena_upload(arena, start->d_scale_weights, LOSS_SCALES * sizeof(float));
    if (p->class_weights != NULL)
        args->class_weights =
            arena_upload(arena, p->class_weights, (size_t)p->desc.c * sizeof(float));
    args->labels = arena_upload(arena, p->labels, n_labels);
    args->noisy = arena_upload(arena, p->noisy, n_labels);
    args->truth = p->truth != NULL ? arena_upload(arena, p->truth, n_labels) : NULL;
    args->counts = arena_upload(arena, start->counts, sizeof start->counts);
    args->sums = arena_upload(arena, start->sums, sizeof start->sums);
    args->is_finite = arena_upload(arena, &start->is_finite, sizeof start->is_finite);
    args->mixture = arena_upload(arena, NULL, n_labels * (size_t)p->desc.c * sizeof(float));
    args->image_mask = arena_upload(arena, NULL, (size_t)p->desc.n);
    args->sample_ids = arena_upload(arena, p->ids, (size_t)p->desc.n * sizeof(int32_t));
    args->prediction = arena_upload(arena, start->prediction, n_set);
    args->confidence_foreground = arena_upload(arena, start->foreground, n_set * sizeof(float));
    args->confidence_background = arena_upload(arena, start->background, n_set * sizeof(float));
}

// An op of one pixel, made after another of the same kernel: it must not disturb that one (on CUDA,
// the shared memory that a kernel may take is a setting of the program's).
static struct adele_op *create_later(const struct adele_device *device,
                                     struct adele_loss_desc desc) {
    struct adele_op *op = NULL;
    desc.h = desc.w = 1;
    for (int k = 0; k < desc.n_scales; k++)
        desc.h_scale[k] = desc.w_scale[k] = 1;
    assert_int_equal(device->iface->loss_create(device, &desc, &op), ADELE_OK);
    return op;
}

void loss_run(struct arena *arena, const struct loss_problem *p, bool has_gradient,
              struct loss_outputs *out) {
    const struct adele_device *device = arena->device;
    struct adele_loss_args args = {0};
    struct adele_op *op = NULL, *later;
    loss_start_outputs(arena, p, out);
    loss_upload(arena, p, out, has_gradient, &args);
    assert_int_equal(device->iface->loss_create(device, &p->desc, &op), ADELE_OK);
    later = create_later(device, p->desc);
    args.workspace = arena_workspace(arena, op);
    assert_int_equal(device->iface->loss_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    device->iface->op_destroy(later);
    for (int k = 0; k < p->desc.n_scales && has_gradient; k++)
        out->d_logits[k] = arena_tensor_download(arena, args.d_logits[k], loss_scale_shape(p, k));
    out->d_scale_weights = arena_download(arena, args.d_scale_weights, LOSS_SCALES);
    out->mixture = arena_download(arena, args.mixture, loss_pixels(p, p->desc.n * p->desc.c));
    out->image_mask = maps_download(arena, args.image_mask, (size_t)p->desc.n);
    out->prediction = maps_download(arena, args.prediction, loss_pixels(p, LOSS_SET));
    out->foreground = arena_download(arena, args.confidence_foreground, loss_pixels(p, LOSS_SET));
    out->background = arena_download(arena, args.confidence_background, loss_pixels(p, LOSS_SET));
    assert_int_equal(device->iface->download(device, out->counts, args.counts, sizeof out->counts),
                     ADELE_OK);
    assert_int_equal(device->iface->download(device, out->sums, args.sums, sizeof out->sums),
                     ADELE_OK);
    assert_int_equal(
        device->iface->download(device, &out->is_finite, args.is_finite, sizeof out->is_finite),
        ADELE_OK);
    outputs_add(out->sums, sizeof out->sums);
    outputs_add(out->counts, sizeof out->counts);
}

void loss_run_reference(struct arena *arena, const struct loss_problem *p,
                        struct loss_outputs *out) {
    loss_start_outputs(arena, p, out);
    struct adele_loss_args args = {.scale_weights = p->scale_weights,
                                   .d_scale_weights = out->d_scale_weights,
                                   .class_weights = p->class_weights,
                                   .n_batches = p->n_batches,
                                   .labels = p->labels,
                                   .noisy = p->noisy,
                                   .truth = p->truth,
                                   .counts = out->counts,
                                   .sums = out->sums,
                                   .is_finite = &out->is_finite,
                                   .mixture = out->mixture,
                                   .image_mask = out->image_mask,
                                   .sample_ids = p->ids,
                                   .prediction = out->prediction,
                                   .confidence_foreground = out->foreground,
                                   .confidence_background = out->background};
    for (int k = 0; k < p->desc.n_scales; k++) {
        args.logits[k] = p->logits[k];
        args.d_logits[k] = out->d_logits[k];
    }
    reference_loss_forward(&p->desc, &args);
}

void loss_check_sums(const struct loss_outputs *got, const struct loss_outputs *want,
                     double tolerance) {
    assert_int_equal(got->is_finite, want->is_finite);
    for (int i = 0; i < ADELE_SUM_COUNT; i++)
        if (!(fabs(got->sums[i] - want->sums[i]) <= tolerance * fabs(want->sums[i])))
            fail_msg("sum %d: got %.9g, want %.9g", i, got->sums[i], want->sums[i]);
}

struct adele_loss_desc loss_with_form(struct adele_loss_desc desc, enum adele_loss_form form,
                                      bool learn) {
    desc.form = form;
    desc.lambda = 0.7;
    desc.rho = 0.8;
    desc.divisor = 3.0;
    desc.learn_scale_weights = learn;
    return desc;
}
