// SPDX-License-Identifier: MIT
// model.init from end to end: files that tools/convert_weights.py makes, read by the network and by
// a training run. Needs Python 3 (its own library only).
#include "nn/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "support/devices.h"
#include "support/networks.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

// Runs of one short epoch.
#define SHORT "train.epochs=1", "loss.form=plain", "correction.enabled=false"

static void convert(const char *from, const char *to, const char *option, const char *value) {
    const char *const argv[] = {
        PYTHON3, PROJECT_DIR "/tools/convert_weights.py", from, to, option, value, NULL};
    struct program_result result;
    program_run(argv, &result);
    if (result.code != 0)
        fail_msg("%s", result.err);
    program_result_deinit(&result);
}

static void keep_line(void *context, enum log_level level, const char *line) {
    if (level == LOG_WARNING && strstr(line, "weights:") != NULL)
        snprintf(context, 4096, "%s", line);
}

static void assert_said(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

// ---- a training run -----------------------------------------------------------------------------

static void a_run_begins_with_converted_weights(void **state) {
    check_ok(tiny_run(state, "first", false, SETS(SHORT), NULL));
    char plain[512], headless[512], set[600];
    snprintf(plain, sizeof plain, "%s", scratch_path(state, "plain.safetensors"));
    snprintf(headless, sizeof headless, "%s", scratch_path(state, "headless.safetensors"));
    const char *last = scratch_path(state, "first/checkpoints/last.safetensors");
    convert(last, plain, NULL, NULL);
    convert(last, headless, "--drop", "outc.");

    // Weights under their plain names train as the checkpoint does, bit by bit.
    snprintf(set, sizeof set, "model.init=%s", last);
    check_ok(tiny_run(state, "by_checkpoint", false, SETS(set, SHORT), NULL));
    snprintf(set, sizeof set, "model.init=%s", plain);
    check_ok(tiny_run(state, "by_plain", false, SETS(set, SHORT), NULL));
    assert_true(tiny_run_metric(state, "by_plain", 1, "train/loss") ==
                tiny_run_metric(state, "by_checkpoint", 1, "train/loss"));
    assert_true(tiny_run_metric(state, "by_plain", 1, "train/loss") <
                tiny_run_metric(state, "first", 1, "train/loss"));

    snprintf(set, sizeof set, "model.init=%s", headless);
    assert_int_equal(tiny_run(state, "strict", false, SETS(set, SHORT), NULL), ADELE_FORMAT);
    assert_said(adele_error_message(), "headless.safetensors: ");
    assert_said(adele_error_message(), "missing outc.conv.weight, outc.conv.bias");
    assert_said(adele_error_hint(), "model.init_strict: false");
    assert_false(file_exists(scratch_path(state, "strict/checkpoints/last.safetensors")));

    char line[4096] = "";
    log_set_sink(keep_line, line);
    check_ok(tiny_run(state, "lenient", false, SETS(set, "model.init_strict=false", SHORT), NULL));
    log_set_sink(NULL, NULL);
    assert_said(line, "missing outc.conv.weight, outc.conv.bias");
    assert_int_equal(remove(headless), 0); // a run that goes on has its weights in its checkpoint
    check_ok(tiny_run(state, "lenient", true, SETS(set, "model.init_strict=false", SHORT), NULL));
}

// ---- ResNet38 of MXNet --------------------------------------------------------------------------

static void put(FILE *file, const void *data, size_t bytes) {
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
}

static void put_u64(FILE *file, uint64_t value) {
    put(file, &value, sizeof value);
}

static void put_u32(FILE *file, uint32_t value) {
    put(file, &value, sizeof value);
}

// "backbone.b5_2.bn_branch2b1.running_var" -> "aux:bn5b2_branch2b1_moving_var"; the head has none.
static bool mxnet_name(const char *ours, char out[128]) {
    static const char *const leaves[][3] = {{"running_mean", "aux", "moving_mean"},
                                            {"running_var", "aux", "moving_var"},
                                            {"weight", "arg", "gamma"},
                                            {"bias", "arg", "beta"}};
    int level = 0, block = 0, length = 0;
    char branch[16] = "";
    if (strcmp(ours, "backbone.conv1a.weight") == 0)
        return snprintf(out, 128, "arg:conv1a_weight") > 0;
    if (sscanf(ours, "backbone.b%d%n", &level, &length) != 1) {
        if (strncmp(ours, "backbone.bn7.", 13) != 0)
            return false;
    } else if (ours[length] == '_') {
        assert_int_equal(sscanf(ours, "backbone.b%d_%d", &level, &block), 2);
    }
    const char *leaf = strrchr(ours, '.') + 1;
    const char *under = strstr(ours, "_branch");
    if (under != NULL)
        snprintf(branch, sizeof branch, "%.*s", (int)(leaf - 1 - under), under);
    char suffix[16] = "a";
    if (block > 0)
        snprintf(suffix, sizeof suffix, "b%d", block);
    if (strstr(ours, ".conv_branch") != NULL)
        return snprintf(out, 128, "arg:res%d%s%s_weight", level, suffix, branch) > 0;
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
        if (strcmp(leaf, leaves[i][0]) == 0) {
            const char *kind = leaves[i][1], *its = leaves[i][2];
            if (under == NULL)
                return snprintf(out, 128, "%s:bn7_%s", kind, its) > 0;
            return snprintf(out, 128, "%s:bn%d%s%s_%s", kind, level, suffix, branch, its) > 0;
        }
    return false;
}

static float value_at(int i_parameter, int64_t i) {
    return (float)i_parameter + (float)i / 65536.0F;
}

// As MXNet before version 1 wrote arrays, of which the published file is: 32-bit extents.
static void put_array(FILE *file, int n_dimensions, const int64_t *shape, int64_t n,
                      int i_parameter) {
    put_u32(file, (uint32_t)n_dimensions);
    for (int i = 0; i < n_dimensions; i++)
        put_u32(file, (uint32_t)shape[i]);
    put_u32(file, 1); // on the CPU
    put_u32(file, 0);
    put_u32(file, 0); // float
    for (int64_t i = 0; i < n; i++) {
        float value = value_at(i_parameter, i);
        put(file, &value, sizeof value);
    }
}

static int write_mxnet(const char *path, const struct graph *graph) {
    static const int64_t classifier[] = {1000, 2};
    char name[128];
    uint64_t n = 1;
    for (int i = 0; i < graph->n_parameters; i++)
        n += mxnet_name(graph->parameters[i].name, name) ? 1 : 0;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    put_u64(file, 0x112);
    put_u64(file, 0);
    put_u64(file, n);
    put_array(file, 2, classifier, 2000, 0);
    for (int i = 0; i < graph->n_parameters; i++)
        if (mxnet_name(graph->parameters[i].name, name))
            put_array(file, graph->parameters[i].n_dimensions, graph->parameters[i].shape,
                      graph->parameters[i].count, i);
    put_u64(file, n);
    put_u64(file, strlen("arg:linear1000_weight"));
    put(file, "arg:linear1000_weight", strlen("arg:linear1000_weight"));
    for (int i = 0; i < graph->n_parameters; i++)
        if (mxnet_name(graph->parameters[i].name, name)) {
            put_u64(file, strlen(name));
            put(file, name, strlen(name));
        }
    assert_int_equal(fclose(file), 0);
    return (int)n - 1;
}

static void assert_imported(struct adele_device *device, struct network *network) {
    const struct graph *graph = network_graph(network);
    float *values = malloc((size_t)(graph->n_weights + graph->n_buffers) * sizeof *values);
    assert_non_null(values);
    check_ok(device->iface->download(device, values, network_weights(network),
                                     (size_t)graph->n_weights * sizeof *values));
    check_ok(device->iface->download(device, values + graph->n_weights, network_buffers(network),
                                     (size_t)graph->n_buffers * sizeof *values));
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        const float *got =
            values + parameter->offset + (parameter->is_buffer ? graph->n_weights : 0);
        if (strncmp(parameter->name, "backbone.", 9) != 0)
            continue;
        for (int64_t j = 0; j < parameter->count; j++)
            if (!(got[j] == value_at(i, j)))
                fail_msg("%s[%lld] is %g", parameter->name, (long long)j, got[j]);
    }
    free(values);
}

