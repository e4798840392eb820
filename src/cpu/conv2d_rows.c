// SPDX-License-Identifier: MIT
// What our own convolution kernels share: groups of 8 channels, and padded copies of input rows.
#include "cpu/conv2d_parts.h"
#include "cpu/values.h"

#include <string.h>

#define BLOCK 8

const void *conv2d_group(const struct conv2d *self, const void *tensor, int n, int n_channels,
                         int i_group, size_t pixels) {
    int block = cpu_block(self->base.op.device), per_block = block / BLOCK;
    size_t i_block = (size_t)n * (size_t)(n_channels / block) + (size_t)(i_group / per_block);
    size_t first = i_block * pixels * (size_t)block + (size_t)(i_group % per_block) * BLOCK;
    return value_address(tensor, first, self->is_bf16);
}

CPU_VALUE_KERNEL(void, conv2d_copy_pixels,
                 (float *restrict to, const void *restrict from, size_t step, size_t n_pixels),
                 (to, from, step, n_pixels)) {
    for (size_t i = 0; i < n_pixels; i++)
        LANES_STORE(to + i * BLOCK, lanes_at(from, i * step, is_bf16));
}

int conv2d_rows_read(const struct adele_conv2d_desc *desc, int n_rows) {
    return (n_rows - 1) * desc->stride + (desc->kernel - 1) * desc->dilation + 1;
}

// True when row `i` of the buffer is read by one of n_rows output rows.
static bool is_row_read(const struct adele_conv2d_desc *desc, int i, int n_rows) {
    for (int ky = 0; ky < desc->kernel; ky++) {
        int from_tap = i - ky * desc->dilation;
        if (from_tap >= 0 && from_tap % desc->stride == 0 && from_tap / desc->stride < n_rows)
            return true;
    }
    return false;
}

void conv2d_fill_rows(const struct conv2d *self, const void *plane, int y, int n_rows,
                      float *buffer) {
    const struct adele_conv2d_desc *desc = &self->desc;
    size_t border = (size_t)desc->pad * BLOCK, inner = (size_t)desc->w_in * BLOCK;
    size_t step = (size_t)cpu_block(self->base.op.device), row = inner + 2 * border;
    int n_read = conv2d_rows_read(desc, n_rows);
    for (int i = 0; i < n_read; i++) {
        if (!is_row_read(desc, i, n_rows))
            continue;
        float *to = buffer + (size_t)i * row;
        int64_t y_in = (int64_t)y * desc->stride - desc->pad + i;
        if (y_in < 0 || y_in >= desc->h_in) {
            memset(to, 0, row * sizeof(float));
            continue;
        }
        memset(to, 0, border * sizeof(float));
        conv2d_copy_pixels(
            to + border,
            value_address(plane, (size_t)y_in * (size_t)desc->w_in * step, self->is_bf16), step,
            (size_t)desc->w_in, self->is_bf16);
        memset(to + border + inner, 0, border * sizeof(float));
    }
}
