// SPDX-License-Identifier: MIT
// The spatial Gaussian against the sums over all pairs of pixels.
#include "cpu/crf_gaussian.h"

#include "base/memory.h"
#include "base/random.h"
#include "cpu/isa.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static float *random_values(size_t n) {
    float *values = malloc(n * sizeof *values);
    struct random_stream stream;
    random_stream_init(&stream, 5, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)random_range(&stream, -1.0, 1.0);
    return values;
}

// kernel (n, n) along one axis, divided by the roots of its rows' and columns' sums.
static double *kernel_of(int n, double sigma) {
    size_t extent = (size_t)n;
    double *kernel = malloc(extent * extent * sizeof *kernel), *root = calloc(extent, sizeof *root);
    for (size_t i = 0; i < extent * extent; i++) {
        double distance = ((double)(i / extent) - (double)(i % extent)) / sigma;
        kernel[i] = exp(-0.5 * distance * distance);
        root[i / extent] += kernel[i];
    }
    for (size_t i = 0; i < extent * extent; i++)
        kernel[i] /= sqrt(root[i / extent] * root[i % extent]);
    free(root);
    return kernel;
}

// dst (h, w, n_lanes): along x, then along y.
static void filter_simply(const struct adele_crf_desc *desc, const float *src, size_t n_lanes,
                          double *dst) {
    size_t h = (size_t)desc->h, w = (size_t)desc->w;
    double *along_x = kernel_of(desc->w, desc->spatial_sigma);
    double *along_y = kernel_of(desc->h, desc->spatial_sigma);
    double *swept = calloc(h * w * n_lanes, sizeof *swept);
    for (size_t i = 0; i < h * w * n_lanes; i++)
        for (size_t x = 0; x < w; x++)
            swept[i] += along_x[i / n_lanes % w * w + x] *
                        (double)src[(i / n_lanes / w * w + x) * n_lanes + i % n_lanes];
    for (size_t i = 0; i < h * w * n_lanes; i++) {
        dst[i] = 0.0;
        for (size_t y = 0; y < h; y++)
            dst[i] += along_y[i / n_lanes / w * h + y] * swept[y * w * n_lanes + i % (w * n_lanes)];
    }
    free(along_x);
    free(along_y);
    free(swept);
}

static float *zeros(size_t n) {
    return calloc(n, sizeof(float));
}

// dst = src + 2 * the filtered src.
static void filter(const struct crf_gaussian *gaussian, const float *src, int n_lanes,
                   int n_threads, float *dst) {
    size_t row = crf_gaussian_row_floats(gaussian, n_lanes);
    size_t n = (size_t)gaussian->w * (size_t)n_lanes;
    struct crf_grid grid = {n_lanes, zeros((size_t)gaussian->h * row),
                            zeros((size_t)gaussian->n_rows * row), zeros(row)};
    float *lines = zeros(crf_gaussian_line_floats(gaussian, n_lanes));
    for (int y = 0; y < gaussian->h; y++)
        crf_gaussian_gather(gaussian, &grid, src + (size_t)y * n, y, lines);
    crf_gaussian_sum(gaussian, &grid, n_threads);
    for (int y = 0; y < gaussian->h; y++)
        crf_gaussian_spread(gaussian, &grid, y, 2.0f, src + (size_t)y * n, lines,
                            dst + (size_t)y * n);
    free(grid.rows);
    free(grid.grid);
    free(grid.zeros);
    free(lines);
}

static void check(int h, int w, double sigma, int step, int n_lanes) {
    struct adele_crf_desc desc = {.h = h, .w = w, .spatial_sigma = sigma};
    size_t n = (size_t)h * (size_t)w * (size_t)n_lanes;
    struct crf_gaussian gaussian;
    assert_int_equal(crf_gaussian_init(&desc, &gaussian), ADELE_OK);
    assert_int_equal(gaussian.step, step);
    float *src = random_values(n), *one = zeros(n), *three = zeros(n);
    double *want = calloc(n, sizeof *want);
    filter(&gaussian, src, n_lanes, 1, one);
    filter(&gaussian, src, n_lanes, 3, three);
    assert_memory_equal(one, three, n * sizeof *one);
    filter_simply(&desc, src, (size_t)n_lanes, want);
    for (size_t i = 0; i < n; i++)
        // What lies beyond the reach, in x and in y, is 6e-5 of the sum each.
        if (!(fabs((double)one[i] - (double)src[i] - 2.0 * want[i]) <= 4e-4))
            fail_msg("%d x %d, sigma %g, %d lanes: %g at %zu instead of %g", h, w, sigma, n_lanes,
                     (double)one[i] - (double)src[i], i, 2.0 * want[i]);
    free(src);
    free(one);
    free(three);
    free(want);
    crf_gaussian_deinit(&gaussian);
}

static void agrees_with_all_pairs(void **state) {
    (void)state;
    static const int lanes[] = {4, 8, 16, 24};
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
        check(1, 1, 3.0, 1, lanes[i]);
        check(29, 37, 0.7, 1, lanes[i]);
        check(11, 13, 3.0, 1, lanes[i]); // reaches over the whole image
        check(29, 37, 3.0, 2, lanes[i]);
        check(24, 32, 3.0, 2, lanes[i]);
        check(41, 1, 3.0, 2, lanes[i]);
        check(2, 35, 3.5, 2, lanes[i]);
        check(17, 61, 7.3, 2, lanes[i]);
        check(17, 23, 50.0, 1, lanes[i]);
    }
}

int main(void) {
    assert_int_equal(cpu_isa_open(), ADELE_OK);
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_all_pairs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
