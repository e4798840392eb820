// SPDX-License-Identifier: MIT
// How the weight gradient of a convolution is cut up for kernels that copy boxes of pixels
// (cuda/conv2d/conv2d_weight_gradient_hopper.cu). Host code without a GPU, so that tests and the
// model of bench/ have it everywhere.
//
// The gradient is a matrix product whose inner index runs over the output pixels of all images:
//
//   d_weight[row = (tap, source channel)][column = target channel] =
//       sum over pixels of src[the tap's pixel][source channel] d_dst[pixel][target channel].
//
// Rows are counted in chunks of 64 source channels of one tap: chunk = tap (c_in / 64) + c / 64. A
// tile is 2 chunks (4 for two blocks that share their columns) x bn columns. A step of the inner
// index is a box of output pixels. A tile's boxes begin at the corner of the smallest rectangle of
// outputs for which any of its taps lies inside of the image: where a box reaches beyond this
// rectangle, either the outputs end or all taps are in the padding, so that the copies read zeros.
//
// The inner index may run over several pairs of tensors, the scales of a step, which differ in
// their extents: a tile then has a rectangle in each, and its steps are those of scale 0, then
// those of scale 1, and so on. Each scale has a box of its own, but all boxes have the same number
// of pixels: the kernel clears what no box fills once, before its first copy.
//
// The steps of all tiles, one tile behind the other, are dealt out to workers (stream-K) so that
// none costs more than it must, with the slots that it writes: what a worker does of one tile is a
// segment; its sums have a slot of their own, and the slots of a tile are added up in their order.
// A segment has a run of steps in each scale that it reaches.
// All of this depends on the shapes alone, never on the GPU: the same bits everywhere.
#ifndef ADELE_DEVICE_CONV2D_GRADIENT_TILES_H
#define ADELE_DEVICE_CONV2D_GRADIENT_TILES_H

#include "device/tensor.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GRADIENT_CHANNELS   64 // of a chunk: a row of 128 bytes, the width of the swizzle
#define GRADIENT_PIXELS     64 // of a box, at most
#define GRADIENT_ROWS       2  // chunks of a block's tile
#define GRADIENT_MAX_KERNEL 5
#define GRADIENT_MAX_STRIDE 4   // a box of 64 pixels then spans 256, the most that a copy can
#define GRADIENT_BLOCKS     132 // multiprocessors of an H100

struct gradient_scale {
    int n, h_in, w_in, h_out, w_out; // images, extents of source and target
    // Filled in by gradient_tiles_choose.
    int box_n, box_h, box_w;
};

struct gradient_tiles {
    struct gradient_scale scales[ADELE_MAX_SCALES];
    int n_scales;
    int c_in, c_out; // multiples of GRADIENT_CHANNELS
    int kernel, stride, pad, dilation;
    // Chosen where they are 0: columns of a tile (64, 128, 256), blocks of a launch, steps that a
    // worker shall have at least.
    int bn, most_blocks, least_steps;
    // Filled in by gradient_tiles_choose.
    int box_pixels;        // of each scale's box
    bool is_paired;        // a worker is two blocks, which share their columns
    int n_chunks;          // of rows
    int n_rows, n_columns; // tiles; tile = column n_rows + row
    int n_workers;
    int64_t n_steps; // of all tiles
    int64_t level;   // the cost up to which a worker takes steps
};

struct gradient_segment {
    int chunk, column; // the tile's first chunk, and its first target channel
    int n_steps;       // of all its runs
    int run, n_runs;   // its runs, in the order of scales, are [run, run + n_runs)
};
struct gradient_run {
    int segment; // its number
    int scale;
    int x, y, n_x, n_y; // the tile's rectangle: its first output pixel, its boxes
    int first, n_steps; // of the rectangle's boxes: x first, then y, then images
};

void gradient_tiles_choose(struct gradient_tiles *tiles);
// Chunks of rows of a tile: of one block, or of a pair.
int gradient_tile_chunks(const struct gradient_tiles *tiles);
int gradient_tile_count(const struct gradient_tiles *tiles);
// Of a step and of a slot, in bytes that a block asks of the second-level cache, which limits
// nearly every layer (bench/tile_model.h).
int64_t gradient_step_cost(const struct gradient_tiles *tiles);
int64_t gradient_slot_cost(const struct gradient_tiles *tiles);
// Of all: the level, and a block's share of what the kernel that adds up the slots reads and
// writes.
int64_t gradient_tiles_cost(const struct gradient_tiles *tiles);
// Segments in the order of tiles, which is that of workers too; returns their number, at most tiles
// + workers. Worker w has segments [starts[w], starts[w + 1]), tile t [slots[t], slots[t + 1]),
// none where all its taps are in the padding. Small layers leave workers without a segment. *n_runs
// is at most scales * tiles + workers; a scale where all taps of a tile are in the padding has
// none.
int gradient_tiles_list(const struct gradient_tiles *tiles, struct gradient_segment *segments,
                        struct gradient_run *runs, int *n_runs, int *starts, int *slots);

#ifdef __cplusplus
}
#endif
#endif
