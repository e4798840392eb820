// SPDX-License-Identifier: MIT
// Plans whose concats copy nothing, against plans of the same network that copy: the same bytes in
// less memory; and the concats that must go on copying.
#include "nn/plan.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/networks.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 33 // odd, so that up-paths are padded

static struct adele_device *device; // with slices
static struct adele_device copying; // the same without
static struct adele_device_iface copying_iface;

static int open_device(void **state) {
    (void)state;
    device = devices_open_first();
    if (device == NULL)
        return -1;
    copying = *device;
    copying_iface = *device->iface;
    copying_iface.slice_channels = NULL;
    copying.iface = &copying_iface;
    return 0;
}

static int close_device(void **state) {
    (void)state;
    adele_device_close(device);
    return 0;
}

struct subject {
    struct network *network;
    struct plan *train, *infer;
};

typedef void (*builder)(struct graph *graph);

static struct subject create(const struct adele_device *of, builder build) {
    struct subject subject;
    struct graph graph;
    graph_init(&graph);
    build(&graph);
    check_ok(network_create_from_graph(of, &graph, 3, ADELE_PRECISION_FP32, &subject.network));
    check_ok(network_plan(subject.network, 2, SIZE, SIZE, true, &subject.train));
    check_ok(network_plan(subject.network, 1, SIZE, SIZE, false, &subject.infer));
    check_ok(network_allocate(subject.network));
    graph_deinit(&graph);
    return subject;
}

static int n_joined(const struct plan *plan) {
    int n = 0;
    for (int i = 0; i < plan->network->graph.n_nodes; i++)
        n += plan->steps[i].is_joined;
    return n;
}

// Logits of a training and of an inference forward, gradients and running statistics, in one
// array; caller frees.
static float *outcome(const struct adele_device *of, struct subject *subject, size_t *n) {
    struct arena arena;
    arena_open(&arena, device);
    const struct graph *graph = network_graph(subject->network);
    struct plan *plans[2] = {subject->train, subject->infer};
    size_t n_weights = (size_t)graph->n_weights, n_buffers = (size_t)graph->n_buffers;
    float *all = calloc(shape_count(plan_output_shape(subject->train)) +
                            shape_count(plan_output_shape(subject->infer)) + n_weights + n_buffers,
                        sizeof *all);
    assert_non_null(all);
    check_ok(network_zero_gradients(subject->network));
    *n = 0;
    for (int k = 0; k < 2; k++) {
        struct adele_shape in = plan_input_shape(plans[k]), out = plan_output_shape(plans[k]);
        float *image = arena_random(&arena, 5 + (uint64_t)k, shape_count(in), -1.0, 1.0);
        check_ok(of->iface->tensor_upload(of, plan_input(plans[k]), in, image));
        check_ok(plan_forward(plans[k], k == 0));
        check_ok(of->iface->tensor_download(of, all + *n, plan_output(plans[k]), out));
        *n += shape_count(out);
        if (k == 1)
            continue;
        float *d_output = arena_random(&arena, 7, shape_count(out), -1.0, 1.0);
        check_ok(of->iface->tensor_upload(of, plan_d_output(plans[k]), out, d_output));
        check_ok(plan_backward(plans[k]));
    }
    check_ok(of->iface->download(of, all + *n, network_gradients(subject->network),
                                 n_weights * sizeof *all));
    *n += n_weights;
    check_ok(of->iface->download(of, all + *n, network_buffers(subject->network),
                                 n_buffers * sizeof *all));
    *n += n_buffers;
    arena_close(&arena);
    return all;
}

// Runs twice, so that a second step meets what the first one left in memory.
static void assert_same(builder build, int want_joined, int want_in_inference) {
    struct subject joined = create(device, build), copied = create(&copying, build);
    assert_int_equal(n_joined(joined.train), want_joined);
    assert_int_equal(n_joined(joined.infer), want_in_inference);
    assert_int_equal(n_joined(copied.train), 0);
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        float *got = outcome(device, &joined, &n), *want = outcome(&copying, &copied, &n);
        assert_true(compare_bytes("logits, gradients, statistics", got, want, n * sizeof *got));
        free(got);
        free(want);
    }
    network_destroy(joined.network);
    network_destroy(copied.network);
}

