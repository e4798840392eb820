// SPDX-License-Identifier: MIT
// Internal to the CPU convolution: Winograd's F(4 x 4, 3 x 3) of our own. conv2d_winograd.c has the
// tasks of the forward pass and the data gradient, conv2d_winograd_kernels.h the kernels, which
// conv2d_winograd_avx2.c and conv2d_winograd_avx512.c compile.
//
// A tile of 4 x 4 outputs needs 6 x 6 inputs. With a polynomial's values at six points instead of
// its coefficients, in both directions, the 9 products of each output and channel become 36
// products of a tile and channel:
//
//     dst tile = A^T [sum over channels of (G weights G^T) * (B^T src tile B)] A
//
// The points are 0, +-11/16, +-3/2 and infinity. The textbook's 0, +-1, +-2 and infinity need no
// more operations where the processor has multiply-add instructions, and round more: with 64
// channels, the error of an output beside that of a sum of the products themselves is 4.0 times as
// large with the textbook's points, 1.9 with oneDNN's (+-5/8, +-3/2), and 1.8 with these. All
// coefficients of A and B are exact in float.
#ifndef ADELE_CPU_CONV2D_WINOGRAD_H
#define ADELE_CPU_CONV2D_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#define WINOGRAD_TILE      4  // outputs of a tile, both ways
#define WINOGRAD_PATCH     6  // inputs of a tile, both ways
#define WINOGRAD_POINTS    36 // products of a tile and channel
#define WINOGRAD_TAPS      9
#define WINOGRAD_MAX_WIDTH 16 // floats of a vector

#define WINOGRAD_P (11.0F / 16.0F) // the points 0, +-P, +-Q and infinity
#define WINOGRAD_Q (3.0F / 2.0F)

// The kernels of one instruction set. W is the floats of a vector, which is the block of channels.
struct winograd_kernels {
    int width;   // W
    int n_tiles; // tiles that `multiply` takes at once
    const char *name;

    // Point k of the patch (6 x 6 pixels of W channels) goes to to + k * stride. rows[y] is pixel
    // (y, first) of the patch; the columns before `first` and from `end` on are zeros.
    void (*transform_src)(const float *const rows[WINOGRAD_PATCH], int first, int end, float *to,
                          size_t stride);
    // The same for a kernel's 9 taps of n_vectors * W output channels.
    void (*transform_weights)(const float *taps, int n_vectors, float *to, size_t stride);
    // One point: to (tiles, n_vectors W) = or += sum over channels of src (channel blocks
    // block_floats apart, tiles, W) * weights (channels, n_vectors W); n_vectors is 1 or 2.
    void (*multiply)(const float *src, size_t block_floats, const float *weights, int n_blocks,
                     int n_vectors, bool adds, float *to);
    // The tile whose point k lies at from + k * stride, plus `bias` (W floats), to n_y x n_x pixels
    // of dst; += where `adds`.
    void (*transform_dst)(const float *from, size_t stride, const float *bias, bool adds,
                          float *dst, size_t row_floats, int n_y, int n_x);

    // The weight gradient. The points of n_y x n_x pixels of d_dst, the rest of the tile being
    // zero:
    void (*transform_d_dst)(const float *d_dst, size_t row_floats, int n_y, int n_x, float *to,
                            size_t stride);
    // One point, for W input and n_vectors W output channels: to (channels, n_vectors W) = or +=
    // sum over n_tiles of src (tiles, W) * d_dst (vectors vector_floats apart, tiles, W).
    void (*multiply_gradient)(const float *src, const float *d_dst, size_t vector_floats,
                              int n_tiles, int n_vectors, bool adds, float *to);
    // The sums of all points, `stride` apart, of n_vectors W output channels to the 9 taps, as
    // transform_weights reads them.
    void (*transform_gradient)(const float *from, size_t stride, int n_vectors, float *taps);
};

// NULL where the compiler has no such instruction set.
const struct winograd_kernels *winograd_kernels_avx2(void);
const struct winograd_kernels *winograd_kernels_avx512(void);

// Tiles that cover so many pixels.
static inline int winograd_tiles(int extent) {
    return (extent + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
}

// The kernels for blocks of that many channels and the instruction set in use; NULL without.
const struct winograd_kernels *winograd_kernels_of(int block);

// The points of the patch that begins at pixel (y, x) of a plane (h, w, W), with zeros outside.
void winograd_transform_patch(const struct winograd_kernels *kernels, const float *plane, int h,
                              int w, int y, int x, float *to, size_t stride);

#endif
