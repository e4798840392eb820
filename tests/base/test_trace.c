// SPDX-License-Identifier: MIT
#include "base/trace.h"
#include "cpu/cpu.h"
#include "nn/network.h"
#include "support/networks.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// What the hook saw: names in order, and whether ranges nest properly.
static struct {
    char text[4096];
    int depth, deepest, n_pushed;
} seen;

static void see_push(const char *name) {
    size_t used = strlen(seen.text);
    snprintf(seen.text + used, sizeof seen.text - used, "%s;", name);
    seen.n_pushed++;
    seen.depth++;
    if (seen.depth > seen.deepest)
        seen.deepest = seen.depth;
}

static void see_pop(void) {
    seen.depth--;
}

static int start(void **state) {
    (void)state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

static int stop(void **state) {
    (void)state;
    trace_to(NULL, NULL);
    return 0;
}

static void without_a_hook_nothing_happens(void **state) {
    (void)state;
    trace_push("%s", "unseen");
    trace_pop();
    assert_int_equal(seen.n_pushed, 0);
}

static void names_are_formatted_and_cut(void **state) {
    (void)state;
    char longer[301];
    memset(longer, 'a', 300);
    longer[300] = '\0';
    trace_to(see_push, see_pop);
    trace_push("%s %d", "layer", 7);
    trace_pop();
    assert_string_equal(seen.text, "layer 7;");
    trace_push("%s", longer);
    trace_pop();
    assert_int_equal(strlen(seen.text), strlen("layer 7;") + 200 + 1);
    assert_int_equal(seen.depth, 0);
}

static void every_op_of_a_plan_is_named(void **state) {
    (void)state;
    struct adele_device *device = NULL;
    struct network *network = NULL;
    struct plan *plan = NULL;
    struct graph graph;
    int node;
    graph_init(&graph);
    check_ok(graph_input(&graph, 1, &node));
    check_ok(graph_conv2d(&graph, "first", node, 4, 3, 1, 1, 1, true, &node));
    check_ok(graph_batch_norm(&graph, "norm", node, -1, true, &node));
    check_ok(cpu_device_create(ADELE_PRECISION_FP32, &device));
    check_ok(network_create_from_graph(device, &graph, 0, ADELE_PRECISION_FP32, &network));
    graph_deinit(&graph);
    check_ok(network_plan(network, 1, 6, 6, true, &plan));
    check_ok(network_allocate(network));
    trace_to(see_push, see_pop);
    check_ok(plan_forward(plan, true));
    check_ok(plan_backward(plan));
    assert_non_null(strstr(seen.text, "first forward;norm forward;"));
    assert_non_null(strstr(seen.text, "norm backward;first backward;"));
    assert_int_equal(seen.depth, 0);
    assert_int_equal(seen.deepest, 1);
    network_destroy(network);
    adele_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_hook_nothing_happens, start, stop),
        cmocka_unit_test_setup_teardown(names_are_formatted_and_cut, start, stop),
        cmocka_unit_test_setup_teardown(every_op_of_a_plan_is_named, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
