// SPDX-License-Identifier: MIT
// The whole of ResNet38d with LargeFOV's head, at its published width, against PyTorch: logits, and
// of each parameter's gradient its norm and its element 7, with the choices at the kinks that the
// file records (support/kinks.h). Weights, input and the gradient of the logits come from a
// formula, so that the file is small. The input's shape, the number of categories and the
// formula's suffix are the file's.
//
// golden_deeplab FILE: the comparison, on each device of the kind that ADELE_TEST_DEVICES names.
// golden_deeplab FILE --mutant KIND: wrong backward passes (support/mutants.h), which the same
// comparison must notice.
//
// The file asks for relative errors of at most 1e-3. Two things allow a closer look. Its norms were
// summed in float, in the eight lanes of a vector, and those of the largest tensors are off by up
// to 1.3e-3; summed the same way, ours agree to 2e-7. And an element may be small by cancellation:
// its rounding goes with the size of its neighbours, so that its error is taken relative to the
// root mean square of its tensor where that is more than the element itself.
#include "nn/plan.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "support/compare.h"
#include "support/devices.h"
#include "support/golden.h"
#include "support/kinks.h"
#include "support/mutants.h"
#include "support/networks.h"
#include "support/train_step.h"
#include "support/winograd.h"

// Measured with direct convolutions in blocks of 8 and 16 channels: logits 2.9e-6 and 3.5e-6,
// elements 5e-6 and 1.4e-5, norms 2e-7. Other vectors and other orders of sums may take several
// times as much.
#define LOGITS_TOLERANCE  3e-5
#define ELEMENT_TOLERANCE 1e-4
#define NORM_TOLERANCE    3e-5
// The file may come from a processor with more lanes: two float sums of n squares were seen to
// differ by 7e-11 n. No more than the 1e-3 that the file asks for.
#define NORM_TOLERANCE_A_SQUARE 1e-10
#define FILE_TOLERANCE          1e-3
#define N_LANES                 8
#define PUBLISHED_WIDTH         64

#define MUTANT_SEED   1
#define MUTANT_STRIDE 16

static const char *mutant_name;
static const char *golden_file = "deeplabv1_resnet38d.safetensors";

struct fixture {
    struct adele_device *device;
    struct safetensors *file;
    struct network *network;
    struct plan *plan;
    double scale; // of all tolerances: 1, or WINOGRAD_FACTOR
    double worst; // of the last backward's errors, in their tolerances: 1 is just allowed
    char worst_name[256];
};

// ---- the formula --------------------------------------------------------------------------------

static float *by_formula(const struct fixture *fixture, const char *name, double fan_in, size_t n) {
    char text[256];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    int length =
        snprintf(text, sizeof text, "%s%s", name, golden_text(fixture->file, "seed_suffix"));
    uint32_t key = (uint32_t)crc32(0, (const unsigned char *)text, (unsigned)length);
    double scale = 2.0 * sqrt(3.0 / fan_in);
    for (size_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)i * 2654435761U + key;
        h = (h ^ (h >> 15)) * 0x85ebca6bU;
        h ^= h >> 13;
        values[i] = (float)(((double)h / 4294967296.0 - 0.5) * scale);
    }
    return values;
}

static void load_weights(struct fixture *fixture) {
    const struct graph *graph = network_graph(fixture->network);
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (parameter->n_dimensions != 4 && strcmp(parameter->name, "cls_conv.bias") != 0)
            continue; // batch norm stays as it begins
        float *values =
            by_formula(fixture, parameter->name, parameter->fan_in, (size_t)parameter->count);
        check_ok(fixture->device->iface->upload(
            fixture->device, network_writable_weights(fixture->network) + parameter->offset, values,
            (size_t)parameter->count * sizeof *values));
        free(values);
    }
}

static void upload_tensor(struct fixture *fixture, const char *name, void *tensor,
                          struct adele_shape shape) {
    float *values = by_formula(fixture, name, 1.0, shape_count(shape));
    check_ok(fixture->device->iface->tensor_upload(fixture->device, tensor, shape, values));
    free(values);
}

