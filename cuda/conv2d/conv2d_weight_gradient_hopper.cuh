// SPDX-License-Identifier: MIT
// What the two files of the weight gradient on Hopper share:
// conv2d_weight_gradient_hopper_plan.cu deals out the work (device/conv2d_gradient_tiles.h),
// describes the tensors and adds up the sums; conv2d_weight_gradient_hopper.cu multiplies.
#ifndef ADELE_CUDA_CONV2D_CONV2D_WEIGHT_GRADIENT_HOPPER_CUH
#define ADELE_CUDA_CONV2D_CONV2D_WEIGHT_GRADIENT_HOPPER_CUH

#include "conv2d/conv2d_hopper.cuh"
#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

// A chunk of a stage: 64 channels of each pixel of a box. A stage holds the chunks of the block's
// rows, then those of its columns: as many bytes as one of the forward pass.
#define GRADIENT_CHUNK_BYTES (GRADIENT_PIXELS * HOPPER_ROW_BYTES)
static_assert(GRADIENT_CHANNELS == HOPPER_STEP &&
                  GRADIENT_ROWS * GRADIENT_CHUNK_BYTES == HOPPER_SOURCE_BYTES,
              "the stages are those of the forward pass");
static __host__ __device__ constexpr int gradient_shared_bytes(int bn) {
    return hopper_stages(bn) * hopper_stage_bytes(bn) + 1024;
}

// Tensors (channels, x, y, image), boxes of 64 channels of the same output pixels; the source's
// have the stride of the convolution between their pixels.
struct gradient_maps {
    struct gradient_pair {
        CUtensorMap source, d_target;
    } scales[ADELE_MAX_SCALES];
};

struct gradient_product {
    const struct gradient_segment *segments; // in device memory
    const struct gradient_run *runs;
    const int *starts; // (workers + 1)
    float *slots;      // (segments, bn, rows of a worker's tile)
    int kernel, stride, pad, dilation;
    int n_chunks, chunks_of_tap, c_out;
    int box_pixels; // of the box of each scale
    struct {
        int w, h, n;
    } boxes[ADELE_MAX_SCALES];
};
static_assert(sizeof(struct gradient_maps) + sizeof(struct gradient_product) <= 4096,
              "a kernel's arguments have 4 KB");

bool gradient_hopper_is_compiled();
adele_status gradient_hopper_allow_shared(int bn, bool is_paired);
adele_status gradient_hopper_launch(const struct cuda_context *context, int bn, bool is_paired,
                                    int n_workers, const struct gradient_maps *maps,
                                    const struct gradient_product *product);

} // namespace adele_cuda
#endif
