// SPDX-License-Identifier: MIT
// Internal to the CPU convolution: Winograd's F(4 x 4, 3 x 3) of our own. conv2d_winograd.c has the
// tasks of the forward pass and the data gradient, conv2d_winograd_kernels.h the kernels, which
// conv2d_winograd_avx2.c, conv2d_winograd_avx512.c and conv2d_winograd_avx512_bf16.c compile.
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
//
// bf16: with that precision, and a processor that multiplies bf16, G weights G^T and B^T src B are
// rounded to bf16 instead of weights and src (which is bf16 already where the tensors are). The
// root mean square of a result's error is then 1.2 % of a result's own where operands are random,
// whatever the number of channels: 4.8 times what rounding the operands of a direct convolution
// makes by theory (tests/cpu/test_conv2d_winograd_bf16.c), and 5.5 times measured, as sums have
// another distribution than operands. With these points, 4.8 is within 2 % of the least that any
// +-p and +-q reach; 1 and 2 make it 10.8. The errors are as often positive as negative.
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

// 6 x 6 pixels of W channels of a tensor: rows[y] is pixel (y, first); the columns before `first`
// and from `end` on are zeros.
struct winograd_patch {
    const void *rows[WINOGRAD_PATCH];
    int first, end;
    bool is_bf16; // the tensor's values
};

// A tile's n_y x n_x pixels of W channels of a tensor, or less than a whole tile at its border.
struct winograd_pixels {
    void *first; // pixel (0, 0), which is only read where d_dst is meant
    size_t row;  // values from row to row
    int n_y, n_x;
    bool is_bf16;
};

// The kernels of one instruction set. W is the floats of a vector, which is the block of channels.
// The factors of the products at the points are floats, or bf16, of which two neighbours of a sum,
// n_paired = 2, lie in one lane of 32 bits. Points are counted in such lanes, also in `float *`.
struct winograd_kernels {
    int width;    // W
    int n_tiles;  // tiles that `multiply` takes at once
    int n_paired; // factors of a lane
    const char *name;

    // Point k of the patch goes to to + k * stride, W / n_paired lanes.
    void (*transform_src)(const struct winograd_patch *patch, float *to, size_t stride);
    // The same for the 9 taps from n_paired input channels to n_vectors * W output channels.
    void (*transform_weights)(const float *taps, int n_vectors, float *to, size_t stride);
    // One point: to (tiles, n_vectors W) = or += sum over channels of src (channel blocks
    // block_floats apart, tiles, W / n_paired) * weights (channels / n_paired, n_vectors W);
    // n_vectors is 1 or 2.
    void (*multiply)(const float *src, size_t block_floats, const float *weights, int n_blocks,
                     int n_vectors, bool adds, float *to);
    // The tile whose point k lies at from + k * stride, plus `bias` (W floats), to dst's pixels; +=
    // where `adds`.
    void (*transform_dst)(const float *from, size_t stride, const float *bias, bool adds,
                          const struct winograd_pixels *to);

    // The weight gradient, whose sums run over tiles. The points of n_paired tiles, of src and of
    // d_dst, beyond whose pixels a tile is zeros: W lanes each.
    void (*transform_src_tiles)(const struct winograd_patch *patches, float *to, size_t stride);
    void (*transform_d_dst)(const struct winograd_pixels *tiles, float *to, size_t stride);
    // One point, for W input and n_vectors W output channels: to (channels, n_vectors W) = or +=
    // sum over n_tiles of src (tiles / n_paired, W) * d_dst (vectors vector_floats apart,
    // tiles / n_paired, W).
    void (*multiply_gradient)(const float *src, const float *d_dst, size_t vector_floats,
                              int n_tiles, int n_vectors, bool adds, float *to);
    // The sums of all points, `stride` apart, of n_vectors W output channels to the 9 taps, as
    // transform_weights reads them.
    void (*transform_gradient)(const float *from, size_t stride, int n_vectors, float *taps);
};

// On x86-64 alone.
extern const struct winograd_kernels winograd_kernels_avx2;
extern const struct winograd_kernels winograd_kernels_avx512;
extern const struct winograd_kernels winograd_kernels_avx512_bf16;

// Tiles that cover so many pixels.
static inline int winograd_tiles(int extent) {
    return (extent + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
}

// The kernels for blocks of that many channels and the instruction set in use; NULL without.
// is_bf16: the factors may be rounded to bf16.
const struct winograd_kernels *winograd_kernels_of(int block, bool is_bf16);

// A plane (h, w, W) of a tensor.
struct winograd_plane {
    const void *values;
    int h, w;
    bool is_bf16;
};

// Plane i of a tensor of planes (h, w, W), and its patch that begins at pixel (y, x), with zeros
// outside.
struct winograd_plane winograd_plane_of(const struct winograd_kernels *kernels, const void *tensor,
                                        size_t i, int h, int w, bool is_bf16);
struct winograd_patch winograd_patch_at(const struct winograd_kernels *kernels,
                                        struct winograd_plane plane, int y, int x);
// Its pixels that belong to the tile that begins at pixel (y, x).
struct winograd_pixels winograd_pixels_at(const struct winograd_kernels *kernels,
                                          struct winograd_plane plane, int y, int x);

#endif
