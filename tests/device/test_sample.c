// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/maps.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_SET 5

struct problem {
    struct adele_sample_desc desc;
    struct adele_sample_set set; // on the host
    const int32_t *ids;
    uint32_t epoch;
    bool flip;
    bool is_batch; // images come as batch_images
};
struct outputs {
    float *images[ADELE_MAX_SCALES];
    uint8_t *labels, *noisy, *truth;
};

static size_t image_pixels(const struct problem *p) {
    return (size_t)p->desc.h * (size_t)p->desc.w;
}

static size_t set_pixels(const struct problem *p) {
    return (size_t)p->set.h * (size_t)p->set.w;
}

static struct problem make_sized(struct arena *arena, struct adele_sample_desc desc, int h, int w,
                                 enum adele_pixel pixel, const int32_t *ids) {
    struct problem p = {.desc = desc, .ids = ids, .epoch = 3};
    size_t planes = (size_t)N_SET * (size_t)desc.c, map = (size_t)h * (size_t)w;
    size_t count = planes * map;
    p.set = (struct adele_sample_set){.pixel = pixel,
                                      .n_images = N_SET,
                                      .c = desc.c,
                                      .h = h,
                                      .w = w,
                                      .mean = arena_random(arena, 1, planes, 100.0, 130.0),
                                      .inv_std = arena_random(arena, 2, planes, 0.01, 0.03)};
    uint8_t *images = maps_random(arena, 3, count * 2, 256, 0.0);
    for (size_t i = 0; i < count && pixel == ADELE_PIXEL_F16; i++)
        images[2 * i + 1] = images[2 * i + 1] % 0x5c; // exponents up to 22: 255 at most
    p.set.images = images;
    p.set.labels = maps_random(arena, 4, (size_t)N_SET * map, 5, 0.1);
    p.set.noisy = maps_random(arena, 5, (size_t)N_SET * map, 5, 0.1);
    p.set.truth = maps_random(arena, 6, (size_t)N_SET * map, 5, 0.0);
    return p;
}

static struct problem make_problem(struct arena *arena, struct adele_sample_desc desc,
                                   enum adele_pixel pixel, const int32_t *ids) {
    return make_sized(arena, desc, desc.h, desc.w, pixel, ids);
}

static struct adele_shape shape_of(const struct problem *p, int k) {
    struct adele_shape shape = {p->desc.n, p->desc.c, p->desc.h_scale[k], p->desc.w_scale[k]};
    return shape;
}

