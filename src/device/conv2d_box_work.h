// SPDX-License-Identifier: MIT
// How the tiles of a convolution (device/conv2d_boxes.h) are dealt out to the blocks of
// cuda/conv2d/conv2d_hopper.cu. Host code without a GPU, so that tests and the model of bench/ have
// it everywhere.
//
// An item is a tile, or two for a pair of blocks, times a run of target channels; it costs as many
// steps as it has live taps times chunks of 64 source channels. A worker is a block or a pair.
// Workers take whole items in turn. Where the items that are left do not fill the last round, or
// the ones before differ in their steps, the steps of the last few rounds are dealt out to all
// workers (stream-K): what a worker does of one item is a segment, its
// sums have a slot of their own, and a second kernel adds up the slots of an item in their order,
// which costs memory traffic and a launch.
//
// Whether and where items are split fixes the order of sums, and is chosen from the shape alone,
// for a GPU of CONV2D_WORK_BLOCKS multiprocessors, whatever the GPU: the same bits everywhere.
#ifndef ADELE_DEVICE_CONV2D_BOX_WORK_H
#define ADELE_DEVICE_CONV2D_BOX_WORK_H

#include "device/conv2d_boxes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CONV2D_WORK_BLOCKS      132 // multiprocessors of an H100
#define CONV2D_WORK_MOST_BLOCKS 256
// Costs are bytes that a block asks of the second-level cache, which limits nearly every layer
// (bench/tile_model.h): 24 in a cycle.
#define CONV2D_LAUNCH_COST 36000 // 1,500 cycles

enum conv2d_split { CONV2D_SPLIT_BY_COST, CONV2D_SPLIT_NEVER, CONV2D_SPLIT_ALWAYS };

struct conv2d_box_work {
    const struct conv2d_box_tile *tiles; // (n_tiles), pairs when is_paired
    int n_tiles;
    bool is_paired;
    int c_target, n_chunks; // target channels of a tile's group; steps of a tap
    int gpu_blocks;         // of a launch without splits, at most CONV2D_WORK_MOST_BLOCKS
    int split_blocks;       // of one with splits
    enum conv2d_split split;
    int bn; // target channels of a tile (64, 128, 256); chosen where it is 0
    // Filled in by conv2d_box_work_choose.
    int n_columns, n_items, n_workers;
    int n_whole;   // items that are not split, the first ones; n_items: there is no other
    int n_sharers; // workers that share the others, the last ones
    int64_t level; // the cost up to which sharers take steps
    // Of the list.
    int n_segments, n_slots, n_sums;
};

struct conv2d_box_segment {
    int tile, column;   // the item's first tile, and its first target channel of the group's
    int first, n_steps; // of the item's steps
    int slot;           // of the sums; -1: all steps of the item, which is finished at once
};
// An item whose sums lie in slots.
struct conv2d_box_sum {
    int tile, column, slot, n_slots;
};

void conv2d_box_work_choose(struct conv2d_box_work *work);
// Segments in the order of workers; worker w has [starts[w], starts[w + 1]). The arrays have room
// for the numbers that conv2d_box_work_choose left in the struct, and starts for one more than
// workers.
void conv2d_box_work_list(const struct conv2d_box_work *work, struct conv2d_box_segment *segments,
                          int *starts, struct conv2d_box_sum *sums);

#ifdef __cplusplus
}
#endif
#endif
