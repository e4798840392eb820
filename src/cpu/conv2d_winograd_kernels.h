// SPDX-License-Identifier: MIT
// The kernels of Winograd's convolution for one instruction set; conv2d_winograd.h says what each
// of them computes. The file that includes this one defines
//
//     VECTOR, WIDTH               the vector of floats and their number
//     LOAD, STORE, SAME(value)    any address; a float in all lanes
//     STREAM(address, value)      past the caches, to an address that the vector's bytes divide
//     LOAD_BF16(address)          WIDTH values of bf16 as floats
//     BF16, NARROW(value)         the vector of as many bf16 values, rounded to nearest
//     STORE_BF16, STREAM_BF16     as STORE and STREAM
//     MULTIPLY_ADD(a, b, c)       a b + c, rounded once
//     PAIRED                      factors in a lane: 1 float or 2 of bf16
//     DOT(a, b, c)                c + the product of two lanes, or of each of their factors
//     JOIN(a, b)                  lanes of one float each, as factors: a, and b where it is paired
//     STORE_POINT(address, value) WIDTH floats as factors, neighbours in one lane
//     TILES                       tiles of a register block: 2 TILES sums stay in registers
//     ROWS                        input channels of a register block of the weight gradient
//     TARGET, NAME(stem)          the attribute and the suffix of the instruction set
//
// Without them, as where each header is compiled alone, it is empty.
#include "cpu/conv2d_winograd.h"

#ifdef VECTOR

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline)) TARGET
#define P      WINOGRAD_P
#define Q      WINOGRAD_Q
#define PATCH  WINOGRAD_PATCH
#define TILE   WINOGRAD_TILE
#define LANES  (WIDTH / PAIRED) // of a tile's channels as factors

// WIDTH values of a tensor from value i on, floats or bf16.
INLINE VECTOR NAME(read)(const void *tensor, size_t i, const bool is_bf16) {
    return is_bf16 ? LOAD_BF16((const uint16_t *)tensor + i) : LOAD((const float *)tensor + i);
}

INLINE void NAME(write)(void *tensor, size_t i, VECTOR value, const bool is_bf16, bool streams) {
    float *floats = (float *)tensor + i;
    uint16_t *narrow = (uint16_t *)tensor + i;
    if (is_bf16 && streams)
        STREAM_BF16(narrow, NARROW(value));
    else if (is_bf16)
        STORE_BF16(narrow, NARROW(value));
    else if (streams)
        STREAM(floats, value);
    else
        STORE(floats, value);
}

// a b + c for a constant a.
#define SCALE_ADD(a, b, c) MULTIPLY_ADD(SAME(a), b, c)

// B^T: the coefficients of the products of all (x - point) but one. Three of the six points, those
// of 0 and +-P or those of +-Q and infinity: the halves have no operation in common.
INLINE void NAME(src_line)(const VECTOR d[PATCH], const bool is_second, VECTOR to[PATCH / 2]) {
    const float square = is_second ? P * P : Q * Q, point = is_second ? Q : P;
    VECTOR even = SCALE_ADD(-square, d[2], d[4]), odd = SCALE_ADD(-square, d[1], d[3]);
    const VECTOR *outer = is_second ? d + 1 : d;
    VECTOR end =
        SCALE_ADD(P * P * Q * Q, outer[0], SCALE_ADD(-(P * P + Q * Q), outer[2], outer[4]));
    to[is_second ? 2 : 0] = end;
    to[is_second ? 0 : 1] = SCALE_ADD(point, odd, even);
    to[is_second ? 1 : 2] = SCALE_ADD(-point, odd, even);
}

// Where a point goes.
struct NAME(sink) {
    enum { ALONE, KEPT, JOINED } form; // to memory, to `kept`, or to memory beside the kept one
    float *to;
    size_t stride;
    VECTOR *kept;
};

INLINE void NAME(put)(const struct NAME(sink) sink, int k, VECTOR value) {
    float *to = sink.to + (size_t)k * sink.stride;
    if (sink.form == KEPT)
        sink.kept[k] = value;
    else if (sink.form == JOINED)
        STORE(to, JOIN(sink.kept[k], value));
    else
        STORE_POINT(to, value);
}

