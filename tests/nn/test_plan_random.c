// SPDX-License-Identifier: MIT
// Plans of random graphs, on a device whose tensors hold one number each, against a walk over the
// graph that gives every tensor memory of its own.
#include "nn/node_traits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/networks.h"
#include "support/plan_overlap.h"
#include "support/scales_device.h"
#include "support/uniform_device.h"

#define MAX_NODES 128

// ---- random graphs ------------------------------------------------------------------------------

// What the generator knows of each node: its size at an input of 32 x 32, so that joins fit, and
// whether a batch norm took it as its residual, after which nobody else may use it.
struct sketch {
    struct graph graph;
    int size[MAX_NODES];
    bool is_closed[MAX_NODES], is_used[MAX_NODES];
};

static int pick(const struct sketch *sketch, struct random_stream *stream, int size, int excluded) {
    int found[MAX_NODES], n = 0;
    for (int i = 0; i < sketch->graph.n_nodes; i++)
        if (!sketch->is_closed[i] && i != excluded && (size == 0 || sketch->size[i] == size))
            found[n++] = i;
    return n == 0 ? -1 : found[random_below(stream, (uint32_t)n)];
}

static void note(struct sketch *sketch, int node, int size, int a, int b) {
    sketch->size[node] = size;
    sketch->is_used[a] = true;
    if (b != -1)
        sketch->is_used[b] = true;
}

static void add_conv2d(struct sketch *sketch, struct random_stream *stream, int input) {
    char name[16];
    int node;
    snprintf(name, sizeof name, "n%d", sketch->graph.n_nodes);
    int kernel = random_below(stream, 2) ? 3 : 1;
    assert_int_equal(graph_conv2d(&sketch->graph, name, input, 1 + (int)random_below(stream, 5),
                                  kernel, 1, kernel / 2, 1, random_below(stream, 2), &node),
                     ADELE_OK);
    note(sketch, node, sketch->size[input], input, -1);
}

static void add_batch_norm(struct sketch *sketch, struct random_stream *stream, int input) {
    char name[16];
    int node;
    snprintf(name, sizeof name, "n%d", sketch->graph.n_nodes);
    int residual = random_below(stream, 2) ? pick(sketch, stream, sketch->size[input], input) : -1;
    if (residual != -1 && sketch->graph.nodes[residual].c != sketch->graph.nodes[input].c)
        residual = -1;
    assert_int_equal(graph_batch_norm(&sketch->graph, name, input, residual, true, &node),
                     ADELE_OK);
    note(sketch, node, sketch->size[input], input, residual);
    if (residual != -1)
        sketch->is_closed[residual] = true;
}

static void add_concat(struct sketch *sketch, int a, int b) {
    int node;
    if (sketch->size[a] != sketch->size[b]) {
        assert_int_equal(graph_rescale(&sketch->graph, b, a, 0, &node), ADELE_OK);
        note(sketch, node, sketch->size[a], b, -1);
        b = node;
    }
    assert_int_equal(graph_concat(&sketch->graph, a, b, &node), ADELE_OK);
    note(sketch, node, sketch->size[a], a, b);
}

static void add_aspp(struct sketch *sketch, struct random_stream *stream, int input) {
    static const int rates[] = {0, 2, 6};
    char names[3][16];
    const char *branches[3];
    int node, n_rates = 1 + (int)random_below(stream, 3);
    for (int r = 0; r < 3; r++) {
        snprintf(names[r], sizeof names[r], "n%d.%d", sketch->graph.n_nodes, r);
        branches[r] = names[r];
    }
    enum adele_aspp_form form = random_below(stream, 2) ? ADELE_ASPP_SUM : ADELE_ASPP_CONCAT;
    assert_int_equal(graph_aspp(&sketch->graph, "aspp", input, form,
                                1 + (int)random_below(stream, 3), n_rates, rates, branches,
                                random_below(stream, 2), &node),
                     ADELE_OK);
    note(sketch, node, sketch->size[input], input, -1);
}

