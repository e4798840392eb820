// SPDX-License-Identifier: MIT
// Outputs of batch norms that are computed again during backward, on a device that does so: the
// same bytes as with outputs that are kept, in less memory.
#include "nn/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/compare.h"
#include "support/devices.h"
#include "support/train_step.h"

// A network with one training plan, whose input and output gradient are random.
struct fixture {
    struct arena arena;
    struct network *network;
    struct plan *plan;
};

static void upload(struct fixture *f, uint32_t seed, void *tensor, struct adele_shape shape) {
    const struct adele_device *device = f->arena.device;
    float *values = arena_random(&f->arena, seed, shape_count(shape), -1.0, 1.0);
    check_ok(device->iface->tensor_upload(device, tensor, shape, values));
}

static void fixture_open(struct fixture *f, int width, bool keeps_outputs) {
    struct network_config config = {
        .name = "unet", .n_channels = 1, .n_categories = 3, .width = width};
    struct adele_device *device = NULL;
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    arena_open(&f->arena, device);
    check_ok(network_create(device, &config, &f->network));
    f->network->keeps_outputs = keeps_outputs;
    check_ok(network_plan(f->network, 2, 48, 32, true, &f->plan));
    check_ok(network_allocate(f->network));
    upload(f, 1, plan_input(f->plan), plan_input_shape(f->plan));
    check_ok(network_zero_gradients(f->network));
}

static void fixture_close(struct fixture *f) {
    struct adele_device *device = (struct adele_device *)(uintptr_t)f->arena.device;
    network_destroy(f->network);
    arena_close(&f->arena);
    adele_device_close(device);
}

static void step(struct fixture *f, bool use_batch_statistics, int n_backwards) {
    check_ok(plan_forward(f->plan, use_batch_statistics));
    upload(f, 2, plan_d_output(f->plan), plan_output_shape(f->plan));
    for (int i = 0; i < n_backwards; i++)
        check_ok(plan_backward(f->plan));
}

// Of 9 channels, which fill no block, most concats copy; of 16 none does.
static const int widths[] = {9, 16};

// With the statistics of the batch, with running ones, and backward twice behind one forward.
static void the_bytes_are_the_same(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture kept, again;
        fixture_open(&kept, widths[i], true);
        fixture_open(&again, widths[i], false);
        for (int k = 0; k < 3; k++) {
            step(&kept, k != 1, 1 + k / 2);
            step(&again, k != 1, 1 + k / 2);
        }
        const struct graph *graph = network_graph(kept.network);
        assert_true(compare_bytes("gradients", network_gradients(again.network),
                                  network_gradients(kept.network),
                                  (size_t)graph->n_weights * sizeof(float)));
        assert_true(compare_bytes("running statistics", network_buffers(again.network),
                                  network_buffers(kept.network),
                                  (size_t)graph->n_buffers * sizeof(float)));
        fixture_close(&kept);
        fixture_close(&again);
    }
}

// The batch norms of a U-Net give up their outputs, but for those that write into a concat's
// memory.
static void memory_is_given_up(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture kept, again;
        fixture_open(&kept, widths[i], true);
        fixture_open(&again, widths[i], false);
        const struct graph *graph = network_graph(kept.network);
        size_t bytes = 0;
        int n_recomputed = 0;
        for (int k = 0; k < graph->n_nodes; k++) {
            const struct plan_step *step = &again.plan->steps[k];
            const struct plan_block *block = &again.plan->blocks[step->blocks[BLOCK_VALUE]];
            assert_false(kept.plan->steps[k].is_recomputed);
            assert_true(step->is_recomputed ==
                        (graph->nodes[k].kind == NODE_BATCH_NORM && step->into == -1));
            if (!step->is_recomputed)
                continue;
            assert_true(block->is_shared);
            bytes += (block->bytes + 255) / 256 * 256;
            n_recomputed++;
        }
        assert_true(n_recomputed >= 14); // of 18
        assert_int_equal(kept.plan->memory.activation_bytes - again.plan->memory.activation_bytes,
                         bytes);
        // The shared memory grows by much less.
        assert_true(network_planned_bytes(again.network) + bytes / 2 <
                    network_planned_bytes(kept.network));
        fixture_close(&kept);
        fixture_close(&again);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_the_same),
        cmocka_unit_test(memory_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
