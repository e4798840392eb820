// SPDX-License-Identifier: MIT
// Kernels that use what Hopper has, and that break its rules one by one (test_simt_hopper.c). Every
// function returns NULL, or the text of cudaGetErrorString. The device must be SIMT_DEVICE=hopper.
#ifndef ADELE_SIMT_PLANTED_HOPPER_H
#define ADELE_SIMT_PLANTED_HOPPER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- tensor copies ------------------------------------------------------------------------------

// A tensor of 2-byte elements (extents, innermost dimension first), and a box of it.
struct planted_box {
    int extents[4], box[4], steps[4], at[4];
    int swizzle_bytes; // 0: none
    int pitch;         // elements from one row to the next; 0: extents[0]
};
// The box as it lies in shared memory; `out`: box[0] * ceil(box[i] / steps[i]) ... elements.
const char *planted_tma_load(const struct planted_box *box, const uint16_t *tensor, uint16_t *out,
                             int n_out);
// The other way round: the n_in elements `in` of shared memory go to the tensor.
enum planted_store_fault {
    PLANTED_STORE_RIGHT,
    PLANTED_STORE_NO_FENCE,    // no fence_proxy_async
    PLANTED_STORE_NO_WAIT,     // the thread ends before shared memory was read
    PLANTED_STORE_NO_COMMIT,   // waits for groups, and has committed none
    PLANTED_STORE_OVERWRITTEN, // the source changes before the wait
    PLANTED_STORE_UNALIGNED    // the source begins 16 bytes off
};
const char *planted_tma_store(const struct planted_box *box, const uint16_t *in, int n_in,
                              uint16_t *tensor, enum planted_store_fault fault);

// What cuTensorMapEncodeTiled says about a map that breaks a rule.
enum planted_map_fault {
    PLANTED_MAP_RIGHT,
    PLANTED_MAP_ADDRESS,      // aligned to 8 bytes
    PLANTED_MAP_PLACE,        // the map itself is aligned to 32 bytes
    PLANTED_MAP_STRIDE,       // 24 bytes
    PLANTED_MAP_BOX,          // 257 elements
    PLANTED_MAP_BOX_ROW,      // 24 bytes
    PLANTED_MAP_BOX_SWIZZLE,  // 256 bytes in a swizzle of 128
    PLANTED_MAP_ELEMENT_STEP, // 9
    PLANTED_MAP_EXTENT,       // 0
    PLANTED_MAP_DIMS          // 6
};
const char *planted_map(enum planted_map_fault fault);

// ---- mbarriers ----------------------------------------------------------------------------------

// out[i] = sum of in[32 t + i] over the n_tiles tiles t: one warp copies, 2 tiles ahead, and one
// adds up.
enum planted_ring_fault {
    PLANTED_RING_RIGHT,
    PLANTED_RING_PARITY,          // the consumer waits for the other parity
    PLANTED_RING_PRODUCER_PARITY, // the producer does
    PLANTED_RING_NO_WAIT,         // the consumer does not wait
    PLANTED_RING_NO_EMPTY,        // the producer does not wait until a tile was read
    PLANTED_RING_FEW_BYTES,       // expects half of the bytes of two copies
    PLANTED_RING_MANY_BYTES,      // expects 16 bytes more
    PLANTED_RING_NO_EXPECT,       // arrives, and expects nothing
    PLANTED_RING_NO_ARRIVE,       // the consumer does not say that it has read
    PLANTED_RING_ARRIVES_TWICE,
    PLANTED_RING_NO_FENCE, // the mbarriers are not made visible to the copies
    PLANTED_RING_NO_SYNC,  // no barrier after mbarrier_init
    PLANTED_RING_NO_INIT,
    PLANTED_RING_UNALIGNED,       // tiles 16 bytes off
    PLANTED_RING_UNALIGNED_BAR,   // an mbarrier 4 bytes off
    PLANTED_RING_STORED,          // ordinary stores to a tile, not fenced, before a copy to it
    PLANTED_RING_STORED_INFLIGHT, // ordinary stores to a tile that a copy is to fill
    PLANTED_RING_LEFT,            // two tiles are not waited for
    PLANTED_RING_NO_MAP,          // a map that the driver has not made
    PLANTED_RING_FAULT_COUNT
};
const char *planted_ring(const uint16_t *in, int n_tiles, enum planted_ring_fault fault, int *out);

// ---- clusters -----------------------------------------------------------------------------------

