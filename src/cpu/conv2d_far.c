// SPDX-License-Identifier: MIT
// Convolutions of stride 1 whose dilation is near the size of the image, for which oneDNN has only
// its reference loops (minutes for 4096 channels). Each tap is a product over the rectangle of
// output pixels for which it reads inside the image; a tap without such pixels costs nothing. All
// three passes, for blocks of 8 and 16; the order of every sum is fixed for any number of threads.
#include "cpu/conv2d_parts.h"
#include "cpu/lanes.h"

#include <string.h>

#define MAX_BLOCK 16
#define N_PIXELS  4 // of a row that are summed at once

bool conv2d_far_serves(const struct conv2d *self, const struct conv2d_pass *pass) {
    return self->desc.stride == 1 && strncmp(pass->name, "ref", 3) == 0;
}

// Output pixels (y0..y1, x0..x1) of a tap, and the offset from each to the pixel that it reads.
struct reach {
    int y0, y1, x0, x1, dy, dx;
};

static void clip(int from, int to, int offset, int *low, int *high) {
    *low = offset < 0 ? -offset : 0;
    *high = from - offset < to ? from - offset : to;
}

// `is_back`: from d_dst to d_src, otherwise from src to dst.
static struct reach reach_of(const struct conv2d *self, int tap, bool is_back) {
    const struct adele_conv2d_desc *desc = &self->desc;
    struct reach reach = {.dy = tap / desc->kernel * desc->dilation - desc->pad,
                          .dx = tap % desc->kernel * desc->dilation - desc->pad};
    if (is_back) {
        reach.dy = -reach.dy;
        reach.dx = -reach.dx;
        clip(self->h_out, desc->h_in, reach.dy, &reach.y0, &reach.y1);
        clip(self->w_out, desc->w_in, reach.dx, &reach.x0, &reach.x1);
    } else {
        clip(desc->h_in, self->h_out, reach.dy, &reach.y0, &reach.y1);
        clip(desc->w_in, self->w_out, reach.dx, &reach.x0, &reach.x1);
    }
    return reach;
}

// ---- weights ------------------------------------------------------------------------------------

// From plain padded (c_out, c_in, taps) to (output block, tap, input channel, B). For the data
// gradient the input side is c_out and the output side c_in.
void conv2d_far_pack(const struct conv2d *self, const struct conv2d_pass *pass, const float *plain,
                     float *packed) {
    bool is_back = pass->direction == CONV2D_BACKWARD_DATA;
    size_t block = (size_t)cpu_block(self->base.op.device), taps = self->taps;
    size_t c_in = (size_t)self->c_in_padded, c_out = (size_t)self->c_out_padded;
    size_t n_from = is_back ? c_out : c_in, n_to = is_back ? c_in : c_out;
    size_t from_stride = is_back ? c_in * taps : taps, to_stride = is_back ? taps : c_in * taps;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < n_to / block; b++)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t c = 0; c < n_from; c++)
                for (size_t lane = 0; lane < block; lane++)
                    packed[((b * taps + tap) * n_from + c) * block + lane] =
                        plain[(b * block + lane) * to_stride + c * from_stride + tap];
}

// ---- forward and the data gradient --------------------------------------------------------------

struct side {
    int c, h, w; // c: with the padding channels
};

// to (pixels, B) += sum over c of from (c of the pixel) * weights (c, B), for `count` pixels.
CPU_KERNEL(static void, add_products,
           (const float *from, size_t plane, int c_from, int block, const float *weights, float *to,
            int count),
           (from, plane, c_from, block, weights, to, count)) {
    for (int half = 0; half < block; half += LANES) {
        lanes sums[N_PIXELS];
        for (int p = 0; p < N_PIXELS; p++)
            sums[p] = p < count ? LANES_AT(to + p * block + half) : (lanes){0};
        for (int b = 0; b < c_from / block; b++) {
            const float *pixel = from + (size_t)b * plane;
            const float *row = weights + (size_t)b * (size_t)block * (size_t)block + half;
            for (int j = 0; j < block; j++) {
                lanes weight = LANES_AT(row + j * block);
                for (int p = 0; p < N_PIXELS; p++)
                    if (p < count)
                        sums[p] += pixel[p * block + j] * weight;
            }
        }
        for (int p = 0; p < count; p++)
            LANES_STORE(to + p * block + half, sums[p]);
    }
}

// Block b of image n of the output side; `bias` may be NULL.
static void run_block(const struct conv2d *self, bool is_back, struct side from, struct side to,
                      int n, int b, const struct conv2d_pointers *pointers, const float *bias) {
    int block = cpu_block(self->base.op.device);
    size_t plane_from = (size_t)from.h * (size_t)from.w * (size_t)block;
    size_t plane_to = (size_t)to.h * (size_t)to.w * (size_t)block;
    const float *source = (const float *)(is_back ? pointers->dst : pointers->src) +
                          (size_t)n * (size_t)(from.c / block) * plane_from;
    float *target = (float *)(uintptr_t)(is_back ? pointers->src : pointers->dst) +
                    ((size_t)n * (size_t)(to.c / block) + (size_t)b) * plane_to;
    for (size_t i = 0; i < plane_to; i++)
        target[i] = bias != NULL ? bias[(size_t)(b * block) + i % (size_t)block] : 0.0F;
    for (int tap = 0; tap < (int)self->taps; tap++) {
        struct reach reach = reach_of(self, tap, is_back);
        const float *weights =
            (const float *)pointers->weights +
            ((size_t)b * self->taps + (size_t)tap) * (size_t)from.c * (size_t)block;
        for (int y = reach.y0; y < reach.y1; y++)
            for (int x = reach.x0; x < reach.x1; x += N_PIXELS)
                add_products(
                    source + ((size_t)(y + reach.dy) * (size_t)from.w + (size_t)(x + reach.dx)) *
                                 (size_t)block,
                    plane_from, from.c, block, weights,
                    target + ((size_t)y * (size_t)to.w + (size_t)x) * (size_t)block,
                    reach.x1 - x < N_PIXELS ? reach.x1 - x : N_PIXELS);
    }
}

