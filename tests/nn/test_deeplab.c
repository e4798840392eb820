// SPDX-License-Identifier: MIT
// ResNet38d and DeepLab's heads as graphs: names, shapes, counts, and small ones that run.
#include "support/costs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "support/devices.h"
#include "support/networks.h"
#include "support/train_step.h"

static int graph_setup(void **state) {
    static struct graph graph;
    graph_init(&graph);
    *state = &graph;
    return 0;
}

static int graph_teardown(void **state) {
    graph_deinit(*state);
    return 0;
}

static const struct parameter *find(const struct graph *graph, const char *name) {
    for (int i = 0; i < graph->n_parameters; i++)
        if (strcmp(graph->parameters[i].name, name) == 0)
            return &graph->parameters[i];
    fail_msg("there is no parameter %s", name);
    return NULL;
}

// Within 1 % of the number; the sources give three digits.
static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= 0.01 * want))
        fail_msg("%g is not within 1 %% of %g", got, want);
}

// ---- the published size -------------------------------------------------------------------------

static struct cost_totals totals_at(const struct graph *graph, int n, int size) {
    struct costs *costs = NULL;
    check_ok(
        costs_create(graph, (struct adele_shape){n, 3, size, size}, ADELE_PRECISION_FP32, &costs));
    const struct op_cost *last = costs_op(costs, costs_n_ops(costs) - 1);
    assert_int_equal(last->out.c, 21);
    assert_int_equal(last->out.h, (size + 7) / 8); // output stride 8
    assert_int_equal(last->out.w, (size + 7) / 8);
    struct cost_totals totals = costs_totals(costs);
    costs_destroy(costs);
    return totals;
}

// PERFORMANCE section 3: ten crops of 448 x 448 at the scales 0.7, 1 and 1.5.
static void check_step(enum deeplab_head head, const double forward[3], double step_flops) {
    static const int sizes[] = {313, 448, 672};
    struct graph graph;
    graph_init(&graph);
    check_ok(deeplab_build(&graph, head, 21, 64, false));
    double step = 0.0, elements = 0.0;
    for (int k = 0; k < 3; k++) {
        struct cost_totals totals = totals_at(&graph, 10, sizes[k]);
        assert_near(totals.flops_forward, forward[k]);
        step += totals.flops_step;
        elements += totals.conv_elements;
        if (head == DEEPLAB_V1)
            assert_near((double)totals.n_parameters, 124.2e6);
    }
    assert_near(step, step_flops);
    if (head == DEEPLAB_V1)
        assert_near(elements, 6569e6);
    graph_deinit(&graph);
}

static void the_voc_steps(void **state) {
    (void)state;
    static const double v1[] = {4.66e12, 9.18e12, 20.66e12}, v2[] = {4.15e12, 8.18e12, 18.40e12},
                        v3[] = {5.00e12, 9.84e12, 22.15e12};
    check_step(DEEPLAB_V1, v1, 103.5e12);
    check_step(DEEPLAB_V2, v2, 92.1e12);
    check_step(DEEPLAB_V3, v3, 110.9e12);
}

static void names_and_groups(void **state) {
    struct graph *graph = *state;
    check_ok(deeplab_build(graph, DEEPLAB_V1, 21, 64, true));
    assert_int_equal(find(graph, "backbone.conv1a.weight")->shape[0], 64);
    assert_int_equal(find(graph, "backbone.b4_5.conv_branch2b1.weight")->shape[1], 512);
    assert_int_equal(find(graph, "backbone.b5_2.conv_branch2a.weight")->shape[1], 1024);
    assert_int_equal(find(graph, "backbone.b7.conv_branch2b1.weight")->shape[0], 2048);
    assert_int_equal(find(graph, "backbone.b7.bn_branch2b2.running_var")->shape[0], 2048);
    assert_int_equal(find(graph, "backbone.bn7.weight")->shape[0], 4096);
    assert_int_equal(find(graph, "conv_fov.weight")->shape[0], 512);
    assert_int_equal(find(graph, "cls_conv.weight")->shape[0], 21);
    graph_set_rates(graph, RATES_VOC);
    // Rates: nothing of frozen parts, 1 in the backbone, 10 and 20 in the head; no decay of biases.
    assert_true(find(graph, "backbone.conv1a.weight")->lr_scale == 0.0F);
    assert_true(find(graph, "backbone.bn7.bias")->lr_scale == 0.0F);
    assert_true(find(graph, "backbone.b2.conv_branch1.weight")->lr_scale == 1.0F);
    assert_true(find(graph, "conv_fov2.weight")->lr_scale == 10.0F);
    assert_true(find(graph, "cls_conv.bias")->lr_scale == 20.0F);
    assert_true(find(graph, "bn_fov.bias")->lr_scale == 20.0F);
    assert_true(find(graph, "cls_conv.weight")->has_decay);
    assert_false(find(graph, "cls_conv.bias")->has_decay);
    assert_int_equal(find(graph, "conv_fov.weight")->init, INIT_KAIMING_NORMAL_FAN_OUT);
    assert_int_equal(find(graph, "backbone.b2.conv_branch1.weight")->init, INIT_KAIMING_UNIFORM);
}

