// SPDX-License-Identifier: MIT
// Whole networks on one device: initial weights, weights in files, gradients, training.
#include "nn/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "infer/memory_check.h"
#include "support/compare.h"
#include "support/devices.h"
#include "support/scratch.h"
#include "support/train_step.h"

static struct adele_device *device;

static int open_device(void **state) {
    (void)state;
    device = devices_open_first();
    return device != NULL ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    adele_device_close(device);
    return 0;
}

static struct network *create(int n_channels, int n_categories, int width, uint64_t seed) {
    struct network_config config = {.name = "unet",
                                    .n_channels = n_channels,
                                    .n_categories = n_categories,
                                    .width = width,
                                    .seed = seed};
    struct network *network;
    check_ok(network_create(device, &config, &network));
    return network;
}

static float *download(const float *arena, int64_t n) {
    float *host = malloc((size_t)n * sizeof *host);
    assert_non_null(host);
    check_ok(device->iface->download(device, host, arena, (size_t)n * sizeof *host));
    return host;
}

static void assert_same_weights(struct network *a, struct network *b) {
    const struct graph *graph = network_graph(a);
    float *weights[2] = {download(network_weights(a), graph->n_weights),
                         download(network_weights(b), graph->n_weights)};
    float *buffers[2] = {download(network_buffers(a), graph->n_buffers),
                         download(network_buffers(b), graph->n_buffers)};
    assert_memory_equal(weights[0], weights[1], (size_t)graph->n_weights * sizeof(float));
    assert_memory_equal(buffers[0], buffers[1], (size_t)graph->n_buffers * sizeof(float));
    for (int i = 0; i < 2; i++) {
        free(weights[i]);
        free(buffers[i]);
    }
}

// ---- initial weights ----------------------------------------------------------------------------

static void assert_uniform(const struct parameter *parameter, const float *values) {
    double bound = 1 / sqrt((double)parameter->fan_in), n = (double)parameter->count;
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < parameter->count; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
        largest = fmax(largest, fabs((double)values[i]));
    }
    assert_true(largest <= bound * (1 + 1e-6));
    // Five standard errors of the mean and of the mean square of a uniform variable.
    if (!(fabs(sum / n) <= 5 * bound / sqrt(3 * n)))
        fail_msg("%s: mean %g", parameter->name, sum / n);
    if (!(fabs(squares / n - bound * bound / 3) <= 5 * bound * bound * sqrt(4.0 / 45 / n)))
        fail_msg("%s: mean square %g, bound %g", parameter->name, squares / n, bound);
    if (parameter->count > 1000)
        assert_true(largest > 0.99 * bound);
}

static void assert_constant(const float *values, int64_t n, float want) {
    for (int64_t i = 0; i < n; i++)
        assert_true(values[i] == want);
}

static void initial_weights_are_pytorchs(void **state) {
    (void)state;
    struct network *network = create(1, 5, 16, 42);
    const struct graph *graph = network_graph(network);
    float *weights = download(network_weights(network), graph->n_weights);
    float *buffers = download(network_buffers(network), graph->n_buffers);
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        const float *values = (parameter->is_buffer ? buffers : weights) + parameter->offset;
        bool is_conv = parameter->fan_in > 0;
        if (is_conv)
            assert_uniform(parameter, values);
        else if (strstr(parameter->name, "running_mean") != NULL ||
                 strstr(parameter->name, ".bias") != NULL)
            assert_constant(values, parameter->count, 0);
        else
            assert_constant(values, parameter->count, 1);
    }
    free(weights);
    free(buffers);
    assert_true(network_parameter_bytes(network) ==
                (size_t)(3 * graph->n_weights + graph->n_buffers) * sizeof(float));
    network_destroy(network);
}

static void initial_weights_depend_on_the_seed_alone(void **state) {
    (void)state;
    struct network *a = create(1, 5, 4, 7), *b = create(1, 5, 4, 7), *c = create(1, 5, 4, 8);
    assert_same_weights(a, b);
    int64_t n = network_graph(a)->n_weights;
    float *of_a = download(network_weights(a), n), *of_c = download(network_weights(c), n);
    assert_memory_not_equal(of_a, of_c, (size_t)n * sizeof(float));
    free(of_a);
    free(of_c);
    network_destroy(a);
    network_destroy(b);
    network_destroy(c);
}

static void unknown_models_are_named(void **state) {
    (void)state;
    struct network *network;
    struct network_config config = {.name = "vnet", .n_channels = 1, .n_categories = 2, .width = 8};
    assert_int_equal(network_create(device, &config, &network), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "vnet"));
    assert_non_null(strstr(adele_error_hint(), "unet"));
    config =
        (struct network_config){.name = "unet", .n_channels = 1, .n_categories = 256, .width = 8};
    assert_int_equal(network_create(device, &config, &network), ADELE_CONFIG);
    config =
        (struct network_config){.name = "unet", .n_channels = 0, .n_categories = 2, .width = 8};
    assert_int_equal(network_create(device, &config, &network), ADELE_INVALID_ARGUMENT);
}

