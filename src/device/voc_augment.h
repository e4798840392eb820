// SPDX-License-Identifier: MIT
// The arithmetic of the VOC augmentation (METHOD section 5) for all devices: the same random
// numbers give the same pixels and labels.
//
// Position o of an axis of n_scaled pixels reads the source at (o + 1/2) n / n_scaled - 1/2. That
// is a fraction of integers, so pixels and labels do not depend on rounding; only the weights are
// float. The cubic has Keys' a = -1/2 and four taps at every scale; beyond the border the border's
// pixel counts.
#ifndef ADELE_DEVICE_VOC_AUGMENT_H
#define ADELE_DEVICE_VOC_AUGMENT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __CUDACC__
#define VOC_FUNCTION static __host__ __device__ inline
#else
#define VOC_FUNCTION static inline
#endif

// The random numbers of (seed, epoch, id), drawn in this order.
struct voc_draws {
    double scale;
    double along_x, along_y;       // place of the crop, [0, 1)
    double flip;                   // mirrored when below the rate
    double hue, saturation, value; // in degrees, of 255, of 255
};

struct voc_placement {
    int w_scaled, h_scaled;       // of the whole image after scaling
    int left, top;                // of the crop in it; negative: the image lies inside of the crop
    float hue, saturation, value; // shifts: in sixths of a turn, of 1, of 255
};

VOC_FUNCTION int voc_scaled_extent(int n, double scale) {
    double scaled = floor((double)n * scale);
    return scaled < 1.0 ? 1 : (int)scaled;
}

// Uniform among all places, of the crop in the image or of the image in the crop.
VOC_FUNCTION int voc_crop_offset(int n_scaled, int n_crop, double uniform) {
    int n_places = (n_scaled > n_crop ? n_scaled - n_crop : n_crop - n_scaled) + 1;
    int offset = (int)floor(uniform * (double)n_places);
    return n_scaled > n_crop ? offset : -offset;
}

// An image of h x w, of which a crop of h_crop x w_crop is cut after scaling.
VOC_FUNCTION struct voc_placement voc_place(const struct voc_draws *draws, int h, int w, int h_crop,
                                            int w_crop) {
    struct voc_placement placed;
    placed.w_scaled = voc_scaled_extent(w, draws->scale);
    placed.h_scaled = voc_scaled_extent(h, draws->scale);
    placed.left = voc_crop_offset(placed.w_scaled, w_crop, draws->along_x);
    placed.top = voc_crop_offset(placed.h_scaled, h_crop, draws->along_y);
    placed.hue = (float)(draws->hue / 60.0);
    placed.saturation = (float)(draws->saturation / 255.0);
    placed.value = (float)draws->value;
    return placed;
}

VOC_FUNCTION bool voc_is_inside(const struct voc_placement *placed, int x_scaled, int y_scaled) {
    return x_scaled >= 0 && x_scaled < placed->w_scaled && y_scaled >= 0 &&
           y_scaled < placed->h_scaled;
}

// The nearest source of position o, for labels.
VOC_FUNCTION int voc_nearest(int n, int n_scaled, int o) {
    return (int)((2 * (int64_t)o + 1) * n / (2 * (int64_t)n_scaled));
}

// Four source positions along an axis and their weights.
struct voc_taps {
    int at[4];
    float weight[4];
};

VOC_FUNCTION struct voc_taps voc_taps_of(int n, int n_scaled, int o) {
    struct voc_taps taps;
    int64_t twice = 2 * (int64_t)n_scaled;
    int64_t position = (2 * (int64_t)o + 1) * n - n_scaled; // times 2 n_scaled
    int64_t first = (position + twice) / twice - 1;         // rounded down: position >= -twice
    float t = (float)(position - first * twice) / (float)twice;
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

VOC_FUNCTION float voc_clamped(float x, float high) {
    return x < 0.0f ? 0.0f : x > high ? high : x;
}

// Channel 5 is red, 3 green, 1 blue: the distance of the hue to the channel's own decides.
VOC_FUNCTION float voc_channel_of(float channel, float hue, float saturation, float value) {
    float k = channel + hue;
    k = k >= 6.0f ? k - 6.0f : k;
    return value - value * saturation * voc_clamped(k < 4.0f - k ? k : 4.0f - k, 1.0f);
}

// A gray pixel has no hue and stays gray.
VOC_FUNCTION void voc_shift_hsv(const struct voc_placement *placed, float rgb[3]) {
    float r = rgb[0], g = rgb[1], b = rgb[2];
    float high = r > g ? (r > b ? r : b) : (g > b ? g : b);
    float low = r < g ? (r < b ? r : b) : (g < b ? g : b);
    float range = high - low;
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
        saturation = voc_clamped(range / high + placed->saturation, 1.0f);
    }
    float value = voc_clamped(high + placed->value, 255.0f);
    rgb[0] = voc_channel_of(5.0f, hue, saturation, value);
    rgb[1] = voc_channel_of(3.0f, hue, saturation, value);
    rgb[2] = voc_channel_of(1.0f, hue, saturation, value);
}

#ifdef __cplusplus
}
#endif
#endif
