// SPDX-License-Identifier: MIT
// A problem of the op loss: random logits, labels and weights, and what the op writes, on a device
// and by the reference. Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_LOSS_PROBLEM_H
#define ADELE_TESTS_LOSS_PROBLEM_H

#include "support/devices.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOSS_SCALES 4
#define LOSS_SET    8 // images in the set that predictions are stored for

struct loss_problem {
    struct adele_loss_desc desc;
    float *logits[LOSS_SCALES], *scale_weights;
    float *class_weights; // (C); NULL: none
    uint8_t *labels, *noisy, *truth;
    const int32_t *ids;
    int n_batches;
};

struct loss_outputs {
    float *d_logits[LOSS_SCALES], *d_scale_weights, *mixture, *foreground, *background;
    uint8_t *image_mask, *prediction;
    int64_t counts[ADELE_COUNT_SIZE];
    double sums[ADELE_SUM_COUNT];
    int32_t is_finite;
};

// Pixels of n images of the labels' size.
size_t loss_pixels(const struct loss_problem *p, int n);
// The shape of the logits of scale k.
struct adele_shape loss_scale_shape(const struct loss_problem *p, int k);
// The shape with a form, and with lambda 0.7, rho 0.8 and the divisor 3.
struct adele_loss_desc loss_with_form(struct adele_loss_desc desc, enum adele_loss_form form,
                                      bool learn);
// Logits of -size to size.
struct loss_problem loss_problem_make(struct arena *arena, struct adele_loss_desc desc, double size,
                                      bool has_truth);

// Outputs as they are before the op: what accumulates starts at 2, rows of the set at 0.
void loss_start_outputs(struct arena *arena, const struct loss_problem *p,
                        struct loss_outputs *out);
// The arguments of the op on the arena's device, all but the workspace.
void loss_upload(struct arena *arena, const struct loss_problem *p,
                 const struct loss_outputs *start, bool has_gradient, struct adele_loss_args *args);
// What the device writes, and what the reference does.
void loss_run(struct arena *arena, const struct loss_problem *p, bool has_gradient,
              struct loss_outputs *out);
void loss_run_reference(struct arena *arena, const struct loss_problem *p,
                        struct loss_outputs *out);
// The sums agree up to a share of each, and so does whether all is finite.
void loss_check_sums(const struct loss_outputs *got, const struct loss_outputs *want,
                     double tolerance);

#endif
