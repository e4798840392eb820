// SPDX-License-Identifier: MIT
// A model of the time of Hopper's convolution kernels (cuda/conv2d/conv2d_hopper.cu and
// conv2d_weight_gradient_hopper.cu): cycles of a step of 64 source channels, or 64 pixels, on one
// multiprocessor, for each of four resources, of which the slowest counts; the finished tile or
// slot, which no products overlap; and how many of them each block gets.
// It measures nothing: what it assumes is printed beside, so that a run on a GPU confirms or
// refutes numbers.
#ifndef ADELE_BENCH_TILE_MODEL_H
#define ADELE_BENCH_TILE_MODEL_H

#include "device/conv2d_box_work.h"
#include "device/conv2d_gradient_tiles.h"

#include <stdbool.h>

// Name, value, unit, meaning.
#define TILE_ASSUMPTIONS(ROW)                                                                      \
    ROW(multiprocessors, 132, "", "of an H100 SXM")                                                \
    ROW(clock, 1.755, "GHz", "under load, where power does not limit it")                          \
    ROW(matrix, 798, "TFLOP/s",                                                                    \
        "of wgmma: what a large matrix product in bf16 reaches at full power, of 989")             \
    ROW(shared, 128, "bytes",                                                                      \
        "a cycle of a multiprocessor's shared memory: wgmma reads the operands of each "           \
        "warpgroup, copies write them")                                                            \
    ROW(l2, 5500, "GB/s", "of the second-level cache to all multiprocessors together")             \
    ROW(l2_kept, 25, "MB",                                                                         \
        "of what a kernel has just written, the next one finds in that cache, of 50")              \
    ROW(memory, 3000, "GB/s", "of the GPU's memory: source, weights and target once")              \
    ROW(step_instructions, 78, "",                                                                 \
        "a consumer warp and step, counted in the SASS; two such warps share a scheduler")         \
    ROW(store_instructions, 170, "",                                                               \
        "a consumer warp and 64 finished channels, counted there too")                             \
    ROW(store_latency, 300, "cycles", "of 64 finished channels: two barriers, and fences")         \
    ROW(fill_latency, 1500, "cycles", "from the launch to the first products")

enum tile_assumption {
#define TILE_ENUM(name, value, unit, meaning) TILE_##name,
    TILE_ASSUMPTIONS(TILE_ENUM)
#undef TILE_ENUM
        TILE_ASSUMPTION_COUNT
};
struct tile_assumption_row {
    const char *name;
    double value;
    const char *unit, *meaning;
};
extern const struct tile_assumption_row tile_assumptions[TILE_ASSUMPTION_COUNT];

// A forward pass with stride 1 and as much padding as keeps the size.
struct tile_layer {
    int n, size, c_in, c_out, kernel, dilation;
};

// Forward pass of an atrous pyramid: a 3 x 3 convolution for each rate, 1 x 1 where it is 0, of the
// same source; their results are added, or lie one behind the other. With is_gradient the data
// gradient of that.
struct tile_pyramid {
    int n, size, c_in, c_out; // c_out: of a branch
    bool is_concat, is_gradient;
    int n_rates, rates[8];
};

enum tile_resource { TILE_BY_TENSOR, TILE_BY_SHARED, TILE_BY_L2, TILE_BY_ISSUE, TILE_RESOURCES };

struct tile_costs {
    struct conv2d_boxes boxes;
    int bn, n_tiles;
    bool is_paired;
    int n_slots; // of sums that a second kernel adds up, of a pair's two tiles each; 0: there is
                 // none
    double step[TILE_RESOURCES]; // cycles
    enum tile_resource slowest;
    double steps;   // of the block with the most, in the order of the list
    double store;   // cycles of a finished tile
    double rounds;  // tiles of that block
    double sum;     // seconds of the weight gradient's second kernel
    double seconds; // of the pass, at least what memory takes; of all its kernels
    double flops;   // all products of the convolution, those with zeros of the padding included
};

void tile_model(const struct tile_layer *layer, struct tile_costs *out);
// All rates in one launch. Then what was before: the tiles of aspp_mma.cu, 128 x 128 without a
// partner, as far as these resources let them; that mma.sync is slower than wgmma is not counted.
void tile_model_pyramid(const struct tile_pyramid *pyramid, struct tile_costs *out);
void tile_model_pyramid_mma(const struct tile_pyramid *pyramid, struct tile_costs *out);
// Seconds of a launch of the kernel for each rate, of which all but the first add to the target.
double tile_model_branches(const struct tile_pyramid *pyramid);
// The weight gradient: steps, slots in the place of finished tiles, and the sum of the slots.
void tile_model_gradient(const struct tile_layer *layer, struct tile_costs *out);
// n layers that differ in their sizes alone, the scales of a step, in one launch.
void tile_model_scales(const struct tile_layer *layers, int n, struct tile_costs *out);
void tile_model_gradient_scales(const struct tile_layer *layers, int n, struct tile_costs *out);
#endif
