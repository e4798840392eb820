// SPDX-License-Identifier: MIT
// The weight gradient of a 3 x 3 convolution of stride 1 by Winograd's algorithm: the transpose of
// F(4 x 4, 3 x 3), which multiplies at the same 36 points,
//
//     d_weight += G^T [sum over tiles of (A d_dst tile A^T) * (B^T src tile B)] G
//
// What it improves on: conv2d_weight_gradient.c multiplies four times as often.
//
// The tiles of all images are taken in blocks, one after the other. First the threads share the
// transforms of the block's tiles, by channels; then they share the products, by points and output
// channels. So each sum belongs to one thread at a time and has one order, that of the tiles, for
// any number of threads, and no thread needs sums of its own.
//
// Layers of many channels have few tiles, whose points take less memory than the sums of all
// channels. There one block has all tiles, and a thread makes the sums of a part of the channels at
// all points, in its second-level cache, and takes them back to taps at once. A step of a U-Net of
// width 64 in bf16 takes a tenth less time so.
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "cpu/team.h"

#include <string.h>

#define PATCH_BYTES ((size_t)1 << 20) // of a block of tiles: two small second-level caches
#define MIN_BLOCK   64   // tiles: the sums, which may be larger than all caches, are read for each
#define MAX_BLOCK   1024 // block; measured at 32 to 1024
#define SUM_TILES   256  // between which a sum leaves the registers: their d_dst stays in L1
#define SHARE_TILES 16   // that a thread transforms at a time
#define PART_BLOCKS 4    // blocks of input channels of a part: 300 KB of sums for blocks of 16
#define MIN_EXTENT  8    // pixels, both ways
#define LINE_FLOATS 16   // a cache line; strides of a power of two would share few sets of a cache

// ---- plan ---------------------------------------------------------------------------------------

static int64_t count_tiles(const struct conv2d *self) {
    return (int64_t)self->desc.n * winograd_tiles(self->h_out) * winograd_tiles(self->w_out);
}

// Measured beside conv2d_weight_gradient.c on a Zen 3 processor with AVX2 and batches of 5,
// channels from 8 to 512: 1.2 to 3.4 times as fast from 8 x 8 pixels on, most with many channels.
// It loses on images of few channels, since it transforms and multiplies the padding channels too,
// and below 8 x 8 pixels with 256 channels.
static bool is_faster(const struct conv2d *self, int width) {
    return self->h_out >= MIN_EXTENT && self->w_out >= MIN_EXTENT && 2 * self->desc.c_in > width;
}

static int n_threads_of(const struct conv2d *self) {
    return team_size(cpu_n_threads(self->base.op.device));
}

static int count_pairs(const struct conv2d *self) {
    return (self->c_out_padded / self->weight_gradient.winograd->width + 1) / 2;
}

static int count_parts(const struct conv2d *self) {
    int n_in = self->c_in_padded / self->weight_gradient.winograd->width;
    return (n_in + PART_BLOCKS - 1) / PART_BLOCKS;
}

// One block of all tiles: its points take no more memory than the sums of all channels, and there
// are enough parts for all threads. The order of the sums is the same.
static bool is_whole(const struct conv2d *self) {
    int64_t in = self->c_in_padded, out = self->c_out_padded;
    return count_tiles(self) * (in + out) <= in * out * self->weight_gradient.winograd->n_paired &&
           count_pairs(self) * count_parts(self) >= 2 * cpu_n_threads(self->base.op.device);
}

static void plan_sums(const struct conv2d *self, struct conv2d_weight_gradient *plan) {
    size_t width = (size_t)plan->winograd->width, n_copies = 1;
    plan->sum_stride =
        (size_t)count_pairs(self) * (size_t)self->c_in_padded * 2 * width + LINE_FLOATS;
    if (plan->is_whole) {
        plan->sum_stride = PART_BLOCKS * width * 2 * width + LINE_FLOATS;
        n_copies = (size_t)cpu_n_threads(self->base.op.device);
    }
    plan->partial_bytes = n_copies * WINOGRAD_POINTS * plan->sum_stride * sizeof(float);
}

