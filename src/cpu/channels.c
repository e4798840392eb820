// SPDX-License-Identifier: MIT
#include "cpu/channels.h"

#include "cpu/elementwise.h"

#include <string.h>

static void move_lanes(float *to, const float *from, size_t n_floats, size_t block, size_t n_lanes,
                       bool accumulate) {
    for (size_t i = 0; i < n_floats; i += block)
        for (size_t lane = i; lane < i + n_lanes; lane++)
            to[lane] = accumulate ? to[lane] + from[lane] : from[lane];
}

void channels_move(int block, struct channels to_channels, float *to, struct channels from_channels,
                   const float *from, int count, bool accumulate) {
    struct adele_shape shape = to_channels.shape;
    size_t plane = (size_t)shape.h * (size_t)shape.w * (size_t)block;
    bool is_whole = to_channels.first % block == 0 && from_channels.first % block == 0;
    int step = is_whole ? block : 1, n_moves = (count + step - 1) / step;
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < shape.n; n++)
        for (int i = 0; i < n_moves; i++) {
            float *out = to + cpu_tensor_index(shape, block, n, to_channels.first + i * step, 0, 0);
            const float *in = from + cpu_tensor_index(from_channels.shape, block, n,
                                                      from_channels.first + i * step, 0, 0);
            int n_lanes = count - i * step < step ? count - i * step : step;
            if (n_lanes < block)
                move_lanes(out, in, plane, (size_t)block, (size_t)n_lanes, accumulate);
            else if (accumulate)
                elementwise_add(out, in, plane);
            else
                memcpy(out, in, plane * sizeof(float));
        }
}

void channels_zero_padding(int block, struct adele_shape shape, float *tensor) {
    int first = shape.c % block;
    size_t n_floats = (size_t)shape.h * (size_t)shape.w * (size_t)block;
    if (first == 0)
        return;
#pragma omp parallel for schedule(static)
    for (int n = 0; n < shape.n; n++) {
        float *out = tensor + cpu_tensor_index(shape, block, n, shape.c - first, 0, 0) + first;
        for (size_t i = 0; i < n_floats; i += (size_t)block)
            memset(out + i, 0, (size_t)(block - first) * sizeof(float));
    }
}
