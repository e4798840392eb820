// SPDX-License-Identifier: MIT
// The guided filter with every window summed pixel by pixel.
#include "base/half.h"
#include "reference/reference_method.h"

#include <math.h>
#include <stdlib.h>

static double clamped(double x) {
    return x > 0.0 ? fmin(x, 1.0) : 0.0; // a NaN too
}

// The mean over the window around a pixel of x or, where `times` is given, of x times it.
static double window_mean(const struct adele_guided_filter_desc *desc, const double *x,
                          const double *times, int row, int column) {
    int top = row > desc->radius ? row - desc->radius : 0;
    int left = column > desc->radius ? column - desc->radius : 0;
    double sum = 0.0;
    int count = 0;
    for (int y = top; y < desc->h && y - row <= desc->radius; y++)
        for (int i = left; i < desc->w && i - column <= desc->radius; i++, count++) {
            size_t at = (size_t)y * (size_t)desc->w + (size_t)i;
            sum += x[at] * (times != NULL ? times[at] : 1.0);
        }
    return sum / count;
}

static void make_guide(const struct adele_guided_filter_desc *desc,
                       const struct adele_guided_filter_args *args, int row, double *guide) {
    int id = args->batch_images != NULL || args->sample_ids == NULL ? row : args->sample_ids[row];
    const void *images = args->batch_images != NULL ? args->batch_images : args->images;
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    double low = (double)args->low, high = (double)args->high;
    for (size_t i = 0; i < plane; i++) {
        guide[i] = 0.0;
        for (int c = 0; c < desc->image_c; c++) {
            size_t at = ((size_t)id * (size_t)desc->image_c + (size_t)c) * plane + i;
            guide[i] += desc->pixel == ADELE_PIXEL_U8
                            ? (double)((const uint8_t *)images)[at]
                            : (double)half_to_float(((const uint16_t *)images)[at]);
        }
        guide[i] /= desc->image_c;
    }
    if (low == high) {
        low = (double)INFINITY, high = -(double)INFINITY;
        for (size_t i = 0; i < plane; i++)
            if (isfinite(guide[i])) {
                low = fmin(low, guide[i]);
                high = fmax(high, guide[i]);
            }
    }
    for (size_t i = 0; i < plane; i++)
        guide[i] = high > low ? clamped((guide[i] - low) / (high - low)) : 0.0;
}

static void make_q(const struct adele_guided_filter_desc *desc,
                   const struct adele_guided_filter_args *args, int id, int c, double *q) {
    size_t count = (size_t)desc->h_maps * (size_t)desc->w_maps;
    const uint16_t *map = args->maps + ((size_t)id * (size_t)desc->c + (size_t)c) * count;
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        float value = half_to_float(map[i]);
        values[i] = isfinite(value) ? value : 0.0f;
    }
    for (int y = 0; y < desc->h; y++)
        for (int x = 0; x < desc->w; x++)
            q[(size_t)y * (size_t)desc->w + (size_t)x] =
                clamped((double)args->scale * reference_bilinear(values, desc->h_maps, desc->w_maps,
                                                                 desc->h, desc->w, y, x));
    free(values);
}

// ab: 2 planes of scratch.
static void filter(const struct adele_guided_filter_desc *desc, const double *guide,
                   const double *q, double *ab, float *dst) {
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    double *a = ab, *b = ab + plane;
    for (size_t i = 0; i < plane; i++) {
        int y = (int)(i / (size_t)desc->w), x = (int)(i % (size_t)desc->w);
        double mean = window_mean(desc, guide, NULL, y, x), of_q = window_mean(desc, q, NULL, y, x);
        double variance = window_mean(desc, guide, guide, y, x) - mean * mean;
        a[i] = (window_mean(desc, guide, q, y, x) - mean * of_q) / (variance + desc->eps);
        b[i] = of_q - a[i] * mean;
    }
    for (size_t i = 0; i < plane; i++) {
        int y = (int)(i / (size_t)desc->w), x = (int)(i % (size_t)desc->w);
        dst[i] = (float)clamped(window_mean(desc, a, NULL, y, x) * guide[i] +
                                window_mean(desc, b, NULL, y, x));
    }
}

void reference_guided_filter_forward(const struct adele_guided_filter_desc *desc,
                                     const struct adele_guided_filter_args *args) {
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    double *guide = malloc(4 * plane * sizeof *guide), *q = guide + plane;
    for (int n = 0; n < desc->n; n++) {
        int i_map = args->map_ids != NULL ? args->map_ids[n] : n;
        if (i_map < 0 || (args->sample_ids != NULL && args->sample_ids[n] < 0))
            continue;
        if (desc->radius > 0)
            make_guide(desc, args, n, guide);
        for (int c = 0; c < desc->c; c++) {
            float *dst = args->dst + ((size_t)n * (size_t)desc->c + (size_t)c) * plane;
            make_q(desc, args, i_map, c, q);
            for (size_t i = 0; i < plane; i++)
                dst[i] = (float)q[i];
            if (desc->radius > 0)
                filter(desc, guide, q, q + plane, dst);
        }
    }
    free(guide);
}
