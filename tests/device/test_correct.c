// SPDX-License-Identifier: MIT
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

struct problem {
    struct adele_correct_desc desc;
    const uint8_t *base, *prediction;
    const float *foreground, *background;
    uint8_t correct[256];
};

static size_t pixels(const struct problem *p) {
    return (size_t)p->desc.n * (size_t)p->desc.h * (size_t)p->desc.w;
}

// The corrected labels on the host; *n_changed += what the device counted. In place: labels = base.
static uint8_t *run(struct arena *arena, const struct problem *p, bool in_place,
                    int64_t *n_changed) {
    const struct adele_device *device = arena->device;
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->correct_create(device, &p->desc, &op), ADELE_OK);
    void *base = arena_upload(arena, p->base, pixels(p));
    struct adele_correct_args args = {
        .base = base,
        .labels = in_place ? base : arena_upload(arena, NULL, pixels(p)),
        .prediction = arena_upload(arena, p->prediction, pixels(p)),
        .confidence_foreground = arena_upload(arena, p->foreground, pixels(p) * sizeof(float)),
        .confidence_background = arena_upload(arena, p->background, pixels(p) * sizeof(float)),
        .n_changed = arena_upload(arena, n_changed, sizeof *n_changed)};
    memcpy(args.correct, p->correct, sizeof args.correct);
    assert_int_equal(device->iface->correct_forward(op, &args), ADELE_OK);
    assert_int_equal(device->iface->download(device, n_changed, args.n_changed, sizeof *n_changed),
                     ADELE_OK);
    device->iface->op_destroy(op);
    return maps_download(arena, args.labels, pixels(p));
}

#define SURE                                                                                       \
    { 1, 1, 1, 1, 1, 1, 1, 1 }
#define NOT                                                                                        \
    { 0, 0, 0, 0, 0, 0, 0, 0 }
#define N_LITERAL 8

// Images of one row of eight pixels.
struct literal {
    const char *what;
    enum adele_correct_rule rule;
    bool class_constraint, mask, logic255, guard;
    uint8_t on[3]; // categories, 0 for none
    uint8_t base[N_LITERAL], prediction[N_LITERAL];
    float foreground[N_LITERAL], background[N_LITERAL];
    uint8_t want[N_LITERAL];
};