// Adds a node of as many channels, when there is one.
static void add_sum(struct sketch *sketch, struct random_stream *stream, int input) {
    int other = pick(sketch, stream, sketch->size[input], input), node;
    if (other == -1 || sketch->graph.nodes[other].c != sketch->graph.nodes[input].c)
        return;
    assert_int_equal(graph_add(&sketch->graph, input, other, &node), ADELE_OK);
    note(sketch, node, sketch->size[input], input, other);
}

// The mean over the image, spread out again.
static void add_global_pool(struct sketch *sketch, int input) {
    int node, spread;
    assert_int_equal(graph_global_pool(&sketch->graph, input, &node), ADELE_OK);
    note(sketch, node, 1, input, -1);
    sketch->is_closed[node] = true; // of another size than any it could be joined with
    assert_int_equal(graph_rescale(&sketch->graph, node, input, 0, &spread), ADELE_OK);
    note(sketch, spread, sketch->size[input], node, -1);
}

static void add_random(struct sketch *sketch, struct random_stream *stream) {
    int input = pick(sketch, stream, 0, -1), node;
    switch (input == -1 ? 99 : random_below(stream, 9)) {
    case 0:
    case 1:
        add_conv2d(sketch, stream, input);
        break;
    case 2:
        add_batch_norm(sketch, stream, input);
        break;
    case 3:
        if (sketch->size[input] < 4)
            break;
        assert_int_equal(graph_max_pool(&sketch->graph, input, 2, 2, 0, &node), ADELE_OK);
        note(sketch, node, sketch->size[input] / 2, input, -1);
        break;
    case 4:
        if (sketch->size[input] > 16)
            break;
        assert_int_equal(graph_rescale(&sketch->graph, input, -1, 2, &node), ADELE_OK);
        note(sketch, node, sketch->size[input] * 2, input, -1);
        break;
    case 5: {
        int other = pick(sketch, stream, sketch->size[input], input);
        if (other != -1)
            add_concat(sketch, input, other);
        break;
    }
    case 6:
        add_aspp(sketch, stream, input);
        break;
    case 7:
        add_sum(sketch, stream, input);
        break;
    case 8:
        add_global_pool(sketch, input);
        break;
    default:
        break;
    }
}

static void random_graph(struct sketch *sketch, struct random_stream *stream) {
    int node;
    memset(sketch, 0, sizeof *sketch);
    graph_init(&sketch->graph);
    assert_int_equal(graph_input(&sketch->graph, 1 + (int)random_below(stream, 3), &node),
                     ADELE_OK);
    sketch->size[0] = 32;
    for (int i = 0; i < 24; i++)
        add_random(sketch, stream);
    // Whatever nobody uses is joined, so that every node reaches the output.
    int loose = sketch->graph.n_nodes - 1;
    for (int i = 0; i < sketch->graph.n_nodes; i++)
        if (!sketch->is_used[i] && i != loose) {
            add_concat(sketch, loose, i);
            loose = sketch->graph.n_nodes - 1;
        }
    add_conv2d(sketch, stream, loose);
    assert_true(sketch->graph.n_nodes <= MAX_NODES);
}

// ---- the reference: one number a node, no memory shared -----------------------------------------

static void reference_forward(const struct graph *graph, const float *weights, float input,
                              float *values) {
    values[0] = input;
    for (int i = 1; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        float a = values[node->inputs[0]];
        float b = node->inputs[1] != -1 ? values[node->inputs[1]] : 0;
        float weight = 0, bias = 0;
        if (node->i_weight != -1)
            weight = weights[graph->parameters[node->i_weight].offset];
        if (node->i_bias != -1)
            bias = weights[graph->parameters[node->i_bias].offset];
        switch (node->kind) {
        case NODE_CONV2D:
            values[i] = weight * a + bias;
            break;
        case NODE_BATCH_NORM:
            values[i] = weight * a + bias + UNIFORM_SECOND * b;
            break;
        case NODE_MAX_POOL:
            values[i] = UNIFORM_MAX_POOL * a;
            break;
        case NODE_RESCALE:
        case NODE_GLOBAL_POOL:
            values[i] = UNIFORM_RESCALE * a;
            break;
        case NODE_ASPP:
            values[i] = 0;
            for (int r = 0; r < node->n_rates; r++) {
                values[i] += weights[graph->parameters[node->i_weights[r]].offset] * a;
                if (node->i_biases[r] != -1)
                    values[i] += weights[graph->parameters[node->i_biases[r]].offset];
            }
            break;
        default:
            values[i] = a + UNIFORM_SECOND * b;
            break;
        }
    }
}

