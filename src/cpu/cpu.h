// SPDX-License-Identifier: MIT
// Internal to the CPU device: the blocked layout, and the functions that cpu.c puts into the
// interface.
//
// Layout of a tensor (N, C, H, W): (N, ceil(C / B), H, W, B) values, floats or bf16 (values.h),
// B = 8 (AVX2 and below) or 16 (AVX-512), the last block padded with zeros: oneDNN's nChw8c /
// nChw16c, so a convolution reorders no activation. Every op keeps the padding channels at zero.
#ifndef ADELE_CPU_CPU_H
#define ADELE_CPU_CPU_H

#include "device/device.h"

// context.c
int cpu_block(const struct adele_device *device);    // B
bool cpu_is_bf16(const struct adele_device *device); // its tensors; otherwise they are float
int cpu_n_threads(const struct adele_device *device);
// Whether convolutions may use Winograd's algorithm (conv2d_winograd.h).
bool cpu_has_winograd(const struct adele_device *device);
struct dnnl_engine *cpu_engine(const struct adele_device *device);
struct dnnl_stream *cpu_stream(const struct adele_device *device);

// Values in a tensor of that shape, and the index of element (n, c, y, x).
static inline size_t cpu_tensor_values(struct adele_shape shape, int block) {
    return (size_t)shape.n * (size_t)((shape.c + block - 1) / block) * (size_t)shape.h *
           (size_t)shape.w * (size_t)block;
}
static inline size_t cpu_tensor_index(struct adele_shape shape, int block, int n, int c, int y,
                                      int x) {
    size_t n_blocks = (size_t)((shape.c + block - 1) / block);
    return ((((size_t)n * n_blocks + (size_t)(c / block)) * (size_t)shape.h + (size_t)y) *
                (size_t)shape.w +
            (size_t)x) *
               (size_t)block +
           (size_t)(c % block);
}

// A slice in planes (H, W, B): plane (image n, block b) of the slice lies at place
// n * n_blocks + first + b of the wide tensor. A tensor of its own has n_blocks = its blocks.
struct cpu_slice {
    size_t n_blocks, first;
};
static inline struct cpu_slice cpu_slice_of(struct adele_slice slice, int c, int block) {
    int wide = slice.of != 0 ? slice.of : c;
    struct cpu_slice out = {(size_t)((wide + block - 1) / block), (size_t)(slice.first / block)};
    return out;
}
// The place of plane i of a slice with n_blocks blocks.
static inline size_t cpu_slice_plane(struct cpu_slice slice, int i, int n_blocks) {
    return (size_t)(i / n_blocks) * slice.n_blocks + slice.first + (size_t)(i % n_blocks);
}

// What every op of this device begins with. Destroying an op calls `release` (may be NULL), also
// after its create function has failed half-way, and frees it.
struct cpu_op {
    struct adele_op op;
    void (*release)(struct cpu_op *op);
};

// The create functions get a checked descriptor, begin with cpu_op_create, and leave the op to the
// caller (cpu.c), which destroys it when they fail.
#define CPU_OP_ENTRY(name, has_backward)                                                           \
    adele_status cpu_##name##_create(const struct adele_device *device,                            \
                                     const struct adele_##name##_desc *desc,                       \
                                     struct adele_op **out);                                       \
    adele_status cpu_##name##_forward(struct adele_op *op,                                         \
                                      const struct adele_##name##_args *args);                     \
    adele_status cpu_##name##_backward(struct adele_op *op, const struct adele_##name##_args *args);
ADELE_OPS(CPU_OP_ENTRY) // the backward of an op without one is declared and never defined
#undef CPU_OP_ENTRY

// The device "cpu", and "cpu/direct", whose convolutions never use Winograd's algorithm, which
// rounds more (conv2d_winograd.h).
ADELE_MUST_CHECK adele_status cpu_device_create(enum adele_precision precision,
                                                struct adele_device **out);
ADELE_MUST_CHECK adele_status cpu_device_create_direct(enum adele_precision precision,
                                                       struct adele_device **out);
// The latter with a block of 8 or 16 whatever the processor, so that a test sees both layouts
// anywhere.
ADELE_MUST_CHECK adele_status cpu_device_create_with_block(int block, bool is_bf16,
                                                           struct adele_device **out);

// *out = a zeroed op of `bytes` bytes with its header filled in.
ADELE_MUST_CHECK adele_status cpu_op_create(const struct adele_device *device,
                                            enum adele_op_kind kind, size_t bytes,
                                            struct adele_op **out);
void cpu_op_destroy(struct adele_op *op); // NULL is legal

// A place of `bytes` bytes behind *end in a workspace, aligned for vectors; *end moves behind it.
static inline size_t cpu_reserve(size_t *end, size_t bytes) {
    size_t at = *end;
    *end += (bytes + 63) / 64 * 64;
    return at;
}
#endif
