// SPDX-License-Identifier: MIT
// onnx_results FOLDER: writes NAME.onnx, and NAME.safetensors with images and this library's
// logits, for each network of support/onnx_cases.h with random weights and for one that was
// trained. Run by tests/tools/test_onnx_runtime.py.
#include "api/model.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "reference/reference.h"
#include "support/devices.h"
#include "support/networks.h"
#include "support/onnx_cases.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *out_folder;

struct sizes {
    int n, h, w;
};
// One image, three, and another size that no factor of two divides.
static const struct sizes sizes[] = {{1, 48, 40}, {3, 48, 40}, {2, 37, 59}};
#define N_SIZES (sizeof sizes / sizeof *sizes)

// Of a picture of 8 bits; with brightness and contrast of its own. The last plane is constant.
static float *draw_images(struct arena *arena, struct sizes size, int n_channels) {
    size_t n_planes = (size_t)size.n * (size_t)n_channels, plane = (size_t)size.h * (size_t)size.w;
    float *pixels = arena_random(arena, 11, n_planes * plane, 0.0, 1.0);
    for (size_t i = 0; i < n_planes * plane; i++) {
        size_t i_plane = i / plane;
        double level = 20.0 + 15.0 * (double)(i_plane % 5),
               range = 40.0 + 30.0 * (double)(i_plane % 4);
        double wave =
            0.5 + 0.5 * sin(0.2 * (double)(i % (size_t)size.w) * (double)(1 + i_plane % 3));
        pixels[i] = (float)floor(level + range * (0.3 * (double)pixels[i] + 0.7 * wave));
        if (n_planes > 1 && i_plane == n_planes - 1)
            pixels[i] = 77.0f;
    }
    return pixels;
}

static void normalize_plane(const float *pixels, size_t n, int channel,
                            enum image_normalize normalize, float *out) {
    static const double imagenet_means[] = {0.485, 0.456, 0.406};
    static const double imagenet_deviations[] = {0.229, 0.224, 0.225};
    double mean = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++)
        mean += (double)pixels[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)pixels[i] - mean) * ((double)pixels[i] - mean);
    double deviation = sqrt(squares / (double)n);
    if (normalize == NORMALIZE_IMAGENET) {
        mean = 255.0 * imagenet_means[channel];
        deviation = 255.0 * imagenet_deviations[channel];
    }
    for (size_t i = 0; i < n; i++)
        out[i] = deviation > 1e-6 ? (float)(((double)pixels[i] - mean) / deviation) : 0.0f;
}

// Uploads the images, normalized, as the plan's input.
static void set_input(struct arena *arena, struct plan *plan, enum image_normalize normalize,
                      const float *pixels) {
    struct adele_shape in = plan_input_shape(plan);
    size_t plane = (size_t)in.h * (size_t)in.w;
    float *normalized = arena_floats(arena, shape_count(in));
    for (int i = 0; i < in.n * in.c; i++)
        normalize_plane(pixels + (size_t)i * plane, plane, i % in.c, normalize,
                        normalized + (size_t)i * plane);
    const struct adele_device *device = arena->device;
    check_ok(device->iface->tensor_upload(device, plan_input(plan), in, normalized));
}

// This library's logits, brought to the images' size by the reference of the op.
static float *compute_logits(struct arena *arena, struct network *network, struct sizes size,
                             enum image_normalize normalize, const float *pixels) {
    struct plan *plan = NULL;
    check_ok(network_plan(network, size.n, size.h, size.w, false, &plan));
    check_ok(network_allocate(network));
    set_input(arena, plan, normalize, pixels);
    check_ok(plan_forward(plan, false));
    struct adele_shape out = plan_output_shape(plan);
    float *logits = arena_tensor_download(arena, plan_output(plan), out);
    float *whole =
        arena_floats(arena, (size_t)out.n * (size_t)out.c * (size_t)size.h * (size_t)size.w);
    const struct adele_rescale_desc desc = {.n = out.n,
                                            .c = out.c,
                                            .h_in = out.h,
                                            .w_in = out.w,
                                            .h_out = size.h,
                                            .w_out = size.w,
                                            .h_dst = size.h,
                                            .w_dst = size.w};
    reference_rescale_forward(&desc, &(struct adele_rescale_args){.src = logits, .dst = whole});
    return whole;
}

static void add_tensor(struct safetensors_writer *writer, const char *name, size_t i,
                       struct sizes size, int n_channels, const float *values) {
    char full[32];
    (void)snprintf(full, sizeof full, "%s.%zu", name, i);
    const int64_t shape[] = {size.n, n_channels, size.h, size.w};
    check_ok(safetensors_writer_add(writer, full, SAFETENSORS_F32, 4, shape, values));
}

