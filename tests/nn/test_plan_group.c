// SPDX-License-Identifier: MIT
// Groups of plans, on a CPU that has an op for a convolution at several scales: what runs together
// has the same bytes as plans that take turns, in memory that does not overlap.
#include "nn/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/trace.h"
#include "nn/memory_check.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/plan_overlap.h"
#include "support/scales_device.h"
#include "support/train_step.h"

// ---- networks -----------------------------------------------------------------------------------

#define MOST_PLANS 3
static const struct plan_extent sizes[MOST_PLANS] = {{48, 32}, {33, 22}, {72, 48}};

struct subject {
    struct arena arena;
    struct network *network;
    struct plan *plans[MOST_PLANS];
    struct plan_group *group;
    int n;
};

static void make_plans(struct subject *s, int n_images) {
    for (int k = 0; k < s->n; k++)
        check_ok(network_plan(s->network, n_images, sizes[k].h, sizes[k].w, true, &s->plans[k]));
    check_ok(network_group(s->network, s->n, s->plans, &s->group));
}

enum device_kind { TURNS, TOGETHER, SOME_TOGETHER }; // of a device: how its groups run

static void subject_open(struct subject *s, const struct network_config *config, int n,
                         enum device_kind kind) {
    struct adele_device *device = NULL;
    scales_device_leaves_out = kind == SOME_TOGETHER;
    check_ok(kind == TURNS ? adele_device_open("cpu", ADELE_PRECISION_FP32, &device)
                           : scales_device_open(ADELE_PRECISION_FP32, &device));
    arena_open(&s->arena, device);
    check_ok(network_create(device, config, &s->network));
    s->n = n;
    make_plans(s, 2);
}

static void subject_close(struct subject *s) {
    struct adele_device *device = (struct adele_device *)(uintptr_t)s->arena.device;
    network_destroy(s->network);
    arena_close(&s->arena);
    adele_device_close(device);
    assert_int_equal(scales_device.n_ops, 0);
}

static void upload(struct subject *s, uint32_t seed, void *tensor, struct adele_shape shape) {
    const struct adele_device *device = s->arena.device;
    float *values = arena_random(&s->arena, seed, shape_count(shape), -1.0, 1.0);
    check_ok(device->iface->tensor_upload(device, tensor, shape, values));
}

static void upload_all(struct subject *s, bool is_input) {
    for (int k = 0; k < s->n; k++) {
        struct plan *plan = s->plans[k];
        if (is_input)
            upload(s, (uint32_t)k, plan_input(plan), plan_input_shape(plan));
        else
            upload(s, 10 + (uint32_t)k, plan_d_output(plan), plan_output_shape(plan));
    }
}

// Whatever the shared region holds at first, no number of it counts.
static void forward_and_backward(struct subject *s) {
    const struct adele_device *device = s->arena.device;
    check_ok(device->iface->fill(device, s->network->shared, 0xff, s->network->shared_bytes));
    upload_all(s, true);
    check_ok(network_zero_gradients(s->network));
    check_ok(plan_group_forward(s->group, true));
    upload_all(s, false);
    check_ok(plan_group_backward(s->group));
}

// Outputs, gradients and running statistics are the same.
static void run_both(struct subject *a, struct subject *b) {
    forward_and_backward(a);
    forward_and_backward(b);
    const struct graph *graph = network_graph(a->network);
    for (int k = 0; k < a->n; k++)
        assert_true(compare_bytes(
            "output", plan_output(a->plans[k]), plan_output(b->plans[k]),
            a->arena.device->iface->tensor_bytes(a->arena.device, plan_output_shape(a->plans[k]))));
    assert_true(compare_bytes("gradients", network_gradients(a->network),
                              network_gradients(b->network),
                              (size_t)graph->n_weights * sizeof(float)));
    assert_true(compare_bytes("running statistics", network_buffers(a->network),
                              network_buffers(b->network),
                              (size_t)graph->n_buffers * sizeof(float)));
}

static int n_convolutions(const struct network *network) {
    const struct graph *graph = network_graph(network);
    int n = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        n += graph->nodes[i].kind == NODE_CONV2D;
    return n;
}

