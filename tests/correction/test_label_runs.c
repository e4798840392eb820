// SPDX-License-Identifier: MIT
// Changed labels as runs: there and back, and runs that must be refused.
#include "correction/label_runs.h"

#include "base/memory.h"
#include "base/random.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N_IMAGES = 6, N_PIXELS = 35, N_CATEGORIES = 3 };

static const int owners[N_IMAGES] = {0, 1, 0, 1, 1, 0};

static struct label_runs_limits limits_of(int rank, const int *of) {
    return (struct label_runs_limits){.n_images = N_IMAGES,
                                      .n_pixels = N_PIXELS,
                                      .n_categories = N_CATEGORIES,
                                      .owners = of,
                                      .rank = rank};
}

// ---- there and back -----------------------------------------------------------------------------

static void neighbours_of_one_class_are_a_run(void **state) {
    static const uint8_t before[10] = {0, 0, 1, 1, 2, 0, 0, 255, 1, 0};
    static const uint8_t after[10] = {1, 1, 1, 2, 1, 1, 0, 0, 255, 255};
    // Pixel 2 stays, and so it ends a run of the class that it has.
    static const struct label_run want[] = {
        {4, 0, 2, 1}, {4, 3, 1, 2}, {4, 4, 2, 1}, {4, 7, 1, 0}, {4, 8, 2, 255}};
    struct label_runs runs = {0};
    (void)state;
    check_ok(label_runs_add(&runs, 4, before, after, 10));
    assert_int_equal(runs.n, 5);
    assert_memory_equal(runs.runs, want, sizeof want);
    memory_free(runs.runs);
}

static void nothing_changed_is_no_run(void **state) {
    static const uint8_t labels[4] = {0, 1, 255, 2};
    struct label_runs runs = {0};
    struct label_runs_limits limits = limits_of(0, owners);
    (void)state;
    check_ok(label_runs_add(&runs, 0, labels, labels, sizeof labels));
    assert_true(runs.n == 0 && !runs.runs);
    check_ok(label_runs_check(NULL, 0, &limits));
}

static uint8_t draw_label(struct random_stream *stream) {
    uint32_t label = random_below(stream, N_CATEGORIES + 1);
    return label == N_CATEGORIES ? 255 : (uint8_t)label;
}

// Of each image a part of `percent` of the pixels, or all with another class.
static void check_round_trip(uint32_t percent) {
    uint8_t before[N_IMAGES][N_PIXELS], after[N_IMAGES][N_PIXELS];
    struct random_stream stream;
    struct label_runs runs = {0};
    random_stream_init(&stream, 7, RANDOM_TEST, 0, percent);
    for (int i = 0; i < N_IMAGES; i++) {
        for (int k = 0; k < N_PIXELS; k++) {
            uint8_t now = before[i][k] = draw_label(&stream);
            while (percent == 100 && now == before[i][k])
                now = draw_label(&stream);
            after[i][k] =
                random_below(&stream, 100) < percent && percent < 100 ? draw_label(&stream) : now;
        }
        if (owners[i] == 1)
            check_ok(label_runs_add(&runs, i, before[i], after[i], N_PIXELS));
    }
    struct label_runs_limits limits = limits_of(1, owners);
    check_ok(label_runs_check(runs.runs, runs.n * sizeof *runs.runs, &limits));
    for (size_t r = 0; r < runs.n;) {
        size_t n = label_runs_of_image(runs.runs + r, runs.n - r);
        label_runs_apply(runs.runs + r, n, before[runs.runs[r].image]);
        r += n;
    }
    for (int i = 0; i < N_IMAGES; i++)
        if (owners[i] == 1)
            assert_memory_equal(before[i], after[i], N_PIXELS);
    memory_free(runs.runs);
}

static void changes_arrive(void **state) {
    static const uint32_t percents[] = {0, 3, 30, 100};
    (void)state;
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        check_round_trip(percents[i]);
}