static struct adele_sample_set upload_set(struct arena *arena, const struct problem *p) {
    struct adele_sample_set set = p->set;
    size_t planes = (size_t)N_SET * (size_t)set.c, labels = (size_t)N_SET * set_pixels(p);
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
static void gather_batch(struct arena *arena, const struct problem *p,
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

static struct outputs run(struct arena *arena, const struct problem *p) {
    const struct adele_device *device = arena->device;
    size_t n_labels = (size_t)p->desc.n * image_pixels(p);
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
        args.images[k] = arena_tensor(arena, shape_of(p, k), NULL);
    assert_int_equal(device->iface->sample_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    struct outputs out = {.labels = maps_download(arena, args.labels, n_labels),
                          .noisy = maps_download(arena, args.noisy, n_labels),
                          .truth = maps_download(arena, args.truth, n_labels)};
    for (int k = 0; k < p->desc.n_scales; k++)
        out.images[k] = arena_tensor_download(arena, args.images[k], shape_of(p, k));
    return out;
}

static struct outputs reference(struct arena *arena, const struct problem *p) {
    size_t n_labels = (size_t)p->desc.n * image_pixels(p);
    struct outputs out = {.labels = maps_empty(arena, n_labels),
                          .noisy = maps_empty(arena, n_labels),
                          .truth = maps_empty(arena, n_labels)};
    struct adele_sample_args args = {.set = p->set,
                                     .sample_ids = p->ids,
                                     .epoch = p->epoch,
                                     .flip = p->flip,
                                     .labels = out.labels,
                                     .noisy = out.noisy,
                                     .truth = out.truth};
    for (int k = 0; k < p->desc.n_scales; k++)
        args.images[k] = out.images[k] = arena_floats(arena, shape_count(shape_of(p, k)));
    reference_sample_forward(&p->desc, &args);
    return out;
}

static const int32_t some_ids[] = {4, -1, 0, 2};
static const struct adele_augment augment = {true, 45.0, 0.1, 0.8, 1.5, 0.5, ADELE_AUGMENT_AFFINE,
                                             0.0};
static const struct adele_augment voc_augment = {
    .enabled = true, .scale_low = 0.5, .scale_high = 1.5, .flip = 0.5, .kind = ADELE_AUGMENT_VOC};
// Sizes of 1, primes, and around the blocks of 8 and 16; up to four scales.
static const struct adele_sample_desc cases[] = {
    {1, 1, 1, 1, 1, {1}, {1}, {0}, 7},
    {4, 1, 13, 11, 3, {13, 9, 19}, {11, 7, 16}, {0}, 7},
    {2, 3, 16, 17, 3, {16, 11, 24}, {17, 11, 25}, {0}, 7},
    {3, 9, 7, 8, 4, {7, 1, 14, 8}, {8, 1, 3, 8}, {0}, 7},
    {1, 17, 31, 33, 2, {31, 33}, {33, 31}, {0}, 7},
    {1, 4, 32, 64, 3, {32, 31, 33}, {64, 65, 32}, {0}, 7}};

// Pixels of +-4.7 after normalization; sums of four products, half precision is exact. A bf16 image
// of another scale was rounded twice, by half of the 2^-5 between its numbers from 4 to 8.
static void check_equal(const struct arena *arena, const struct problem *p,
                        const struct outputs *got, const struct outputs *want) {
    double tolerance = arena_is_bf16(arena) ? 0x1p-5 : 4e-6;
    size_t n_labels = (size_t)p->desc.n * image_pixels(p);
    assert_true(compare_bytes("labels", got->labels, want->labels, n_labels));
    assert_true(compare_bytes("noisy", got->noisy, want->noisy, n_labels));
    assert_true(compare_bytes("truth", got->truth, want->truth, n_labels));
    for (int k = 0; k < p->desc.n_scales; k++)
        assert_true(compare_f32("image", got->images[k], want->images[k], p->desc.n, p->desc.c,
                                p->desc.h_scale[k], p->desc.w_scale[k], tolerance, 0.0));
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int flags = 0; flags < 8; flags++) {
            struct arena arena;
            arena_open(&arena, device);
            struct problem p = make_problem(&arena, cases[i],
                                            flags & 1 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8, some_ids);
            p.flip = (flags & 2) != 0;
            if (flags & 4)
                p.desc.augment = augment;
            struct outputs got = run(&arena, &p), want = reference(&arena, &p);
            check_equal(&arena, &p, &got, &want);
            arena_close(&arena);
        }
}

// One image of 1 x 3 pixels 10, 20, 40 with mean 10 and deviation 10, at its size and at 1 x 5.
static void check_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const uint8_t pixels[] = {10, 20, 40}, labels[] = {0, 1, 255}, other[] = {2, 2, 1};
    const float mean = 10.0f, inv_std = 0.1f;
    const int32_t ids[] = {0, -1};
    const struct adele_sample_desc desc = {2, 1, 1, 3, 2, {1, 1}, {3, 5}, {0}, 0};
    struct problem p = make_problem(&arena, desc, ADELE_PIXEL_U8, ids);
    memcpy((uint8_t *)(uintptr_t)p.set.images, pixels, 3);
    memcpy((uint8_t *)(uintptr_t)p.set.labels, labels, 3);
    memcpy((uint8_t *)(uintptr_t)p.set.noisy, other, 3);
    ((float *)(uintptr_t)p.set.mean)[0] = mean;
    ((float *)(uintptr_t)p.set.inv_std)[0] = inv_std;
    p.flip = true;
    struct outputs out = run(&arena, &p);
    assert_true(
        compare_f32("scale 0", out.images[0], (float[]){3, 1, 0, 0, 0, 0}, 2, 1, 1, 3, 1e-6, 0.0));
    assert_true(compare_f32("scale 1", out.images[1], (float[]){3, 2, 1, 0.5f, 0, 0, 0, 0, 0, 0}, 2,
                            1, 1, 5, 1e-6, 0.0));
    assert_memory_equal(out.labels, ((uint8_t[]){255, 1, 0, 255, 255, 255}), 6);
    assert_memory_equal(out.noisy, ((uint8_t[]){1, 2, 2, 255, 255, 255}), 6);
    arena_close(&arena);
}

// Special values of half precision: 1, -2, the smallest denormal, the largest number, -0.
static void check_half(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    const struct adele_sample_desc desc = {1, 1, 1, 5, 1, {1}, {5}, {0}, 0};
    const int32_t ids[] = {0};
    struct problem p = make_problem(&arena, desc, ADELE_PIXEL_F16, ids);
    const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000};
    memcpy((uint8_t *)(uintptr_t)p.set.images, halves, sizeof halves);
    ((float *)(uintptr_t)p.set.mean)[0] = 0.0f;
    ((float *)(uintptr_t)p.set.inv_std)[0] = 1.0f;
    struct outputs out = run(&arena, &p);
    assert_true(compare_f32("half", out.images[0], (float[]){1, -2, 0x1p-24f, 65504, 0}, 1, 1, 1, 5,
                            0.0, device_tolerance(device, 0.0)));
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, cases[1], ADELE_PIXEL_U8, some_ids);
    p.desc.augment = augment;
    struct outputs first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        struct outputs again = run(&arena, &p);
        first = n_threads == 1 ? again : first;
        for (int k = 0; k < 3; k++)
            assert_true(compare_bytes("threads", again.images[k], first.images[k],
                                      shape_count(shape_of(&p, k)) * sizeof(float)));
    }
    arena_close(&arena);
}