// ---- the U-Net ----------------------------------------------------------------------------------

static int multiple(void) {
    return device->iface->slice_channels(device);
}

static void build_unet(struct graph *graph) {
    check_ok(unet_build(graph, 1, 3, multiple()));
}

static void the_unet_copies_nothing(void **state) {
    (void)state;
    assert_same(build_unet, 4, 4);
}

// Only planned, of the proportions of a real one: nothing of it is allocated but the weights. With
// all outputs kept, since a skip that is copied could be given up and computed again.
static struct subject plan_only(const struct adele_device *of) {
    struct subject subject;
    struct network_config config = {
        .name = "unet", .n_channels = 1, .n_categories = 3, .width = 2 * multiple()};
    check_ok(network_create(of, &config, &subject.network));
    subject.network->keeps_outputs = true;
    check_ok(network_plan(subject.network, 4, 128, 128, true, &subject.train));
    check_ok(network_plan(subject.network, 4, 128, 128, false, &subject.infer));
    return subject;
}

static void its_memory_is_smaller(void **state) {
    (void)state;
    struct subject joined = plan_only(device), copied = plan_only(&copying);
    struct plan_memory train[2] = {plan_memory(joined.train), plan_memory(copied.train)};
    // What is saved of the values is the skips.
    size_t skips = 0;
    const struct graph *graph = network_graph(joined.network);
    for (int i = 0; i < graph->n_nodes; i++)
        if (joined.train->steps[i].is_joined)
            skips += device->iface->tensor_bytes(
                device, joined.train->steps[graph->nodes[i].inputs[0]].shape);
    assert_true(skips > 0);
    assert_int_equal(train[0].activation_bytes + skips, train[1].activation_bytes);
    // Gradients of skips live longer in the wider memory of their concat: less is saved of those.
    assert_true(train[0].activation_bytes + train[0].shared_bytes <
                train[1].activation_bytes + train[1].shared_bytes);
    assert_true(network_planned_bytes(joined.network) < network_planned_bytes(copied.network));
    network_destroy(joined.network);
    network_destroy(copied.network);
}

// Skips that do not end on whole blocks are copied, the others are not.
static void build_narrow(struct graph *graph) {
    check_ok(unet_build(graph, 1, 3, multiple() / 2));
}

static void a_skip_of_half_a_block_is_copied(void **state) {
    (void)state;
    assert_same(build_narrow, 3, 3);
}

// ---- concats of other kinds ---------------------------------------------------------------------

// A convolution and a batch norm with ReLU behind it.
static int normed(struct graph *graph, const char *name, int input) {
    char norm[32];
    int node;
    check_ok(graph_conv2d(graph, name, input, multiple(), 3, 1, 1, 1, false, &node));
    (void)strcpy(norm, name);
    check_ok(graph_batch_norm(graph, strcat(norm, "n"), node, -1, true, &node));
    return node;
}

static int begin(struct graph *graph) {
    int node;
    check_ok(graph_input(graph, 2, &node));
    return node;
}

static void finish(struct graph *graph, int node) {
    check_ok(graph_conv2d(graph, "last", node, 3, 1, 1, 0, 1, true, &node));
}

static void two_norms(struct graph *graph) {
    int node, input = begin(graph), a = normed(graph, "a", input), b = normed(graph, "b", a);
    (void)b;
    // b reads a, so a cannot be a slice; c and d can.
    int c = normed(graph, "c", b), pooled, d;
    check_ok(graph_max_pool(graph, c, 3, 2, 1, &pooled));
    d = normed(graph, "d", pooled);
    check_ok(graph_rescale(graph, d, c, 0, &d));
    check_ok(graph_concat(graph, c, d, &node));
    finish(graph, node);
}

