// SPDX-License-Identifier: MIT
// What a kernel finds in the emulator: where it is, barriers, warp functions, atomics, shared
// memory; and simt_launch, which runs it.
//
// A grid runs block by block on one thread of the machine. The threads of a block run one after the
// other until they meet a barrier or a warp function; there each waits on a stack of its own (a
// fiber) until all others have come. Breaking a rule of the GPU ends the launch, and the next
// cudaGetLastError names kernel, block, thread and line.
#ifndef ADELE_SIMT_KERNEL_H
#define ADELE_SIMT_KERNEL_H

#include "simt_plant.h"
#include "simt_types.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tuple>
#include <type_traits>

// ---- where a thread is --------------------------------------------------------------------------

struct simt_position {
    uint3 thread, block;
    dim3 block_extent, grid_extent;
};
extern struct simt_position simt_here;

#define threadIdx ((const uint3 &)simt_here.thread)
#define blockIdx  ((const uint3 &)simt_here.block)
#define blockDim  ((const dim3 &)simt_here.block_extent)
#define gridDim   ((const dim3 &)simt_here.grid_extent)
static const int warpSize = 32;

// The last parameters of every function that waits: the line that it is called from.
#define SIMT_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

// ---- barriers -----------------------------------------------------------------------------------

enum simt_barrier_kind { SIMT_BARRIER, SIMT_BARRIER_OR, SIMT_BARRIER_AND, SIMT_BARRIER_COUNT };
int simt_barrier(enum simt_barrier_kind kind, int predicate, const char *file, int line);

static inline void __syncthreads(SIMT_CALLER) {
    simt_barrier(SIMT_BARRIER, 0, file, line);
}
static inline int __syncthreads_or(int predicate, SIMT_CALLER) {
    return simt_barrier(SIMT_BARRIER_OR, predicate, file, line);
}
static inline int __syncthreads_and(int predicate, SIMT_CALLER) {
    return simt_barrier(SIMT_BARRIER_AND, predicate, file, line);
}
static inline int __syncthreads_count(int predicate, SIMT_CALLER) {
    return simt_barrier(SIMT_BARRIER_COUNT, predicate, file, line);
}

// One stream, blocks in order: memory is always consistent here. The checked build takes a fence as
// the sign that blocks of this launch hand results to each other.
void __threadfence();
static inline void __threadfence_block() {
}

// ---- warp functions -----------------------------------------------------------------------------

enum simt_warp_kind {
    SIMT_SYNCWARP,
    SIMT_SHUFFLE,
    SIMT_SHUFFLE_XOR,
    SIMT_SHUFFLE_UP,
    SIMT_SHUFFLE_DOWN,
    SIMT_BALLOT,
    SIMT_ANY,
    SIMT_ALL,
    SIMT_LDMATRIX,
    SIMT_LDMATRIX_TRANS,
    SIMT_STMATRIX,
    SIMT_MMA_BF16,
    SIMT_MMA_TF32
};

// What one lane brings to a warp function and what it takes away.
struct simt_warp_call {
    enum simt_warp_kind kind;
    unsigned mask;
    uint64_t value;      // in: of a shuffle or a vote; out: the result
    int argument, width; // of a shuffle: lane or distance
    const void *a, *b; // of mma: fragments; of ldmatrix: a is the row's address; of stmatrix: words
    void *out;         // of mma: d; of ldmatrix: the four words; of stmatrix: the row's address
    const char *file;
    int line;
};
// Waits until every lane of the mask has called the same function on the same line.
void simt_warp(struct simt_warp_call *call);

template <typename T>
static inline T simt_shuffle(enum simt_warp_kind kind, unsigned mask, T value, int argument,
                             int width, const char *file, int line) {
    static_assert(std::is_arithmetic<T>::value && sizeof(T) <= 8, "a number of up to 8 bytes");
    struct simt_warp_call call = {kind, mask, 0, argument, width, NULL, NULL, NULL, file, line};
    memcpy(&call.value, &value, sizeof value);
    simt_warp(&call);
    memcpy(&value, &call.value, sizeof value);
    return value;
}

template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, SIMT_CALLER) {
    return simt_shuffle(SIMT_SHUFFLE, mask, value, lane, width, file, line);
}
template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, SIMT_CALLER) {
    return simt_shuffle(SIMT_SHUFFLE_XOR, mask, value, bits, width, file, line);
}
template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                               SIMT_CALLER) {
    return simt_shuffle(SIMT_SHUFFLE_UP, mask, value, (int)delta, width, file, line);
}
template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                 SIMT_CALLER) {
    return simt_shuffle(SIMT_SHUFFLE_DOWN, mask, value, (int)delta, width, file, line);
}

