// SPDX-License-Identifier: MIT
// What the two files of the Hopper family share: conv2d_hopper_plan.cu cuts the target into tiles
// and describes the tensors to the copy engine, conv2d_hopper.cu computes.
#ifndef ADELE_CUDA_CONV2D_CONV2D_HOPPER_CUH
#define ADELE_CUDA_CONV2D_CONV2D_HOPPER_CUH

#include "conv2d/conv2d_parts.cuh"
#include "runtime/hopper.cuh"

namespace adele_cuda {

#define HOPPER_ROWS                                                                                \
    CONV2D_BOX_PIXELS          // target pixels of a tile: 64 for each of two consumer warpgroups
#define HOPPER_STEP         64 // source channels of a step: a row of 128 bytes, the width of the swizzle
#define HOPPER_ROW_BYTES    (HOPPER_STEP * 2)
#define HOPPER_SOURCE_BYTES (HOPPER_ROWS * HOPPER_ROW_BYTES)
#define HOPPER_THREADS      384 // a producer warpgroup and two consumers
#define HOPPER_STAGED       2   // buffers of finished tiles, of 64 channels each

// A stage holds the source channels and the weights of one step. As many stages as fit beside the
// buffers of finished tiles: 4, 6 or 8.
static __host__ __device__ constexpr int hopper_stage_bytes(int bn) {
    return HOPPER_SOURCE_BYTES + bn * HOPPER_ROW_BYTES;
}
static __host__ __device__ constexpr int hopper_stages(int bn) {
    return 192 * 1024 / hopper_stage_bytes(bn);
}
// The swizzle requires stages at multiples of 1,024 bytes, and the block may begin between two.
static __host__ __device__ constexpr int hopper_shared_bytes(int bn) {
    return hopper_stages(bn) * hopper_stage_bytes(bn) + HOPPER_STAGED * HOPPER_SOURCE_BYTES + 1024;
}

// Barriers of a block, in static shared memory.
#define HOPPER_MAX_STAGES 8
struct hopper_barriers {
    uint64_t full[HOPPER_MAX_STAGES]; // the copies of the stage have come
    // Its products are done: each of the 8 consumer warps arrives.
    uint64_t empty[HOPPER_MAX_STAGES];
    uint64_t added[HOPPER_STAGED]; // what the target holds has come, to be added to
};

// The tensors as they are described to the copy engine (TMA).
struct hopper_maps {
    CUtensorMap source;  // (channels, x, y, image), boxes of 64 channels
    CUtensorMap weights; // (source channels, taps, target channels, 1), boxes of 64 x 1 x bn, half
                         // of bn in a pair
    CUtensorMap target;  // as the source, with the same boxes
};

// What the kernel needs besides. Target pixel (x, y) meets, through tap (ky, kx), source pixel
// (x + offset + kx apart, y + offset + ky apart).
struct hopper_product {
    const struct conv2d_box_tile *tiles;
    int n_tiles, n_columns; // of target pixels, of target channels
    int kernel, offset, apart;
    int n_chunks;   // steps of a tap
    int box_pixels; // of a tile, at most HOPPER_ROWS
    int c_target;
    const float *bias; // (c_target), NULL without
    bool accumulate;
};

// conv2d_hopper.cu. bn: 64, 128, 256; is_paired: n_tiles is even, and two blocks run a pair of them
// at a time. most_blocks: of a launch.
adele_status hopper_allow_shared(int bn, bool is_paired);
// Whether the program holds the kernel's code for this GPU.
bool hopper_is_compiled();
adele_status hopper_launch(const struct cuda_context *context, int bn, bool is_paired,
                           int most_blocks, const struct hopper_maps *maps,
                           const struct hopper_product *product);

} // namespace adele_cuda
#endif
