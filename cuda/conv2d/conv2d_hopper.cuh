// SPDX-License-Identifier: MIT
// What the files of the Hopper families share: conv2d_hopper_plan.cu cuts the target into tiles and
// describes the tensors to the copy engine, conv2d_hopper.cu computes;
// conv2d_weight_gradient_hopper*.cu do the same for the weight gradient, with the same stages and
// barriers.
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

// Where a warpgroup is in the ring of stages. A barrier's phase ends once a round.
template <int n_stages> struct hopper_ring {
    int stage;
    uint32_t parity;

    __device__ void advance() {
        stage = stage + 1 == n_stages ? 0 : stage + 1;
        parity ^= stage == 0;
    }
};

// One thread; the others wait for it at a barrier of the block, of a pair at the cluster's.
static __device__ inline void hopper_barriers_init(struct hopper_barriers &barriers, int n_stages,
                                                   bool is_paired) {
    for (int i = 0; i < n_stages; i++) {
        mbarrier_init(&barriers.full[i], 1);
        mbarrier_init(&barriers.empty[i], is_paired ? 16 : 8);
    }
    for (int i = 0; i < HOPPER_STAGED; i++)
        mbarrier_init(&barriers.added[i], 1);
    fence_barrier_init();
}

// One thread of each consumer warp gives a stage back to those who write it.
template <bool is_paired> static __device__ inline void hopper_give_back(uint64_t *empty) {
    if (threadIdx.x % 32 != 0)
        return;
    if constexpr (is_paired) {
        mbarrier_arrive_cluster(empty, 0);
        mbarrier_arrive_cluster(empty, 1);
    } else {
        mbarrier_arrive(empty);
    }
}

// ---- on the host --------------------------------------------------------------------------------

// Whether the program holds the code of this kernel, which has Hopper's instructions, for this GPU.
// One of compute capability 9.0 also runs code made for 8.0 or for 9.0 without its own
// instructions, in which a kernel of Hopper is one trap and takes next to no registers. The
// emulator and the interpreter count none.
static inline bool hopper_has_code(const void *kernel) {
    struct cudaFuncAttributes attributes;
    if (cudaFuncGetAttributes(&attributes, kernel) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    return attributes.ptxVersion >= 90 && (attributes.numRegs == 0 || attributes.numRegs >= 128);
}

// ---- on the host, conv2d_hopper_plan.cu ---------------------------------------------------------

// The driver's function that describes a tensor; NULL where it is too old.
void *hopper_find_encode();
// Of a launch: one for each multiprocessor, or fewer as ADELE_CONV2D_BLOCKS in the environment says
// for tests, where a block shall take several tiles of a small tensor. 0: it says nothing.
int hopper_blocks_wanted();
// Channels of a tile that ADELE_CONV2D_TILE in the environment names (for tests and tuning); 0:
// none. "128x256 split": and tiles are split wherever they can be.
int hopper_channels_wanted();

// A tensor of bf16, innermost axis first, read or written in boxes of 64 channels, of every
// steps[i]-th element of an axis. pitches[i]: elements from one to the next of axis i + 1; 0: none
// are left out between.
struct hopper_box {
    int extents[4], box[4], steps[4];
    int64_t pitches[3];
};
adele_status hopper_describe(void *encode, const void *address, const struct hopper_box *as,
                             CUtensorMap *out);

// ---- forward and data gradient ------------------------------------------------------------------

// The tensors as they are described to the copy engine (TMA).
struct hopper_maps {
    // (channels, x, y, image), boxes of 64 channels; for each group, which has boxes of its own,
    // and as a scale a tensor of its own.
    CUtensorMap source[CONV2D_BOX_MAX_GROUPS];
    CUtensorMap weights; // (source channels, taps, target channels, 1), boxes of 64 x 1 x bn, half
                         // of bn in a pair
    CUtensorMap target[CONV2D_BOX_MAX_GROUPS]; // as the source, with the same boxes
};

// What the kernel needs besides.
struct hopper_product {
    const struct conv2d_box_tile *tiles;
    const struct conv2d_box_segment *segments;
    const int *starts; // (workers + 1)
    float *slots;      // (slots, tiles of a worker, HOPPER_ROWS * bn)
    int n_chunks;      // steps of a tap
    int c_group;       // target channels of a group
    const float *bias; // of all target channels, up to a multiple of 64; NULL without
    bool accumulate;
    struct conv2d_box_tap taps[CONV2D_BOX_MAX_TAPS];
    struct {
        int channel_first; // of the target
        int box_pixels;    // of a tile, at most HOPPER_ROWS
    } groups[CONV2D_BOX_MAX_GROUPS];
};
static_assert(sizeof(struct hopper_maps) + sizeof(struct hopper_product) + sizeof(void *) <= 4096,
              "a kernel's arguments have 4 KB");

// conv2d_hopper.cu. bn: 64, 128, 256.
adele_status hopper_allow_shared(int bn, bool is_paired);
// sums: of the work's split items, in device memory.
adele_status hopper_launch(const struct cuda_context *context, const struct conv2d_box_work *work,
                           const struct hopper_maps *maps, const struct hopper_product *product,
                           const struct conv2d_box_sum *sums);

} // namespace adele_cuda
#endif