static void read_by_a_convolution(struct graph *graph) {
    int node, a = normed(graph, "a", begin(graph)), b = normed(graph, "b", a);
    check_ok(graph_concat(graph, a, b, &node));
    finish(graph, node);
}

static void norm_of_a_shared_input(struct graph *graph) {
    int node, sum, a, b = normed(graph, "b", begin(graph));
    check_ok(graph_conv2d(graph, "a", b, multiple(), 3, 1, 1, 1, false, &node));
    check_ok(graph_batch_norm(graph, "an", node, -1, true, &a));
    check_ok(graph_add(graph, node, b, &sum));
    int c = normed(graph, "c", sum);
    check_ok(graph_concat(graph, a, c, &node));
    finish(graph, node);
}

static void pooled_behind_the_concat(struct graph *graph) {
    int node, pooled, input = begin(graph), a = normed(graph, "a", input);
    int b = normed(graph, "b", input);
    check_ok(graph_concat(graph, a, b, &node));
    node = normed(graph, "c", node);
    check_ok(graph_max_pool(graph, a, 2, 2, 0, &pooled));
    check_ok(graph_rescale(graph, pooled, a, 0, &pooled));
    check_ok(graph_add(graph, node, pooled, &node));
    finish(graph, node);
}

// The inner one is joined, the outer one copies it.
static void nested(struct graph *graph) {
    int inner, outer, input = begin(graph), a = normed(graph, "a", input);
    int b = normed(graph, "b", input), c = normed(graph, "c", input);
    check_ok(graph_concat(graph, a, b, &inner));
    check_ok(graph_concat(graph, inner, c, &outer));
    finish(graph, outer);
}

static void into_two(struct graph *graph) {
    int one, two, input = begin(graph), a = normed(graph, "a", input);
    int b = normed(graph, "b", input), c = normed(graph, "c", input);
    check_ok(graph_concat(graph, a, b, &one));
    check_ok(graph_concat(graph, a, c, &two));
    check_ok(graph_add(graph, one, two, &one));
    finish(graph, one);
}

static void with_a_residual(struct graph *graph) {
    int node, input = begin(graph), a = normed(graph, "a", input);
    check_ok(graph_conv2d(graph, "b", a, multiple(), 3, 1, 1, 1, false, &node));
    int b, c = normed(graph, "c", input);
    check_ok(graph_batch_norm(graph, "bn", node, a, true, &b));
    check_ok(graph_concat(graph, b, c, &node));
    finish(graph, node);
}

static void the_output(struct graph *graph) {
    int node, input = begin(graph), a = normed(graph, "a", input), b = normed(graph, "b", input);
    check_ok(graph_concat(graph, a, b, &node));
}

static void only_what_can_be_is_joined(void **state) {
    (void)state;
    assert_same(two_norms, 1, 1);
    assert_same(read_by_a_convolution, 0, 0);
    assert_same(norm_of_a_shared_input, 0, 0);
    assert_same(pooled_behind_the_concat, 0, 0);
    assert_same(nested, 1, 1);
    assert_same(into_two, 0, 0);
    assert_same(with_a_residual, 1, 1);
    assert_same(the_output, 0, 0);
}

// Without a gradient to hand on, a batch norm would have nowhere to put its own.
static void on_the_image(struct graph *graph) {
    int node, input, a, b;
    check_ok(graph_input(graph, multiple(), &input));
    check_ok(graph_batch_norm(graph, "a", input, -1, true, &a));
    check_ok(graph_max_pool(graph, a, 2, 2, 0, &b));
    b = normed(graph, "b", b);
    check_ok(graph_rescale(graph, b, a, 0, &b));
    check_ok(graph_concat(graph, a, b, &node));
    finish(graph, node);
}

static void a_norm_of_the_image_is_copied(void **state) {
    (void)state;
    assert_same(on_the_image, 0, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unet_copies_nothing),
        cmocka_unit_test(its_memory_is_smaller),
        cmocka_unit_test(a_skip_of_half_a_block_is_copied),
        cmocka_unit_test(only_what_can_be_is_joined),
        cmocka_unit_test(a_norm_of_the_image_is_copied),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
