// SPDX-License-Identifier: MIT
// Images by a sliding window, against the whole blend written out in doubles: only the prediction
// of a single window is taken from the library (test_inference.c).
#include "predict/sliding.h"

#include "base/half.h"
#include "base/random.h"
#include "predict/set_inference.h"
#include "predict/window_case.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { C = 3, H = 32, W = 28, CLASSES = 3, N_SIZES = 6, MAX_MAP = 100 * 100 };
// Smaller than a window in one direction or both, as large, prime, and just above.
static const int sizes[N_SIZES][2] = {{20, 17}, {32, 28}, {37, 53}, {16, 61}, {33, 29}, {71, 28}};

static float numbers[2][2 * C]; // mean and inv_std of the two images of a set

// Two images, so that sets are tested too.
static void draw(struct dataset_images *out, int i_size, bool is_f16) {
    struct random_stream stream;
    random_stream_init(&stream, 7, RANDOM_TEST, 0, (uint32_t)i_size);
    *out = (struct dataset_images){
        .n = 2, .c = C, .h = sizes[i_size][0], .w = sizes[i_size][1], .is_f16 = is_f16};
    for (int k = 0; k < 2 * C; k++) {
        numbers[0][k] = is_f16 ? 0.0f : (float)random_range(&stream, 90.0, 130.0);
        numbers[1][k] = is_f16 ? 1.0f : (float)random_range(&stream, 0.01, 0.03);
    }
    out->mean = numbers[0];
    out->inv_std = numbers[1];
    size_t n = 2 * C * dataset_images_plane_size(out);
    out->images = malloc(n * 2);
    assert_non_null(out->images);
    for (size_t i = 0; i < n; i++) {
        unsigned value = (unsigned)(i / 9 % 13) * 17 + random_below(&stream, 30);
        if (is_f16)
            ((uint16_t *)out->images)[i] = half_from_float((float)value / 60.0f - 2.0f);
        else
            ((uint8_t *)out->images)[i] = (uint8_t)value;
    }
}

struct bench {
    struct adele_device *device;
    struct network *network;
    struct sliding *sliding;
    struct inference *single; // of one window
    uint8_t *prediction;      // device
};

static void bench_open(struct bench *bench, struct adele_device *device,
                       const struct inference_config *config) {
    const struct network_config network = {
        .name = "unet", .n_channels = C, .n_categories = CLASSES, .width = 4, .seed = 3};
    struct inference_config one = *config;
    one.batch = 1;
    *bench = (struct bench){.device = device};
    check_ok(network_create(device, &network, &bench->network));
    check_ok(sliding_create(device, bench->network, config, CLASSES, C, &bench->sliding));
    check_ok(inference_create(device, bench->network, &one, CLASSES, C, H, W, &bench->single));
    check_ok(sliding_check_memory(bench->sliding, bench->network, 1));
    check_ok(network_allocate(bench->network));
    check_ok(device->iface->alloc(device, (size_t)H * W, (void **)&bench->prediction));
}

static void bench_close(struct bench *bench) {
    bench->device->iface->release(bench->device, bench->prediction);
    sliding_destroy(bench->sliding);
    inference_destroy(bench->single);
    network_destroy(bench->network);
}

// ---- by hand ------------------------------------------------------------------------------------

static int count_of(int extent, int window) {
    return extent <= window ? 1 : (int)ceil((extent - window) / floor(window / 2.0)) + 1;
}

static int start_of(int extent, int window, int n, int i) {
    if (n == 1)
        return -(int)floor((window - extent) / 2.0);
    return (int)floor((double)i * (extent - window) / (n - 1) + 0.5);
}

static double weight_of(int window, int t) {
    double from_middle = (t - (window - 1) / 2.0) / (window / 8.0);
    return exp(-from_middle * from_middle / 2.0);
}

