// SPDX-License-Identifier: MIT
// The kinds of noise that are not the paper's: compared with plain versions of them on small maps,
// and what holds for a set of maps.
#include "base/memory.h"
#include "noise/noise.h"
#include "noise/noise_kinds.h"
#include "noise/noise_objects.h"
#include "support/plain_noise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = PLAIN_SIZE, PIXELS = PLAIN_PIXELS, N_IMAGES = 60, N_CATEGORIES = 4, N_SEEDS = 12 };

// A disc with a hole, two blocks of one category that touch at a corner, a bar, and ignored pixels.
static void draw(int i, uint8_t *map) {
    for (int y = 0; y < SIZE; y++) {
        for (int x = 0; x < SIZE; x++) {
            int dy = y - 9 - i % 3, dx = x - 9 - i % 4, distance = dy * dy + dx * dx;
            uint8_t category = 0;
            if (distance < 40 + i % 9 && distance > 2)
                category = 1;
            if ((y >= 20 && y < 25 && x >= 3 && x < 8 + i % 5) ||
                (y >= 25 && y < 29 && x >= 8 + i % 5 && x < 18))
                category = 2;
            if (x > 22 && x < 28 && y > 4 + i % 6 && y < 20)
                category = 3;
            map[y * SIZE + x] = y == SIZE - 1 || (x == 25 && y < 9) ? 255 : category;
        }
    }
}

static struct random_stream stream_of(int seed) {
    struct random_stream stream;
    random_stream_init(&stream, (uint64_t)seed, RANDOM_TEST, 1, 2);
    return stream;
}

// ---- boundary -----------------------------------------------------------------------------------

static void test_boundary(void **state) {
    (void)state;
    int n_lost = 0, n_gained = 0;
    for (int seed = 0; seed < N_SEEDS; seed++) {
        uint8_t clean[PIXELS], out[PIXELS], want[PIXELS];
        double n_steps = 0.75 * seed, outward = seed % 5 * 0.25;
        draw(seed, clean);
        assert_int_equal(
            noise_boundary(clean, SIZE, SIZE, N_CATEGORIES, n_steps, outward, stream_of(seed), out),
            ADELE_OK);
        plain_boundary(clean, n_steps, outward, stream_of(seed), want);
        assert_memory_equal(out, want, PIXELS);
        for (int i = 0; i < PIXELS; i++) {
            assert_false(outward >= 1 && out[i] == 0 && clean[i] != 0);
            assert_false(outward <= 0 && out[i] != 0 && clean[i] == 0);
            n_lost += out[i] == 0 && clean[i] != 0;
            n_gained += out[i] != 0 && clean[i] == 0;
        }
    }
    assert_true(n_lost > 50 && n_gained > 50);
}

// ---- objects ------------------------------------------------------------------------------------

static void test_whole_objects(void **state) {
    (void)state;
    for (int seed = 0; seed < N_SEEDS; seed++) {
        uint8_t clean[PIXELS], out[PIXELS], want[PIXELS];
        double share = seed * 0.11;
        draw(seed, clean);
        assert_int_equal(noise_missing(clean, SIZE, SIZE, share, stream_of(seed), out), ADELE_OK);
        plain_whole(PLAIN_MISSING, clean, share, stream_of(seed), want);
        assert_memory_equal(out, want, PIXELS);
        assert_int_equal(noise_extra(clean, SIZE, SIZE, 2 * share, stream_of(seed), out), ADELE_OK);
        plain_whole(PLAIN_EXTRA, clean, 2 * share, stream_of(seed), want);
        assert_memory_equal(out, want, PIXELS);
        assert_int_equal(
            noise_confuse(clean, SIZE, SIZE, N_CATEGORIES, share, stream_of(seed), out), ADELE_OK);
        plain_whole(PLAIN_CONFUSE, clean, share, stream_of(seed), want);
        assert_memory_equal(out, want, PIXELS);
    }
}

// ---- coarse -------------------------------------------------------------------------------------

