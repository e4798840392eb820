// SPDX-License-Identifier: MIT
// The elastic deformation of the op sample (training_ops.h) for all devices: cubic B-splines
// between shifts at the points of a grid. Point i of an axis lies at (i - 1) spacing, so that four
// points are around each pixel of an image.
#ifndef ADELE_DEVICE_ELASTIC_RULE_H
#define ADELE_DEVICE_ELASTIC_RULE_H

#include <stdint.h>

#ifdef __CUDACC__
#define ELASTIC_FUNCTION static __host__ __device__ inline
#else
#define ELASTIC_FUNCTION static inline
#endif

struct elastic_shift {
    double x, y; // pixels
};

// The points of an axis of n pixels.
ELASTIC_FUNCTION int elastic_count_points(int n, double spacing) {
    return (int)((double)(n - 1) / spacing) + 4;
}

// The first of the four points around a pixel.
ELASTIC_FUNCTION int elastic_first_point(int pixel, double spacing) {
    return (int)((double)pixel / spacing);
}

// Of the four points; their sum is 1.
ELASTIC_FUNCTION void elastic_find_weights(int pixel, double spacing, double weights[4]) {
    double position = (double)pixel / spacing, t = position - (double)(int)position;
    double s = 1.0 - t;
    weights[0] = s * s * s / 6.0;
    weights[1] = ((3.0 * t - 6.0) * t * t + 4.0) / 6.0;
    weights[2] = ((3.0 * s - 6.0) * s * s + 4.0) / 6.0;
    weights[3] = t * t * t / 6.0;
}

// Of point (row, column): uniform within +-most. `words` are of the Philox block with the counter
// (row * points of the other axis + column, id, epoch, RANDOM_ELASTIC).
ELASTIC_FUNCTION void elastic_draw(const uint32_t words[4], double most,
                                   struct elastic_shift *out) {
    out->x = most * ((double)words[0] * 0x1p-31 - 1.0);
    out->y = most * ((double)words[1] * 0x1p-31 - 1.0);
}

#endif