bool conv2d_winograd_gradient_plan(struct conv2d *self) {
    const struct adele_conv2d_desc *desc = &self->desc;
    const struct winograd_kernels *kernels =
        winograd_kernels_of(cpu_block(self->base.op.device), self->rounds);
    if (kernels == NULL || desc->kernel != 3 || desc->stride != 1 || desc->dilation != 1 ||
        desc->pad > 2 || !cpu_has_winograd(self->base.op.device) ||
        !is_faster(self, kernels->width))
        return false;
    struct conv2d_weight_gradient *plan = &self->weight_gradient;
    size_t channels = (size_t)self->c_in_padded + (size_t)self->c_out_padded;
    size_t n_paired = (size_t)kernels->n_paired;
    size_t n_block = PATCH_BYTES / (WINOGRAD_POINTS * channels * sizeof(float)) * n_paired;
    n_block = n_block < MIN_BLOCK ? MIN_BLOCK : n_block > MAX_BLOCK ? MAX_BLOCK : n_block;
    int64_t n_tiles = count_tiles(self);
    plan->winograd = kernels;
    plan->is_whole = is_whole(self);
    plan->n_block = plan->is_whole || n_tiles < (int64_t)n_block ? (int)n_tiles : (int)n_block;
    plan->n_block += plan->n_block % kernels->n_paired;
    size_t n_lanes = (size_t)plan->n_block / n_paired; // of a channel
    plan->src_stride = (size_t)self->c_in_padded * n_lanes + LINE_FLOATS;
    plan->d_dst_stride = (size_t)self->c_out_padded * n_lanes + LINE_FLOATS;
    plan_sums(self, plan);
    plan->buffer_bytes = WINOGRAD_POINTS * (plan->src_stride + plan->d_dst_stride) * sizeof(float);
    plan->is_used = true;
    return true;
}

// ---- transforms ---------------------------------------------------------------------------------

// A block of tiles.
struct block {
    const struct conv2d *self;
    const void *src, *d_dst;
    bool is_bf16; // both
    int64_t first;
    int n_tiles;
    float *src_points, *d_dst_points; // 36 of (channel blocks, plan->n_block / n_paired, W)
    float *sums; // 36 of (pairs of blocks of c_out, c_in, 2 W); or of a part, for each thread
};

// Tile t of the block: its image, and the pixel of dst that it begins with.
struct place {
    size_t n;
    int y, x;
};

static struct place place_of(const struct block *block, int t) {
    int tiles_x = winograd_tiles(block->self->w_out);
    int n_image = winograd_tiles(block->self->h_out) * tiles_x;
    int in_image = (int)((block->first + t) % n_image);
    return (struct place){.n = (size_t)((block->first + t) / n_image),
                          .y = in_image / tiles_x * WINOGRAD_TILE,
                          .x = in_image % tiles_x * WINOGRAD_TILE};
}

// The n tiles from t on, whose factors lie in the same lanes, in one block of channels; zeros for
// those that the block has not.
static void transform_src(const struct block *block, int i_block, int t, int n) {
    const struct conv2d *self = block->self;
    const struct adele_conv2d_desc *desc = &self->desc;
    const struct conv2d_weight_gradient *plan = &self->weight_gradient;
    int width = plan->winograd->width, n_in = self->c_in_padded / width;
    struct winograd_patch patches[2] = {{.first = 0}};
    for (int i = 0; i < n && t + i < block->n_tiles; i++) {
        struct place at = place_of(block, t + i);
        struct winograd_plane plane =
            winograd_plane_of(plan->winograd, block->src, at.n * (size_t)n_in + (size_t)i_block,
                              desc->h_in, desc->w_in, block->is_bf16);
        patches[i] = winograd_patch_at(plan->winograd, plane, at.y - desc->pad, at.x - desc->pad);
    }
    plan->winograd->transform_src_tiles(
        patches,
        block->src_points + ((size_t)(i_block * plan->n_block + t) / (size_t)n * (size_t)width),
        plan->src_stride);
}

