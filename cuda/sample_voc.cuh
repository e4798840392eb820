// SPDX-License-Identifier: MIT
// The VOC augmentation (METHOD section 5) of one pixel: every draw and every rounding as on the
// CPU (src/cpu/sample_voc.c, which says what is computed), so that both devices take the same
// pixels and labels. Sources are fractions of whole numbers; only the weights are float.
#ifndef ADELE_CUDA_SAMPLE_VOC_CUH
#define ADELE_CUDA_SAMPLE_VOC_CUH

#include "random.cuh"
#include "room.cuh"

#include <string.h>

namespace adele_cuda {

struct voc_placement {
    int w_scaled, h_scaled;       // of the whole image after scaling
    int left, top;                // of the crop in it
    float hue, saturation, value; // shifts: in sixths of a turn, of 1, of 255
};

struct cubic_taps {
    int at[4];
    float weight[4];
};

static __device__ inline int scaled_extent(int n, double scale) {
    double scaled = floor(rounded_product((double)n, scale));
    return scaled < 1.0 ? 1 : (int)scaled;
}

static __device__ inline int crop_offset(int n_scaled, int n_crop, double uniform) {
    int n_places = (n_scaled > n_crop ? n_scaled - n_crop : n_crop - n_scaled) + 1;
    int offset = (int)floor(rounded_product(uniform, (double)n_places));
    return n_scaled > n_crop ? offset : -offset;
}

// All draws, in the CPU's order; *is_mirrored is the flip's.
static __device__ inline struct voc_placement voc_place(const struct adele_sample_set *set,
                                                        const struct adele_augment *augment, int h,
                                                        int w, struct philox_stream *stream,
                                                        bool *is_mirrored) {
    struct voc_placement placed;
    double scale = philox_range(stream, augment->scale_low, augment->scale_high);
    double along_x = philox_uniform(stream), along_y = philox_uniform(stream);
    *is_mirrored = philox_uniform(stream) < augment->flip;
    placed.w_scaled = scaled_extent(set->w, scale);
    placed.h_scaled = scaled_extent(set->h, scale);
    placed.left = crop_offset(placed.w_scaled, w, along_x);
    placed.top = crop_offset(placed.h_scaled, h, along_y);
    placed.hue = (float)(philox_range(stream, -augment->hsv, augment->hsv) / 60.0);
    placed.saturation = (float)(philox_range(stream, -augment->hsv, augment->hsv) / 255.0);
    placed.value = (float)philox_range(stream, -augment->hsv, augment->hsv);
    return placed;
}

static __device__ inline bool voc_is_inside(const struct voc_placement *placed, int x, int y) {
    return x >= 0 && x < placed->w_scaled && y >= 0 && y < placed->h_scaled;
}

static __device__ inline struct cubic_taps cubic_taps_of(int n, int n_scaled, int o) {
    struct cubic_taps taps;
    int64_t twice = 2 * (int64_t)n_scaled;
    int64_t position = (2 * (int64_t)o + 1) * n - n_scaled;
    int64_t first = (position + twice) / twice - 1;
    float t = (float)(position - first * twice) / (float)twice;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int64_t at = first - 1 + i;
        taps.at[i] = (int)(at < 0 ? 0 : at > n - 1 ? n - 1 : at);
    }
    taps.weight[0] = ((-0.5f * t + 1.0f) * t - 0.5f) * t;
    taps.weight[1] = (1.5f * t - 2.5f) * t * t + 1.0f;
    taps.weight[2] = ((-1.5f * t + 2.0f) * t + 0.5f) * t;
    taps.weight[3] = (0.5f * t - 0.5f) * t * t;
    return taps;
}

static __device__ inline float clamped(float x, float high) {
    return fminf(fmaxf(x, 0.0f), high);
}

// Channel 5 is red, 3 green, 1 blue.
static __device__ inline float channel_of(float channel, float hue, float saturation, float value) {
    float k = channel + hue;
    k = k >= 6.0f ? k - 6.0f : k;
    return value - value * saturation * clamped(fminf(k, 4.0f - k), 1.0f);
}

