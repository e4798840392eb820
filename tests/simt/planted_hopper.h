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

#ifdef __cplusplus
}
#endif
#endif
