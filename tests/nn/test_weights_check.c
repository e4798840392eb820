// SPDX-License-Identifier: MIT
// What is said of a file of weights that does not fit, and what a partial import takes of it.
#include "nn/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "nn/network.h"
#include "support/devices.h"
#include "support/scratch.h"
#include "support/train_step.h"

static struct adele_device *device;

static int open_device(void **state) {
    (void)state;
    return adele_device_open("cpu", ADELE_PRECISION_FP32, &device) == ADELE_OK ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    adele_device_close(device);
    return 0;
}

static struct network *create(void) {
    struct network_config config = {
        .name = "unet", .n_channels = 1, .n_categories = 2, .width = 2, .seed = 3};
    struct network *network;
    check_ok(network_create(device, &config, &network));
    return network;
}

// ---- files --------------------------------------------------------------------------------------

// A file with every tensor of the network, each full of 0.5, but for changes.
struct changes {
    const char *left_out; // all names that begin with it
    const char *only;     // no name that does not
    const char *bent;     // these get one dimension more
    int n_added;          // "foreign.0", "foreign.1", ...
};

static bool begins_with(const char *name, const char *beginning) {
    return beginning != NULL && strncmp(name, beginning, strlen(beginning)) == 0;
}

static struct safetensors *open_changed(void *const *state, const struct network *network,
                                        struct changes changes) {
    const struct graph *graph = network_graph(network);
    size_t n = (size_t)graph->n_weights;
    float *halves = malloc(n * sizeof *halves);
    assert_non_null(halves);
    for (size_t i = 0; i < n; i++)
        halves[i] = 0.5F;
    struct safetensors_writer *writer;
    check_ok(safetensors_writer_create(&writer));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (begins_with(parameter->name, changes.left_out) ||
            (changes.only != NULL && !begins_with(parameter->name, changes.only)))
            continue;
        int64_t shape[5] = {1, 1, 1, 1, 1};
        memcpy(shape, parameter->shape, sizeof shape[0] * (size_t)parameter->n_dimensions);
        int n_dimensions =
            parameter->n_dimensions + (begins_with(parameter->name, changes.bent) ? 1 : 0);
        check_ok(safetensors_writer_add(writer, parameter->name, SAFETENSORS_F32, n_dimensions,
                                        shape, halves));
    }
    for (int i = 0; i < changes.n_added; i++) {
        char name[32];
        int64_t one = 1;
        snprintf(name, sizeof name, "foreign.%d", i);
        check_ok(safetensors_writer_add(writer, name, SAFETENSORS_F32, 1, &one, halves));
    }
    const char *path = scratch_path(state, "changed.safetensors");
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    free(halves);
    struct safetensors *file;
    check_ok(safetensors_open(path, &file));
    return file;
}