static inline unsigned simt_vote(enum simt_warp_kind kind, unsigned mask, int predicate,
                                 const char *file, int line) {
    struct simt_warp_call call = {kind, mask, predicate != 0, 0, 32, NULL, NULL, NULL, file, line};
    simt_warp(&call);
    return (unsigned)call.value;
}
static inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_CALLER) {
    return simt_vote(SIMT_BALLOT, mask, predicate, file, line);
}
static inline int __any_sync(unsigned mask, int predicate, SIMT_CALLER) {
    return (int)simt_vote(SIMT_ANY, mask, predicate, file, line);
}
static inline int __all_sync(unsigned mask, int predicate, SIMT_CALLER) {
    return (int)simt_vote(SIMT_ALL, mask, predicate, file, line);
}
static inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_CALLER) {
    simt_vote(SIMT_SYNCWARP, mask, 0, file, line);
}

// ---- atomics and loads --------------------------------------------------------------------------

// Integers only: float atomics would make a sum depend on the order of arrival.
#define SIMT_ATOMICS(type)                                                                         \
    type atomicAdd(type *address, type value);                                                     \
    type atomicSub(type *address, type value);                                                     \
    type atomicMin(type *address, type value);                                                     \
    type atomicMax(type *address, type value);                                                     \
    type atomicAnd(type *address, type value);                                                     \
    type atomicOr(type *address, type value);                                                      \
    type atomicXor(type *address, type value);                                                     \
    type atomicExch(type *address, type value);                                                    \
    type atomicCAS(type *address, type compare, type value);
SIMT_ATOMICS(int)
SIMT_ATOMICS(unsigned)
SIMT_ATOMICS(unsigned long long)
#undef SIMT_ATOMICS

template <typename T> static inline T __ldg(const T *address) {
    return *address;
}

// ---- shared memory ------------------------------------------------------------------------------

// The block's array number `id`; filled with 0xff when the block begins, a NaN in every float.
void *simt_shared(size_t bytes, size_t align, int id);
unsigned char *simt_dynamic_shared();

#if defined(ADELE_SIMT_CHECKED) &&                                                                 \
    !defined(ADELE_SIMT_INTERNAL_H) // not in the emulator's own files
void *simt_checked_memcpy(void *to, const void *from, size_t bytes);
void *simt_checked_memset(void *to, int value, size_t bytes);
// The compiler turns copies of a few bytes into loads.
#define memcpy(to, from, bytes)                                                                    \
    (__builtin_constant_p(bytes) && (bytes) <= 16 ? __builtin_memcpy((to), (from), (bytes))        \
                                                  : simt_checked_memcpy((to), (from), (bytes)))
#define memset(to, value, bytes) simt_checked_memset((to), (value), (bytes))
#endif

// ---- launching ----------------------------------------------------------------------------------

struct simt_grid {
    const char *name;
    dim3 grid, block;
    size_t shared_bytes;
    const void *kernel;
    void (*run)(const void *arguments); // one thread, from beginning to end
    const void *arguments;
    size_t arguments_bytes;
    bool leaves_out_first; // cluster, for simt_plant.h
    dim3 cluster;          // blocks that run together; 1: none
};
// Puts the grid into the stream's queue, with a copy of the arguments; what is wrong with the
// launch itself is left for cudaGetLastError.
void simt_launch_grid(const struct simt_grid *grid, struct CUstream_st *stream);

template <typename T> struct simt_same { typedef T type; };

template <typename... Parameters> struct simt_bound_kernel {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> values;

    static void run(const void *self) {
        const simt_bound_kernel *bound = (const simt_bound_kernel *)self;
        std::apply(bound->kernel, bound->values);
    }
};

// kernel<<<grid, block, shared_bytes, stream>>>(arguments...), in clusters of blocks.
template <typename... Parameters>
static inline void simt_launch_clusters(const char *name, dim3 grid, dim3 block, dim3 cluster,
                                        size_t shared_bytes, struct CUstream_st *stream,
                                        void (*kernel)(Parameters...),
                                        typename simt_same<Parameters>::type... arguments) {
    static_assert((std::is_trivially_copyable<Parameters>::value && ...),
                  "arguments reach a kernel as bytes");
    simt_bound_kernel<Parameters...> bound = {kernel, {arguments...}};
    struct simt_grid all = {name,         grid,           block,
                            shared_bytes, (void *)kernel, simt_bound_kernel<Parameters...>::run,
                            &bound,       sizeof bound,   simt_plant_leaves_out_first(),
                            cluster};
    simt_launch_grid(&all, stream);
}

template <typename... Parameters>
static inline void simt_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                               struct CUstream_st *stream, void (*kernel)(Parameters...),
                               typename simt_same<Parameters>::type... arguments) {
    simt_launch_clusters(name, grid, block, dim3(1), shared_bytes, stream, kernel, arguments...);
}

#endif