// Three rows of points at a time, so that a processor with 32 registers keeps them there: reading
// src twice costs less than storing 36 vectors and reading them back.
INLINE void NAME(src_half)(const struct winograd_patch *patch, const int first, const int end,
                           const bool is_bf16, const bool is_second, const struct NAME(sink) sink) {
    VECTOR half[PATCH / 2][PATCH], line[PATCH], points[PATCH];
#pragma GCC unroll 6
    for (int x = 0; x < PATCH; x++) {
        if (x < first || x >= end) {
            half[0][x] = half[1][x] = half[2][x] = SAME(0.0F);
            continue;
        }
#pragma GCC unroll 6
        for (int y = 0; y < PATCH; y++)
            line[y] = NAME(read)(patch->rows[y], (size_t)((x - first) * WIDTH), is_bf16);
        NAME(src_line)(line, is_second, points);
#pragma GCC unroll 3
        for (int k = 0; k < PATCH / 2; k++)
            half[k][x] = points[k];
    }
#pragma GCC unroll 3
    for (int k = 0; k < PATCH / 2; k++) {
        NAME(src_line)(half[k], false, points);
        NAME(src_line)(half[k], true, points + PATCH / 2);
#pragma GCC unroll 6
        for (int x = 0; x < PATCH; x++)
            NAME(put)(sink, (k + (is_second ? PATCH / 2 : 0)) * PATCH + x, points[x]);
    }
}

INLINE void NAME(src_halves)(const struct winograd_patch *patch, const bool is_bf16,
                             const struct NAME(sink) sink) {
    if (patch->first == 0 && patch->end == PATCH) {
        NAME(src_half)(patch, 0, PATCH, is_bf16, false, sink);
        NAME(src_half)(patch, 0, PATCH, is_bf16, true, sink);
    } else {
        NAME(src_half)(patch, patch->first, patch->end, is_bf16, false, sink);
        NAME(src_half)(patch, patch->first, patch->end, is_bf16, true, sink);
    }
}

INLINE void NAME(src_points)(const struct winograd_patch *patch, const struct NAME(sink) sink) {
    if (patch->is_bf16)
        NAME(src_halves)(patch, true, sink);
    else
        NAME(src_halves)(patch, false, sink);
}

TARGET static void NAME(transform_src)(const struct winograd_patch *patch, float *to,
                                       size_t stride) {
    NAME(src_points)(patch, (struct NAME(sink)){.form = ALONE, .to = to, .stride = stride});
}

// G: the kernel's values at the points, divided by the product of the distances to all other
// points.
INLINE void NAME(weight_line)(const VECTOR w[3], VECTOR to[PATCH]) {
    const float at_p = 1.0F / (2.0F * P * P * (P * P - Q * Q));
    const float at_q = 1.0F / (2.0F * Q * Q * (Q * Q - P * P));
    VECTOR even_p = SCALE_ADD(P * P, w[2], w[0]), even_q = SCALE_ADD(Q * Q, w[2], w[0]);
    to[0] = SAME(1.0F / (P * P * Q * Q)) * w[0];
    to[1] = SAME(at_p) * SCALE_ADD(P, w[1], even_p);
    to[2] = SAME(at_p) * SCALE_ADD(-P, w[1], even_p);
    to[3] = SAME(at_q) * SCALE_ADD(Q, w[1], even_q);
    to[4] = SAME(at_q) * SCALE_ADD(-Q, w[1], even_q);
    to[5] = w[2];
}

INLINE void NAME(weight_points)(const float *taps, int n_vectors, VECTOR to[WINOGRAD_POINTS]) {
    VECTOR columns[PATCH][3], line[3], points[PATCH];
    for (int x = 0; x < 3; x++) {
        for (int y = 0; y < 3; y++)
            line[y] = LOAD(taps + (y * 3 + x) * n_vectors * WIDTH);
        NAME(weight_line)(line, points);
        for (int k = 0; k < PATCH; k++)
            columns[k][x] = points[k];
    }
    for (int k = 0; k < PATCH; k++)
        NAME(weight_line)(columns[k], to + (size_t)(k * PATCH));
}