// Of 9 channels, which fill no block, most concats copy; of 16 none does.
static const struct network_config configs[] = {
    {.name = "unet", .n_channels = 1, .n_categories = 3, .width = 9},
    {.name = "unet", .n_channels = 1, .n_categories = 3, .width = 16},
    {.name = "deeplabv2", .n_channels = 3, .n_categories = 3, .width = 2},
    {.name = "deeplabv3",
     .backbone = "resnet50",
     .n_channels = 3,
     .n_categories = 3,
     .width = 4,
     .is_frozen = true},
};
enum { N_CONFIGS = sizeof configs / sizeof configs[0] };

// The ops' workspace begins behind the plans' parts of the shared region, and ends with it.
static void assert_workspace_is_behind(const struct subject *s) {
    const char *shared = s->network->shared;
    for (int k = 0; k < s->n; k++) {
        const struct plan *plan = s->plans[k];
        plan_assert_no_overlap(plan);
        assert_true(shared + plan->shared_first + plan->memory.shared_bytes <=
                    scales_device.workspace_first);
    }
    assert_true(scales_device.workspace_end == shared + s->network->shared_bytes);
}

// Each group twice, because running statistics and what is left in memory differ then.
static void the_bytes_are_those_of_turns(void **state) {
    (void)state;
    for (int i = 0; i < N_CONFIGS; i++)
        for (int n = 2; n <= MOST_PLANS; n++) {
            struct subject turns, all;
            subject_open(&turns, &configs[i], n, TURNS);
            subject_open(&all, &configs[i], n, n == 3 ? SOME_TOGETHER : TOGETHER);
            check_ok(network_allocate(turns.network));
            check_ok(network_allocate(all.network));
            for (int pass = 0; pass < 2; pass++)
                run_both(&all, &turns);
            const int n_all = n_convolutions(all.network);
            const int n_ops = scales_device_leaves_out ? (n_all + 1) / 2 : n_all;
            assert_int_equal(scales_device.n_created, n_all);
            assert_int_equal(scales_device.n_ops, n_ops);
            assert_int_equal(scales_device.n_forward, 2 * n_ops);
            assert_true(scales_device.n_backward > n_ops && scales_device.n_backward <= 2 * n_ops);
            assert_workspace_is_behind(&all);
            subject_close(&all);
            subject_close(&turns);
        }
}

// One plan, or a device without such an op: nothing changes.
static void there_may_be_nothing_to_run_together(void **state) {
    (void)state;
    struct subject turns, one;
    subject_open(&turns, &configs[0], MOST_PLANS, TURNS);
    subject_open(&one, &configs[0], 1, TOGETHER);
    assert_int_equal(scales_device.n_created, 0);
    check_ok(network_allocate(one.network));
    forward_and_backward(&one);
    assert_int_equal(scales_device.n_forward + scales_device.n_backward, 0);
    size_t shared = 0, own = 0;
    for (int k = 0; k < MOST_PLANS; k++) {
        const struct plan_memory memory = plan_memory(turns.plans[k]);
        shared = memory.shared_bytes > shared ? memory.shared_bytes : shared;
        own += memory.activation_bytes;
    }
    assert_int_equal(network_planned_bytes(turns.network) - (size_t)packing_bytes(turns.network),
                     shared + own);
    subject_close(&turns);
    subject_close(&one);
}

// Own parts of the shared region for each plan, and the workspace behind them; what is measured
// before is what is taken.
static void memory_is_that_of_all_plans(void **state) {
    (void)state;
    struct subject all;
    struct plan_memory measured;
    subject_open(&all, &configs[0], MOST_PLANS, TOGETHER);
    size_t shared = 0, own = 0;
    for (int k = 0; k < MOST_PLANS; k++) {
        const struct plan_memory memory = plan_memory(all.plans[k]);
        assert_int_equal(all.plans[k]->shared_first, shared);
        shared += memory.shared_bytes;
        own += memory.activation_bytes;
    }
    const size_t workspace = scales_device_workspace_bytes();
    assert_int_equal(network_planned_bytes(all.network) - (size_t)packing_bytes(all.network),
                     shared + workspace + own);
    const int n_ops = scales_device.n_ops;
    check_ok(network_measure(all.network, 2, MOST_PLANS, sizes, true, &measured));
    assert_int_equal(scales_device.n_ops, n_ops);
    assert_int_equal(measured.shared_bytes, shared + workspace);
    assert_int_equal(measured.activation_bytes, own);
    check_ok(network_measure(all.network, 2, MOST_PLANS, sizes, false, &measured));
    assert_true(measured.shared_bytes < shared / 2);
    check_ok(network_allocate(all.network));
    assert_int_equal(network_allocated_bytes(all.network), network_planned_bytes(all.network));
    subject_close(&all);
}

