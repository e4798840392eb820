// SPDX-License-Identifier: MIT
// Cases of the ops around the network.
#include "selftest/cases.h"

enum { LOOSE_PIXELS = 2 }; // of some thousand may lie on the edge of a decision

static void fill_loss(struct trial *trial, const struct adele_loss_desc *desc,
                      struct adele_loss_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t n_scales = (size_t)desc->n_scales;
    trial->n_loose = LOOSE_PIXELS;
    *args = (struct adele_loss_args){
        .scale_weights = trial_floats(trial, n_scales, -0.5, 0.5),
        .d_scale_weights = trial_sum(trial, "d_scale_weights", TRIAL_FLOAT, n_scales),
        .class_weights =
            desc->learn_scale_weights ? trial_floats(trial, (size_t)desc->c, 0.5, 2.0) : NULL,
        .labels = trial_bytes(trial, n_pixels, desc->c),
        .noisy = trial_bytes(trial, n_pixels, desc->c),
        .truth = trial_bytes(trial, n_pixels, desc->c),
        .counts = trial_sum(trial, "counts", TRIAL_INT64, ADELE_COUNT_SIZE),
        .sums = trial_sum(trial, "sums", TRIAL_DOUBLE, ADELE_SUM_COUNT),
        .mixture = trial_out(trial, "mixture", TRIAL_FLOAT, n_pixels * (size_t)desc->c),
        .image_mask = trial_out(trial, "image_mask", TRIAL_BYTE, (size_t)desc->n),
        .prediction = trial_out(trial, "prediction", TRIAL_BYTE, n_pixels),
        .confidence_foreground = trial_out(trial, "confidence_foreground", TRIAL_FLOAT, n_pixels),
        .confidence_background = trial_out(trial, "confidence_background", TRIAL_FLOAT, n_pixels),
        .workspace = trial_workspace(trial)};
    for (int k = 0; k < desc->n_scales; k++) {
        struct adele_shape shape = {desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        args->logits[k] = trial_tensor(trial, shape, -2.0, 2.0);
        args->d_logits[k] = trial_tensor_out(trial, "d_logits", shape);
    }
}
CASE(loss)

static void fill_dice(struct trial *trial, const struct adele_dice_desc *desc,
                      struct adele_dice_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    struct adele_shape shape = {desc->n, desc->c, desc->h_logits, desc->w_logits};
    *args =
        (struct adele_dice_args){.logits = trial_tensor(trial, shape, -2.0, 2.0),
                                 .d_logits = trial_tensor_out(trial, "d_logits", shape),
                                 .labels = trial_bytes(trial, n_pixels, desc->c),
                                 .sums = trial_sum(trial, "sums", TRIAL_DOUBLE, ADELE_SUM_COUNT),
                                 .workspace = trial_workspace(trial)};
    // Gradients are added to it.
    trial_clear(trial, args->d_logits, trial->device->iface->tensor_bytes(trial->device, shape));
}
CASE(dice)

// One update, and one that is skipped because the loss is not finite.
static void fill_sgd(struct trial *trial, const struct adele_sgd_desc *desc,
                     struct adele_sgd_args *args) {
    const struct adele_sgd_segment *last = &desc->segments[desc->n_segments - 1];
    size_t count = (size_t)(last->offset + last->count);
    const int32_t is_finite[2] = {1, 0};
    *args = (struct adele_sgd_args){
        .weights = trial_sum(trial, "weights", TRIAL_FLOAT, count),
        .gradients = trial_floats(trial, count, -1.0, 1.0),
        .momenta = trial_sum(trial, "momenta", TRIAL_FLOAT, count),
        .rate = 0.1f,
        .momentum = 0.9f,
        .health = trial_sum(trial, "health", TRIAL_INT64, ADELE_HEALTH_COUNT),
        .state = trial_sum(trial, "state", TRIAL_FLOAT, 40),
        .kept = trial_out(trial, "kept", TRIAL_FLOAT, 40),
        .n_kept = 40,
        .loss_is_finite = trial_upload(trial, is_finite, sizeof is_finite),
        .average = trial_sum(trial, "average", TRIAL_FLOAT, count),
        .average_decay = 0.75f};
}
CASE_TWICE(sgd, args.loss_is_finite++)

// The same with AdamW.
static void fill_adamw(struct trial *trial, const struct adele_adamw_desc *desc,
                       struct adele_adamw_args *args) {
    const struct adele_sgd_segment *last = &desc->segments[desc->n_segments - 1];
    size_t count = (size_t)(last->offset + last->count);
    const int32_t is_finite[2] = {1, 0};
    *args = (struct adele_adamw_args){
        .weights = trial_sum(trial, "weights", TRIAL_FLOAT, count),
        .gradients = trial_floats(trial, count, -1.0, 1.0),
        .first = trial_sum(trial, "first", TRIAL_FLOAT, count),
        .second = trial_sum(trial, "second", TRIAL_FLOAT, count),
        .n_updates = trial_sum(trial, "n_updates", TRIAL_INT64, 1),
        .rate = 0.1f,
        .beta1 = 0.9,
        .beta2 = 0.99,
        .eps = 1e-8f,
        .health = trial_sum(trial, "health", TRIAL_INT64, ADELE_HEALTH_COUNT),
        .state = trial_sum(trial, "state", TRIAL_FLOAT, 40),
        .kept = trial_out(trial, "kept", TRIAL_FLOAT, 40),
        .n_kept = 40,
        .loss_is_finite = trial_upload(trial, is_finite, sizeof is_finite),
        .average = trial_sum(trial, "average", TRIAL_FLOAT, count),
        .average_decay = 0.75f};
    trial_clear(trial, args->second, count * sizeof(float)); // mean squares are not negative
}
CASE_TWICE(adamw, args.loss_is_finite++)

// A sum, and a sum into the first of its vectors.
static void fill_combine(struct trial *trial, const struct adele_combine_desc *desc,
                         struct adele_combine_args *args) {
    size_t count = (size_t)desc->n_floats;
    *args = (struct adele_combine_args){.a = trial_floats(trial, count, -1.0, 1.0),
                                        .b = trial_floats(trial, count, -1.0, 1.0),
                                        .out = trial_out(trial, "out", TRIAL_FLOAT, count),
                                        .scale = 0.25f};
}
CASE_TWICE(combine, args.a = args.out)

// Two steps towards the same values.
static void fill_average(struct trial *trial, const struct adele_average_desc *desc,
                         struct adele_average_args *args) {
    size_t count = (size_t)desc->n_floats;
    *args = (struct adele_average_args){.average = trial_sum(trial, "average", TRIAL_FLOAT, count),
                                        .values = trial_floats(trial, count, -1.0, 1.0),
                                        .decay = 0.75f};
}
CASE_TWICE(average, )

static void fill_initialize(struct trial *trial, const struct adele_initialize_desc *desc,
                            struct adele_initialize_args *args) {
    const struct adele_initialize_item *last = &desc->items[desc->n_items - 1];
    *args = (struct adele_initialize_args){
        trial_out(trial, "values", TRIAL_FLOAT, (size_t)(last->offset + last->count))};
}
CASE(initialize)

static void fill_sample(struct trial *trial, const struct adele_sample_desc *desc,
                        struct adele_sample_args *args) {
    enum { N_SET = 3 };
    static const int32_t ids[] = {2, 0, -1, 1};
    size_t map = (size_t)desc->h * (size_t)desc->w, planes = N_SET * (size_t)desc->c;
    size_t n_pixels = (size_t)desc->n * map;
    trial->n_loose = LOOSE_PIXELS;
    *args = (struct adele_sample_args){.set = {.pixel = ADELE_PIXEL_U8,
                                               .n_images = N_SET,
                                               .c = desc->c,
                                               .h = desc->h,
                                               .w = desc->w,
                                               .images = trial_bytes(trial, planes * map, 256),
                                               .mean = trial_floats(trial, planes, 100.0, 130.0),
                                               .inv_std = trial_floats(trial, planes, 0.01, 0.03),
                                               .labels = trial_bytes(trial, N_SET * map, 5),
                                               .noisy = trial_bytes(trial, N_SET * map, 5),
                                               .truth = trial_bytes(trial, N_SET * map, 5)},
                                       .sample_ids = trial_upload(trial, ids, sizeof ids),
                                       .epoch = 3,
                                       .labels = trial_out(trial, "labels", TRIAL_BYTE, n_pixels),
                                       .noisy = trial_out(trial, "noisy", TRIAL_BYTE, n_pixels),
                                       .truth = trial_out(trial, "truth", TRIAL_BYTE, n_pixels),
                                       .workspace = trial_workspace(trial)};
    for (int k = 0; k < desc->n_scales; k++) {
        struct adele_shape shape = {desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        args->images[k] = trial_tensor_out(trial, "images", shape);
    }
}
CASE(sample)

static void fill_augment_intensity(struct trial *trial,
                                   const struct adele_augment_intensity_desc *desc,
                                   struct adele_augment_intensity_args *args) {
    static const int32_t ids[] = {2, 0, -1};
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    *args =
        (struct adele_augment_intensity_args){.sample_ids = trial_upload(trial, ids, sizeof ids),
                                              .epoch = 3,
                                              .images = trial_tensor_sum(trial, "images", shape),
                                              .workspace = trial_workspace(trial)};
}
CASE(augment_intensity)
