// SPDX-License-Identifier: MIT
// What our own convolution kernels share: groups of 8 channels, and padded copies of input rows.
#include "cpu/conv2d_parts.h"

#include <string.h>

#define BLOCK 8

const float *conv2d_group(const struct conv2d *self, const float *tensor, int n, int n_channels,
                          int i_group, size_t pixels) {
    int block = cpu_block(self->base.op.device), per_block = block / BLOCK;
    size_t i_block = (size_t)n * (size_t)(n_channels / block) + (size_t)(i_group / per_block);
    return tensor + i_block * pixels * (size_t)block + (size_t)(i_group % per_block) * BLOCK;
}

static void copy_pixels(float *to, const float *from, size_t step, size_t n_pixels) {
    if (step == BLOCK) {
        memcpy(to, from, n_pixels * BLOCK * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n_pixels; i++)
        memcpy(to + i * BLOCK, from + i * step, BLOCK * sizeof(float));
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

void conv2d_fill_rows(const struct adele_conv2d_desc *desc, const float *plane, size_t step, int y,
                      int n_rows, float *buffer) {
    size_t border = (size_t)desc->pad * BLOCK, inner = (size_t)desc->w_in * BLOCK;
    size_t row = inner + 2 * border;
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
        copy_pixels(to + border, plane + (size_t)y_in * (size_t)desc->w_in * step, step,
                    (size_t)desc->w_in);
        memset(to + border + inner, 0, border * sizeof(float));
    }
}
