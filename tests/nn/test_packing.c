// SPDX-License-Identifier: MIT
// Packed weights of a network: after any change of the weights no plan runs with old packed ones,
// and they are packed once per change for all plans together. The reference is the same network
// whose convolutions get no packed weights and read the plain ones.
#include "base/memory.h"
#include "nn/plan.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// bf16 and an odd width: then every device has something to pack.
#define WIDTH 5
#define SIZE  20

enum { TRAINING, SMALL, INFERENCE, N_PLANS };

static struct adele_device *device;
static struct adele_device_iface counting;
static const struct adele_device_iface *plain;
static int n_packed, n_updates;
static bool is_update_last; // of the two, what was called last

static adele_status count_pack(struct adele_op *op, const struct adele_pack_args *args) {
    n_packed++;
    is_update_last = false;
    return plain->pack_forward(op, args);
}

static adele_status count_update(struct adele_op *op, const struct adele_sgd_args *args) {
    n_updates++;
    is_update_last = true;
    return plain->sgd_forward(op, args);
}

static int n_at_begin, n_longer; // packed before a step; steps that packed more than once

static adele_status begin_step(const struct adele_device *of, int kind) {
    n_at_begin = n_packed;
    return plain->step_begin(of, kind);
}

static adele_status end_step(const struct adele_device *of, bool is_whole) {
    n_longer += n_packed - n_at_begin > 1;
    return plain->step_end(of, is_whole);
}

static void start_counting(struct adele_device *of) {
    plain = of->iface;
    counting = *plain;
    counting.pack_forward = count_pack;
    counting.sgd_forward = count_update;
    counting.step_begin = begin_step;
    counting.step_end = end_step;
    of->iface = &counting;
    n_packed = n_updates = n_longer = 0;
}

static int open_device(void **state) {
    device = devices_open_first();
    if (device == NULL)
        return -1;
    start_counting(device);
    return scratch_setup(state);
}

static int close_device(void **state) {
    adele_device_close(device);
    return scratch_teardown(state);
}

// ---- a network and its reference ----------------------------------------------------------------

struct subject {
    struct network *network;
    struct plan *plans[N_PLANS];
};

static void make_plan(struct subject *subject, int i) {
    int size = i == SMALL ? SIZE * 4 / 5 : SIZE;
    check_ok(network_plan(subject->network, 2, size, size, i != INFERENCE, &subject->plans[i]));
}

static void create(struct subject *subject) {
    struct network_config config = {.name = "unet",
                                    .n_channels = 1,
                                    .n_categories = 3,
                                    .width = WIDTH,
                                    .seed = 7,
                                    .precision = ADELE_PRECISION_BF16};
    *subject = (struct subject){0};
    check_ok(network_create(device, &config, &subject->network));
}

static int for_each_conv(struct subject *subject, bool forgets) {
    const struct graph *graph = network_graph(subject->network);
    int n = 0;
    for (int k = 0; k < N_PLANS; k++)
        for (int i = 0; i < graph->n_nodes && subject->plans[k] != NULL; i++)
            if (graph->nodes[i].kind == NODE_CONV2D) {
                struct adele_conv2d_args *args = &subject->plans[k]->steps[i].args.conv2d;
                n += args->packed_weight != NULL;
                if (forgets)
                    args->packed_weight = NULL;
            }
    return n;
}

static void create_both(struct subject *packed, struct subject *reference) {
    struct subject *both[2] = {packed, reference};
    for (int k = 0; k < 2; k++) {
        create(both[k]);
        for (int i = 0; i < N_PLANS; i++)
            make_plan(both[k], i);
        check_ok(network_allocate(both[k]->network));
    }
    assert_true(for_each_conv(packed, false) > N_PLANS);
    for_each_conv(reference, true);
}

static void fill_inputs(struct subject *subject) {
    struct arena arena;
    arena_open(&arena, device);
    for (int i = 0; i < N_PLANS; i++) {
        struct adele_shape shape = plan_input_shape(subject->plans[i]);
        float *image = arena_random(&arena, 11, shape_count(shape), -1.0, 1.0);
        check_ok(device->iface->tensor_upload(device, plan_input(subject->plans[i]), shape, image));
    }
    arena_close(&arena);
}

// The logits of every plan one behind the other, and the gradients that a fixed upstream gradient
// leaves; caller frees.
static float *outcome(struct subject *subject, size_t *n) {
    struct arena arena;
    arena_open(&arena, device);
    size_t n_weights = (size_t)network_graph(subject->network)->n_weights;
    float *all = calloc((size_t)N_PLANS * 2 * 3 * SIZE * SIZE + n_weights, sizeof *all);
    assert_non_null(all);
    *n = 0;
    fill_inputs(subject);
    check_ok(network_zero_gradients(subject->network));
    for (int i = 0; i < N_PLANS; i++) {
        struct plan *plan = subject->plans[i];
        struct adele_shape shape = plan_output_shape(plan);
        check_ok(plan_forward(plan, false));
        check_ok(device->iface->tensor_download(device, all + *n, plan_output(plan), shape));
        *n += shape_count(shape);
        if (i == INFERENCE)
            continue;
        float *d_output = arena_random(&arena, 12, shape_count(shape), -1.0, 1.0);
        check_ok(device->iface->tensor_upload(device, plan_d_output(plan), shape, d_output));
        check_ok(plan_backward(plan));
    }
    check_ok(device->iface->download(device, all + *n, network_gradients(subject->network),
                                     n_weights * sizeof *all));
    *n += n_weights;
    arena_close(&arena);
    return all;
}