static void every_tensor_of_resnet38_finds_its_place(void **state) {
    struct adele_device *device;
    struct graph graph;
    struct network *network;
    struct safetensors *file;
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    graph_init(&graph);
    check_ok(deeplab_build(&graph, DEEPLAB_V1, 21, 1, false));
    check_ok(network_create_from_graph(device, &graph, 1, ADELE_PRECISION_FP32, &network));
    graph_deinit(&graph);

    char params[512], converted[512];
    snprintf(params, sizeof params, "%s", scratch_path(state, "resnet38.params"));
    snprintf(converted, sizeof converted, "%s", scratch_path(state, "resnet38.safetensors"));
    int n = write_mxnet(params, network_graph(network));
    convert(params, converted, NULL, NULL);
    check_ok(safetensors_open(converted, &file));
    assert_int_equal(safetensors_count(file), n);
    char line[4096] = "";
    log_set_sink(keep_line, line);
    check_ok(network_import(network, CONTENT_WEIGHTS, "", file, true));
    log_set_sink(NULL, NULL);
    assert_said(line, "missing conv_fov.weight");
    assert_null(strstr(line, "backbone"));
    assert_null(strstr(line, "extra"));
    assert_imported(device, network);
    safetensors_close(file);
    network_destroy(network);
    adele_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_begins_with_converted_weights, tiny_run_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(every_tensor_of_resnet38_finds_its_place, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
