// SPDX-License-Identifier: MIT
// Kernels that keep the rules, whose results are checked, and kernels that each break one, to test
// that the emulator notices. Every function returns NULL, or the text of cudaGetErrorString.
#ifndef ADELE_SIMT_PLANTED_H
#define ADELE_SIMT_PLANTED_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- kernels that keep the rules ----------------------------------------------------------------

// out[b] = sum of in[256 b ..]: shuffles, then shared memory.
const char *planted_reduce(const float *in, int n_blocks, float *out);
// in (h, w) -> out (w, h) by tiles of 16 x 16.
const char *planted_transpose(const float *in, int h, int w, float *out);
// Of 64 threads, thread i votes values[i] & 1: per thread ballot, any, all, and of the block or,
// and, count; out (64, 6).
const char *planted_vote(const int *values, unsigned *out);
// out (32, 4): value of lane (i + 5) % 32, of i ^ 3 within 8, of i - 2, of i + 2.
const char *planted_shuffle(const double *in, double *out);
// counts[value] += 1 for each of the n values, with atomics in shared and device memory.
const char *planted_histogram(const int *values, int n, unsigned counts[16]);
// out[i] = sum over t of in[32 t + i] for i < 32, tiles fetched by cp.async one ahead.
const char *planted_pipeline(const float *in, int n_tiles, bool waits, float *out);
// d (16, 8) += a (16, 16) b (16, 8), all row major; operands are rounded to bf16 or TF32.
const char *planted_mma_bf16(const float *a, const float *b, float *d);
const char *planted_mma_tf32(const float *a, const float *b, float *d); // k = 8
// in (32, 8) halves; out (32, 4): the words of each lane.
const char *planted_ldmatrix(const uint16_t *in, bool is_transposed, uint32_t *out);
// out[i] of 32 threads: what thread i finds in shared memory that was never written.
const char *planted_uninitialized(float *out);
// Lanes exchange through shared memory with __syncwarp between: legal.
const char *planted_warp_exchange(void);
// Threads write the bytes of one word, in shared and in device memory: legal. out[i] = 2 i.
const char *planted_bytes(unsigned char out[64]);
// 1000 blocks, each counts itself; block `i_bad` then waits at a barrier that thread 0 skips.
const char *planted_stop(int i_bad, unsigned *n_blocks);

// ---- kernels that break one ---------------------------------------------------------------------

