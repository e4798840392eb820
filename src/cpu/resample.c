// SPDX-License-Identifier: MIT
#include "cpu/resample.h"

#include "base/fail.h"
#include "base/memory.h"
#include "cpu/elementwise.h"
#include "cpu/values.h"
#include "cpu/vector_math.h"
#include <string.h>

static void fill_forward(struct resample_axis *axis) {
    double step = axis->n_out > 1 ? (double)(axis->n_in - 1) / (double)(axis->n_out - 1) : 0.0;
    for (int o = 0; o < axis->n_out; o++) {
        double position = (double)o * step;
        int low = (int)position;
        // The last output lies exactly on the last input; rounding must not move it beyond.
        if (low > axis->n_in - 1)
            low = axis->n_in - 1;
        axis->low[o] = low;
        axis->high[o] = low + 1 < axis->n_in ? low + 1 : low;
        axis->t[o] = axis->high[o] == low ? 0.0f : (float)(position - (double)low);
    }
}

static void fill_backward(struct resample_axis *axis) {
    for (int i = 0; i < axis->n_in; i++) {
        axis->first[i] = axis->n_out;
        axis->end[i] = 0;
    }
    for (int o = 0; o < axis->n_out; o++) {
        const int touched[2] = {axis->low[o], axis->high[o]};
        for (int side = 0; side < 2; side++) {
            int i = touched[side];
            axis->first[i] = o < axis->first[i] ? o : axis->first[i];
            axis->end[i] = o + 1;
        }
    }
    int n_weights = 0;
    for (int i = 0; i < axis->n_in; i++) {
        axis->offset[i] = n_weights;
        if (axis->first[i] > axis->end[i])
            axis->first[i] = axis->end[i]; // no output reads this input
        for (int o = axis->first[i]; o < axis->end[i]; o++) {
            float weight = axis->low[o] == i ? 1.0f - axis->t[o] : 0.0f;
            if (axis->high[o] == i && axis->high[o] != axis->low[o])
                weight = axis->t[o];
            axis->weights[n_weights++] = weight;
        }
    }
}

adele_status resample_axis_init(struct resample_axis *axis, int n_in, int n_out) {
    memset(axis, 0, sizeof *axis);
    if (n_in < 1 || n_out < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                    "cannot resample an axis of %d to %d", n_in, n_out);
    // Every output touches at most two inputs, so there are at most 2 n_out weights.
    size_t inputs = (size_t)n_in;
    size_t outputs = (size_t)n_out;
    size_t words = 3 * outputs + 3 * inputs + 2 * outputs;
    axis->storage = memory_calloc(words, sizeof(float));
    TRY(CHECK_MEMORY(axis->storage));
    axis->n_in = n_in;
    axis->n_out = n_out;
    axis->is_identity = n_in == n_out;
    axis->low = axis->storage;
    axis->high = axis->low + outputs;
    axis->first = axis->high + outputs;
    axis->end = axis->first + inputs;
    axis->offset = axis->end + inputs;
    void *behind = axis->offset + inputs;
    axis->t = behind;
    axis->weights = axis->t + outputs;
    fill_forward(axis);
    fill_backward(axis);
    return ADELE_OK;
}

void resample_axis_deinit(struct resample_axis *axis) {
    memory_free(axis->storage);
    memset(axis, 0, sizeof *axis);
}

// The inner loops know the block size, so that a pixel's channels are one or two vector registers.
CPU_INLINE void blend_columns(const float *row, const struct resample_axis *columns, int block,
                              void *out, bool is_bf16) {
    for (int x = 0; x < columns->n_out; x++) {
        const float *low = row + (size_t)columns->low[x] * (size_t)block;
        const float *high = row + (size_t)columns->high[x] * (size_t)block;
        float t = columns->t[x];
        float s = 1.0f - t;
        for (int lane = 0; lane < block; lane++)
            value_store(out, (size_t)x * (size_t)block + (size_t)lane,
                        s * low[lane] + t * high[lane], is_bf16);
    }
}

CPU_INLINE void gather_columns(const float *d_out, const struct resample_axis *columns, int block,
                               void *d_in, bool is_bf16) {
    for (int i = 0; i < columns->n_in; i++) {
        float sum[16] = {0.0f};
        const float *weights = columns->weights + columns->offset[i];
        for (int o = columns->first[i]; o < columns->end[i]; o++) {
            float weight = weights[o - columns->first[i]];
            const float *pixel = d_out + (size_t)o * (size_t)block;
            for (int lane = 0; lane < block; lane++)
                sum[lane] += weight * pixel[lane];
        }
        for (int lane = 0; lane < block; lane++)
            value_store(d_in, (size_t)i * (size_t)block + (size_t)lane, sum[lane], is_bf16);
    }
}

CPU_VALUE_KERNEL(static void, row_blend,
                 (const void *row_low, const void *row_high, float t, size_t n, float *out),
                 (row_low, row_high, t, n, out)) {
    float s = 1.0f - t;
    for (size_t i = 0; i < n; i++)
        out[i] = s * value_at(row_low, i, is_bf16) + t * value_at(row_high, i, is_bf16);
}

