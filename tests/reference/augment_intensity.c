// SPDX-License-Identifier: MIT
// One plane at a time, on plain NCHW floats. Uniform numbers u of (seed, RANDOM_INTENSITY, epoch,
// id), in this order: noise or not (u < rate), its deviation 0.1 u; blur or not, its deviation
// 0.5 + 0.5 u; brightness or not; contrast or not; gamma or not; inverted (u < 1/4); then for each
// channel the numbers of brightness, contrast and gamma. A factor of [low, high] is
// 1 - (1 - low)(1 - 2u) for u < 1/2, else 1 + (high - 1)(2u - 1).
// Noise of value i of the image: Box-Muller of the upper 24 bits of two words of Philox with the
// counter (i / 2, id, epoch, RANDOM_PIXEL_NOISE); words 0 and 1 for an even i, 2 and 3 for an odd
// one. Zeros stay zeros and count in no statistics.
#include "reference/reference_method.h"

#include "base/memory.h"
#include "base/random.h"
#include <math.h>

#define MOST_CHANNELS 32
#define RADIUS        4

struct drawn {
    double noise, sigma; // 0: none
    double brightness[MOST_CHANNELS], contrast[MOST_CHANNELS], gamma[MOST_CHANNELS];
    bool is_inverted;
};

struct plane {
    double *values;
    int h, w;
};

static double factor(double u, double low, double high) {
    return u < 0.5 ? 1.0 - (1.0 - low) * (1.0 - 2.0 * u) : 1.0 + (high - 1.0) * (2.0 * u - 1.0);
}

static struct drawn draw(const struct adele_augment_intensity_desc *desc, uint32_t epoch, int id) {
    const struct adele_intensity *rates = &desc->intensity;
    struct random_stream stream;
    struct drawn out = {0};
    double u[8];
    random_stream_init(&stream, desc->seed, RANDOM_INTENSITY, epoch, (uint32_t)id);
    for (int i = 0; i < 8; i++)
        u[i] = random_uniform(&stream);
    out.noise = u[0] < rates->noise ? 0.1 * u[1] : 0.0;
    out.sigma = u[2] < rates->blur ? 0.5 + 0.5 * u[3] : 0.0;
    out.is_inverted = u[7] < 0.25;
    for (int c = 0; c < desc->c; c++) {
        double b = random_uniform(&stream), f = random_uniform(&stream),
               g = random_uniform(&stream);
        out.brightness[c] = u[4] < rates->brightness ? factor(b, 0.75, 1.25) : 1.0;
        out.contrast[c] = u[5] < rates->contrast ? factor(f, 0.75, 1.25) : 1.0;
        out.gamma[c] = u[6] < rates->gamma ? factor(g, 0.7, 1.5) : 1.0;
    }
    return out;
}

static double normal(const struct adele_augment_intensity_desc *desc, uint32_t epoch, int id,
                     size_t i) {
    const uint32_t key[2] = {(uint32_t)desc->seed, (uint32_t)(desc->seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)(i / 2), (uint32_t)id, epoch, RANDOM_PIXEL_NOISE};
    uint32_t words[4];
    random_philox(counter, key, words);
    double first = (words[i % 2 * 2] / 256 + 1) / 16777216.0;
    double second = (words[i % 2 * 2 + 1] / 256) / 16777216.0;
    return sqrt(-2.0 * log(first)) * cos(2.0 * 3.14159265358979323846 * second);
}

static void blur(const struct plane *plane, double sigma, double *before) {
    double total = 0.0;
    for (int i = 0; i < plane->h * plane->w; i++)
        before[i] = plane->values[i];
    for (int j = -RADIUS; j <= RADIUS; j++)
        total += exp(-j * j / (2.0 * sigma * sigma));
    for (int y = 0; y < plane->h; y++)
        for (int x = 0; x < plane->w; x++) {
            double sum = 0.0;
            for (int i = -RADIUS; i <= RADIUS; i++)
                for (int j = -RADIUS; j <= RADIUS; j++) {
                    int row = (int)fmin(fmax(y + i, 0.0), plane->h - 1.0);
                    int column = (int)fmin(fmax(x + j, 0.0), plane->w - 1.0);
                    sum += exp(-(i * i + j * j) / (2.0 * sigma * sigma)) *
                           before[row * plane->w + column];
                }
            if (before[y * plane->w + x] != 0.0)
                plane->values[y * plane->w + x] = sum / (total * total);
        }
}

