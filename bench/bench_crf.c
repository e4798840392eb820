// SPDX-License-Identifier: MIT
// Times the fully connected CRF of METHOD section 3 by itself, on one image that a peer gets too.
//
//   bench_crf IMAGE PROBABILITIES OUT --height H --width W --categories C [--iterations 10]
//             [--runs 5]
//
// IMAGE: (3, H, W) bytes; PROBABILITIES: (C, H, W) floats; OUT is written like these. Prints one
// JSON object: the median of the runs in ms, and the median ms of all processors.
// bench/crf_peer.py makes the files and runs this in alternation with pydensecrf.
#include "base/file.h"
#include "base/memory.h"
#include "device/device.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench {
    int h, w, n_categories, n_iterations, n_runs;
    struct adele_device *device;
    struct adele_op *op;
    struct adele_crf_args args;
    double *wall_ms, *processor_ms; // (n_runs)
};

static void check(adele_status status) {
    if (status == ADELE_OK)
        return;
    fprintf(stderr, "bench_crf: %s (%s)\n", adele_error_message(), adele_error_place());
    exit(1);
}

static double now_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

// A block of the device with the contents of a file of exactly that size.
static void *upload_file(struct bench *bench, const char *path, size_t bytes) {
    char *contents = NULL;
    size_t size = 0;
    void *block = NULL;
    check(file_read(path, bytes, &contents, &size));
    if (size != bytes) {
        fprintf(stderr, "bench_crf: %s has %zu bytes instead of %zu\n", path, size, bytes);
        exit(1);
    }
    check(adele_device_alloc_zeroed(bench->device, bytes, "the CRF", &block));
    check(bench->device->iface->upload(bench->device, block, contents, bytes));
    memory_free(contents);
    return block;
}

static size_t probability_bytes(const struct bench *bench) {
    return (size_t)bench->n_categories * (size_t)bench->h * (size_t)bench->w * sizeof(float);
}

static void setup(struct bench *bench, const char *image, const char *probabilities) {
    struct adele_crf_desc desc = {.n = 1,
                                  .c = bench->n_categories,
                                  .image_c = 3,
                                  .h = bench->h,
                                  .w = bench->w,
                                  .iterations = bench->n_iterations,
                                  .spatial_sigma = 3.0,
                                  .spatial_weight = 3.0,
                                  .bilateral_sigma = 32.0,
                                  .colour_sigma = 13.0,
                                  .bilateral_weight = 10.0};
    check(adele_device_open("cpu", ADELE_PRECISION_FP32, &bench->device));
    check(bench->device->iface->crf_create(bench->device, &desc, &bench->op));
    bench->args.images =
        upload_file(bench, image, (size_t)desc.image_c * (size_t)desc.h * (size_t)desc.w);
    bench->args.probabilities = upload_file(bench, probabilities, probability_bytes(bench));
    void *dst = NULL;
    check(adele_device_alloc_zeroed(bench->device, probability_bytes(bench), "the CRF", &dst));
    bench->args.dst = dst;
    check(adele_device_alloc_zeroed(bench->device, bench->op->workspace_bytes + 64, "the CRF",
                                    &bench->args.workspace));
    bench->wall_ms = calloc((size_t)bench->n_runs, sizeof *bench->wall_ms);
    bench->processor_ms = calloc((size_t)bench->n_runs, sizeof *bench->processor_ms);
    if (bench->wall_ms == NULL || bench->processor_ms == NULL)
        exit(1);
}

static void teardown(struct bench *bench) {
    const struct adele_device_iface *iface = bench->device->iface;
    iface->release(bench->device, (void *)(uintptr_t)bench->args.images);
    iface->release(bench->device, (void *)(uintptr_t)bench->args.probabilities);
    iface->release(bench->device, bench->args.dst);
    iface->release(bench->device, bench->args.workspace);
    iface->op_destroy(bench->op);
    adele_device_close(bench->device);
    free(bench->wall_ms);
    free(bench->processor_ms);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return values[n / 2];
}

// One run more than asked for: the first one warms up.
static void time_runs(struct bench *bench) {
    for (int i = -1; i < bench->n_runs; i++) {
        double wall = now_ms(CLOCK_MONOTONIC), processor = now_ms(CLOCK_PROCESS_CPUTIME_ID);
        check(bench->device->iface->crf_forward(bench->op, &bench->args));
        if (i >= 0) {
            bench->wall_ms[i] = now_ms(CLOCK_MONOTONIC) - wall;
            bench->processor_ms[i] = now_ms(CLOCK_PROCESS_CPUTIME_ID) - processor;
        }
    }
}

static void parse(struct bench *bench, int argc, char **argv) {
    struct {
        const char *name;
        int *value;
    } numbers[] = {{"--height", &bench->h},
                   {"--width", &bench->w},
                   {"--categories", &bench->n_categories},
                   {"--iterations", &bench->n_iterations},
                   {"--runs", &bench->n_runs}};
    bool is_known = argc >= 4;
    for (int i = 4; i < argc && is_known; i += 2) {
        is_known = false;
        for (size_t j = 0; i + 1 < argc && j < sizeof numbers / sizeof *numbers; j++)
            if (strcmp(argv[i], numbers[j].name) == 0 && atoi(argv[i + 1]) > 0) {
                *numbers[j].value = atoi(argv[i + 1]);
                is_known = true;
            }
    }
    if (!is_known || bench->h == 0 || bench->w == 0 || bench->n_categories == 0) {
        fprintf(stderr, "usage: bench_crf IMAGE PROBABILITIES OUT --height H --width W "
                        "--categories C [--iterations 10] [--runs 5]\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct bench bench = {.n_iterations = 10, .n_runs = 5};
    parse(&bench, argc, argv);
    setup(&bench, argv[1], argv[2]);
    time_runs(&bench);
    check(file_write(argv[3], bench.args.dst, probability_bytes(&bench)));
    printf("{\"median_ms\": %.3f, \"processor_ms\": %.3f, \"workspace_mb\": %.1f}\n",
           median(bench.wall_ms, bench.n_runs), median(bench.processor_ms, bench.n_runs),
           (double)bench.op->workspace_bytes / 1048576.0);
    teardown(&bench);
    return 0;
}
