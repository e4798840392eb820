// SPDX-License-Identifier: MIT
// adele-bench --tiles: what the model in tile_model.h says of Hopper's convolution kernels, at the
// shapes of the two pipelines.
#include "bench.h"

#include "tile_model.h"

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
            "%6.0f %6.0f %7.0f %8.0f %8.3f %6.0f  %s\n",
            layer->n, layer->size, layer->c_in, layer->c_out, layer->kernel, layer->kernel,
            layer->dilation, costs.bn, costs.is_paired ? " x 2" : "    ", costs.boxes.box_n,
            costs.boxes.box_h, costs.boxes.box_w, costs.step[TILE_BY_TENSOR],
            costs.step[TILE_BY_SHARED], costs.step[TILE_BY_L2], costs.step[TILE_BY_ISSUE],
            costs.store, costs.steps, costs.rounds, 1e3 * costs.seconds,
            1e-12 * costs.flops / costs.seconds, names[costs.slowest]);
}

static void print_table(FILE *to, const char *units,
                        void (*model)(const struct tile_layer *, struct tile_costs *)) {
    fprintf(to, "%-38s %-13s %-12s %6s %6s %6s %6s %6s %7s %8s %8s %6s  %s\n", "layer", "tile",
            "n x h x w", "tensor", "shared", "L2", "issue", "store", "steps", units, "ms",
            "TFLOP/s", "limit");
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        print_layer(to, &layers[i], model);
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
}