// ---- the weight gradient ------------------------------------------------------------------------

// sums (c_in lane, c_out lane) += src (c_in lane) * d_dst (c_out lane) over a row's pixels.
CPU_KERNEL(static void, add_outer,
           (const float *src, const float *d_dst, int count, int block, float *sums),
           (src, d_dst, count, block, sums)) {
    for (int half = 0; half < block; half += LANES)
        for (int first = 0; first < block; first += LANES) {
            lanes rows[LANES];
            for (int j = 0; j < LANES; j++)
                rows[j] = LANES_AT(sums + (first + j) * block + half);
            for (int p = 0; p < count; p++) {
                lanes gradient = LANES_AT(d_dst + p * block + half);
                for (int j = 0; j < LANES; j++)
                    rows[j] += src[p * block + first + j] * gradient;
            }
            for (int j = 0; j < LANES; j++)
                LANES_STORE(sums + (first + j) * block + half, rows[j]);
        }
}

// The gradients between two blocks of channels, into the plain padded array.
static void run_pair(const struct conv2d *self, const struct conv2d_pointers *pointers, int b_out,
                     int b_in) {
    const struct adele_conv2d_desc *desc = &self->desc;
    int block = cpu_block(self->base.op.device);
    struct adele_shape in = {desc->n, self->c_in_padded, desc->h_in, desc->w_in};
    struct adele_shape out = {desc->n, self->c_out_padded, self->h_out, self->w_out};
    float *plain = (float *)(uintptr_t)pointers->weights;
    for (int tap = 0; tap < (int)self->taps; tap++) {
        struct reach reach = reach_of(self, tap, false);
        float sums[MAX_BLOCK * MAX_BLOCK] = {0};
        for (int n = 0; n < desc->n && reach.x0 < reach.x1; n++)
            for (int y = reach.y0; y < reach.y1; y++)
                add_outer((const float *)pointers->src +
                              cpu_tensor_index(in, block, n, b_in * block, y + reach.dy,
                                               reach.x0 + reach.dx),
                          (const float *)pointers->dst +
                              cpu_tensor_index(out, block, n, b_out * block, y, reach.x0),
                          reach.x1 - reach.x0, block, sums);
        for (int o = 0; o < block; o++)
            for (int i = 0; i < block; i++)
                plain[((size_t)(b_out * block + o) * (size_t)self->c_in_padded +
                       (size_t)(b_in * block + i)) *
                          self->taps +
                      (size_t)tap] = sums[i * block + o];
    }
}

static void run_weights(const struct conv2d *self, const struct conv2d_pointers *pointers) {
    int block = cpu_block(self->base.op.device);
    int n_in = self->c_in_padded / block, n_pairs = self->c_out_padded / block * n_in;
#pragma omp parallel for schedule(static)
    for (int pair = 0; pair < n_pairs; pair++)
        run_pair(self, pointers, pair / n_in, pair % n_in);
    if (!self->desc.has_bias)
        return;
    struct adele_shape out = {self->desc.n, self->c_out_padded, self->h_out, self->w_out};
    float *bias = (float *)(uintptr_t)pointers->bias;
    for (int c = 0; c < self->c_out_padded; c++) {
        double sum = 0.0;
        for (int n = 0; n < out.n; n++)
            for (int i = 0; i < out.h * out.w; i++)
                sum += (double)((const float *)
                                    pointers->dst)[cpu_tensor_index(out, block, n, c, 0, 0) +
                                                   (size_t)i * (size_t)block];
        bias[c] = (float)sum;
    }
}

void conv2d_far_run(const struct conv2d *self, const struct conv2d_pass *pass,
                    const struct conv2d_pointers *pointers) {
    if (pass->direction == CONV2D_BACKWARD_WEIGHTS) {
        run_weights(self, pointers);
        return;
    }
    bool is_back = pass->direction == CONV2D_BACKWARD_DATA;
    struct side in = {self->c_in_padded, self->desc.h_in, self->desc.w_in};
    struct side out = {self->c_out_padded, self->h_out, self->w_out};
    const float *bias = !is_back && self->desc.has_bias ? pointers->bias : NULL;
    int n_blocks = (is_back ? in.c : out.c) / cpu_block(self->base.op.device);
    int n_tasks = self->desc.n * n_blocks;
#pragma omp parallel for schedule(dynamic)
    for (int task = 0; task < n_tasks; task++)
        run_block(self, is_back, is_back ? out : in, is_back ? in : out, task / n_blocks,
                  task % n_blocks, pointers, bias);
}
