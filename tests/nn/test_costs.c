// SPDX-License-Identifier: MIT
#include "support/costs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "support/networks.h"

// Within 1 % of the number; the sources give three digits.
static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= 0.01 * want))
        fail_msg("%g is not within 1 %% of %g", got, want);
}

static struct cost_totals totals_at(const struct graph *graph, struct adele_shape input) {
    struct costs *costs = NULL;
    assert_int_equal(costs_create(graph, input, ADELE_PRECISION_FP32, &costs), ADELE_OK);
    struct cost_totals totals = costs_totals(costs);
    costs_destroy(costs);
    return totals;
}

static void a_convolution_by_hand(void **state) {
    (void)state;
    struct graph graph;
    int node;
    graph_init(&graph);
    assert_int_equal(graph_input(&graph, 3, &node), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "a", node, 5, 3, 2, 1, 1, true, &node), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "b", node, 7, 1, 1, 0, 1, false, &node), ADELE_OK);
    struct costs *costs = NULL;
    assert_int_equal(
        costs_create(&graph, (struct adele_shape){2, 3, 8, 6}, ADELE_PRECISION_FP32, &costs),
        ADELE_OK);
    assert_int_equal(costs_n_ops(costs), 2);
    const struct op_cost *a = costs_op(costs, 0), *b = costs_op(costs, 1);
    assert_string_equal(a->name, "a");
    assert_int_equal(a->out.h, 4);
    assert_int_equal(a->out.w, 3);
    assert_int_equal(a->n_parameters, 5 * 3 * 9 + 5);
    // 2 images, 5 channels, 4 x 3 pixels, of 3 channels and 9 taps each.
    double flops_a = 2.0 * 2 * 5 * 12 * 27, flops_b = 2.0 * 2 * 7 * 12 * 5;
    assert_true(a->flops_forward == flops_a);
    assert_true(a->flops_d_src == 0.0); // the image wants no gradient
    assert_true(a->flops_d_weight == flops_a);
    assert_true(b->flops_d_src == flops_b);
    const struct adele_conv2d_desc *desc = b->desc;
    assert_int_equal(desc->c_in, 5);
    assert_int_equal(desc->kernel, 1);
    struct cost_totals totals = costs_totals(costs);
    assert_true(totals.flops_forward == flops_a + flops_b);
    assert_true(totals.flops_step == 2 * flops_a + 3 * flops_b);
    assert_true(totals.conv_elements == 2 * 12 * (5 + 7));
    assert_true(totals.elements_forward ==
                (2 * 48 * 3 + 135 + 2 * 12 * 5) + (2 * 12 * 5 + 35 + 2 * 12 * 7));
    assert_int_equal(totals.n_parameters, 140 + 35);
    costs_destroy(costs);
    graph_deinit(&graph);
}

// PERFORMANCE section 3: U-Net of width 64, five slices of 256 x 256 at scales 0.7, 1 and 1.5.
static void the_segthor_step(void **state) {
    (void)state;
    static const int sizes[] = {179, 256, 384};
    static const double forward[] = {0.191e12, 0.399e12, 0.898e12};
    struct graph graph;
    graph_init(&graph);
    assert_int_equal(unet_build(&graph, 1, 5, 64), ADELE_OK);
    double step = 0.0, elements = 0.0;
    for (int k = 0; k < 3; k++) {
        struct cost_totals totals =
            totals_at(&graph, (struct adele_shape){5, 1, sizes[k], sizes[k]});
        assert_near(totals.flops_forward, forward[k]);
        assert_near((double)totals.n_parameters, 17.25e6);
        assert_true(totals.memory.activation_bytes > 0);
        step += totals.flops_step;
        elements += totals.conv_elements;
    }
    assert_near(step, 4.465e12);
    assert_near(elements, 564e6);
    assert_near(elements * 2 * COSTS_PASSES_STRICT, 5.6e9);
    assert_near(elements * 2 * COSTS_PASSES_REALISTIC, 7.9e9);
    graph_deinit(&graph);
}