// Epoch, seed and id choose the draw; the row of the batch does not.
static void check_keys(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    static const int32_t ids[] = {1, 3, 1, 0}, others[] = {0, 1, 2, 3};
    struct problem p = make_problem(&arena, cases[1], ADELE_PIXEL_U8, ids);
    p.desc.augment = augment;
    size_t image = image_pixels(&p) * sizeof(float);
    struct outputs first = run(&arena, &p);
    assert_memory_equal(first.images[0], first.images[0] + 2 * image_pixels(&p), image);
    p.ids = others;
    struct outputs moved = run(&arena, &p);
    assert_memory_equal(moved.images[0] + image_pixels(&p), first.images[0], image);
    struct arena more; // an arena lends a limited number of buffers
    arena_open(&more, device);
    p.epoch++;
    struct outputs later = run(&more, &p);
    assert_memory_not_equal(later.images[0], moved.images[0], image);
    p.epoch--;
    p.desc.seed++;
    struct outputs seeded = run(&more, &p);
    assert_memory_not_equal(seeded.images[0], moved.images[0], image);
    arena_close(&more);
    arena_close(&arena);
}

// ---- the VOC augmentation -----------------------------------------------------------------------

// Crops larger and smaller than the set's images, and of their size; with and without colours.
static const struct {
    struct adele_sample_desc desc;
    int h, w; // of the set
    double hsv;
} voc_cases[] = {{{4, 3, 13, 11, 3, {13, 9, 19}, {11, 7, 16}, {0}, 7}, 17, 15, 10.0},
                 {{4, 3, 33, 31, 2, {33, 23}, {31, 21}, {0}, 9}, 17, 15, 180.0},
                 {{2, 1, 16, 17, 1, {16}, {17}, {0}, 7}, 16, 17, 0.0},
                 {{3, 9, 7, 8, 1, {7}, {8}, {0}, 7}, 12, 5, 0.0},
                 {{1, 3, 1, 1, 1, {1}, {1}, {0}, 7}, 1, 1, 10.0},
                 {{1, 3, 32, 65, 1, {32}, {65}, {0}, 7}, 40, 64, 10.0}};

// A hue is a quotient, and turns what rounding left of two close channels into a whole step of
// saturation: 1e-4 instead of 4e-6.
static void check_voc_equal(const struct arena *arena, const struct problem *p,
                            const struct outputs *got, const struct outputs *want) {
    double tolerance = arena_is_bf16(arena) ? 0x1p-5 : 1e-4;
    size_t n_labels = (size_t)p->desc.n * image_pixels(p);
    assert_true(compare_bytes("labels", got->labels, want->labels, n_labels));
    assert_true(compare_bytes("noisy", got->noisy, want->noisy, n_labels));
    assert_true(compare_bytes("truth", got->truth, want->truth, n_labels));
    for (int k = 0; k < p->desc.n_scales; k++)
        assert_true(compare_f32("image", got->images[k], want->images[k], p->desc.n, p->desc.c,
                                p->desc.h_scale[k], p->desc.w_scale[k], tolerance, 0.0));
}

static void check_voc(struct adele_device *device) {
    for (size_t i = 0; i < sizeof voc_cases / sizeof voc_cases[0]; i++)
        for (int flags = 0; flags < 4; flags++) {
            struct arena arena;
            arena_open(&arena, device);
            bool is_u8 = (flags & 1) == 0 || voc_cases[i].hsv > 0.0;
            struct problem p = make_sized(&arena, voc_cases[i].desc, voc_cases[i].h, voc_cases[i].w,
                                          is_u8 ? ADELE_PIXEL_U8 : ADELE_PIXEL_F16, some_ids);
            p.desc.augment = voc_augment;
            p.desc.augment.hsv = voc_cases[i].hsv;
            p.flip = (flags & 2) != 0;
            p.epoch = (uint32_t)(10 * i) + (uint32_t)flags;
            struct outputs got = run(&arena, &p), want = reference(&arena, &p);
            check_voc_equal(&arena, &p, &got, &want);
            arena_close(&arena);
        }
}