// The program's: whole channels in the bottlenecks, single values in the head.
static void dropouts_are_the_programs(void **state) {
    struct graph *graph = *state;
    static const struct {
        const char *before;
        double rate;
        bool per_channel;
    } want[] = {{"backbone.b6.bn_branch2b1", 0.3, true},
                {"backbone.b6.bn_branch2b2", 0.3, true},
                {"backbone.b7.bn_branch2b1", 0.5, true},
                {"backbone.b7.bn_branch2b2", 0.5, true},
                {"bn_fov2", 0.5, false}};
    int n = 0;
    check_ok(deeplab_build(graph, DEEPLAB_V1, 21, 4, false));
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        if (node->kind != NODE_DROPOUT)
            continue;
        assert_in_range(n, 0, 4);
        assert_string_equal(graph->nodes[node->inputs[0]].name, want[n].before);
        assert_true(node->dropout_rate == want[n].rate);
        assert_int_equal(node->is_per_channel, want[n].per_channel);
        n++;
    }
    assert_int_equal(n, 5);
}

static void heads_differ(void **state) {
    struct graph *graph = *state;
    check_ok(deeplab_build(graph, DEEPLAB_V2, 21, 4, false));
    assert_int_equal(find(graph, "aspp.c3.weight")->shape[0], 21);
    assert_int_equal(find(graph, "aspp.c3.weight")->shape[1], 256);
    assert_int_equal(find(graph, "aspp.c0.bias")->count, 21);
    assert_true(find(graph, "aspp.c0.bias")->lr_scale == 1.0F);
    graph_set_rates(graph, RATES_VOC);
    assert_true(find(graph, "aspp.c0.bias")->lr_scale == 20.0F);
    assert_true(find(graph, "backbone.conv1a.weight")->lr_scale == 1.0F);
    graph_deinit(graph);
    check_ok(deeplab_build(graph, DEEPLAB_V3, 21, 4, false));
    assert_int_equal(find(graph, "aspp.branch1.weight")->shape[2], 1);
    assert_int_equal(find(graph, "aspp.branch4.weight")->shape[2], 3);
    assert_int_equal(find(graph, "aspp.conv_cat.0.weight")->shape[1], 5 * 16);
    assert_int_equal(find(graph, "aspp.branch5_conv.weight")->shape[1], 256);
}

static void misuse_is_refused(void **state) {
    struct graph *graph = *state;
    assert_int_equal(deeplab_build(graph, DEEPLAB_V1, 21, 0, false), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "model.width is 0"));
    assert_int_equal(deeplab_build(graph, (enum deeplab_head)9, 21, 1, false),
                     ADELE_INVALID_ARGUMENT);
}