// Probabilities (CLASSES, H, W) of the window at (y0, x0) of image i.
static void predict_window(struct bench *bench, const struct dataset_images *images, int i, int y0,
                           int x0, float *out) {
    static uint16_t wide[C * H * W];
    static uint8_t narrow[C * H * W];
    struct resident resident;
    struct dataset_images window = {.n = 1, .c = C, .h = H, .w = W, .is_f16 = images->is_f16};
    window.mean = images->mean + i * C;
    window.inv_std = images->inv_std + i * C;
    window.images = images->is_f16 ? (void *)wide : narrow;
    for (int k = 0; k < C * H * W; k++) {
        int c = k / (H * W), y = y0 + k / W % H, x = x0 + k % W;
        bool is_inside = y >= 0 && y < images->h && x >= 0 && x < images->w;
        size_t at =
            is_inside ? ((size_t)(i * C + c) * (size_t)images->h + (size_t)y) * (size_t)images->w +
                            (size_t)x
                      : 0;
        wide[k] = 0;
        narrow[k] = (uint8_t)lrintf(window.mean[c]);
        if (is_inside && images->is_f16)
            wide[k] = ((const uint16_t *)images->images)[at];
        else if (is_inside)
            narrow[k] = ((const uint8_t *)images->images)[at];
    }
    const struct resident_options options = {.batch = 1};
    const struct inference_output output = {.prediction = bench->prediction,
                                            .with_probabilities = true};
    int first, n;
    check_ok(resident_init(&resident, bench->device, &window, &options));
    check_ok(inference_begin(bench->single, &resident, &output));
    check_ok(inference_next(bench->single, &first, &n));
    check_ok(bench->device->iface->download(bench->device, out,
                                            inference_probabilities(bench->single),
                                            sizeof(float) * CLASSES * H * W));
    resident_deinit(&resident);
}

// Probabilities (CLASSES, h, w) of image i.
static void by_hand(struct bench *bench, const struct dataset_images *images, int i, double *out) {
    static float window[CLASSES * H * W];
    static double weights[MAX_MAP];
    int h = images->h, w = images->w, n_y = count_of(h, H), n_x = count_of(w, W);
    memset(out, 0, sizeof *out * CLASSES * (size_t)(h * w));
    memset(weights, 0, sizeof weights);
    for (int b = 0; b < n_y * n_x; b++) {
        int y0 = start_of(h, H, n_y, b / n_x), x0 = start_of(w, W, n_x, b % n_x);
        predict_window(bench, images, i, y0, x0, window);
        for (int k = 0; k < CLASSES * H * W; k++) {
            int c = k / (H * W), y = y0 + k / W % H, x = x0 + k % W;
            double weight = weight_of(H, k / W % H) * weight_of(W, k % W);
            if (y < 0 || y >= h || x < 0 || x >= w)
                continue;
            out[(c * h + y) * w + x] += weight * (double)window[k];
            if (c == 0)
                weights[y * w + x] += weight;
        }
    }
    for (int k = 0; k < CLASSES * h * w; k++)
        out[k] /= weights[k % (h * w)];
}

// ---- comparisons --------------------------------------------------------------------------------

static const struct window_watch never = {NULL, NULL};

// Sums in single precision of at most nine windows.
#define TOLERANCE 2e-6

static void compare(struct bench *bench, int i_size, bool is_f16) {
    static uint8_t classes[2 * MAX_MAP];
    static float got[2 * CLASSES * MAX_MAP];
    static double want[CLASSES * MAX_MAP];
    struct dataset_images images;
    draw(&images, i_size, is_f16);
    size_t map = dataset_images_plane_size(&images);
    check_ok(window_predict_images(bench->sliding, &images, CLASSES, &never, classes, got));
    for (int i = 0; i < 2; i++) {
        const float *p = got + (size_t)i * CLASSES * map;
        by_hand(bench, &images, i, want);
        for (size_t k = 0; k < CLASSES * map; k++) {
            if (!(fabs((double)p[k] - want[k]) <= TOLERANCE))
                fail_msg("%d x %d, image %d, element %zu: %.9g instead of %.9g", images.h, images.w,
                         i, k, (double)p[k], want[k]);
            assert_true(p[classes[(size_t)i * map + k % map] * map + k % map] >= p[k]);
        }
    }
    free(images.images);
}

static struct inference_config config_of(int batch) {
    struct inference_config config = inference_config_single(batch, 1.0);
    config.window_h = H;
    config.window_w = W;
    return config;
}

static void blends_are_those_by_hand(void **state) {
    struct inference_config config = config_of(3);
    struct bench bench;
    bench_open(&bench, *state, &config);
    for (int i = 0; i < 2 * N_SIZES; i++) // one plan for both kinds of pixels
        compare(&bench, i / 2, i % 2 != 0);
    bench_close(&bench);
}

