// SPDX-License-Identifier: MIT
#include "support/mutants.h"
#include "base/random.h"
#include "support/devices.h"
#include "support/plan_tensor.h"
#include "support/train_step.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum mutant_kind mutant_kind_parse(const char *name) {
    if (strcmp(name, "swap-channels") == 0)
        return MUTANT_SWAP_CHANNELS;
    if (strcmp(name, "ignore-relu") != 0)
        fail_msg("there is no mutant \"%s\"", name);
    return MUTANT_IGNORE_RELU;
}

// The gradient of the plan's output is the caller's, and no result of the backward pass.
bool mutant_fits(const struct plan *plan, enum mutant_kind kind, int i_node) {
    const struct graph *graph = &plan->network->graph;
    const struct node *node = &graph->nodes[i_node];
    if (!plan->steps[i_node].has_backward || i_node == graph->output)
        return false;
    return kind == MUTANT_SWAP_CHANNELS ? node->c >= 2
                                        : node->kind == NODE_BATCH_NORM && node->has_relu;
}

static void swap_planes(struct plan_tensor *gradient, size_t a, size_t b) {
    size_t plane = (size_t)gradient->shape.h * (size_t)gradient->shape.w;
    for (size_t i = 0; i < plane; i++) {
        float *from = plan_tensor_at(gradient, a * plane + i);
        float *to = plan_tensor_at(gradient, b * plane + i);
        float swap = *from;
        *from = *to;
        *to = swap;
    }
}

static void swap_channels(const struct plan *plan, struct mutant *mutant,
                          struct random_stream *stream) {
    const struct node *node = &plan->network->graph.nodes[mutant->i_node];
    uint32_t c = (uint32_t)node->c, a = random_below(stream, c);
    uint32_t b = (a + 1 + random_below(stream, c - 1)) % c;
    struct plan_tensor gradient;
    plan_tensor_read(&gradient, plan, mutant->i_node, BLOCK_GRADIENT);
    for (int n = 0; n < gradient.shape.n; n++)
        swap_planes(&gradient, (size_t)n * c + a, (size_t)n * c + b);
    plan_tensor_write(&gradient);
    plan_tensor_free(&gradient);
    snprintf(mutant->text, sizeof mutant->text, "channels %u and %u of the gradient of %s swapped",
             a, b, node->name);
}

static bool is_candidate(const struct plan_tensor *value, const struct plan_tensor *gradient,
                         double least, size_t i) {
    return !(*plan_tensor_at(value, i) > 0.0F) &&
           fabs((double)*plan_tensor_at(gradient, i)) >= least;
}

static size_t draw_closed_unit(const struct plan *plan, const struct mutant *mutant,
                               struct random_stream *stream) {
    struct plan_tensor value, gradient;
    plan_tensor_read(&value, plan, mutant->i_node, BLOCK_VALUE);
    plan_tensor_read(&gradient, plan, mutant->i_node, BLOCK_GRADIENT);
    size_t n = shape_count(value.shape), n_candidates = 0, unit = 0;
    double squares = 0.0;
    for (size_t i = 0; i < n; i++)
        squares += (double)*plan_tensor_at(&gradient, i) * (double)*plan_tensor_at(&gradient, i);
    double least = 0.1 * sqrt(squares / (double)n);
    for (size_t i = 0; i < n; i++)
        n_candidates += is_candidate(&value, &gradient, least, i);
    assert_true(n_candidates > 0);
    uint32_t nth = random_below(stream, (uint32_t)n_candidates);
    for (size_t i = 0; i < n; i++)
        if (is_candidate(&value, &gradient, least, i) && nth-- == 0)
            unit = i;
    plan_tensor_free(&value);
    plan_tensor_free(&gradient);
    return unit;
}

// The nodes that use the value have run their backward by now; only the batch norm itself still
// reads it, for its mask.
static void set_value(const struct plan *plan, int i_node, size_t unit, float value) {
    struct plan_tensor output;
    plan_tensor_read(&output, plan, i_node, BLOCK_VALUE);
    *plan_tensor_at(&output, unit) = value;
    plan_tensor_write(&output);
    plan_tensor_free(&output);
}

static void backward_ignoring_relu(struct plan *plan, struct mutant *mutant,
                                   struct random_stream *stream) {
    size_t unit = draw_closed_unit(plan, mutant, stream);
    set_value(plan, mutant->i_node, unit, FLT_MIN);
    check_ok(plan_node_backward(plan, mutant->i_node));
    set_value(plan, mutant->i_node, unit, 0.0F);
    snprintf(mutant->text, sizeof mutant->text, "the closed ReLU of unit %zu of %s ignored", unit,
             plan->network->graph.nodes[mutant->i_node].name);
}

void mutant_backward(struct plan *plan, struct mutant *mutant) {
    struct random_stream stream;
    random_stream_init(&stream, mutant->seed, RANDOM_TEST, 0, (uint32_t)mutant->i_node);
    check_ok(network_pack(plan->network));
    for (int i = plan->network->graph.n_nodes - 1; i >= 0; i--) {
        bool is_here = mutant->kind != MUTANT_NONE && i == mutant->i_node;
        if (is_here && mutant->kind == MUTANT_SWAP_CHANNELS)
            swap_channels(plan, mutant, &stream);
        if (is_here && mutant->kind == MUTANT_IGNORE_RELU)
            backward_ignoring_relu(plan, mutant, &stream);
        else
            check_ok(plan_node_backward(plan, i));
    }
}
