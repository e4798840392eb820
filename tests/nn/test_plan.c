// SPDX-License-Identifier: MIT
// The memory planner on literal cases, and what it refuses. test_plan_random has the values that
// plans compute.
#include "nn/node_traits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "support/networks.h"
#include "support/plan_overlap.h"
#include "support/uniform_device.h"

static void placement_is_literal_on_a_small_case(void **state) {
    (void)state;
    // Two long-lived blocks leave a gap of 512 between them once the second block dies; of the gaps
    // of 512 and of 1024 the small late block takes the tighter one.
    struct plan_block blocks[] = {
        {.bytes = 2048, .first = 0, .last = 9, .is_shared = true},
        {.bytes = 1024, .first = 0, .last = 1, .is_shared = true},
        {.bytes = 900, .first = 0, .last = 9, .is_shared = true},
        {.bytes = 512, .first = 0, .last = 1, .is_shared = true},
        {.bytes = 300, .first = 0, .last = 9, .is_shared = true},
        {.bytes = 100, .first = 5, .last = 6, .is_shared = true},
        {.bytes = 700, .first = 0, .last = 0, .is_shared = false},
        {.bytes = 1, .first = 0, .last = 0, .is_shared = false},
    };
    struct plan_memory memory;
    assert_int_equal(plan_blocks_place(blocks, 8, &memory), ADELE_OK);
    static const size_t want[] = {0, 2048, 3072, 4096, 4608, 4096, 0, 768};
    for (int i = 0; i < 8; i++)
        assert_int_equal(blocks[i].offset, want[i]);
    assert_int_equal(memory.shared_bytes, 4608 + 512);
    assert_int_equal(memory.activation_bytes, 768 + 256);
}

static void a_block_may_live_twice(void **state) {
    (void)state;
    // The second block lives between the two times of the first, the third during the later one.
    struct plan_block blocks[] = {
        {.bytes = 1024,
         .first = 0,
         .last = 1,
         .first_again = 8,
         .last_again = 9,
         .is_shared = true},
        {.bytes = 512, .first = 2, .last = 7, .is_shared = true},
        {.bytes = 256, .first = 9, .last = 9, .is_shared = true},
        {.bytes = 128, .first = 5, .last = 5, .first_again = 8, .last_again = 8, .is_shared = true},
    };
    struct plan_memory memory;
    assert_int_equal(plan_blocks_place(blocks, 4, &memory), ADELE_OK);
    static const size_t want[] = {0, 0, 1024, 1024};
    for (int i = 0; i < 4; i++)
        assert_int_equal(blocks[i].offset, want[i]);
    assert_int_equal(memory.shared_bytes, 1024 + 256);
}

static void unet_reuses_memory(void **state) {
    (void)state;
    struct network_config config = {.name = "unet", .n_channels = 1, .n_categories = 5, .width = 8};
    struct network *network;
    struct plan *train, *infer;
    assert_int_equal(network_create(&uniform_device, &config, &network), ADELE_OK);
    assert_int_equal(network_plan(network, 2, 64, 64, true, &train), ADELE_OK);
    assert_int_equal(network_plan(network, 2, 64, 64, false, &infer), ADELE_OK);
    plan_assert_no_overlap(train);
    plan_assert_no_overlap(infer);
    // Greedy by size comes close to the bound that no plan can beat.
    assert_true((double)train->memory.shared_bytes <= 1.1 * (double)plan_live_peak(train));
    assert_true((double)infer->memory.shared_bytes <= 1.1 * (double)plan_live_peak(infer));
    assert_true(infer->memory.shared_bytes < plan_shared_sum(infer) / 3);
    assert_true(train->memory.shared_bytes < plan_shared_sum(train) / 3);
    assert_true(infer->memory.activation_bytes < train->memory.activation_bytes / 10);
    size_t shared = train->memory.shared_bytes > infer->memory.shared_bytes
                        ? train->memory.shared_bytes
                        : infer->memory.shared_bytes;
    assert_int_equal(network_planned_bytes(network),
                     shared + train->memory.activation_bytes + infer->memory.activation_bytes);
    assert_true(plan_flops(train, true) > 2.9 * plan_flops(train, false));
    network_destroy(network);
}

