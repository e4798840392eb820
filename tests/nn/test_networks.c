// SPDX-License-Identifier: MIT
// Networks by name: torchvision's ResNets as backbones, what goes with what, what is frozen, and a
// DeepLab that is trained, evaluated and used from the command line.
#include "nn/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/costs.h"
#include "support/devices.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

static const struct parameter *find(const struct graph *graph, const char *name) {
    for (int i = 0; i < graph->n_parameters; i++)
        if (strcmp(graph->parameters[i].name, name) == 0)
            return &graph->parameters[i];
    fail_msg("there is no parameter %s", name);
    return NULL;
}

// ---- graphs -------------------------------------------------------------------------------------

static void resnets_are_torchvisions(void **state) {
    (void)state;
    // Trainable parameters of torchvision 0.15's models less those of "fc".
    static const int64_t counts[] = {
        [RESNET_18] = 11176512, [RESNET_50] = 23508032, [RESNET_101] = 42500160};
    for (int kind = RESNET_18; kind <= RESNET_101; kind++) {
        struct graph graph;
        struct costs *costs = NULL;
        int out;
        graph_init(&graph);
        check_ok(resnet_build(&graph, (enum resnet_kind)kind, 3, 64, false, &out));
        check_ok(
            costs_create(&graph, (struct adele_shape){2, 3, 97, 81}, ADELE_PRECISION_FP32, &costs));
        assert_int_equal(costs_totals(costs).n_parameters, counts[kind]);
        struct adele_shape shape = costs_op(costs, costs_n_ops(costs) - 1)->out;
        assert_int_equal(shape.c, kind == RESNET_18 ? 512 : 2048);
        assert_int_equal(shape.h, 13);
        assert_int_equal(shape.w, 11);
        assert_int_equal(find(&graph, "backbone.conv1.weight")->shape[2], 7);
        assert_int_equal(find(&graph, "backbone.layer2.0.downsample.0.weight")->shape[2], 1);
        assert_int_equal(find(&graph, "backbone.layer4.1.bn2.running_var")->shape[0], 512);
        costs_destroy(costs);
        graph_deinit(&graph);
    }
}

// Dilations as torchvision puts them: a layer's first block has that of the layer before.
static void strides_become_dilations(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int stride, dilation;
    } want[] = {{"backbone.layer2.0.conv1", 2, 1}, {"backbone.layer3.0.conv1", 1, 1},
                {"backbone.layer3.0.conv2", 1, 2}, {"backbone.layer4.0.conv1", 1, 2},
                {"backbone.layer4.0.conv2", 1, 4}, {"backbone.layer4.1.conv1", 1, 4}};
    struct graph graph;
    int out;
    graph_init(&graph);
    check_ok(resnet_build(&graph, RESNET_18, 1, 8, false, &out));
    for (size_t k = 0; k < sizeof want / sizeof want[0]; k++) {
        int i = 0;
        while (i < graph.n_nodes && strcmp(graph.nodes[i].name, want[k].name) != 0)
            i++;
        if (i == graph.n_nodes)
            fail_msg("no node %s", want[k].name);
        assert_int_equal(graph.nodes[i].stride, want[k].stride);
        assert_int_equal(graph.nodes[i].dilation, want[k].dilation);
        assert_int_equal(graph.nodes[i].pad, want[k].dilation);
    }
    graph_deinit(&graph);
}

