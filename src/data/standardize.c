// SPDX-License-Identifier: MIT
#include "data/standardize.h"

#include "base/half.h"

#include <math.h>

double standardize_inverse(double squares, size_t n) {
    double deviation = sqrt(squares / (double)n);
    return deviation > 0.0 && isfinite(1.0 / deviation) ? 1.0 / deviation : 1.0;
}

// Mean and 1 / standard deviation; a constant plane has 1, so that it becomes 0 everywhere.
static void measure(const float *plane, size_t n, double *mean, double *inv_std) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += plane[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double difference = plane[i] - *mean;
        squares += difference * difference;
    }
    *inv_std = standardize_inverse(squares, n);
}

void standardize_from_counts(const uint64_t counts[256], size_t n, double *mean, double *inv_std) {
    double sum = 0.0, squares = 0.0;
    for (int value = 0; value < 256; value++)
        sum += (double)value * (double)counts[value];
    *mean = sum / (double)n;
    for (int value = 0; value < 256; value++)
        squares += (value - *mean) * (value - *mean) * (double)counts[value];
    *inv_std = squares > 0.0 ? 1.0 / sqrt(squares / (double)n) : 1.0;
}

// The same for 8-bit values, from their counts.
static void measure_u8(const uint8_t *plane, size_t n, double *mean, double *inv_std) {
    uint64_t counts[256] = {0};
    for (size_t i = 0; i < n; i++)
        counts[plane[i]]++;
    standardize_from_counts(counts, n, mean, inv_std);
}

// RGB / 255, minus ImageNet's mean, divided by its deviation.
void standardize_imagenet(int channel, double *mean, double *inv_std) {
    static const double means[IMAGENET_CHANNELS] = {0.485, 0.456, 0.406},
                        deviations[IMAGENET_CHANNELS] = {0.229, 0.224, 0.225};
    *mean = 255.0 * means[channel];
    *inv_std = 1.0 / (255.0 * deviations[channel]);
}

void standardize_plane(struct dataset_images *out, size_t i_plane, const float *plane,
                       bool is_imagenet) {
    size_t n = dataset_images_plane_size(out);
    int channel = (int)(i_plane % (size_t)out->c);
    double mean, inv_std;
    if (!out->is_f16) {
        uint8_t *pixels = (uint8_t *)out->images + i_plane * n;
        for (size_t i = 0; i < n; i++) {
            // Values are never negative, so adding 0.5 and truncating rounds.
            float value = plane[i] + 0.5f;
            pixels[i] = value >= 255.0f ? 255 : (uint8_t)value;
        }
        measure_u8(pixels, n, &mean, &inv_std);
    } else {
        uint16_t *pixels = (uint16_t *)out->images + i_plane * n;
        measure(plane, n, &mean, &inv_std);
        if (is_imagenet)
            standardize_imagenet(channel, &mean, &inv_std);
        for (size_t i = 0; i < n; i++)
            pixels[i] = half_from_float((float)((plane[i] - mean) * inv_std));
        mean = 0.0, inv_std = 1.0;
    }
    if (!out->is_f16 && is_imagenet)
        standardize_imagenet(channel, &mean, &inv_std);
    out->mean[i_plane] = (float)mean;
    out->inv_std[i_plane] = (float)inv_std;
}