static void scales_flips_and_a_crf_apply_to_each_window(void **state) {
    struct inference_config config = config_of(2);
    struct bench bench;
    config.n_scales = 2;
    config.scales[1] = 1.25;
    config.flip = true;
    bench_open(&bench, *state, &config);
    compare(&bench, 2, false);
    bench_close(&bench);
    config.crf_iterations = 1;
    bench_open(&bench, *state, &config);
    compare(&bench, 4, false);
    bench_close(&bench);
}

static void bytes_do_not_depend_on_the_batch(void **state) {
    static uint8_t classes[4][2 * MAX_MAP];
    static float p[4][2 * CLASSES * MAX_MAP];
    const int batches[4] = {1, 3, 8, 3}, n_threads[4] = {1, 1, 1, 3};
    struct dataset_images images;
    draw(&images, 2, false);
    int n_before = omp_get_max_threads();
    for (int i = 0; i < 4; i++) {
        struct inference_config config = config_of(batches[i]);
        struct bench bench;
        bench_open(&bench, *state, &config);
        omp_set_num_threads(n_threads[i]);
        check_ok(window_predict_images(bench.sliding, &images, CLASSES, &never, classes[i], p[i]));
        omp_set_num_threads(n_before);
        bench_close(&bench);
        assert_memory_equal(classes[i], classes[0], sizeof classes[0]);
        assert_memory_equal(p[i], p[0], sizeof p[0]);
    }
    free(images.images);
}

// The last batch of the set alone, image n - 1, against the map that it has among all.
static void compare_last_batch(struct set_inference *inference, struct resident *resident,
                               const struct inference_output *whole, const uint8_t *classes, int n,
                               size_t map) {
    struct inference_output output = *whole;
    size_t at = whole->is_by_batch ? 0 : (size_t)(n - 1) * map;
    uint8_t *again = malloc(map);
    int first = 0, n_of_batch = 0;
    assert_non_null(again);
    output.first = n - 1;
    check_ok(set_inference_begin(inference, resident, &output));
    check_ok(set_inference_next(inference, &first, &n_of_batch));
    assert_true(first == n - 1 && n_of_batch == 1);
    check_ok(
        resident->device->iface->download(resident->device, again, whole->prediction + at, map));
    assert_memory_equal(again, classes + (size_t)(n - 1) * map, map);
    check_ok(set_inference_next(inference, &first, &n_of_batch));
    assert_int_equal(n_of_batch, 0);
    output.first = 1;
    assert_int_equal(set_inference_begin(inference, resident, &output), ADELE_INVALID_ARGUMENT);
    free(again);
}

