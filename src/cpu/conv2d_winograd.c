// SPDX-License-Identifier: MIT
// The forward pass and the data gradient of a 3 x 3 convolution of stride 1 by Winograd's
// F(4 x 4, 3 x 3). The data gradient is the same convolution of d_dst with the weights rotated by
// half a turn, input and output channels exchanged, and 2 - pad as its padding.
//
// The tiles of all images are cut into blocks of which a thread takes one at a time. It transforms
// the block's patches of all input channels; then, for one or two vectors of output channels after
// the other, it multiplies at each of the 36 points and transforms back. The patches of a block are
// read once for every two vectors of outputs, from the second-level cache up to some 64 channels.
//
// The sum of an output has one order, that of the input channels, wherever its tile lies in a
// block: so the bits depend neither on the size of the blocks nor on the number of threads.
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "cpu/team.h"
#include "cpu/values.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_TILES     48 // for which the weights are read once; measured at 6 to 96
#define PAIRED_TILES    24 // the same for bf16 and up to PAIRED_CHANNELS; a step of a U-Net of
#define PAIRED_CHANNELS 64 // width 16 took 3 % longer with 48, and 8 % with 96
#define MIN_EXTENT      8  // pixels, both ways
#define MIN_TILES       9  // of an image, for more weights than
#define FEW_WEIGHTS     (128 * 128)
#define LINE_FLOATS     16 // a cache line; strides of a power of two would share few sets of a cache
#define SUM_CHANNELS    256 // between which a sum leaves the registers: their weights stay in L1

// ---- choice -------------------------------------------------------------------------------------

const struct winograd_kernels *winograd_kernels_of(int block, bool is_bf16) {
    const struct winograd_kernels *kernels = NULL;
    (void)is_bf16;
#if defined(__x86_64__)
    kernels = is_bf16 && cpu_isa() == CPU_ISA_AVX512_BF16 ? &winograd_kernels_avx512_bf16
              : cpu_isa() >= CPU_ISA_AVX512               ? &winograd_kernels_avx512
              : cpu_isa() == CPU_ISA_AVX2                 ? &winograd_kernels_avx2
                                                          : NULL;
#endif
    return kernels != NULL && kernels->width == block ? kernels : NULL;
}

// ---- plan ---------------------------------------------------------------------------------------

// One side of a pass: what it reads, or what it writes.
struct side {
    int c, h, w; // c: with the padding channels
};

static struct side read_side(const struct conv2d *self, bool is_back) {
    struct side in = {self->c_in_padded, self->desc.h_in, self->desc.w_in};
    struct side out = {self->c_out_padded, self->h_out, self->w_out};
    return is_back ? out : in;
}

// Measured beside oneDNN's direct kernel and our own one for first layers, on a Zen 3 processor
// with AVX2 and batches of 5, channels from 8 to 512: 1.4 to 2.9 times as fast from 12 x 12 pixels
// on. At 8 x 8 it is 1.1 to 2.1 times as fast up to 64 channels, but not with 256, where the
// transformed weights, four times as large, are used for too few tiles. Below 8 x 8 it loses with
// most channels. On a Zen 4 processor with AVX-512 it is 1.0 to 1.5 times as fast as the Winograd
// kernels of oneDNN 2 (3 has none). The number of images has no part in it, so that an image's
// result does not depend on its batch.
static bool is_faster(struct side from, struct side to) {
    return to.h >= MIN_EXTENT && to.w >= MIN_EXTENT &&
           ((int64_t)from.c * to.c <= FEW_WEIGHTS ||
            winograd_tiles(to.h) * winograd_tiles(to.w) >= MIN_TILES);
}

static int64_t count_tiles(const struct conv2d *self, struct side to) {
    return (int64_t)self->desc.n * winograd_tiles(to.h) * winograd_tiles(to.w);
}

static int round_up(int value, int unit) {
    return (value + unit - 1) / unit * unit;
}

// A block has whole groups of tiles, and fewer where a thread would get none.
static int block_of(const struct conv2d *self, const struct winograd_kernels *kernels,
                    struct side from, int64_t n_tiles) {
    int n_threads = cpu_n_threads(self->base.op.device);
    int64_t share = (n_tiles + n_threads - 1) / n_threads;
    bool is_small = kernels->n_paired > 1 && from.c <= PAIRED_CHANNELS;
    int most = is_small ? PAIRED_TILES : BLOCK_TILES;
    return round_up(share < most ? (int)share : most, kernels->n_tiles);
}

