// SPDX-License-Identifier: MIT
// Groups of plans, on a CPU that has an op for a convolution at several scales: what runs together
// has the same bytes as plans that take turns, in memory that does not overlap.
#include "nn/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fail.h"
#include "base/memory.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

// ---- the device ---------------------------------------------------------------------------------

#define WORKSPACE_BYTES 5000 // of each op for all scales

struct scales_op {
    struct adele_op op;
    int n;
    struct adele_op *ops[ADELE_MAX_SCALES];
};

#define MOST_OPS 512
static struct {
    struct adele_device_iface iface;
    void (*destroy_of_cpu)(struct adele_op *op);
    struct scales_op *ops[MOST_OPS]; // that are alive
    int n_ops;
    int n_created, n_forward, n_backward; // calls
    int i_failing;                        // of the calls of create; 0: none
    bool leaves_out;                      // every other convolution has no such op
} together;

static adele_status scales_create(const struct adele_device *device, int n,
                                  struct adele_op *const *ops, struct adele_op **out) {
    struct scales_op *self = NULL;
    *out = NULL;
    if (++together.n_created == together.i_failing)
        return FAIL_NO_MEMORY(sizeof *self);
    if (together.leaves_out && together.n_created % 2 == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&self, 1));
    self->op.device = device;
    self->op.workspace_bytes = WORKSPACE_BYTES;
    self->n = n;
    for (int i = 0; i < n; i++)
        self->ops[i] = ops[i];
    assert_true(together.n_ops < MOST_OPS);
    together.ops[together.n_ops++] = self;
    *out = &self->op;
    return ADELE_OK;
}

static adele_status scales_forward(struct adele_op *op, const struct adele_conv2d_args *const *args,
                                   void *workspace) {
    struct scales_op *self = (struct scales_op *)op;
    together.n_forward++;
    memset(workspace, 0xff, WORKSPACE_BYTES);
    for (int i = 0; i < self->n; i++)
        TRY(op->device->iface->conv2d_forward(self->ops[i], args[i]));
    memset(workspace, 0xff, WORKSPACE_BYTES);
    return ADELE_OK;
}

static adele_status scales_backward(struct adele_op *op,
                                    const struct adele_conv2d_args *const *args, void *workspace) {
    struct scales_op *self = (struct scales_op *)op;
    together.n_backward++;
    memset(workspace, 0xff, WORKSPACE_BYTES);
    for (int i = 0; i < self->n; i++)
        TRY(op->device->iface->conv2d_backward(self->ops[i], args[i]));
    memset(workspace, 0xff, WORKSPACE_BYTES);
    return ADELE_OK;
}

// An op for all scales is destroyed before those that it borrows.
static void op_destroy(struct adele_op *op) {
    for (int i = 0; i < together.n_ops; i++) {
        for (int k = 0; k < together.ops[i]->n; k++)
            assert_true(op == NULL || op != together.ops[i]->ops[k]);
        if (op == &together.ops[i]->op) {
            together.ops[i] = together.ops[--together.n_ops];
            memory_free(op);
            return;
        }
    }
    together.destroy_of_cpu(op);
}

static adele_status open_together(enum adele_precision precision, struct adele_device **out) {
    TRY(adele_device_open("cpu", precision, out));
    together.iface = *(*out)->iface;
    together.destroy_of_cpu = together.iface.op_destroy;
    together.iface.op_destroy = op_destroy;
    together.iface.conv2d_scales_create = scales_create;
    together.iface.conv2d_scales_forward = scales_forward;
    together.iface.conv2d_scales_backward = scales_backward;
    together.n_created = together.n_forward = together.n_backward = together.i_failing = 0;
    (*out)->iface = &together.iface;
    return ADELE_OK;
}

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

