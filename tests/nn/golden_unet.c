// SPDX-License-Identifier: MIT
// A whole U-Net against PyTorch: logits in both modes, gradients, and steps of SGD, with the
// choices at the kinks that the file records (support/kinks.h). Shapes, width and number of steps
// are the file's. golden_unet FILE compares; golden_unet FILE --mutant KIND runs wrong backward
// passes (support/mutants.h), one a layer, each of which the same comparison must notice.
#include "nn/plan.h"

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
#include "support/kinks.h"
#include "support/mutants.h"
#include "support/train_step.h"
#include "support/winograd.h"

// Relative L2 error of each array, where the convolutions are direct. The file asks for 1e-4.
// Measured on this file and five others (other seeds, widths and shapes): 4e-6 to 9e-6 with AVX2
// and SSE4.1, half of which is the file's own rounding. When one unit ignores its ReLU, the error
// is 1e-2 for the median of 2000 units drawn, and more than 3e-5 for 99.7 % of them.
#define TOLERANCE 3e-5

#define MAX_STEPS   16
#define MUTANT_SEED 1

static const char *golden_file = "unet_w8.safetensors";
static const char *mutant_name;
static const char *const poolings[] = {"down1.maxpool_conv.0", "down2.maxpool_conv.0",
                                       "down3.maxpool_conv.0", "down4.maxpool_conv.0"};

struct fixture {
    const struct adele_device *device;
    struct safetensors *file;
    struct network *network;
    double tolerance;
    struct kinks kinks;
    double worst; // the largest error so far, and whose it was
    char worst_name[256];
};

static void fixture_create(struct fixture *fixture, const struct adele_device *device) {
    struct safetensors *file = golden_open(golden_file);
    const struct safetensors_entry *first = golden_entry(file, "weights.inc.double_conv.0.weight");
    const struct safetensors_entry *last = golden_entry(file, "weights.outc.conv.weight");
    struct network_config config = {.name = "unet",
                                    .n_channels = (int)first->shape[1],
                                    .n_categories = (int)last->shape[0],
                                    .width = (int)first->shape[0],
                                    .seed = 1};
    *fixture = (struct fixture){.device = device, .file = file};
    fixture->kinks = (struct kinks){
        .file = file, .poolings = poolings, .n_poolings = sizeof poolings / sizeof poolings[0]};
    check_ok(network_create(device, &config, &fixture->network));
    check_ok(network_import(fixture->network, CONTENT_WEIGHTS, "weights.", file, false));
}

static void fixture_destroy(struct fixture *fixture) {
    network_destroy(fixture->network);
    safetensors_close(fixture->file);
}

static struct plan *create_plan(struct fixture *fixture, const char *input, bool is_training) {
    const struct safetensors_entry *entry = golden_entry(fixture->file, input);
    struct plan *plan;
    assert_int_equal(entry->n_dimensions, 4);
    fixture->network->keeps_outputs = true; // kinks_impose changes them
    check_ok(network_plan(fixture->network, (int)entry->shape[0], (int)entry->shape[2],
                          (int)entry->shape[3], is_training, &plan));
    check_ok(network_allocate(fixture->network));
    fixture->tolerance = TOLERANCE * winograd_factor(plan);
    return plan;
}

// ---- errors -------------------------------------------------------------------------------------

// A NaN counts as infinite, and stays the worst.
static void note_error(struct fixture *fixture, const char *name, double error) {
    if (error <= fixture->worst)
        return;
    fixture->worst = isnan(error) ? INFINITY : error;
    snprintf(fixture->worst_name, sizeof fixture->worst_name, "%s", name);
}

static void assert_no_error(struct fixture *fixture, const char *what) {
    print_message("%s: largest error %.3g, of %s\n", what, fixture->worst, fixture->worst_name);
    if (!(fixture->worst <= fixture->tolerance))
        fail_msg("%s: relative error %g, allowed %g", fixture->worst_name, fixture->worst,
                 fixture->tolerance);
}