// 255 is the highest label, with 255 classes as with three.
static void all_classes_and_255(void **state) {
    enum { MANY = 256 };
    uint8_t before[MANY], after[MANY];
    struct label_runs runs = {0};
    struct label_runs_limits limits = limits_of(1, owners);
    (void)state;
    for (int k = 0; k < MANY; k++) {
        before[k] = (uint8_t)k;
        after[k] = (uint8_t)(255 - k);
    }
    limits.n_pixels = MANY;
    limits.n_categories = 255;
    check_ok(label_runs_add(&runs, 3, before, after, MANY));
    assert_int_equal(runs.n, MANY);
    check_ok(label_runs_check(runs.runs, runs.n * sizeof *runs.runs, &limits));
    label_runs_apply(runs.runs, runs.n, before);
    assert_memory_equal(before, after, MANY);
    memory_free(runs.runs);
}

// ---- what is refused ----------------------------------------------------------------------------

static void refuse(const struct label_run *runs, size_t bytes, const char *message) {
    struct label_runs_limits limits = limits_of(1, owners);
    assert_int_equal(label_runs_check(runs, bytes, &limits), ADELE_FORMAT);
    if (!strstr(adele_error_message(), message))
        fail_msg("'%s' instead of '%s'", adele_error_message(), message);
}

static void single_runs_are_refused(void **state) {
    static const struct {
        struct label_run run;
        const char *message;
    } cases[] = {
        {{6, 0, 1, 0}, "rank 1 has sent run 0: changed labels of image 6, there are 6"},
        {{UINT32_MAX, 0, 1, 0}, "image 4294967295, there are 6"},
        {{2, 0, 1, 0}, "changed labels of image 2, which rank 0 corrects"},
        {{1, 35, 1, 0}, "1 changed labels from pixel 35 of image 1, which has 35"},
        {{1, 34, 2, 0}, "2 changed labels from pixel 34 of image 1, which has 35"},
        {{1, 1, UINT32_MAX, 0}, "4294967295 changed labels from pixel 1"},
        {{1, UINT32_MAX, UINT32_MAX, 0}, "from pixel 4294967295"},
        {{1, 3, 0, 0}, "0 changed labels from pixel 3 of image 1"},
        {{1, 3, 1, 3}, "labels of image 1 became class 3, there are 3"},
        {{1, 3, 1, 254}, "labels of image 1 became class 254, there are 3"},
        {{1, 3, 1, 256}, "labels of image 1 became class 256, there are 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(&cases[i].run, sizeof cases[i].run, cases[i].message);
}

static void orders_are_refused(void **state) {
    static const struct label_run overlapping[] = {{1, 3, 4, 0}, {1, 6, 2, 1}};
    static const struct label_run backwards[] = {{1, 6, 2, 0}, {1, 3, 1, 1}};
    static const struct label_run twice[] = {{1, 3, 4, 0}, {1, 3, 4, 0}};
    static const struct label_run images[] = {{3, 3, 4, 0}, {1, 9, 4, 0}};
    static const struct label_run fine[] = {{1, 3, 4, 0}, {1, 7, 28, 255}, {4, 0, 35, 2}};
    struct label_runs_limits limits = limits_of(1, owners);
    (void)state;
    refuse(overlapping, sizeof overlapping,
           "rank 1 has sent run 1: changed labels from pixel 6 of image 1 follow pixel 6 of image "
           "1");
    refuse(backwards, sizeof backwards, "from pixel 3 of image 1 follow pixel 7");
    refuse(twice, sizeof twice, "from pixel 3 of image 1 follow pixel 6");
    refuse(images, sizeof images, "from pixel 9 of image 1 follow pixel 6 of image 3");
    check_ok(label_runs_check(fine, sizeof fine, &limits));
}

static void truncated_runs_are_refused(void **state) {
    static const struct label_run runs[] = {{1, 3, 4, 0}, {1, 7, 2, 255}};
    (void)state;
    for (size_t bytes = 1; bytes < sizeof runs; bytes++)
        if (bytes % sizeof *runs != 0)
            refuse(runs, bytes, "which are no whole runs of 16");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_of_one_class_are_a_run),
        cmocka_unit_test(nothing_changed_is_no_run),
        cmocka_unit_test(changes_arrive),
        cmocka_unit_test(all_classes_and_255),
        cmocka_unit_test(single_runs_are_refused),
        cmocka_unit_test(orders_are_refused),
        cmocka_unit_test(truncated_runs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