static void subject_open(struct subject *s, const struct network_config *config, int n,
                         bool is_together) {
    struct adele_device *device = NULL;
    check_ok(is_together ? open_together(ADELE_PRECISION_FP32, &device)
                         : adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    arena_open(&s->arena, device);
    check_ok(network_create(device, config, &s->network));
    s->n = n;
    for (int k = 0; k < n; k++)
        check_ok(network_plan(s->network, 2, sizes[k].h, sizes[k].w, true, &s->plans[k]));
    check_ok(network_group(s->network, n, s->plans, &s->group));
}

static void subject_close(struct subject *s) {
    struct adele_device *device = (struct adele_device *)(uintptr_t)s->arena.device;
    network_destroy(s->network);
    arena_close(&s->arena);
    adele_device_close(device);
    assert_int_equal(together.n_ops, 0);
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

static void forward_and_backward(struct subject *s) {
    upload_all(s, true);
    check_ok(network_zero_gradients(s->network));
    check_ok(plan_group_forward(s->group, true));
    upload_all(s, false);
    check_ok(plan_group_backward(s->group));
}

static void assert_same_bytes(struct subject *a, struct subject *b) {
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

// Each group twice, because running statistics and what is left in memory differ then.
static void the_bytes_are_those_of_turns(void **state) {
    (void)state;
    for (int i = 0; i < N_CONFIGS; i++)
        for (int n = 2; n <= MOST_PLANS; n++) {
            struct subject turns, all;
            together.leaves_out = n == 3;
            subject_open(&turns, &configs[i], n, false);
            subject_open(&all, &configs[i], n, true);
            check_ok(network_allocate(turns.network));
            check_ok(network_allocate(all.network));
            for (int pass = 0; pass < 2; pass++) {
                forward_and_backward(&turns);
                forward_and_backward(&all);
                assert_same_bytes(&all, &turns);
            }
            const int n_all = n_convolutions(all.network);
            const int n_ops = together.leaves_out ? (n_all + 1) / 2 : n_all;
            assert_int_equal(together.n_created, n_all);
            assert_int_equal(together.n_ops, n_ops);
            assert_int_equal(together.n_forward, 2 * n_ops);
            assert_true(together.n_backward > n_ops && together.n_backward <= 2 * n_ops);
            subject_close(&all);
            subject_close(&turns);
        }
}

// One plan, or a device without such an op: nothing changes.
static void there_may_be_nothing_to_run_together(void **state) {
    (void)state;
    struct subject turns, one;
    together.leaves_out = false;
    subject_open(&turns, &configs[0], MOST_PLANS, false);
    subject_open(&one, &configs[0], 1, true);
    assert_int_equal(together.n_created, 0);
    check_ok(network_allocate(one.network));
    forward_and_backward(&one);
    assert_int_equal(together.n_forward + together.n_backward, 0);
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
    together.leaves_out = false;
    subject_open(&all, &configs[0], MOST_PLANS, true);
    size_t shared = 0, own = 0;
    for (int k = 0; k < MOST_PLANS; k++) {
        const struct plan_memory memory = plan_memory(all.plans[k]);
        assert_int_equal(all.plans[k]->shared_first, shared);
        shared += memory.shared_bytes;
        own += memory.activation_bytes;
    }
    assert_int_equal(network_planned_bytes(all.network) - (size_t)packing_bytes(all.network),
                     shared + WORKSPACE_BYTES + own);
    int n_ops = together.n_ops;
    check_ok(network_measure(all.network, 2, MOST_PLANS, sizes, true, &measured));
    assert_int_equal(together.n_ops, n_ops);
    assert_int_equal(measured.shared_bytes, shared + WORKSPACE_BYTES);
    assert_int_equal(measured.activation_bytes, own);
    check_ok(network_measure(all.network, 2, MOST_PLANS, sizes, false, &measured));
    assert_true(measured.shared_bytes < shared / 2);
    check_ok(network_allocate(all.network));
    assert_int_equal(network_allocated_bytes(all.network), network_planned_bytes(all.network));
    check_ok(network_drop_plans(all.network));
    assert_int_equal(together.n_ops, 0);
    subject_close(&all);
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
    for (int is_together = 0; is_together < 2; is_together++) {
        struct subject s;
        together.leaves_out = true;
        subject_open(&s, &configs[0], MOST_PLANS, is_together == 1);
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

// ---- failures -----------------------------------------------------------------------------------

static void a_group_that_cannot_be_is_refused(void **state) {
    (void)state;
    struct subject s;
    struct plan *smaller, *inference;
    struct plan_group *group = NULL;
    together.leaves_out = false;
    subject_open(&s, &configs[0], 2, true);
    check_ok(network_plan(s.network, 1, 48, 32, true, &smaller));
    check_ok(network_plan(s.network, 2, 48, 32, false, &inference));
    assert_int_equal(network_group(s.network, 2, s.plans, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_group(s.network, 0, &smaller, &group), ADELE_INVALID_ARGUMENT);
    assert_int_equal(network_group(s.network, 1, &inference, &group), ADELE_INVALID_ARGUMENT);
    struct plan *larger;
    check_ok(network_plan(s.network, 2, 48, 32, true, &larger));
    assert_int_equal(network_group(s.network, 2, (struct plan *[]){smaller, larger}, &group),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(plan_group_forward(s.group, true), ADELE_INVALID_ARGUMENT); // no memory yet
    check_ok(network_allocate(s.network));
    assert_int_equal(plan_group_backward(s.group), ADELE_INVALID_ARGUMENT); // no forward yet
    subject_close(&s);
}

static void a_failure_leaves_no_group(void **state) {
    (void)state;
    struct subject s;
    struct plan *plans[2];
    struct plan_group *group = NULL;
    together.leaves_out = false;
    subject_open(&s, &configs[0], 1, true);
    for (int k = 0; k < 2; k++)
        check_ok(network_plan(s.network, 2, sizes[k].h, sizes[k].w, true, &plans[k]));
    together.i_failing = 3; // op
    assert_int_equal(network_group(s.network, 2, plans, &group), ADELE_NO_MEMORY);
    assert_int_equal(together.n_ops, 0);
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

// ---- a training ---------------------------------------------------------------------------------

static void train(void **state, const char *name, const char *device) {
    struct config *config = tiny_run_config(
        state, SETS("train.epochs=2", "train.batch=4", "loss.form=official",
                    "loss.scales=[1.0, 0.7, 1.5]", "loss.lambda=1", "train.parts=2"));
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, name), .device = device};
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
}

// Over parts of a batch, and a last batch that has plans of its own.
static void a_training_has_the_same_weights(void **state) {
    together.leaves_out = false;
    adele_device_provide("together", open_together);
    train(state, "turns", "cpu");
    train(state, "together", "together");
    adele_device_provide("together", NULL);
    assert_true(together.n_forward > 0 && together.n_backward > 0);
    assert_int_equal(together.n_ops, 0);
    struct safetensors *a = tiny_run_open(state, "turns/checkpoints/last.safetensors");
    struct safetensors *b = tiny_run_open(state, "together/checkpoints/last.safetensors");
    assert_int_equal(safetensors_count(a), safetensors_count(b));
    for (int i = 0; i < safetensors_count(a); i++) {
        const struct safetensors_entry *entry = safetensors_at(a, i);
        const struct safetensors_entry *other = safetensors_find(b, entry->name);
        assert_non_null(other);
        assert_int_equal(entry->bytes, other->bytes);
        assert_true(compare_bytes(entry->name, entry->data, other->data, entry->bytes));
    }
    safetensors_close(a);
    safetensors_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_turns),
        cmocka_unit_test(there_may_be_nothing_to_run_together),
        cmocka_unit_test(memory_is_that_of_all_plans),
        cmocka_unit_test(gradients_are_complete_when_told),
        cmocka_unit_test(a_group_that_cannot_be_is_refused),
        cmocka_unit_test(a_failure_leaves_no_group),
        cmocka_unit_test(a_training_has_the_same_weights),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