// clang-format off
static const struct literal literals[] = {
    {"both: background and on-labels change to background and on-predictions", ADELE_CORRECT_BOTH, true, false, false, false, {1, 3},
     {0, 0, 1, 1, 2, 3, 255, 0}, {1, 2, 0, 3, 0, 2, 1, 3}, SURE, NOT, {1, 0, 0, 3, 2, 3, 255, 3}},
    {"both: without confidence nothing changes; equal to tau is not above it", ADELE_CORRECT_BOTH, true, false, false, false, {1},
     {0, 0, 0, 1, 1, 1, 1, 1}, {1, 1, 1, 0, 0, 0, 1, 1}, {0.9f, 0.5f, 0.1f, 0, 0, 0, 0, 0}, {0, 0, 0, 0.9f, 0.5f, 0.1f, 0, 0},
     {1, 0, 0, 0, 1, 1, 1, 1}},
    {"both: the class must occur in the image, background always may", ADELE_CORRECT_BOTH, true, false, false, false, {1, 2},
     {1, 1, 1, 1, 1, 1, 1, 1}, {2, 0, 2, 0, 1, 1, 1, 1}, SURE, NOT, {1, 0, 1, 0, 1, 1, 1, 1}},
    {"both: without the constraint any on-category may appear", ADELE_CORRECT_BOTH, false, false, false, false, {1, 2},
     {1, 1, 1, 1, 1, 1, 1, 1}, {2, 0, 2, 0, 1, 3, 1, 1}, SURE, NOT, {2, 0, 2, 0, 1, 1, 1, 1}},
    {"both: an image without an on-category is left, also by logic255", ADELE_CORRECT_BOTH, false, false, true, false, {1},
     {2, 2, 0, 0, 255, 2, 2, 2}, {0, 1, 1, 0, 0, 2, 0, 0}, SURE, SURE, {2, 2, 0, 0, 255, 2, 2, 2}},
    {"both: logic255 needs neither confidence nor an on-label", ADELE_CORRECT_BOTH, true, false, true, false, {1},
     {1, 1, 2, 2, 0, 255, 0, 1}, {0, 1, 0, 1, 1, 0, 0, 0}, NOT, NOT, {255, 1, 255, 2, 0, 255, 0, 255}},
    {"both: mask writes 255 where the prediction differs", ADELE_CORRECT_BOTH, true, true, false, false, {1},
     {1, 1, 0, 0, 2, 255, 0, 1}, {0, 1, 0, 1, 1, 0, 0, 0}, SURE, NOT, {255, 1, 0, 255, 2, 255, 0, 255}},
    {"single: whatever the label, exactly the label's own values", ADELE_CORRECT_SINGLE, true, false, false, false, {5, 9},
     {5, 7, 255, 7, 5, 5, 7, 7}, {5, 5, 5, 9, 0, 7, 7, 255}, SURE, NOT, {5, 5, 5, 7, 5, 5, 7, 7}},
    {"single: nothing but 0 and 255 waives the constraint", ADELE_CORRECT_SINGLE, true, false, false, false, {5, 9},
     {0, 0, 255, 255, 0, 0, 0, 0}, {5, 9, 5, 0, 7, 0, 255, 0}, SURE, NOT, {5, 9, 5, 0, 0, 0, 0, 0}},
    {"single: an image of other categories is left", ADELE_CORRECT_SINGLE, true, false, false, false, {5},
     {7, 7, 0, 0, 7, 7, 0, 0}, {0, 7, 7, 0, 5, 5, 5, 5}, SURE, SURE, {7, 7, 0, 0, 7, 7, 0, 0}},
    {"single: the guard holds back what leaves only background", ADELE_CORRECT_SINGLE, true, false, false, true, {5},
     {5, 5, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}, NOT, SURE, {5, 5, 0, 0, 0, 0, 0, 0}},
    {"single: without the guard it goes", ADELE_CORRECT_SINGLE, true, false, false, false, {5},
     {5, 5, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}, NOT, SURE, {0, 0, 0, 0, 0, 0, 0, 0}},
    {"single: the guard does not act while background stays below 95 %", ADELE_CORRECT_SINGLE, true, false, false, true, {5},
     {5, 5, 5, 0, 0, 0, 0, 0}, {5, 0, 0, 0, 0, 0, 0, 0}, SURE, SURE, {5, 0, 0, 0, 0, 0, 0, 0}},
};
// clang-format on

static void check_literal(struct adele_device *device) {
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        const struct literal *literal = &literals[i];
        struct arena arena;
        arena_open(&arena, device);
        struct problem p = {.desc = {1, 10, 1, N_LITERAL, literal->rule, 0.5, 0.5,
                                     literal->class_constraint, literal->mask, literal->logic255,
                                     literal->guard},
                            .base = literal->base,
                            .prediction = literal->prediction,
                            .foreground = literal->foreground,
                            .background = literal->background,
                            .correct = {1}};
        for (int j = 0; j < 3; j++)
            p.correct[literal->on[j]] = 1;
        int64_t n_changed = 100, n_want = 100;
        const uint8_t *got = run(&arena, &p, false, &n_changed);
        assert_true(compare_bytes(literal->what, got, literal->want, N_LITERAL));
        for (int x = 0; x < N_LITERAL; x++)
            n_want += literal->want[x] != literal->base[x];
        assert_int_equal(n_changed, n_want);
        arena_close(&arena);
    }
}