TARGET static void NAME(transform_weights)(const float *taps, int n_vectors, float *to,
                                           size_t stride) {
    for (int v = 0; v < n_vectors; v++, taps += WIDTH, to += WIDTH) {
        VECTOR points[PAIRED][WINOGRAD_POINTS];
        for (int i = 0; i < PAIRED; i++)
            NAME(weight_points)
        (taps + i * WINOGRAD_TAPS * n_vectors * WIDTH, n_vectors, points[i]);
        for (int k = 0; k < WINOGRAD_POINTS; k++)
            STORE(to + (size_t)k * stride, JOIN(points[0][k], points[PAIRED - 1][k]));
    }
}

// `n_vectors` is a constant where this is inlined.
INLINE void NAME(multiply_tiles)(const float *src, size_t block_floats, const float *weights,
                                 int n_blocks, bool adds, float *to, const int n_vectors) {
    VECTOR sum[TILES][2];
#pragma GCC unroll 12
    for (int t = 0; t < TILES; t++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; v++)
            sum[t][v] = adds ? LOAD(to + (t * n_vectors + v) * WIDTH) : SAME(0.0F);
    for (int b = 0; b < n_blocks; b++, src += block_floats)
#pragma GCC unroll 4
        for (int c = 0; c < LANES; c++, weights += n_vectors * WIDTH) {
            VECTOR weight[2];
#pragma GCC unroll 2
            for (int v = 0; v < n_vectors; v++)
                weight[v] = LOAD(weights + v * WIDTH);
#pragma GCC unroll 12
            for (int t = 0; t < TILES; t++) {
                VECTOR value = SAME(src[t * LANES + c]);
#pragma GCC unroll 2
                for (int v = 0; v < n_vectors; v++)
                    sum[t][v] = DOT(value, weight[v], sum[t][v]);
            }
        }
#pragma GCC unroll 12
    for (int t = 0; t < TILES; t++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; v++)
            STORE(to + (t * n_vectors + v) * WIDTH, sum[t][v]);
}

TARGET static void NAME(multiply)(const float *src, size_t block_floats, const float *weights,
                                  int n_blocks, int n_vectors, bool adds, float *to) {
    if (n_vectors == 2)
        NAME(multiply_tiles)(src, block_floats, weights, n_blocks, adds, to, 2);
    else
        NAME(multiply_tiles)(src, block_floats, weights, n_blocks, adds, to, 1);
}

// A^T: the powers of the points.
INLINE void NAME(dst_line)(const VECTOR m[PATCH], VECTOR to[TILE]) {
    VECTOR even_p = m[1] + m[2], odd_p = m[1] - m[2];
    VECTOR even_q = m[3] + m[4], odd_q = m[3] - m[4];
    to[0] = m[0] + even_p + even_q;
    to[1] = SCALE_ADD(P, odd_p, SAME(Q) * odd_q);
    to[2] = SCALE_ADD(P * P, even_p, SAME(Q * Q) * even_q);
    to[3] = SCALE_ADD(P * P * P, odd_p, SCALE_ADD(Q * Q * Q, odd_q, m[5]));
}

INLINE void NAME(store_tile)(const VECTOR rows[TILE][PATCH], VECTOR offset,
                             const struct winograd_pixels *to, bool adds, const bool is_bf16) {
    const size_t bytes = is_bf16 ? sizeof(BF16) : sizeof(VECTOR);
    const bool streams = !adds && (uintptr_t)to->first % bytes == 0;
    for (int y = 0; y < to->n_y; y++) {
        VECTOR outputs[TILE];
        NAME(dst_line)(rows[y], outputs);
#pragma GCC unroll 4
        for (int x = 0; x < TILE; x++)
            if (x < to->n_x) {
                VECTOR value = outputs[x] + offset;
                size_t i = (size_t)y * to->row + (size_t)(x * WIDTH);
                if (adds)
                    value += NAME(read)(to->first, i, is_bf16);
                NAME(write)(to->first, i, value, is_bf16, streams);
            }
    }
}

