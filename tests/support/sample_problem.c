// SPDX-License-Identifier: MIT
#include "support/sample_problem.h"

#include "support/maps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

size_t sample_problem_pixels(const struct sample_problem *p) {
    return (size_t)p->desc.h * (size_t)p->desc.w;
}

static size_t set_pixels(const struct sample_problem *p) {
    return (size_t)p->set.h * (size_t)p->set.w;
}

struct sample_problem sample_problem_sized(struct arena *arena, struct adele_sample_desc desc,
                                           int h, int w, enum adele_pixel pixel,
                                           const int32_t *ids) {
    struct sample_problem p = {.desc = desc, .ids = ids, .epoch = 3};
    size_t planes = (size_t)SAMPLE_PROBLEM_SET * (size_t)desc.c, map = (size_t)h * (size_t)w;
    size_t count = planes * map;
    p.set = (struct adele_sample_set){.pixel = pixel,
                                      .n_images = SAMPLE_PROBLEM_SET,
                                      .c = desc.c,
                                      .h = h,
                                      .w = w,
                                      .mean = arena_random(arena, 1, planes, 100.0, 130.0),
                                      .inv_std = arena_random(arena, 2, planes, 0.01, 0.03)};
    uint8_t *images = maps_random(arena, 3, count * 2, 256, 0.0);
    for (size_t i = 0; i < count && pixel == ADELE_PIXEL_F16; i++)
        images[2 * i + 1] = images[2 * i + 1] % 0x5c; // exponents up to 22: 255 at most
    p.set.images = images;
    p.set.labels = maps_random(arena, 4, (size_t)SAMPLE_PROBLEM_SET * map, 5, 0.1);
    p.set.noisy = maps_random(arena, 5, (size_t)SAMPLE_PROBLEM_SET * map, 5, 0.1);
    p.set.truth = maps_random(arena, 6, (size_t)SAMPLE_PROBLEM_SET * map, 5, 0.0);
    return p;
}

struct sample_problem sample_problem_make(struct arena *arena, struct adele_sample_desc desc,
                                          enum adele_pixel pixel, const int32_t *ids) {
    return sample_problem_sized(arena, desc, desc.h, desc.w, pixel, ids);
}

struct adele_shape sample_problem_shape(const struct sample_problem *p, int k) {
    struct adele_shape shape = {p->desc.n, p->desc.c, p->desc.h_scale[k], p->desc.w_scale[k]};
    return shape;
}

static struct adele_sample_set upload_set(struct arena *arena, const struct sample_problem *p) {
    struct adele_sample_set set = p->set;
    size_t planes = (size_t)SAMPLE_PROBLEM_SET * (size_t)set.c,
           labels = (size_t)SAMPLE_PROBLEM_SET * set_pixels(p);
    set.images = arena_upload(arena, p->set.images,
                              planes * set_pixels(p) * (set.pixel == ADELE_PIXEL_U8 ? 1 : 2));
    set.mean = arena_upload(arena, p->set.mean, planes * sizeof(float));
    set.inv_std = arena_upload(arena, p->set.inv_std, planes * sizeof(float));
    set.labels = arena_upload(arena, p->set.labels, labels);
    set.noisy = arena_upload(arena, p->set.noisy, labels);
    set.truth = arena_upload(arena, p->set.truth, labels);
    return set;
}

// The images of the rows alone, those of empty rows all ones.
static void gather_batch(struct arena *arena, const struct sample_problem *p,
                         struct adele_sample_args *args) {
    size_t image = (size_t)p->set.c * set_pixels(p) * (p->set.pixel == ADELE_PIXEL_U8 ? 1u : 2u);
    uint8_t *batch = maps_empty(arena, (size_t)p->desc.n * image);
    for (int n = 0; n < p->desc.n; n++)
        if (p->ids[n] >= 0)
            memcpy(batch + (size_t)n * image,
                   (const uint8_t *)p->set.images + (size_t)p->ids[n] * image, image);
        else
            memset(batch + (size_t)n * image, 0xff, image);
    args->batch_images = arena_upload(arena, batch, (size_t)p->desc.n * image);
    args->set.images = NULL;
}

struct sample_outputs sample_problem_run(struct arena *arena, const struct sample_problem *p) {
    const struct adele_device *device = arena->device;
    size_t n_labels = (size_t)p->desc.n * sample_problem_pixels(p);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->sample_create(device, &p->desc, &op), ADELE_OK);
    struct adele_sample_args args = {
        .set = upload_set(arena, p),
        .sample_ids = arena_upload(arena, p->ids, (size_t)p->desc.n * sizeof(int32_t)),
        .epoch = p->epoch,
        .flip = p->flip,
        .labels = arena_upload(arena, NULL, n_labels),
        .noisy = arena_upload(arena, NULL, n_labels),
        .truth = arena_upload(arena, NULL, n_labels),
        .workspace = arena_workspace(arena, op)};
    if (p->is_batch)
        gather_batch(arena, p, &args);
    for (int k = 0; k < p->desc.n_scales; k++)
        args.images[k] = arena_tensor(arena, sample_problem_shape(p, k), NULL);
    assert_int_equal(device->iface->sample_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    struct sample_outputs out = {.labels = maps_download(arena, args.labels, n_labels),
                                 .noisy = maps_download(arena, args.noisy, n_labels),
                                 .truth = maps_download(arena, args.truth, n_labels)};
    for (int k = 0; k < p->desc.n_scales; k++)
        out.images[k] = arena_tensor_download(arena, args.images[k], sample_problem_shape(p, k));
    return out;
}