// Images that were brought for the batch give what those of the set give, to the bit: they are
// drawn for by their ids all the same.
static void check_batch_images(struct adele_device *device) {
    static const int32_t ids[] = {4, -1, 0, 2};
    for (int flags = 0; flags < 6; flags++) {
        struct arena arena, more;
        arena_open(&arena, device);
        arena_open(&more, device); // an arena lends a limited number of buffers
        bool is_voc = flags >= 4;
        struct problem p = is_voc ? make_sized(&arena, voc_cases[0].desc, voc_cases[0].h,
                                               voc_cases[0].w, ADELE_PIXEL_U8, ids)
                                  : make_problem(&arena, cases[1],
                                                 flags & 1 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8, ids);
        p.flip = (flags & 1) != 0;
        if (is_voc) {
            p.desc.augment = voc_augment;
            p.desc.augment.hsv = voc_cases[0].hsv;
        } else if (flags & 2) {
            p.desc.augment = augment;
        }
        struct outputs want = run(&arena, &p);
        p.is_batch = true;
        struct outputs got = run(&more, &p);
        size_t n_labels = (size_t)p.desc.n * image_pixels(&p);
        assert_true(compare_bytes("labels", got.labels, want.labels, n_labels));
        assert_true(compare_bytes("noisy", got.noisy, want.noisy, n_labels));
        assert_true(compare_bytes("truth", got.truth, want.truth, n_labels));
        for (int k = 0; k < p.desc.n_scales; k++)
            assert_true(compare_bytes("image", got.images[k], want.images[k],
                                      shape_count(shape_of(&p, k)) * sizeof(float)));
        arena_close(&more);
        arena_close(&arena);
    }
}

// Scale 1, no jitter: the crop shows a rectangle of the image as it is.
static void check_voc_literal(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    static const int32_t ids[] = {0};
    const struct adele_sample_desc desc = {1, 1, 2, 3, 1, {2}, {3}, {0}, 3};
    struct problem p = make_sized(&arena, desc, 4, 5, ADELE_PIXEL_U8, ids);
    for (int i = 0; i < 20; i++) {
        ((uint8_t *)(uintptr_t)p.set.images)[i] = (uint8_t)(i * 10);
        ((uint8_t *)(uintptr_t)p.set.labels)[i] = (uint8_t)i;
    }
    ((float *)(uintptr_t)p.set.mean)[0] = 0.0f;
    ((float *)(uintptr_t)p.set.inv_std)[0] = 1.0f;
    p.desc.augment = voc_augment;
    p.desc.augment.scale_low = p.desc.augment.scale_high = 1.0;
    p.desc.augment.flip = 0.0;
    struct outputs out = run(&arena, &p);
    int first = out.labels[0];
    assert_true(first % 5 <= 2 && first / 5 <= 2);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 3; x++) {
            assert_int_equal(out.labels[y * 3 + x], first + y * 5 + x);
            double difference = fabs(out.images[0][y * 3 + x] - 10.0 * (first + y * 5 + x));
            assert_true(difference <= (arena_is_bf16(&arena) ? 0.5 : 1e-3));
        }
    arena_close(&arena);
}

