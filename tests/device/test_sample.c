// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/maps.h"
#include "support/op_errors.h"
#include "support/sample_problem.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const int32_t some_ids[] = {4, -1, 0, 2};
static const struct adele_augment augment = {.enabled = true,
                                             .rotate_degrees = 45.0,
                                             .translate = 0.1,
                                             .scale_low = 0.8,
                                             .scale_high = 1.5,
                                             .flip = 0.5};
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

// Its call of the reference is what ops_compared (compared.cmake) looks for.
static struct sample_outputs run_reference(struct arena *arena, const struct sample_problem *p) {
    size_t n_labels = (size_t)p->desc.n * sample_problem_pixels(p);
    struct sample_outputs out = {.labels = maps_empty(arena, n_labels),
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
        args.images[k] = out.images[k] =
            arena_floats(arena, shape_count(sample_problem_shape(p, k)));
    reference_sample_forward(&p->desc, &args);
    return out;
}

// Pixels of +-4.7 after normalization; sums of four products, half precision is exact. A bf16 image
// of another scale was rounded twice, by half of the 2^-5 between its numbers from 4 to 8.
static void check_equal(const struct arena *arena, const struct sample_problem *p,
                        const struct sample_outputs *got, const struct sample_outputs *want) {
    double tolerance = arena_is_bf16(arena) ? 0x1p-5 : 4e-6;
    size_t n_labels = (size_t)p->desc.n * sample_problem_pixels(p);
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
            struct sample_problem p = sample_problem_make(
                &arena, cases[i], flags & 1 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8, some_ids);
            p.flip = (flags & 2) != 0;
            if (flags & 4)
                p.desc.augment = augment;
            struct sample_outputs got = sample_problem_run(&arena, &p),
                                  want = run_reference(&arena, &p);
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
    struct sample_problem p = sample_problem_make(&arena, desc, ADELE_PIXEL_U8, ids);
    memcpy((uint8_t *)(uintptr_t)p.set.images, pixels, 3);
    memcpy((uint8_t *)(uintptr_t)p.set.labels, labels, 3);
    memcpy((uint8_t *)(uintptr_t)p.set.noisy, other, 3);
    ((float *)(uintptr_t)p.set.mean)[0] = mean;
    ((float *)(uintptr_t)p.set.inv_std)[0] = inv_std;
    p.flip = true;
    struct sample_outputs out = sample_problem_run(&arena, &p);
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
    struct sample_problem p = sample_problem_make(&arena, desc, ADELE_PIXEL_F16, ids);
    const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000};
    memcpy((uint8_t *)(uintptr_t)p.set.images, halves, sizeof halves);
    ((float *)(uintptr_t)p.set.mean)[0] = 0.0f;
    ((float *)(uintptr_t)p.set.inv_std)[0] = 1.0f;
    struct sample_outputs out = sample_problem_run(&arena, &p);
    assert_true(compare_f32("half", out.images[0], (float[]){1, -2, 0x1p-24f, 65504, 0}, 1, 1, 1, 5,
                            0.0, device_tolerance(device, 0.0)));
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct sample_problem p = sample_problem_make(&arena, cases[1], ADELE_PIXEL_U8, some_ids);
    p.desc.augment = augment;
    struct sample_outputs first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        struct sample_outputs again = sample_problem_run(&arena, &p);
        first = n_threads == 1 ? again : first;
        for (int k = 0; k < 3; k++)
            assert_true(compare_bytes("threads", again.images[k], first.images[k],
                                      shape_count(sample_problem_shape(&p, k)) * sizeof(float)));
    }
    arena_close(&arena);
}

// Epoch, seed and id choose the draw; the row of the batch does not.
static void check_keys(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    static const int32_t ids[] = {1, 3, 1, 0}, others[] = {0, 1, 2, 3};
    struct sample_problem p = sample_problem_make(&arena, cases[1], ADELE_PIXEL_U8, ids);
    p.desc.augment = augment;
    size_t image = sample_problem_pixels(&p) * sizeof(float);
    struct sample_outputs first = sample_problem_run(&arena, &p);
    assert_memory_equal(first.images[0], first.images[0] + 2 * sample_problem_pixels(&p), image);
    p.ids = others;
    struct sample_outputs moved = sample_problem_run(&arena, &p);
    assert_memory_equal(moved.images[0] + sample_problem_pixels(&p), first.images[0], image);
    struct arena more; // an arena lends a limited number of buffers
    arena_open(&more, device);
    p.epoch++;
    struct sample_outputs later = sample_problem_run(&more, &p);
    assert_memory_not_equal(later.images[0], moved.images[0], image);
    p.epoch--;
    p.desc.seed++;
    struct sample_outputs seeded = sample_problem_run(&more, &p);
    assert_memory_not_equal(seeded.images[0], moved.images[0], image);
    arena_close(&more);
    arena_close(&arena);
}

