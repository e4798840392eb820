// SPDX-License-Identifier: MIT
// Scales and mirror images averaged, against the same sums written out in doubles: only the network
// itself is taken from the library, run on one image at a time.
#include "predict/inference.h"

#include "base/fail.h"
#include "base/random.h"
#include "reference/reference.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5, C = 2, H = 32, W = 28, CATEGORIES = 3, BATCH = 2, MAP = H * W };

// Five images, so that with batches of two the last has an empty row.
struct pictures {
    uint8_t pixels[N * C * MAP];
    float mean[N * C], inv_std[N * C];
    struct dataset_images images;
};

static void pictures_init(struct pictures *pictures) {
    struct random_stream stream;
    random_stream_init(&stream, 5, RANDOM_TEST, 0, 0);
    for (int i = 0; i < N * C * MAP; i++)
        pictures->pixels[i] = (uint8_t)((i / 7 % 11) * 20 + random_below(&stream, 30));
    for (int i = 0; i < N * C; i++) {
        pictures->mean[i] = (float)random_range(&stream, 80.0, 130.0);
        pictures->inv_std[i] = (float)random_range(&stream, 0.01, 0.03);
    }
    pictures->images = (struct dataset_images){.n = N,
                                               .c = C,
                                               .h = H,
                                               .w = W,
                                               .images = pictures->pixels,
                                               .mean = pictures->mean,
                                               .inv_std = pictures->inv_std};
}

struct bench {
    struct adele_device *device;
    struct network *network;
    struct pictures pictures;
    struct resident resident;
    struct inference *inference;
    uint8_t *prediction;                                  // device (N, H, W)
    float *confidence_foreground, *confidence_background; // device (N, H, W)
};

static void bench_open(struct bench *bench, struct adele_device *device,
                       const struct inference_config *config) {
    memset(bench, 0, sizeof *bench);
    bench->device = device;
    pictures_init(&bench->pictures);
    struct network_config network = {
        .name = "unet", .n_channels = C, .n_categories = CATEGORIES, .width = 4, .seed = 3};
    check_ok(network_create(device, &network, &bench->network));
    const struct resident_options options = {.batch = BATCH};
    check_ok(resident_init(&bench->resident, device, &bench->pictures.images, &options));
    check_ok(
        inference_create(device, bench->network, config, CATEGORIES, C, H, W, &bench->inference));
    const struct adele_device_iface *iface = device->iface;
    size_t n = (size_t)N * MAP;
    check_ok(iface->alloc(device, n, (void **)&bench->prediction));
    check_ok(iface->alloc(device, n * sizeof(float), (void **)&bench->confidence_foreground));
    check_ok(iface->alloc(device, n * sizeof(float), (void **)&bench->confidence_background));
}

static void bench_close(struct bench *bench) {
    const struct adele_device_iface *iface = bench->device->iface;
    iface->release(bench->device, bench->prediction);
    iface->release(bench->device, bench->confidence_foreground);
    iface->release(bench->device, bench->confidence_background);
    inference_destroy(bench->inference);
    resident_deinit(&bench->resident);
    network_destroy(bench->network);
}

// ---- by hand ------------------------------------------------------------------------------------

static void rescale(const float *src, int c, int h, int w, float *dst, int h_out, int w_out) {
    struct adele_rescale_desc desc = {.n = 1,
                                      .c = c,
                                      .h_in = h,
                                      .w_in = w,
                                      .h_out = h_out,
                                      .w_out = w_out,
                                      .h_dst = h_out,
                                      .w_dst = w_out};
    struct adele_rescale_args args = {.src = src, .dst = dst};
    reference_rescale_forward(&desc, &args);
}

// Standardized image i, mirrored when asked.
static void standardize(const struct pictures *pictures, int i, bool flip, float *out) {
    for (int c = 0; c < C; c++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int plane = i * C + c, from = flip ? W - 1 - x : x;
                float value = pictures->pixels[(plane * H + y) * W + from];
                out[(c * H + y) * W + x] =
                    (value - pictures->mean[plane]) * pictures->inv_std[plane];
            }
}