// Pairs of blocks: each copies half of the 128 elements of the pair to both; out[64 p + 32 b + i] =
// the sum of elements i, i + 32, ... of pair p, the same of both blocks b.
enum planted_pair_fault {
    PLANTED_PAIR_RIGHT,
    PLANTED_PAIR_MASK_OWN,    // each block copies to itself only
    PLANTED_PAIR_MASK_LARGE,  // to a block 2 that there is not
    PLANTED_PAIR_MASK_NONE,   // to none
    PLANTED_PAIR_NO_FENCE,    // no fence_barrier_init
    PLANTED_PAIR_NO_SYNC,     // no cluster_sync, only __syncthreads
    PLANTED_PAIR_ENDED,       // one block ends, and the other copies to it
    PLANTED_PAIR_RANK,        // arrives at block 2
    PLANTED_PAIR_NO_REMOTE,   // does not arrive at block 1
    PLANTED_PAIR_NO_WAIT,     // a block ends before the other has arrived at it
    PLANTED_PAIR_LATE_ARRIVE, // arrives at a block that has ended, or once too often
    PLANTED_PAIR_GRID,        // an odd number of blocks
    PLANTED_PAIR_LARGE,       // clusters of 16
    PLANTED_PAIR_ALONE,       // no clusters
    PLANTED_PAIR_FAULT_COUNT
};
const char *planted_pairs(const uint16_t *in, int n_pairs, enum planted_pair_fault fault, int *out);

// out[i] = i ^ 32: warps meet in pairs at named barriers; is_wrong: one warp waits for too many.
const char *planted_named(bool is_wrong, int out[128]);

// ---- products of a warpgroup --------------------------------------------------------------------

// out (64, n) = a (64, 64) b (64, n) of bf16. Both lie in memory as their names say: K-major, (64,
// 64) and (n, 64), or MN-major, (64, 64) and (64, n); copied to shared memory with these swizzles.
struct planted_product {
    int n; // 64, 128, 256
    bool is_mn_major_a, is_mn_major_b;
    int swizzle_bytes_a, swizzle_bytes_b;
};
enum planted_product_fault {
    PLANTED_PRODUCT_RIGHT,
    PLANTED_PRODUCT_STORED_FENCED, // right: row 8 of a (K-major, 128) is overwritten with zeros
    PLANTED_PRODUCT_STORED,        // the same without fence_proxy_async
    PLANTED_PRODUCT_NO_BARRIER,    // no wait for the copies
    PLANTED_PRODUCT_NO_FENCE,      // no wgmma_fence
    PLANTED_PRODUCT_NO_COMMIT,
    PLANTED_PRODUCT_NO_WAIT,      // no wgmma_wait
    PLANTED_PRODUCT_OVERWRITTEN,  // a changes in flight
    PLANTED_PRODUCT_TOUCHED,      // an accumulator does
    PLANTED_PRODUCT_CHANGED,      // an accumulator changes, and no wgmma_fence before the next
    PLANTED_PRODUCT_CHANGED_LATE, // the same behind a wgmma_fence
    PLANTED_PRODUCT_DIVERGENT,    // a warp executes another instruction
    PLANTED_PRODUCT_ENDED,        // a warp has ended
    PLANTED_PRODUCT_HALF,         // a block of 64 threads
    PLANTED_PRODUCT_ADDS,         // the accumulators are not zero
    PLANTED_PRODUCT_SWIZZLE,      // the descriptor's mode is 64 bytes
    PLANTED_PRODUCT_STRIDE,       // half of the stride offset
    PLANTED_PRODUCT_LEADING,      // half of the leading offset; of no effect where it is not used
    PLANTED_PRODUCT_OUTSIDE,      // a stride offset that leaves shared memory
    PLANTED_PRODUCT_FAULT_COUNT
};
const char *planted_product(const struct planted_product *shape, const uint16_t *a,
                            const uint16_t *b, enum planted_product_fault fault, float *out);

// Four matrices by stmatrix_x4; element i of the 32 rows of 8 is i.
const char *planted_stmatrix(uint16_t out[256]);

// Three warpgroups: one leaves registers, two take them.
enum planted_registers_fault {
    PLANTED_REGISTERS_RIGHT,
    PLANTED_REGISTERS_TOO_MANY, // none are left to them
    PLANTED_REGISTERS_RAISED,   // "decrease" to more
    PLANTED_REGISTERS_PARTLY    // two warps of the warpgroup
};
const char *planted_registers(enum planted_registers_fault fault);

#ifdef __cplusplus
}
#endif
#endif
