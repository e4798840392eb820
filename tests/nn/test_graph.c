// SPDX-License-Identifier: MIT
#include "nn/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

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
    return NULL;
}

static void nodes_and_parameters_are_numbered_in_order(void **state) {
    struct graph *graph = *state;
    int input, conv, norm, pool, up, joined;
    assert_int_equal(graph_input(graph, 3, &input), ADELE_OK);
    assert_int_equal(graph_conv2d(graph, "a", input, 5, 3, 1, 1, 1, true, &conv), ADELE_OK);
    assert_int_equal(graph_batch_norm(graph, "b", conv, -1, true, &norm), ADELE_OK);
    assert_int_equal(graph_max_pool(graph, norm, 2, 2, 0, &pool), ADELE_OK);
    assert_int_equal(graph_rescale(graph, pool, norm, 2, &up), ADELE_OK);
    assert_int_equal(graph_concat(graph, norm, up, &joined), ADELE_OK);
    assert_int_equal(joined, 5);
    assert_int_equal(graph->n_nodes, 6);
    assert_int_equal(graph->input, 0);
    assert_int_equal(graph->output, 5);
    assert_int_equal(graph->nodes[joined].c, 10);
    static const char *const names[] = {"a.weight", "a.bias",         "b.weight",
                                        "b.bias",   "b.running_mean", "b.running_var"};
    assert_int_equal(graph->n_parameters, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(graph->parameters[i].name, names[i]);
    // 135 weights round up to 144 floats, five of anything to 16.
    assert_int_equal(graph->parameters[0].count, 5 * 3 * 9);
    assert_int_equal(graph->parameters[1].offset, 144);
    assert_int_equal(graph->n_weights, 144 + 3 * 16);
    assert_int_equal(graph->n_buffers, 2 * 16);
    assert_int_equal(graph->parameters[0].fan_in, 27);
    assert_int_equal(graph->parameters[0].fan_out, 45);
    assert_true(graph->parameters[0].has_decay);
    assert_false(graph->parameters[1].has_decay);
    assert_true(graph->parameters[4].is_buffer);
    assert_false(graph->parameters[3].is_buffer);
}

static void misuse_is_refused(void **state) {
    struct graph *graph = *state;
    int out, input, a, b;
    assert_int_equal(graph_conv2d(graph, "a", 0, 5, 3, 1, 1, 1, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_input(graph, 0, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_input(graph, 1, &input), ADELE_OK);
    assert_int_equal(graph_input(graph, 1, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_conv2d(graph, "a", input, 4, 3, 1, 1, 1, true, &a), ADELE_OK);
    assert_int_equal(graph_conv2d(graph, "b", input, 5, 3, 1, 1, 1, true, &b), ADELE_OK);
    assert_int_equal(graph_conv2d(graph, "a", input, 4, 3, 1, 1, 1, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "a.weight"));
    assert_int_equal(graph_conv2d(graph, "c", input, 4, 0, 1, 1, 1, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_conv2d(graph, "d", input, 4, 3, 0, 1, 1, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_batch_norm(graph, "e", a, b, true, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_batch_norm(graph, "e", a, a, true, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_batch_norm(graph, "e", 99, -1, true, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_max_pool(graph, a, 2, 2, 2, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_rescale(graph, a, -1, 0, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_rescale(graph, a, b, -1, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_concat(graph, a, a, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_concat(graph, a, -1, &out), ADELE_INVALID_ARGUMENT);
    char name[200];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(graph_batch_norm(graph, name, a, -1, true, &out), ADELE_INVALID_ARGUMENT);
}

static void pyramids_sums_and_means(void **state) {
    struct graph *graph = *state;
    static const int rates[] = {0, 6, 12};
    static const char *const names[] = {"p.0", "p.1", "p.2"}, *const others[] = {"q.0", "q.1",
                                                                                 "q.2"};
    int input, pyramid, concat, pooled, spread, sum, out;
    assert_int_equal(graph_input(graph, 4, &input), ADELE_OK);
    assert_int_equal(
        graph_aspp(graph, "p", input, ADELE_ASPP_SUM, 5, 3, rates, names, true, &pyramid),
        ADELE_OK);
    assert_int_equal(graph->nodes[pyramid].c, 5);
    assert_int_equal(
        graph_aspp(graph, "q", pyramid, ADELE_ASPP_CONCAT, 5, 3, rates, others, false, &concat),
        ADELE_OK);
    assert_int_equal(graph->nodes[concat].c, 15);
    assert_int_equal(graph_global_pool(graph, concat, &pooled), ADELE_OK);
    assert_int_equal(graph_rescale(graph, pooled, concat, 0, &spread), ADELE_OK);
    assert_int_equal(graph_add(graph, concat, spread, &sum), ADELE_OK);
    assert_int_equal(graph->nodes[sum].c, 15);
    // Weight, then bias of each branch.
    assert_int_equal(graph->n_parameters, 6 + 3);
    assert_string_equal(graph->parameters[3].name, "p.1.bias");
    assert_int_equal(find(graph, "p.0.weight")->count, 5 * 4);
    assert_int_equal(find(graph, "p.2.weight")->count, 5 * 4 * 9);
    assert_int_equal(find(graph, "p.2.weight")->fan_in, 4 * 9);
    int trained[NODE_MAX_TRAINED];
    assert_int_equal(node_trained(&graph->nodes[pyramid], trained), 6);
    assert_int_equal(node_trained(&graph->nodes[concat], trained), 3);
    assert_int_equal(node_trained(&graph->nodes[sum], trained), 0);

    static const int wrong[] = {-1, 6, 12};
    assert_int_equal(graph_add(graph, concat, concat, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_add(graph, pyramid, concat, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_add(graph, pyramid, 99, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_global_pool(graph, -1, &out), ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_aspp(graph, "r", input, ADELE_ASPP_SUM, 5, 0, rates, names, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_aspp(graph, "r", input, ADELE_ASPP_SUM, 5, 3, wrong, names, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(
        graph_aspp(graph, "r", input, ADELE_ASPP_CONCAT, 60000, 3, rates, names, true, &out),
        ADELE_INVALID_ARGUMENT);
    assert_int_equal(graph_aspp(graph, "p", input, ADELE_ASPP_SUM, 5, 3, rates, names, true, &out),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "p.0.weight"));
}

static void unet_is_the_published_one(void **state) {
    struct graph *graph = *state;
    assert_int_equal(unet_build(graph, 1, 5, 64), ADELE_OK);
    const struct parameter *first = find(graph, "inc.double_conv.0.weight");
    const struct parameter *deepest = find(graph, "down4.maxpool_conv.1.double_conv.3.weight");
    const struct parameter *up = find(graph, "up1.conv.double_conv.0.weight");
    const struct parameter *up_out = find(graph, "up1.conv.double_conv.3.weight");
    const struct parameter *last = find(graph, "up4.conv.double_conv.3.weight");
    const struct parameter *head = find(graph, "outc.conv.weight");
    assert_true(first && deepest && up && up_out && last && head);
    assert_int_equal(first->shape[1], 1);
    assert_int_equal(deepest->shape[0], 512);
    assert_int_equal(deepest->shape[1], 512);
    assert_int_equal(up->shape[0], 512);
    assert_int_equal(up->shape[1], 1024);
    assert_int_equal(up_out->shape[0], 256);
    assert_int_equal(last->shape[0], 64);
    assert_int_equal(head->shape[0], 5);
    assert_int_equal(head->shape[1], 64);
    int64_t n_trainable = 0;
    for (int i = 0; i < graph->n_parameters; i++)
        n_trainable += graph->parameters[i].is_buffer ? 0 : graph->parameters[i].count;
    // Summed by hand: levels 37,824 + 221,952 + 886,272 + 3,542,016 + 4,721,664 going down,
    // 5,900,544 + 1,475,712 + 369,216 + 110,976 coming up, head 325.
    assert_int_equal(n_trainable, 17266501);
}

static void unet_widths_need_no_multiple_of_eight(void **state) {
    struct graph *graph = *state;
    for (int width = 1; width <= 6; width++) {
        assert_int_equal(unet_build(graph, 3, 2, width), ADELE_OK);
        assert_int_equal(graph->nodes[graph->output].c, 2);
        assert_int_equal(graph->nodes[graph->output - 1].c, width);
        graph_deinit(graph);
    }
    assert_int_equal(unet_build(graph, 3, 2, 0), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "model.width is 0"));
}

static void every_allocation_may_fail(void **state) {
    struct graph *graph = *state;
    for (long i = 0;; i++) {
        memory_fail_at(i);
        adele_status status = unet_build(graph, 1, 2, 4);
        memory_fail_at(-1);
        graph_deinit(graph);
        if (status == ADELE_OK) {
            assert_true(i > 0);
            break;
        }
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_and_parameters_are_numbered_in_order, graph_setup,
                                        graph_teardown),
        cmocka_unit_test_setup_teardown(misuse_is_refused, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(pyramids_sums_and_means, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(unet_is_the_published_one, graph_setup, graph_teardown),
        cmocka_unit_test_setup_teardown(unet_widths_need_no_multiple_of_eight, graph_setup,
                                        graph_teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, graph_setup, graph_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
