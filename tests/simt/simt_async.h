// SPDX-License-Identifier: MIT
// What Hopper does beside a kernel's threads, as the emulator's own files see it: mbarriers, tensor
// copies (TMA) and warpgroup products (wgmma) in flight, and the two proxies.
//
// Shared memory has two views. Ordinary loads and stores of kernels use the memory itself; what the
// asynchronous proxy reads comes from a copy, which only fence_proxy_async and arriving tensor
// copies bring up to date (PTX ISA, sections "Async proxy", "fence.proxy.async"). Where the views
// differ, an ordinary store has not been fenced; reading there asynchronously is reported.
//
// Nothing that was begun arrives before some thread must have waited for it: a tensor copy to
// shared memory arrives when no thread can go on, in an order drawn from SIMT_ORDER, and until then
// its destination holds 0xff in every byte; one to global memory arrives when its thread waits, and
// so does a product, whose accumulators hold NaN until then. Memory that is read in flight must
// have the same bytes at both ends.
//
// What is not checked: a fence_proxy_async counts for the stores of all threads of its block so
// far, not only for those that are ordered before it; ordinary stores to device memory need no
// fence here before a tensor copy reads them; a tensor map may lie anywhere, not only in a
// __grid_constant__ parameter; set_max_registers takes for granted that ptxas gives each thread its
// share of the 65,536 registers at launch.
#ifndef ADELE_SIMT_ASYNC_H
#define ADELE_SIMT_ASYNC_H

#include "simt_internal.h" // first: it tells simt_kernel.h that this is the emulator itself

#include "simt_hopper.h"

// ---- mbarriers (simt_mbarrier.cpp) --------------------------------------------------------------

struct simt_mbarrier {
    int rank;
    const uint64_t *address;
    uint32_t count, pending;  // arrivals
    int64_t tx;               // bytes that are expected and have not come
    uint32_t phase;           // counts phases
    int n_in_flight;          // copies on their way that will signal it
    int initializer;          // thread
    long n_barriers, n_syncs; // of the block and of the cluster, when it was initialized
    bool is_fenced;           // visible to the asynchronous proxy and to other blocks
    std::vector<int> waiting;
};

void simt_mbarriers_begin();
void simt_mbarriers_fence(); // those that the running thread initialized
// The mbarrier at the place of `bar` in block `rank` (as a rule the own one) that an asynchronous
// copy will signal; fails the launch when there is none that is visible.
struct simt_mbarrier *simt_mbarrier_of_copy(const uint64_t *bar, int rank, const char *file,
                                            int line);
// A copy has arrived.
void simt_mbarrier_complete(struct simt_mbarrier *barrier, uint32_t bytes);

// ---- shared memory (simt_shared.cpp) ------------------------------------------------------------

// An address of 18 bits, as instructions take it; congruent to the host's address modulo 1024.
uint32_t simt_shared_window(const void *shared);
// The other way round, in the running thread's block; NULL: no array has these bytes.
unsigned char *simt_shared_at(uint32_t window, size_t bytes);
// The place that corresponds to `shared` (of the running thread's block) in another block of the
// cluster; NULL: that block has not got the array.
unsigned char *simt_shared_of_peer(const void *shared, int rank);
// What the asynchronous proxy sees there.
unsigned char *simt_async_view(const void *shared);
void simt_async_view_fence(); // of the running thread's block
// Where in its block, for messages.
void simt_shared_describe(const void *shared, char *out, size_t bytes);

// ---- tensor maps (simt_tensor_map.cpp) ----------------------------------------------------------

struct simt_tensor_map { // fits in a CUtensorMap
    uint32_t magic;
    uint8_t n_dims, element_bytes, swizzle_bytes; // 0: none
    unsigned char *base;
    uint64_t strides[5];              // bytes
    uint64_t extents[5];              // elements
    uint8_t last_of_box[5], steps[5]; // elements, minus 1; of the tensor, between the box's
};
// Fails the launch when the map was not made by cuTensorMapEncodeTiled.
struct simt_tensor_map simt_tensor_map_of(const void *map, int n_dims);

// ---- boxes (simt_box.cpp) -----------------------------------------------------------------------

// 16 bytes of a box: where they lie in the tensor and in shared memory.
struct simt_chunk {
    unsigned char *global; // NULL: outside of the tensor
    uint8_t n_inside;      // bytes that are inside of it
    uint32_t offset;       // from the box's first byte in shared memory
};
uint32_t simt_box_row_bytes(const struct simt_tensor_map *map);
uint32_t simt_box_bytes(const struct simt_tensor_map *map); // in shared memory
// Borrowed until the next call. (A failure leaves a thread's frames as they are: what they own
// would leak.)
const std::vector<struct simt_chunk> &simt_box_chunks(const struct simt_tensor_map *map,
                                                      const int *coordinates, const void *shared);

// ---- barriers (simt_barrier.cpp) ----------------------------------------------------------------

void simt_barriers_begin();
void simt_barriers_thread_ended();
extern long simt_cluster_syncs; // that the running cluster has passed

// ---- copies in flight (simt_bulk.cpp) -----------------------------------------------------------

void simt_bulk_begin();
bool simt_bulk_go_on(); // a copy to shared memory arrives; false: there is none
void simt_bulk_thread_ends();
void simt_bulk_end();
// Fails the launch when a copy in flight is to write there; `reader` says who reads.
void simt_bulk_check_read(const unsigned char *shared, size_t bytes, const char *reader);

// ---- warpgroups (simt_warpgroup.cpp) ------------------------------------------------------------

// What one thread brings to an instruction of its warpgroup.
struct simt_group_call {
    const char *name;
    uint64_t a, b; // descriptors
    bool adds;
    int argument;
    float *sums; // accumulators
    const char *file;
    int line;
};
void simt_warpgroups_begin();
int simt_warpgroup(); // number of the running thread's, in the cluster
// Waits until all 128 threads have come; the last one calls `complete`.
void simt_warpgroup_meet(struct simt_group_call *call,
                         void (*complete)(struct simt_group_call *const calls[128]));

// ---- products (simt_wgmma.cpp, simt_descriptor.cpp) ---------------------------------------------

struct simt_operand_chunk { // 16 bytes that a product reads
    const unsigned char *from;
    unsigned char bytes[16]; // when it began
};
// Reads a matrix of (n_rows, 16) bf16: out (16, n_rows), and what was read.
void simt_read_operand(uint64_t descriptor, bool is_mn_major, uint32_t n_rows, const char *reader,
                       std::vector<struct simt_operand_chunk> *chunks, float *out);
void simt_wgmma_begin();
void simt_wgmma_thread_ends();

// ---- all of it (simt_async.cpp) -----------------------------------------------------------------

void simt_async_begin();       // before a cluster runs
void simt_async_use();         // at the beginning of every function of kernels
bool simt_async_go_on();       // something arrives; false: nothing is in flight
void simt_async_thread_ends(); // of the running thread
void simt_async_thread_ended();
void simt_async_end(); // after the cluster has ended
// Of instructions that compute capability 8.0 does not have.
void simt_require_hopper(const char *name, const char *file, int line);

#endif