// Every combination of the switches on random maps, labels of their own memory and in place.
static struct problem random_problem(struct arena *arena, int i, int flags) {
    static const int sizes[][4] = {{1, 2, 1, 1},   {3, 5, 7, 13},  {4, 21, 16, 17},
                                   {5, 5, 31, 33}, {1, 4, 41, 25}, {1, 6, 50, 82}};
    struct problem p = {.desc = {sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3],
                                 flags & 1 ? ADELE_CORRECT_SINGLE : ADELE_CORRECT_BOTH, 0.6, 0.7,
                                 (flags & 2) != 0, (flags & 4) != 0, (flags & 8) != 0,
                                 (flags & 16) != 0}};
    uint8_t *base = maps_random(arena, 1, pixels(&p), p.desc.n_categories, 0.1);
    // Image 1 keeps background and 255 alone, image 2 little foreground, so that the guard has
    // work.
    size_t image = (size_t)p.desc.h * (size_t)p.desc.w;
    for (size_t x = 0; x < image && p.desc.n > 2; x++) {
        base[image + x] = base[image + x] < 250 ? 0 : 255;
        base[2 * image + x] = x % 37 == 0 ? 1 : 0;
    }
    p.base = base;
    uint8_t *prediction = maps_random(arena, 2, pixels(&p), p.desc.n_categories, 0.0);
    for (size_t x = 0; x < image && p.desc.n > 2; x++)
        prediction[2 * image + x] = 0;
    p.prediction = prediction;
    p.foreground = arena_random(arena, 3, pixels(&p), 0.0, 1.0);
    p.background = arena_random(arena, 4, pixels(&p), 0.0, 1.0);
    for (int c = 0; c < p.desc.n_categories; c += 2)
        p.correct[c] = 1;
    p.correct[1] = 1;
    return p;
}

static void check_random(struct adele_device *device) {
    bool is_guard_seen = false;
    for (int i = 0; i < 6; i++)
        for (int flags = 0; flags < 32; flags++) {
            struct arena arena;
            arena_open(&arena, device);
            struct problem p = random_problem(&arena, i, flags);
            int64_t want_changed = 3, changed = 3, changed_in_place = 3;
            uint8_t *want = maps_empty(&arena, pixels(&p));
            struct adele_correct_args args = {p.base,       want, p.prediction, p.foreground,
                                              p.background, {0},  &want_changed};
            memcpy(args.correct, p.correct, sizeof args.correct);
            reference_correct_forward(&p.desc, &args);
            omp_set_num_threads(1 + flags % 3);
            const uint8_t *got = run(&arena, &p, false, &changed);
            const uint8_t *in_place = run(&arena, &p, true, &changed_in_place);
            assert_true(compare_bytes("labels", got, want, pixels(&p)));
            assert_true(compare_bytes("labels, in place", in_place, want, pixels(&p)));
            assert_int_equal(changed, want_changed);
            assert_int_equal(changed_in_place, want_changed);
            size_t image = (size_t)p.desc.h * (size_t)p.desc.w;
            if (p.desc.guard && p.desc.rule == ADELE_CORRECT_SINGLE && p.desc.n > 2)
                is_guard_seen =
                    is_guard_seen || memcmp(want + 2 * image, p.base + 2 * image, image) == 0;
            arena_close(&arena);
        }
    assert_true(is_guard_seen);
}

static void check_errors(struct adele_device *device) {
    const struct adele_correct_desc good = {.n = 1, .n_categories = 2, .h = 1, .w = 1};
    struct adele_correct_desc bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].n = 0;
    bad[1].n_categories = 0;
    bad[2].n_categories = 256;
    bad[3].h = -1;
    bad[4].w = 0;
    bad[5].rule = 5;
    bad[6].tau_foreground = (double)NAN;
    bad[7].tau_background = (double)NAN;
    struct adele_op *op = NULL;
    for (int i = 0; i < 8; i++)
        op_check_refused(device, ADELE_OP_correct, &bad[i]);
    op_check_allocations(device, ADELE_OP_correct, &good);
    assert_int_equal(device->iface->correct_create(device, &good, &op), ADELE_OK);
    struct adele_correct_args args = {0};
    assert_int_equal(device->iface->correct_forward(op, &args), ADELE_INVALID_ARGUMENT);
    device->iface->op_destroy(op);
}

ON_EACH_DEVICE_3_THREADS(literal)
ON_EACH_DEVICE_3_THREADS(random)
ON_EACH_DEVICE_3_THREADS(errors)

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_literal),
                                       cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