// Both have the same weights, and `before` (freed here, NULL is legal) is not what they give.
static float *assert_same(const char *what, struct subject *packed, struct subject *reference,
                          float *before) {
    size_t n = 0;
    float *got = outcome(packed, &n), *want = outcome(reference, &n);
    if (!compare_bytes(what, got, want, n * sizeof *got))
        fail_msg("after %s: the packed weights are not those of the network", what);
    assert_true(before == NULL || memcmp(before, want, n * sizeof *want) != 0);
    free(before);
    free(got);
    return want;
}

// ---- every writer -------------------------------------------------------------------------------

static void upload(struct subject *subject) {
    struct arena arena;
    arena_open(&arena, device);
    size_t n = (size_t)network_graph(subject->network)->n_weights;
    float *weights = arena_random(&arena, 21, n, -0.2, 0.2);
    check_ok(device->iface->upload(device, network_writable_weights(subject->network), weights,
                                   n * sizeof *weights));
    arena_close(&arena);
}

static void update(struct subject *subject) {
    struct arena arena;
    struct train_step step;
    static uint8_t labels[2 * SIZE * SIZE];
    for (size_t i = 0; i < sizeof labels; i++)
        labels[i] = (uint8_t)(i / 5 % 3);
    arena_open(&arena, device);
    struct plan *plan = subject->plans[TRAINING];
    float *image = arena_random(&arena, 31, shape_count(plan_input_shape(plan)), -1.0, 1.0);
    train_step_create(&step, device, subject->network, plan, image, labels);
    (void)train_step_run(&step, 0.05F, 0.9F);
    train_step_destroy(&step);
    arena_close(&arena);
}

static void save(struct network *network, const char *path) {
    struct safetensors_writer *writer;
    float *keep;
    check_ok(safetensors_writer_create(&writer));
    check_ok(network_export(network, CONTENT_WEIGHTS, "model.", NULL, writer, &keep));
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    memory_free(keep);
}

static void load(struct subject *subject, const char *path, bool is_partial) {
    struct safetensors *file;
    check_ok(safetensors_open(path, &file));
    check_ok(network_import(subject->network, CONTENT_WEIGHTS, "model.", file, is_partial));
    safetensors_close(file);
}

static void nothing_runs_on_old_weights(void **state) {
    struct subject packed, reference;
    const char *path = scratch_path(state, "weights.safetensors");
    create_both(&packed, &reference);
    float *first = assert_same("initialization", &packed, &reference, NULL);
    save(packed.network, path);
    upload(&packed), upload(&reference);
    float *values = assert_same("an upload", &packed, &reference, first);
    update(&packed), update(&reference);
    values = assert_same("an update", &packed, &reference, values);
    load(&packed, path, false), load(&reference, path, false);
    values = assert_same("an import", &packed, &reference, values);
    upload(&packed), upload(&reference);
    values = assert_same("an upload", &packed, &reference, values);
    load(&packed, path, true), load(&reference, path, true);
    values = assert_same("a partial import", &packed, &reference, values);
    check_ok(network_initialize(packed.network, 8));
    check_ok(network_initialize(reference.network, 8));
    free(assert_same("another initialization", &packed, &reference, values));
    network_destroy(packed.network);
    network_destroy(reference.network);
}

// Backward without a forward of its own between: it must not meet old ones either.
static void backward_sees_changed_weights(void **state) {
    (void)state;
    struct subject both[2];
    struct arena arena;
    arena_open(&arena, device);
    create_both(&both[0], &both[1]);
    size_t n = (size_t)network_graph(both[0].network)->n_weights;
    float *gradients[2];
    for (int k = 0; k < 2; k++) {
        struct plan *plan = both[k].plans[TRAINING];
        struct adele_shape shape = plan_output_shape(plan);
        float *d_output = arena_random(&arena, 12, shape_count(shape), -1.0, 1.0);
        fill_inputs(&both[k]);
        check_ok(network_zero_gradients(both[k].network));
        check_ok(plan_forward(plan, true));
        upload(&both[k]);
        check_ok(device->iface->tensor_upload(device, plan_d_output(plan), shape, d_output));
        check_ok(plan_backward(plan));
        gradients[k] = arena_download(&arena, network_gradients(both[k].network), n);
    }
    assert_true(compare_bytes("gradients", gradients[0], gradients[1], n * sizeof(float)));
    for (int k = 0; k < 2; k++)
        network_destroy(both[k].network);
    arena_close(&arena);
}

// ---- how often, and how much --------------------------------------------------------------------

