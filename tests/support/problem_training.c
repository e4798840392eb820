// SPDX-License-Identifier: MIT
// The problems of the ops of device/training_ops.h.
#include "support/problem.h"

void problem_loss(const struct adele_loss_desc *desc, struct problem *out) {
    int n_pixels = desc->n * desc->h * desc->w;
    PROBLEM(out, loss, desc, 1e-3);
    WORKSPACE(out, loss);
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

void problem_dice(const struct adele_dice_desc *desc, struct problem *out) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    PROBLEM(out, dice, desc, 1e-4);
    WORKSPACE(out, dice);
    TENSOR(out, dice, logits, READ_F, desc->n, desc->c, desc->h_logits, desc->w_logits);
    TENSOR(out, dice, d_logits, READ_F | WRITE_F, desc->n, desc->c, desc->h_logits, desc->w_logits);
    PLAIN(out, dice, labels, FIELD_BYTES, READ_F, n_pixels);
    problem_range(out, 0, desc->c - 1);
    PLAIN(out, dice, sums, FIELD_DOUBLES, READ_F | WRITE_F, ADELE_SUM_COUNT);
}

void problem_sgd(const struct adele_sgd_desc *desc, struct problem *out) {
    int64_t count = 0;
    for (int i = 0; i < desc->n_segments; i++)
        if (desc->segments[i].offset + desc->segments[i].count > count)
            count = desc->segments[i].offset + desc->segments[i].count;
    PROBLEM(out, sgd, desc, 1e-6);
    out->args.sgd.rate = 0.01F;
    out->args.sgd.momentum = 0.9F;
    PLAIN(out, sgd, weights, FIELD_FLOATS, READ_F | WRITE_F, count);
    PLAIN(out, sgd, gradients, FIELD_FLOATS, READ_F, count);
    PLAIN(out, sgd, momenta, FIELD_FLOATS, READ_F | WRITE_F, count);
}

void problem_adamw(const struct adele_adamw_desc *desc, struct problem *out) {
    struct problem sgd = {0};
    problem_sgd(&(const struct adele_sgd_desc){desc->n_segments, desc->segments}, &sgd);
    int64_t count = (int64_t)sgd.fields[0].count;
    PROBLEM(out, adamw, desc, 1e-6);
    out->args.adamw =
        (struct adele_adamw_args){.rate = 0.01F, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8F};
    PLAIN(out, adamw, weights, FIELD_FLOATS, READ_F | WRITE_F, count);
    PLAIN(out, adamw, gradients, FIELD_FLOATS, READ_F, count);
    PLAIN(out, adamw, first, FIELD_FLOATS, READ_F | WRITE_F, count);
    PLAIN(out, adamw, second, FIELD_FLOATS, READ_F | WRITE_F, count);
    problem_range(out, 0.0, 1.0); // mean squares
    PLAIN(out, adamw, n_updates, FIELD_COUNTS, READ_F | WRITE_F, 1);
}

void problem_combine(const struct adele_combine_desc *desc, struct problem *out) {
    PROBLEM(out, combine, desc, 1e-6);
    out->args.combine.scale = 0.25F;
    PLAIN(out, combine, a, FIELD_FLOATS, READ_F, desc->n_floats);
    PLAIN(out, combine, b, FIELD_FLOATS, READ_F, desc->n_floats);
    PLAIN(out, combine, out, FIELD_FLOATS, WRITE_F, desc->n_floats);
}

void problem_average(const struct adele_average_desc *desc, struct problem *out) {
    PROBLEM(out, average, desc, 1e-6);
    out->args.average.decay = 0.99F;
    PLAIN(out, average, average, FIELD_FLOATS, READ_F | WRITE_F, desc->n_floats);
    PLAIN(out, average, values, FIELD_FLOATS, READ_F, desc->n_floats);
}

void problem_pack(const struct adele_pack_desc *desc, struct problem *out) {
    int64_t n_weights = 0, bytes = 0;
    for (int i = 0; i < desc->n_items; i++) {
        const struct adele_pack_item *item = &desc->items[i];
        int64_t count = (int64_t)item->c_out * item->c_in * item->kernel * item->kernel;
        if (item->weight + count > n_weights)
            n_weights = item->weight + count;
        if (item->packed + item->bytes > bytes)
            bytes = item->packed + item->bytes;
    }
    PROBLEM(out, pack, desc, 0.0);
    PLAIN(out, pack, weights, FIELD_FLOATS, READ_F, n_weights);
    PLAIN(out, pack, packed, FIELD_BYTES, WRITE_F, bytes);
}

void problem_initialize(const struct adele_initialize_desc *desc, struct problem *out) {
    int64_t count = 0;
    for (int i = 0; i < desc->n_items; i++)
        count += desc->items[i].count;
    PROBLEM(out, initialize, desc, 1e-6);
    PLAIN(out, initialize, values, FIELD_FLOATS, WRITE_F, count);
}

#define SET_BATCHES 8 // the set is so many batches large

void problem_sample(const struct adele_sample_desc *desc, struct problem *out) {
    size_t n_set = (size_t)desc->n * SET_BATCHES, plane = (size_t)desc->h * (size_t)desc->w;
    size_t bytes = desc->c == 1 ? 2 : 1;
    PROBLEM(out, sample, desc, 2e-4);
    WORKSPACE(out, sample);
    out->args.sample.epoch = 3;
    out->args.sample.set =
        (struct adele_sample_set){.pixel = desc->c == 1 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8,
                                  .n_images = (int)n_set,
                                  .c = desc->c,
                                  .h = desc->h,
                                  .w = desc->w};
    PLAIN(out, sample, set.images, FIELD_BYTES, READ_F, n_set * (size_t)desc->c * plane * bytes);
    problem_range(out, 0, desc->c == 1 ? 0x5b : 255); // as halves: 0 to 255
    problem_last(out)->moved_count = (size_t)(desc->n * desc->c) * plane * bytes;
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

void problem_augment_intensity(const struct adele_augment_intensity_desc *desc,
                               struct problem *out) {
    PROBLEM(out, augment_intensity, desc, 1e-3);
    WORKSPACE(out, augment_intensity);
    out->args.augment_intensity.epoch = 3;
    PLAIN(out, augment_intensity, sample_ids, FIELD_INTS, READ_F, desc->n);
    problem_range(out, 0, desc->n - 1);
    TENSOR(out, augment_intensity, images, READ_F | WRITE_F, desc->n, desc->c, desc->h, desc->w);
    problem_range(out, -2.0, 2.0);
}
