// SPDX-License-Identifier: MIT
// An interpreter of PTX, the assembly that nvcc writes: runs the kernels of a module on the host.
// It is a second witness beside the emulator of tests/simt. The emulator compiles the CUDA sources
// as C++, and so never sees what nvcc made of them; this one runs nvcc's output. The two share no
// code: the emulator was written from CUDA's C++ guide, this one from NVIDIA's "Parallel Thread
// Execution ISA" (the chapters "Instruction Set" and "Warp Level Matrix Instructions"). Whoever
// changes one does not copy from the other, or a mistake would be made twice.
//
// This header is all that a program sees. Where it is linked instead of CUDA's runtime library
// (cudart_*.cpp), the program calls that library's functions and needs no header of ours.
#ifndef ADELE_PTX_H
#define ADELE_PTX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ptx_module;
struct ptx_kernel;

// Reads PTX text. NULL when it cannot be read; *error then says why, until the next call. The text
// is not needed afterwards. A module lives as long as the program.
struct ptx_module *ptx_module_load(const char *text, size_t bytes, const char **error);
// NULL when there is none. The body is read at the first launch, or by ptx_kernel_parse, which
// answers NULL or what cannot be read (valid until the next call).
struct ptx_kernel *ptx_kernel_find(struct ptx_module *module, const char *name);
const char *ptx_kernel_parse(struct ptx_kernel *kernel);

// Where the parameters lie in the buffer that a launch gets, in bytes.
int ptx_kernel_n_params(const struct ptx_kernel *kernel);
size_t ptx_kernel_param_offset(const struct ptx_kernel *kernel, int i);
size_t ptx_kernel_param_bytes(const struct ptx_kernel *kernel, int i);
size_t ptx_kernel_params_bytes(const struct ptx_kernel *kernel);
int ptx_kernel_sm(const struct ptx_kernel *kernel);               // of its module's .target
unsigned ptx_kernel_max_threads(const struct ptx_kernel *kernel); // of a block

// Memory that kernels may reach; everything else is an error. The interpreter does not own it.
void ptx_memory_add(void *block, size_t bytes);
void ptx_memory_remove(void *block);

struct ptx_launch {
    unsigned grid[3], block[3];
    size_t dynamic_shared_bytes;
    size_t shared_limit_bytes; // of static and dynamic together
    const void *params;        // (ptx_kernel_params_bytes)
    unsigned cluster[3];       // blocks of a cluster; 0 = what the kernel says, or 1
};
// NULL when all went well. Else what happened and where: kernel, block, thread, instruction, line
// of the source; valid until the next call.
const char *ptx_run(struct ptx_kernel *kernel, const struct ptx_launch *launch);

// With PTX_REPORT=FILE: that the program has a kernel of this name, which may never run. See
// report.cpp.
void ptx_report_kernel(const char *name);

// The freedom that hardware has, and in which of its ways it is used here. The defaults are what
// the environment says (the names behind each).
enum ptx_copy_time { PTX_COPY_LATE, PTX_COPY_EARLY, PTX_COPY_EITHER };
enum ptx_order { PTX_ORDER_FORWARD, PTX_ORDER_BACKWARD, PTX_ORDER_SHUFFLE };
enum ptx_mma_sum {
    PTX_MMA_EXACT,  // the exact sum, rounded once
    PTX_MMA_FLOAT,  // float additions in the order of k
    PTX_MMA_CUT,    // the exact sum, cut off
    PTX_MMA_AMPERE, // as the tensor cores of sm_80 and sm_86 do it, see mma_sum.h
    PTX_MMA_HOPPER, // of sm_90
    PTX_MMA_SUMS
};
// A fault planted in each kernel whose mangled name holds a text, for tests of the self-test.
enum ptx_fault {
    PTX_FAULT_WRONG, // its first block is left out
    PTX_FAULT_CRASH, // its launch ends the process by SIGSEGV
    PTX_FAULT_HANG,  // it never ends: whoever waits for it waits for ever
    PTX_FAULTS       // none
};
struct ptx_options {
    enum ptx_copy_time copy_time; // PTX_CP_ASYNC=late, early, either: when cp.async writes
    enum ptx_order order;         // PTX_ORDER=forward, backward, shuffle:SEED: of warps and blocks
    uint64_t seed;                // of what is drawn by chance
    enum ptx_mma_sum mma_sum;     // PTX_MMA=exact, float, cut, ampere, hopper
    int ex2_units;                // PTX_EX2=0, 1, -1: ex2.approx as it is, two units up, two down
    enum ptx_fault fault;         // PTX_PLANT=wrong:TEXT, crash:TEXT, hang:TEXT
    const char *faulty;           // the text
};
struct ptx_options *ptx_options(void);
// Comes back at once, unless a kernel that never ends was launched: for calls that wait.
void ptx_wait(void);

#ifdef __cplusplus
}
#endif
#endif
