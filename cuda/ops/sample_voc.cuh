// SPDX-License-Identifier: MIT
// The VOC augmentation (METHOD section 5) of one pixel: draws from the Philox stream, and the
// cubic's sum. What is computed is in src/device/voc_augment.h, for all devices.
#ifndef ADELE_CUDA_OPS_SAMPLE_VOC_CUH
#define ADELE_CUDA_OPS_SAMPLE_VOC_CUH

#include "base/half.h"
#include "device/voc_augment.h"
#include "ops/random.cuh"
#include "runtime/common.cuh"

namespace adele_cuda {

// All draws, in the CPU's order; *is_mirrored is the flip's.
static __device__ inline struct voc_placement
draw_voc_placement(const struct adele_sample_set *set, const struct adele_augment *augment, int h,
                   int w, struct random_stream *stream, bool *is_mirrored) {
    struct voc_draws draws;
    draws.scale = philox_range(stream, augment->scale_low, augment->scale_high);
    draws.along_x = philox_uniform(stream);
    draws.along_y = philox_uniform(stream);
    draws.flip = philox_uniform(stream);
    draws.hue = philox_range(stream, -augment->hsv, augment->hsv);
    draws.saturation = philox_range(stream, -augment->hsv, augment->hsv);
    draws.value = philox_range(stream, -augment->hsv, augment->hsv);
    *is_mirrored = draws.flip < augment->flip;
    return voc_place(&draws, set->h, set->w, h, w);
}

static __device__ inline float decode_half(uint16_t half) {
#ifndef ADELE_SIMT
    float out; // base/half.h, at each of a cubic's 16 taps, took long to compile
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(half));
    return out;
#else
    return half_to_float(half);
#endif
}

// One value of the set's images.
static __device__ inline float raw_pixel(const struct adele_sample_set *set, int64_t i) {
    return set->pixel == ADELE_PIXEL_U8 ? (float)__ldg((const uint8_t *)set->images + i)
                                        : decode_half(__ldg((const uint16_t *)set->images + i));
}

static __device__ inline float cubic_value(const struct adele_sample_set *set, int64_t plane,
                                           const struct voc_taps *rows,
                                           const struct voc_taps *columns) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int64_t row = (plane * set->h + rows->at[i]) * set->w;
        float line = 0.0f;
#pragma unroll
        for (int j = 0; j < 4; j++)
            line += columns->weight[j] * raw_pixel(set, row + columns->at[j]);
        sum += rows->weight[i] * line;
    }
    return set->pixel == ADELE_PIXEL_U8 ? voc_clamped(sum, 255.0f) : sum;
}

// LANES is how many of each vector of 8 channels can hold an image's: 1 for gray images, 4 for
// colours. SAMPLE_HALVES is for any number and goes by half vectors, so that the code of 4 channels
// is unrolled and not of 8, which takes long to compile and few images have.
#define SAMPLE_HALVES      0
#define SAMPLE_STEP(LANES) ((LANES) == SAMPLE_HALVES ? 4 : 8)
#define SAMPLE_LIVE(LANES) ((LANES) == SAMPLE_HALVES ? 4 : (LANES))

template <int LANES, typename T>
static __device__ inline void store_channels(T *to, const float values[8]) {
    if (SAMPLE_STEP(LANES) == 8)
        store8(to, values);
    else
        store4(to, make_float4(values[0], values[1], values[2], values[3]));
}

// All channels of one pixel from position (x, y) of the scaled image; `out` is its first element.
// i_image: in set->images.
template <typename T, int LANES>
static __device__ void write_voc_pixel(const struct adele_sample_set *set, bool has_hsv, int id,
                                       int64_t i_image, const struct voc_placement *voc, int x,
                                       int y, T *out) {
    bool is_inside = id >= 0 && voc_is_inside(voc, x, y);
    struct voc_taps columns, rows;
    if (is_inside) {
        columns = voc_taps_of(set->w, voc->w_scaled, x);
        rows = voc_taps_of(set->h, voc->h_scaled, y);
    }
#pragma unroll 1
    for (int first = 0; first < padded_channels(set->c); first += SAMPLE_STEP(LANES)) {
        float values[8] = {0.0f};
#pragma unroll
        for (int lane = 0; lane < SAMPLE_LIVE(LANES); lane++)
            if (is_inside && first + lane < set->c)
                values[lane] = cubic_value(set, i_image * set->c + first + lane, &rows, &columns);
        if (is_inside && has_hsv && first == 0) // three channels: the first vector
            voc_shift_hsv(voc, values);
#pragma unroll
        for (int lane = 0; lane < SAMPLE_LIVE(LANES); lane++) {
            int64_t plane = (int64_t)id * set->c + first + lane;
            if (is_inside && first + lane < set->c)
                values[lane] =
                    (values[lane] - __ldg(set->mean + plane)) * __ldg(set->inv_std + plane);
        }
        store_channels<LANES>(out + first, values);
    }
}

static __device__ inline int64_t voc_label_index(const struct adele_sample_set *set,
                                                 const struct voc_placement *placed, int x, int y) {
    if (!voc_is_inside(placed, x, y))
        return -1;
    int64_t row = voc_nearest(set->h, placed->h_scaled, y);
    return row * set->w + voc_nearest(set->w, placed->w_scaled, x);
}

} // namespace adele_cuda
#endif