// NAME.safetensors with image.0, logits.0, image.1, ...
static void write_results(struct adele_device *device, struct network *network,
                          enum image_normalize normalize, const char *name) {
    struct safetensors_writer *writer = NULL;
    struct arena arena;
    char path[4096];
    arena_open(&arena, device);
    check_ok(safetensors_writer_create(&writer));
    int c = network_graph(network)->nodes[0].c;
    for (size_t i = 0; i < N_SIZES; i++) {
        float *pixels = draw_images(&arena, sizes[i], c);
        float *logits = compute_logits(&arena, network, sizes[i], normalize, pixels);
        int n_classes = network_graph(network)->nodes[network_graph(network)->output].c;
        add_tensor(writer, "image", i, sizes[i], c, pixels);
        add_tensor(writer, "logits", i, sizes[i], n_classes, logits);
    }
    (void)snprintf(path, sizeof path, "%s/%s.safetensors", out_folder, name);
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    arena_close(&arena);
}

// Frozen batch norms find no statistics, and those with the momentum of pretrained ones hardly any.
static void create_network(struct adele_device *device, const struct network_config *config,
                           struct network **out) {
    struct graph graph;
    graph_init(&graph);
    check_ok(network_build_graph(config, &graph));
    for (int i = 0; i < graph.n_nodes; i++) {
        graph.nodes[i].is_frozen = false;
        graph.nodes[i].momentum = 0.1f;
    }
    check_ok(network_create_from_graph(device, &graph, 5, ADELE_PRECISION_FP32, out));
    graph_deinit(&graph);
}

// Batch norms that are added to a residual get a weight of 0.2: with the 1 that they start from, a
// random network of a hundred layers multiplies what rounding does by more than a thousand, and a
// trained one does not.
static void calm_residuals(struct adele_device *device, struct network *network) {
    const struct graph *graph = network_graph(network);
    float *values;
    check_ok(network_download(network, &values));
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct node *node = &graph->nodes[i];
        for (int c = 0; node->kind == NODE_BATCH_NORM && node->inputs[1] != -1 && c < node->c; c++)
            values[graph->parameters[node->i_weight].offset + c] = 0.2f;
    }
    check_ok(device->iface->upload(device, network_writable_weights(network), values,
                                   (size_t)graph->n_weights * sizeof(float)));
    memory_free(values);
}

// Running statistics for random weights. Without, the values of a deep network would vanish or
// grow, and with them what rounding does.
static void find_statistics(struct adele_device *device, struct network *network,
                            enum image_normalize normalize) {
    struct plan *plan = NULL;
    struct arena arena;
    arena_open(&arena, device);
    check_ok(network_plan(network, sizes[1].n, sizes[1].h, sizes[1].w, true, &plan));
    check_ok(network_allocate(network));
    float *pixels = draw_images(&arena, sizes[1], plan_input_shape(plan).c);
    set_input(&arena, plan, normalize, pixels);
    for (int i = 0; i < 20; i++)
        check_ok(plan_forward(plan, true));
    arena_close(&arena);
    check_ok(network_drop_plans(network));
}

static void write_random_networks(void **state) {
    struct adele_device *device = devices_open_first();
    (void)state;
    for (size_t i = 0; i < ONNX_N_CASES; i++) {
        struct network *network = NULL;
        struct onnx_packed packed;
        char path[4096];
        create_network(device, &onnx_cases[i].config, &network);
        calm_residuals(device, network);
        find_statistics(device, network, onnx_cases[i].normalize);
        onnx_packed_init(&packed, network, onnx_cases[i].normalize);
        (void)snprintf(path, sizeof path, "%s/%s.onnx", out_folder, onnx_cases[i].file);
        check_ok(file_write(path, packed.bytes, packed.n_bytes));
        write_results(device, network, onnx_cases[i].normalize, onnx_cases[i].file);
        onnx_packed_deinit(&packed);
        network_destroy(network);
    }
    adele_device_close(device);
}

static void write_a_trained_network(void **state) {
    struct adele_model *model = NULL;
    char path[4096];
    check_ok(tiny_run(state, "run", false, SETS("train.epochs=2"), NULL));
    check_ok(adele_model_open(scratch_path(state, "run"), NULL, "cpu", &model));
    (void)snprintf(path, sizeof path, "%s/trained.onnx", out_folder);
    check_ok(adele_model_export(model, &(struct adele_export_options){.output = path}));
    write_results(model->model.device, model->model.network, model->model.normalize, "trained");
    adele_model_close(model);
}

int main(int argc, char **argv) {
    const struct CMUnitTest writers[] = {
        cmocka_unit_test(write_random_networks),
        cmocka_unit_test(write_a_trained_network),
    };
    if (argc != 2) {
        (void)fprintf(stderr, "usage: onnx_results FOLDER\n");
        return 2;
    }
    out_folder = argv[1];
    return cmocka_run_group_tests(writers, tiny_run_setup, scratch_teardown);
}
