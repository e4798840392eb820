// SPDX-License-Identifier: MIT
// Cases of the ops around the network.
#include "selftest/cases.h"

enum { LOOSE_PIXELS = 2 }; // of some thousand may lie on the edge of a decision

void case_loss(struct trial *trial, const void *from) {
    const struct adele_loss_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->loss_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    size_t n_scales = (size_t)desc->n_scales;
    trial->n_loose = LOOSE_PIXELS;
    struct adele_loss_args args = {
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
        args.logits[k] = trial_tensor(trial, shape, -2.0, 2.0);
        args.d_logits[k] = trial_tensor_out(trial, "d_logits", shape);
    }
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->loss_forward(trial->op, &args));
}

void case_dice(struct trial *trial, const void *from) {
    const struct adele_dice_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->dice_create(device, desc, &trial->op)))
        return;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    struct adele_shape shape = {desc->n, desc->c, desc->h_logits, desc->w_logits};
    struct adele_dice_args args = {.logits = trial_tensor(trial, shape, -2.0, 2.0),
                                   .d_logits = trial_tensor_out(trial, "d_logits", shape),
                                   .labels = trial_bytes(trial, n_pixels, desc->c),
                                   .sums = trial_sum(trial, "sums", TRIAL_DOUBLE, ADELE_SUM_COUNT),
                                   .workspace = trial_workspace(trial)};
    size_t bytes = device->iface->tensor_bytes(device, shape);
    if (trial->status == ADELE_OK) // gradients are added to it
        (void)trial_check(trial, device->iface->fill(device, args.d_logits, 0, bytes));
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->dice_forward(trial->op, &args));
}

// One update, and one that is skipped because the loss is not finite.
void case_sgd(struct trial *trial, const void *from) {
    const struct adele_sgd_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->sgd_create(device, desc, &trial->op)))
        return;
    const struct adele_sgd_segment *last = &desc->segments[desc->n_segments - 1];
    size_t count = (size_t)(last->offset + last->count);
    int32_t is_finite[2] = {1, 0};
    int32_t *on_device = trial_upload(trial, is_finite, sizeof is_finite);
    struct adele_sgd_args args = {.weights = trial_sum(trial, "weights", TRIAL_FLOAT, count),
                                  .gradients = trial_floats(trial, count, -1.0, 1.0),
                                  .momenta = trial_sum(trial, "momenta", TRIAL_FLOAT, count),
                                  .rate = 0.1f,
                                  .momentum = 0.9f,
                                  .health =
                                      trial_sum(trial, "health", TRIAL_INT64, ADELE_HEALTH_COUNT),
                                  .state = trial_sum(trial, "state", TRIAL_FLOAT, 40),
                                  .kept = trial_out(trial, "kept", TRIAL_FLOAT, 40),
                                  .n_kept = 40,
                                  .loss_is_finite = on_device,
                                  .average = trial_sum(trial, "average", TRIAL_FLOAT, count),
                                  .average_decay = 0.75f};
    for (int update = 0; update < 2 && trial->status == ADELE_OK; update++) {
        args.loss_is_finite = on_device + update;
        (void)trial_check(trial, device->iface->sgd_forward(trial->op, &args));
    }
}