// Logits (CATEGORIES, H, W) of image i at one scale, in the image's own direction.
static void member_logits(struct bench *bench, struct plan *plan, int i, bool flip, float *out) {
    static float image[C * MAP], scaled[C * 4 * MAP], logits[CATEGORIES * 4 * MAP];
    struct adele_shape in = plan_input_shape(plan), shape = plan_output_shape(plan);
    const struct adele_device_iface *iface = bench->device->iface;
    standardize(&bench->pictures, i, flip, image);
    rescale(image, C, H, W, scaled, in.h, in.w);
    check_ok(iface->tensor_upload(bench->device, plan_input(plan), in, scaled));
    check_ok(plan_forward(plan, false));
    check_ok(iface->tensor_download(bench->device, logits, plan_output(plan), shape));
    rescale(logits, CATEGORIES, shape.h, shape.w, out, H, W);
    for (int row = 0; flip && row < CATEGORIES * H; row++)
        for (int x = 0; x < W / 2; x++) {
            float *line = out + (size_t)row * W, keep = line[x];
            line[x] = line[W - 1 - x];
            line[W - 1 - x] = keep;
        }
}

static void softmax(const double *z, double *p) {
    double highest = z[0], sum = 0.0;
    for (int c = 1; c < CATEGORIES; c++)
        highest = z[c] > highest ? z[c] : highest;
    for (int c = 0; c < CATEGORIES; c++)
        sum += p[c] = exp(z[c] - highest);
    for (int c = 0; c < CATEGORIES; c++)
        p[c] /= sum;
}

// Probabilities (CATEGORIES, H, W) of image i: the mean over scales and directions.
static void by_hand(struct bench *bench, const struct inference_config *config,
                    struct plan *const *plans, int i, double *out) {
    static float logits[CATEGORIES * MAP];
    double sum[CATEGORIES], p[CATEGORIES];
    int n_members = config->n_scales * (config->flip ? 2 : 1);
    memset(out, 0, sizeof(double) * CATEGORIES * MAP);
    for (int k = 0; k < config->n_scales; k++)
        for (int flip = 0; flip <= (config->flip ? 1 : 0); flip++) {
            member_logits(bench, plans[k], i, flip != 0, logits);
            for (int at = 0; at < MAP; at++) {
                for (int c = 0; c < CATEGORIES; c++)
                    sum[c] = p[c] = logits[c * MAP + at];
                if (config->average == ADELE_ENSEMBLE_PROBABILITIES)
                    softmax(sum, p);
                for (int c = 0; c < CATEGORIES; c++)
                    out[c * MAP + at] += p[c] / n_members;
            }
        }
    for (int at = 0; at < MAP && config->average == ADELE_ENSEMBLE_LOGITS; at++) {
        for (int c = 0; c < CATEGORIES; c++)
            sum[c] = out[c * MAP + at] / config->temperature;
        softmax(sum, p);
        for (int c = 0; c < CATEGORIES; c++)
            out[c * MAP + at] = p[c];
    }
}

// ---- both ---------------------------------------------------------------------------------------

struct answers {
    uint8_t prediction[N * MAP];
    float foreground[N * MAP], background[N * MAP];
    float probabilities[N * CATEGORIES * MAP]; // kept by keep_rows
    int n_kept;
    const struct adele_device *device;
};

static adele_status keep_rows(struct answers *answers, int first, int n_rows,
                              const float *probabilities) {
    assert_int_equal(first, answers->n_kept);
    assert_in_range(n_rows, 1, BATCH);
    answers->n_kept += n_rows;
    size_t row = (size_t)CATEGORIES * MAP;
    return answers->device->iface->download(answers->device,
                                            answers->probabilities + (size_t)first * row,
                                            probabilities, (size_t)n_rows * row * sizeof(float));
}

static void run_both(struct bench *bench, struct answers *answers) {
    const struct adele_device *device = bench->device;
    struct inference_output output = {.prediction = bench->prediction,
                                      .confidence_foreground = bench->confidence_foreground,
                                      .confidence_background = bench->confidence_background,
                                      .with_probabilities = true};
    int first = 0, n_rows = 0;
    answers->device = device;
    answers->n_kept = 0;
    check_ok(inference_begin(bench->inference, &bench->resident, &output));
    do {
        check_ok(inference_next(bench->inference, &first, &n_rows));
        if (n_rows > 0)
            check_ok(keep_rows(answers, first, n_rows, inference_probabilities(bench->inference)));
    } while (n_rows > 0);
    assert_int_equal(answers->n_kept, N);
    size_t n = (size_t)N * MAP;
    check_ok(device->iface->download(device, answers->prediction, bench->prediction, n));
    check_ok(device->iface->download(device, answers->foreground, bench->confidence_foreground,
                                     n * sizeof(float)));
    check_ok(device->iface->download(device, answers->background, bench->confidence_background,
                                     n * sizeof(float)));
}

