// SPDX-License-Identifier: MIT
#include "reference/reference.h"

#include <math.h>

// Offset in the plane of the largest pixel of window (y, x), the first in row order among equals.
// A NaN counts as the largest.
static long window_argmax(const struct adele_max_pool_desc *desc, const float *plane, int y,
                          int x) {
    long best = -1;
    for (int ky = 0; ky < desc->kernel; ky++)
        for (int kx = 0; kx < desc->kernel; kx++) {
            int ys = y * desc->stride - desc->pad + ky, xs = x * desc->stride - desc->pad + kx;
            if (ys < 0 || ys >= desc->h_in || xs < 0 || xs >= desc->w_in)
                continue;
            long at = (long)ys * desc->w_in + xs;
            if (best < 0 || plane[at] > plane[best] || isnan(plane[at]))
                best = at;
        }
    return best;
}

void reference_max_pool_forward(const struct adele_max_pool_desc *desc,
                                const struct adele_max_pool_args *args) {
    int h_out = adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1);
    int w_out = adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1);
    float *dst = args->dst;
    for (long p = 0; p < (long)desc->n * desc->c; p++) {
        const float *plane = (const float *)args->src + p * desc->h_in * desc->w_in;
        for (int y = 0; y < h_out; y++)
            for (int x = 0; x < w_out; x++)
                *dst++ = plane[window_argmax(desc, plane, y, x)];
    }
}

void reference_max_pool_backward(const struct adele_max_pool_desc *desc,
                                 const struct adele_max_pool_args *args) {
    int h_out = adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, 1);
    int w_out = adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, 1);
    const float *d_dst = args->d_dst;
    long plane_in = (long)desc->h_in * desc->w_in;
    for (long p = 0; p < (long)desc->n * desc->c; p++) {
        const float *plane = (const float *)args->src + p * plane_in;
        float *d_src = (float *)args->d_src + p * plane_in;
        for (long i = 0; i < plane_in && !args->accumulate_d_src; i++)
            d_src[i] = 0.0f;
        for (int y = 0; y < h_out; y++)
            for (int x = 0; x < w_out; x++)
                d_src[window_argmax(desc, plane, y, x)] += *d_dst++;
    }
}