// The same with AdamW.
void case_adamw(struct trial *trial, const void *from) {
    const struct adele_adamw_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->adamw_create(device, desc, &trial->op)))
        return;
    const struct adele_sgd_segment *last = &desc->segments[desc->n_segments - 1];
    size_t count = (size_t)(last->offset + last->count);
    int32_t is_finite[2] = {1, 0};
    int32_t *on_device = trial_upload(trial, is_finite, sizeof is_finite);
    struct adele_adamw_args args = {.weights = trial_sum(trial, "weights", TRIAL_FLOAT, count),
                                    .gradients = trial_floats(trial, count, -1.0, 1.0),
                                    .first = trial_sum(trial, "first", TRIAL_FLOAT, count),
                                    .second = trial_sum(trial, "second", TRIAL_FLOAT, count),
                                    .n_updates = trial_sum(trial, "n_updates", TRIAL_INT64, 1),
                                    .rate = 0.1f,
                                    .beta1 = 0.9,
                                    .beta2 = 0.99,
                                    .eps = 1e-8f,
                                    .health =
                                        trial_sum(trial, "health", TRIAL_INT64, ADELE_HEALTH_COUNT),
                                    .state = trial_sum(trial, "state", TRIAL_FLOAT, 40),
                                    .kept = trial_out(trial, "kept", TRIAL_FLOAT, 40),
                                    .n_kept = 40,
                                    .average = trial_sum(trial, "average", TRIAL_FLOAT, count),
                                    .average_decay = 0.75f};
    if (trial->status == ADELE_OK) // mean squares are not negative
        (void)trial_check(trial,
                          device->iface->fill(device, args.second, 0, count * sizeof(float)));
    for (int update = 0; update < 2 && trial->status == ADELE_OK; update++) {
        args.loss_is_finite = on_device + update;
        (void)trial_check(trial, device->iface->adamw_forward(trial->op, &args));
    }
}

// A sum, and a sum into the first of its vectors.
void case_combine(struct trial *trial, const void *from) {
    const struct adele_combine_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->combine_create(device, desc, &trial->op)))
        return;
    size_t count = (size_t)desc->n_floats;
    struct adele_combine_args args = {.a = trial_floats(trial, count, -1.0, 1.0),
                                      .b = trial_floats(trial, count, -1.0, 1.0),
                                      .out = trial_out(trial, "out", TRIAL_FLOAT, count),
                                      .scale = 0.25f};
    for (int sum = 0; sum < 2 && trial->status == ADELE_OK; sum++) {
        (void)trial_check(trial, device->iface->combine_forward(trial->op, &args));
        args.a = args.out;
    }
}

// Two steps towards the same values.
void case_average(struct trial *trial, const void *from) {
    const struct adele_average_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->average_create(device, desc, &trial->op)))
        return;
    size_t count = (size_t)desc->n_floats;
    struct adele_average_args args = {.average = trial_sum(trial, "average", TRIAL_FLOAT, count),
                                      .values = trial_floats(trial, count, -1.0, 1.0),
                                      .decay = 0.75f};
    for (int step = 0; step < 2 && trial->status == ADELE_OK; step++)
        (void)trial_check(trial, device->iface->average_forward(trial->op, &args));
}

void case_initialize(struct trial *trial, const void *from) {
    const struct adele_initialize_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->initialize_create(device, desc, &trial->op)))
        return;
    const struct adele_initialize_item *last = &desc->items[desc->n_items - 1];
    struct adele_initialize_args args = {
        trial_out(trial, "values", TRIAL_FLOAT, (size_t)(last->offset + last->count))};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->initialize_forward(trial->op, &args));
}

void case_sample(struct trial *trial, const void *from) {
    enum { N_SET = 3 };
    const struct adele_sample_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->sample_create(device, desc, &trial->op)))
        return;
    static const int32_t ids[] = {2, 0, -1, 1};
    size_t map = (size_t)desc->h * (size_t)desc->w, planes = N_SET * (size_t)desc->c;
    size_t n_pixels = (size_t)desc->n * map;
    trial->n_loose = LOOSE_PIXELS;
    struct adele_sample_args args = {.set = {.pixel = ADELE_PIXEL_U8,
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
        args.images[k] = trial_tensor_out(trial, "images", shape);
    }
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->sample_forward(trial->op, &args));
}

void case_augment_intensity(struct trial *trial, const void *from) {
    const struct adele_augment_intensity_desc *desc = from;
    const struct adele_device *device = trial->device;
    if (!trial_check(trial, device->iface->augment_intensity_create(device, desc, &trial->op)))
        return;
    static const int32_t ids[] = {2, 0, -1};
    struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    struct adele_augment_intensity_args args = {.sample_ids = trial_upload(trial, ids, sizeof ids),
                                                .epoch = 3,
                                                .images = trial_tensor_sum(trial, "images", shape),
                                                .workspace = trial_workspace(trial)};
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, device->iface->augment_intensity_forward(trial->op, &args));
}
