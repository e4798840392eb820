// SPDX-License-Identifier: MIT
// The arithmetic of the op augment_intensity (training_ops.h) for one value, for all devices: the
// same random numbers give the same changes. The ranges are those of nnU-Net v2's training.
#ifndef ADELE_DEVICE_INTENSITY_RULE_H
#define ADELE_DEVICE_INTENSITY_RULE_H

#include "device/training_ops.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __CUDACC__
#define INTENSITY_FUNCTION static __host__ __device__ inline
#else
#define INTENSITY_FUNCTION static inline
#endif

// ---- what is drawn ------------------------------------------------------------------------------

// Uniform numbers of the stream (seed, RANDOM_INTENSITY, epoch, id): those of the image, then those
// of its channels, one channel after another. All are drawn, whether they are used or not.
enum intensity_image_draw {
    INTENSITY_HAS_NOISE,
    INTENSITY_NOISE,
    INTENSITY_HAS_BLUR,
    INTENSITY_SIGMA,
    INTENSITY_HAS_BRIGHTNESS,
    INTENSITY_HAS_CONTRAST,
    INTENSITY_HAS_GAMMA,
    INTENSITY_IS_INVERTED,
    INTENSITY_IMAGE_DRAWS
};
enum intensity_channel_draw {
    INTENSITY_BRIGHTNESS,
    INTENSITY_CONTRAST,
    INTENSITY_GAMMA,
    INTENSITY_CHANNEL_DRAWS
};

#define INTENSITY_RADIUS 4 // of the blur, in pixels: 4 of the largest standard deviations

// The changes of one plane.
struct intensity_change {
    float noise;                         // standard deviation; 0: none
    float weights[INTENSITY_RADIUS + 1]; // of the blur, by distance; weights[0] = 1: none
    float brightness, contrast, gamma;   // 1: none
    bool is_inverted;                    // gamma
};

INTENSITY_FUNCTION double intensity_between(double uniform, double low, double high) {
    return low + (high - low) * uniform;
}

// Below and above 1 equally often, however far the ends are from it.
INTENSITY_FUNCTION float intensity_factor(double uniform, double low, double high) {
    return (float)(uniform < 0.5 ? intensity_between(2.0 * uniform, low, 1.0)
                                 : intensity_between(2.0 * uniform - 1.0, 1.0, high));
}

INTENSITY_FUNCTION void intensity_find_weights(double sigma, float *weights) {
    double exact[INTENSITY_RADIUS + 1], sum = 0.0;
    for (int i = 0; i <= INTENSITY_RADIUS; i++) {
        exact[i] = exp(-0.5 * (double)(i * i) / (sigma * sigma));
        sum += i == 0 ? exact[i] : 2.0 * exact[i];
    }
    for (int i = 0; i <= INTENSITY_RADIUS; i++)
        weights[i] = (float)(exact[i] / sum);
}

INTENSITY_FUNCTION void intensity_draw(const struct adele_intensity *rates,
                                       const double image[INTENSITY_IMAGE_DRAWS],
                                       const double channel[INTENSITY_CHANNEL_DRAWS],
                                       struct intensity_change *out) {
    bool has_blur = image[INTENSITY_HAS_BLUR] < rates->blur;
    out->noise =
        image[INTENSITY_HAS_NOISE] < rates->noise ? (float)(0.1 * image[INTENSITY_NOISE]) : 0.0f;
    out->brightness = image[INTENSITY_HAS_BRIGHTNESS] < rates->brightness
                          ? intensity_factor(channel[INTENSITY_BRIGHTNESS], 0.75, 1.25)
                          : 1.0f;
    out->contrast = image[INTENSITY_HAS_CONTRAST] < rates->contrast
                        ? intensity_factor(channel[INTENSITY_CONTRAST], 0.75, 1.25)
                        : 1.0f;
    out->gamma = image[INTENSITY_HAS_GAMMA] < rates->gamma
                     ? intensity_factor(channel[INTENSITY_GAMMA], 0.7, 1.5)
                     : 1.0f;
    out->is_inverted = image[INTENSITY_IS_INVERTED] < 0.25;
    out->weights[0] = 1.0f;
    for (int i = 1; i <= INTENSITY_RADIUS; i++)
        out->weights[i] = 0.0f;
    if (has_blur)
        intensity_find_weights(intensity_between(image[INTENSITY_SIGMA], 0.5, 1.0), out->weights);
}

INTENSITY_FUNCTION bool intensity_has_blur(const struct intensity_change *change) {
    return change->weights[0] < 1.0f;
}
// Whether values change one by one, behind noise and blur.
INTENSITY_FUNCTION bool intensity_has_tone(const struct intensity_change *change) {
    return change->brightness != 1.0f || change->contrast != 1.0f || change->gamma != 1.0f;
}

// Value i of an image (C, H, W) takes words 2 (i % 2) and the next one of block i / 2 of the stream
// (seed, RANDOM_PIXEL_NOISE, epoch, id). Box-Muller with 24 bits each, which floats hold exactly.
INTENSITY_FUNCTION float intensity_normal(uint32_t first, uint32_t second) {
    float radius = (float)((first >> 8) + 1u) * 0x1p-24f; // above 0: its logarithm is finite
    float angle = (float)(second >> 8) * 0x1p-24f;
    return sqrtf(-2.0f * logf(radius)) * cosf(6.28318531f * angle);
}