// Single precision over some twenty layers; a prediction counts where the winner leads by more than
// that.
#define TOLERANCE 2e-5

static void assert_pixel(const struct answers *answers, int i, int at, const double *want) {
    int best = 0;
    double foreground = 0.0, runner_up = 0.0;
    for (int c = 0; c < CATEGORIES; c++) {
        double p = want[c * MAP + at];
        double got =
            answers->probabilities[((size_t)i * CATEGORIES + (size_t)c) * MAP + (size_t)at];
        if (!(fabs(got - p) <= TOLERANCE))
            fail_msg("image %d, category %d, pixel %d: %g instead of %g", i, c, at, got, p);
        best = p > want[best * MAP + at] ? c : best;
        foreground = c > 0 && p > foreground ? p : foreground;
    }
    for (int c = 0; c < CATEGORIES; c++)
        runner_up = c != best && want[c * MAP + at] > runner_up ? want[c * MAP + at] : runner_up;
    if (want[best * MAP + at] - runner_up > 2 * TOLERANCE)
        assert_int_equal(answers->prediction[i * MAP + at], best);
    assert_true(fabs(answers->foreground[i * MAP + at] - foreground) <= TOLERANCE);
    assert_true(fabs(answers->background[i * MAP + at] - want[at]) <= TOLERANCE);
}

static void compare_with_hand(void *const *state, const struct inference_config *config) {
    struct adele_device *device = *state;
    struct bench *bench = malloc(sizeof *bench);
    struct answers *answers = malloc(sizeof *answers);
    double *want = malloc(sizeof(double) * CATEGORIES * MAP);
    struct plan *plans[INFERENCE_MAX_SCALES];
    assert_non_null(bench);
    assert_non_null(answers);
    assert_non_null(want);
    bench_open(bench, device, config);
    for (int k = 0; k < config->n_scales; k++)
        check_ok(network_plan(bench->network, 1, (int)floor(H * config->scales[k]),
                              (int)floor(W * config->scales[k]), false, &plans[k]));
    check_ok(network_allocate(bench->network));
    run_both(bench, answers);
    for (int i = 0; i < N; i++) {
        by_hand(bench, config, plans, i, want);
        for (int at = 0; at < MAP; at++)
            assert_pixel(answers, i, at, want);
    }
    bench_close(bench);
    free(want);
    free(answers);
    free(bench);
}

static void one_scale_is_the_network(void **state) {
    struct inference_config config = {.batch = BATCH,
                                      .n_scales = 1,
                                      .scales = {1.0},
                                      .average = ADELE_ENSEMBLE_PROBABILITIES,
                                      .temperature = 1.0};
    compare_with_hand(state, &config);
}

static void scales_and_mirror_images_are_averaged(void **state) {
    struct inference_config config = {.batch = BATCH,
                                      .n_scales = 6,
                                      .scales = {0.7, 1.0, 1.5, 1.25, 1.75, 0.9},
                                      .flip = true,
                                      .average = ADELE_ENSEMBLE_PROBABILITIES,
                                      .temperature = 1.0};
    compare_with_hand(state, &config);
}

static void logits_are_averaged_before_the_temperature(void **state) {
    struct inference_config config = {.batch = BATCH,
                                      .n_scales = 2,
                                      .scales = {1.0, 0.75},
                                      .flip = true,
                                      .average = ADELE_ENSEMBLE_LOGITS,
                                      .temperature = 3.0};
    compare_with_hand(state, &config);
}

// ---- another size than the images' --------------------------------------------------------------

enum { H_LARGE = 2 * H + 3, W_LARGE = W + 9, MAP_LARGE = H_LARGE * W_LARGE };

struct large_answers {
    struct bench *bench;
    struct plan *plan;
    int n_kept;
};

