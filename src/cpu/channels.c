// SPDX-License-Identifier: MIT
#include "cpu/channels.h"

#include "cpu/elementwise.h"
#include "cpu/values.h"

#include <string.h>

CPU_VALUE_KERNEL(static void, move_lanes,
                 (void *to, const void *from, size_t n_values, size_t block, size_t n_lanes,
                  bool accumulate),
                 (to, from, n_values, block, n_lanes, accumulate)) {
    for (size_t i = 0; i < n_values; i += block)
        for (size_t lane = i; lane < i + n_lanes; lane++) {
            float value = value_at(from, lane, is_bf16);
            if (accumulate)
                value = value_at(to, lane, is_bf16) + value;
            value_store(to, lane, value, is_bf16);
        }
}

void channels_move(const struct adele_device *device, struct channels to_channels, void *to,
                   struct channels from_channels, const void *from, int count, bool accumulate) {
    int block = cpu_block(device);
    bool is_bf16 = cpu_is_bf16(device);
    struct adele_shape shape = to_channels.shape;
    size_t plane = (size_t)shape.h * (size_t)shape.w * (size_t)block;
    bool is_whole = to_channels.first % block == 0 && from_channels.first % block == 0;
    int step = is_whole ? block : 1, n_moves = (count + step - 1) / step;
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < shape.n; n++)
        for (int i = 0; i < n_moves; i++) {
            int c_to = to_channels.first + i * step, c_from = from_channels.first + i * step;
            void *out = value_address(to, cpu_tensor_index(shape, block, n, c_to, 0, 0), is_bf16);
            const void *in = value_address(
                from, cpu_tensor_index(from_channels.shape, block, n, c_from, 0, 0), is_bf16);
            int n_lanes = count - i * step < step ? count - i * step : step;
            if (n_lanes < block)
                move_lanes(out, in, plane, (size_t)block, (size_t)n_lanes, accumulate, is_bf16);
            else if (accumulate)
                elementwise_add_values(out, in, plane, is_bf16);
            else
                memcpy(out, in, plane * value_bytes(is_bf16));
        }
}

void channels_zero_padding(const struct adele_device *device, struct adele_shape shape,
                           void *tensor) {
    int block = cpu_block(device);
    bool is_bf16 = cpu_is_bf16(device);
    int first = shape.c % block;
    size_t n_values = (size_t)shape.h * (size_t)shape.w * (size_t)block;
    if (first == 0)
        return;
#pragma omp parallel for schedule(static)
    for (int n = 0; n < shape.n; n++) {
        size_t out = cpu_tensor_index(shape, block, n, shape.c - first, 0, 0) + (size_t)first;
        for (size_t i = 0; i < n_values; i += (size_t)block)
            memset(value_address(tensor, out + i, is_bf16), 0,
                   (size_t)(block - first) * value_bytes(is_bf16));
    }
}
