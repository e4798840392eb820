// SPDX-License-Identifier: MIT
// What our own convolution kernels share: when they may run, and the padded copies of input rows.
#include "cpu/conv2d_parts.h"

#include <string.h>

#define BLOCK 8

bool conv2d_has_own_kernels(const struct conv2d *self) {
#if defined(__x86_64__)
    return cpu_block(self->base.op.device) == BLOCK && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma");
#else
    (void)self;
    return false;
#endif
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

void conv2d_fill_rows(const struct adele_conv2d_desc *desc, const float *plane, int y, int n_rows,
                      float *buffer) {
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
        memcpy(to + border, plane + (size_t)y_in * inner, inner * sizeof(float));
        memset(to + border + inner, 0, border * sizeof(float));
    }
}