static void plans_may_be_added_later(void **state) {
    (void)state;
    struct network_config config = {.name = "unet", .n_channels = 1, .n_categories = 2, .width = 4};
    struct network *network;
    struct plan *small, *large;
    assert_int_equal(network_create(&uniform_device, &config, &network), ADELE_OK);
    assert_int_equal(network_plan(network, 1, 32, 32, true, &small), ADELE_OK);
    assert_null(plan_input(small));
    assert_int_equal(plan_forward(small, false), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_allocate(network), ADELE_OK);
    void *input = plan_input(small);
    uniform_fill(input, plan_input_shape(small), 1);
    assert_int_equal(plan_backward(small), ADELE_INVALID_ARGUMENT);
    assert_int_equal(plan_forward(small, false), ADELE_OK);
    float before = uniform_value(plan_output(small), plan_output_shape(small));
    assert_int_equal(network_plan(network, 2, 64, 64, true, &large), ADELE_OK);
    assert_int_equal(plan_forward(large, false), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_allocate(network), ADELE_OK);
    assert_ptr_equal(plan_input(small), input);
    assert_true(uniform_value(plan_output(small), plan_output_shape(small)) == before);
    uniform_fill(plan_d_output(small), plan_output_shape(small), 1);
    assert_int_equal(plan_backward(small), ADELE_OK);
    uniform_fill(plan_input(large), plan_input_shape(large), 1);
    assert_int_equal(plan_forward(large, true), ADELE_OK);
    network_destroy(network);
}

static void impossible_plans_are_refused(void **state) {
    (void)state;
    struct network_config config = {.name = "unet", .n_channels = 1, .n_categories = 2, .width = 4};
    struct network *network;
    struct plan *plan;
    assert_int_equal(network_create(&uniform_device, &config, &network), ADELE_OK);
    assert_int_equal(network_plan(network, 1, 15, 64, true, &plan), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "max_pool"));
    assert_int_equal(network_plan(network, 0, 32, 32, true, &plan), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_plan(network, 1, 32, -1, true, &plan), ADELE_INVALID_ARGUMENT);
    // One image of 16 x 16 leaves a single value a channel at the bottom.
    assert_int_equal(network_plan(network, 1, 16, 16, true, &plan), ADELE_OK);
    assert_int_equal(network_allocate(network), ADELE_OK);
    uniform_fill(plan_input(plan), plan_input_shape(plan), 1);
    assert_int_equal(plan_forward(plan, true), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "one value a channel"));
    assert_int_equal(plan_forward(plan, false), ADELE_OK);
    assert_int_equal(network_plan(network, 1, 32, 32, false, &plan), ADELE_OK);
    assert_int_equal(network_allocate(network), ADELE_OK);
    uniform_fill(plan_input(plan), plan_input_shape(plan), 1);
    assert_int_equal(plan_forward(plan, false), ADELE_OK);
    assert_int_equal(plan_backward(plan), ADELE_INVALID_ARGUMENT);
    network_destroy(network);
}