// Every row against the network's own logits, brought to the large size before the softmax.
static adele_status compare_rows(void *context, int first, int n_rows, const float *probabilities) {
    static float got[CATEGORIES * MAP_LARGE], image[C * MAP], logits[CATEGORIES * MAP];
    static float z[CATEGORIES * MAP_LARGE];
    struct large_answers *answers = context;
    struct bench *bench = answers->bench;
    const struct adele_device_iface *iface = bench->device->iface;
    struct adele_shape in = plan_input_shape(answers->plan),
                       shape = plan_output_shape(answers->plan);
    for (int i = 0; i < n_rows; i++, answers->n_kept++) {
        check_ok(iface->download(bench->device, got,
                                 probabilities + (size_t)i * CATEGORIES * MAP_LARGE, sizeof got));
        standardize(&bench->pictures, first + i, false, image);
        check_ok(iface->tensor_upload(bench->device, plan_input(answers->plan), in, image));
        check_ok(plan_forward(answers->plan, false));
        check_ok(iface->tensor_download(bench->device, logits, plan_output(answers->plan), shape));
        rescale(logits, CATEGORIES, shape.h, shape.w, z, H_LARGE, W_LARGE);
        for (int at = 0; at < MAP_LARGE; at++) {
            double sum[CATEGORIES], p[CATEGORIES];
            for (int c = 0; c < CATEGORIES; c++)
                sum[c] = z[c * MAP_LARGE + at];
            softmax(sum, p);
            for (int c = 0; c < CATEGORIES; c++)
                assert_true(fabs(got[c * MAP_LARGE + at] - p[c]) <= TOLERANCE);
        }
    }
    return ADELE_OK;
}

static void answers_have_the_size_that_is_asked_for(void **state) {
    struct adele_device *device = *state;
    struct inference_config config = {.batch = BATCH,
                                      .n_scales = 1,
                                      .scales = {1.0},
                                      .average = ADELE_ENSEMBLE_PROBABILITIES,
                                      .temperature = 1.0};
    struct bench *bench = malloc(sizeof *bench);
    struct answers *before = calloc(1, sizeof *before), *after = calloc(1, sizeof *after);
    uint8_t *prediction = malloc((size_t)N * MAP_LARGE);
    assert_true(bench && before && after && prediction);
    bench_open(bench, device, &config);
    struct large_answers answers = {.bench = bench};
    check_ok(network_plan(bench->network, 1, H, W, false, &answers.plan));
    check_ok(network_allocate(bench->network));
    run_both(bench, before);
    struct inference_output output = {
        .h = H_LARGE, .w = W_LARGE, .prediction = prediction, .with_probabilities = true};
    int first = 0, n_rows = 0;
    check_ok(inference_begin(bench->inference, &bench->resident, &output));
    do {
        check_ok(inference_next(bench->inference, &first, &n_rows));
        if (n_rows > 0)
            check_ok(
                compare_rows(&answers, first, n_rows, inference_probabilities(bench->inference)));
    } while (n_rows > 0);
    assert_int_equal(answers.n_kept, N);
    run_both(bench, after); // and back
    assert_memory_equal(before, after, sizeof *before);
    bench_close(bench);
    free(prediction);
    free(after);
    free(before);
    free(bench);
}

// ---- some of the batches ------------------------------------------------------------------------

static adele_status predict_all(struct bench *bench, const struct inference_output *output) {
    int first = 0, n = 0;
    TRY(inference_begin(bench->inference, &bench->resident, output));
    do
        TRY(inference_next(bench->inference, &first, &n));
    while (n > 0);
    return ADELE_OK;
}

// Images first .. end - 1 alone; the others' maps keep the byte 77.
static void compare_part(struct bench *bench, const struct answers *whole, int first, int end) {
    static uint8_t prediction[N * MAP];
    const struct adele_device_iface *iface = bench->device->iface;
    const struct inference_output output = {
        .prediction = bench->prediction, .first = first, .end = end};
    check_ok(iface->fill(bench->device, bench->prediction, 77, sizeof prediction));
    check_ok(predict_all(bench, &output));
    check_ok(iface->download(bench->device, prediction, bench->prediction, sizeof prediction));
    for (int i = 0; i < N; i++) {
        if (i >= first && i < end) {
            assert_memory_equal(prediction + i * MAP, whole->prediction + i * MAP, MAP);
            continue;
        }
        for (int at = 0; at < MAP; at++)
            assert_int_equal(prediction[i * MAP + at], 77);
    }
}

