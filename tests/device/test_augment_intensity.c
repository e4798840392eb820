// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference_method.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/op_errors.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct problem {
    struct adele_augment_intensity_desc desc;
    const int32_t *ids;
    uint32_t epoch;
    float *images;
};

static struct adele_shape shape_of(const struct problem *p) {
    return (struct adele_shape){p->desc.n, p->desc.c, p->desc.h, p->desc.w};
}

static size_t plane_size(const struct problem *p) {
    return (size_t)p->desc.h * (size_t)p->desc.w;
}

static const int32_t some_ids[] = {4, -1, 0, 2};

// Images of about the range of normalized ones; the first third of each row but the first is
// padding.
static struct problem make_problem(struct arena *arena, struct adele_augment_intensity_desc desc) {
    struct problem p = {.desc = desc, .ids = some_ids, .epoch = 3};
    size_t count = shape_count(shape_of(&p)), w = (size_t)desc.w;
    p.images = arena_random(arena, 1, count, -2.0, 2.5);
    for (size_t i = 0; i < count; i++)
        if (i % w < w / 3 && i / w % (size_t)desc.h > 0)
            p.images[i] = 0.0f;
    return p;
}

static float *run(struct arena *arena, const struct problem *p) {
    const struct adele_device *device = arena->device;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->augment_intensity_create(device, &p->desc, &op), ADELE_OK);
    assert_int_equal(op->kind, ADELE_OP_augment_intensity);
    const struct adele_augment_intensity_args args = {
        .sample_ids = arena_upload(arena, p->ids, (size_t)p->desc.n * sizeof *p->ids),
        .epoch = p->epoch,
        .images = arena_tensor(arena, shape_of(p), p->images),
        .workspace = arena_workspace(arena, op)};
    assert_int_equal(device->iface->augment_intensity_forward(op, &args), ADELE_OK);
    device->iface->op_destroy(op);
    return arena_tensor_download(arena, args.images, shape_of(p));
}

static float *reference(struct arena *arena, const struct problem *p) {
    size_t count = shape_count(shape_of(p));
    float *out = arena_floats(arena, count);
    memcpy(out, p->images, count * sizeof *out);
    const struct adele_augment_intensity_args args = {
        .sample_ids = p->ids, .epoch = p->epoch, .images = out};
    reference_augment_intensity_forward(&p->desc, &args);
    return out;
}

// Sizes of 1, primes, around the blocks of 8 and 16 channels, and around the 4096 values of a chunk
// of the kernels' sums.
#define NONE                                                                                       \
    { 0.0, 0.0, 0.0, 0.0, 0.0 }
static const struct adele_augment_intensity_desc cases[] = {
    {1, 1, 1, 1, NONE, 7},    {4, 1, 13, 11, NONE, 7}, {2, 3, 16, 17, NONE, 7},
    {3, 9, 7, 8, NONE, 7},    {1, 17, 31, 3, NONE, 7}, {1, 2, 63, 65, NONE, 7},
    {1, 1, 64, 64, NONE, 11}, {1, 3, 17, 241, NONE, 9}};
static const struct adele_intensity each[] = {{1.0, 0.0, 0.0, 0.0, 0.0}, {0.0, 1.0, 0.0, 0.0, 0.0},
                                              {0.0, 0.0, 1.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 1.0, 0.0},
                                              {0.0, 0.0, 0.0, 0.0, 1.0}, {1.0, 1.0, 1.0, 1.0, 1.0},
                                              {0.5, 0.5, 0.5, 0.5, 0.5}};

// Values of +-4. A power of 0.7 makes 4e-5 of a rounding of 2^-23 next to the lowest value, times
// the range. In bf16 the blur's result is rounded by up to 2^-9 of it, which that power makes 2^-6
// of the range.
static double tolerance_of(const struct arena *arena) {
    return arena_is_bf16(arena) ? 0.125 : 4e-4;
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
            struct arena arena;
            arena_open(&arena, device);
            struct problem p = make_problem(&arena, cases[i]);
            p.desc.intensity = each[k];
            p.epoch += (uint32_t)k;
            float *got = run(&arena, &p), *want = reference(&arena, &p);
            assert_true(compare_f32("images", got, want, p.desc.n, p.desc.c, p.desc.h, p.desc.w,
                                    tolerance_of(&arena), 0.0));
            for (size_t at = 0; at < shape_count(shape_of(&p)); at++)
                assert_true((got[at] == 0.0f) == (p.images[at] == 0.0f));
            arena_close(&arena);
        }
}

// ---- what each of them keeps --------------------------------------------------------------------

struct statistics {
    double mean, deviation, low, high;
};

static struct statistics measure(const float *plane, size_t n) {
    struct statistics out = {0.0, 0.0, INFINITY, -INFINITY};
    for (size_t i = 0; i < n; i++) {
        out.mean += (double)plane[i] / (double)n;
        out.low = fmin(out.low, (double)plane[i]);
        out.high = fmax(out.high, (double)plane[i]);
    }
    for (size_t i = 0; i < n; i++)
        out.deviation += ((double)plane[i] - out.mean) * ((double)plane[i] - out.mean);
    out.deviation = sqrt(out.deviation / (double)n);
    return out;
}

