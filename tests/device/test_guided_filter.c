// SPDX-License-Identifier: MIT
#include "base/half.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/maps.h"
#include "support/op_errors.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_SET 3 // images, and maps

struct problem {
    struct adele_guided_filter_desc desc;
    struct adele_guided_filter_args args; // of the host
    uint16_t *maps;
    void *images;
    size_t map_bytes, image_bytes, n_dst;
};

static struct problem make_problem(struct arena *arena,
                                   const struct adele_guided_filter_desc *desc) {
    struct problem p = {.desc = *desc, .args = {.scale = 1.5f, .low = 0.0f, .high = 255.0f}};
    int n_set = desc->n > N_SET ? desc->n : N_SET;
    bool is_u8 = desc->pixel == ADELE_PIXEL_U8;
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    size_t n_maps = (size_t)(n_set * desc->c) * (size_t)desc->h_maps * (size_t)desc->w_maps;
    size_t n_images = (size_t)(n_set * desc->image_c) * plane;
    float *values = arena_random(arena, 1, n_maps, 0.0, 0.6);
    float *pixels = arena_random(arena, 2, n_images, is_u8 ? 0.0 : -2.0, is_u8 ? 256.0 : 3.0);
    p.map_bytes = n_maps * sizeof(uint16_t);
    p.image_bytes = n_images * (is_u8 ? 1 : sizeof(uint16_t));
    p.n_dst = (size_t)desc->n * (size_t)desc->c * plane;
    p.maps = (uint16_t *)(void *)maps_empty(arena, p.map_bytes);
    p.images = maps_empty(arena, p.image_bytes);
    for (size_t i = 0; i < n_maps; i++)
        p.maps[i] = half_from_float(values[i]);
    for (size_t i = 0; i < n_images; i++) {
        if (is_u8)
            ((uint8_t *)p.images)[i] = (uint8_t)pixels[i];
        else
            ((uint16_t *)p.images)[i] = half_from_float(pixels[i]);
    }
    if (!is_u8)
        p.args.high = p.args.low; // the range of each image
    p.args.maps = p.maps;
    p.args.images = p.images;
    return p;
}

static const float *run(struct arena *arena, const struct problem *p) {
    const struct adele_device *device = arena->device;
    size_t id_bytes = (size_t)p->desc.n * sizeof(int32_t);
    struct adele_guided_filter_args args = p->args;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->guided_filter_create(device, &p->desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_guided_filter);
    args.maps = arena_upload(arena, p->maps, p->map_bytes);
    if (args.images != NULL)
        args.images = arena_upload(arena, p->images, p->image_bytes);
    if (args.batch_images != NULL)
        args.batch_images = arena_upload(arena, p->images, p->image_bytes);
    if (args.map_ids != NULL)
        args.map_ids = arena_upload(arena, args.map_ids, id_bytes);
    if (args.sample_ids != NULL)
        args.sample_ids = arena_upload(arena, args.sample_ids, id_bytes);
    args.dst = arena_upload(arena, NULL, p->n_dst * sizeof(float));
    args.workspace = arena_workspace(arena, op);
    assert_int_equal(device->iface->guided_filter_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    return arena_download(arena, args.dst, p->n_dst);
}

static float *run_reference(struct arena *arena, struct problem *p) {
    p->args.dst = arena_floats(arena, p->n_dst);
    memset(p->args.dst, 0xff, p->n_dst * sizeof(float));
    reference_guided_filter_forward(&p->desc, &p->args);
    return p->args.dst;
}

// As label_ops.h derives it, and the rounding of dst itself.
static double tolerance_of(const struct adele_guided_filter_desc *desc) {
    double of_q = 0x1p-22;
    return (desc->radius > 0 ? of_q * (1.0 + 1.0 / sqrt(desc->eps)) : of_q) + 0x1p-24;
}

static const struct adele_guided_filter_desc cases[] = {
    {1, 1, 1, 1, 1, 1, 1, ADELE_PIXEL_U8, 1, 1e-3},
    {2, 2, 7, 5, 7, 5, 3, ADELE_PIXEL_U8, 2, 1e-3},
    {1, 5, 3, 4, 31, 33, 1, ADELE_PIXEL_F16, 4, 1e-2},
    {1, 2, 32, 32, 32, 32, 1, ADELE_PIXEL_U8, 3, 1e-3}, // a tile
    {2, 2, 9, 40, 33, 65, 2, ADELE_PIXEL_F16, 1, 1e-3},
    {1, 21, 4, 5, 13, 17, 3, ADELE_PIXEL_U8, 5, 1e-4},
    {1, 2, 6, 6, 23, 11, 1, ADELE_PIXEL_U8, 1000000000, 1e-3}, // wider than the image
    {2, 2, 6, 6, 16, 16, 1, ADELE_PIXEL_U8, 15, 1e-3},         // the whole image for all pixels
    {1, 1, 5, 1, 257, 1, 1, ADELE_PIXEL_F16, 30, 1e-3},
    {1, 1, 3, 64, 1, 64, 1, ADELE_PIXEL_U8, 7, 1e-3},
    {2, 5, 8, 9, 16, 16, 1, ADELE_PIXEL_U8, 0, 0.0}, // q alone
};

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        struct problem p = make_problem(&arena, &cases[i]);
        if (p.desc.radius == 0)
            p.args.images = NULL; // not read
        const float *got = run(&arena, &p);
        assert_true(compare_f32("dst", got, run_reference(&arena, &p), p.desc.n, p.desc.c, p.desc.h,
                                p.desc.w, tolerance_of(&p.desc), 0.0));
        arena_close(&arena);
    }
}