// Gray has no hue, and stays gray.
static __device__ inline void shift_hsv(const struct voc_placement *placed, float rgb[3]) {
    float r = rgb[0], g = rgb[1], b = rgb[2];
    float high = fmaxf(r, fmaxf(g, b)), range = high - fminf(r, fminf(g, b));
    float hue = 0.0f, saturation = 0.0f;
    if (range > 0.0f) {
        if (high == r)
            hue = (g - b) / range;
        else if (high == g)
            hue = (b - r) / range + 2.0f;
        else
            hue = (r - g) / range + 4.0f;
        hue += placed->hue;
        hue = hue < 0.0f ? hue + 6.0f : hue >= 6.0f ? hue - 6.0f : hue;
        saturation = clamped(range / high + placed->saturation, 1.0f);
    }
    float value = clamped(high + placed->value, 255.0f);
    rgb[0] = channel_of(5.0f, hue, saturation, value);
    rgb[1] = channel_of(3.0f, hue, saturation, value);
    rgb[2] = channel_of(1.0f, hue, saturation, value);
}

static __device__ inline float decode_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7FFFu;
    if (magnitude < 0x0400u) { // zero and denormals: a multiple of 2^-24
        float value = (float)magnitude * (1.0f / 16777216.0f);
        return sign != 0 ? -value : value;
    }
    // The exponent's bias goes from 15 to 127; of infinity and NaN from 31 to 255.
    uint32_t bits = sign | ((magnitude << 13) + (magnitude >= 0x7C00u ? 0x70000000u : 0x38000000u));
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// One value of the set's images.
static __device__ inline float raw_pixel(const struct adele_sample_set *set, int64_t i) {
    return set->pixel == ADELE_PIXEL_U8 ? (float)__ldg((const uint8_t *)set->images + i)
                                        : decode_half(__ldg((const uint16_t *)set->images + i));
}

static __device__ inline float cubic_value(const struct adele_sample_set *set, int64_t plane,
                                           const struct cubic_taps *rows,
                                           const struct cubic_taps *columns) {
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
    return set->pixel == ADELE_PIXEL_U8 ? clamped(sum, 255.0f) : sum;
}

// All channels of one pixel from position (x, y) of the scaled image; `out` is its first element.
// Of each vector of 8 channels only the first LANES can hold an image's.
template <typename T, int LANES>
static __device__ void write_voc_pixel(const struct adele_sample_set *set, bool has_hsv, int id,
                                       const struct voc_placement *voc, int x, int y, T *out) {
    bool is_inside = id >= 0 && voc_is_inside(voc, x, y);
    struct cubic_taps columns, rows;
    if (is_inside) {
        columns = cubic_taps_of(set->w, voc->w_scaled, x);
        rows = cubic_taps_of(set->h, voc->h_scaled, y);
    }
#pragma unroll 1
    for (int first = 0; first < padded_channels(set->c); first += 8) {
        float values[8] = {0.0f};
#pragma unroll
        for (int lane = 0; lane < LANES; lane++)
            if (is_inside && first + lane < set->c)
                values[lane] =
                    cubic_value(set, (int64_t)id * set->c + first + lane, &rows, &columns);
        if (is_inside && has_hsv) // three channels: the only vector
            shift_hsv(voc, values);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++) {
            int64_t plane = (int64_t)id * set->c + first + lane;
            if (is_inside && first + lane < set->c)
                values[lane] =
                    (values[lane] - __ldg(set->mean + plane)) * __ldg(set->inv_std + plane);
        }
        store8(out + first, values);
    }
}

static __device__ inline int64_t voc_label_index(const struct adele_sample_set *set,
                                                 const struct voc_placement *placed, int x, int y) {
    if (!voc_is_inside(placed, x, y))
        return -1;
    int64_t source_x = (2 * (int64_t)x + 1) * set->w / (2 * (int64_t)placed->w_scaled);
    int64_t source_y = (2 * (int64_t)y + 1) * set->h / (2 * (int64_t)placed->h_scaled);
    return source_y * set->w + source_x;
}

} // namespace adele_cuda
#endif
