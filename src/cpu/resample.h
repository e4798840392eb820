// SPDX-License-Identifier: MIT
// Bilinear, align-corners resampling of one row at a time between the blocked layout and plain
// rows, for the loss, the ensemble and the sampler. Tensors are bf16 or floats (is_bf16); plain
// rows and scratch are floats, so that what is written to a bf16 tensor is rounded once. Output
// position o reads input position o (n_in - 1) / (n_out - 1). Both directions are in gather form,
// so the order of every sum is fixed.
#ifndef ADELE_CPU_RESAMPLE_H
#define ADELE_CPU_RESAMPLE_H

#include "cpu/cpu.h"

struct resample_axis {
    int n_in, n_out;
    bool is_identity; // n_in = n_out
    // Forward: output o = (1 - t[o]) in[low[o]] + t[o] in[high[o]].
    int *low, *high;
    float *t;
    // Backward: d_in[i] = sum over o in [first[i], end[i]) of weights[offset[i] + o - first[i]]
    // d_out[o].
    int *first, *end, *offset;
    float *weights;
    void *storage; // all of the above
};
ADELE_MUST_CHECK adele_status resample_axis_init(struct resample_axis *axis, int n_in, int n_out);
void resample_axis_deinit(struct resample_axis *axis); // also zeroes it

// What is resampled.
struct resample_tensor {
    const void *values;
    bool is_bf16;
    struct adele_shape shape;
    int block;
};

// Row y of the output of image n, as plain rows out[c * stride + x], c < shape.c, x <
// columns->n_out. `scratch` holds (columns->n_in + columns->n_out) * block floats.
void resample_row_forward(const struct resample_tensor *from, int n,
                          const struct resample_axis *rows, const struct resample_axis *columns,
                          int y, float *scratch, float *out, int stride);
// Row y of the output, in the blocked layout and as values of the same type: value x * block + lane
// of `out`, of channel block i_block. `scratch` holds columns->n_in * block floats.
void resample_row_blocked(const struct resample_tensor *from, int n, int i_block,
                          const struct resample_axis *rows, const struct resample_axis *columns,
                          int y, float *scratch, void *out);
// The transpose along columns: d_out[c * stride + x] for the n_lanes channels of one block -> one
// blocked row of columns->n_in pixels, value x * block + lane of d_in; lanes from n_lanes on become
// 0. `scratch` holds columns->n_out * block floats.
void resample_columns_backward(const float *d_out, int stride, int n_lanes, int block,
                               const struct resample_axis *columns, float *scratch, void *d_in,
                               bool is_bf16);
// The transpose along rows: d_in row y = sum of weighted rows of `row_floats` floats of d_rows.
void resample_rows_backward(const float *d_rows, size_t row_floats,
                            const struct resample_axis *rows, int y, float *d_in);

#endif
