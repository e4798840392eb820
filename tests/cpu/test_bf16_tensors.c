// SPDX-License-Identifier: MIT
// A network in bf16 on the CPU: its tensors take half the memory, and it learns what the same
// network in fp32 learns.
#include "base/random.h"
#include "cpu/isa.h"
#include "support/devices.h"
#include "support/networks.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 2, EXTENT = 32, N_CLASSES = 3, WIDTH = 16, N_STEPS = 8 };

static struct adele_device *open_device(enum adele_precision precision) {
    struct adele_device *device = NULL;
    check_ok(adele_device_open("cpu", precision, &device));
    return device;
}

// A U-Net and its training plan, without memory.
static void create_network(struct adele_device *device, enum adele_precision precision, int n,
                           int extent, struct network **network, struct plan **plan) {
    struct graph graph = {0};
    check_ok(unet_build(&graph, 1, N_CLASSES, WIDTH));
    check_ok(network_create_from_graph(device, &graph, 0, precision, network));
    graph_deinit(&graph);
    check_ok(network_plan(*network, n, extent, extent, true, plan));
}

static void test_tensor_bytes(void **state) {
    (void)state;
    struct adele_device *floats = open_device(ADELE_PRECISION_FP32);
    struct adele_device *narrow = open_device(ADELE_PRECISION_BF16);
    const struct adele_shape shapes[] = {{1, 1, 1, 1}, {2, 17, 5, 3}, {5, 64, 16, 16}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        assert_int_equal(2 * narrow->iface->tensor_bytes(narrow, shapes[i]),
                         floats->iface->tensor_bytes(floats, shapes[i]));
    assert_false(device_is_bf16(floats));
    assert_true(device_is_bf16(narrow));
    adele_device_close(floats);
    adele_device_close(narrow);
}

// Activations and their gradients, which are most of what a training takes, but not all: parameters
// and their gradients are float, and so is what ops work with in between. Without AVX2, oneDNN's
// float kernels serve most layers, on copies.
static void test_planned_bytes(void **state) {
    (void)state;
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        enum adele_precision precision = i == 0 ? ADELE_PRECISION_FP32 : ADELE_PRECISION_BF16;
        struct adele_device *device = open_device(precision);
        struct network *network = NULL;
        struct plan *plan = NULL;
        create_network(device, precision, 5, 128, &network, &plan);
        bytes[i] = network_planned_bytes(network);
        network_destroy(network);
        adele_device_close(device);
    }
    double share = cpu_isa() >= CPU_ISA_AVX2 ? 0.6 : 0.7;
    if (!((double)bytes[1] <= share * (double)bytes[0]))
        fail_msg("bf16 takes %zu bytes, fp32 %zu", bytes[1], bytes[0]);
}

// The left half of each image is of class 0, the right half of class 2, and they differ in
// brightness.
static void fill(float *images, uint8_t *labels) {
    struct random_stream stream;
    random_stream_init(&stream, 0, RANDOM_TEST, 0, 0);
    for (int i = 0; i < N * EXTENT * EXTENT; i++) {
        bool is_right = i % EXTENT >= EXTENT / 2;
        images[i] = (float)(random_normal(&stream) * 0.5 + (is_right ? 1.0 : -1.0));
        labels[i] = is_right ? 2 : 0;
    }
}

// losses[k]: before update k.
static void train(enum adele_precision precision, double *losses) {
    float *images = calloc((size_t)N * EXTENT * EXTENT, sizeof *images);
    uint8_t *labels = calloc((size_t)N * EXTENT * EXTENT, 1);
    struct adele_device *device = open_device(precision);
    struct network *network = NULL;
    struct plan *plan = NULL;
    struct train_step step;
    assert_non_null(images);
    assert_non_null(labels);
    fill(images, labels);
    create_network(device, precision, N, EXTENT, &network, &plan);
    check_ok(network_allocate(network));
    train_step_create(&step, device, network, plan, images, labels);
    for (int k = 0; k < N_STEPS; k++)
        losses[k] = train_step_run(&step, 0.05F, 0.9F);
    train_step_destroy(&step);
    network_destroy(network);
    adele_device_close(device);
    free(images);
    free(labels);
}

// Gradients of another sign, or of another size by some tenths, would not reach this loss together.
static void test_training(void **state) {
    (void)state;
    double floats[N_STEPS], narrow[N_STEPS];
    train(ADELE_PRECISION_FP32, floats);
    train(ADELE_PRECISION_BF16, narrow);
    print_message("losses: fp32 %g to %g, bf16 %g to %g\n", floats[0], floats[N_STEPS - 1],
                  narrow[0], narrow[N_STEPS - 1]);
    assert_true(floats[N_STEPS - 1] < 0.5 * floats[0]);
    assert_true(fabs(narrow[0] - floats[0]) <= 0.01 * floats[0]);
    assert_true(fabs(narrow[N_STEPS - 1] - floats[N_STEPS - 1]) <= 0.05 * floats[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor_bytes),
        cmocka_unit_test(test_planned_bytes),
        cmocka_unit_test(test_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
