// SPDX-License-Identifier: MIT
// A small network at three scales on a GPU of compute capability 9.0, where its convolutions are
// launches for all scales: beside the same network, whose plans take turns. Sums are in the same
// order but for the gradients of weights.
#include "nn/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/compare.h"
#include "support/hopper.h"
#include "support/networks.h"
#include "support/train_step.h"

#define GRADIENT_TOLERANCE 1e-3 // of sums in another order, through the layers before

enum { N_SCALES = 3, IMAGES = 2, CHANNELS = 64 };
static const struct plan_extent sizes[N_SCALES] = {{9, 7}, {6, 5}, {13, 10}};

struct subject {
    struct arena arena;
    struct network *network;
    struct plan *plans[N_SCALES];
    struct plan_group *group;
    float *logits[N_SCALES], *gradients;
};

// A first layer, which no kernel of Hopper runs; then one 3 x 3 with stride 1, one with stride 2,
// one with a bias and a dilation, and the classifier.
static void build(struct graph *graph) {
    int node;
    check_ok(graph_input(graph, 3, &node));
    check_ok(graph_conv2d(graph, "first", node, CHANNELS, 3, 1, 1, 1, false, &node));
    check_ok(graph_batch_norm(graph, "first_norm", node, -1, true, &node));
    check_ok(graph_conv2d(graph, "plain", node, CHANNELS, 3, 1, 1, 1, false, &node));
    check_ok(graph_batch_norm(graph, "plain_norm", node, -1, true, &node));
    check_ok(graph_conv2d(graph, "stride", node, CHANNELS, 3, 2, 1, 1, false, &node));
    check_ok(graph_batch_norm(graph, "stride_norm", node, -1, true, &node));
    check_ok(graph_conv2d(graph, "dilated", node, CHANNELS, 3, 1, 2, 2, true, &node));
    check_ok(graph_conv2d(graph, "last", node, 3, 1, 1, 0, 1, true, &node));
    graph->output = node;
}

static void subject_open(struct subject *s, struct adele_device *device, bool is_group) {
    struct graph graph;
    arena_open(&s->arena, device);
    graph_init(&graph);
    build(&graph);
    check_ok(network_create_from_graph(device, &graph, 3, ADELE_PRECISION_BF16, &s->network));
    graph_deinit(&graph);
    for (int k = 0; k < N_SCALES; k++)
        check_ok(network_plan(s->network, IMAGES, sizes[k].h, sizes[k].w, true, &s->plans[k]));
    s->group = NULL;
    if (is_group)
        check_ok(network_group(s->network, N_SCALES, s->plans, &s->group));
    check_ok(network_allocate(s->network));
}

static void subject_close(struct subject *s) {
    for (int k = 0; k < N_SCALES; k++)
        free(s->logits[k]);
    free(s->gradients);
    network_destroy(s->network);
    arena_close(&s->arena);
}

static void upload(struct subject *s, uint32_t seed, void *tensor, struct adele_shape shape) {
    const struct adele_device *device = s->arena.device;
    float *values = arena_random(&s->arena, seed, shape_count(shape), -1.0, 1.0);
    check_ok(device->iface->tensor_upload(device, tensor, shape, values));
}

static void run(struct subject *s) {
    const struct adele_device *device = s->arena.device;
    const size_t n_weights = (size_t)network_graph(s->network)->n_weights;
    for (int k = 0; k < N_SCALES; k++)
        upload(s, (uint32_t)k, plan_input(s->plans[k]), plan_input_shape(s->plans[k]));
    check_ok(network_zero_gradients(s->network));
    for (int k = 0; k < N_SCALES && s->group == NULL; k++)
        check_ok(plan_forward(s->plans[k], true));
    if (s->group != NULL)
        check_ok(plan_group_forward(s->group, true));
    for (int k = 0; k < N_SCALES; k++) {
        struct adele_shape out = plan_output_shape(s->plans[k]);
        s->logits[k] = malloc(shape_count(out) * sizeof(float));
        assert_non_null(s->logits[k]);
        check_ok(
            device->iface->tensor_download(device, s->logits[k], plan_output(s->plans[k]), out));
        upload(s, 10 + (uint32_t)k, plan_d_output(s->plans[k]), out);
    }
    for (int k = 0; k < N_SCALES && s->group == NULL; k++)
        check_ok(plan_backward(s->plans[k]));
    if (s->group != NULL)
        check_ok(plan_group_backward(s->group));
    s->gradients = malloc(n_weights * sizeof(float));
    assert_non_null(s->gradients);
    check_ok(device->iface->download(device, s->gradients, network_gradients(s->network),
                                     n_weights * sizeof(float)));
}

// The convolutions "plain", "stride" and "dilated", of whose passes only the forward pass with a
// stride is not one launch.
static void assert_joint(const struct plan_group *group) {
    int n_forward = 0;
    assert_int_equal(group->n_convolutions, 3);
    for (int i = 0; i < network_graph(group->network)->n_nodes; i++) {
        if (group->convolutions[i] == NULL)
            continue;
        const char *engine = group->convolutions[i]->engine;
        n_forward += strstr(engine, "dst wgmma") != NULL;
        if (strstr(engine, "d_src wgmma") == NULL || strstr(engine, "d_weight wgmma") == NULL)
            fail_msg("\"%s\"", engine);
    }
    assert_int_equal(n_forward, 2);
}

static void check_step(struct adele_device *device) {
    struct subject turns, all;
    if (!hopper_is_tuned(device))
        return;
    hopper_choose("128x64", "4"); // no tile is split
    subject_open(&turns, device, false);
    subject_open(&all, device, true);
    assert_joint(all.group);
    run(&turns);
    run(&all);
    for (int k = 0; k < N_SCALES; k++)
        assert_true(compare_bytes("logits", all.logits[k], turns.logits[k],
                                  shape_count(plan_output_shape(all.plans[k])) * sizeof(float)));
    const struct graph *graph = network_graph(all.network);
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!parameter->is_buffer)
            assert_true(compare_l2(parameter->name, all.gradients + parameter->offset,
                                   turns.gradients + parameter->offset, (size_t)parameter->count,
                                   GRADIENT_TOLERANCE));
    }
    subject_close(&turns);
    subject_close(&all);
    hopper_choose_nothing();
}

ON_EACH_HOPPER(step)

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