static void note_logits(struct fixture *fixture, struct plan *plan, const char *name) {
    struct adele_shape shape = plan_output_shape(plan);
    int64_t n;
    float *want = golden_f32(fixture->file, name, &n);
    float *got = malloc(shape_count(shape) * sizeof *got);
    assert_non_null(got);
    assert_int_equal(n, shape_count(shape));
    check_ok(
        fixture->device->iface->tensor_download(fixture->device, got, plan_output(plan), shape));
    note_error(fixture, name, compare_relative_l2(got, want, shape_count(shape)));
    free(got);
    free(want);
}

static double norm(const float *values, int64_t n) {
    double sum = 0;
    while (n-- > 0)
        sum += (double)values[n] * (double)values[n];
    return sqrt(sum);
}

// Whether a batch norm, which takes the mean away, follows the convolution that owns the bias.
static bool is_bias_before_norm(const struct graph *graph, int i_parameter) {
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        if (node->kind == NODE_BATCH_NORM && graph->nodes[node->inputs[0]].kind == NODE_CONV2D &&
            graph->nodes[node->inputs[0]].i_bias == i_parameter)
            return true;
    }
    return false;
}

// The errors of the tensors of an arena against PREFIX + name. The gradient of a bias before a
// batch norm is zero but for rounding: its error is taken relative to the gradient of the same
// convolution's weight, the parameter before it.
static void note_arena(struct fixture *fixture, const char *prefix, const float *on_device,
                       bool is_buffer, bool is_gradient) {
    const struct graph *graph = network_graph(fixture->network);
    size_t n = (size_t)(is_buffer ? graph->n_buffers : graph->n_weights);
    double norm_before = 0;
    float *arena = malloc(n * sizeof *arena);
    assert_non_null(arena);
    check_ok(
        fixture->device->iface->download(fixture->device, arena, on_device, n * sizeof *arena));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        char name[256];
        if (parameter->is_buffer != is_buffer)
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, parameter->name);
        float *want = golden_f32(fixture->file, name, NULL);
        double want_norm = norm(want, parameter->count);
        double error =
            compare_relative_l2(arena + parameter->offset, want, (size_t)parameter->count);
        if (is_gradient && is_bias_before_norm(graph, i))
            error *= (want_norm > 0 ? want_norm : 1) / norm_before;
        note_error(fixture, name, error);
        norm_before = want_norm;
        free(want);
    }
    free(arena);
}

// ---- eval mode ----------------------------------------------------------------------------------

static void note_eval(struct fixture *fixture, const char *input, const char *logits,
                      bool is_training) {
    struct plan *plan = create_plan(fixture, input, is_training);
    float *image = golden_f32(fixture->file, input, NULL);
    check_ok(fixture->device->iface->tensor_upload(fixture->device, plan_input(plan),
                                                   plan_input_shape(plan), image));
    check_ok(plan_forward(plan, false));
    note_logits(fixture, plan, logits);
    free(image);
}

static void check_eval(struct adele_device *device) {
    struct fixture fixture;
    fixture_create(&fixture, device);
    // Inference plans reuse memory, training plans keep it; in eval mode both answer the same.
    for (int is_training = 0; is_training < 2; is_training++) {
        note_eval(&fixture, "input", "logits_eval", is_training);
        note_eval(&fixture, "input_odd", "logits_eval_odd", is_training);
    }
    assert_no_error(&fixture, "eval mode");
    fixture_destroy(&fixture);
}

// ---- training -----------------------------------------------------------------------------------

static void training_begin(struct fixture *fixture, struct adele_device *device,
                           struct train_step *step) {
    fixture_create(fixture, device);
    struct plan *plan = create_plan(fixture, "input", true);
    float *image = golden_f32(fixture->file, "input", NULL);
    uint8_t *labels = golden_u8(fixture->file, "labels", NULL);
    train_step_create(step, device, fixture->network, plan, image, labels);
    free(image);
    free(labels);
}