static void use_plans(struct subject *s, const struct subject *of) {
    memcpy(s->plans, of->plans, sizeof s->plans);
    s->group = of->group;
}

// The plans of a step's batches and of the smaller one at the end of an epoch: their groups use one
// region in turn.
static void two_groups_take_turns(void **state) {
    (void)state;
    struct subject turns, all;
    subject_open(&turns, &configs[0], 2, TURNS);
    subject_open(&all, &configs[0], 2, TOGETHER);
    const struct subject turns_of_two = turns, all_of_two = all;
    make_plans(&turns, 1);
    make_plans(&all, 1);
    const struct subject turns_of_one = turns, all_of_one = all;
    check_ok(network_allocate(turns.network));
    check_ok(network_allocate(all.network));
    assert_true(turns_of_one.group->shared_bytes < all_of_one.group->shared_bytes);
    assert_true(all_of_one.group->shared_bytes < all_of_two.group->shared_bytes);
    assert_int_equal(all.network->shared_bytes, all_of_two.group->shared_bytes);
    for (int pass = 0; pass < 4; pass++) {
        use_plans(&turns, pass % 2 == 0 ? &turns_of_one : &turns_of_two);
        use_plans(&all, pass % 2 == 0 ? &all_of_one : &all_of_two);
        run_both(&all, &turns);
    }
    subject_close(&all);
    subject_close(&turns);
}

static void dropped_groups_can_be_made_again(void **state) {
    (void)state;
    struct subject turns, all;
    subject_open(&turns, &configs[0], 2, TURNS);
    subject_open(&all, &configs[0], 2, TOGETHER);
    const size_t bytes = network_planned_bytes(all.network);
    check_ok(network_allocate(all.network));
    check_ok(network_drop_plans(all.network));
    assert_int_equal(scales_device.n_ops, 0);
    assert_int_equal(network_planned_bytes(all.network), 0);
    make_plans(&all, 2);
    assert_int_equal(network_planned_bytes(all.network), bytes);
    check_ok(network_allocate(all.network));
    check_ok(network_allocate(turns.network));
    run_both(&all, &turns);
    subject_close(&all);
    subject_close(&turns);
}

// ---- whether a batch fits -----------------------------------------------------------------------

static size_t limited_bytes;

static size_t limited_free_bytes(const struct adele_device *device) {
    (void)device;
    return limited_bytes;
}

// A smaller batch is measured as a group too, so that the batch that is named does fit.
static void the_largest_batch_is_that_of_groups(void **state) {
    (void)state;
    struct subject s;
    struct plan_memory measured;
    subject_open(&s, &configs[0], MOST_PLANS, TOGETHER);
    struct adele_device *device = s.arena.device;
    const struct adele_device_iface *iface = device->iface;
    struct adele_device_iface limited = *iface;
    limited.free_bytes = limited_free_bytes;
    const struct memory_request request = {.device = device,
                                           .network = s.network,
                                           .plans = s.plans,
                                           .n_plans = s.n,
                                           .is_training = true,
                                           .batch_hint = "",
                                           .single_hint = ""};
    const size_t needed = network_planned_bytes(s.network);
    check_ok(network_measure(s.network, 2, s.n, sizes, true, &measured));
    const size_t of_two = measured.activation_bytes + measured.shared_bytes;
    check_ok(network_measure(s.network, 1, s.n, sizes, true, &measured));
    const size_t of_one = measured.activation_bytes + measured.shared_bytes;
    device->iface = &limited;
    limited_bytes = needed;
    check_ok(memory_check(&request));
    limited_bytes = needed - of_two + of_one;
    assert_int_equal(memory_check(&request), ADELE_NO_MEMORY);
    assert_non_null(strstr(adele_error_message(), "the largest batch that fits is 1"));
    limited_bytes--;
    assert_int_equal(memory_check(&request), ADELE_NO_MEMORY);
    assert_null(strstr(adele_error_message(), "the largest batch that fits"));
    device->iface = iface;
    subject_close(&s);
}