// Maps and images by their own ids, images of the batch; a row that lacks one is not written.
static void check_ids(struct adele_device *device) {
    static const int32_t map_ids[] = {2, -1, 0, 1}, sample_ids[] = {1, 0, -1, 1};
    for (int is_batch = 0; is_batch < 2; is_batch++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_guided_filter_desc desc = {4, 2, 6, 7, 12, 19, 1, ADELE_PIXEL_U8, 2, 1e-3};
        struct problem p = make_problem(&arena, &desc);
        size_t n = 2 * 12 * 19;
        p.args.map_ids = map_ids;
        p.args.sample_ids = sample_ids;
        if (is_batch) {
            p.args.batch_images = p.images;
            p.args.images = NULL;
        }
        const float *got = run(&arena, &p), *wanted = run_reference(&arena, &p);
        for (int row = 0; row < 4; row += 3)
            assert_true(compare_f32("row", got + (size_t)row * n, wanted + (size_t)row * n, 1, 2,
                                    12, 19, tolerance_of(&desc), 0.0));
        assert_true(compare_bytes("skipped", got + n, wanted + n, 2 * n * sizeof(float)));
        arena_close(&arena);
    }
}

// Without an edge, windows of a constant stay constant, whatever the image; and where the image has
// no contrast at all, its range is empty.
static void check_constant(struct adele_device *device) {
    for (int what = 0; what < 3; what++) {
        struct arena arena;
        arena_open(&arena, device);
        struct adele_guided_filter_desc desc = {1, 2, 5, 6, 20, 24, 1, ADELE_PIXEL_U8, 3, 1e-3};
        struct problem p = make_problem(&arena, &desc);
        p.args.scale = 1.0f;
        if (what == 2)
            p.args.low = p.args.high = 7.0f;
        for (size_t i = 0; i < p.map_bytes / 2 && what == 0; i++)
            p.maps[i] = half_from_float(0.625f);
        if (what > 0)
            memset(p.images, 200, p.image_bytes);
        const float *got = run(&arena, &p);
        for (size_t i = 0; i < p.n_dst && what == 0; i++)
            assert_true(fabs((double)got[i] - 0.625) <= tolerance_of(&desc));
        assert_true(compare_f32("dst", got, run_reference(&arena, &p), 1, 2, 20, 24,
                                tolerance_of(&desc), 0.0));
        arena_close(&arena);
    }
}

