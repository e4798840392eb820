// SPDX-License-Identifier: MIT
// adele-bench --tiles: what the model in tile_model.h says of Hopper's convolution kernels, at the
// shapes of the two pipelines.
#include "bench.h"

#include "tile_model.h"

enum { TILE_SCALES = 3 };

static const struct tile_layer layers[] = {
    // VOC, ten images: ResNet38d's blocks at its three scales, and the head of LargeFOV.
    {10, 224, 128, 128, 3, 1},
    {10, 112, 256, 256, 3, 1},
    {10, 56, 512, 512, 3, 1},
    {10, 40, 512, 512, 3, 1},
    {10, 84, 512, 512, 3, 1},
    {10, 56, 512, 1024, 3, 2},
    {10, 56, 1024, 2048, 3, 4},
    {10, 56, 1024, 4096, 1, 1},
    {10, 40, 4096, 512, 3, 12},
    {10, 56, 4096, 512, 3, 12},
    {10, 84, 4096, 512, 3, 12},
    // SegTHOR, five images: U-Net.
    {5, 384, 64, 64, 3, 1},
    {5, 192, 128, 128, 3, 1},
    {5, 96, 256, 256, 3, 1},
    {5, 48, 512, 512, 3, 1},
    {5, 24, 512, 512, 3, 1},
};

// The same layers at the scales 0.7, 1 and 1.5.
static const struct {
    struct tile_layer layer; // but for its size
    int sizes[TILE_SCALES];
} scaled[] = {
    {{10, 0, 128, 128, 3, 1}, {157, 224, 336}}, {{10, 0, 256, 256, 3, 1}, {79, 112, 168}},
    {{10, 0, 512, 512, 3, 1}, {40, 56, 84}},    {{10, 0, 512, 1024, 3, 2}, {40, 56, 84}},
    {{10, 0, 1024, 2048, 3, 4}, {40, 56, 84}},  {{10, 0, 1024, 4096, 1, 1}, {40, 56, 84}},
    {{10, 0, 4096, 512, 3, 12}, {40, 56, 84}},  {{5, 0, 64, 64, 3, 1}, {179, 256, 384}},
    {{5, 0, 128, 128, 3, 1}, {89, 128, 192}},   {{5, 0, 256, 256, 3, 1}, {44, 64, 96}},
    {{5, 0, 512, 512, 3, 1}, {22, 32, 48}},     {{5, 0, 512, 512, 3, 1}, {11, 16, 24}},
};

// VOC's heads at its three scales: DeepLabv2's four heads of 21 classes, the same with 512 channels
// each, and DeepLabv3's four branches. Then the data gradients of the last two; the one of 21
// channels, which would fill a third of a step, stays with mma.sync.
#define SIZES(...)                                                                                 \
    {10, 40, 4096, __VA_ARGS__}, {10, 56, 4096, __VA_ARGS__}, {                                    \
        10, 84, 4096, __VA_ARGS__                                                                  \
    }
static const struct tile_pyramid pyramids[] = {
    SIZES(21, false, false, 4, {6, 12, 18, 24}), SIZES(512, false, false, 4, {6, 12, 18, 24}),
    SIZES(256, true, false, 4, {0, 6, 12, 18}),  SIZES(512, false, true, 4, {6, 12, 18, 24}),
    SIZES(256, true, true, 4, {0, 6, 12, 18}),
};

static void print_layer(FILE *to, const struct tile_layer *layer,
                        void (*model)(const struct tile_layer *, struct tile_costs *)) {
    static const char *const names[TILE_RESOURCES] = {[TILE_BY_TENSOR] = "tensor cores",
                                                      [TILE_BY_SHARED] = "shared memory",
                                                      [TILE_BY_L2] = "L2",
                                                      [TILE_BY_ISSUE] = "issue"};
    struct tile_costs costs;
    model(layer, &costs);
    fprintf(to,
            "%4d x %3d^2 %5d -> %4d %d x %d d %-2d  128x%-3d%s %2d x %2d x %2d %6.0f %6.0f %6.0f "
            "%6.0f %6.0f %7.0f %8.0f %5d %8.3f %6.0f  %s\n",
            layer->n, layer->size, layer->c_in, layer->c_out, layer->kernel, layer->kernel,
            layer->dilation, costs.bn, costs.is_paired ? " x 2" : "    ",
            costs.boxes.groups[0].box_n, costs.boxes.groups[0].box_h, costs.boxes.groups[0].box_w,
            costs.step[TILE_BY_TENSOR], costs.step[TILE_BY_SHARED], costs.step[TILE_BY_L2],
            costs.step[TILE_BY_ISSUE], costs.store, costs.steps, costs.rounds, costs.n_slots,
            1e3 * costs.seconds, 1e-12 * costs.flops / costs.seconds, names[costs.slowest]);
}

static void print_table(FILE *to, const char *units,
                        void (*model)(const struct tile_layer *, struct tile_costs *)) {
    fprintf(to, "%-38s %-13s %-12s %6s %6s %6s %6s %6s %7s %8s %5s %8s %6s  %s\n", "layer", "tile",
            "n x h x w", "tensor", "shared", "L2", "issue", "store", "steps", units, "slots", "ms",
            "TFLOP/s", "limit");
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        print_layer(to, &layers[i], model);
}