bool conv2d_winograd_plan(const struct conv2d *self, struct conv2d_pass *pass) {
    const struct adele_conv2d_desc *desc = &self->desc;
    const struct winograd_kernels *kernels =
        winograd_kernels_of(cpu_block(self->base.op.device), self->rounds);
    if (kernels == NULL || desc->kernel != 3 || desc->stride != 1 || desc->dilation != 1 ||
        desc->pad > 2 || !cpu_has_winograd(self->base.op.device))
        return false;
    bool is_back = pass->direction == CONV2D_BACKWARD_DATA;
    struct side from = read_side(self, is_back), to = read_side(self, !is_back);
    if (!is_faster(from, to))
        return false;
    struct conv2d_winograd *plan = &pass->winograd;
    size_t width = (size_t)kernels->width, n_paired = (size_t)kernels->n_paired;
    plan->kernels = kernels;
    plan->n_block = block_of(self, kernels, from, count_tiles(self, to));
    plan->src_stride = (size_t)from.c / n_paired * (size_t)plan->n_block + LINE_FLOATS;
    plan->dst_stride = (size_t)plan->n_block * 2 * width + LINE_FLOATS;
    plan->weight_stride = (size_t)from.c / n_paired * 2 * width + LINE_FLOATS;
    size_t n_pairs = ((size_t)to.c / width + 1) / 2;
    pass->weights_bytes = n_pairs * WINOGRAD_POINTS * plan->weight_stride * sizeof(float);
    plan->thread_floats = WINOGRAD_POINTS * (plan->src_stride + plan->dst_stride);
    pass->scratchpad_bytes =
        (size_t)cpu_n_threads(self->base.op.device) * plan->thread_floats * sizeof(float);
    snprintf(pass->name, sizeof pass->name, "%s", kernels->name);
    return true;
}

// ---- weights ------------------------------------------------------------------------------------

// The taps (9, n_lanes) from one channel that is read to the channels first .. first + n_lanes - 1
// that are written; zeros for padding channels.
static void gather_taps(const struct conv2d *self, bool is_back, const float *weight, int from,
                        int first, int n_lanes, float *taps) {
    const struct adele_conv2d_desc *desc = &self->desc;
    int n_from = is_back ? desc->c_out : desc->c_in, n_to = is_back ? desc->c_in : desc->c_out;
    for (int lane = 0; lane < n_lanes; lane++) {
        int to = first + lane;
        bool is_there = from < n_from && to < n_to;
        size_t c_out = (size_t)(is_back ? from : to), c_in = (size_t)(is_back ? to : from);
        const float *kernel = weight + (c_out * (size_t)desc->c_in + c_in) * WINOGRAD_TAPS;
        for (int tap = 0; tap < WINOGRAD_TAPS; tap++)
            taps[tap * n_lanes + lane] =
                is_there ? kernel[is_back ? WINOGRAD_TAPS - 1 - tap : tap] : 0.0F;
    }
}

void conv2d_winograd_pack(const struct conv2d *self, const struct conv2d_pass *pass,
                          const float *weight, float *packed) {
    const struct conv2d_winograd *plan = &pass->winograd;
    bool is_back = pass->direction == CONV2D_BACKWARD_DATA;
    struct side from = read_side(self, is_back), to = read_side(self, !is_back);
    int width = plan->kernels->width, n_pairs = (to.c / width + 1) / 2;
#pragma omp parallel for collapse(2) schedule(static)                                              \
    num_threads(team_size(cpu_n_threads(self->base.op.device)))
    for (int pair = 0; pair < n_pairs; pair++)
        for (int block = 0; block < from.c / width; block++) {
            float taps[2 * WINOGRAD_TAPS * 2 * WINOGRAD_MAX_WIDTH];
            float rounded[2 * WINOGRAD_TAPS * 2 * WINOGRAD_MAX_WIDTH];
            int n_vectors = to.c / width - 2 * pair < 2 ? 1 : 2, n_lanes = n_vectors * width;
            int n_paired = plan->kernels->n_paired;
            bool rounds = self->rounds && n_paired == 1;
            float *out = packed + (size_t)pair * WINOGRAD_POINTS * plan->weight_stride;
            for (int c = block * width; c < (block + 1) * width; c += n_paired) {
                for (int i = 0; i < n_paired; i++)
                    gather_taps(self, is_back, weight, c + i, 2 * pair * width, n_lanes,
                                taps + (size_t)(i * WINOGRAD_TAPS * n_lanes));
                if (rounds)
                    elementwise_round(rounded, taps, (size_t)(WINOGRAD_TAPS * n_lanes));
                plan->kernels->transform_weights(rounds ? rounded : taps, n_vectors,
                                                 out + (size_t)(c / n_paired * n_lanes),
                                                 plan->weight_stride);
            }
        }
}