// 40 images of one channel without padding, each with that augmentation alone.
#define N_MANY 40
static float *run_many(struct arena *arena, struct adele_intensity intensity, struct problem *p) {
    static int32_t ids[N_MANY];
    for (int i = 0; i < N_MANY; i++)
        ids[i] = i;
    *p = (struct problem){.desc = {N_MANY, 1, 20, 30, intensity, 5}, .ids = ids, .epoch = 1};
    p->images = arena_random(arena, 2, shape_count(shape_of(p)), -2.0, 2.5);
    return run(arena, p);
}

static void check_brightness(struct adele_device *device) {
    struct arena arena;
    struct problem p;
    arena_open(&arena, device);
    const float *got = run_many(&arena, (struct adele_intensity){.brightness = 1.0}, &p);
    int n_brighter = 0;
    for (size_t n = 0; n < N_MANY; n++) {
        const float *was = p.images + n * plane_size(&p), *is = got + n * plane_size(&p);
        double factor = (double)is[0] / (double)was[0];
        assert_true(factor >= 0.745 && factor <= 1.255);
        n_brighter += factor > 1.0;
        for (size_t i = 0; i < plane_size(&p); i++)
            assert_true(fabs((double)is[i] - factor * (double)was[i]) <=
                        (arena_is_bf16(&arena) ? 0.03 : 1e-5));
    }
    assert_in_range(n_brighter, 10, 30);
    arena_close(&arena);
}

static void check_contrast(struct adele_device *device) {
    struct arena arena;
    struct problem p;
    arena_open(&arena, device);
    const float *got = run_many(&arena, (struct adele_intensity){.contrast = 1.0}, &p);
    int n_flatter = 0;
    for (size_t n = 0; n < N_MANY; n++) {
        struct statistics was = measure(p.images + n * plane_size(&p), plane_size(&p));
        struct statistics is = measure(got + n * plane_size(&p), plane_size(&p));
        assert_true(is.low >= was.low && is.high <= was.high);
        assert_true(fabs(is.mean - was.mean) <= 0.05);
        assert_true(is.deviation >= 0.74 * was.deviation && is.deviation <= 1.26 * was.deviation);
        n_flatter += is.deviation < was.deviation;
    }
    assert_in_range(n_flatter, 10, 30);
    arena_close(&arena);
}

static void check_gamma(struct adele_device *device) {
    struct arena arena;
    struct problem p;
    arena_open(&arena, device);
    const float *got = run_many(&arena, (struct adele_intensity){.gamma = 1.0}, &p);
    for (size_t n = 0; n < N_MANY; n++) {
        const float *before = p.images + n * plane_size(&p), *behind = got + n * plane_size(&p);
        struct statistics was = measure(before, plane_size(&p));
        struct statistics is = measure(behind, plane_size(&p));
        // Values below 4 are rounded by up to 2^-7 in bf16.
        double tolerance = arena_is_bf16(&arena) ? 0x1p-7 : 1e-6;
        assert_true(fabs(is.mean - was.mean) <= tolerance);
        assert_true(fabs(is.deviation - was.deviation) <= tolerance);
        assert_memory_not_equal(before, behind, plane_size(&p) * sizeof(float));
        for (size_t i = 1; i < plane_size(&p); i++) // order is kept
            assert_true((before[i] < before[0]) ? behind[i] <= behind[0] : behind[i] >= behind[0]);
    }
    arena_close(&arena);
}

static void check_noise(struct adele_device *device) {
    struct arena arena;
    struct problem p;
    arena_open(&arena, device);
    const float *got = run_many(&arena, (struct adele_intensity){.noise = 1.0}, &p);
    double sum = 0.0, rounding = arena_is_bf16(&arena) ? 0.004 : 0.0;
    for (size_t n = 0; n < N_MANY; n++) {
        float noise[600];
        for (size_t i = 0; i < 600; i++)
            noise[i] = got[n * 600 + i] - p.images[n * 600 + i];
        struct statistics is = measure(noise, 600);
        assert_true(fabs(is.mean) <= 5.0 * 0.1 / sqrt(600.0));
        assert_true(is.deviation <= 0.115 + rounding);
        sum += is.deviation;
    }
    assert_true(fabs(sum / N_MANY - 0.05) <= 0.02); // of 0 to 0.1
    arena_close(&arena);
}

// A blur leaves an even plane as it is, and halves at most the alternation of a chequered one.
static void check_blur(struct adele_device *device) {
    static const int32_t ids[] = {0, 1};
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = {.desc = {2, 1, 9, 10, {.blur = 1.0}, 5}, .ids = ids, .epoch = 1};
    p.images = arena_floats(&arena, 180);
    for (size_t i = 0; i < 180; i++)
        p.images[i] = i < 90 || (i / 10 + i) % 2 == 0 ? 1.0f : 2.0f;
    const float *got = run(&arena, &p);
    for (size_t i = 0; i < 90; i++) {
        assert_true(fabsf(got[i] - 1.0f) <= 1e-6f);
        assert_true(fabsf(got[90 + i] - 1.5f) < 0.25f);
    }
    arena_close(&arena);
}

