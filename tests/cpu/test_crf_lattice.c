// SPDX-License-Identifier: MIT
// The lattice of one image against its definition in device/lattice.h, and the op where the lattice
// has more corners than usual.
#include "cpu/crf_lattice.h"

#include "base/random.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "reference/reference_method.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// ---- the definition, by searching lists ---------------------------------------------------------

struct plain {
    int d;
    size_t n_pixels, n_corners;
    int32_t *keys;            // (n_corners, d)
    size_t *corner;           // (pixel, d + 1)
    double *weight;           // (pixel, d + 1)
    double *values, *blurred; // (n_corners)
};

static size_t find(const struct plain *plain, const int32_t *key) {
    size_t d = (size_t)plain->d;
    for (size_t i = 0; i < plain->n_corners; i++)
        if (lattice_is_key(plain->d, plain->keys + i * d, key))
            return i;
    return plain->n_corners;
}

static void plain_build(struct plain *plain, const struct adele_crf_desc *desc,
                        const uint8_t *image) {
    size_t d = 2 + (size_t)desc->image_c, n = (size_t)desc->h * (size_t)desc->w;
    *plain = (struct plain){.d = (int)d, .n_pixels = n};
    plain->keys = malloc(n * (d + 1) * d * sizeof *plain->keys);
    plain->corner = malloc(n * (d + 1) * sizeof *plain->corner);
    plain->weight = malloc(n * (d + 1) * sizeof *plain->weight);
    plain->values = calloc(n * (d + 1), sizeof *plain->values);
    plain->blurred = calloc(n * (d + 1), sizeof *plain->blurred);
    for (size_t i = 0; i < n; i++) {
        double feature[LATTICE_MAX_D] = {0.0};
        struct lattice_simplex simplex;
        lattice_feature((int)d, image, (int64_t)n, (int64_t)i, desc->w, desc->bilateral_sigma,
                        desc->colour_sigma, feature);
        lattice_embed((int)d, feature, &simplex);
        for (size_t k = 0; k <= d; k++) {
            size_t found = find(plain, simplex.key[k]);
            if (found == plain->n_corners)
                memcpy(plain->keys + plain->n_corners++ * d, simplex.key[k],
                       d * sizeof *plain->keys);
            plain->corner[i * (d + 1) + k] = found;
            plain->weight[i * (d + 1) + k] = (double)simplex.weight[k];
        }
    }
}

static double value_beside(const struct plain *plain, size_t i, int axis, int direction) {
    int32_t key[LATTICE_MAX_D];
    lattice_step(plain->d, plain->keys + i * (size_t)plain->d, axis, direction, key);
    size_t found = find(plain, key);
    return found < plain->n_corners ? plain->values[found] : 0.0;
}

// dst (pixel) = the filtered src (pixel).
static void plain_filter(struct plain *plain, const double *src, double *dst) {
    size_t n_entries = plain->n_pixels * (size_t)(plain->d + 1), per_pixel = (size_t)plain->d + 1;
    memset(plain->values, 0, plain->n_corners * sizeof *plain->values);
    for (size_t i = 0; i < n_entries; i++)
        plain->values[plain->corner[i]] += plain->weight[i] * src[i / per_pixel];
    for (int axis = 0; axis <= plain->d; axis++) {
        for (size_t i = 0; i < plain->n_corners; i++)
            plain->blurred[i] = 0.5 * plain->values[i] + 0.25 * (value_beside(plain, i, axis, 1) +
                                                                 value_beside(plain, i, axis, -1));
        memcpy(plain->values, plain->blurred, plain->n_corners * sizeof *plain->values);
    }
    memset(dst, 0, plain->n_pixels * sizeof *dst);
    for (size_t i = 0; i < n_entries; i++)
        dst[i / per_pixel] += plain->weight[i] * plain->values[plain->corner[i]];
}

// dst = src filtered with the kernel divided by the roots of its sums.
static void plain_normalized(struct plain *plain, const double *src, double *dst) {
    size_t n = plain->n_pixels;
    double *root = calloc(n, sizeof *root), *scaled = calloc(n, sizeof *scaled);
    for (size_t i = 0; i < n; i++)
        scaled[i] = 1.0;
    plain_filter(plain, scaled, root);
    for (size_t i = 0; i < n; i++) {
        root[i] = 1.0 / sqrt(root[i]);
        scaled[i] = root[i] * src[i];
    }
    plain_filter(plain, scaled, dst);
    for (size_t i = 0; i < n; i++)
        dst[i] *= root[i];
    free(root);
    free(scaled);
}

static void plain_free(struct plain *plain) {
    free(plain->keys);
    free(plain->corner);
    free(plain->weight);
    free(plain->values);
    free(plain->blurred);
}

// ---- images -------------------------------------------------------------------------------------

// Two surfaces with grain of that many gray levels.
static uint8_t *make_image(const struct adele_crf_desc *desc, int grain) {
    size_t n = (size_t)desc->h * (size_t)desc->w, w = (size_t)desc->w;
    uint8_t *image = malloc(n * (size_t)desc->image_c);
    struct random_stream stream;
    random_stream_init(&stream, 3, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < n * (size_t)desc->image_c; i++) {
        int base = i % n % w > w / 2 ? 120 : 30;
        image[i] = (uint8_t)(base + (int)random_below(&stream, (uint32_t)grain + 1));
    }
    return image;
}

static float *make_values(size_t n) {
    float *values = malloc(n * sizeof *values);
    struct random_stream stream;
    random_stream_init(&stream, 4, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)random_range(&stream, 0.0, 1.0);
    return values;
}

// ---- tests --------------------------------------------------------------------------------------