static void check_parts(struct bench *bench, const struct answers *whole) {
    static const int parts[][2] = {{0, 2}, {2, 4}, {4, 5}, {0, 4}, {2, 5}, {0, 5}, {2, 2}, {4, 4}};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        compare_part(bench, whole, parts[k][0], parts[k][1]);
    static const int refused[][2] = {{1, 4}, {0, 3}, {4, 2}, {0, 6}, {5, 5}, {-2, 2}, {4, -1}};
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        const struct inference_output output = {
            .prediction = bench->prediction, .first = refused[k][0], .end = refused[k][1]};
        assert_int_equal(inference_begin(bench->inference, &bench->resident, &output),
                         ADELE_INVALID_ARGUMENT);
        assert_non_null(strstr(adele_error_message(), "of a set of 5, in batches of 2"));
    }
}

// Also of images that stay in host memory, which are copied a batch ahead.
static void batches_are_predicted_alone_as_among_all(void **state) {
    struct inference_config config = inference_config_single(BATCH, 1.0);
    struct bench *bench = malloc(sizeof *bench);
    struct answers *whole = calloc(1, sizeof *whole);
    assert_true(bench && whole);
    bench_open(bench, *state, &config);
    check_ok(network_allocate(bench->network));
    run_both(bench, whole);
    check_parts(bench, whole);
    check_ok(resident_move_to_host(&bench->resident));
    check_parts(bench, whole);
    bench_close(bench);
    free(whole);
    free(bench);
}

// ---- errors -------------------------------------------------------------------------------------

// A caller may stop after any batch; the next set begins with its first image.
static void a_stopped_prediction_begins_anew(void **state) {
    struct inference_config config = inference_config_single(BATCH, 1.0);
    struct bench *bench = malloc(sizeof *bench);
    struct answers *whole = calloc(1, sizeof *whole), *again = calloc(1, sizeof *again);
    assert_true(bench && whole && again);
    bench_open(bench, *state, &config);
    check_ok(network_allocate(bench->network));
    run_both(bench, whole);
    const struct inference_output output = {.prediction = bench->prediction};
    int first = -1, n = 0;
    check_ok(inference_begin(bench->inference, &bench->resident, &output));
    check_ok(inference_next(bench->inference, &first, &n));
    assert_int_equal(first, 0);
    assert_int_equal(n, BATCH);
    run_both(bench, again);
    assert_memory_equal(whole, again, sizeof *whole);
    bench_close(bench);
    free(again);
    free(whole);
    free(bench);
}

static void refusals(void **state) {
    struct adele_device *device = *state;
    struct inference_config config = {.batch = BATCH, .n_scales = 1, .scales = {1.0}};
    struct bench *bench = malloc(sizeof *bench);
    assert_non_null(bench);
    bench_open(bench, device, &config);
    check_ok(network_allocate(bench->network));
    struct inference_output output = {.prediction = bench->prediction};
    bench->resident.set.h = H / 2;
    assert_int_equal(predict_all(bench, &output), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "2 x 16 x 28"));
    bench->resident.set.h = H;
    struct inference *other = NULL;
    config.scales[0] = 0.01;
    assert_int_equal(inference_create(device, bench->network, &config, CATEGORIES, C, H, W, &other),
                     ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "scale 0.01"));
    assert_null(other);
    config.scales[0] = 0.3; // a pixel of the deepest level would be none
    assert_int_not_equal(
        inference_create(device, bench->network, &config, CATEGORIES, C, H, W, &other), ADELE_OK);
    assert_null(other);
    bench_close(bench);
    free(bench);
    inference_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_scale_is_the_network),
        cmocka_unit_test(scales_and_mirror_images_are_averaged),
        cmocka_unit_test(logits_are_averaged_before_the_temperature),
        cmocka_unit_test(answers_have_the_size_that_is_asked_for),
        cmocka_unit_test(batches_are_predicted_alone_as_among_all),
        cmocka_unit_test(a_stopped_prediction_begins_anew),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, devices_setup_cpu, devices_teardown);
}
