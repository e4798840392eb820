// SPDX-License-Identifier: MIT
// How kernels that copy boxes of pixels (cuda/conv2d/conv2d_hopper.cu) cut the target of a
// convolution into tiles. Host code without a GPU, so that tests and the model of
// bench/ have it everywhere.
//
// Target pixel (x, y) meets, through tap (ky, kx), source pixel (x + offset_x + kx apart,
// y + offset_y + ky apart). A data gradient with a stride is several such products, one for each
// parity of the target's rows and columns (conv2d_parity). A tile is a box of width x height pixels
// of some images, and costs as many steps as it has live taps: those through which any of its
// pixels meets a source pixel.
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
#define CONV2D_BOX_MAX_KERNEL 5   // its taps are the bits of an unsigned

struct conv2d_boxes {
    int n, h, w, h_source, w_source; // images, extents of target and source
    int kernel_x, kernel_y, offset_x, offset_y, apart;
    bool is_spread;          // the target's pixels do not lie side by side in memory
    int box_n, box_h, box_w; // chosen by conv2d_boxes_choose
};

struct conv2d_box_tile {
    int x, y, n;   // of the first pixel
    unsigned taps; // the live ones, bit ky kernel_x + kx
};

// The rows (or columns) first, first + stride, ... of a data gradient's target, in their own count
// y: through tap tap_first + k tap_step of the kernel, k below n_taps, row y meets source row y +
// offset + k apart. No tap: the gradient is zero there.
struct conv2d_parity {
    int n_taps, tap_first, tap_step, offset, apart;
};
struct conv2d_parity conv2d_parity_of(int first, int kernel, int stride, int pad, int dilation);

// Fills in the box with the fewest live taps over all tiles, and of equal ones the widest, whose
// rows are the longest runs of memory. A 1 x 1 kernel without padding is a plain matrix product:
// its images become one row of pixels, so that only the last box is not full.
void conv2d_boxes_choose(struct conv2d_boxes *boxes);
int conv2d_boxes_count(const struct conv2d_boxes *boxes);
// The tiles, those with most taps first, equal sets of taps together. `tiles` has room for
// conv2d_boxes_count of them and one more.
void conv2d_boxes_list(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles);
// Makes pairs of neighbours in the list: both get the taps of either. A last one without a
// neighbour gets one beyond the last image, which reads zeros and writes nothing. Returns the new
// number of tiles.
int conv2d_boxes_pair(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles, int n_tiles);
// Bits of `taps`.
int conv2d_box_count_taps(unsigned taps);

#ifdef __cplusplus
}
#endif
#endif