// ---- tiles --------------------------------------------------------------------------------------

// A pass over all tiles, and the pixel of image n that a tile begins with.
struct work {
    const struct conv2d_winograd *plan;
    const struct winograd_kernels *kernels;
    struct side from, to;
    int pad;
    int tiles_y, tiles_x;
    const void *src;
    const float *weights, *bias;
    void *dst;
    bool adds, is_bf16; // is_bf16: src and dst
};

struct place {
    int n, y, x;
};

static struct place place_of(const struct work *work, int64_t tile) {
    int in_image = (int)(tile % (work->tiles_y * work->tiles_x));
    return (struct place){.n = (int)(tile / (work->tiles_y * work->tiles_x)),
                          .y = in_image / work->tiles_x * WINOGRAD_TILE,
                          .x = in_image % work->tiles_x * WINOGRAD_TILE};
}

struct winograd_plane winograd_plane_of(const struct winograd_kernels *kernels, const void *tensor,
                                        size_t i, int h, int w, bool is_bf16) {
    size_t size = (size_t)h * (size_t)w * (size_t)kernels->width;
    return (struct winograd_plane){value_address(tensor, i * size, is_bf16), h, w, is_bf16};
}

struct winograd_patch winograd_patch_at(const struct winograd_kernels *kernels,
                                        struct winograd_plane plane, int y, int x) {
    static const float zeros[WINOGRAD_PATCH * WINOGRAD_MAX_WIDTH]; // a row outside of the plane
    int h = plane.h, w = plane.w;
    struct winograd_patch patch = {.first = x < 0 ? -x : 0,
                                   .end = w - x < WINOGRAD_PATCH ? w - x : WINOGRAD_PATCH,
                                   .is_bf16 = plane.is_bf16};
    for (int i = 0; i < WINOGRAD_PATCH; i++) {
        size_t pixel = (size_t)(y + i) * (size_t)w + (size_t)(x + patch.first);
        patch.rows[i] =
            y + i >= 0 && y + i < h
                ? value_address(plane.values, pixel * (size_t)kernels->width, plane.is_bf16)
                : zeros;
    }
    return patch;
}

struct winograd_pixels winograd_pixels_at(const struct winograd_kernels *kernels,
                                          struct winograd_plane plane, int y, int x) {
    size_t row = (size_t)plane.w * (size_t)kernels->width;
    size_t first = (size_t)y * row + (size_t)(x * kernels->width);
    int n_y = plane.h - y, n_x = plane.w - x;
    return (struct winograd_pixels){.first = value_address(plane.values, first, plane.is_bf16),
                                    .row = row,
                                    .n_y = n_y < WINOGRAD_TILE ? n_y : WINOGRAD_TILE,
                                    .n_x = n_x < WINOGRAD_TILE ? n_x : WINOGRAD_TILE,
                                    .is_bf16 = plane.is_bf16};
}

// Tiles up to a whole group get zeros, since the kernel multiplies whole groups.
static void clear_patch(const struct work *work, int t, float *patches) {
    int width = work->kernels->width, n_lanes = width / work->kernels->n_paired;
    for (int k = 0; k < WINOGRAD_POINTS; k++)
        for (int b = 0; b < work->from.c / width; b++)
            memset(patches + (size_t)k * work->plan->src_stride +
                       (size_t)(b * work->plan->n_block + t) * (size_t)n_lanes,
                   0, (size_t)n_lanes * sizeof(float));
}

// All points of the block's tiles for one or two vectors of output channels.
static void multiply_points(const struct work *work, const float *patches, const float *weights,
                            int n_tiles, int n_vectors, float *products) {
    const struct conv2d_winograd *plan = work->plan;
    int width = work->kernels->width, n_group = work->kernels->n_tiles;
    int n_lanes = width / work->kernels->n_paired;
    int n_blocks = work->from.c / width, n_at_once = SUM_CHANNELS / width;
    size_t block_floats = (size_t)plan->n_block * (size_t)n_lanes;
    for (int k = 0; k < WINOGRAD_POINTS; k++)
        for (int b = 0; b < n_blocks; b += n_at_once)
            for (int t = 0; t < n_tiles; t += n_group)
                work->kernels->multiply(
                    patches + (size_t)k * plan->src_stride + (size_t)b * block_floats +
                        (size_t)(t * n_lanes),
                    block_floats,
                    weights + (size_t)k * plan->weight_stride +
                        (size_t)(b * n_lanes * n_vectors * width),
                    n_blocks - b < n_at_once ? n_blocks - b : n_at_once, n_vectors, b > 0,
                    products + (size_t)k * plan->dst_stride + (size_t)(t * n_vectors * width));
}

