// SPDX-License-Identifier: MIT
// The published network (ResNet38d with LargeFOV, all of its blocks, dilations and dropouts) at a
// sixteenth of its width on the device that ADELE_TEST_DEVICES names, beside the CPU: logits and
// the gradient of every parameter, with frozen statistics and as it is trained.
#include "nn/network.h"

#include "base/random.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 2, C = 3, H = 41, W = 33, CATEGORIES = 21, WIDTH = 4 };

// Logits follow the sums, which two devices, and two instruction sets of the CPU, add up in
// different orders: single precision over forty layers; with the statistics of a batch every
// difference goes through all of the layer's values. Gradients do not: a rounding may carry a unit
// over the edge of its ReLU, which switches its gradient on or off and moves a layer's by a per
// cent, on one device and not on the other. An op that is wrong is off by more.
#define TOLERANCE_FROZEN    1e-4
#define TOLERANCE_TRAINED   2e-3
#define TOLERANCE_GRADIENTS 0.05

struct half {
    struct adele_device *device;
    struct network *network;
    struct plan *plan;
    float *logits, *gradients;
};

static void fill_random(float *values, size_t n, uint32_t purpose) {
    struct random_stream stream;
    random_stream_init(&stream, 11, RANDOM_TEST, 0, purpose);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)random_range(&stream, -1.0, 1.0);
}

static void upload(struct half *half, void *tensor, struct adele_shape shape, uint32_t purpose) {
    float *values = malloc(shape_count(shape) * sizeof *values);
    assert_non_null(values);
    fill_random(values, shape_count(shape), purpose);
    check_ok(half->device->iface->tensor_upload(half->device, tensor, shape, values));
    free(values);
}

// The same seed gives the same weights on every device.
static void half_open(struct half *half, struct adele_device *device) {
    struct network_config config = {.name = "deeplabv1",
                                    .backbone = "resnet38d",
                                    .n_channels = C,
                                    .n_categories = CATEGORIES,
                                    .width = WIDTH,
                                    .rate = 2, // all taps of the head meet a map of 6 x 5
                                    .seed = 3};
    assert_non_null(device);
    half->device = device;
    check_ok(network_create(device, &config, &half->network));
    check_ok(network_plan(half->network, N, H, W, true, &half->plan));
    check_ok(network_allocate(half->network));
    half->logits = malloc(shape_count(plan_output_shape(half->plan)) * sizeof(float));
    half->gradients = malloc((size_t)network_graph(half->network)->n_weights * sizeof(float));
    assert_true(half->logits && half->gradients);
}

static void half_close(struct half *half) {
    free(half->logits);
    free(half->gradients);
    network_destroy(half->network);
    adele_device_close(half->device);
}

static void forward_and_backward(struct half *half, bool is_training) {
    const struct adele_device_iface *iface = half->device->iface;
    struct adele_shape out = plan_output_shape(half->plan);
    upload(half, plan_input(half->plan), plan_input_shape(half->plan), 1);
    plan_set_samples(half->plan, 1, NULL);
    check_ok(network_zero_gradients(half->network));
    check_ok(plan_forward(half->plan, is_training));
    check_ok(iface->tensor_download(half->device, half->logits, plan_output(half->plan), out));
    upload(half, plan_d_output(half->plan), out, 2);
    check_ok(plan_backward(half->plan));
    check_ok(iface->download(half->device, half->gradients, network_gradients(half->network),
                             (size_t)network_graph(half->network)->n_weights * sizeof(float)));
}

static void compare_halves(struct half *got, struct half *want, bool is_training,
                           double tolerance) {
    const struct graph *graph = network_graph(want->network);
    forward_and_backward(got, is_training);
    forward_and_backward(want, is_training);
    assert_true(compare_l2("logits", got->logits, want->logits,
                           shape_count(plan_output_shape(want->plan)), tolerance));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!parameter->is_buffer && !parameter->is_frozen)
            assert_true(compare_l2(parameter->name, got->gradients + parameter->offset,
                                   want->gradients + parameter->offset, (size_t)parameter->count,
                                   TOLERANCE_GRADIENTS));
    }
}

static void agrees_with_the_cpu(void **state) {
    (void)state;
    struct half got = {0}, want = {0};
    struct adele_device *cpu = NULL;
    if (devices_are_cpu()) {
        print_message("the CPU beside itself says nothing; see golden_deeplabv1_resnet38d\n");
        skip();
    }
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &cpu));
    half_open(&want, cpu);
    half_open(&got, devices_open_first());
    compare_halves(&got, &want, false, TOLERANCE_FROZEN);
    compare_halves(&got, &want, true, TOLERANCE_TRAINED);
    half_close(&got);
    half_close(&want);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
