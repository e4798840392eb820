// SPDX-License-Identifier: MIT
// A whole U-Net of base width 8 against PyTorch: logits, gradients and three steps of SGD.
#include "nn/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/compare.h"
#include "support/devices.h"
#include "support/golden.h"
#include "support/train_step.h"

// What the golden files ask for in fp32.
#define TOLERANCE 1e-4

static const char *golden_file = "unet_w8.safetensors";

struct fixture {
    const struct adele_device *device;
    struct safetensors *file;
    struct network *network;
};

static void fixture_create(struct fixture *fixture, const struct adele_device *device) {
    struct network_config config = {
        .name = "unet", .n_channels = 1, .n_categories = 5, .width = 8, .seed = 1};
    fixture->device = device;
    fixture->file = golden_open(golden_file);
    check_ok(network_create(device, &config, &fixture->network));
    check_ok(network_import(fixture->network, "weights.", fixture->file));
}

static void fixture_destroy(struct fixture *fixture) {
    network_destroy(fixture->network);
    safetensors_close(fixture->file);
}

static struct adele_shape golden_shape(const struct safetensors *file, const char *name) {
    const struct safetensors_entry *entry = golden_entry(file, name);
    assert_int_equal(entry->n_dimensions, 4);
    return (struct adele_shape){(int)entry->shape[0], (int)entry->shape[1], (int)entry->shape[2],
                                (int)entry->shape[3]};
}

static void assert_logits(struct fixture *fixture, struct plan *plan, const char *name) {
    struct adele_shape shape = plan_output_shape(plan);
    float *want = golden_f32(fixture->file, name, NULL);
    float *got = malloc(shape_count(shape) * sizeof *got);
    assert_non_null(got);
    check_ok(
        fixture->device->iface->tensor_download(fixture->device, got, plan_output(plan), shape));
    assert_true(compare_l2(name, got, want, shape_count(shape), TOLERANCE));
    free(got);
    free(want);
}

static void assert_eval_logits(struct fixture *fixture, const char *input, const char *logits,
                               bool is_training) {
    struct adele_shape shape = golden_shape(fixture->file, input);
    struct plan *plan;
    check_ok(network_plan(fixture->network, shape.n, shape.h, shape.w, is_training, &plan));
    check_ok(network_allocate(fixture->network));
    float *image = golden_f32(fixture->file, input, NULL);
    check_ok(
        fixture->device->iface->tensor_upload(fixture->device, plan_input(plan), shape, image));
    check_ok(plan_forward(plan, false));
    assert_logits(fixture, plan, logits);
    free(image);
}

static void check_eval(struct adele_device *device) {
    struct fixture fixture;
    fixture_create(&fixture, device);
    // Inference plans reuse memory, training plans keep it; in eval mode both answer the same.
    for (int is_training = 0; is_training < 2; is_training++) {
        assert_eval_logits(&fixture, "input", "logits_eval", is_training);
        assert_eval_logits(&fixture, "input_odd", "logits_eval_odd", is_training);
    }
    fixture_destroy(&fixture);
}

static double norm(const float *values, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

// Every trainable tensor of an arena against PREFIX + name. A bias in front of a batch norm has a
// gradient of exactly zero but for rounding, so its error is measured against the gradient of its
// convolution's weight.
static void assert_arena(struct fixture *fixture, const char *prefix, const float *arena,
                         bool is_gradient) {
    const struct graph *graph = network_graph(fixture->network);
    double weight_norm = 0;
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (parameter->is_buffer)
            continue;
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, parameter->name);
        float *want = golden_f32(fixture->file, name, NULL);
        const float *got = arena + parameter->offset;
        double want_norm = norm(want, parameter->count);
        if (parameter->n_dimensions == 4)
            weight_norm = want_norm;
        if (is_gradient && want_norm < 1e-4 * weight_norm) {
            double error = 0;
            for (int64_t k = 0; k < parameter->count; k++)
                error += ((double)got[k] - (double)want[k]) * ((double)got[k] - (double)want[k]);
            if (!(sqrt(error) <= TOLERANCE * weight_norm))
                fail_msg("%s: error %g beside a weight gradient of %g", name, sqrt(error),
                         weight_norm);
        } else {
            assert_true(compare_l2(name, got, want, (size_t)parameter->count, TOLERANCE));
        }
        free(want);
    }
}

static void assert_buffers(struct fixture *fixture, const char *prefix, const float *arena) {
    const struct graph *graph = network_graph(fixture->network);
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!parameter->is_buffer)
            continue;
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, parameter->name);
        float *want = golden_f32(fixture->file, name, NULL);
        assert_true(
            compare_l2(name, arena + parameter->offset, want, (size_t)parameter->count, TOLERANCE));
        free(want);
    }
}

static float *download(const struct adele_device *device, const float *arena, int64_t n) {
    float *host = malloc((size_t)n * sizeof *host);
    assert_non_null(host);
    check_ok(device->iface->download(device, host, arena, (size_t)n * sizeof *host));
    return host;
}

static void check_training(struct adele_device *device) {
    struct fixture fixture;
    fixture_create(&fixture, device);
    const struct graph *graph = network_graph(fixture.network);
    struct adele_shape shape = golden_shape(fixture.file, "input");
    struct plan *plan;
    check_ok(network_plan(fixture.network, shape.n, shape.h, shape.w, true, &plan));
    check_ok(network_allocate(fixture.network));
    float *image = golden_f32(fixture.file, "input", NULL);
    uint8_t *labels = golden_u8(fixture.file, "labels", NULL);
    double losses[3];
    assert_int_equal(golden_numbers(fixture.file, "losses", 3, losses), 3);
    float rate = (float)golden_number(fixture.file, "lr");
    float momentum = (float)golden_number(fixture.file, "momentum");
    struct train_step step;
    train_step_create(&step, device, fixture.network, plan, image, labels);
    for (int i = 0; i < 3; i++) {
        double loss = train_step_run(&step, rate, momentum);
        if (!(fabs(loss - losses[i]) <= TOLERANCE * losses[i]))
            fail_msg("loss of step %d: got %.7f, want %.7f", i, loss, losses[i]);
        if (i > 0)
            continue;
        assert_logits(&fixture, plan, "logits_train");
        float *gradients = download(device, network_gradients(fixture.network), graph->n_weights);
        assert_arena(&fixture, "grads.", gradients, true);
        free(gradients);
    }
    float *weights = download(device, network_weights(fixture.network), graph->n_weights);
    float *buffers = download(device, network_buffers(fixture.network), graph->n_buffers);
    assert_arena(&fixture, "weights_after3.", weights, false);
    assert_buffers(&fixture, "weights_after3.", buffers);
    free(weights);
    free(buffers);
    free(image);
    free(labels);
    train_step_destroy(&step);
    fixture_destroy(&fixture);
}

static void logits_in_eval_mode(void **state) {
    (void)state;
    devices_each(check_eval);
}

static void logits_gradients_and_three_steps(void **state) {
    (void)state;
    devices_each(check_training);
}

int main(int argc, char **argv) {
    if (argc > 1)
        golden_file = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_in_eval_mode),
        cmocka_unit_test(logits_gradients_and_three_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