static void reference_backward(const struct graph *graph, const float *weights, const float *values,
                               float d_output, float *d_weights) {
    float gradients[MAX_NODES] = {0};
    gradients[graph->output] = d_output;
    for (int i = graph->n_nodes - 1; i > 0; i--) {
        const struct node *node = &graph->nodes[i];
        float g = gradients[i], factor = 0;
        float *d_a = &gradients[node->inputs[0]];
        switch (node->kind) {
        case NODE_CONV2D:
        case NODE_BATCH_NORM:
            factor = weights[graph->parameters[node->i_weight].offset];
            d_weights[graph->parameters[node->i_weight].offset] += g * values[node->inputs[0]];
            if (node->i_bias != -1)
                d_weights[graph->parameters[node->i_bias].offset] += g;
            break;
        case NODE_MAX_POOL:
            factor = UNIFORM_MAX_POOL;
            break;
        case NODE_RESCALE:
        case NODE_GLOBAL_POOL:
            factor = UNIFORM_RESCALE;
            break;
        case NODE_ASPP:
            for (int r = 0; r < node->n_rates; r++) {
                int64_t offset = graph->parameters[node->i_weights[r]].offset;
                factor += weights[offset];
                d_weights[offset] += g * values[node->inputs[0]];
                if (node->i_biases[r] != -1)
                    d_weights[graph->parameters[node->i_biases[r]].offset] += g;
            }
            break;
        default:
            factor = 1;
            break;
        }
        *d_a += factor * g;
        bool has_second =
            node->kind == NODE_CONCAT || node->kind == NODE_ADD || node->kind == NODE_BATCH_NORM;
        if (has_second && node->inputs[1] != -1)
            gradients[node->inputs[1]] += UNIFORM_SECOND * g;
    }
}

// ---- steps --------------------------------------------------------------------------------------

static void assert_close(float got, float want) {
    double error = fabs((double)got - (double)want);
    if (!(error <= 1e-5 * (1.0 + fabs((double)want))))
        fail_msg("got %g, want %g", (double)got, (double)want);
}

static struct adele_device together; // scales_device.h

struct fixture {
    struct network *network;
    struct plan *train[2], *infer[2];
    struct plan_group *group; // of `train`
};

