// SPDX-License-Identifier: MIT
// The emulator's switches. Each is a variable of the environment; it is read at every launch, so
// that a test may change it with setenv. A value that is not listed here ends the program.
//
// SIMT_DEVICE       What the device is.
//     ampere        The default: compute capability 8.0.
//     hopper        9.0, with 227 KB of shared memory for a block, clusters, and the instructions
//     of
//                   simt_hopper.h.
// SIMT_TENSOR_CORE  The arithmetic of mma.sync (simt_dot_add.h); by default the device's.
//     ampere        What GPUs of the Ampere and Ada generations compute.
//     hopper        What Hopper computes.
//     nearest       Products are added up one by one, each sum rounded to nearest. No GPU does so:
//                   it tells whether a difference comes from the arithmetic.
// SIMT_ORDER        A whole number: the blocks of each grid run in an order drawn from it. By
//                   default they run by ascending index. A result that depends on the order is a
//                   defect of the kernel.
// SIMT_STREAMS      When the work of streams is done (simt_stream.cpp).
//     eager         The default: each operation is done before its call returns, except copies from
//                   page-locked memory, which wait until the host or the stream needs them.
//     lazy          Operations wait in their streams until the host waits for them: memory that is
//                   overwritten or freed too early shows as a wrong result.
// SIMT_LIBRARIES    Stand-ins of NVIDIA's libraries (simt_libraries.h) that a device finds when it
//                   opens: none (the default), cublas, cudnn, nccl or all. Read when a device is
//                   opened.
//
// What is always strict, without a switch: new memory of the device and page-locked memory hold
// 0xff in every byte (NaN in every float), shared memory does at the beginning of each block; a
// launch obeys __launch_bounds__ and the shared memory that was allowed; cp.async copies from
// global to shared memory only, and ldmatrix reads shared memory only; while a stream is captured,
// the capturing thread neither allocates, frees, waits, nor copies from or to pageable memory.
//
// What the emulator cannot check: how many registers a kernel takes, so that registers x threads
// over 65,536 are not found here. `ninja resources` (tools/kernel-resources) asks ptxas.
#ifndef ADELE_SIMT_SETTINGS_H
#define ADELE_SIMT_SETTINGS_H

#include <stdint.h>

enum simt_tensor_core {
    SIMT_TENSOR_CORE_AMPERE,
    SIMT_TENSOR_CORE_HOPPER,
    SIMT_TENSOR_CORE_NEAREST
};

struct simt_settings {
    bool is_hopper;
    enum simt_tensor_core tensor_core;
    bool is_shuffled;
    uint64_t seed; // of the order, when is_shuffled
    bool is_lazy;
    bool has_cublas, has_cudnn, has_nccl;
};

struct simt_settings simt_settings_read();

#endif