// ---- forward ------------------------------------------------------------------------------------

// The metadata's "input" is a text that holds the shape in brackets.
static struct adele_shape input_shape(const struct fixture *fixture) {
    struct adele_shape shape;
    const char *text = strstr(golden_text(fixture->file, "input"), ", (");
    if (text == NULL ||
        sscanf(text, ", (%d,%d,%d,%d)", &shape.n, &shape.c, &shape.h, &shape.w) != 4)
        fail_msg("the golden scalar \"input\" names no shape");
    return shape;
}

static void fixture_create(struct fixture *fixture, struct adele_device *device) {
    struct graph graph;
    *fixture = (struct fixture){.device = device, .file = golden_open(golden_file)};
    struct adele_shape in = input_shape(fixture);
    int n_categories = (int)golden_entry(fixture->file, "logits")->shape[1];
    graph_init(&graph);
    check_ok(deeplab_build(&graph, DEEPLAB_V1, n_categories, PUBLISHED_WIDTH, true));
    check_ok(network_create_from_graph(device, &graph, 1, ADELE_PRECISION_FP32, &fixture->network));
    graph_deinit(&graph);
    load_weights(fixture);
    fixture->network->keeps_outputs = true; // kinks_impose changes them
    check_ok(network_plan(fixture->network, in.n, in.h, in.w, true, &fixture->plan));
    check_ok(network_allocate(fixture->network));
    fixture->scale = winograd_factor(fixture->plan);
    upload_tensor(fixture, "input", plan_input(fixture->plan), plan_input_shape(fixture->plan));
}

static void fixture_destroy(struct fixture *fixture) {
    network_destroy(fixture->network);
    safetensors_close(fixture->file);
}

static void assert_logits(struct fixture *fixture) {
    struct adele_shape shape = plan_output_shape(fixture->plan);
    int64_t n;
    float *want = golden_f32(fixture->file, "logits", &n);
    float *got = malloc(shape_count(shape) * sizeof *got);
    assert_non_null(got);
    assert_int_equal(n, shape_count(shape));
    check_ok(fixture->device->iface->tensor_download(fixture->device, got,
                                                     plan_output(fixture->plan), shape));
    print_message("logits: error %.3g\n", compare_relative_l2(got, want, (size_t)n));
    assert_true(compare_l2("logits", got, want, (size_t)n, fixture->scale * LOGITS_TOLERANCE));
    free(got);
    free(want);
}

static void forward(struct fixture *fixture) {
    struct kinks kinks = {.file = fixture->file};
    check_ok(plan_forward(fixture->plan, false));
    assert_logits(fixture);
    kinks_impose(&kinks, fixture->plan);
}

// ---- gradients ----------------------------------------------------------------------------------