// Forward, loss, and the recorded choices; the backward is the caller's.
static void forward_of_step(struct fixture *fixture, struct train_step *step, int i_step,
                            double want_loss) {
    char name[64];
    check_ok(network_zero_gradients(fixture->network));
    double loss = train_step_loss(step);
    snprintf(name, sizeof name, "the loss of step %d", i_step);
    note_error(fixture, name, fabs(loss - want_loss) / want_loss);
    if (i_step == 0)
        note_logits(fixture, step->plan, "logits_train");
    snprintf(fixture->kinks.prefix, sizeof fixture->kinks.prefix, "step%d.", i_step);
    kinks_impose(&fixture->kinks, step->plan);
}

static void check_training(struct adele_device *device) {
    struct fixture fixture;
    struct train_step step;
    training_begin(&fixture, device, &step);
    float rate = (float)golden_number(fixture.file, "lr");
    float momentum = (float)golden_number(fixture.file, "momentum");
    double losses[MAX_STEPS];
    int n_steps = golden_numbers(fixture.file, "losses", MAX_STEPS, losses);
    for (int i = 0; i < n_steps; i++) {
        forward_of_step(&fixture, &step, i, losses[i]);
        check_ok(plan_backward(step.plan));
        if (i == 0)
            note_arena(&fixture, "grads.", network_gradients(fixture.network), false, true);
        train_step_update(&step, rate, momentum);
    }
    char prefix[64];
    snprintf(prefix, sizeof prefix, "weights_after%d.", n_steps);
    note_arena(&fixture, prefix, network_weights(fixture.network), false, false);
    note_arena(&fixture, prefix, network_buffers(fixture.network), true, false);
    assert_no_error(&fixture, "training");
    train_step_destroy(&step);
    fixture_destroy(&fixture);
}

// ---- mutants ------------------------------------------------------------------------------------

static void note_backward(struct fixture *fixture, struct plan *plan, struct mutant *mutant) {
    check_ok(network_zero_gradients(fixture->network));
    mutant_backward(plan, mutant);
    fixture->worst = 0;
    note_arena(fixture, "grads.", network_gradients(fixture->network), false, true);
}

// On one device: it is the comparison that is tested.
static void check_mutants(struct adele_device *device) {
    struct fixture fixture;
    struct train_step step;
    double losses[MAX_STEPS];
    training_begin(&fixture, device, &step);
    golden_numbers(fixture.file, "losses", MAX_STEPS, losses);
    forward_of_step(&fixture, &step, 0, losses[0]);
    struct mutant mutant = {.kind = MUTANT_NONE};
    note_backward(&fixture, step.plan, &mutant);
    assert_no_error(&fixture, "without a mutant");
    int n_nodes = network_graph(fixture.network)->n_nodes, n_mutants = 0;
    for (int i = 0; i < n_nodes; i++) {
        mutant = (struct mutant){mutant_kind_parse(mutant_name), i, MUTANT_SEED, ""};
        if (!mutant_fits(step.plan, mutant.kind, i))
            continue;
        note_backward(&fixture, step.plan, &mutant);
        print_message("%s: error %.3g, of %s\n", mutant.text, fixture.worst, fixture.worst_name);
        if (fixture.worst <= fixture.tolerance)
            fail_msg("%s was not noticed", mutant.text);
        n_mutants++;
    }
    assert_true(n_mutants > 0);
    train_step_destroy(&step);
    fixture_destroy(&fixture);
}

static void eval_mode(void **state) {
    (void)state;
    devices_each_fp32(false, check_eval);
}

static void training(void **state) {
    (void)state;
    devices_each_fp32(false, check_training);
}

static void mutants_are_noticed(void **state) {
    (void)state;
    struct adele_device *device = devices_open_first();
    assert_non_null(device);
    check_mutants(device);
    adele_device_close(device);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(eval_mode), cmocka_unit_test(training)};
    const struct CMUnitTest mutants[] = {cmocka_unit_test(mutants_are_noticed)};
    if (argc > 1)
        golden_file = argv[1];
    if (argc != 4 || strcmp(argv[2], "--mutant") != 0)
        return cmocka_run_group_tests(tests, NULL, NULL);
    mutant_name = argv[3];
    return cmocka_run_group_tests(mutants, NULL, NULL);
}