// ---- after each node ----------------------------------------------------------------------------

struct watch {
    struct subject *subject;
    float *complete; // gradients as they were when their node was reported
    int last;
};

static adele_status after_node(void *context, int i_node) {
    struct watch *watch = context;
    const struct graph *graph = network_graph(watch->subject->network);
    int trained[NODE_MAX_TRAINED], n = node_trained(&graph->nodes[i_node], trained);
    assert_int_equal(i_node, --watch->last);
    for (int i = 0; i < n; i++) {
        const struct parameter *parameter = &graph->parameters[trained[i]];
        memcpy(watch->complete + parameter->offset,
               network_gradients(watch->subject->network) + parameter->offset,
               (size_t)parameter->count * sizeof(float));
    }
    return ADELE_OK;
}

static void gradients_are_complete_when_told(void **state) {
    (void)state;
    for (enum device_kind kind = TURNS; kind <= SOME_TOGETHER; kind++) {
        struct subject s;
        subject_open(&s, &configs[0], MOST_PLANS, kind);
        check_ok(network_allocate(s.network));
        const struct graph *graph = network_graph(s.network);
        struct watch watch = {&s, NULL, graph->n_nodes};
        check_ok(ALLOCATE(&watch.complete, (size_t)graph->n_weights));
        upload_all(&s, true);
        check_ok(network_zero_gradients(s.network));
        check_ok(plan_group_forward(s.group, true));
        upload_all(&s, false);
        check_ok(plan_group_backward_observed(s.group, after_node, &watch));
        assert_int_equal(watch.last, 0);
        assert_true(compare_bytes("gradients", network_gradients(s.network), watch.complete,
                                  (size_t)graph->n_weights * sizeof(float)));
        memory_free(watch.complete);
        subject_close(&s);
    }
}

// ---- names --------------------------------------------------------------------------------------

static const char *traced_name; // "NODE forward"
static int n_traced, trace_depth;

static void see_push(const char *name) {
    n_traced += strcmp(name, traced_name) == 0;
    trace_depth++;
}

static void see_pop(void) {
    trace_depth--;
}

static int count_traced(struct subject *s, const char *name) {
    traced_name = name;
    n_traced = trace_depth = 0;
    trace_to(see_push, see_pop);
    forward_and_backward(s);
    trace_to(NULL, NULL);
    assert_int_equal(trace_depth, 0);
    return n_traced;
}

// A convolution at all scales is one range of a trace, other nodes are one for each plan.
static void ops_of_all_plans_are_traced_once(void **state) {
    (void)state;
    struct subject s;
    subject_open(&s, &configs[0], MOST_PLANS, TOGETHER);
    check_ok(network_allocate(s.network));
    assert_int_equal(count_traced(&s, "inc.double_conv.0 forward"), 1);
    assert_int_equal(count_traced(&s, "inc.double_conv.0 backward"), 1);
    assert_int_equal(count_traced(&s, "inc.double_conv.1 forward"), MOST_PLANS);
    assert_int_equal(count_traced(&s, "inc.double_conv.1 backward"), MOST_PLANS);
    subject_close(&s);
}

// ---- failures -----------------------------------------------------------------------------------

