// SPDX-License-Identifier: MIT
#include "support/kinks.h"
#include "support/devices.h"
#include "support/golden.h"
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

static double root_mean_square(const double *values, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += values[i] * values[i];
    return sqrt(sum / (double)n);
}

// Counts a unit whose choice differs. Distances are written so that NaN fails.
static void count_difference(struct kinks *kinks, const char *layer, size_t i, double distance) {
    if (!(distance <= KINKS_DISTANCE))
        fail_msg("%s%s: unit %zu chose differently, %g of the layer's root mean square off its "
                 "kink; %g is within rounding",
                 kinks->prefix, layer, i, distance, KINKS_DISTANCE);
    kinks->n_differing++;
    if (distance > kinks->farthest)
        kinks->farthest = distance;
}

static uint8_t *recorded(const struct kinks *kinks, const char *kind, const char *layer,
                         size_t want_bytes) {
    char name[256];
    int64_t n_bytes;
    snprintf(name, sizeof name, "%s%s.%s", kinks->prefix, kind, layer);
    uint8_t *bytes = golden_u8(kinks->file, name, &n_bytes);
    if ((size_t)n_bytes != want_bytes)
        fail_msg("%s has %lld bytes, the layer asks for %zu", name, (long long)n_bytes, want_bytes);
    return bytes;
}

// ---- ReLU ---------------------------------------------------------------------------------------

static float *download(const struct adele_device *device, const float *from, int n) {
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    check_ok(device->iface->download(device, values, from, (size_t)n * sizeof *values));
    return values;
}

// What goes into the ReLU of a batch norm, in double, from what the device's forward read and kept.
static double *before_relu(const struct plan *plan, int i_node) {
    const struct adele_device *device = plan->network->device;
    const struct node *node = &plan->network->graph.nodes[i_node];
    const struct adele_batch_norm_args *args = &plan->steps[i_node].args.batch_norm;
    float *mean = download(device, args->saved_mean, node->c);
    float *inv_std = download(device, args->saved_inv_std, node->c);
    float *scale = download(device, args->scale, node->c);
    float *shift = download(device, args->shift, node->c);
    struct plan_tensor src, residual = {0};
    plan_tensor_read(&src, plan, node->inputs[0], BLOCK_VALUE);
    if (node->inputs[1] != -1)
        plan_tensor_read(&residual, plan, node->inputs[1], BLOCK_VALUE);
    size_t n = shape_count(src.shape), plane = (size_t)src.shape.h * (size_t)src.shape.w;
    double *z = malloc(n * sizeof *z);
    assert_non_null(z);
    for (size_t i = 0; i < n; i++) {
        size_t c = i / plane % (size_t)node->c;
        z[i] = ((double)*plan_tensor_at(&src, i) - mean[c]) * inv_std[c] * scale[c] + shift[c];
        if (residual.values != NULL)
            z[i] += (double)*plan_tensor_at(&residual, i);
    }
    plan_tensor_free(&src);
    plan_tensor_free(&residual);
    free(mean);
    free(inv_std);
    free(scale);
    free(shift);
    return z;
}

static void impose_relu(struct kinks *kinks, const struct plan *plan, int i_node) {
    const char *layer = plan->network->graph.nodes[i_node].name;
    struct plan_tensor output;
    plan_tensor_read(&output, plan, i_node, BLOCK_VALUE);
    size_t n = shape_count(output.shape);
    uint8_t *positive = recorded(kinks, "positive", layer, (n + 7) / 8);
    double *z = before_relu(plan, i_node);
    double scale = root_mean_square(z, n);
    size_t n_before = kinks->n_differing;
    for (size_t i = 0; i < n; i++) {
        bool is_open = (positive[i / 8] >> i % 8 & 1) != 0;
        float *value = plan_tensor_at(&output, i);
        if ((*value > 0.0F) == is_open)
            continue;
        count_difference(kinks, layer, i, fabs(z[i]) / scale);
        *value = is_open ? FLT_MIN : 0.0F;
    }
    if (kinks->n_differing > n_before)
        plan_tensor_write(&output);
    kinks->n_units += n;
    free(z);
    free(positive);
    plan_tensor_free(&output);
}

// ---- max pooling --------------------------------------------------------------------------------

