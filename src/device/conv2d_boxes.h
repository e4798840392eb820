// SPDX-License-Identifier: MIT
// How kernels that copy boxes of pixels (cuda/conv2d/conv2d_hopper.cu) cut the target of a
// convolution into tiles. Host code without a GPU, so that tests and the model of
// bench/ have it everywhere.
//
// Target pixel (x, y) meets, through each tap, source pixel (x + tap.x, y + tap.y). A data gradient
// with a stride is several such products, one for each parity of the target's rows and columns
// (conv2d_parity). An atrous pyramid is one, with the taps of all rates; and so is a convolution at
// several scales, whose tensors differ and whose taps are the same. A tile is a box of width x
// height pixels of some images, and costs as many steps as it has live taps: those through which
// any of its pixels meets a source pixel.
//
// With a large dilation a small box over many images has few of them: near the border of the map
// all its pixels miss the same taps.
#ifndef ADELE_DEVICE_CONV2D_BOXES_H
#define ADELE_DEVICE_CONV2D_BOXES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONV2D_BOX_PIXELS     128 // of a tile, at most
#define CONV2D_BOX_MAX_KERNEL 5
#define CONV2D_BOX_MAX_TAPS   64 // the bits of a tile's live ones
#define CONV2D_BOX_MAX_GROUPS 8

struct conv2d_box_tap {
    int x, y;    // source pixel minus target pixel
    int source;  // the first source channel that it reads
    int weights; // its number among the taps of the weights
};
struct conv2d_box_extents {
    int n, h, w, h_source, w_source; // images, extents of target and source
};
// What has tiles of its own: a branch of a concatenated pyramid, which has taps of its own and the
// target channels from channel_first on; or a scale, which has extents of its own.
struct conv2d_box_group {
    struct conv2d_box_extents extents;
    int tap_first, n_taps, channel_first;
    int box_n, box_h, box_w; // chosen by conv2d_boxes_choose
};

struct conv2d_boxes {
    int n_taps, n_groups;
    struct conv2d_box_tap taps[CONV2D_BOX_MAX_TAPS]; // of all groups
    struct conv2d_box_group groups[CONV2D_BOX_MAX_GROUPS];
    bool is_spread; // the target's pixels do not lie side by side in memory
};

struct conv2d_box_tile {
    int x, y, n; // of the first pixel
    int group;
    uint64_t taps; // the live ones
};

// The rows (or columns) first, first + stride, ... of a data gradient's target, in their own count
// y: through tap tap_first + k tap_step of the kernel, k below n_taps, row y meets source row y +
// offset + k apart. No tap: the gradient is zero there.
struct conv2d_parity {
    int n_taps, tap_first, tap_step, offset, apart;
};
struct conv2d_parity conv2d_parity_of(int first, int kernel, int stride, int pad, int dilation);

// A kernel_x x kernel_y kernel: another group, of all target channels from `channel_first` on. Tap
// (ky, kx) is at (offset_y + ky apart, offset_x + kx apart) and has number ky kernel_x + kx.
struct conv2d_box_kernel {
    int kernel_x, kernel_y, offset_x, offset_y, apart;
};
void conv2d_boxes_add(struct conv2d_boxes *boxes, struct conv2d_box_extents extents,
                      struct conv2d_box_kernel kernel, int channel_first);
// Another group, with the taps and channels of the first.
void conv2d_boxes_add_scale(struct conv2d_boxes *boxes, struct conv2d_box_extents extents);

// Fills in each group's box with the fewest live taps over all its tiles, and of equal ones the
// widest, whose rows are the longest runs of memory. Where a 1 x 1 kernel without padding is the
// only one, each group is a plain matrix product: its images become one row of pixels, so that only
// the last box is not full.
void conv2d_boxes_choose(struct conv2d_boxes *boxes);
// Tiles of all groups.
int conv2d_boxes_count(const struct conv2d_boxes *boxes);
// The tiles, group by group, in each those with most taps first, equal sets of taps together.
// `tiles` has room for conv2d_boxes_count of them and one more for each group.
void conv2d_boxes_list(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles);
// Makes pairs of neighbours in each group's list: both get the taps of either. A last one without a
// neighbour gets one beyond the last image, which reads zeros and writes nothing. Of several groups
// the pairs with most taps come first, whatever their groups are. Returns the new number of tiles;
// n_tiles: those of the list, of which the last group may have fewer.
int conv2d_boxes_pair(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles, int n_tiles);
// Bits of `taps`.
int conv2d_box_count_taps(uint64_t taps);

#ifdef __cplusplus
}
#endif
#endif