static void graphs_the_planner_cannot_serve_are_refused(void **state) {
    (void)state;
    struct graph graph;
    struct network *network;
    struct plan *plan;
    int input, conv, skip, norm, other, out;
    // A node that nobody uses.
    graph_init(&graph);
    assert_int_equal(graph_input(&graph, 1, &input), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "dead", input, 2, 1, 1, 0, 1, true, &conv), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "out", input, 2, 1, 1, 0, 1, true, &out), ADELE_OK);
    assert_int_equal(
        network_create_from_graph(&uniform_device, &graph, 0, ADELE_PRECISION_FP32, &network),
        ADELE_OK);
    assert_int_equal(network_plan(network, 1, 8, 8, true, &plan), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "dead"));
    network_destroy(network);
    // A batch norm whose residual a later node uses too: its gradient could not be added.
    graph_init(&graph);
    assert_int_equal(graph_input(&graph, 1, &input), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "conv", input, 2, 1, 1, 0, 1, true, &conv), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "skip", input, 2, 1, 1, 0, 1, true, &skip), ADELE_OK);
    assert_int_equal(graph_batch_norm(&graph, "norm", conv, skip, true, &norm), ADELE_OK);
    assert_int_equal(graph_conv2d(&graph, "late", skip, 2, 1, 1, 0, 1, true, &other), ADELE_OK);
    assert_int_equal(graph_concat(&graph, norm, other, &out), ADELE_OK);
    assert_int_equal(
        network_create_from_graph(&uniform_device, &graph, 0, ADELE_PRECISION_FP32, &network),
        ADELE_OK);
    assert_int_equal(network_plan(network, 1, 8, 8, true, &plan), ADELE_UNSUPPORTED);
    assert_int_equal(network_plan(network, 1, 8, 8, false, &plan), ADELE_OK);
    network_destroy(network);
    // Nothing to train.
    graph_init(&graph);
    assert_int_equal(graph_input(&graph, 1, &input), ADELE_OK);
    assert_int_equal(graph_max_pool(&graph, input, 2, 2, 0, &out), ADELE_OK);
    assert_int_equal(
        network_create_from_graph(&uniform_device, &graph, 0, ADELE_PRECISION_FP32, &network),
        ADELE_OK);
    assert_int_equal(network_plan(network, 1, 8, 8, true, &plan), ADELE_INVALID_ARGUMENT);
    network_destroy(network);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct network_config config = {.name = "unet", .n_channels = 1, .n_categories = 2, .width = 2};
    for (long i = 0;; i++) {
        struct network *network = NULL;
        struct plan *plan;
        memory_fail_at(i);
        adele_status status = network_create(&uniform_device, &config, &network);
        if (status == ADELE_OK)
            status = network_plan(network, 1, 16, 16, true, &plan);
        if (status == ADELE_OK)
            status = network_allocate(network);
        memory_fail_at(-1);
        network_destroy(network);
        if (status == ADELE_OK) {
            assert_true(i > 20);
            break;
        }
        assert_int_equal(status, ADELE_NO_MEMORY);
        assert_non_null(strstr(adele_error_message(), "cannot allocate"));
    }
}

static void count_line(void *context, enum log_level level, const char *line) {
    int *n_lines = context;
    assert_true(strlen(line) > 0);
    n_lines[level]++;
}

static void the_description_has_a_line_for_each_node(void **state) {
    (void)state;
    struct network_config config = {.name = "unet", .n_channels = 1, .n_categories = 2, .width = 4};
    struct network *network;
    struct plan *plan;
    assert_int_equal(network_create(&uniform_device, &config, &network), ADELE_OK);
    assert_int_equal(network_plan(network, 1, 32, 32, true, &plan), ADELE_OK);
    int n_lines[3] = {0};
    log_set_sink(count_line, n_lines);
    plan_describe(plan);
    log_set_sink(NULL, NULL);
    // A table of nodes, a table of blocks, each with its heading, and three lines of sums. All are
    // for the log, none for the terminal.
    int n_rows = network_graph(network)->n_nodes + plan->n_blocks;
    assert_int_equal(n_lines[LOG_DETAIL], n_rows + 5);
    assert_int_equal(n_lines[LOG_INFO], 0);
    network_destroy(network);
}

static void every_kind_but_the_input_has_an_op(void **state) {
    (void)state;
#define CHECK(KIND, kind)                                                                          \
    {                                                                                              \
        const struct node_traits *traits = node_traits(NODE_##KIND);                               \
        bool has_op = NODE_##KIND != NODE_INPUT;                                                   \
        assert_string_equal(node_kind_name(NODE_##KIND), #kind);                                   \
        assert_int_equal(traits->create != NULL, has_op);                                          \
        assert_int_equal(traits->bind != NULL, has_op);                                            \
        assert_int_equal(traits->forward != NULL, has_op);                                         \
        assert_int_equal(traits->backward != NULL, has_op);                                        \
    }
    NODE_KINDS(CHECK)
#undef CHECK
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_but_the_input_has_an_op),
        cmocka_unit_test(placement_is_literal_on_a_small_case),
        cmocka_unit_test(a_block_may_live_twice),
        cmocka_unit_test(unet_reuses_memory),
        cmocka_unit_test(plans_may_be_added_later),
        cmocka_unit_test(impossible_plans_are_refused),
        cmocka_unit_test(graphs_the_planner_cannot_serve_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_description_has_a_line_for_each_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