static void test_coarse(void **state) {
    (void)state;
    for (int seed = 0; seed < N_SEEDS; seed++) {
        uint8_t clean[PIXELS], out[PIXELS], want[PIXELS];
        double strength = 0.05 + 0.2 * seed;
        draw(seed, clean);
        assert_int_equal(noise_coarse(clean, SIZE, SIZE, 4, 8, strength, stream_of(seed), out),
                         ADELE_OK);
        plain_coarse(clean, 4, 8, strength, stream_of(seed), want);
        assert_memory_equal(out, want, PIXELS);
        assert_true(strength < 0.5 || memcmp(out, clean, PIXELS) != 0);
    }
    // With very many corners the polygon is the contour itself.
    uint8_t clean[PIXELS], out[PIXELS];
    draw(3, clean);
    assert_int_equal(noise_coarse(clean, SIZE, SIZE, 4, 8, 1e-4, stream_of(3), out), ADELE_OK);
    assert_memory_equal(out, clean, PIXELS);
}

// ---- shift --------------------------------------------------------------------------------------

static void test_shift(void **state) {
    (void)state;
    const int ways[][2] = {{0, 0}, {3, -2}, {-5, 7}, {40, 1}, {-1, -100}};
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        uint8_t clean[PIXELS], out[PIXELS], want[PIXELS];
        draw((int)k, clean);
        noise_shift(clean, SIZE, SIZE, ways[k][0], ways[k][1], out);
        plain_shift(clean, ways[k][0], ways[k][1], want);
        assert_memory_equal(out, want, PIXELS);
    }
}

// ---- a set --------------------------------------------------------------------------------------

struct set {
    char names[N_IMAGES][24];
    uint8_t clean[N_IMAGES][PIXELS], noisy[N_IMAGES][PIXELS];
    struct noise_image images[N_IMAGES];
};

static struct set *set_create(void) {
    struct set *set = calloc(1, sizeof *set);
    assert_non_null(set);
    for (int i = 0; i < N_IMAGES; i++) {
        (void)snprintf(set->names[i], sizeof set->names[i], "case_%d", i);
        draw(i, set->clean[i]);
        set->images[i] =
            (struct noise_image){set->names[i], SIZE, SIZE, set->clean[i], set->noisy[i]};
    }
    return set;
}

static struct noise_config config_of(enum noise_kind kind, double target) {
    struct noise_config config;
    noise_config_init(&config);
    config.kind = kind;
    config.target_miou = target;
    config.seed = 9;
    return config;
}

static void check_pixels(const struct set *set, enum noise_kind kind) {
    for (int i = 0; i < N_IMAGES; i++) {
        bool is_there[256] = {[0] = true};
        for (int k = 0; k < PIXELS; k++)
            is_there[set->clean[i][k]] = true;
        for (int k = 0; k < PIXELS; k++) {
            assert_int_equal(set->noisy[i][k] == 255, set->clean[i][k] == 255);
            assert_true(kind == NOISE_CONFUSE
                            ? set->noisy[i][k] < N_CATEGORIES || set->noisy[i][k] == 255
                            : is_there[set->noisy[i][k]]);
        }
    }
}

static void test_targets(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_report report;
    memset(set->clean[0], 0, PIXELS); // an image without objects takes part
    for (int k = 0; k < PIXELS; k++)  // and one that lacks a class
        set->clean[1][k] = set->clean[1][k] == 3 ? 0 : set->clean[1][k];
    for (enum noise_kind kind = NOISE_BOUNDARY; kind < NOISE_N_KINDS; kind++) {
        for (int percent = 60; percent <= 80; percent += 20) {
            struct noise_config config = config_of(kind, percent / 100.0);
            if (noise_apply(&config, N_CATEGORIES, N_IMAGES, set->images, &report) != ADELE_OK)
                fail_msg("%s, %d %%: %s", noise_kind_names[kind], percent, adele_error_message());
            if (!(fabs(report.miou_foreground - config.target_miou) <= 0.01))
                fail_msg("%s: %.4f for %d %%", noise_kind_names[kind], report.miou_foreground,
                         percent);
            check_pixels(set, kind);
        }
    }
    free(set);
}