// dst (pixel, n_lanes) = 2 * the filtered src.
static void filter(struct crf_lattice *lattice, const float *src, int n_lanes, float *dst) {
    size_t row = (size_t)lattice->w * (size_t)n_lanes;
    memset(dst, 0, (size_t)lattice->h * row * sizeof *dst);
    for (int band = 0; band < lattice->n_bands; band++)
        crf_lattice_clear(lattice, band, n_lanes);
    for (int y = 0; y < lattice->h; y++)
        crf_lattice_split(lattice, y, src + (size_t)y * row, n_lanes);
    crf_lattice_blur(lattice, 2.0f, n_lanes);
    for (int y = 0; y < lattice->h; y++)
        crf_lattice_blend(lattice, y, dst + (size_t)y * row, n_lanes);
}

static void check_lanes(struct crf_lattice *lattice, struct plain *plain, int n_lanes) {
    size_t n = plain->n_pixels, lanes = (size_t)n_lanes;
    float *src = make_values(n * lanes), *got = malloc(n * lanes * sizeof *got);
    double *from = malloc(n * sizeof *from), *want = malloc(n * sizeof *want);
    filter(lattice, src, n_lanes, got);
    for (size_t lane = 0; lane < lanes; lane += lanes - 1) {
        for (size_t i = 0; i < n; i++)
            from[i] = (double)src[i * lanes + lane];
        plain_normalized(plain, from, want);
        for (size_t i = 0; i < n; i++)
            if (!(fabs((double)got[i * lanes + lane] - 2.0 * want[i]) <= 1e-4))
                fail_msg("%d lanes: %g at pixel %zu instead of %g", n_lanes,
                         (double)got[i * lanes + lane], i, 2.0 * want[i]);
    }
    free(src);
    free(got);
    free(from);
    free(want);
}

static void check(struct adele_crf_desc desc, int grain) {
    desc.c = 21; // has room for all lanes
    uint8_t *image = make_image(&desc, grain);
    struct crf_lattice lattice;
    struct plain plain;
    crf_lattice_plan(&lattice, &desc, 2);
    char *workspace = NULL;
    assert_int_equal(posix_memalign((void **)&workspace, 64, crf_lattice_place(&lattice, NULL)), 0);
    (void)crf_lattice_place(&lattice, workspace);
    crf_lattice_build(&lattice, image);
    plain_build(&plain, &desc, image);
    assert_int_equal(lattice.n_corners, plain.n_corners);
    check_lanes(&lattice, &plain, 4);
    check_lanes(&lattice, &plain, 8);
    for (int n_lanes = 16; n_lanes <= 24; n_lanes += 8)
        if (crf_lattice_fits(&lattice, n_lanes))
            check_lanes(&lattice, &plain, n_lanes);
    free(workspace);
    free(image);
    plain_free(&plain);
}

static struct adele_crf_desc shape(int image_c, int h, int w, double position, double colour) {
    return (struct adele_crf_desc){
        .image_c = image_c, .h = h, .w = w, .bilateral_sigma = position, .colour_sigma = colour};
}

static void agrees_with_its_definition(void **state) {
    (void)state;
    check(shape(3, 1, 1, 32.0, 13.0), 0);
    check(shape(3, 35, 17, 32.0, 13.0), 9);
    check(shape(1, 33, 70, 32.0, 13.0), 9);
    check(shape(1, 5, 150, 4.0, 5.0), 60);
    check(shape(3, 17, 35, 8.0, 13.0), 120); // hundreds of corners, so that tables grow
}

// The products of the ranges need more than 64 bits.
static void tells_corners_apart_when_keys_are_long(void **state) {
    (void)state;
    check(shape(3, 17, 15, 0.01, 0.001), 100);
}

// Every pixel is alone on the lattice, which has as many corners as there can be, so that the
// values of 24 categories do not fit. The bilateral message of a pixel is its own probability.
static void check_groups(int n_categories) {
    struct adele_crf_desc desc = {1, n_categories, 3, 19, 33, 2, 3.0, 3.0, 0.01, 0.001, 10.0};
    size_t n = (size_t)n_categories * 19 * 33;
    uint8_t *image = make_image(&desc, 100);
    float *p = make_values(n), *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
    struct adele_device *device = NULL;
    struct adele_op *op = NULL;
    void *workspace = NULL;
    assert_int_equal(cpu_device_create(ADELE_PRECISION_FP32, &device), ADELE_OK);
    assert_int_equal(device->iface->crf_create(device, &desc, &op), ADELE_OK);
    assert_int_equal(device->iface->alloc(device, op->workspace_bytes, &workspace), ADELE_OK);
    struct adele_crf_args args = {p, image, NULL, want, workspace};
    reference_crf_forward(&desc, &args);
    args.dst = got;
    assert_int_equal(device->iface->crf_forward(op, &args), ADELE_OK);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= 1e-3))
            fail_msg("%d categories: %g at %zu instead of %g", n_categories, (double)got[i], i,
                     (double)want[i]);
    device->iface->release(device, workspace);
    device->iface->op_destroy(op);
    adele_device_close(device);
    free(image);
    free(p);
    free(want);
    free(got);
}

static void categories_are_filtered_in_groups(void **state) {
    (void)state;
    check_groups(3);
    check_groups(8);
    check_groups(15);
    check_groups(21);
    check_groups(47);
}

int main(void) {
    assert_int_equal(cpu_isa_open(), ADELE_OK);
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_its_definition),
                                       cmocka_unit_test(tells_corners_apart_when_keys_are_long),
                                       cmocka_unit_test(categories_are_filtered_in_groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