// ---- weights in files ---------------------------------------------------------------------------

static void save(struct network *network, const char *path) {
    struct safetensors_writer *writer;
    float *weights, *momenta;
    check_ok(safetensors_writer_create(&writer));
    check_ok(network_export(network, "model.", writer, &weights));
    check_ok(network_export_momenta(network, NULL, "momentum.", writer, &momenta));
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    memory_free(weights);
    memory_free(momenta);
}

static void export_and_import_keep_every_bit(void **state) {
    struct network *from = create(3, 2, 5, 1), *to = create(3, 2, 5, 2);
    const struct graph *graph = network_graph(from);
    // Momenta and running statistics that differ from their initial values.
    check_ok(device->iface->copy(device, network_momenta(from), network_weights(from),
                                 (size_t)graph->n_weights * sizeof(float)));
    check_ok(device->iface->copy(device, network_buffers(from), network_weights(from),
                                 (size_t)graph->n_buffers * sizeof(float)));
    const char *path = scratch_path(state, "weights.safetensors");
    save(from, path);
    struct safetensors *file;
    check_ok(safetensors_open(path, &file));
    check_ok(network_import(to, "model.", file));
    check_ok(network_import_momenta(to, "momentum.", file));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        float *values[2];
        const float *arenas[2] = {parameter->is_buffer ? network_buffers(from)
                                                       : network_weights(from),
                                  parameter->is_buffer ? network_buffers(to) : network_weights(to)};
        for (int k = 0; k < 2; k++)
            values[k] = download(arenas[k] + parameter->offset, parameter->count);
        assert_true(compare_bytes(parameter->name, values[1], values[0],
                                  (size_t)parameter->count * sizeof(float)));
        for (int k = 0; k < 2; k++)
            free(values[k]);
        if (parameter->is_buffer)
            continue;
        for (int k = 0; k < 2; k++)
            values[k] =
                download(network_momenta(k == 0 ? from : to) + parameter->offset, parameter->count);
        assert_true(compare_bytes(parameter->name, values[1], values[0],
                                  (size_t)parameter->count * sizeof(float)));
        for (int k = 0; k < 2; k++)
            free(values[k]);
    }
    // Two saves of the same weights are the same file.
    const char *again = scratch_path(state, "again.safetensors");
    save(to, again);
    char *bytes[2];
    size_t n_bytes[2];
    check_ok(file_read(path, 0, &bytes[0], &n_bytes[0]));
    check_ok(file_read(again, 0, &bytes[1], &n_bytes[1]));
    assert_int_equal(n_bytes[0], n_bytes[1]);
    assert_memory_equal(bytes[0], bytes[1], n_bytes[0]);
    memory_free(bytes[0]);
    memory_free(bytes[1]);
    safetensors_close(file);
    network_destroy(from);
    network_destroy(to);
}

// Writes the weights of `network` with some tensors missing, misshapen or added.
static void save_broken(struct network *network, const char *path, const char *missing,
                        const char *misshapen, const char *added) {
    const struct graph *graph = network_graph(network);
    struct safetensors_writer *writer;
    float *zeros = calloc((size_t)graph->n_weights, sizeof *zeros);
    assert_non_null(zeros);
    check_ok(safetensors_writer_create(&writer));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        int64_t flat[1] = {parameter->count};
        bool is_misshapen = misshapen != NULL && strcmp(parameter->name, misshapen) == 0;
        if (missing != NULL && strstr(parameter->name, missing) != NULL)
            continue;
        check_ok(safetensors_writer_add(writer, parameter->name, SAFETENSORS_F32,
                                        is_misshapen ? 1 : parameter->n_dimensions,
                                        is_misshapen ? flat : parameter->shape, zeros));
    }
    if (added != NULL) {
        int64_t one[1] = {1};
        check_ok(safetensors_writer_add(writer, added, SAFETENSORS_F32, 1, one, zeros));
    }
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    free(zeros);
}

static adele_status import_broken(void *const *state, struct network *network, const char *missing,
                                  const char *misshapen, const char *added) {
    const char *path = scratch_path(state, "broken.safetensors");
    save_broken(network, path, missing, misshapen, added);
    struct safetensors *file;
    check_ok(safetensors_open(path, &file));
    adele_status status = network_import(network, "", file);
    safetensors_close(file);
    return status;
}