static void transform_d_dst(const struct block *block, int i_block, int t, int n) {
    const struct conv2d *self = block->self;
    const struct conv2d_weight_gradient *plan = &self->weight_gradient;
    int width = plan->winograd->width, n_out = self->c_out_padded / width;
    struct winograd_pixels tiles[2] = {{.n_y = 0}};
    for (int i = 0; i < n && t + i < block->n_tiles; i++) {
        struct place at = place_of(block, t + i);
        struct winograd_plane plane =
            winograd_plane_of(plan->winograd, block->d_dst, at.n * (size_t)n_out + (size_t)i_block,
                              self->h_out, self->w_out, block->is_bf16);
        tiles[i] = winograd_pixels_at(plan->winograd, plane, at.y, at.x);
    }
    plan->winograd->transform_d_dst(
        tiles,
        block->d_dst_points + ((size_t)(i_block * plan->n_block + t) / (size_t)n * (size_t)width),
        plan->d_dst_stride);
}

// The tiles first .. end - 1 of the block in one block of channels: of src, then of d_dst.
static void transform_tiles(const struct block *block, int b, int first, int end) {
    const struct conv2d *self = block->self;
    int n_paired = self->weight_gradient.winograd->n_paired;
    int n_in = self->c_in_padded / self->weight_gradient.winograd->width;
    for (int t = first; t < end; t += n_paired)
        if (b < n_in)
            transform_src(block, b, t, n_paired);
        else
            transform_d_dst(block, b - n_in, t, n_paired);
}

// ---- products -----------------------------------------------------------------------------------

// Point k, one or two vectors of output channels, the blocks first .. end - 1 of input channels.
static void multiply_tiles(const struct block *block, int k, int pair, int first, int end,
                           float *sums) {
    const struct conv2d *self = block->self;
    const struct conv2d_weight_gradient *plan = &self->weight_gradient;
    int width = plan->winograd->width;
    int n_vectors = self->c_out_padded / width - 2 * pair < 2 ? 1 : 2;
    int n_paired = plan->winograd->n_paired;
    size_t vector_floats = (size_t)(plan->n_block / n_paired * width);
    const float *src = block->src_points + (size_t)k * plan->src_stride;
    const float *d_dst =
        block->d_dst_points + (size_t)k * plan->d_dst_stride + (size_t)(2 * pair) * vector_floats;
    for (int t = 0; t < block->n_tiles; t += SUM_TILES)
        for (int b = first; b < end; b++)
            plan->winograd->multiply_gradient(
                src + (size_t)b * vector_floats + (size_t)(t / n_paired * width),
                d_dst + (size_t)(t / n_paired * width), vector_floats,
                block->n_tiles - t < SUM_TILES ? block->n_tiles - t : SUM_TILES, n_vectors,
                block->first + t > 0, sums + (size_t)((b - first) * width * n_vectors * width));
}

// The sums of point k of all input and a pair of blocks of output channels.
static float *pair_sums(const struct block *block, int k, int pair) {
    const struct conv2d *self = block->self;
    const struct conv2d_weight_gradient *plan = &self->weight_gradient;
    return block->sums + (size_t)k * plan->sum_stride +
           (size_t)pair * (size_t)self->c_in_padded * 2 * (size_t)plan->winograd->width;
}

// ---- back to taps -------------------------------------------------------------------------------

// d_weight += the taps from input channel c to one or two vectors of output channels, whose sums
// begin at `sums`.
static void add_taps(const struct conv2d *self, const float *sums, int pair, int c,
                     float *d_weight) {
    const struct adele_conv2d_desc *desc = &self->desc;
    const struct conv2d_weight_gradient *plan = &self->weight_gradient;
    int width = plan->winograd->width;
    int n_vectors = self->c_out_padded / width - 2 * pair < 2 ? 1 : 2;
    int n_lanes = n_vectors * width, first = 2 * pair * width;
    float taps[WINOGRAD_TAPS * 2 * WINOGRAD_MAX_WIDTH];
    plan->winograd->transform_gradient(sums, plan->sum_stride, n_vectors, taps);
    for (int lane = 0; lane < n_lanes && first + lane < desc->c_out; lane++) {
        float *to =
            d_weight + ((size_t)(first + lane) * (size_t)desc->c_in + (size_t)c) * WINOGRAD_TAPS;
        for (int tap = 0; tap < WINOGRAD_TAPS; tap++)
            to[tap] += taps[tap * n_lanes + lane];
    }
}

// Lanes of the sums of one input channel.
static size_t lanes_of(const struct conv2d *self, int pair) {
    int width = self->weight_gradient.winograd->width;
    return (size_t)(self->c_out_padded / width - 2 * pair < 2 ? width : 2 * width);
}