// A blurred edge in the map becomes the image's sharp one: closer to it than the map was.
static void check_edge(struct adele_device *device) {
    enum { W = 32 };
    struct arena arena;
    arena_open(&arena, device);
    struct adele_guided_filter_desc desc = {1, 1, W, W, W, W, 1, ADELE_PIXEL_U8, 4, 1e-3};
    struct problem p = make_problem(&arena, &desc);
    p.args.scale = 1.0f;
    for (int i = 0; i < W * W; i++) {
        double ramp = 0.5 + (i % W - 15.5) / 8.0; // from 0 to 1 over 8 pixels
        p.maps[i] = half_from_float((float)fmin(fmax(ramp, 0.0), 1.0));
        ((uint8_t *)p.images)[i] = i % W >= W / 2 ? 220 : 30;
    }
    const float *got = run(&arena, &p);
    assert_true(got[16 * W + 14] < 0.25f && half_to_float(p.maps[16 * W + 14]) > 0.3f);
    assert_true(got[16 * W + 17] > 0.75f && half_to_float(p.maps[16 * W + 17]) < 0.7f);
    arena_close(&arena);
}

// NaN and infinity in maps count as 0, a NaN in an image too; all that comes out is finite.
static void check_not_finite(struct adele_device *device) {
    static const uint16_t bad[] = {0x7E00, 0x7C00, 0xFC00, 0xFE01};
    struct arena arena;
    arena_open(&arena, device);
    struct adele_guided_filter_desc desc = {1, 2, 9, 12, 20, 24, 1, ADELE_PIXEL_F16, 3, 1e-3};
    struct problem p = make_problem(&arena, &desc);
    for (int i = 0; i < 4; i++) {
        p.maps[i * 20 + 5] = bad[i];
        ((uint16_t *)p.images)[i * 77 + 3] = bad[i];
    }
    const float *got = run(&arena, &p);
    assert_true(
        compare_f32("dst", got, run_reference(&arena, &p), 1, 2, 20, 24, tolerance_of(&desc), 0.0));
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, &cases[4]);
    const float *first = NULL;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        const float *got = run(&arena, &p);
        first = first == NULL ? got : first;
        assert_true(compare_bytes("threads", got, first, p.n_dst * sizeof *got));
    }
    arena_close(&arena);
}

static void check_errors(struct adele_device *device) {
    static const struct adele_guided_filter_desc bad[] = {
        {0, 2, 1, 1, 1, 1, 1, 0, 1, 1e-3},       {1, 256, 1, 1, 1, 1, 1, 0, 1, 1e-3},
        {1, 2, 0, 1, 1, 1, 1, 0, 1, 1e-3},       {1, 2, 1, 1, 1, 0, 1, 0, 1, 1e-3},
        {1, 2, 1, 1, 1, 1, 0, 0, 1, 1e-3},       {1, 2, 1, 1, 1, 1, 1, 2, 1, 1e-3},
        {1, 2, 1, 1, 1, 1, 1, 0, -1, 1e-3},      {1, 2, 1, 1, 1, 1, 1, 0, 1, 0.0},
        {1, 2, 1, 1, 1, 1, 1, 0, 1, (double)NAN}};
    struct adele_op *op = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_guided_filter, &bad[i]);
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, &cases[1]);
    assert_int_equal(device->iface->guided_filter_create(device, &p.desc, &op), ADELE_OK);
    p.args.dst = p.args.workspace = arena_floats(&arena, 1); // only pointers are checked
    struct adele_guided_filter_args args = p.args;
    args.images = NULL;
    assert_int_equal(device->iface->guided_filter_forward(op, &args), ADELE_INVALID_ARGUMENT);
    args = p.args;
    args.scale = INFINITY;
    assert_int_equal(device->iface->guided_filter_forward(op, &args), ADELE_INVALID_ARGUMENT);
    args = p.args;
    args.low = 300.0f;
    assert_int_equal(device->iface->guided_filter_forward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
    arena_close(&arena);
    op_check_allocations(device, ADELE_OP_guided_filter, &cases[1]);
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE_3_THREADS(ids)
ON_EACH_DEVICE_3_THREADS(constant)
ON_EACH_DEVICE_3_THREADS(edge)
ON_EACH_DEVICE_3_THREADS(not_finite)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE_3_THREADS(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_ids),
        cmocka_unit_test(test_constant),   cmocka_unit_test(test_edge),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