enum planted_fault {
    PLANTED_BARRIER_SKIPPED,   // a thread has ended
    PLANTED_BARRIER_ELSEWHERE, // two places
    PLANTED_SHUFFLE_ENDED,     // a lane of the mask has ended
    PLANTED_SHUFFLE_ELSEWHERE, // halves of a warp in two places with the full mask
    PLANTED_SHUFFLE_MASK,      // the caller is not in its mask
    PLANTED_SHUFFLE_FROM,      // reads a lane that takes no part
    PLANTED_SHUFFLE_NO_LANE,   // a warp of 8 lanes with the full mask
    PLANTED_MMA_PARTLY,        // half a warp
    PLANTED_SHARED_DYNAMIC,    // 60000 bytes, not asked for before
    PLANTED_SHARED_LOWERED,    // 20000 bytes, after another call has lowered what is allowed
    PLANTED_SHARED_STATIC,     // two arrays of 40000 bytes; only dynamic ones may grow
    PLANTED_SHARED_TOGETHER,   // 30000 bytes static and 30000 dynamic
    PLANTED_SHARED_DEVICE,     // more than the device has
    PLANTED_BLOCK_SIZE,        // 1025 threads
    PLANTED_LAUNCH_BOUNDS,     // 129 threads, and the kernel declares 128
    PLANTED_GRID_SIZE,         // grid.y of 65536
    PLANTED_COPY_UNALIGNED,    // cp.async to 4 bytes off
    PLANTED_MATRIX_UNALIGNED,  // ldmatrix from 8 bytes off
    PLANTED_COPY_FROM_SHARED,  // cp.async from shared memory
    PLANTED_COPY_FROM_STACK,   // from a local variable
    PLANTED_COPY_TO_GLOBAL,    // to device memory
    PLANTED_COPY_PAST_ARRAY,   // to the bytes behind a shared array
    PLANTED_MATRIX_GLOBAL,     // ldmatrix from device memory
    PLANTED_MATRIX_STACK,      // from a local variable
    // Only the checked build finds these:
    PLANTED_RACE_READ,        // reads what a neighbour has written
    PLANTED_RACE_OVERWRITE,   // writes what a neighbour may still read
    PLANTED_RACE_WRITES,      // two threads write one word
    PLANTED_RACE_WARP,        // no __syncwarp
    PLANTED_RACE_WARPS,       // a __syncwarp, and the writer is in the other warp
    PLANTED_RACE_ATOMIC,      // an atomic and a plain read
    PLANTED_RACE_COPY,        // cp.async into a tile that others read
    PLANTED_RACE_BLOCKS,      // two blocks write one word of device memory
    PLANTED_RACE_BLOCKS_READ, // a block reads what another wrote
    PLANTED_RACE_GLOBAL,      // two threads of a block write one word of device memory
    PLANTED_OTHER_STACK,      // a pointer to a local variable of another thread
    PLANTED_HOST_POINTER,     // memory of the host
    PLANTED_FREED,            // an allocation that was freed
    PLANTED_UNALIGNED,        // a number of 8 bytes at 4 bytes off
    PLANTED_COPY_PAST_END,    // a memcpy over the end
    // The checked build and AddressSanitizer:
    PLANTED_WRITE_PAST_END, // device memory
    PLANTED_READ_PAST_END,
    PLANTED_SHARED_PAST_END,
    PLANTED_SHARED_BEFORE,
    PLANTED_FAULT_COUNT
};
const char *planted_break(enum planted_fault fault);

// ---- the runtime --------------------------------------------------------------------------------

// Three allocations of which number `i_failing` fails; the first i that failed, -1: none.
int planted_allocate(long i_failing);
// A copy of 100 bytes to the host from an allocation of 99.
const char *planted_copy_too_much(void);

// Captures a stream, makes a call that is not permitted then, and ends the capture, which must have
// failed too. NULL: the call did not fail, or the capture did not.
enum planted_in_capture {
    PLANTED_CAPTURE_MALLOC,
    PLANTED_CAPTURE_HOST_ALLOC,
    PLANTED_CAPTURE_FREE,
    PLANTED_CAPTURE_FREE_HOST,
    PLANTED_CAPTURE_SYNCHRONIZE,        // the stream
    PLANTED_CAPTURE_SYNCHRONIZE_DEVICE, // the device
    PLANTED_CAPTURE_COPY,               // cudaMemcpy
    PLANTED_CAPTURE_PAGEABLE,           // cudaMemcpyAsync from pageable memory
    PLANTED_CAPTURE_DEFAULT_STREAM,     // a kernel in the default stream
    PLANTED_CAPTURE_EVENT,              // a wait for an event
    PLANTED_CAPTURE_COUNT
};
const char *planted_in_capture(enum planted_in_capture call);
// A graph that adds 1 to a number is launched three times, is given 10 instead of 1, and is
// launched once more: 13. -1: a call failed, or the capture itself had an effect.
float planted_graph(void);

// What reaches the device, or the host, when a kernel is to copy 1 from page-locked memory.
enum planted_late {
    PLANTED_LATE_KEPT,        // nothing wrong
    PLANTED_LATE_OVERWRITTEN, // the host writes 2 there before it waits
    PLANTED_LATE_FREED,       // the host frees the memory before it waits
    PLANTED_LATE_READ,        // the host reads the result before it waits
    PLANTED_LATE_STREAMS,     // the result is copied in another stream, which does not wait
    PLANTED_LATE_EVENT        // and which waits for an event
};
float planted_late(enum planted_late fault);

// out[b] = out[b - 1], from block b of 64; out[0] = 1. Right only when blocks run in order.
const char *planted_chain(float out[64]);
// What a kernel finds in new memory of the device and in new page-locked memory.
const char *planted_fresh(float out[2]);

#ifdef __cplusplus
}
#endif
#endif