// Stores go past the caches, as the lines of dst would be fetched only to be overwritten: a step of
// a U-Net of width 64 takes a tenth less time so on two threads, which share the memory's rate. Who
// calls orders them before what other threads read.
TARGET static void NAME(transform_dst)(const float *from, size_t stride, const float *bias,
                                       bool adds, const struct winograd_pixels *to) {
    VECTOR rows[TILE][PATCH], line[PATCH], outputs[TILE];
#pragma GCC unroll 6
    for (int x = 0; x < PATCH; x++) {
#pragma GCC unroll 6
        for (int k = 0; k < PATCH; k++)
            line[k] = LOAD(from + (size_t)(k * PATCH + x) * stride);
        NAME(dst_line)(line, outputs);
#pragma GCC unroll 4
        for (int y = 0; y < TILE; y++)
            rows[y][x] = outputs[y];
    }
    if (to->is_bf16)
        NAME(store_tile)(rows, LOAD(bias), to, adds, true);
    else
        NAME(store_tile)(rows, LOAD(bias), to, adds, false);
}

// ---- the weight gradient ------------------------------------------------------------------------

// A, the transpose of dst_line's: powers of the points.
INLINE void NAME(d_dst_line)(const VECTOR d[TILE], VECTOR to[PATCH]) {
    VECTOR even_p = SCALE_ADD(P * P, d[2], d[0]), even_q = SCALE_ADD(Q * Q, d[2], d[0]);
    VECTOR odd_p = SCALE_ADD(P * P * P, d[3], SAME(P) * d[1]);
    VECTOR odd_q = SCALE_ADD(Q * Q * Q, d[3], SAME(Q) * d[1]);
    to[0] = d[0];
    to[1] = even_p + odd_p;
    to[2] = even_p - odd_p;
    to[3] = even_q + odd_q;
    to[4] = even_q - odd_q;
    to[5] = d[3];
}

INLINE void NAME(d_dst_values)(const struct winograd_pixels *pixels, const bool is_bf16,
                               const struct NAME(sink) sink) {
    VECTOR columns[PATCH][TILE], line[TILE], points[PATCH];
#pragma GCC unroll 4
    for (int x = 0; x < TILE; x++) {
#pragma GCC unroll 4
        for (int y = 0; y < TILE; y++)
            line[y] = y < pixels->n_y && x < pixels->n_x
                          ? NAME(read)(pixels->first, (size_t)y * pixels->row + (size_t)(x * WIDTH),
                                       is_bf16)
                          : SAME(0.0F);
        NAME(d_dst_line)(line, points);
#pragma GCC unroll 6
        for (int k = 0; k < PATCH; k++)
            columns[k][x] = points[k];
    }
#pragma GCC unroll 6
    for (int k = 0; k < PATCH; k++) {
        NAME(d_dst_line)(columns[k], points);
#pragma GCC unroll 6
        for (int x = 0; x < PATCH; x++)
            NAME(put)(sink, k * PATCH + x, points[x]);
    }
}

INLINE void NAME(d_dst_points)(const struct winograd_pixels *pixels, const struct NAME(sink) sink) {
    if (pixels->is_bf16)
        NAME(d_dst_values)(pixels, true, sink);
    else
        NAME(d_dst_values)(pixels, false, sink);
}

#if PAIRED == 1

TARGET static void NAME(transform_src_tiles)(const struct winograd_patch *patch, float *to,
                                             size_t stride) {
    NAME(transform_src)(patch, to, stride);
}

TARGET static void NAME(transform_d_dst)(const struct winograd_pixels *pixels, float *to,
                                         size_t stride) {
    NAME(d_dst_points)(pixels, (struct NAME(sink)){.form = ALONE, .to = to, .stride = stride});
}

#else

// The first tile's points stay in the first-level cache until the second one's join them.
TARGET static void NAME(transform_src_tiles)(const struct winograd_patch patches[2], float *to,
                                             size_t stride) {
    VECTOR kept[WINOGRAD_POINTS];
    NAME(src_points)(patches, (struct NAME(sink)){.form = KEPT, .kept = kept});
    NAME(src_points)
    (patches + 1, (struct NAME(sink)){.form = JOINED, .to = to, .stride = stride, .kept = kept});
}

TARGET static void NAME(transform_d_dst)(const struct winograd_pixels pixels[2], float *to,
                                         size_t stride) {
    VECTOR kept[WINOGRAD_POINTS];
    NAME(d_dst_points)(pixels, (struct NAME(sink)){.form = KEPT, .kept = kept});
    NAME(d_dst_points)
    (pixels + 1, (struct NAME(sink)){.form = JOINED, .to = to, .stride = stride, .kept = kept});
}