static void every_allocation_may_fail(void **state) {
    struct graph *graph = *state;
    for (long i = 0;; i++) {
        memory_fail_at(i);
        adele_status status = deeplab_build(graph, DEEPLAB_V3, 2, 1, false);
        memory_fail_at(-1);
        graph_deinit(graph);
        if (status == ADELE_OK) {
            assert_true(i > 0);
            break;
        }
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
}

// ---- small ones that run ------------------------------------------------------------------------

// sum of d_logits times logits, the scalar whose gradient backward computes.
static double evaluate(const struct adele_device *device, struct plan *plan,
                       const float *d_logits) {
    struct adele_shape shape = plan_output_shape(plan);
    float *logits = malloc(shape_count(shape) * sizeof *logits);
    assert_non_null(logits);
    check_ok(plan_forward(plan, false));
    check_ok(device->iface->tensor_download(device, logits, plan_output(plan), shape));
    double sum = 0.0;
    for (size_t i = 0; i < shape_count(shape); i++)
        sum += (double)logits[i] * (double)d_logits[i];
    free(logits);
    return sum;
}

// Moving the weights by `step` times their gradient must raise the scalar by step |g|^2.
static void check_slope(const struct adele_device *device, struct network *network,
                        struct plan *plan, const float *d_logits, const char *name) {
    const struct graph *graph = network_graph(network);
    const struct parameter *parameter = find(graph, name);
    size_t bytes = (size_t)parameter->count * sizeof(float);
    const float *weights = network_weights(network) + parameter->offset;
    float *kept = malloc(bytes), *moved = malloc(bytes), *gradient = malloc(bytes);
    assert_true(kept != NULL && moved != NULL && gradient != NULL);
    check_ok(device->iface->download(device, kept, weights, bytes));
    check_ok(device->iface->download(device, gradient,
                                     network_gradients(network) + parameter->offset, bytes));
    double squares = 0.0;
    for (int64_t i = 0; i < parameter->count; i++)
        squares += (double)gradient[i] * (double)gradient[i];
    assert_true(squares > 0.0);
    double step = 1e-3 / sqrt(squares), difference = 0.0;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int64_t i = 0; i < parameter->count; i++)
            moved[i] = (float)((double)kept[i] + sign * step * (double)gradient[i]);
        check_ok(device->iface->upload(
            device, network_writable_weights(network) + parameter->offset, moved, bytes));
        difference += sign * evaluate(device, plan, d_logits);
    }
    check_ok(device->iface->upload(device, network_writable_weights(network) + parameter->offset,
                                   kept, bytes));
    double want = 2.0 * step * squares;
    // Found: 0.17 % or less, from units that pass a kink on the way, and 3e-7 of rounded logits.
    if (!(fabs(difference - want) <= 0.005 * want + 1e-6))
        fail_msg("%s: finite difference %.6g, gradient says %.6g", name, difference, want);
    free(kept);
    free(moved);
    free(gradient);
}

static void check_head(enum deeplab_head head, const char *head_weight) {
    struct adele_device *device = devices_open_first();
    struct graph graph;
    struct network *network;
    struct plan *plan, *inference;
    struct arena arena;
    assert_non_null(device);
    graph_init(&graph);
    check_ok(deeplab_build(&graph, head, 3, 1, false));
    check_ok(network_create_from_graph(device, &graph, 5, ADELE_PRECISION_FP32, &network));
    check_ok(network_plan(network, 2, 33, 41, true, &plan));
    check_ok(network_plan(network, 2, 33, 41, false, &inference));
    check_ok(network_allocate(network));
    arena_open(&arena, device);
    struct adele_shape in = plan_input_shape(plan), out = plan_output_shape(plan);
    float *image = arena_random(&arena, 1, shape_count(in), -1.0, 1.0);
    // Of one sign, so that gradients add up and stand out from the rounding of the logits.
    float *d_logits = arena_random(&arena, 2, shape_count(out), 0.5, 1.5);
    check_ok(device->iface->tensor_upload(device, plan_input(plan), in, image));
    check_ok(device->iface->tensor_upload(device, plan_input(inference), in, image));
    double value = evaluate(device, plan, d_logits);
    double again = evaluate(device, inference, d_logits);
    assert_true(fabs(value - again) <= 1e-5 * (1.0 + fabs(value)));
    check_ok(device->iface->tensor_upload(device, plan_d_output(plan), out, d_logits));
    check_ok(network_zero_gradients(network));
    check_ok(plan_forward(plan, false));
    check_ok(plan_backward(plan));
    check_slope(device, network, plan, d_logits, head_weight);
    // Through the whole head. The blocks below are the same with each, and golden_deeplab compares
    // all of their gradients with PyTorch's.
    check_slope(device, network, plan, d_logits, "backbone.b7.conv_branch2b2.weight");
    check_ok(plan_forward(plan, true)); // batch statistics too
    check_ok(plan_backward(plan));
    arena_close(&arena);
    network_destroy(network);
    graph_deinit(&graph);
    adele_device_close(device);
}

static void v1_learns(void **state) {
    (void)state;
    check_head(DEEPLAB_V1, "conv_fov.weight");
}

static void v2_learns(void **state) {
    (void)state;
    check_head(DEEPLAB_V2, "aspp.c1.weight");
}

static void v3_learns(void **state) {
    (void)state;
    check_head(DEEPLAB_V3, "aspp.branch5_conv.weight");
    check_head(DEEPLAB_V3, "aspp.branch3.weight");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_voc_steps),
        cmocka_unit_test_setup_teardown(names_and_groups, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(dropouts_are_the_programs, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(heads_differ, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(misuse_is_refused, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, graph_setup, graph_teardown),
        cmocka_unit_test(v1_learns),
        cmocka_unit_test(v2_learns),
        cmocka_unit_test(v3_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