// ---- what they depend on ------------------------------------------------------------------------

// As often as their rates say, and independently of each other: 200 images, all rates nnU-Net's.
static void check_rates(struct adele_device *device) {
    static int32_t ids[200];
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = {.desc = {200, 1, 2, 3, NONE, 5}, .ids = ids, .epoch = 1};
    p.images = arena_random(&arena, 1, 1200, -2.0, 2.5);
    for (int i = 0; i < 200; i++)
        ids[i] = i;
    static const struct {
        struct adele_intensity intensity;
        int low, high; // within 3.5 deviations
    } rates[] = {{{.brightness = 0.15}, 13, 47}, {{.contrast = 0.15}, 13, 47},
                 {{.gamma = 0.4}, 56, 104},      {{.noise = 0.1}, 6, 34},
                 {{.blur = 0.2}, 21, 59},        {NONE, 0, 0}};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        int n_changed = 0;
        p.desc.intensity = rates[k].intensity;
        const float *got = run(&arena, &p);
        for (size_t n = 0; n < 200; n++)
            n_changed += memcmp(got + 6 * n, p.images + 6 * n, 6 * sizeof *got) != 0;
        assert_in_range(n_changed, rates[k].low, rates[k].high);
    }
    arena_close(&arena);
}

// Epoch, seed and id choose the draw; the row of the batch and the batch's size do not.
static void check_keys(struct adele_device *device) {
    static const int32_t ids[] = {1, 3, 1, 0}, alone[] = {3};
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, cases[1]);
    size_t n = plane_size(&p), bytes = n * sizeof(float);
    for (size_t i = 1; i < 4; i++)
        memcpy(p.images + i * n, p.images, bytes);
    p.ids = ids;
    p.desc.intensity = each[5];
    const float *first = run(&arena, &p);
    assert_memory_equal(first, first + 2 * n, bytes);
    assert_memory_not_equal(first, first + n, bytes);
    struct problem one = p;
    one.desc.n = 1;
    one.ids = alone;
    assert_memory_equal(run(&arena, &one), first + n, bytes);
    one.epoch++;
    assert_memory_not_equal(run(&arena, &one), first + n, bytes);
    one.epoch--;
    one.desc.seed++;
    assert_memory_not_equal(run(&arena, &one), first + n, bytes);
    arena_close(&arena);
}

static void check_threads(struct adele_device *device) {
    struct arena arena;
    arena_open(&arena, device);
    struct problem p = make_problem(&arena, cases[7]);
    p.desc.intensity = each[5];
    const float *first = NULL;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        const float *again = run(&arena, &p);
        first = n_threads == 1 ? again : first;
        assert_true(
            compare_bytes("threads", again, first, shape_count(shape_of(&p)) * sizeof(float)));
    }
    arena_close(&arena);
}

// ---- errors -------------------------------------------------------------------------------------

static void check_errors(struct adele_device *device) {
    struct adele_augment_intensity_desc bad[7];
    for (int i = 0; i < 7; i++)
        bad[i] = cases[1];
    bad[0].n = 0;
    bad[1].c = -1;
    bad[2].h = 0;
    bad[3].w = 0;
    bad[4].intensity.blur = 1.5;
    bad[5].intensity.noise = -0.1;
    bad[6].intensity.gamma = (double)NAN;
    for (int i = 0; i < 7; i++)
        op_check_refused(device, ADELE_OP_augment_intensity, &bad[i]);
    float image[16];
    const int32_t id = 0;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->augment_intensity_create(device, &cases[0], &op), ADELE_OK);
    const struct adele_augment_intensity_args missing[] = {
        {NULL, 1, image, image}, {&id, 1, NULL, image}, {&id, 1, image, NULL}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(device->iface->augment_intensity_forward(op, &missing[i]),
                         ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

static void check_allocator(struct adele_device *device) {
    op_check_allocations(device, ADELE_OP_augment_intensity, &cases[1]);
}

ON_EACH_DEVICE_3_THREADS(shapes)
ON_EACH_DEVICE(brightness)
ON_EACH_DEVICE(contrast)
ON_EACH_DEVICE(gamma)
ON_EACH_DEVICE(noise)
ON_EACH_DEVICE(blur)
ON_EACH_DEVICE(rates)
ON_EACH_DEVICE_3_THREADS(keys)
ON_EACH_DEVICE_3_THREADS(threads)
ON_EACH_DEVICE(errors)
ON_EACH_DEVICE(allocator)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),   cmocka_unit_test(test_brightness),
        cmocka_unit_test(test_contrast), cmocka_unit_test(test_gamma),
        cmocka_unit_test(test_noise),    cmocka_unit_test(test_blur),
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_keys),
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_allocator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
