// SPDX-License-Identifier: MIT
// Times one training step of a pipeline: three scales, the program's loss, backward, SGD. SegTHOR:
// U-Net on one channel, the loss over 3. VOC: DeepLabv1 on ResNet38d with batch statistics, three
// channels; dropout is off, because a peer draws other numbers.
//
//   bench_step [--pipeline segthor|voc] [--width 16] [--batch 5] [--size 128] [--categories 4]
//              [--steps 10] [--device cpu] [--precision fp32|tf32|bf16] [--rate R]
//              [--scales together|turns] [--export FILE.safetensors]
//
// R is the learning rate; default: the pipeline's. --scales turns: the network runs at one scale
// after the other, also where the device has ops for a convolution at all scales.
//
// Prints one JSON object: the median and the spread in ms, GFLOP/s of the convolutions, the losses
// of the first steps, and peak memory in MB. --export writes the inputs of the first step:
// weights by their PyTorch names, images of every scale, labels; so that a peer can do the same
// steps. bench/pytorch_step.py measures PyTorch on the CPU, compare_step.py runs the two in
// alternation; pytorch_peer.py does both in one process, on a GPU too.
#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define N_SCALES 3
#define N_LOSSES 3 // of the first steps, printed

struct bench {
    int width, batch, size, n_categories, n_steps;
    bool is_voc, takes_turns;
    double rate; // 0: the pipeline's
    const char *device_name, *export_path;
    enum adele_precision precision;
    float *pixels[N_SCALES]; // host copies of the inputs, for the export
    uint8_t *label_map;
    struct adele_device *device;
    struct network *network;
    struct plan *plans[N_SCALES];
    struct plan_group *group; // NULL: they take turns
    struct adele_op *loss, *sgd;
    uint8_t *labels; // plain (N, H, W), device
    int64_t *counts;
    double *sums;
    void *workspace;
};

