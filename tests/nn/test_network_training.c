// SPDX-License-Identifier: MIT
// Whole networks on one device: gradients, training, and the memory of several plans.
#include "nn/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "nn/memory_check.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/small_unet.h"
#include "support/train_step.h"

// ---- training -----------------------------------------------------------------------------------

// Images of soft blobs and noise with the blob as label, so that there is something to learn.
struct batch {
    float *images;
    uint8_t *labels;
};

static struct batch batch_create(int n, int c, int h, int w, uint32_t seed) {
    struct batch batch;
    size_t area = (size_t)h * (size_t)w;
    batch.images = malloc((size_t)n * (size_t)c * area * sizeof(float));
    batch.labels = malloc((size_t)n * area);
    assert_non_null(batch.images);
    assert_non_null(batch.labels);
    struct random_stream stream;
    random_stream_init(&stream, seed, RANDOM_TEST, 0, 0);
    for (int i = 0; i < n; i++) {
        double y0 = random_range(&stream, 0.3 * h, 0.7 * h);
        double x0 = random_range(&stream, 0.3 * w, 0.7 * w), radius = 0.25 * h;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                bool is_in = hypot(y - y0, x - x0) < radius;
                size_t at = (size_t)y * (size_t)w + (size_t)x;
                batch.labels[(size_t)i * area + at] = is_in;
                for (int k = 0; k < c; k++)
                    batch.images[((size_t)i * (size_t)c + (size_t)k) * area + at] =
                        (float)((is_in ? 1.0 : -0.5) + 0.5 * random_normal(&stream));
            }
    }
    return batch;
}

static void batch_destroy(struct batch *batch) {
    free(batch->images);
    free(batch->labels);
}

struct session {
    struct network *network;
    struct batch batch;
    struct train_step step;
};

static void session_create(struct session *session, int n, int c, int h, int w, int width) {
    struct plan *plan;
    session->network = small_unet_create(c, 2, width, 5);
    session->batch = batch_create(n, c, h, w, 9);
    check_ok(network_plan(session->network, n, h, w, true, &plan));
    check_ok(network_allocate(session->network));
    train_step_create(&session->step, small_unet_device, session->network, plan,
                      session->batch.images, session->batch.labels);
}

static void session_destroy(struct session *session) {
    train_step_destroy(&session->step);
    batch_destroy(&session->batch);
    network_destroy(session->network);
}

// The loss falls to a tenth within 20 steps with every instruction set. 40 would bring it to 0.012
// of the first one, and take simulated GPUs minutes.
static void one_batch_is_learned_by_heart(void **state) {
    (void)state;
    struct session session;
    session_create(&session, 2, 1, 32, 32, 4);
    double first = train_step_run(&session.step, 0.05F, 0.9F), last = first;
    assert_true(first > 0.3 && first < 2);
    memory_fail_at(-1);
    for (int i = 0; i < 40 && !(last <= 0.1 * first); i++)
        last = train_step_run(&session.step, 0.05F, 0.9F);
    // Nothing is allocated once the first step is over.
    assert_int_equal(memory_count(), 0);
    if (!(last <= 0.1 * first))
        fail_msg("the loss went from %g to %g only", first, last);
    session_destroy(&session);
}

static void the_same_seed_gives_the_same_bits(void **state) {
    (void)state;
    struct session a, b;
    session_create(&a, 2, 3, 24, 37, 6);
    session_create(&b, 2, 3, 24, 37, 6);
    for (int i = 0; i < 3; i++) {
        double loss_a = train_step_run(&a.step, 0.02F, 0.99F);
        double loss_b = train_step_run(&b.step, 0.02F, 0.99F);
        assert_true(loss_a == loss_b);
    }
    small_unet_assert_same(a.network, b.network);
    session_destroy(&a);
    session_destroy(&b);
}