// ---- the elastic deformation --------------------------------------------------------------------

// Around the kernels' tiles of 32, with grids that begin a tile with a point and that do not.
static const struct adele_sample_desc elastic_cases[] = {
    {1, 1, 1, 1, 1, {1}, {1}, {0}, 7},
    {4, 1, 13, 11, 2, {13, 9}, {11, 7}, {0}, 7},
    {2, 3, 31, 33, 1, {31}, {33}, {0}, 7},
    {1, 4, 32, 64, 2, {32, 33}, {64, 65}, {0}, 7},
    {2, 9, 65, 47, 2, {65, 14}, {47, 9}, {0}, 7}};

static void check_elastic(struct adele_device *device) {
    static const double spacings[] = {8.0, 10.5, 40.0};
    for (size_t i = 0; i < sizeof elastic_cases / sizeof *elastic_cases; i++)
        for (int k = 0; k < 6; k++) {
            struct arena arena;
            arena_open(&arena, device);
            struct sample_problem p =
                sample_problem_make(&arena, elastic_cases[i], ADELE_PIXEL_U8, some_ids);
            p.desc.augment = augment;
            p.desc.augment.elastic_spacing = spacings[k % 3];
            p.desc.augment.elastic_shift = 0.48 * spacings[k % 3];
            p.flip = k >= 3;
            p.epoch += (uint32_t)k;
            struct sample_outputs got = sample_problem_run(&arena, &p);
            struct sample_outputs want = run_reference(&arena, &p);
            check_equal(&arena, &p, &got, &want);
            arena_close(&arena);
        }
}