static void transform_back(const struct work *work, struct place at, const float *products, int b,
                           const float *bias) {
    const struct winograd_kernels *kernels = work->kernels;
    size_t i_plane = (size_t)(at.n * (work->to.c / kernels->width) + b);
    struct winograd_pixels to = winograd_pixels_at(
        kernels,
        winograd_plane_of(kernels, work->dst, i_plane, work->to.h, work->to.w, work->is_bf16), at.y,
        at.x);
    kernels->transform_dst(products, work->plan->dst_stride, bias, work->adds, &to);
}

static void run_block(const struct work *work, int64_t first, int n_tiles, float *buffer) {
    static const float no_bias[WINOGRAD_MAX_WIDTH];
    const struct conv2d_winograd *plan = work->plan;
    int width = work->kernels->width, n_blocks = work->to.c / width;
    float *patches = buffer, *products = buffer + WINOGRAD_POINTS * plan->src_stride;
    struct place places[BLOCK_TILES];
    for (int t = 0; t < n_tiles; t++)
        places[t] = place_of(work, first + t);
    int n_from = work->from.c / width, n_lanes = width / work->kernels->n_paired;
    for (int b = 0; b < n_from; b++)
        for (int t = 0; t < n_tiles; t++) {
            struct winograd_plane plane =
                winograd_plane_of(work->kernels, work->src, (size_t)(places[t].n * n_from + b),
                                  work->from.h, work->from.w, work->is_bf16);
            struct winograd_patch patch = winograd_patch_at(
                work->kernels, plane, places[t].y - work->pad, places[t].x - work->pad);
            work->kernels->transform_src(
                &patch, patches + (size_t)((b * plan->n_block + t) * n_lanes), plan->src_stride);
        }
    for (int t = n_tiles; t % work->kernels->n_tiles != 0; t++)
        clear_patch(work, t, patches);
    for (int pair = 0; 2 * pair < n_blocks; pair++) {
        int n_vectors = n_blocks - 2 * pair < 2 ? 1 : 2;
        multiply_points(work, patches,
                        work->weights + (size_t)pair * WINOGRAD_POINTS * plan->weight_stride,
                        n_tiles, n_vectors, products);
        for (int v = 0; v < n_vectors; v++)
            for (int t = 0; t < n_tiles; t++) {
                int b = 2 * pair + v;
                transform_back(work, places[t], products + (size_t)((t * n_vectors + v) * width), b,
                               work->bias != NULL ? work->bias + (size_t)(b * width) : no_bias);
            }
    }
#if defined(__x86_64__)
    __builtin_ia32_sfence(); // transform_dst's stores may pass the barrier of the threads otherwise
#endif
}

void conv2d_winograd_run(const struct conv2d *self, const struct conv2d_pass *pass,
                         const struct conv2d_pointers *pointers) {
    const struct conv2d_winograd *plan = &pass->winograd;
    bool is_back = pass->direction == CONV2D_BACKWARD_DATA;
    struct work work = {
        .plan = plan,
        .kernels = plan->kernels,
        .from = read_side(self, is_back),
        .to = read_side(self, !is_back),
        .pad = is_back ? 2 - self->desc.pad : self->desc.pad,
        .src = is_back ? pointers->dst : pointers->src,
        .weights = pointers->weights,
        .bias = !is_back && self->desc.has_bias ? pointers->bias : NULL,
        .dst = (void *)(uintptr_t)(is_back ? pointers->src : pointers->dst),
        .adds = pointers->adds,
        .is_bf16 = cpu_is_bf16(self->base.op.device),
    };
    work.tiles_y = winograd_tiles(work.to.h);
    work.tiles_x = winograd_tiles(work.to.w);
    float *buffers = (float *)(uintptr_t)pointers->scratchpad;
    int64_t n_tiles = count_tiles(self, work.to), n_block = plan->n_block;
#pragma omp parallel for schedule(dynamic)                                                         \
    num_threads(team_size(cpu_n_threads(self->base.op.device)))
    for (int64_t first = 0; first < n_tiles; first += n_block)
        run_block(&work, first, (int)(n_tiles - first < n_block ? n_tiles - first : n_block),
                  buffers + (size_t)omp_get_thread_num() * plan->thread_floats);
}