// The norm as the file has it.
static double norm_in_lanes(const float *values, size_t n) {
    float lanes[N_LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lanes[i % N_LANES] += values[i] * values[i];
    double squares = 0.0;
    for (int i = 0; i < N_LANES; i++)
        squares += (double)lanes[i];
    return sqrt(squares);
}

// Of one parameter: the worse of the two errors, in their tolerances.
static double parameter_error(const struct fixture *fixture, const struct parameter *parameter,
                              const cJSON *want) {
    size_t n = (size_t)parameter->count;
    float *got = malloc(n * sizeof *got);
    assert_non_null(got);
    check_ok(fixture->device->iface->download(
        fixture->device, got, network_gradients(fixture->network) + parameter->offset,
        n * sizeof *got));
    double norm = cJSON_GetArrayItem(want, 0)->valuedouble;
    double element = cJSON_GetArrayItem(want, 1)->valuedouble;
    double norm_tolerance = fmin(
        FILE_TOLERANCE, fixture->scale * (NORM_TOLERANCE + NORM_TOLERANCE_A_SQUARE * (double)n));
    double norm_error = fabs(norm_in_lanes(got, n) - norm) / norm;
    double size = fmax(fabs(element), norm / sqrt((double)n));
    double element_error = fabs((double)got[7] - element) / size;
    free(got);
    return fmax(norm_error / norm_tolerance, element_error / (fixture->scale * ELEMENT_TOLERANCE));
}

// The errors of all parameters.
static void backward(struct fixture *fixture, struct mutant *mutant) {
    const struct graph *graph = network_graph(fixture->network);
    cJSON *wanted = cJSON_Parse(golden_text(fixture->file, "grad_norm_and_element7"));
    assert_non_null(wanted);
    check_ok(network_zero_gradients(fixture->network));
    upload_tensor(fixture, "dlogits", plan_d_output(fixture->plan),
                  plan_output_shape(fixture->plan));
    mutant_backward(fixture->plan, mutant);
    fixture->worst = 0.0;
    int n_found = 0;
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        const cJSON *want = cJSON_GetObjectItemCaseSensitive(wanted, parameter->name);
        if (want == NULL)
            continue;
        double error = parameter_error(fixture, parameter, want);
        if (!(error <= fixture->worst)) {
            fixture->worst = error;
            snprintf(fixture->worst_name, sizeof fixture->worst_name, "%s", parameter->name);
        }
        n_found++;
    }
    assert_int_equal(n_found, cJSON_GetArraySize(wanted));
    cJSON_Delete(wanted);
}

static void assert_gradients(struct fixture *fixture) {
    struct mutant none = {.kind = MUTANT_NONE};
    backward(fixture, &none);
    print_message("gradients: largest error %.3g of its tolerance, of %s\n", fixture->worst,
                  fixture->worst_name);
    if (!(fixture->worst <= 1.0))
        fail_msg("%s: %g times the error that is allowed", fixture->worst_name, fixture->worst);
}

static void check_gradients(struct adele_device *device) {
    struct fixture fixture;
    fixture_create(&fixture, device);
    forward(&fixture);
    assert_gradients(&fixture);
    fixture_destroy(&fixture);
}

// In the half next to the output, every 16th node that offers one: the file has two numbers a
// parameter, and what happens near the input reaches few of them.
static void check_mutants(struct adele_device *device) {
    struct fixture fixture;
    fixture_create(&fixture, device);
    forward(&fixture);
    assert_gradients(&fixture);
    enum mutant_kind kind = mutant_kind_parse(mutant_name);
    int n_nodes = network_graph(fixture.network)->n_nodes, n_fitting = 0;
    for (int i = n_nodes - 1; i >= n_nodes / 2; i--) {
        struct mutant mutant = {kind, i, MUTANT_SEED, ""};
        if (!mutant_fits(fixture.plan, kind, i) || n_fitting++ % MUTANT_STRIDE != 0)
            continue;
        backward(&fixture, &mutant);
        print_message("%s: error %.3g of its tolerance, of %s\n", mutant.text, fixture.worst,
                      fixture.worst_name);
        if (fixture.worst <= 1.0)
            fail_msg("%s: unnoticed, %g times the error that is allowed", mutant.text,
                     fixture.worst);
    }
    assert_true(n_fitting > 0);
    fixture_destroy(&fixture);
}

static void logits_and_gradients(void **state) {
    (void)state;
    devices_each_fp32(true, check_gradients);
}

// On one device: it is the comparison that is tested.
static void mutants_are_noticed(void **state) {
    (void)state;
    struct adele_device *device = devices_open_first();
    assert_non_null(device);
    check_mutants(device);
    adele_device_close(device);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_and_gradients)};
    const struct CMUnitTest mutants[] = {cmocka_unit_test(mutants_are_noticed)};
    if (argc > 1)
        golden_file = argv[1];
    if (argc != 4 || strcmp(argv[2], "--mutant") != 0)
        return cmocka_run_group_tests(tests, NULL, NULL);
    mutant_name = argv[3];
    return cmocka_run_group_tests(mutants, NULL, NULL);
}