static void rates_follow_the_groups(void **state) {
    (void)state;
    struct graph graph;
    int out;
    graph_init(&graph);
    check_ok(resnet_build(&graph, RESNET_18, 3, 8, false, &out));
    check_ok(deeplab_head_build(&graph, DEEPLAB_V1, out, 3, 8, 0));
    for (int i = 0; i < graph.n_parameters; i++)
        assert_true(graph.parameters[i].lr_scale == 1.0F);
    graph_set_rates(&graph, RATES_VOC);
    assert_true(find(&graph, "backbone.layer1.0.conv1.weight")->lr_scale == 1.0F);
    assert_true(find(&graph, "backbone.layer1.0.bn1.bias")->lr_scale == 2.0F);
    assert_true(find(&graph, "conv_fov.weight")->lr_scale == 10.0F);
    assert_true(find(&graph, "bn_fov.weight")->lr_scale == 10.0F);
    assert_true(find(&graph, "cls_conv.bias")->lr_scale == 20.0F);
    assert_true(find(&graph, "conv_fov.weight")->has_decay);
    assert_false(find(&graph, "cls_conv.bias")->has_decay);
    assert_false(find(&graph, "backbone.layer1.0.bn1.bias")->has_decay);
    graph_set_rates(&graph, RATES_UNIFORM);
    assert_true(find(&graph, "cls_conv.bias")->lr_scale == 1.0F);
    graph_deinit(&graph);
}

// ---- names --------------------------------------------------------------------------------------

