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
            layer->dilation, costs.bn, costs.is_paired ? " x 2" : "    ", costs.boxes.box_n,
            costs.boxes.box_h, costs.boxes.box_w, costs.step[TILE_BY_TENSOR],
            costs.step[TILE_BY_SHARED], costs.step[TILE_BY_L2], costs.step[TILE_BY_ISSUE],
            costs.store, costs.steps, costs.rounds, costs.n_slots, 1e3 * costs.seconds,
            1e-12 * costs.flops / costs.seconds, names[costs.slowest]);
}

static void print_table(FILE *to, const char *units,
                        void (*model)(const struct tile_layer *, struct tile_costs *)) {
    fprintf(to, "%-38s %-13s %-12s %6s %6s %6s %6s %6s %7s %8s %5s %8s %6s  %s\n", "layer", "tile",
            "n x h x w", "tensor", "shared", "L2", "issue", "store", "steps", units, "slots", "ms",
            "TFLOP/s", "limit");
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        print_layer(to, &layers[i], model);
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
            "\nWhat one launch for the three scales of a layer would take, which no kernel does: "
            "beside three launches.\n");
    print_scales(to);
}