// An image whose pixels and labels are their own column: both move together, nowhere further than
// the shift, and neighbours keep their order.
static void check_elastic_columns(struct adele_device *device) {
    enum { H = 40, W = 50 };
    struct arena arena;
    arena_open(&arena, device);
    static const int32_t ids[] = {0};
    const struct adele_sample_desc desc = {1, 1, H, W, 1, {H}, {W}, {0}, 3};
    struct sample_problem p = sample_problem_make(&arena, desc, ADELE_PIXEL_U8, ids);
    for (int i = 0; i < H * W; i++) {
        ((uint8_t *)(uintptr_t)p.set.images)[i] = (uint8_t)(100 + i % W);
        ((uint8_t *)(uintptr_t)p.set.labels)[i] = (uint8_t)(i % W);
    }
    ((float *)(uintptr_t)p.set.mean)[0] = 100.0f;
    ((float *)(uintptr_t)p.set.inv_std)[0] = 1.0f;
    p.desc.augment = (struct adele_augment){.enabled = true,
                                            .scale_low = 1.0,
                                            .scale_high = 1.0,
                                            .elastic_shift = 3.8,
                                            .elastic_spacing = 8.0};
    struct sample_outputs out = sample_problem_run(&arena, &p);
    double furthest = 0.0, rounding = arena_is_bf16(&arena) ? 0.125 : 1e-4;
    for (int i = 0; i < H * W; i++) {
        int x = i % W, y = i / W;
        if (x < 4 || x >= W - 4 || y < 4 || y >= H - 4)
            continue; // may lie outside of the image
        double moved = (double)out.images[0][i] - x;
        assert_true(fabs(moved) <= 3.8 + rounding);
        assert_true(fabs((double)out.images[0][i] - out.labels[i]) <= 0.5 + rounding);
        assert_true(x == 4 || out.labels[i] >= out.labels[i - 1]);
        furthest = fmax(furthest, fabs(moved));
    }
    assert_true(furthest > 1.0);
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
static void check_voc_equal(const struct arena *arena, const struct sample_problem *p,
                            const struct sample_outputs *got, const struct sample_outputs *want) {
    double tolerance = arena_is_bf16(arena) ? 0x1p-5 : 1e-4;
    size_t n_labels = (size_t)p->desc.n * sample_problem_pixels(p);
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
            struct sample_problem p =
                sample_problem_sized(&arena, voc_cases[i].desc, voc_cases[i].h, voc_cases[i].w,
                                     is_u8 ? ADELE_PIXEL_U8 : ADELE_PIXEL_F16, some_ids);
            p.desc.augment = voc_augment;
            p.desc.augment.hsv = voc_cases[i].hsv;
            p.flip = (flags & 2) != 0;
            p.epoch = (uint32_t)(10 * i) + (uint32_t)flags;
            struct sample_outputs got = sample_problem_run(&arena, &p),
                                  want = run_reference(&arena, &p);
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
        struct sample_problem p =
            is_voc ? sample_problem_sized(&arena, voc_cases[0].desc, voc_cases[0].h, voc_cases[0].w,
                                          ADELE_PIXEL_U8, ids)
                   : sample_problem_make(&arena, cases[1],
                                         flags & 1 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8, ids);
        p.flip = (flags & 1) != 0;
        if (is_voc) {
            p.desc.augment = voc_augment;
            p.desc.augment.hsv = voc_cases[0].hsv;
        } else if (flags & 2) {
            p.desc.augment = augment;
        }
        struct sample_outputs want = sample_problem_run(&arena, &p);
        p.is_batch = true;
        struct sample_outputs got = sample_problem_run(&more, &p);
        size_t n_labels = (size_t)p.desc.n * sample_problem_pixels(&p);
        assert_true(compare_bytes("labels", got.labels, want.labels, n_labels));
        assert_true(compare_bytes("noisy", got.noisy, want.noisy, n_labels));
        assert_true(compare_bytes("truth", got.truth, want.truth, n_labels));
        for (int k = 0; k < p.desc.n_scales; k++)
            assert_true(compare_bytes("image", got.images[k], want.images[k],
                                      shape_count(sample_problem_shape(&p, k)) * sizeof(float)));
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
    struct sample_problem p = sample_problem_sized(&arena, desc, 4, 5, ADELE_PIXEL_U8, ids);
    for (int i = 0; i < 20; i++) {
        ((uint8_t *)(uintptr_t)p.set.images)[i] = (uint8_t)(i * 10);
        ((uint8_t *)(uintptr_t)p.set.labels)[i] = (uint8_t)i;
    }
    ((float *)(uintptr_t)p.set.mean)[0] = 0.0f;
    ((float *)(uintptr_t)p.set.inv_std)[0] = 1.0f;
    p.desc.augment = voc_augment;
    p.desc.augment.scale_low = p.desc.augment.scale_high = 1.0;
    p.desc.augment.flip = 0.0;
    struct sample_outputs out = sample_problem_run(&arena, &p);
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
    struct sample_problem p = sample_problem_make(&arena, desc, ADELE_PIXEL_U8, ids);
    memset((uint8_t *)(uintptr_t)p.set.images, 100, 12);
    for (int c = 0; c < 3; c++) {
        ((float *)(uintptr_t)p.set.mean)[c] = 100.0f;
        ((float *)(uintptr_t)p.set.inv_std)[c] = 1.0f;
    }
    p.desc.augment = voc_augment;
    p.desc.augment.scale_low = p.desc.augment.scale_high = 1.0;
    p.desc.augment.hsv = 10.0;
    struct sample_outputs out = sample_problem_run(&arena, &p);
    float shift = out.images[0][0];
    assert_true(fabsf(shift) > 0.01f && fabsf(shift) <= 10.0f);
    for (int i = 1; i < 12; i++)
        assert_true(out.images[0][i] == shift);
    arena_close(&arena);
}

static void check_bad_descriptors(struct adele_device *device) {
    enum { N_BAD = 17 };
    struct adele_sample_desc bad[N_BAD];
    for (int i = 0; i < N_BAD; i++)
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
    for (int i = 12; i < N_BAD; i++) {
        bad[i].augment = augment;
        bad[i].augment.elastic_shift = 3.0;
        bad[i].augment.elastic_spacing = 8.0;
    }
    bad[12].augment.elastic_spacing = 7.0;
    bad[13].augment.elastic_shift = 3.9;
    bad[14].augment.elastic_shift = (double)NAN;
    bad[15].augment.elastic_spacing = (double)INFINITY;
    bad[16].augment.kind = ADELE_AUGMENT_VOC;
    for (int i = 0; i < N_BAD; i++)
        op_check_refused(device, ADELE_OP_sample, &bad[i]);
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
    static const int32_t ids[] = {SAMPLE_PROBLEM_SET, 0, INT32_MAX, INT32_MIN},
                         empty[] = {-1, 0, -1, -1};
    struct sample_problem p = sample_problem_make(&arena, cases[1], ADELE_PIXEL_U8, ids);
    p.desc.augment = augment;
    struct sample_outputs got = sample_problem_run(&arena, &p);
    p.ids = empty;
    struct sample_outputs want = run_reference(&arena, &p);
    check_equal(&arena, &p, &got, &want);
    arena_close(&arena);
}

static void check_allocator(struct adele_device *device) {
    op_check_allocations(device, ADELE_OP_sample, &cases[1]);
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(half)
ON_EACH_DEVICE_3_THREADS(batch_images)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(keys)
ON_EACH_DEVICE_3_THREADS(elastic)
ON_EACH_DEVICE_3_THREADS(elastic_columns)
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
        cmocka_unit_test(test_elastic),       cmocka_unit_test(test_elastic_columns),
        cmocka_unit_test(test_voc),           cmocka_unit_test(test_voc_literal),
        cmocka_unit_test(test_voc_gray),      cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_id_beyond),
        cmocka_unit_test(test_allocator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