// ---- statistics of a plane ----------------------------------------------------------------------

// Over the values that are not 0. First of x: sum[0] = x. Then, for gamma, of the plane z behind
// brightness and contrast, and of z behind gamma, g: sum = z, z^2, g, g^2.
struct intensity_sums {
    double sum[4];
    int64_t count;
    float low, high;
};

INTENSITY_FUNCTION void intensity_sums_clear(struct intensity_sums *sums) {
    for (int i = 0; i < 4; i++)
        sums->sum[i] = 0.0;
    sums->count = 0;
    sums->low = INFINITY;
    sums->high = -INFINITY;
}

INTENSITY_FUNCTION void intensity_sums_join(struct intensity_sums *to,
                                            const struct intensity_sums *from) {
    for (int i = 0; i < 4; i++)
        to->sum[i] += from->sum[i];
    to->count += from->count;
    to->low = from->low < to->low ? from->low : to->low;
    to->high = from->high > to->high ? from->high : to->high;
}

INTENSITY_FUNCTION void intensity_sums_add(struct intensity_sums *sums, float x) {
    if (x == 0.0f)
        return;
    sums->sum[0] += (double)x;
    sums->count++;
    sums->low = x < sums->low ? x : sums->low;
    sums->high = x > sums->high ? x : sums->high;
}

// ---- tone ---------------------------------------------------------------------------------------

// How a plane's values change one by one.
struct intensity_tone {
    float mean, low, high;         // behind brightness
    float low_behind, high_behind; // behind contrast
    float scale, shift;            // behind gamma
};

// Brightness and contrast. x is not 0.
INTENSITY_FUNCTION float intensity_adjust(const struct intensity_change *change,
                                          const struct intensity_tone *tone, float x) {
    float z = change->brightness * x;
    if (change->contrast == 1.0f)
        return z;
    z = (z - tone->mean) * change->contrast + tone->mean;
    return z < tone->low ? tone->low : z > tone->high ? tone->high : z;
}

// Of t from 0 to 1; powf takes care of cases that do not occur here, with more instructions.
INTENSITY_FUNCTION float intensity_power(float t, float exponent) {
    return expf(exponent * logf(t));
}

// Gamma, before mean and deviation are restored.
INTENSITY_FUNCTION float intensity_curve(const struct intensity_change *change,
                                         const struct intensity_tone *tone, float z) {
    float range = tone->high_behind - tone->low_behind;
    if (!(range > 0.0f))
        return z;
    float t = (z - tone->low_behind) / range;
    t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t; // rounding must not leave the power's domain
    t = change->is_inverted ? 1.0f - intensity_power(1.0f - t, change->gamma)
                            : intensity_power(t, change->gamma);
    return tone->low_behind + range * t;
}

// From the sums of x. Without any value that is not 0, nothing is changed later.
INTENSITY_FUNCTION void intensity_tone_start(const struct intensity_change *change,
                                             const struct intensity_sums *sums,
                                             struct intensity_tone *out) {
    bool is_empty = sums->count == 0;
    out->mean = is_empty ? 0.0f : (float)(sums->sum[0] / (double)sums->count) * change->brightness;
    out->low = is_empty ? 0.0f : sums->low * change->brightness;
    out->high = is_empty ? 0.0f : sums->high * change->brightness;
    out->scale = 1.0f;
    out->shift = 0.0f;
    out->low_behind = is_empty ? 0.0f : intensity_adjust(change, out, sums->low);
    out->high_behind = is_empty ? 0.0f : intensity_adjust(change, out, sums->high);
}

INTENSITY_FUNCTION void intensity_sums_add_gamma(struct intensity_sums *sums,
                                                 const struct intensity_change *change,
                                                 const struct intensity_tone *tone, float x) {
    if (x == 0.0f)
        return;
    double z = (double)intensity_adjust(change, tone, x);
    double g = (double)intensity_curve(change, tone, (float)z);
    sums->sum[0] += z;
    sums->sum[1] += z * z;
    sums->sum[2] += g;
    sums->sum[3] += g * g;
    sums->count++;
}

// From the sums of z and g: what restores mean and deviation behind gamma.
INTENSITY_FUNCTION void intensity_tone_finish(const struct intensity_sums *sums,
                                              struct intensity_tone *tone) {
    if (sums->count == 0)
        return;
    double n = (double)sums->count, mean_z = sums->sum[0] / n, mean_g = sums->sum[2] / n;
    double variance_z = sums->sum[1] / n - mean_z * mean_z;
    double variance_g = sums->sum[3] / n - mean_g * mean_g;
    double scale = variance_z > 0.0 && variance_g > 0.0 ? sqrt(variance_z / variance_g) : 1.0;
    tone->scale = (float)scale;
    tone->shift = (float)(mean_z - mean_g * scale);
}

// Brightness, contrast and gamma of one value.
INTENSITY_FUNCTION float intensity_apply(const struct intensity_change *change,
                                         const struct intensity_tone *tone, float x) {
    if (x == 0.0f)
        return 0.0f;
    float z = intensity_adjust(change, tone, x);
    return change->gamma == 1.0f ? z : tone->scale * intensity_curve(change, tone, z) + tone->shift;
}

#endif