// The same bytes for another order of the images and another number of threads; others for another
// seed.
static void test_order_and_threads(void **state) {
    (void)state;
    struct set *a = set_create(), *b = set_create();
    struct noise_report report;
    int n_threads = omp_get_max_threads();
    for (int i = 0; i < N_IMAGES / 2; i++) {
        struct noise_image swap = b->images[i];
        b->images[i] = b->images[N_IMAGES - 1 - i];
        b->images[N_IMAGES - 1 - i] = swap;
    }
    for (enum noise_kind kind = NOISE_BOUNDARY; kind < NOISE_N_KINDS; kind++) {
        struct noise_config config = config_of(kind, 0.7);
        omp_set_num_threads(1);
        assert_int_equal(noise_apply(&config, N_CATEGORIES, N_IMAGES, a->images, &report),
                         ADELE_OK);
        omp_set_num_threads(3);
        assert_int_equal(noise_apply(&config, N_CATEGORIES, N_IMAGES, b->images, &report),
                         ADELE_OK);
        assert_memory_equal(a->noisy, b->noisy, sizeof a->noisy);
        config.seed++;
        assert_int_equal(noise_apply(&config, N_CATEGORIES, N_IMAGES, b->images, &report),
                         ADELE_OK);
        assert_memory_not_equal(a->noisy, b->noisy, sizeof a->noisy);
    }
    omp_set_num_threads(n_threads);
    free(a);
    free(b);
}

// ---- refusals -----------------------------------------------------------------------------------

static void assert_refused(const struct noise_config *config, int n_categories, const char *text) {
    struct set *set = set_create();
    struct noise_report report;
    for (int i = 0; i < N_IMAGES && n_categories == 2; i++)
        for (int k = 0; k < PIXELS; k++)
            set->clean[i][k] = set->clean[i][k] == 1;
    assert_int_not_equal(noise_apply(config, n_categories, N_IMAGES, set->images, &report),
                         ADELE_OK);
    if (strstr(adele_error_message(), text) == NULL)
        fail_msg("'%s' is not in '%s'", text, adele_error_message());
    free(set);
}

static void test_refusals(void **state) {
    (void)state;
    struct noise_config config = config_of(NOISE_COARSE, 0.1);
    assert_refused(&config, N_CATEGORIES,
                   "cannot reach a foreground mIoU of 0.1: the closest is 0.");
    config = config_of(NOISE_CONFUSE, 0);
    assert_refused(&config, 2, "one class");
    config = config_of(NOISE_COARSE, 0);
    config.corners_low = 2;
    assert_refused(&config, N_CATEGORIES, "corners 2..8");
    config.corners_low = 9;
    assert_refused(&config, N_CATEGORIES, "corners 9..8");
    config = config_of(NOISE_BOUNDARY, 0);
    config.outward = 1.5;
    assert_refused(&config, N_CATEGORIES, "outward 1.5");
    config = config_of(NOISE_MISSING, 0);
    config.object_fraction = NAN;
    assert_refused(&config, N_CATEGORIES, "object fraction nan");
    config = config_of(NOISE_SHIFT, 0);
    config.shift_fraction = -1;
    assert_refused(&config, N_CATEGORIES, "shift fraction -1");
    uint8_t map[1] = {1}, out[1];
    assert_int_equal(noise_coarse(map, 1, 1, 3, 4, 0, stream_of(0), out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(noise_boundary(map, 1, 1, 2, 9999, 0, stream_of(0), out),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(noise_confuse(map, 1, 1, 2, 1, stream_of(0), out), ADELE_INVALID_ARGUMENT);
}

static void test_out_of_memory(void **state) {
    (void)state;
    struct set *set = set_create();
    struct noise_report report;
    for (enum noise_kind kind = NOISE_BOUNDARY; kind < NOISE_SHIFT; kind++) {
        struct noise_config config = config_of(kind, 0);
        long n = 0;
        for (;; n++) {
            memory_fail_at(n);
            adele_status status = noise_apply(&config, N_CATEGORIES, 1, set->images, &report);
            memory_fail_at(-1);
            if (status == ADELE_OK)
                break;
            assert_int_equal(status, ADELE_NO_MEMORY);
        }
        assert_true(n > 2);
    }
    free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundary), cmocka_unit_test(test_whole_objects),
        cmocka_unit_test(test_coarse),   cmocka_unit_test(test_shift),
        cmocka_unit_test(test_targets),  cmocka_unit_test(test_order_and_threads),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