static void print_pyramid(FILE *to, const struct tile_pyramid *pyramid) {
    struct tile_costs mma, one;
    char name[80], box[40] = "of each rate";
    int length =
        snprintf(name, sizeof name, "%4d x %3d^2 %5d -> %3d %-6s d", pyramid->n, pyramid->size,
                 pyramid->c_in, pyramid->c_out, pyramid->is_concat ? "concat" : "sum");
    for (int r = 0; r < pyramid->n_rates && length < (int)sizeof name; r++)
        length += snprintf(name + length, sizeof name - (size_t)length, " %d", pyramid->rates[r]);
    tile_model_pyramid_mma(pyramid, &mma);
    tile_model_pyramid(pyramid, &one);
    double branches = tile_model_branches(pyramid);
    const struct conv2d_box_group *group = &one.boxes.groups[0];
    if (one.boxes.n_groups == 1)
        (void)snprintf(box, sizeof box, "%2d x %2d x %2d", group->box_n, group->box_h,
                       group->box_w);
    fprintf(to, "%-46s %-8s 128x%-3d x 2 %-12s %7.0f %5d %8.3f %5.0f %8.3f %5.0f %8.3f %5.0f\n",
            name, pyramid->is_gradient ? "gradient" : "forward", one.bn, box, one.steps,
            one.n_slots, 1e3 * mma.seconds, 1e-12 * mma.flops / mma.seconds, 1e3 * branches,
            1e-12 * one.flops / branches, 1e3 * one.seconds, 1e-12 * one.flops / one.seconds);
}

static void print_pyramids(FILE *to) {
    fprintf(to, "%-46s %-8s %-11s %-12s %7s %5s %-14s %-14s %-14s\n", "", "", "", "", "", "",
            " mma.sync, most", "  a launch each", "   one launch");
    fprintf(to, "%-46s %-8s %-11s %-12s %7s %5s %8s %5s %8s %5s %8s %5s\n", "pyramid", "pass",
            "tile", "n x h x w", "steps", "slots", "ms", "TF/s", "ms", "TF/s", "ms", "TF/s");
    for (size_t i = 0; i < sizeof pyramids / sizeof pyramids[0]; i++)
        print_pyramid(to, &pyramids[i]);
}

typedef void (*model_one)(const struct tile_layer *, struct tile_costs *);
typedef void (*model_all)(const struct tile_layer *, int, struct tile_costs *);

// Milliseconds and rate of a launch for each size, and of one for all.
static void print_both(FILE *to, const struct tile_layer *scales, model_one one, model_all all) {
    double seconds = 0.0;
    struct tile_costs costs;
    for (int i = 0; i < TILE_SCALES; i++) {
        one(&scales[i], &costs);
        seconds += costs.seconds;
    }
    all(scales, TILE_SCALES, &costs);
    fprintf(to, " %8.3f %5.0f %8.3f %5.0f", 1e3 * seconds, 1e-12 * costs.flops / seconds,
            1e3 * costs.seconds, 1e-12 * costs.flops / costs.seconds);
}

static void print_scales(FILE *to) {
    fprintf(to, "%-46s %-29s %-29s\n%-46s %8s %5s %8s %5s %8s %5s %8s %5s\n", "", "forward",
            "weight gradient", "layer", "three ms", "TF/s", "one ms", "TF/s", "three ms", "TF/s",
            "one ms", "TF/s");
    for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++) {
        struct tile_layer scales[TILE_SCALES];
        for (int scale = 0; scale < TILE_SCALES; scale++) {
            scales[scale] = scaled[i].layer;
            scales[scale].size = scaled[i].sizes[scale];
        }
        fprintf(to, "%4d x %3d^2 %3d^2 %3d^2 %5d -> %4d %d x %d d %-2d", scales->n, scales[0].size,
                scales[1].size, scales[2].size, scales->c_in, scales->c_out, scales->kernel,
                scales->kernel, scales->dilation);
        print_both(to, scales, tile_model, tile_model_scales);
        print_both(to, scales, tile_model_gradient, tile_model_gradient_scales);
        fputc('\n', to);
    }
}

void bench_tiles(FILE *to) {
    fprintf(to, "A model, not a measurement, of convolutions by wgmma on a GPU of compute "
                "capability 9.0. Assumed:\n");
    for (int i = 0; i < TILE_ASSUMPTION_COUNT; i++)
        fprintf(to, "  %-18s %7g %-8s %s\n", tile_assumptions[i].name, tile_assumptions[i].value,
                tile_assumptions[i].unit, tile_assumptions[i].meaning);
    fprintf(to, "\nForward pass. Cycles of a step of 64 source channels by each resource, and of "
                "storing a tile; steps and tiles of the block with the most. TFLOP/s count the "
                "products with zeros of the padding, as those of a library do, also where they are "
                "skipped.\n");
    print_table(to, "tiles", tile_model);
    fprintf(to, "\nWeight gradient. Cycles of a step of 64 pixels, and of storing the sums of a "
                "segment; steps and segments of the worker with the most; with the kernel that "
                "adds up the sums.\n");
    print_table(to, "segments", tile_model_gradient);
    fprintf(to,
            "\nAtrous pyramids, all rates in one launch; beside it a launch of the same kernel for "
            "each rate, and the tiles of mma.sync as far as these resources let them.\n");
    print_pyramids(to);
    fprintf(
        to,
        "\nThe three scales of a layer in one launch, as a step computes them; beside a launch for "
        "each.\n");
    print_scales(to);
}