#endif

// ROWS input channels; `n_vectors` is a constant where this is inlined.
INLINE void NAME(multiply_rows)(const float *src, const float *d_dst, size_t vector_floats,
                                int n_tiles, bool adds, float *to, const int n_vectors) {
    VECTOR sum[ROWS][2];
#pragma GCC unroll 8
    for (int c = 0; c < ROWS; c++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; v++)
            sum[c][v] = adds ? LOAD(to + (c * n_vectors + v) * WIDTH) : SAME(0.0F);
#pragma GCC unroll 2
    for (int t = 0; t < n_tiles; t += PAIRED, src += WIDTH, d_dst += WIDTH) {
        VECTOR gradient[2];
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; v++)
            gradient[v] = LOAD(d_dst + (size_t)v * vector_floats);
#pragma GCC unroll 8
        for (int c = 0; c < ROWS; c++) {
            VECTOR value = SAME(src[c]);
#pragma GCC unroll 2
            for (int v = 0; v < n_vectors; v++)
                sum[c][v] = DOT(value, gradient[v], sum[c][v]);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < ROWS; c++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; v++)
            STORE(to + (c * n_vectors + v) * WIDTH, sum[c][v]);
}

TARGET static void NAME(multiply_gradient)(const float *src, const float *d_dst,
                                           size_t vector_floats, int n_tiles, int n_vectors,
                                           bool adds, float *to) {
    for (int c = 0; c < WIDTH; c += ROWS)
        if (n_vectors == 2)
            NAME(multiply_rows)
    (src + c, d_dst, vector_floats, n_tiles, adds, to + c * 2 * WIDTH, 2);
    else NAME(multiply_rows)(src + c, d_dst, vector_floats, n_tiles, adds, to + c * WIDTH, 1);
}

// G^T, the transpose of weight_line's.
INLINE void NAME(gradient_line)(const VECTOR u[PATCH], VECTOR to[3]) {
    const float at_p = 1.0F / (2.0F * P * P * (P * P - Q * Q));
    const float at_q = 1.0F / (2.0F * Q * Q * (Q * Q - P * P));
    VECTOR even_p = SAME(at_p) * (u[1] + u[2]), odd_p = SAME(at_p) * (u[1] - u[2]);
    VECTOR even_q = SAME(at_q) * (u[3] + u[4]), odd_q = SAME(at_q) * (u[3] - u[4]);
    to[0] = SCALE_ADD(1.0F / (P * P * Q * Q), u[0], even_p + even_q);
    to[1] = SCALE_ADD(P, odd_p, SAME(Q) * odd_q);
    to[2] = SCALE_ADD(P * P, even_p, SCALE_ADD(Q * Q, even_q, u[5]));
}

TARGET static void NAME(transform_gradient)(const float *from, size_t stride, int n_vectors,
                                            float *taps) {
    for (int v = 0; v < n_vectors; v++, from += WIDTH, taps += WIDTH) {
        VECTOR rows[3][PATCH], line[PATCH], outputs[3];
        for (int x = 0; x < PATCH; x++) {
            for (int k = 0; k < PATCH; k++)
                line[k] = LOAD(from + (size_t)(k * PATCH + x) * stride);
            NAME(gradient_line)(line, outputs);
            for (int y = 0; y < 3; y++)
                rows[y][x] = outputs[y];
        }
        for (int y = 0; y < 3; y++) {
            NAME(gradient_line)(rows[y], outputs);
            for (int x = 0; x < 3; x++)
                STORE(taps + (y * 3 + x) * n_vectors * WIDTH, outputs[x]);
        }
    }
}

const struct winograd_kernels NAME(winograd_kernels) = {
    .width = WIDTH,
    .n_tiles = TILES,
    .n_paired = PAIRED,
    .name = "our winograd " ISA,
    .transform_src = NAME(transform_src),
    .transform_weights = NAME(transform_weights),
    .multiply = NAME(multiply),
    .transform_dst = NAME(transform_dst),
    .transform_src_tiles = NAME(transform_src_tiles),
    .transform_d_dst = NAME(transform_d_dst),
    .multiply_gradient = NAME(multiply_gradient),
    .transform_gradient = NAME(transform_gradient),
};

#endif