static void a_group_that_cannot_be_is_refused(void **state) {
    (void)state;
    struct subject s, other;
    struct plan *smaller, *inference, *foreign, *larger[ADELE_MAX_SCALES + 1];
    struct plan_group *group = NULL;
    subject_open(&other, &configs[0], 1, TURNS);
    subject_open(&s, &configs[0], 2, TOGETHER);
    check_ok(network_plan(other.network, 2, 48, 32, true, &foreign));
    check_ok(network_plan(s.network, 1, 48, 32, true, &smaller));
    check_ok(network_plan(s.network, 2, 48, 32, false, &inference));
    assert_int_equal(network_group(s.network, 2, s.plans, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_group(s.network, 0, &smaller, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_group(s.network, 1, &inference, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_group(s.network, 1, &foreign, &group), ADELE_INVALID_ARGUMENT);
    for (int k = 0; k <= ADELE_MAX_SCALES; k++)
        check_ok(network_plan(s.network, 2, 48, 32, true, &larger[k]));
    assert_int_equal(network_group(s.network, ADELE_MAX_SCALES + 1, larger, &group),
                     ADELE_INVALID_ARGUMENT);
    struct plan *const of_two_batches[] = {smaller, larger[0]}, *const twice[] = {smaller, smaller};
    assert_int_equal(network_group(s.network, 2, of_two_batches, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_group(s.network, 2, twice, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(plan_group_forward(s.group, true), ADELE_INVALID_ARGUMENT); // no memory yet
    check_ok(network_allocate(s.network));
    assert_int_equal(plan_group_backward(s.group), ADELE_INVALID_ARGUMENT); // no forward yet
    subject_close(&s);
    subject_close(&other);
}

// The plans that had memory before they became a group have to get it anew.
static void a_group_moves_its_plans(void **state) {
    (void)state;
    struct subject turns, all;
    subject_open(&turns, &configs[0], 2, TURNS);
    subject_open(&all, &configs[0], 1, TOGETHER); // its own plan is left out
    all.n = 2;
    for (int k = 0; k < all.n; k++)
        check_ok(network_plan(all.network, 2, sizes[k].h, sizes[k].w, true, &all.plans[k]));
    check_ok(network_allocate(all.network));
    check_ok(network_group(all.network, all.n, all.plans, &all.group));
    assert_null(plan_input(all.plans[1]));
    assert_int_equal(plan_group_forward(all.group, true), ADELE_INVALID_ARGUMENT);
    check_ok(network_allocate(all.network));
    check_ok(network_allocate(turns.network));
    run_both(&all, &turns);
    subject_close(&all);
    subject_close(&turns);
}

// The node is named, and backward does not run on half a forward.
static void an_op_that_fails_is_named(void **state) {
    (void)state;
    struct subject s;
    subject_open(&s, &configs[0], 2, TOGETHER);
    check_ok(network_allocate(s.network));
    forward_and_backward(&s);
    scales_device.i_failing_forward = scales_device.n_forward + 2;
    assert_int_equal(plan_group_forward(s.group, true), ADELE_DEVICE);
    assert_non_null(strstr(adele_error_message(), "forward of inc.double_conv.3"));
    assert_int_equal(plan_group_backward(s.group), ADELE_INVALID_ARGUMENT);
    check_ok(plan_group_forward(s.group, true));
    scales_device.i_failing_backward = scales_device.n_backward + 1;
    assert_int_equal(plan_group_backward(s.group), ADELE_DEVICE);
    assert_non_null(strstr(adele_error_message(), "backward of outc.conv"));
    subject_close(&s);
}

static void a_failure_leaves_no_group(void **state) {
    (void)state;
    struct subject s;
    struct plan *plans[2];
    struct plan_group *group = NULL;
    subject_open(&s, &configs[0], 1, TOGETHER);
    for (int k = 0; k < 2; k++)
        check_ok(network_plan(s.network, 2, sizes[k].h, sizes[k].w, true, &plans[k]));
    scales_device.i_failing_create = 3; // op
    assert_int_equal(network_group(s.network, 2, plans, &group), ADELE_NO_MEMORY);
    assert_int_equal(scales_device.n_ops, 0);
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK; n++) {
        assert_true(n < 1000);
        memory_fail_at(n);
        status = network_group(s.network, 2, plans, &group);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
    }
    assert_true(n > 20); // the list, the group, its ops
    check_ok(network_allocate(s.network));
    check_ok(plan_group_forward(group, true));
    subject_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_turns),
        cmocka_unit_test(there_may_be_nothing_to_run_together),
        cmocka_unit_test(memory_is_that_of_all_plans),
        cmocka_unit_test(two_groups_take_turns),
        cmocka_unit_test(dropped_groups_can_be_made_again),
        cmocka_unit_test(the_largest_batch_is_that_of_groups),
        cmocka_unit_test(gradients_are_complete_when_told),
        cmocka_unit_test(ops_of_all_plans_are_traced_once),
        cmocka_unit_test(a_group_that_cannot_be_is_refused),
        cmocka_unit_test(a_group_moves_its_plans),
        cmocka_unit_test(an_op_that_fails_is_named),
        cmocka_unit_test(a_failure_leaves_no_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