static void check(adele_status status) {
    if (status == ADELE_OK)
        return;
    fprintf(stderr, "bench_step: %s (%s)\n", adele_error_message(), adele_error_place());
    exit(1);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static void *device_new(struct bench *bench, size_t bytes) {
    void *block = NULL;
    check(adele_device_alloc_zeroed(bench->device, bytes, "a step", &block));
    return block;
}

// Images of noise, and labels in blocks of 16 x 16 pixels; the peer makes its own.
static void fill_inputs(struct bench *bench) {
    struct random_stream stream;
    random_stream_init(&stream, 0, RANDOM_TEST, 0, 0);
    for (int k = 0; k < N_SCALES; k++) {
        struct adele_shape shape = plan_input_shape(bench->plans[k]);
        size_t n = (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
        float *pixels = malloc(n * sizeof *pixels);
        if (!pixels)
            exit(1);
        for (size_t i = 0; i < n; i++)
            pixels[i] = (float)random_normal(&stream);
        check(bench->device->iface->tensor_upload(bench->device, plan_input(bench->plans[k]), shape,
                                                  pixels));
        bench->pixels[k] = pixels;
    }
    size_t n = (size_t)bench->batch * (size_t)bench->size * (size_t)bench->size;
    uint8_t *labels = malloc(n);
    if (!labels)
        exit(1);
    for (size_t i = 0; i < n; i++)
        labels[i] =
            (uint8_t)((i / 16 + i / ((size_t)bench->size * 16)) % (size_t)bench->n_categories);
    check(bench->device->iface->upload(bench->device, bench->labels, labels, n));
    bench->label_map = labels;
}

// Weights, images and labels, before the first step.
static void export_start(struct bench *bench) {
    struct safetensors_writer *writer = NULL;
    float *keep = NULL;
    char name[32];
    check(safetensors_writer_create(&writer));
    check(network_export(bench->network, CONTENT_WEIGHTS, "model.", NULL, writer, &keep));
    for (int k = 0; k < N_SCALES; k++) {
        struct adele_shape in = plan_input_shape(bench->plans[k]);
        int64_t shape[] = {in.n, in.c, in.h, in.w};
        snprintf(name, sizeof name, "images.%d", k);
        check(safetensors_writer_add(writer, name, SAFETENSORS_F32, 4, shape, bench->pixels[k]));
    }
    int64_t shape[] = {bench->batch, bench->size, bench->size};
    check(safetensors_writer_add(writer, "labels", SAFETENSORS_U8, 3, shape, bench->label_map));
    check(safetensors_writer_save(writer, bench->export_path));
    safetensors_writer_destroy(writer);
    memory_free(keep);
}

static void create_loss(struct bench *bench) {
    struct adele_loss_desc desc = {.n = bench->batch,
                                   .c = bench->n_categories,
                                   .h = bench->size,
                                   .w = bench->size,
                                   .n_scales = N_SCALES,
                                   .form = ADELE_LOSS_PROGRAM,
                                   .lambda = 1.0,
                                   .rho = 0.8,
                                   .divisor = bench->is_voc ? 1.0 : 3.0};
    for (int k = 0; k < N_SCALES; k++) {
        struct adele_shape logits = plan_output_shape(bench->plans[k]);
        desc.h_scale[k] = logits.h;
        desc.w_scale[k] = logits.w;
    }
    check(bench->device->iface->loss_create(bench->device, &desc, &bench->loss));
    bench->workspace = device_new(bench, bench->loss->workspace_bytes + 64);
}

static void create_network(struct bench *bench) {
    struct graph graph = {0};
    const struct network_config config = {.name = bench->is_voc ? "deeplabv1" : "unet",
                                          .n_channels = bench->is_voc ? 3 : 1,
                                          .n_categories = bench->n_categories,
                                          .width = bench->width};
    check(network_build_graph(&config, &graph));
    for (int i = 0; i < graph.n_nodes; i++)
        graph.nodes[i].dropout_rate = 0.0;
    check(network_take_graph(bench->device, &graph, 0, bench->precision, &bench->network));
    check(network_complete(bench->network, &bench->network));
    graph_deinit(&graph);
}

static void create_optimizer(struct bench *bench) {
    const struct graph *graph = network_graph(bench->network);
    struct adele_sgd_segment *segments = calloc((size_t)graph->n_parameters, sizeof *segments);
    if (!segments)
        exit(1);
    struct adele_sgd_desc sgd = {.segments = segments};
    for (int i = 0; i < graph->n_parameters; i++)
        if (!graph->parameters[i].is_buffer && !graph->parameters[i].is_frozen)
            segments[sgd.n_segments++] =
                (struct adele_sgd_segment){.offset = graph->parameters[i].offset,
                                           .count = graph->parameters[i].count,
                                           .lr_scale = 1.0f};
    check(bench->device->iface->sgd_create(bench->device, &sgd, &bench->sgd));
    free(segments);
}

static void setup(struct bench *bench) {
    static const double scales[N_SCALES] = {1.0, 0.7, 1.5};
    check(adele_device_open(bench->device_name, bench->precision, &bench->device));
    create_network(bench);
    for (int k = 0; k < N_SCALES; k++) {
        int size = (int)floor(bench->size * scales[k]);
        check(network_plan(bench->network, bench->batch, size, size, true, &bench->plans[k]));
    }
    if (!bench->takes_turns)
        check(network_group(bench->network, N_SCALES, bench->plans, &bench->group));
    check(network_allocate(bench->network));
    create_loss(bench);
    create_optimizer(bench);
    bench->labels =
        device_new(bench, (size_t)bench->batch * (size_t)bench->size * (size_t)bench->size);
    bench->counts = device_new(bench, ADELE_COUNT_SIZE * sizeof(int64_t));
    bench->sums = device_new(bench, ADELE_SUM_COUNT * sizeof(double));
    fill_inputs(bench);
}

static adele_status run_forward(struct bench *bench) {
    for (int k = 0; bench->group == NULL && k < N_SCALES; k++)
        TRY(plan_forward(bench->plans[k], true));
    return bench->group != NULL ? plan_group_forward(bench->group, true) : ADELE_OK;
}

static adele_status run_backward(struct bench *bench) {
    for (int k = 0; bench->group == NULL && k < N_SCALES; k++)
        TRY(plan_backward(bench->plans[k]));
    return bench->group != NULL ? plan_group_backward(bench->group) : ADELE_OK;
}

static void run_ops(struct bench *bench) {
    const struct adele_device_iface *iface = bench->device->iface;
    check(network_zero_gradients(bench->network));
    struct adele_loss_args loss = {.labels = bench->labels,
                                   .noisy = bench->labels,
                                   .counts = bench->counts,
                                   .sums = bench->sums,
                                   .workspace = bench->workspace};
    check(run_forward(bench));
    for (int k = 0; k < N_SCALES; k++) {
        loss.logits[k] = plan_output(bench->plans[k]);
        loss.d_logits[k] = plan_d_output(bench->plans[k]);
    }
    check(iface->loss_forward(bench->loss, &loss));
    check(run_backward(bench));
    double rate = bench->rate > 0.0 ? bench->rate : bench->is_voc ? 0.001 : 0.01;
    struct adele_sgd_args sgd = {.weights = network_writable_weights(bench->network),
                                 .gradients = network_gradients(bench->network),
                                 .momenta = network_momenta(bench->network),
                                 .rate = (float)rate,
                                 .momentum = bench->is_voc ? 0.9f : 0.99f};
    check(iface->sgd_forward(bench->sgd, &sgd));
    check(network_pack(bench->network));
}

static void step(struct bench *bench) {
    const struct adele_device_iface *iface = bench->device->iface;
    check(iface->step_begin(bench->device, 0));
    run_ops(bench);
    check(iface->step_end(bench->device, true));
    check(iface->synchronize(bench->device));
}

// Warm-up steps; stores the loss of each.
static void first_steps(struct bench *bench, double losses[N_LOSSES]) {
    double before = 0.0;
    for (int i = 0; i < N_LOSSES; i++) {
        double sums[ADELE_SUM_COUNT];
        step(bench);
        check(bench->device->iface->download(bench->device, sums, bench->sums, sizeof sums));
        losses[i] = sums[ADELE_SUM_TOTAL] - before;
        before = sums[ADELE_SUM_TOTAL];
    }
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int parse_precision(const char *text, enum adele_precision *out) {
    static const char *const names[] = {[ADELE_PRECISION_FP32] = "fp32",
                                        [ADELE_PRECISION_BF16] = "bf16",
                                        [ADELE_PRECISION_TF32] = "tf32"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum adele_precision)i;
            return 1;
        }
    return 0;
}

static int parse_pipeline(const char *text, bool *is_voc) {
    *is_voc = strcmp(text, "voc") == 0;
    return *is_voc || strcmp(text, "segthor") == 0;
}

static int parse_scales(const char *text, bool *takes_turns) {
    *takes_turns = strcmp(text, "turns") == 0;
    return *takes_turns || strcmp(text, "together") == 0;
}

static void parse(struct bench *bench, int argc, char **argv) {
    struct {
        const char *name;
        int *value;
    } numbers[] = {{"--width", &bench->width},
                   {"--batch", &bench->batch},
                   {"--size", &bench->size},
                   {"--categories", &bench->n_categories},
                   {"--steps", &bench->n_steps}};
    for (int i = 1; i < argc; i += 2) {
        int is_known = 0;
        for (size_t j = 0; i + 1 < argc && j < sizeof numbers / sizeof *numbers; j++)
            if (strcmp(argv[i], numbers[j].name) == 0 && atoi(argv[i + 1]) > 0) {
                *numbers[j].value = atoi(argv[i + 1]);
                is_known = 1;
            }
        if (i + 1 < argc && strcmp(argv[i], "--device") == 0) {
            bench->device_name = argv[i + 1];
            is_known = 1;
        }
        if (i + 1 < argc && strcmp(argv[i], "--export") == 0) {
            bench->export_path = argv[i + 1];
            is_known = 1;
        }
        if (i + 1 < argc && strcmp(argv[i], "--rate") == 0) {
            bench->rate = atof(argv[i + 1]);
            is_known = bench->rate > 0.0;
        }
        if (i + 1 < argc && strcmp(argv[i], "--precision") == 0)
            is_known = parse_precision(argv[i + 1], &bench->precision);
        if (i + 1 < argc && strcmp(argv[i], "--pipeline") == 0)
            is_known = parse_pipeline(argv[i + 1], &bench->is_voc);
        if (i + 1 < argc && strcmp(argv[i], "--scales") == 0)
            is_known = parse_scales(argv[i + 1], &bench->takes_turns);
        if (!is_known) {
            fprintf(stderr, "bench_step: wrong argument '%s'\n", argv[i]);
            exit(2);
        }
    }
}

static void teardown(struct bench *bench) {
    for (int k = 0; k < N_SCALES; k++)
        free(bench->pixels[k]);
    free(bench->label_map);
    bench->device->iface->op_destroy(bench->loss);
    bench->device->iface->op_destroy(bench->sgd);
    void *blocks[] = {bench->labels, bench->counts, bench->sums, bench->workspace};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        bench->device->iface->release(bench->device, blocks[i]);
    network_destroy(bench->network);
    adele_device_close(bench->device);
}

int main(int argc, char **argv) {
    struct bench bench = {.width = 16,
                          .batch = 5,
                          .size = 128,
                          .n_categories = 4,
                          .n_steps = 10,
                          .device_name = "cpu"};
    parse(&bench, argc, argv);
    setup(&bench);
    if (bench.export_path != NULL)
        export_start(&bench);
    double losses[N_LOSSES];
    first_steps(&bench, losses);
    double *times = calloc((size_t)bench.n_steps, sizeof *times);
    if (!times)
        return 1;
    for (int i = 0; i < bench.n_steps; i++) {
        double start = now_ms();
        step(&bench);
        times[i] = now_ms() - start;
    }
    qsort(times, (size_t)bench.n_steps, sizeof *times, compare_doubles);
    double flops = 0.0, median = times[bench.n_steps / 2];
    for (int k = 0; k < N_SCALES; k++)
        flops += plan_flops(bench.plans[k], true);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"what\": \"adele\", \"width\": %d, \"median_ms\": %.3f, \"min_ms\": %.3f, \"max_ms\": "
        "%.3f, \"gflops\": %.1f, \"loss\": %.6f, \"losses\": [%.7f, %.7f, %.7f], \"peak_mb\": "
        "%.1f}\n",
        bench.width, median, times[0], times[bench.n_steps - 1], flops / median * 1e-6, losses[0],
        losses[0], losses[1], losses[2], (double)usage.ru_maxrss / 1024.0);
    free(times);
    teardown(&bench);
    return 0;
}