static void assert_refused(const char *name, const char *backbone, bool is_frozen,
                           const char *part) {
    struct network_config config = {.name = name, .backbone = backbone, .is_frozen = is_frozen};
    assert_int_equal(network_check_names(&config), ADELE_CONFIG);
    if (strstr(adele_error_message(), part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", adele_error_message(), part);
}

static void wrong_pairs_are_refused(void **state) {
    (void)state;
    struct network_config config = {.name = "deeplabv3", .backbone = "resnet50", .is_frozen = true};
    check_ok(network_check_names(&config));
    config = (struct network_config){.name = "unet", .backbone = "default"};
    check_ok(network_check_names(&config));
    assert_refused("deeplabv4", NULL, false, "deeplabv4");
    assert_refused("deeplabv1", "resnet34", false, "resnet34");
    assert_refused("unet", "resnet18", false, "a unet has no backbone");
    assert_refused("unet", NULL, true, "model.batch_norm is frozen");
}

// ---- batch norm ---------------------------------------------------------------------------------

static void load(const struct adele_device *device, const struct network *network,
                 const float *arena, const char *name, float *out, size_t n) {
    const struct parameter *parameter = find(network_graph(network), name);
    check_ok(device->iface->download(device, out, arena + parameter->offset, n * sizeof *out));
}

// One training step; whether the backbone's and the head's running means moved from zero.
static void check_statistics(const char *backbone, const char *norm, bool is_frozen) {
    struct adele_device *device = devices_open_first();
    struct network_config config = {.name = "deeplabv1",
                                    .backbone = backbone,
                                    .n_channels = 3,
                                    .n_categories = 2,
                                    .width = 2,
                                    .is_frozen = is_frozen,
                                    .seed = 4};
    struct network *network;
    struct plan *plan;
    char name[96];
    float mean[2], head[2];
    check_ok(network_create(device, &config, &network));
    check_ok(network_plan(network, 2, 17, 25, true, &plan));
    check_ok(network_allocate(network));
    struct adele_shape shape = plan_input_shape(plan);
    float *image = malloc(shape_count(shape) * sizeof *image);
    assert_non_null(image);
    for (size_t i = 0; i < shape_count(shape); i++)
        image[i] = (float)(i % 13) - 4.0F;
    check_ok(device->iface->tensor_upload(device, plan_input(plan), shape, image));
    check_ok(plan_forward(plan, true));
    snprintf(name, sizeof name, "backbone.%s.running_mean", norm);
    load(device, network, network_buffers(network), name, mean, 2);
    load(device, network, network_buffers(network), "bn_fov.running_mean", head, 2);
    assert_true((mean[0] == 0.0F && mean[1] == 0.0F) == is_frozen);
    assert_true(head[0] != 0.0F || head[1] != 0.0F);
    free(image);
    network_destroy(network);
    adele_device_close(device);
}

static void forward_of_samples(struct plan *plan, const struct adele_device *device, bool trains,
                               uint32_t epoch, float *logits) {
    plan_set_samples(plan, epoch, NULL);
    check_ok(plan_forward(plan, trains));
    check_ok(
        device->iface->tensor_download(device, logits, plan_output(plan), plan_output_shape(plan)));
}

// Dropout is there in training, differs from epoch to epoch, and is off in evaluation.
static void dropout_is_for_training(void **state) {
    (void)state;
    struct adele_device *device = devices_open_first();
    struct network_config config = {.name = "deeplabv1",
                                    .backbone = "resnet18",
                                    .n_channels = 1,
                                    .n_categories = 2,
                                    .width = 4,
                                    .seed = 4};
    struct network *network;
    struct plan *plan;
    check_ok(network_create(device, &config, &network));
    check_ok(network_plan(network, 2, 17, 25, true, &plan));
    check_ok(network_allocate(network));
    struct adele_shape shape = plan_input_shape(plan);
    float image[2 * 17 * 25], a[2 * 2 * 3 * 4], b[2 * 2 * 3 * 4];
    for (size_t i = 0; i < shape_count(shape); i++)
        image[i] = (float)(i % 13) - 4.0F;
    check_ok(device->iface->tensor_upload(device, plan_input(plan), shape, image));
    assert_int_equal(shape_count(plan_output_shape(plan)) * sizeof(float), sizeof a);
    forward_of_samples(plan, device, true, 1, a);
    forward_of_samples(plan, device, true, 1, b);
    assert_memory_equal(a, b, sizeof a);
    forward_of_samples(plan, device, true, 2, b);
    assert_memory_not_equal(a, b, sizeof a);
    forward_of_samples(plan, device, false, 1, a);
    forward_of_samples(plan, device, false, 2, b);
    assert_memory_equal(a, b, sizeof a);
    network_destroy(network);
    adele_device_close(device);
}

static void frozen_is_the_backbone_alone(void **state) {
    (void)state;
    check_statistics("resnet38d", "b2_1.bn_branch2a", true);
    check_statistics("resnet38d", "b2_1.bn_branch2a", false);
    check_statistics("resnet18", "layer1.0.bn1", true);
    check_statistics("resnet18", "layer1.0.bn1", false);
}

// ---- dropout ------------------------------------------------------------------------------------

#define V1 "model.name=deeplabv1", "model.backbone=resnet18", "train.epochs=2", "train.seed=5"

// The second half of an epoch that was interrupted drops what it would have dropped.
static void a_resumed_run_drops_the_same(void **state) {
    const char *const sets[] = {V1, NULL};
    check_ok(tiny_run(state, "straight", false, sets, NULL));
    int n_steps = 7; // of 5 an epoch
    tiny_run_interrupted(state, "resumed", n_steps, sets);
    check_ok(tiny_run(state, "resumed", true, sets, NULL));
    assert_true(same_bytes(scratch_path(state, "straight/checkpoints/last.safetensors"),
                           scratch_path(state, "resumed/checkpoints/last.safetensors")));
    assert_true(same_bytes(scratch_path(state, "straight/metrics.jsonl"),
                           scratch_path(state, "resumed/metrics.jsonl")));
}

// ---- from the command line ----------------------------------------------------------------------

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

static int run_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return 0;
}

static void assert_done(struct program_result *result) {
    if (result->code != 0)
        fail_msg("exit code %d:\n%s", result->code, result->err);
    program_result_deinit(result);
}

static void trains_evaluates_and_predicts(void **state) {
    static const char *const names[] = {"deeplabv1", "deeplabv2", "deeplabv3"};
    struct program_result result;
    for (int i = 0; i < 3; i++) {
        char set[64];
        snprintf(set, sizeof set, "model.name=%s", names[i]);
        ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run",
              scratch_path(state, names[i]), "--device=cpu", "--set", set, "--set",
              "model.backbone=resnet18", "--set", i < 2 ? "train.epochs=1" : "train.epochs=2",
              "--set", "correction.source=inference");
        assert_done(&result);
        ADELE(&result, "evaluate", scratch_path(state, names[i]), "--device=cpu", "--split", "val",
              "--scales", "0.7,1", "--flip");
        if (strstr(result.out, "disc") == NULL)
            fail_msg("no score of a category:\n%s%s", result.out, result.err);
        assert_done(&result);
    }
    ADELE(&result, "predict", scratch_path(state, "deeplabv3"), "--device=cpu", "-i",
          scratch_path(state, "set/imagesTs"), "-o", scratch_path(state, "masks"));
    assert_done(&result);
    assert_true(file_exists(scratch_path(state, "masks/test_000.png")));
    double before = tiny_run_metric(state, "deeplabv3", 1, "train/loss");
    double after = tiny_run_metric(state, "deeplabv3", 2, "train/loss");
    assert_true(after < before);
}

