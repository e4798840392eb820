// SPDX-License-Identifier: MIT
// Label correction against the authors' program: every pixel equal, on every device of the build.
// The SegTHOR files hold probabilities and pass through `decide`; the VOC files hold one
// confidence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/compare.h"
#include "support/devices.h"
#include "support/golden.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *file_name;

// Host arrays of one file.
struct golden_case {
    struct adele_correct_desc desc;
    uint8_t correct[256];
    uint8_t *labels, *corrected, *prediction;
    float *probabilities, *confidence;
};

static void read_settings(const struct safetensors *file, struct golden_case *golden) {
    struct adele_correct_desc *desc = &golden->desc;
    double on[256];
    int n_on = golden_numbers(file, "on", 256, on);
    for (int i = 0; i < n_on; i++)
        golden->correct[(int)on[i]] = 1;
    golden->correct[0] = n_on > 0;
    desc->class_constraint = golden_number(file, "class_constraint") != 0.0;
    if (strcmp(golden_text(file, "rule"), "both") == 0) {
        desc->rule = ADELE_CORRECT_BOTH;
        desc->tau_foreground = golden_number(file, "tau_foreground");
        desc->tau_background = golden_number(file, "tau_background");
        desc->logic255 = golden_number(file, "logic255") != 0.0;
    } else {
        desc->rule = ADELE_CORRECT_SINGLE;
        desc->tau_foreground = golden_number(file, "tau");
        desc->tau_background = desc->tau_foreground;
        desc->mask = strcmp(golden_text(file, "write"), "mask") == 0;
        desc->guard = true;
    }
}

static void read_case(struct golden_case *golden) {
    memset(golden, 0, sizeof *golden);
    struct safetensors *file = golden_open(file_name);
    read_settings(file, golden);
    const struct safetensors_entry *labels = golden_entry(file, "labels");
    golden->desc.n = (int)labels->shape[0];
    golden->desc.h = (int)labels->shape[1];
    golden->desc.w = (int)labels->shape[2];
    golden->labels = golden_u8(file, "labels", NULL);
    golden->corrected = golden_u8(file, "corrected", NULL);
    if (golden->desc.rule == ADELE_CORRECT_BOTH) {
        golden->desc.n_categories = (int)golden_entry(file, "probabilities")->shape[1];
        golden->probabilities = golden_f32(file, "probabilities", NULL);
    } else {
        golden->desc.n_categories = 21;
        golden->prediction = golden_u8(file, "prediction", NULL);
        golden->confidence = golden_f32(file, "confidence", NULL);
    }
    safetensors_close(file);
}

static void free_case(struct golden_case *golden) {
    free(golden->labels);
    free(golden->corrected);
    free(golden->prediction);
    free(golden->probabilities);
    free(golden->confidence);
}

static void decide(struct arena *arena, const struct golden_case *golden,
                   struct adele_correct_args *args) {
    const struct adele_device *device = arena->device;
    const struct adele_correct_desc *desc = &golden->desc;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    struct adele_decide_desc decide_desc = {desc->n, desc->n_categories,           desc->h,
                                            desc->w, ADELE_ENSEMBLE_PROBABILITIES, 1.0};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->decide_create(device, &decide_desc, &op), ADELE_OK);
    struct adele_decide_args decide_args = {
        .accumulator = arena_upload(arena, golden->probabilities,
                                    n_pixels * (size_t)desc->n_categories * sizeof(float)),
        .prediction = arena_upload(arena, NULL, n_pixels),
        .confidence_foreground = arena_upload(arena, NULL, n_pixels * sizeof(float)),
        .confidence_background = arena_upload(arena, NULL, n_pixels * sizeof(float))};
    assert_int_equal(device->iface->decide_forward(op, &decide_args), ADELE_OK);
    args->prediction = decide_args.prediction;
    args->confidence_foreground = decide_args.confidence_foreground;
    args->confidence_background = decide_args.confidence_background;
    device->iface->op_destroy(op);
}

static void run_on(struct adele_device *device) {
    struct golden_case golden;
    read_case(&golden);
    size_t n_pixels = (size_t)golden.desc.n * (size_t)golden.desc.h * (size_t)golden.desc.w;
    struct arena arena;
    arena_open(&arena, device);
    struct adele_correct_args args = {.base = arena_upload(&arena, golden.labels, n_pixels),
                                      .labels = arena_upload(&arena, NULL, n_pixels)};
    memcpy(args.correct, golden.correct, sizeof args.correct);
    if (golden.probabilities != NULL) {
        decide(&arena, &golden, &args);
    } else {
        args.prediction = arena_upload(&arena, golden.prediction, n_pixels);
        args.confidence_foreground =
            arena_upload(&arena, golden.confidence, n_pixels * sizeof(float));
        args.confidence_background = args.confidence_foreground;
    }
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->correct_create(device, &golden.desc, &op), ADELE_OK);
    assert_int_equal(device->iface->correct_forward(op, &args), ADELE_OK);
    uint8_t *labels = malloc(n_pixels);
    assert_non_null(labels);
    assert_int_equal(device->iface->download(device, labels, args.labels, n_pixels), ADELE_OK);
    assert_true(compare_bytes(file_name, labels, golden.corrected, n_pixels));
    free(labels);
    device->iface->op_destroy(op);
    arena_close(&arena);
    free_case(&golden);
}

static void test_golden(void **state) {
    (void)state;
    devices_each(run_on);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: golden_correct FILE\n");
        return 2;
    }
    file_name = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
