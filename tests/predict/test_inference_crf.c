// SPDX-License-Identifier: MIT
// The CRF behind an inference, against the op applied by hand to the probabilities of one without.
#include "predict/inference.h"

#include "base/random.h"
#include "reference/reference.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N = 5,
    C = 3,
    H = 32,
    W = 28,
    CATEGORIES = 3,
    BATCH = 2,
    MAP = H * W,
    ROW = CATEGORIES * MAP
};

struct bench {
    struct adele_device *device;
    struct network *network;
    struct resident resident;
    uint8_t pixels[N * C * MAP];
    float mean[N * C], inv_std[N * C];
};

struct answers {
    uint8_t prediction[N * MAP];
    float foreground[N * MAP], background[N * MAP], probabilities[N * ROW];
    const struct adele_device *device;
};

static void bench_open(struct bench *bench, struct adele_device *device, enum residency residency) {
    struct random_stream stream;
    random_stream_init(&stream, 5, RANDOM_TEST, 0, 0);
    bench->device = device;
    for (int i = 0; i < N * C * MAP; i++)
        bench->pixels[i] = (uint8_t)((i / 7 % 11) * 20 + random_below(&stream, 30));
    for (int i = 0; i < N * C; i++) {
        bench->mean[i] = 110.0f;
        bench->inv_std[i] = 0.02f;
    }
    struct dataset_images images = {.n = N,
                                    .c = C,
                                    .h = H,
                                    .w = W,
                                    .images = bench->pixels,
                                    .mean = bench->mean,
                                    .inv_std = bench->inv_std};
    struct network_config network = {
        .name = "unet", .n_channels = C, .n_categories = CATEGORIES, .width = 4, .seed = 3};
    check_ok(network_create(device, &network, &bench->network));
    const struct resident_options options = {.residency = residency, .batch = BATCH};
    check_ok(resident_init(&bench->resident, device, &images, &options));
}

static adele_status keep_rows(struct answers *answers, int first, int n_rows,
                              const float *probabilities) {
    return answers->device->iface->download(answers->device,
                                            answers->probabilities + (size_t)first * ROW,
                                            probabilities, (size_t)n_rows * ROW * sizeof(float));
}

static adele_status run(struct bench *bench, int crf_iterations, bool without_crf,
                        struct answers *answers) {
    struct inference_config config = {.batch = BATCH,
                                      .n_scales = 1,
                                      .scales = {1.0},
                                      .average = ADELE_ENSEMBLE_LOGITS,
                                      .temperature = 3.0,
                                      .crf_iterations = crf_iterations};
    struct inference *inference = NULL;
    check_ok(
        inference_create(bench->device, bench->network, &config, CATEGORIES, C, H, W, &inference));
    check_ok(network_allocate(bench->network));
    answers->device = bench->device; // the CPU: its memory is the host's
    struct inference_output output = {.prediction = answers->prediction,
                                      .confidence_foreground = answers->foreground,
                                      .confidence_background = answers->background,
                                      .with_probabilities = true,
                                      .without_crf = without_crf};
    int first = 0, n = 0;
    adele_status status = inference_begin(inference, &bench->resident, &output);
    do {
        if (status == ADELE_OK)
            status = inference_next(inference, &first, &n);
        if (status == ADELE_OK && n > 0)
            status = keep_rows(answers, first, n, inference_probabilities(inference));
    } while (status == ADELE_OK && n > 0);
    inference_destroy(inference);
    return status;
}

// dst = the CRF of METHOD section 3 on all images at once.
static void by_hand(struct bench *bench, const float *probabilities, float *dst) {
    struct adele_crf_desc desc = {N, CATEGORIES, C, H, W, 2, 3.0, 3.0, 32.0, 13.0, 10.0};
    struct adele_op *op = NULL;
    void *workspace = NULL;
    check_ok(bench->device->iface->crf_create(bench->device, &desc, &op));
    check_ok(bench->device->iface->alloc(bench->device, op->workspace_bytes, &workspace));
    struct adele_crf_args args = {probabilities, bench->pixels, NULL, dst, workspace};
    check_ok(bench->device->iface->crf_forward(op, &args));
    bench->device->iface->release(bench->device, workspace);
    bench->device->iface->op_destroy(op);
}

static void decides_behind_the_crf(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    struct answers *plain = calloc(1, sizeof *plain), *crf = calloc(1, sizeof *crf);
    struct answers *off = calloc(1, sizeof *off);
    float *want = malloc(sizeof(float) * N * ROW);
    assert_true(bench && plain && crf && off && want);
    bench_open(bench, *state, RESIDENCY_DEVICE);
    check_ok(run(bench, 0, false, plain));
    check_ok(run(bench, 2, false, crf));
    check_ok(run(bench, 2, true, off));
    by_hand(bench, plain->probabilities, want);
    assert_memory_equal(crf->probabilities, want, sizeof crf->probabilities);
    assert_memory_equal(off, plain, sizeof *off);
    assert_memory_not_equal(crf->probabilities, plain->probabilities, sizeof crf->probabilities);
    for (int i = 0; i < N * MAP; i++) {
        const float *p = want + (size_t)(i / MAP) * ROW + (size_t)(i % MAP);
        float foreground = p[MAP] > p[2 * MAP] ? p[MAP] : p[2 * MAP];
        int best = p[0] >= foreground ? 0 : p[MAP] >= p[2 * MAP] ? 1 : 2;
        assert_int_equal(crf->prediction[i], best);
        assert_true(crf->foreground[i] == foreground && crf->background[i] == p[0]);
    }
    bench->resident.set.pixel = ADELE_PIXEL_F16;
    assert_int_equal(run(bench, 1, false, crf), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "8 bits"));
    resident_deinit(&bench->resident);
    network_destroy(bench->network);
    free(want);
    free(off);
    free(crf);
    free(plain);
    free(bench);
}

// Images that stay on the host, too: the CRF reads those of the batch.
static void images_on_the_host_give_the_same(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    struct answers *want = calloc(1, sizeof *want), *got = calloc(1, sizeof *got);
    assert_true(bench && want && got);
    for (int host = 0; host < 2; host++) {
        bench_open(bench, *state, host ? RESIDENCY_HOST : RESIDENCY_DEVICE);
        assert_true((bench->resident.set.images == NULL) == (host != 0));
        check_ok(run(bench, 2, false, host ? got : want));
        resident_deinit(&bench->resident);
        network_destroy(bench->network);
    }
    assert_memory_equal(got, want, sizeof *got);
    free(got);
    free(want);
    free(bench);
}

static void images_of_two_channels_are_refused(void **state) {
    struct adele_device *device = *state;
    struct network_config config = {
        .name = "unet", .n_channels = 2, .n_categories = CATEGORIES, .width = 4, .seed = 3};
    struct inference_config inference = {
        .batch = 1, .n_scales = 1, .scales = {1.0}, .crf_iterations = 1};
    struct network *network = NULL;
    struct inference *out = NULL;
    check_ok(network_create(device, &config, &network));
    assert_int_equal(inference_create(device, network, &inference, CATEGORIES, 2, H, W, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_null(out);
    assert_non_null(strstr(adele_error_message(), "2 channels"));
    network_destroy(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_behind_the_crf),
        cmocka_unit_test(images_on_the_host_give_the_same),
        cmocka_unit_test(images_of_two_channels_are_refused),
    };
    return cmocka_run_group_tests(tests, devices_setup_cpu, devices_teardown);
}
