// SPDX-License-Identifier: MIT
// Under- and over-drawn organs against the authors' program: IoU of each category at least 0.97.
#include "noise/noise.h"
#include "support/golden.h"
#include "support/under_over.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_IOU 0.97

static const char *file_name;

static void compare_maps(const char *name, const uint8_t *got, const uint8_t *want, size_t n,
                         int n_categories) {
    for (int c = 0; c < n_categories; c++) {
        size_t both = 0, either = 0;
        for (size_t i = 0; i < n; i++) {
            both += got[i] == c && want[i] == c;
            either += got[i] == c || want[i] == c;
        }
        double iou = either > 0 ? (double)both / (double)either : 1;
        if (!(iou >= LEAST_IOU))
            fail_msg("%s, category %d: IoU %.4f", name, c, iou);
    }
}

static void test_golden(void **state) {
    (void)state;
    struct safetensors *file = golden_open(file_name);
    const struct safetensors_entry *entry = golden_entry(file, "clean");
    assert_int_equal(entry->n_dimensions, 2);
    int height = (int)entry->shape[0], width = (int)entry->shape[1], n_categories = 0;
    size_t n = (size_t)height * (size_t)width;
    uint8_t *clean = golden_u8(file, "clean", NULL), *got = malloc(n);
    assert_non_null(got);
    for (size_t i = 0; i < n; i++)
        n_categories = clean[i] >= n_categories ? clean[i] + 1 : n_categories;
    for (int is_over = 0; is_over < 2; is_over++) {
        for (int count = 2; count <= 4; count++) {
            char name[32];
            snprintf(name, sizeof name, "%s_%d", is_over ? "over" : "under", count);
            uint8_t *want = golden_u8(file, name, NULL);
            assert_int_equal(
                noise_under_over(clean, height, width, n_categories, count, is_over, got),
                ADELE_OK);
            compare_maps(name, got, want, n, n_categories);
            free(want);
        }
    }
    free(clean);
    free(got);
    safetensors_close(file);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: golden_noise FILE\n");
        return 2;
    }
    file_name = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