CPU_VALUE_KERNEL(static void, columns_blend,
                 (const float *row, const struct resample_axis *columns, int block, void *out),
                 (row, columns, block, out)) {
    if (block == 8)
        blend_columns(row, columns, 8, out, is_bf16);
    else
        blend_columns(row, columns, 16, out, is_bf16);
}

CPU_VALUE_KERNEL(static void, columns_gather,
                 (const float *d_out, const struct resample_axis *columns, int block, void *d_in),
                 (d_out, columns, block, d_in)) {
    if (block == 8)
        gather_columns(d_out, columns, 8, d_in, is_bf16);
    else
        gather_columns(d_out, columns, 16, d_in, is_bf16);
}

CPU_KERNEL(static void, rows_gather,
           (const float *restrict d_rows, size_t row_floats, const float *weights, int n,
            float *restrict d_in),
           (d_rows, row_floats, weights, n, d_in)) {
    for (int o = 0; o < n; o++) {
        const float *restrict row = d_rows + (size_t)o * row_floats;
        float weight = weights[o];
        for (size_t i = 0; i < row_floats; i++)
            d_in[i] = o == 0 ? weight * row[i] : d_in[i] + weight * row[i];
    }
    if (n == 0) // no output reads this row
        memset(d_in, 0, row_floats * sizeof *d_in);
}

CPU_INLINE void unpack_lanes(const float *row, int n_lanes, int block, int n, float *out,
                             int stride) {
    for (int lane = 0; lane < n_lanes; lane++) {
        float *plain = out + (size_t)lane * (size_t)stride;
        for (int x = 0; x < n; x++)
            plain[x] = row[(size_t)x * (size_t)block + (size_t)lane];
    }
}

CPU_INLINE void pack_lanes(const float *plain, int stride, int n_lanes, int block, int n, void *row,
                           bool is_bf16) {
    for (int lane = 0; lane < block; lane++) {
        const float *from = plain + (size_t)lane * (size_t)stride;
        for (int x = 0; x < n; x++)
            value_store(row, (size_t)x * (size_t)block + (size_t)lane,
                        lane < n_lanes ? from[x] : 0.0f, is_bf16);
    }
}

// The row of the tensor as floats, blended along rows where it has to be; borrowed from the tensor
// or scratch.
static const float *source_row(const struct resample_tensor *from, int n, int i_block,
                               const struct resample_axis *rows, int y, float *scratch) {
    int block = from->block, c = i_block * block;
    size_t n_values = (size_t)from->shape.w * (size_t)block;
    const void *low = value_address(
        from->values, cpu_tensor_index(from->shape, block, n, c, rows->low[y], 0), from->is_bf16);
    const void *high = value_address(
        from->values, cpu_tensor_index(from->shape, block, n, c, rows->high[y], 0), from->is_bf16);
    if (!rows->is_identity)
        row_blend(low, high, rows->t[y], n_values, scratch, from->is_bf16);
    else if (from->is_bf16)
        elementwise_widen(scratch, low, n_values);
    else
        return low;
    return scratch;
}

void resample_row_blocked(const struct resample_tensor *from, int n, int i_block,
                          const struct resample_axis *rows, const struct resample_axis *columns,
                          int y, float *scratch, void *out) {
    const float *row = source_row(from, n, i_block, rows, y, scratch);
    size_t n_values = (size_t)from->shape.w * (size_t)from->block;
    if (!columns->is_identity)
        columns_blend(row, columns, from->block, out, from->is_bf16);
    else if (from->is_bf16)
        elementwise_narrow(out, row, n_values);
    else
        memcpy(out, row, n_values * sizeof(float));
}

void resample_row_forward(const struct resample_tensor *from, int n,
                          const struct resample_axis *rows, const struct resample_axis *columns,
                          int y, float *scratch, float *out, int stride) {
    int block = from->block, n_channels = from->shape.c;
    float *wide = scratch + (size_t)from->shape.w * (size_t)block;
    for (int c = 0; c < n_channels; c += block) {
        const float *row = source_row(from, n, c / block, rows, y, scratch);
        if (!columns->is_identity) {
            columns_blend(row, columns, block, wide, false);
            row = wide;
        }
        unpack_lanes(row, n_channels - c < block ? n_channels - c : block, block, columns->n_out,
                     out + (size_t)c * (size_t)stride, stride);
    }
}

void resample_columns_backward(const float *d_out, int stride, int n_lanes, int block,
                               const struct resample_axis *columns, float *scratch, void *d_in,
                               bool is_bf16) {
    if (columns->is_identity) {
        pack_lanes(d_out, stride, n_lanes, block, columns->n_out, d_in, is_bf16);
        return;
    }
    pack_lanes(d_out, stride, n_lanes, block, columns->n_out, scratch, false);
    columns_gather(scratch, columns, block, d_in, is_bf16);
}

void resample_rows_backward(const float *d_rows, size_t row_floats,
                            const struct resample_axis *rows, int y, float *d_in) {
    rows_gather(d_rows + (size_t)rows->first[y] * row_floats, row_floats,
                rows->weights + rows->offset[y], rows->end[y] - rows->first[y], d_in);
}