static void step(struct fixture *fixture, float *want_gradients) {
    const struct graph *graph = network_graph(fixture->network);
    const float *weights = network_weights(fixture->network);
    float values[2][MAX_NODES];
    for (int k = 0; k < 2; k++)
        uniform_fill(plan_input(fixture->train[k]), plan_input_shape(fixture->train[k]),
                     0.5F + (float)k);
    // All forwards come before the first backward, as in a step of several scales.
    if (plan_group_forward(fixture->group, true) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    for (int k = 0; k < 2; k++) {
        struct plan *plan = fixture->train[k];
        reference_forward(graph, weights, 0.5F + (float)k, values[k]);
        assert_close(uniform_value(plan_output(plan), plan_output_shape(plan)),
                     values[k][graph->output]);
        uniform_fill(plan_d_output(plan), plan_output_shape(plan), 1.0F - 0.25F * (float)k);
    }
    for (int k = 0; k < 2; k++)
        reference_backward(graph, weights, values[k], 1.0F - 0.25F * (float)k, want_gradients);
    if (plan_group_backward(fixture->group) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    for (int k = 0; k < 2; k++)
        uniform_fill(plan_input(fixture->infer[k]), plan_input_shape(fixture->infer[k]),
                     2.0F + (float)k);
    for (int k = 0; k < 2; k++) {
        struct plan *plan = fixture->infer[k];
        reference_forward(graph, weights, 2.0F + (float)k, values[k]);
        if (plan_forward(plan, false) != ADELE_OK)
            fail_msg("%s", adele_error_message());
        assert_close(uniform_value(plan_output(plan), plan_output_shape(plan)),
                     values[k][graph->output]);
    }
}

// On a device that runs the convolutions of both training plans as one op, or on one that does not.
static void fixture_create(struct fixture *fixture, struct graph *graph, bool is_together) {
    const struct adele_device *device = &uniform_device;
    if (is_together) {
        together = uniform_device;
        scales_device_wrap(&together);
        device = &together;
    }
    assert_int_equal(
        network_create_from_graph(device, graph, 7, ADELE_PRECISION_FP32, &fixture->network),
        ADELE_OK);
    static const int sizes[2] = {32, 64};
    for (int k = 0; k < 2; k++) {
        if (network_plan(fixture->network, 2, sizes[k], sizes[k], true, &fixture->train[k]) !=
                ADELE_OK ||
            network_plan(fixture->network, 1 + k, sizes[k], 32, false, &fixture->infer[k]) !=
                ADELE_OK)
            fail_msg("%s", adele_error_message());
    }
    if (network_group(fixture->network, 2, fixture->train, &fixture->group) != ADELE_OK ||
        network_allocate(fixture->network) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

// ---- tests --------------------------------------------------------------------------------------

static void random_graphs_never_overwrite_what_is_needed(void **state) {
    (void)state;
    int n_accumulated = 0, n_residuals = 0, n_joined = 0, n_pyramids = 0, n_recomputed = 0;
    int n_together = 0;
    for (uint32_t seed = 0; seed < 150; seed++) {
        struct random_stream stream;
        random_stream_init(&stream, seed, RANDOM_TEST, 0, 0);
        struct sketch sketch;
        random_graph(&sketch, &stream);
        struct fixture fixture;
        fixture_create(&fixture, &sketch.graph, seed % 2 == 1);
        const struct graph *graph = network_graph(fixture.network);
        for (int k = 0; k < 2; k++) {
            plan_assert_no_overlap(fixture.train[k]);
            plan_assert_no_overlap(fixture.infer[k]);
        }
        float *want = calloc((size_t)graph->n_weights, sizeof *want);
        assert_non_null(want);
        for (int i_step = 0; i_step < 2; i_step++)
            step(&fixture, want);
        for (int64_t i = 0; i < graph->n_weights; i++)
            assert_close(network_gradients(fixture.network)[i], want[i]);
        for (int i = 0; i < graph->n_nodes; i++) {
            n_accumulated += fixture.train[0]->steps[i].accumulates[0];
            n_residuals +=
                graph->nodes[i].kind == NODE_BATCH_NORM && graph->nodes[i].inputs[1] != -1;
            n_joined += fixture.train[0]->steps[i].join != NULL;
            n_pyramids += graph->nodes[i].kind == NODE_ASPP;
            n_recomputed += fixture.train[0]->steps[i].recompute_for > i;
        }
        n_together += fixture.group->n_convolutions;
        free(want);
        network_destroy(fixture.network);
        graph_deinit(&sketch.graph);
    }
    // The cases that matter did occur.
    assert_true(n_accumulated > 50);
    assert_true(n_residuals > 20);
    assert_true(n_joined > 20);
    assert_true(n_pyramids > 50);
    assert_true(n_recomputed > 50);
    assert_true(n_together > 50);
}

static void a_step_allocates_nothing(void **state) {
    (void)state;
    struct network_config config = {.name = "unet", .n_channels = 3, .n_categories = 2, .width = 5};
    for (int is_together = 0; is_together < 2; is_together++) {
        struct graph graph;
        graph_init(&graph);
        assert_int_equal(unet_build(&graph, config.n_channels, config.n_categories, config.width),
                         ADELE_OK);
        struct fixture fixture;
        fixture_create(&fixture, &graph, is_together == 1);
        float *want = calloc((size_t)network_graph(fixture.network)->n_weights, sizeof *want);
        assert_non_null(want);
        memory_fail_at(-1);
        step(&fixture, want);
        assert_int_equal(memory_count(), 0);
        free(want);
        network_destroy(fixture.network);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_never_overwrite_what_is_needed),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