// The loss along the gradient's direction must rise by the gradient's norm.
static void assert_gradient(int n, int c, int h, int w, int width) {
    struct session session;
    session_create(&session, n, c, h, w, width);
    int64_t n_weights = network_graph(session.network)->n_weights;
    size_t bytes = (size_t)n_weights * sizeof(float);
    float *weights = small_unet_download(network_weights(session.network), n_weights);
    check_ok(network_zero_gradients(session.network));
    train_step_loss(&session.step);
    check_ok(plan_backward(session.step.plan));
    float *gradient = small_unet_download(network_gradients(session.network), n_weights);
    double norm = 0;
    for (int64_t i = 0; i < n_weights; i++)
        norm += (double)gradient[i] * gradient[i];
    norm = sqrt(norm);
    assert_true(norm > 0.01);
    double losses[2];
    // Short enough that few ReLUs change sides, long enough to stand out of the rounding of the
    // logits.
    double length = 2e-4;
    float *moved = malloc(bytes);
    assert_non_null(moved);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n_weights; i++)
            moved[i] = (float)(weights[i] + (k == 0 ? -length : length) * gradient[i] / norm);
        check_ok(small_unet_device->iface->upload(
            small_unet_device, network_writable_weights(session.network), moved, bytes));
        losses[k] = train_step_loss(&session.step);
    }
    double slope = (losses[1] - losses[0]) / (2 * length);
    if (!(fabs(slope - norm) <= 0.02 * norm))
        fail_msg("width %d, %d channels, %d x %d: slope %g, gradient's norm %g", width, c, h, w,
                 slope, norm);
    free(weights);
    free(gradient);
    free(moved);
    session_destroy(&session);
}

static void gradients_match_finite_differences(void **state) {
    (void)state;
    assert_gradient(2, 1, 32, 32, 4);
    assert_gradient(2, 3, 45, 33, 5);
    assert_gradient(1, 3, 37, 50, 6);
}

// Three sizes share one step's gradients: their sum, in whatever order forwards and backwards are
// mixed.
static void plans_of_several_sizes_add_up(void **state) {
    (void)state;
    static const int sizes[3] = {32, 22, 48};
    struct network *network = small_unet_create(1, 2, 4, 11);
    int64_t n_weights = network_graph(network)->n_weights;
    struct plan *plans[3];
    struct train_step steps[3];
    struct batch batches[3];
    for (int k = 0; k < 3; k++)
        check_ok(network_plan(network, 2, sizes[k], sizes[k], true, &plans[k]));
    check_ok(network_allocate(network));
    double *sum = calloc((size_t)n_weights, sizeof *sum);
    assert_non_null(sum);
    for (int k = 0; k < 3; k++) {
        batches[k] = batch_create(2, 1, sizes[k], sizes[k], 20);
        train_step_create(&steps[k], small_unet_device, network, plans[k], batches[k].images,
                          batches[k].labels);
        check_ok(network_zero_gradients(network));
        train_step_loss(&steps[k]);
        check_ok(plan_backward(plans[k]));
        float *alone = small_unet_download(network_gradients(network), n_weights);
        for (int64_t i = 0; i < n_weights; i++)
            sum[i] += alone[i];
        free(alone);
    }
    check_ok(network_zero_gradients(network));
    for (int k = 0; k < 3; k++)
        train_step_loss(&steps[k]);
    for (int k = 0; k < 3; k++)
        check_ok(plan_backward(plans[k]));
    float *together = small_unet_download(network_gradients(network), n_weights);
    float *want = malloc((size_t)n_weights * sizeof *want);
    assert_non_null(want);
    for (int64_t i = 0; i < n_weights; i++)
        want[i] = (float)sum[i];
    assert_true(compare_l2("gradients", together, want, (size_t)n_weights, 1e-6));
    for (int k = 0; k < 3; k++) {
        train_step_destroy(&steps[k]);
        batch_destroy(&batches[k]);
    }
    free(sum);
    free(want);
    free(together);
    network_destroy(network);
}