static void assert_said(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

// ---- all of them at once ------------------------------------------------------------------------

static void every_kind_is_named_in_one_message(void **state) {
    struct network *network = create();
    struct changes changes = {.left_out = "outc.", .bent = "inc.double_conv.0", .n_added = 2};
    struct safetensors *file = open_changed(state, network, changes);
    assert_int_equal(network_import(network, CONTENT_WEIGHTS, "", file, false), ADELE_FORMAT);
    const char *message = adele_error_message();
    assert_said(message, "missing outc.conv.weight, outc.conv.bias");
    assert_said(message, "extra foreign.0, foreign.1");
    assert_said(message,
                "tensor inc.double_conv.0.weight has shape [2, 1, 3, 3, 1], want [2, 1, 3, 3], "
                "inc.double_conv.0.bias has shape [2, 1], want [2]");
    safetensors_close(file);
    network_destroy(network);
}

static void long_lists_end_with_a_count(void **state) {
    struct network *network = create();
    const struct graph *graph = network_graph(network);
    struct changes changes = {.only = "inc.double_conv.0", .n_added = 40};
    struct safetensors *file = open_changed(state, network, changes);
    assert_int_equal(network_import(network, CONTENT_WEIGHTS, "", file, false), ADELE_FORMAT);
    char want[32];
    snprintf(want, sizeof want, " and %d more", graph->n_parameters - 2 - 8);
    assert_said(adele_error_message(), want);
    assert_said(adele_error_message(), " and 32 more");
    safetensors_close(file);
    network_destroy(network);
}

// 32 names of shapes with their extents do not fit: they are cut at a name, and counted.
static void long_names_are_cut_at_a_name(void **state) {
    struct network *network = create();
    struct changes changes = {.bent = "down"};
    struct safetensors *file = open_changed(state, network, changes);
    assert_int_equal(network_import(network, CONTENT_WEIGHTS, "", file, false), ADELE_FORMAT);
    const char *message = adele_error_message();
    int n_named = 0;
    for (const char *at = strstr(message, "has shape"); at != NULL;
         at = strstr(at + 1, "has shape"))
        n_named++;
    int n_bent = 0;
    for (int i = 0; i < network_graph(network)->n_parameters; i++)
        n_bent += begins_with(network_graph(network)->parameters[i].name, "down") ? 1 : 0;
    char want[32];
    snprintf(want, sizeof want, "] and %d more", n_bent - n_named);
    assert_true(n_named >= 3);
    assert_said(message, want);
    safetensors_close(file);
    network_destroy(network);
}

// ---- a partial import ---------------------------------------------------------------------------

static void keep_line(void *context, enum log_level level, const char *line) {
    if (level == LOG_WARNING)
        snprintf(context, 4096, "%s", line);
}

static float *download(const float *arena, int64_t n) {
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    check_ok(device->iface->download(device, values, arena, (size_t)n * sizeof *values));
    return values;
}

static void what_is_missing_keeps_its_values(void **state) {
    struct network *network = create();
    const struct graph *graph = network_graph(network);
    float *before = download(network_weights(network), graph->n_weights);
    struct changes changes = {.left_out = "outc.", .n_added = 1};
    struct safetensors *file = open_changed(state, network, changes);
    char line[4096] = "";
    log_set_sink(keep_line, line);
    check_ok(network_import(network, CONTENT_WEIGHTS, "", file, true));
    log_set_sink(NULL, NULL);
    assert_said(line, "missing outc.conv.weight, outc.conv.bias; extra foreign.0");
    float *weights = download(network_weights(network), graph->n_weights);
    float *buffers = download(network_buffers(network), graph->n_buffers);
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        const float *got = (parameter->is_buffer ? buffers : weights) + parameter->offset;
        for (int64_t j = 0; j < parameter->count; j++) {
            bool is_head = begins_with(parameter->name, "outc.");
            float want = is_head ? before[parameter->offset + j] : 0.5F;
            if (!(got[j] == want))
                fail_msg("%s[%lld] is %g, want %g", parameter->name, (long long)j, got[j], want);
        }
    }
    free(before);
    free(weights);
    free(buffers);
    safetensors_close(file);
    network_destroy(network);
}

static void a_full_file_is_imported_without_a_word(void **state) {
    struct network *network = create();
    struct safetensors *file = open_changed(state, network, (struct changes){.n_added = 0});
    char line[4096] = "";
    log_set_sink(keep_line, line);
    check_ok(network_import(network, CONTENT_WEIGHTS, "", file, true));
    log_set_sink(NULL, NULL);
    assert_string_equal(line, "");
    safetensors_close(file);
    network_destroy(network);
}

static void a_partial_import_refuses_what_cannot_be_meant(void **state) {
    struct network *network = create();
    float *before = download(network_weights(network), network_graph(network)->n_weights);
    struct safetensors *file = open_changed(state, network, (struct changes){.bent = "outc."});
    assert_int_equal(network_import(network, CONTENT_WEIGHTS, "", file, true), ADELE_FORMAT);
    assert_said(adele_error_message(), "outc.conv.bias has shape [2, 1], want [2]");
    safetensors_close(file);
    // Nothing fits: a prefix is wrong, or the model.
    file = open_changed(state, network, (struct changes){.only = "none", .n_added = 3});
    assert_int_equal(network_import(network, CONTENT_WEIGHTS, "", file, true), ADELE_FORMAT);
    assert_said(adele_error_message(), "extra foreign.0, foreign.1, foreign.2");
    safetensors_close(file);
    float *after = download(network_weights(network), network_graph(network)->n_weights);
    assert_memory_equal(before, after, (size_t)network_graph(network)->n_weights * sizeof *before);
    free(before);
    free(after);
    network_destroy(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_is_named_in_one_message, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(long_lists_end_with_a_count, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(long_names_are_cut_at_a_name, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_keeps_its_values, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(a_full_file_is_imported_without_a_word, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(a_partial_import_refuses_what_cannot_be_meant,
                                        scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
