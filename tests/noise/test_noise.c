// SPDX-License-Identifier: MIT
// Synthetic noise: which pixels each kind may touch, targets, seeds, order, refusals.
#include "base/hash.h"
#include "base/memory.h"
#include "noise/noise_files.h"
#include "support/noise_scene.h"
#include "support/under_over.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE         NOISE_SCENE_SIZE
#define PIXELS       (SIZE * SIZE)
#define N_IMAGES     24
#define N_CATEGORIES 4

struct set {
    char names[N_IMAGES][32];
    uint8_t clean[N_IMAGES][PIXELS], noisy[N_IMAGES][PIXELS];
    struct noise_image images[N_IMAGES];
};

static struct set *set_create(void) {
    struct set *set = calloc(1, sizeof *set);
    assert_non_null(set);
    for (int i = 0; i < N_IMAGES; i++) {
        snprintf(set->names[i], sizeof set->names[i], "case_%d", i);
        noise_scene_draw(i, set->clean[i]);
        set->images[i] =
            (struct noise_image){set->names[i], SIZE, SIZE, set->clean[i], set->noisy[i]};
    }
    return set;
}

static adele_status apply(const struct noise_config *config, struct set *set,
                          struct noise_report *report) {
    return noise_apply(config, N_CATEGORIES, N_IMAGES, set->images, report);
}

// ---- one map ------------------------------------------------------------------------------------

// Under takes away from organs only, over from the background only; more iterations take more.
static void test_under_over(void **state) {
    (void)state;
    uint8_t clean[PIXELS], out[PIXELS];
    noise_scene_draw(3, clean);
    for (int is_over = 0; is_over < 2; is_over++) {
        int previous = 0;
        for (int count = 1; count <= 5; count++) {
            int n_changed = 0;
            assert_int_equal(noise_under_over(clean, SIZE, SIZE, N_CATEGORIES, count, is_over, out),
                             ADELE_OK);
            for (int i = 0; i < PIXELS; i++) {
                if (out[i] == clean[i])
                    continue;
                n_changed++;
                assert_true(is_over ? clean[i] == 0 : out[i] == 0);
                assert_int_not_equal(clean[i], 255);
                assert_true(out[i] < N_CATEGORIES);
            }
            assert_true(n_changed > previous);
            previous = n_changed;
        }
    }
}

// Where two organs reach for the same background, the earlier of 1, 3, 4, 2, 5, 6 has it.
static void test_order(void **state) {
    (void)state;
    const int pairs[][2] = {{1, 3}, {3, 2}, {4, 2}, {1, 4}, {2, 5}, {5, 6}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        uint8_t clean[PIXELS] = {0}, out[PIXELS];
        for (int i = 0; i < PIXELS; i++) {
            int x = i % SIZE;
            // Organs of 16 columns, 4 columns apart: both need all of the gap.
            clean[i] = (uint8_t)(x >= 14 && x < 30   ? pairs[k][0]
                                 : x >= 34 && x < 50 ? pairs[k][1]
                                                     : 0);
        }
        assert_int_equal(noise_under_over(clean, SIZE, SIZE, 7, 6, 1, out), ADELE_OK);
        for (int x = 30; x < 34; x++)
            assert_int_equal(out[20 * SIZE + x], pairs[k][0]);
    }
}

// Between whole counts the changed pixels lie between those of the neighbours, and grow with the
// count.
static void test_fractions(void **state) {
    (void)state;
    uint8_t clean[PIXELS], low[PIXELS], high[PIXELS], out[PIXELS];
    struct random_stream wobble;
    noise_scene_draw(5, clean);
    random_stream_init(&wobble, 11, RANDOM_TEST, 0, 0);
    for (int is_over = 0; is_over < 2; is_over++) {
        int previous = -1;
        assert_int_equal(noise_morph(clean, SIZE, SIZE, 4, 2, is_over, wobble, low), ADELE_OK);
        assert_int_equal(noise_morph(clean, SIZE, SIZE, 4, 3, is_over, wobble, high), ADELE_OK);
        for (double count = 2; count <= 3; count += 0.125) {
            int n_changed = 0, n_low = 0, n_high = 0;
            assert_int_equal(noise_morph(clean, SIZE, SIZE, 4, count, is_over, wobble, out),
                             ADELE_OK);
            for (int i = 0; i < PIXELS; i++) {
                assert_true(out[i] == low[i] || out[i] == high[i]);
                n_changed += out[i] != clean[i];
                n_low += low[i] != clean[i];
                n_high += high[i] != clean[i];
            }
            assert_true(n_changed >= previous && n_changed >= n_low && n_changed <= n_high);
            previous = n_changed;
        }
    }
    assert_int_equal(noise_morph(clean, SIZE, SIZE, 4, 0, 1, wobble, out), ADELE_OK);
    assert_memory_equal(out, clean, PIXELS);
}