// d_weight += the gradient from a part of the input channels to a pair of blocks of output
// channels; `sums` is the thread's own.
static void run_part(const struct block *block, int pair, int part, float *sums, float *d_weight) {
    const struct conv2d *self = block->self;
    int width = self->weight_gradient.winograd->width, n_in = self->c_in_padded / width;
    int first = part * PART_BLOCKS, end = first + PART_BLOCKS < n_in ? first + PART_BLOCKS : n_in;
    for (int k = 0; k < WINOGRAD_POINTS; k++)
        multiply_tiles(block, k, pair, first, end,
                       sums + (size_t)k * self->weight_gradient.sum_stride);
    for (int c = first * width; c < end * width && c < self->desc.c_in; c++)
        add_taps(self, sums + (size_t)(c - first * width) * lanes_of(self, pair), pair, c,
                 d_weight);
}

// ---- run ----------------------------------------------------------------------------------------

static void transform_block(const struct block *block) {
    const struct conv2d *self = block->self;
    int width = self->weight_gradient.winograd->width, n_tiles = block->n_tiles;
    int n_blocks = (self->c_in_padded + self->c_out_padded) / width;
#pragma omp parallel for collapse(2) schedule(static) num_threads(n_threads_of(self))
    for (int b = 0; b < n_blocks; b++)
        for (int t = 0; t < n_tiles; t += SHARE_TILES)
            transform_tiles(block, b, t, t + SHARE_TILES < n_tiles ? t + SHARE_TILES : n_tiles);
}

static void multiply_block(const struct block *block) {
    const struct conv2d *self = block->self;
    int n_in = self->c_in_padded / self->weight_gradient.winograd->width;
    int n_pairs = count_pairs(self);
#pragma omp parallel for collapse(2) schedule(static) num_threads(n_threads_of(self))
    for (int k = 0; k < WINOGRAD_POINTS; k++)
        for (int pair = 0; pair < n_pairs; pair++)
            multiply_tiles(block, k, pair, 0, n_in, pair_sums(block, k, pair));
}

static void run_blocks(struct block *block, int64_t n_tiles, float *d_weight) {
    const struct conv2d *self = block->self;
    int n_block = self->weight_gradient.n_block, c_in = self->desc.c_in;
    int n_pairs = count_pairs(self);
    for (; block->first < n_tiles; block->first += n_block) {
        int64_t left = n_tiles - block->first;
        block->n_tiles = left < n_block ? (int)left : n_block;
        transform_block(block);
        multiply_block(block);
    }
#pragma omp parallel for collapse(2) schedule(static) num_threads(n_threads_of(self))
    for (int pair = 0; pair < n_pairs; pair++)
        for (int c = 0; c < c_in; c++)
            add_taps(self, pair_sums(block, 0, pair) + (size_t)c * lanes_of(self, pair), pair, c,
                     d_weight);
}

// All tiles are one block.
static void run_parts(const struct block *block, float *d_weight) {
    const struct conv2d *self = block->self;
    int n_pairs = count_pairs(self), n_parts = count_parts(self);
    transform_block(block);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(n_threads_of(self))
    for (int pair = 0; pair < n_pairs; pair++)
        for (int part = 0; part < n_parts; part++)
            run_part(block, pair, part,
                     block->sums + (size_t)omp_get_thread_num() * WINOGRAD_POINTS *
                                       self->weight_gradient.sum_stride,
                     d_weight);
}

void conv2d_winograd_gradient_run(const struct conv2d *self, const struct conv2d_pointers *pointers,
                                  float *d_weight) {
    const struct conv2d_weight_gradient *plan = &self->weight_gradient;
    int64_t n_tiles = count_tiles(self);
    float *points = (float *)(uintptr_t)pointers->scratchpad;
    struct block block = {.self = self,
                          .src = pointers->src,
                          .d_dst = pointers->dst,
                          .is_bf16 = cpu_is_bf16(self->base.op.device),
                          .n_tiles = (int)n_tiles,
                          .src_points = points,
                          .d_dst_points = points + WINOGRAD_POINTS * plan->src_stride,
                          .sums = (float *)(uintptr_t)pointers->weights};
    if (plan->is_whole)
        run_parts(&block, d_weight);
    else
        run_blocks(&block, n_tiles, d_weight);
}