// ---- memory of plans ----------------------------------------------------------------------------

static size_t limited_bytes;

static size_t limited_free_bytes(const struct adele_device *of) {
    (void)of;
    return limited_bytes;
}

static adele_status check_memory(struct network *network, struct plan *plan) {
    const struct memory_request request = {.device = small_unet_device,
                                           .network = network,
                                           .plans = &plan,
                                           .n_plans = 1,
                                           .batch_hint = "",
                                           .single_hint = ""};
    return memory_check(&request);
}

// What a network holds already is not needed a second time.
static void allocated_memory_counts_as_free(void **state) {
    (void)state;
    const struct adele_device_iface *iface = small_unet_device->iface;
    struct adele_device_iface limited = *iface;
    limited.free_bytes = limited_free_bytes;
    struct network *network = small_unet_create(1, 2, 4, 11);
    struct plan *plan;
    check_ok(network_plan(network, 1, 32, 32, false, &plan));
    assert_int_equal(network_allocated_bytes(network), 0);
    check_ok(network_allocate(network));
    size_t held = network_allocated_bytes(network);
    assert_true(held > 0 && held == network_planned_bytes(network));
    small_unet_device->iface = &limited;
    limited_bytes = 0;
    check_ok(check_memory(network, plan));
    check_ok(network_plan(network, 4, 64, 64, false, &plan));
    limited_bytes = network_planned_bytes(network) - held;
    check_ok(check_memory(network, plan));
    limited_bytes--;
    assert_int_equal(check_memory(network, plan), ADELE_NO_MEMORY);
    limited_bytes = SIZE_MAX; // not known
    check_ok(check_memory(network, plan));
    small_unet_device->iface = iface;
    network_destroy(network);
}

static float *run_inference(struct network *network, int n, int size) {
    struct plan *plan;
    check_ok(network_plan(network, n, size, size, false, &plan));
    check_ok(network_allocate(network));
    struct adele_shape input = plan_input_shape(plan), output = plan_output_shape(plan);
    float *images = malloc(shape_count(input) * sizeof *images);
    float *logits = malloc(shape_count(output) * sizeof *logits);
    assert_true(images != NULL && logits != NULL);
    for (size_t i = 0; i < shape_count(input); i++)
        images[i] = (float)(i % 7) - 3.0F;
    check_ok(small_unet_device->iface->tensor_upload(small_unet_device, plan_input(plan), input,
                                                     images));
    check_ok(plan_forward(plan, false));
    check_ok(small_unet_device->iface->tensor_download(small_unet_device, logits, plan_output(plan),
                                                       output));
    free(images);
    return logits;
}

// Dropped plans hold no memory, and the network computes the same with new ones, although the
// packed weights of the smaller plan may lie elsewhere.
static void dropped_plans_release_their_memory(void **state) {
    (void)state;
    struct network *network = small_unet_create(1, 2, 4, 11);
    float *before = run_inference(network, 1, 32);
    size_t bytes = network_planned_bytes(network);
    free(run_inference(network, 4, 96));
    assert_true(network_allocated_bytes(network) > bytes);
    check_ok(network_drop_plans(network));
    assert_int_equal(network_allocated_bytes(network), 0);
    assert_int_equal(network_planned_bytes(network), 0);
    float *after = run_inference(network, 1, 32);
    assert_int_equal(network_planned_bytes(network), bytes);
    assert_memory_equal(before, after, 2 * 32 * 32 * sizeof *before);
    free(before);
    free(after);
    network_destroy(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_batch_is_learned_by_heart),
        cmocka_unit_test(the_same_seed_gives_the_same_bits),
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(plans_of_several_sizes_add_up),
        cmocka_unit_test(allocated_memory_counts_as_free),
        cmocka_unit_test(dropped_plans_release_their_memory),
    };
    return cmocka_run_group_tests(tests, small_unet_setup, small_unet_teardown);
}
