// SPDX-License-Identifier: MIT
// Whole networks on one device: initial weights, and weights in files.
// test_network_training trains them.
#include "nn/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/compare.h"
#include "support/scratch.h"
#include "support/small_unet.h"
#include "support/train_step.h"

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
    struct network *network = small_unet_create(1, 5, 16, 42);
    const struct graph *graph = network_graph(network);
    float *weights = small_unet_download(network_weights(network), graph->n_weights);
    float *buffers = small_unet_download(network_buffers(network), graph->n_buffers);
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
    struct network *a = small_unet_create(1, 5, 4, 7), *b = small_unet_create(1, 5, 4, 7),
                   *c = small_unet_create(1, 5, 4, 8);
    small_unet_assert_same(a, b);
    int64_t n = network_graph(a)->n_weights;
    float *of_a = small_unet_download(network_weights(a), n),
          *of_c = small_unet_download(network_weights(c), n);
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
    assert_int_equal(network_create(small_unet_device, &config, &network), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "vnet"));
    assert_non_null(strstr(adele_error_hint(), "unet"));
    config =
        (struct network_config){.name = "unet", .n_channels = 1, .n_categories = 256, .width = 8};
    assert_int_equal(network_create(small_unet_device, &config, &network), ADELE_CONFIG);
    config =
        (struct network_config){.name = "unet", .n_channels = 0, .n_categories = 2, .width = 8};
    assert_int_equal(network_create(small_unet_device, &config, &network), ADELE_INVALID_ARGUMENT);
}

// ---- weights in files ---------------------------------------------------------------------------

static void save(struct network *network, const char *path) {
    struct safetensors_writer *writer;
    float *weights, *momenta;
    check_ok(safetensors_writer_create(&writer));
    check_ok(network_export(network, CONTENT_WEIGHTS, "model.", NULL, writer, &weights));
    check_ok(network_export(network, CONTENT_MOMENTA, "momentum.", NULL, writer, &momenta));
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    memory_free(weights);
    memory_free(momenta);
}

static void export_and_import_keep_every_bit(void **state) {
    struct network *from = small_unet_create(3, 2, 5, 1), *to = small_unet_create(3, 2, 5, 2);
    const struct graph *graph = network_graph(from);
    // Momenta and running statistics that differ from their initial values.
    check_ok(small_unet_device->iface->copy(small_unet_device, network_momenta(from),
                                            network_weights(from),
                                            (size_t)graph->n_weights * sizeof(float)));
    check_ok(small_unet_device->iface->copy(small_unet_device, network_buffers(from),
                                            network_weights(from),
                                            (size_t)graph->n_buffers * sizeof(float)));
    const char *path = scratch_path(state, "weights.safetensors");
    save(from, path);
    struct safetensors *file;
    check_ok(safetensors_open(path, &file));
    check_ok(network_import(to, CONTENT_WEIGHTS, "model.", file, false));
    check_ok(network_import(to, CONTENT_MOMENTA, "momentum.", file, false));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        float *values[2];
        const float *arenas[2] = {parameter->is_buffer ? network_buffers(from)
                                                       : network_weights(from),
                                  parameter->is_buffer ? network_buffers(to) : network_weights(to)};
        for (int k = 0; k < 2; k++)
            values[k] = small_unet_download(arenas[k] + parameter->offset, parameter->count);
        assert_true(compare_bytes(parameter->name, values[1], values[0],
                                  (size_t)parameter->count * sizeof(float)));
        for (int k = 0; k < 2; k++)
            free(values[k]);
        if (parameter->is_buffer)
            continue;
        for (int k = 0; k < 2; k++)
            values[k] = small_unet_download(network_momenta(k == 0 ? from : to) + parameter->offset,
                                            parameter->count);
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
    adele_status status = network_import(network, CONTENT_WEIGHTS, "", file, false);
    safetensors_close(file);
    return status;
}

static void wrong_tensors_are_named(void **state) {
    struct network *network = small_unet_create(1, 2, 4, 3),
                   *untouched = small_unet_create(1, 2, 4, 3);
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
    small_unet_assert_same(network, untouched);
    assert_int_equal(
        import_broken(state, network, NULL, NULL, "inc.double_conv.1.num_batches_tracked"),
        ADELE_OK);
    float *weights =
        small_unet_download(network_weights(network), network_graph(network)->n_weights);
    assert_constant(weights, network_graph(network)->n_weights, 0);
    free(weights);
    network_destroy(network);
    network_destroy(untouched);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_weights_are_pytorchs),
        cmocka_unit_test(initial_weights_depend_on_the_seed_alone),
        cmocka_unit_test(unknown_models_are_named),
        cmocka_unit_test_setup_teardown(export_and_import_keep_every_bit, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(wrong_tensors_are_named, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, small_unet_setup, small_unet_teardown);
}