// "No concat": skips and up-paths are written where the convolution behind them reads them.
static void the_unet_has_no_concat_to_pay_for(void **state) {
    (void)state;
    struct graph graph;
    struct costs *costs = NULL;
    graph_init(&graph);
    assert_int_equal(unet_build(&graph, 1, 5, 64), ADELE_OK);
    assert_int_equal(
        costs_create(&graph, (struct adele_shape){5, 1, 256, 256}, ADELE_PRECISION_FP32, &costs),
        ADELE_OK);
    int n_pools = 0;
    for (int i = 0; i < costs_n_ops(costs); i++) {
        assert_int_not_equal(costs_op(costs, i)->kind, ADELE_OP_concat);
        n_pools += costs_op(costs, i)->kind == ADELE_OP_max_pool;
    }
    assert_int_equal(n_pools, 4);
    costs_destroy(costs);
    graph_deinit(&graph);
}

// PERFORMANCE section 3: ten crops of 448 x 448, features of 40, 56 and 84 pixels.
static void the_voc_steps(void **state) {
    (void)state;
    static const int sizes[] = {313, 448, 672};
    static const struct {
        enum deeplab_head head;
        double forward[3], step;
    } heads[] = {{DEEPLAB_V1, {4.66e12, 9.18e12, 20.66e12}, 103.5e12},
                 {DEEPLAB_V2, {4.15e12, 8.18e12, 18.40e12}, 92.1e12},
                 {DEEPLAB_V3, {5.00e12, 9.84e12, 22.15e12}, 110.9e12}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct graph graph;
        graph_init(&graph);
        assert_int_equal(deeplab_build(&graph, heads[i].head, 21, 64, false), ADELE_OK);
        double step = 0.0, elements = 0.0;
        for (int k = 0; k < 3; k++) {
            struct cost_totals totals =
                totals_at(&graph, (struct adele_shape){10, 3, sizes[k], sizes[k]});
            assert_near(totals.flops_forward, heads[i].forward[k]);
            step += totals.flops_step;
            elements += totals.conv_elements;
            if (heads[i].head == DEEPLAB_V1)
                assert_near((double)totals.n_parameters, 124.2e6);
        }
        assert_near(step, heads[i].step);
        if (heads[i].head == DEEPLAB_V1)
            assert_near(elements, 6569e6);
        graph_deinit(&graph);
    }
}

static void an_input_too_small_is_refused(void **state) {
    (void)state;
    struct graph graph;
    graph_init(&graph);
    assert_int_equal(unet_build(&graph, 1, 5, 4), ADELE_OK);
    struct costs *costs = NULL;
    assert_int_equal(
        costs_create(&graph, (struct adele_shape){5, 1, 8, 8}, ADELE_PRECISION_FP32, &costs),
        ADELE_INVALID_ARGUMENT);
    assert_null(costs);
    costs_destroy(NULL);
    graph_deinit(&graph);
}

static void allocation_failures_leave_nothing(void **state) {
    (void)state;
    struct graph graph;
    graph_init(&graph);
    assert_int_equal(unet_build(&graph, 1, 5, 4), ADELE_OK);
    adele_status status = ADELE_NO_MEMORY;
    struct costs *costs = NULL;
    for (long i = 0; i < 1000 && status != ADELE_OK; i++) {
        memory_fail_at(i);
        status =
            costs_create(&graph, (struct adele_shape){1, 1, 32, 32}, ADELE_PRECISION_FP32, &costs);
        memory_fail_at(-1);
        if (status != ADELE_OK) {
            assert_int_equal(status, ADELE_NO_MEMORY);
            assert_null(costs);
        }
    }
    assert_int_equal(status, ADELE_OK);
    costs_destroy(costs);
    graph_deinit(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_convolution_by_hand),
        cmocka_unit_test(the_segthor_step),
        cmocka_unit_test(the_unet_has_no_concat_to_pay_for),
        cmocka_unit_test(the_voc_steps),
        cmocka_unit_test(an_input_too_small_is_refused),
        cmocka_unit_test(allocation_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