static void weights_are_packed_once_a_change(void **state) {
    (void)state;
    struct subject packed, reference;
    size_t n;
    create_both(&packed, &reference);
    n_packed = 0;
    free(outcome(&packed, &n));
    assert_int_equal(n_packed, 1);
    free(outcome(&packed, &n));
    assert_int_equal(n_packed, 1);
    update(&packed);
    assert_int_equal(n_packed, 1);
    check_ok(network_pack(packed.network));
    check_ok(network_pack(packed.network));
    assert_int_equal(n_packed, 2);
    free(outcome(&packed, &n));
    assert_int_equal(n_packed, 2);
    network_destroy(packed.network);
    network_destroy(reference.network);
}

// A plan that comes later may want more of a convolution's weights than those before.
static void later_plans_get_packed_weights(void **state) {
    (void)state;
    struct subject late, all, reference;
    create_both(&all, &reference);
    create(&late);
    make_plan(&late, INFERENCE);
    check_ok(network_allocate(late.network));
    size_t before = network_planned_bytes(late.network);
    int64_t packed_before = late.network->packing.bytes;
    check_ok(plan_forward(late.plans[INFERENCE], false));
    make_plan(&late, TRAINING);
    make_plan(&late, SMALL);
    check_ok(network_allocate(late.network));
    assert_true(network_planned_bytes(late.network) > before);
    assert_int_equal(late.network->packing.bytes, all.network->packing.bytes);
    assert_true(late.network->packing.bytes >= packed_before);
    free(assert_same("later plans", &late, &reference, NULL));
    struct plan_memory sum = {0, 0};
    for (int i = 0; i < N_PLANS; i++) {
        struct plan_memory memory = plan_memory(late.plans[i]);
        sum.activation_bytes += memory.activation_bytes;
        if (memory.shared_bytes > sum.shared_bytes)
            sum.shared_bytes = memory.shared_bytes;
    }
    assert_int_equal(network_planned_bytes(late.network),
                     sum.activation_bytes + sum.shared_bytes + (size_t)all.network->packing.bytes);
    network_destroy(late.network);
    network_destroy(all.network);
    network_destroy(reference.network);
}

static void allocation_survives_failures(void **state) {
    (void)state;
    struct subject subject;
    create(&subject);
    make_plan(&subject, TRAINING);
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; n < 100 && status != ADELE_OK; n++) {
        memory_fail_at(n);
        status = network_allocate(subject.network);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        if (status != ADELE_OK)
            assert_int_equal(plan_forward(subject.plans[TRAINING], true), ADELE_INVALID_ARGUMENT);
    }
    assert_int_equal(status, ADELE_OK);
    assert_true(n > 4); // lists, op, block
    check_ok(plan_forward(subject.plans[TRAINING], true));
    network_destroy(subject.network);
}

// ---- a training ---------------------------------------------------------------------------------

static adele_status open_counting(enum adele_precision precision, struct adele_device **out) {
    adele_status status = adele_device_open("cpu", precision, out);
    if (status == ADELE_OK)
        start_counting(*out);
    return status;
}

static bool pack_is_behind; // a step ended before its updated weights were packed

static void record_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    (void)context, (void)epoch, (void)n_epochs, (void)step, (void)n_steps;
    pack_is_behind = pack_is_behind || is_update_last;
}

// Once at the beginning and then with each update, also when evaluations run in between.
static void a_training_packs_with_each_update(void **state) {
    if (!devices_are_cpu())
        skip();
    adele_device_provide("counting", open_counting);
    struct config *config = tiny_run_config(state, SETS("train.epochs=2", "train.precision=bf16"));
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "run"),
                                      .device = "counting",
                                      .on_step = record_step};
    pack_is_behind = false;
    check_ok(trainer_run(&options, &result));
    assert_true(n_updates > 4);
    assert_int_equal(n_packed, n_updates + 1);
    assert_false(pack_is_behind);
    config_destroy(config);
    adele_device_provide("counting", NULL);
}

// Evaluations exchange the weights with their average. The step behind one has the launches of any
// other, of which a device has a record; only the first step of a run packs before its update, too.
static void no_evaluation_leaves_the_packing_to_a_step(void **state) {
    if (!devices_are_cpu())
        skip();
    adele_device_provide("counting", open_counting);
    struct config *config = tiny_run_config(
        state, SETS("train.epochs=2", "train.precision=bf16", "train.average=true"));
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "average"), .device = "counting"};
    check_ok(trainer_run(&options, &result));
    assert_true(n_updates > 4 && n_packed > n_updates + 2); // evaluations packed
    assert_int_equal(n_longer, 1);
    config_destroy(config);
    adele_device_provide("counting", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_runs_on_old_weights, open_device, close_device),
        cmocka_unit_test_setup_teardown(backward_sees_changed_weights, open_device, close_device),
        cmocka_unit_test_setup_teardown(weights_are_packed_once_a_change, open_device,
                                        close_device),
        cmocka_unit_test_setup_teardown(later_plans_get_packed_weights, open_device, close_device),
        cmocka_unit_test_setup_teardown(allocation_survives_failures, open_device, close_device),
        cmocka_unit_test_setup_teardown(a_training_packs_with_each_update, tiny_run_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(no_evaluation_leaves_the_packing_to_a_step, tiny_run_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