static void wrong_tensors_are_named(void **state) {
    struct network *network = create(1, 2, 4, 3), *untouched = create(1, 2, 4, 3);
    assert_int_equal(import_broken(state, network, "outc.conv.bias", NULL, NULL), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "missing outc.conv.bias"));
    assert_int_equal(import_broken(state, network, NULL, "outc.conv.weight", NULL), ADELE_FORMAT);
    assert_non_null(
        strstr(adele_error_message(), "outc.conv.weight has shape [8], want [2, 4, 1, 1]"));
    assert_int_equal(import_broken(state, network, NULL, NULL, "foreign"), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "extra foreign"));
    // 18 batch norms, each with a running variance: eight by name, then a count.
    assert_int_equal(import_broken(state, network, "running_var", NULL, NULL), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "and 10 more"));
    assert_same_weights(network, untouched);
    assert_int_equal(
        import_broken(state, network, NULL, NULL, "inc.double_conv.1.num_batches_tracked"),
        ADELE_OK);
    float *weights = download(network_weights(network), network_graph(network)->n_weights);
    assert_constant(weights, network_graph(network)->n_weights, 0);
    free(weights);
    network_destroy(network);
    network_destroy(untouched);
}

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
    session->network = create(c, 2, width, 5);
    session->batch = batch_create(n, c, h, w, 9);
    check_ok(network_plan(session->network, n, h, w, true, &plan));
    check_ok(network_allocate(session->network));
    train_step_create(&session->step, device, session->network, plan, session->batch.images,
                      session->batch.labels);
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
    assert_same_weights(a.network, b.network);
    session_destroy(&a);
    session_destroy(&b);
}

// The loss along the gradient's direction must rise by the gradient's norm.
static void assert_gradient(int n, int c, int h, int w, int width) {
    struct session session;
    session_create(&session, n, c, h, w, width);
    int64_t n_weights = network_graph(session.network)->n_weights;
    size_t bytes = (size_t)n_weights * sizeof(float);
    float *weights = download(network_weights(session.network), n_weights);
    check_ok(network_zero_gradients(session.network));
    train_step_loss(&session.step);
    check_ok(plan_backward(session.step.plan));
    float *gradient = download(network_gradients(session.network), n_weights);
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
        check_ok(
            device->iface->upload(device, network_writable_weights(session.network), moved, bytes));
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
    struct network *network = create(1, 2, 4, 11);
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
        train_step_create(&steps[k], device, network, plans[k], batches[k].images,
                          batches[k].labels);
        check_ok(network_zero_gradients(network));
        train_step_loss(&steps[k]);
        check_ok(plan_backward(plans[k]));
        float *alone = download(network_gradients(network), n_weights);
        for (int64_t i = 0; i < n_weights; i++)
            sum[i] += alone[i];
        free(alone);
    }
    check_ok(network_zero_gradients(network));
    for (int k = 0; k < 3; k++)
        train_step_loss(&steps[k]);
    for (int k = 0; k < 3; k++)
        check_ok(plan_backward(plans[k]));
    float *together = download(network_gradients(network), n_weights);
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
    const struct memory_request request = {.device = device,
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
    const struct adele_device_iface *iface = device->iface;
    struct adele_device_iface limited = *iface;
    limited.free_bytes = limited_free_bytes;
    struct network *network = create(1, 2, 4, 11);
    struct plan *plan;
    check_ok(network_plan(network, 1, 32, 32, false, &plan));
    assert_int_equal(network_allocated_bytes(network), 0);
    check_ok(network_allocate(network));
    size_t held = network_allocated_bytes(network);
    assert_true(held > 0 && held == network_planned_bytes(network));
    device->iface = &limited;
    limited_bytes = 0;
    check_ok(check_memory(network, plan));
    check_ok(network_plan(network, 4, 64, 64, false, &plan));
    limited_bytes = network_planned_bytes(network) - held;
    check_ok(check_memory(network, plan));
    limited_bytes--;
    assert_int_equal(check_memory(network, plan), ADELE_NO_MEMORY);
    limited_bytes = SIZE_MAX; // not known
    check_ok(check_memory(network, plan));
    device->iface = iface;
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
    check_ok(device->iface->tensor_upload(device, plan_input(plan), input, images));
    check_ok(plan_forward(plan, false));
    check_ok(device->iface->tensor_download(device, logits, plan_output(plan), output));
    free(images);
    return logits;
}

// Dropped plans hold no memory, and the network computes the same with new ones, although the
// packed weights of the smaller plan may lie elsewhere.
static void dropped_plans_release_their_memory(void **state) {
    (void)state;
    struct network *network = create(1, 2, 4, 11);
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
        cmocka_unit_test(initial_weights_are_pytorchs),
        cmocka_unit_test(initial_weights_depend_on_the_seed_alone),
        cmocka_unit_test(unknown_models_are_named),
        cmocka_unit_test_setup_teardown(export_and_import_keep_every_bit, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(wrong_tensors_are_named, scratch_setup, scratch_teardown),
        cmocka_unit_test(one_batch_is_learned_by_heart),
        cmocka_unit_test(the_same_seed_gives_the_same_bits),
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(plans_of_several_sizes_add_up),
        cmocka_unit_test(allocated_memory_counts_as_free),
        cmocka_unit_test(dropped_plans_release_their_memory),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