// A few pixels of an organ in a large map: the enlarged plane would be gigabytes.
static void test_tiny_organ(void **state) {
    (void)state;
    enum { LARGE = 1200 };
    uint8_t *clean = calloc((size_t)LARGE * LARGE, 1), *out = malloc((size_t)LARGE * LARGE);
    assert_true(clean && out);
    clean[600 * LARGE + 700] = clean[600 * LARGE + 701] = 1;
    clean[601 * LARGE + 700] = clean[601 * LARGE + 701] = 1;
    clean[0] = 2;
    clean[(size_t)LARGE * LARGE - 1] = 2; // two corners: even the neighbourhood is large
    assert_int_equal(noise_under_over(clean, LARGE, LARGE, 3, 16, 1, out), ADELE_OK);
    int n = 0;
    for (size_t i = 0; i < (size_t)LARGE * LARGE; i++)
        n += out[i] == 1;
    // 32 x 32 enlarged pixels become 64 x 64: 4 x 4 of the map.
    assert_in_range(n, 12, 20);
    assert_int_equal(out[599 * LARGE + 699], 1);
    assert_int_equal(noise_under_over(clean, LARGE, LARGE, 3, 20, 0, out), ADELE_OK);
    assert_int_equal(out[600 * LARGE + 700], 0);
    free(clean);
    free(out);
}