// The checkpoint's tensors under "model." of two runs, compared bit by bit.
static bool same_tensor(void *const *state, const char *run_a, const char *run_b,
                        const char *name) {
    struct safetensors *a, *b;
    char path[256];
    snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", run_a);
    check_ok(safetensors_open(scratch_path(state, path), &a));
    snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", run_b);
    check_ok(safetensors_open(scratch_path(state, path), &b));
    const struct safetensors_entry *in_a = safetensors_find(a, name),
                                   *in_b = safetensors_find(b, name);
    assert_true(in_a != NULL && in_b != NULL && in_a->bytes == in_b->bytes);
    bool is_same = memcmp(in_a->data, in_b->data, in_a->bytes) == 0;
    safetensors_close(a);
    safetensors_close(b);
    return is_same;
}

static void frozen_parts_stay_as_they_came(void **state) {
    char init[4096];
    struct program_result result;
    snprintf(init, sizeof init, "model.init=%s",
             scratch_path(state, "deeplabv1/checkpoints/last.safetensors"));
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run",
          scratch_path(state, "frozen"), "--device=cpu", "--set", "model.name=deeplabv1", "--set",
          "model.backbone=resnet18", "--set", "train.epochs=1", "--set", init, "--set",
          "model.batch_norm=frozen", "--set", "train.optimizer.groups=voc");
    assert_done(&result);
    assert_true(same_tensor(state, "deeplabv1", "frozen", "model.backbone.conv1.weight"));
    assert_true(same_tensor(state, "deeplabv1", "frozen", "model.backbone.layer4.1.bn2.weight"));
    assert_true(
        same_tensor(state, "deeplabv1", "frozen", "model.backbone.layer4.1.bn2.running_mean"));
    assert_false(same_tensor(state, "deeplabv1", "frozen", "model.backbone.layer1.0.conv1.weight"));
    assert_false(same_tensor(state, "deeplabv1", "frozen", "model.bn_fov.running_mean"));
}

static void one_error_each(void **state) {
    static const char *const cases[][3] = {
        {"model.name=unet", "model.backbone=resnet18", "a unet has no backbone"},
        {"model.name=deeplabv1", "model.backbone=vgg16", "vgg16"},
        {"model.name=deeplabv2", "model.batch_norm=frozen", "model.init is default"},
        {"model.name=deeplabv3", "train.batch=1", "has no variance"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program_result result;
        ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run",
              scratch_path(state, "wrong"), "--device=cpu", "--set", cases[i][0], "--set",
              cases[i][1]);
        assert_int_equal(result.code, 1);
        const char *line = strstr(result.err, "adele: error: ");
        if (line == NULL || strstr(line + 1, "adele: error: ") != NULL ||
            strstr(line, cases[i][2]) == NULL)
            fail_msg("not one error with \"%s\":\n%s", cases[i][2], result.err);
        program_result_deinit(&result);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnets_are_torchvisions),
        cmocka_unit_test(strides_become_dilations),
        cmocka_unit_test(rates_follow_the_groups),
        cmocka_unit_test(wrong_pairs_are_refused),
        cmocka_unit_test(frozen_is_the_backbone_alone),
        cmocka_unit_test(dropout_is_for_training),
        cmocka_unit_test(a_resumed_run_drops_the_same),
        cmocka_unit_test(trains_evaluates_and_predicts),
        cmocka_unit_test(frozen_parts_stay_as_they_came),
        cmocka_unit_test(one_error_each),
    };
    return cmocka_run_group_tests(tests, run_setup, scratch_teardown);
}