struct statistics {
    double mean, deviation, low, high;
};

static struct statistics measure(const struct plane *plane) {
    struct statistics out = {0.0, 0.0, INFINITY, -INFINITY};
    int n = 0;
    for (int i = 0; i < plane->h * plane->w; i++)
        if (plane->values[i] != 0.0) {
            out.mean += plane->values[i];
            out.low = fmin(out.low, plane->values[i]);
            out.high = fmax(out.high, plane->values[i]);
            n++;
        }
    out.mean /= n;
    for (int i = 0; i < plane->h * plane->w; i++)
        if (plane->values[i] != 0.0)
            out.deviation += (plane->values[i] - out.mean) * (plane->values[i] - out.mean);
    out.deviation = sqrt(out.deviation / n);
    return out;
}

static void change_contrast(const struct plane *plane, double by) {
    struct statistics before = measure(plane);
    for (int i = 0; i < plane->h * plane->w; i++)
        if (plane->values[i] != 0.0)
            plane->values[i] = fmin(
                fmax((plane->values[i] - before.mean) * by + before.mean, before.low), before.high);
}

static void change_gamma(const struct plane *plane, double gamma, bool is_inverted) {
    struct statistics before = measure(plane), after;
    double range = before.high - before.low;
    if (!(range > 0.0))
        return;
    for (int i = 0; i < plane->h * plane->w; i++) {
        double t = (plane->values[i] - before.low) / range;
        if (plane->values[i] != 0.0)
            plane->values[i] =
                before.low + range * (is_inverted ? 1.0 - pow(1.0 - t, gamma) : pow(t, gamma));
    }
    after = measure(plane);
    for (int i = 0; i < plane->h * plane->w; i++)
        if (plane->values[i] != 0.0)
            plane->values[i] =
                (plane->values[i] - after.mean) / after.deviation * before.deviation + before.mean;
}

static void change_plane(const struct adele_augment_intensity_desc *desc, uint32_t epoch, int id,
                         int c, const struct plane *plane, double *before) {
    struct drawn drawn = draw(desc, epoch, id);
    size_t count = (size_t)desc->h * (size_t)desc->w;
    for (size_t i = 0; i < count; i++)
        if (plane->values[i] != 0.0 && drawn.noise > 0.0)
            plane->values[i] += drawn.noise * normal(desc, epoch, id, (size_t)c * count + i);
    if (drawn.sigma > 0.0)
        blur(plane, drawn.sigma, before);
    for (size_t i = 0; i < count; i++)
        plane->values[i] *= drawn.brightness[c];
    if (drawn.contrast[c] != 1.0)
        change_contrast(plane, drawn.contrast[c]);
    if (drawn.gamma[c] != 1.0)
        change_gamma(plane, drawn.gamma[c], drawn.is_inverted);
}

void reference_augment_intensity_forward(const struct adele_augment_intensity_desc *desc,
                                         const struct adele_augment_intensity_args *args) {
    size_t count = (size_t)desc->h * (size_t)desc->w;
    double *values = NULL;
    if (ALLOCATE(&values, 2 * count) != ADELE_OK)
        return;
    for (int n = 0; n < desc->n; n++)
        for (int c = 0; c < desc->c && args->sample_ids[n] >= 0; c++) {
            float *image =
                (float *)args->images + ((size_t)n * (size_t)desc->c + (size_t)c) * count;
            struct plane plane = {values, desc->h, desc->w};
            for (size_t i = 0; i < count; i++)
                values[i] = (double)image[i];
            change_plane(desc, args->epoch, args->sample_ids[n], c, &plane, values + count);
            for (size_t i = 0; i < count; i++)
                image[i] = (float)values[i];
        }
    memory_free(values);
}