static void test_bad_map(void **state) {
    (void)state;
    uint8_t clean[PIXELS], out[PIXELS];
    noise_scene_draw(0, clean);
    assert_int_equal(noise_under_over(clean, 0, SIZE, 4, 2, 0, out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(noise_under_over(clean, SIZE, -1, 4, 2, 0, out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(noise_under_over(clean, SIZE, SIZE, 0, 2, 0, out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(noise_under_over(clean, SIZE, SIZE, 4, -1, 0, out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(noise_under_over(clean, SIZE, SIZE, 4, 99999, 0, out), ADELE_INVALID_ARGUMENT);
}

// ---- a set --------------------------------------------------------------------------------------

static double foreground_iou(const struct set *set, double iou[N_CATEGORIES]) {
    double sum = 0;
    for (int c = 0; c < N_CATEGORIES; c++) {
        int both = 0, either = 0;
        for (int i = 0; i < N_IMAGES; i++) {
            for (int k = 0; k < PIXELS; k++) {
                bool is_clean = set->clean[i][k] == c, is_noisy = set->noisy[i][k] == c;
                both += is_clean && is_noisy;
                either += is_clean || is_noisy;
            }
        }
        iou[c] = (double)both / either;
        sum += c > 0 ? iou[c] : 0;
    }
    return sum / (N_CATEGORIES - 1);
}

static void test_report(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_config config;
    struct noise_report report;
    double iou[N_CATEGORIES];
    noise_config_init(&config);
    for (int kind = NOISE_NONE; kind < NOISE_N_KINDS; kind++) {
        config.kind = kind;
        assert_int_equal(apply(&config, set, &report), ADELE_OK);
        double mean = foreground_iou(set, iou);
        assert_true(fabs(report.miou_foreground - mean) <= 1e-12);
        for (int c = 0; c < N_CATEGORIES; c++)
            assert_true(fabs(report.iou[c] - iou[c]) <= 1e-12);
        assert_true(report.iou[N_CATEGORIES] == -1 && report.iou[255] == -1);
        assert_true(kind == NOISE_NONE ? mean == 1 : mean < 0.95);
        for (int i = 0; i < N_IMAGES; i++)
            for (int k = 0; k < PIXELS; k++)
                assert_int_equal(set->noisy[i][k] == 255, set->clean[i][k] == 255);
    }
    free(set);
}

static void test_flip(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_config config;
    struct noise_report report;
    int n_flipped = 0, n_pixels = 0, seen[N_CATEGORIES] = {0};
    noise_config_init(&config);
    config.kind = NOISE_FLIP;
    config.flip_fraction = 0.2;
    assert_int_equal(apply(&config, set, &report), ADELE_OK);
    for (int i = 0; i < N_IMAGES; i++) {
        for (int k = 0; k < PIXELS; k++) {
            if (set->clean[i][k] == 255)
                continue;
            n_pixels++;
            if (set->noisy[i][k] != set->clean[i][k]) {
                n_flipped++;
                seen[set->noisy[i][k]]++;
            }
        }
    }
    // 5 standard deviations of a binomial draw of about 97,000.
    assert_true(fabs((double)n_flipped / n_pixels - 0.2) <= 5 * sqrt(0.16 / n_pixels));
    for (int c = 0; c < N_CATEGORIES; c++)
        assert_true(seen[c] > 0);
    free(set);
}

static void test_target(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_report report;
    for (int kind = NOISE_UNDER_OVER; kind <= NOISE_MIXED; kind++) {
        for (int k = 30; k <= 95; k += 13) {
            struct noise_config config;
            noise_config_init(&config);
            config.kind = kind;
            config.target_miou = k / 100.0;
            assert_int_equal(apply(&config, set, &report), ADELE_OK);
            double iou[N_CATEGORIES], mean = foreground_iou(set, iou);
            if (!(fabs(mean - config.target_miou) <= 0.01))
                fail_msg("%s: mIoU %.4f for %.2f", noise_kind_names[kind], mean,
                         config.target_miou);
            assert_true(report.miou_foreground == mean);
            assert_in_range(report.n_steps, 1, 40);
            assert_true(report.strength > 0);
        }
    }
    free(set);
}

// The same seed gives the same noise whatever the order of the images; another seed gives another.
static void test_seed_and_order(void **state) {
    (void)state;
    struct set *first = set_create(), *second = set_create();
    struct noise_config config;
    struct noise_report a, b;
    noise_config_init(&config);
    config.seed = 42;
    config.target_miou = 0.6;
    for (int i = 0; i < N_IMAGES / 2; i++) {
        struct noise_image swap = second->images[i];
        second->images[i] = second->images[N_IMAGES - 1 - i];
        second->images[N_IMAGES - 1 - i] = swap;
    }
    assert_int_equal(apply(&config, first, &a), ADELE_OK);
    assert_int_equal(apply(&config, second, &b), ADELE_OK);
    assert_memory_equal(first->noisy, second->noisy, sizeof first->noisy);
    assert_true(a.strength == b.strength);
    config.seed = 43;
    assert_int_equal(apply(&config, second, &b), ADELE_OK);
    assert_memory_not_equal(first->noisy, second->noisy, sizeof first->noisy);
    free(first);
    free(second);
}

// The labels of earlier runs are made again from their configuration, so these bytes stay.
static void test_bytes(void **state) {
    (void)state;
    static const struct {
        enum noise_kind kind;
        double target;
        uint64_t hash;
    } cases[] = {
        {NOISE_UNDER_OVER, 0, 0xb56592fef7a3911a}, {NOISE_UNDER_OVER, 0.6, 0x3eae7cdcceb6971b},
        {NOISE_FLIP, 0, 0xe35a640358aaf036},       {NOISE_FLIP, 0.6, 0x191101e9a6309c12},
        {NOISE_MIXED, 0, 0x935240321dbe6c23},      {NOISE_MIXED, 0.6, 0x30ba59e99a8458ae}};
    struct set *set = set_create();
    struct noise_report report;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct noise_config config;
        noise_config_init(&config);
        config.kind = cases[k].kind;
        config.target_miou = cases[k].target;
        config.seed = 7;
        assert_int_equal(apply(&config, set, &report), ADELE_OK);
        assert_true(hash_xxh3(set->noisy, sizeof set->noisy) == cases[k].hash);
    }
    free(set);
}

// Both kinds of drawing occur, and every count of the range.
static void test_draws(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_config config;
    struct noise_report report;
    uint8_t want[PIXELS];
    int seen[2][3] = {{0}};
    noise_config_init(&config);
    assert_int_equal(apply(&config, set, &report), ADELE_OK);
    assert_true(report.strength == 1 && report.n_steps == 0);
    for (int i = 0; i < N_IMAGES; i++) {
        bool is_found = false;
        for (int is_over = 0; is_over < 2 && !is_found; is_over++) {
            for (int count = 2; count <= 4 && !is_found; count++) {
                assert_int_equal(
                    noise_under_over(set->clean[i], SIZE, SIZE, N_CATEGORIES, count, is_over, want),
                    ADELE_OK);
                is_found = memcmp(want, set->noisy[i], PIXELS) == 0;
                seen[is_over][count - 2] += is_found;
            }
        }
        assert_true(is_found);
    }
    for (int k = 0; k < 6; k++)
        assert_true(seen[k / 3][k % 3] > 0);
    free(set);
}

static void test_refusals(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_config good, config;
    struct noise_report report;
    noise_config_init(&good);
    config = good;
    config.iterations_low = 0;
    assert_int_equal(apply(&config, set, &report), ADELE_INVALID_ARGUMENT);
    config = good;
    config.iterations_high = 1;
    assert_int_equal(apply(&config, set, &report), ADELE_INVALID_ARGUMENT);
    config = good;
    config.iterations_high = 1000;
    assert_int_equal(apply(&config, set, &report), ADELE_INVALID_ARGUMENT);
    config = good;
    config.flip_fraction = NAN;
    assert_int_equal(apply(&config, set, &report), ADELE_INVALID_ARGUMENT);
    config = good;
    config.target_miou = 1;
    assert_int_equal(apply(&config, set, &report), ADELE_INVALID_ARGUMENT);
    config.target_miou = NAN;
    assert_int_equal(apply(&config, set, &report), ADELE_INVALID_ARGUMENT);
    // What this kind does not use may be anything, such as the zeros of a caller that does not know
    // it.
    config = good;
    config.corners_low = config.corners_high = 0;
    config.outward = config.object_fraction = config.shift_fraction = NAN;
    assert_int_equal(noise_config_check(&config), ADELE_OK);
    for (int kind = NOISE_BOUNDARY; kind < NOISE_N_KINDS; kind++) {
        config.kind = kind;
        assert_int_equal(noise_config_check(&config), ADELE_INVALID_ARGUMENT);
    }
    assert_int_equal(noise_apply(&good, 1, N_IMAGES, set->images, &report), ADELE_INVALID_ARGUMENT);
    // An image of no extent: the message names it.
    set->images[5].height = 0;
    assert_int_equal(apply(&good, set, &report), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "case_5"));
    free(set);
}

// Without foreground a target has no meaning; a flip of nothing never reaches one.
static void test_unreachable(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_config config;
    struct noise_report report;
    noise_config_init(&config);
    config.target_miou = 0.5;
    config.kind = NOISE_FLIP;
    config.flip_fraction = 0;
    assert_int_equal(apply(&config, set, &report), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "closest is 1.0000"));
    config.kind = NOISE_UNDER_OVER;
    memset(set->clean, 0, sizeof set->clean);
    assert_int_equal(apply(&config, set, &report), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "foreground"));
    config.target_miou = 0;
    assert_int_equal(apply(&config, set, &report), ADELE_OK);
    assert_true(isnan(report.miou_foreground) && report.iou[0] == 1 && report.iou[1] == -1);
    free(set);
}

static void test_out_of_memory(void **state) {
    (void)state;
    struct noise_image image;
    uint8_t clean[PIXELS], out[PIXELS];
    struct noise_config config;
    struct noise_report report;
    noise_scene_draw(1, clean);
    image = (struct noise_image){"one", SIZE, SIZE, clean, out};
    noise_config_init(&config);
    long n = 0;
    for (;; n++) {
        memory_fail_at(n);
        adele_status status = noise_apply(&config, N_CATEGORIES, 1, &image, &report);
        memory_fail_at(-1);
        if (status == ADELE_OK)
            break;
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_under_over),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_fractions),      cmocka_unit_test(test_tiny_organ),
        cmocka_unit_test(test_bad_map),        cmocka_unit_test(test_report),
        cmocka_unit_test(test_flip),           cmocka_unit_test(test_target),
        cmocka_unit_test(test_seed_and_order), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_draws),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unreachable),    cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