// A padded set in two batches: the maps of each image are those of the image alone, 255 and 0 lie
// around them.
static void compare_set(struct adele_device *device, bool is_by_batch) {
    enum { HS = 45, WS = 61, MAP = HS * WS, N = 3 };
    static uint8_t pixels[N * C * MAP], classes[N * MAP], one[MAP];
    static float foreground[N * MAP], background[N * MAP], p[CLASSES * MAP];
    static const struct dataset_origin origin[N] = {
        {.height = HS, .width = 33}, {.height = 20, .width = WS}, {.height = HS, .width = WS}};
    float mean[N * C], inv_std[N * C];
    struct inference_config config = config_of(2);
    struct bench bench;
    struct resident resident;
    struct set_inference *inference = NULL;
    struct random_stream stream;
    random_stream_init(&stream, 11, RANDOM_TEST, 0, 0);
    for (int k = 0; k < N * C; k++) {
        mean[k] = (float)random_range(&stream, 90.0, 130.0);
        inv_std[k] = (float)random_range(&stream, 0.01, 0.03);
    }
    for (int k = 0; k < N * C * MAP; k++)
        pixels[k] = (uint8_t)((k / 9 % 13) * 17 + (int)random_below(&stream, 30));
    bench_open(&bench, device, &config);
    check_ok(set_inference_create(device, bench.network, &config, origin, CLASSES, C, HS, WS,
                                  &inference));
    check_ok(network_allocate(bench.network));
    const struct dataset_images images = {
        .n = N, .c = C, .h = HS, .w = WS, .images = pixels, .mean = mean, .inv_std = inv_std};
    const struct resident_options options = {.batch = 2};
    check_ok(resident_init(&resident, device, &images, &options));
    const struct adele_device_iface *iface = device->iface;
    uint8_t *map = NULL;
    float *confidence[2] = {NULL, NULL};
    check_ok(iface->alloc(device, N * MAP, (void **)&map));
    for (int i = 0; i < 2; i++)
        check_ok(iface->alloc(device, N * MAP * sizeof(float), (void **)&confidence[i]));
    const struct inference_output output = {.prediction = map,
                                            .confidence_foreground = confidence[0],
                                            .confidence_background = confidence[1],
                                            .is_by_batch = is_by_batch};
    check_ok(set_inference_begin(inference, &resident, &output));
    for (int first = 0, n = 1, n_seen = 0; n > 0; n_seen += n) {
        check_ok(set_inference_next(inference, &first, &n));
        assert_int_equal(first, n_seen);
        size_t from = is_by_batch ? 0 : (size_t)first * MAP, to = (size_t)first * MAP;
        size_t bytes = (size_t)n * MAP;
        check_ok(iface->download(device, classes + to, map + from, bytes));
        check_ok(iface->download(device, foreground + to, confidence[0] + from, bytes * 4));
        check_ok(iface->download(device, background + to, confidence[1] + from, bytes * 4));
        assert_true(n > 0 || first == N);
    }
    compare_last_batch(inference, &resident, &output, classes, N, MAP);
    for (int i = 0; i < N; i++) {
        int h = origin[i].height, w = origin[i].width;
        static uint8_t cropped[C * MAP];
        for (int k = 0; k < C; k++)
            for (int y = 0; y < h; y++)
                memcpy(cropped + (k * h + y) * w, pixels + ((i * C + k) * HS + y) * WS, (size_t)w);
        const struct dataset_images alone = {.n = 1,
                                             .c = C,
                                             .h = h,
                                             .w = w,
                                             .images = cropped,
                                             .mean = mean + i * C,
                                             .inv_std = inv_std + i * C};
        check_ok(window_predict_images(bench.sliding, &alone, CLASSES, &never, one, p));
        for (int at = 0; at < MAP; at++) {
            int y = at / WS, x = at % WS, k = i * MAP + at, m = y * w + x;
            bool is_inside = y < h && x < w;
            assert_int_equal(classes[k], is_inside ? one[m] : 255);
            float best = is_inside ? fmaxf(p[h * w + m], p[2 * h * w + m]) : 0.0f;
            assert_true(foreground[k] == best && background[k] == (is_inside ? p[m] : 0.0f));
        }
    }
    iface->release(device, map);
    iface->release(device, confidence[0]);
    iface->release(device, confidence[1]);
    resident_deinit(&resident);
    set_inference_destroy(inference);
    set_inference_destroy(NULL);
    bench_close(&bench);
}

static void sets_of_several_sizes(void **state) {
    compare_set(*state, false);
    compare_set(*state, true);
}

static bool stop_at_once(void *context) {
    ++*(int *)context;
    return true;
}

static adele_status fail_reading(void *context, int n_rows, char *out, size_t plane_bytes) {
    (void)context;
    (void)n_rows;
    (void)out;
    (void)plane_bytes;
    return ADELE_FORMAT;
}

static void stops_and_failures(void **state) {
    static uint8_t classes[2 * MAX_MAP];
    struct inference_config config = config_of(2);
    struct bench bench;
    struct dataset_images images;
    int n_asked = 0;
    const struct window_watch watch = {stop_at_once, &n_asked};
    bench_open(&bench, *state, &config);
    draw(&images, 2, false);
    assert_int_equal(window_predict_images(bench.sliding, &images, CLASSES, &watch, classes, NULL),
                     ADELE_INTERRUPTED);
    assert_int_equal(n_asked, 1);
    const struct sliding_image image = {
        .h = 40, .w = 40, .mean = images.mean, .inv_std = images.inv_std, .read = fail_reading};
    const struct sliding_output output = {0};
    assert_int_equal(sliding_run(bench.sliding, &image, &output), ADELE_FORMAT);
    compare(&bench, 1, false); // what follows a failure is whole
    free(images.images);
    bench_close(&bench);
    sliding_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blends_are_those_by_hand),
        cmocka_unit_test(scales_flips_and_a_crf_apply_to_each_window),
        cmocka_unit_test(bytes_do_not_depend_on_the_batch),
        cmocka_unit_test(sets_of_several_sizes),
        cmocka_unit_test(stops_and_failures),
    };
    return cmocka_run_group_tests(tests, devices_setup_cpu, devices_teardown);
}