// A value's shift moves gray pixels alone, all by the same number of at most 10.
static void check_voc_gray(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    static const int32_t ids[] = {0};
    const struct adele_sample_desc desc = {1, 3, 2, 2, 1, {2}, {2}, {0}, 3};
    struct problem p = make_problem(&arena, desc, ADELE_PIXEL_U8, ids);
    memset((uint8_t *)(uintptr_t)p.set.images, 100, 12);
    for (int c = 0; c < 3; c++) {
        ((float *)(uintptr_t)p.set.mean)[c] = 100.0f;
        ((float *)(uintptr_t)p.set.inv_std)[c] = 1.0f;
    }
    p.desc.augment = voc_augment;
    p.desc.augment.scale_low = p.desc.augment.scale_high = 1.0;
    p.desc.augment.hsv = 10.0;
    struct outputs out = run(&arena, &p);
    float shift = out.images[0][0];
    assert_true(fabsf(shift) > 0.01f && fabsf(shift) <= 10.0f);
    for (int i = 1; i < 12; i++)
        assert_true(out.images[0][i] == shift);
    arena_close(&arena);
}

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_sample_desc bad[12];
    for (int i = 0; i < 12; i++)
        bad[i] = cases[1];
    bad[0].n = 0;
    bad[1].c = -1;
    bad[2].h = 0;
    bad[3].n_scales = 0;
    bad[4].n_scales = ADELE_MAX_SCALES + 1;
    bad[5].h_scale[0]++;
    bad[6].w_scale[2] = 0;
    bad[7].augment = (struct adele_augment){.enabled = true, .scale_high = 1.0};
    bad[8].augment = augment;
    bad[8].augment.rotate_degrees = (double)NAN;
    for (int i = 9; i < 12; i++)
        bad[i].augment = voc_augment;
    bad[9].augment.kind = (enum adele_augment_kind)2;
    bad[10].augment.hsv = 1.0; // one channel
    bad[11].augment.hsv = (double)NAN;
    for (int i = 0; i < 12; i++) {
        struct adele_op *op = (struct adele_op *)device;
        assert_int_equal(device->iface->sample_create(device, &bad[i], &op),
                         ADELE_INVALID_ARGUMENT);
        assert_null(op);
    }
}

static void check_bad_arguments(struct adele_device *device) {
    const struct adele_sample_desc desc = {1, 1, 2, 2, 1, {2}, {2}, {0}, 0};
    const uint8_t bytes[4] = {0};
    const float one = 1.0f;
    const int32_t id = 0, beyond = 1;
    float image[4 * 16] = {0};
    uint8_t labels[4];
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->sample_create(device, &desc, &op), ADELE_OK);
    const struct adele_sample_args good = {
        .set = {ADELE_PIXEL_U8, 1, 1, 2, 2, bytes, &one, &one, NULL, NULL, NULL},
        .sample_ids = &id,
        .images = {image}};
    struct adele_sample_args bad[6] = {good, good, good, good, good, good};
    int n_bad = devices_are_cpu() ? 6 : 5; // a GPU's host does not see the ids
    bad[0].set.h = 3;
    bad[1].set.images = NULL;
    bad[2].sample_ids = NULL;
    bad[3].images[0] = NULL;
    bad[4].labels = labels; // the set has none
    bad[5].sample_ids = &beyond;
    for (int i = 0; i < n_bad; i++)
        assert_int_equal(device->iface->sample_forward(op, &bad[i]), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
    // Colours of half precision have no 255ths.
    struct adele_sample_desc voc = voc_cases[4].desc;
    voc.augment = voc_augment;
    voc.augment.hsv = 1.0;
    struct adele_sample_args half = good;
    half.set =
        (struct adele_sample_set){ADELE_PIXEL_F16, 1, 3, 2, 2, bytes, &one, &one, NULL, NULL, NULL};
    half.workspace = image;
    assert_int_equal(device->iface->sample_create(device, &voc, &op), ADELE_OK);
    assert_int_equal(device->iface->sample_forward(op, &half), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

// Where the ids are out of the host's sight, one beyond the set makes an empty row.
static void check_id_beyond(struct adele_device *device) {
    if (devices_are_cpu())
        return;
    struct arena arena;
    arena_open(&arena, device);
    static const int32_t ids[] = {N_SET, 0, INT32_MAX, INT32_MIN}, empty[] = {-1, 0, -1, -1};
    struct problem p = make_problem(&arena, cases[1], ADELE_PIXEL_U8, ids);
    p.desc.augment = augment;
    struct outputs got = run(&arena, &p);
    p.ids = empty;
    struct outputs want = reference(&arena, &p);
    check_equal(&arena, &p, &got, &want);
    arena_close(&arena);
}

static void check_allocator(struct adele_device *device) {
    ASSERT_CREATE_SURVIVES_FAILURES(device, sample, &cases[1]);
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(half)
ON_EACH_DEVICE_3_THREADS(batch_images)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(keys)
ON_EACH_DEVICE_3_THREADS(voc)
ON_EACH_DEVICE_3_THREADS(voc_literal)
ON_EACH_DEVICE_3_THREADS(voc_gray)
ON_EACH_DEVICE_3_THREADS(bad_descriptors)
ON_EACH_DEVICE_3_THREADS(bad_arguments)
ON_EACH_DEVICE_3_THREADS(id_beyond)
ON_EACH_DEVICE_3_THREADS(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_half),          cmocka_unit_test(test_batch_images),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_keys),
        cmocka_unit_test(test_voc),           cmocka_unit_test(test_voc_literal),
        cmocka_unit_test(test_voc_gray),      cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_id_beyond),
        cmocka_unit_test(test_allocator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