// Chooses in one window of the input, whose winner is recorded, and answers its maximum after that.
// A window that only has closed ReLUs passes no gradient on, whoever wins.
static float impose_window(struct kinks *kinks, const char *layer, size_t i, float *const window[4],
                           int winner, double scale) {
    int own = 0;
    for (int k = 1; k < 4; k++)
        if (*window[k] > *window[own])
            own = k;
    float maximum = *window[own];
    if (own == winner || maximum == 0.0F)
        return maximum;
    // The ReLUs are the record's by now, in which a closed unit cannot win over an open one.
    assert_true(*window[winner] > 0.0F);
    count_difference(kinks, layer, i, ((double)maximum - (double)*window[winner]) / scale);
    *window[winner] = nextafterf(maximum, INFINITY);
    return *window[winner];
}

static double input_scale(const struct plan_tensor *input) {
    size_t n = shape_count(input->shape);
    double *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = *plan_tensor_at(input, i);
    double scale = root_mean_square(values, n);
    free(values);
    return scale;
}

// Comes after the ReLU in front of it. The output is written too: backward compares the input with
// it.
static void impose_max_pool(struct kinks *kinks, const struct plan *plan, int i_node,
                            const char *layer) {
    const struct node *node = &plan->network->graph.nodes[i_node];
    assert_true(node->kernel == 2 && node->stride == 2 && node->pad == 0);
    struct plan_tensor input, output;
    plan_tensor_read(&input, plan, node->inputs[0], BLOCK_VALUE);
    plan_tensor_read(&output, plan, i_node, BLOCK_VALUE);
    size_t n = shape_count(output.shape), w = (size_t)output.shape.w, h = (size_t)output.shape.h;
    size_t w_in = (size_t)input.shape.w, h_in = (size_t)input.shape.h;
    uint8_t *winner = recorded(kinks, "winner", layer, n);
    double scale = input_scale(&input);
    bool is_changed = false; // by this or by the ReLU in front
    for (size_t i = 0; i < n; i++) {
        size_t first = (i / (w * h) * h_in + i / w % h * 2) * w_in + i % w * 2;
        float *window[4] = {plan_tensor_at(&input, first), plan_tensor_at(&input, first + 1),
                            plan_tensor_at(&input, first + w_in),
                            plan_tensor_at(&input, first + w_in + 1)};
        assert_true(winner[i] < 4);
        float maximum = impose_window(kinks, layer, i, window, winner[i], scale);
        is_changed = is_changed || maximum != *plan_tensor_at(&output, i);
        *plan_tensor_at(&output, i) = maximum;
    }
    if (is_changed) {
        plan_tensor_write(&input);
        plan_tensor_write(&output);
    }
    kinks->n_units += n;
    free(winner);
    plan_tensor_free(&input);
    plan_tensor_free(&output);
}

// ---- the whole plan -----------------------------------------------------------------------------

// A recorded layer that the plan does not have would go unnoticed otherwise.
static void check_layers(const struct kinks *kinks, int n_layers) {
    char positive[64], winner[64];
    int n_recorded = 0;
    snprintf(positive, sizeof positive, "%spositive.", kinks->prefix);
    snprintf(winner, sizeof winner, "%swinner.", kinks->prefix);
    for (int i = 0; i < safetensors_count(kinks->file); i++) {
        const char *name = safetensors_at(kinks->file, i)->name;
        n_recorded += strncmp(name, positive, strlen(positive)) == 0 ||
                      strncmp(name, winner, strlen(winner)) == 0;
    }
    assert_int_equal(n_recorded, n_layers);
}

void kinks_impose(struct kinks *kinks, struct plan *plan) {
    const struct graph *graph = &plan->network->graph;
    int n_relus = 0, n_poolings = 0;
    kinks->n_units = kinks->n_differing = 0;
    kinks->farthest = 0.0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        if (node->kind == NODE_BATCH_NORM && node->has_relu) {
            impose_relu(kinks, plan, i);
            n_relus++;
        } else if (node->kind == NODE_MAX_POOL) {
            assert_true(n_poolings < kinks->n_poolings);
            impose_max_pool(kinks, plan, i, kinks->poolings[n_poolings++]);
        }
    }
    check_layers(kinks, n_relus + n_poolings);
    print_message("%s: %zu of %zu units chose differently, at most %.2g of their layer's root mean "
                  "square off their kink\n",
                  *kinks->prefix != '\0' ? kinks->prefix : "forward", kinks->n_differing,
                  kinks->n_units, kinks->farthest);
    if (!((double)kinks->n_differing < KINKS_SHARE * (double)kinks->n_units))
        fail_msg("%s%zu of %zu units chose differently", kinks->prefix, kinks->n_differing,
                 kinks->n_units);
}
