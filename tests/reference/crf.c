// SPDX-License-Identifier: MIT
// Mean field with the sums over all pairs of pixels, in double.
#include "reference/reference_method.h"

#include <math.h>
#include <stdlib.h>

static double squared(double x) {
    return x * x;
}

// kernel (n_pixels, n_pixels): the Gaussian of position and, with a colour sigma, of colour,
// divided by the roots of its row's and its column's sums.
static double *make_kernel(const struct adele_crf_desc *desc, const uint8_t *image,
                           double position_sigma, double colour_sigma) {
    size_t n = (size_t)desc->h * (size_t)desc->w, w = (size_t)desc->w;
    double *kernel = malloc(n * n * sizeof *kernel), *root = calloc(n, sizeof *root);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double x = (double)(i % w) - (double)(j % w), y = (double)(i / w) - (double)(j / w);
            double distance = (squared(x) + squared(y)) / squared(position_sigma);
            for (int c = 0; c < desc->image_c && colour_sigma > 0.0; c++)
                distance +=
                    squared((double)image[(size_t)c * n + i] - (double)image[(size_t)c * n + j]) /
                    squared(colour_sigma);
            kernel[i * n + j] = exp(-0.5 * distance);
            root[i] += kernel[i * n + j];
        }
        root[i] = sqrt(root[i]);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            kernel[i * n + j] /= root[i] * root[j];
    free(root);
    return kernel;
}

static double log_p(float p) {
    double floored = p > 1e-5f ? (double)p : 1e-5;
    return log(floored < 1.0 ? floored : 1.0);
}

// next (C, n_pixels) = softmax of -u and the messages of q; without q, of -u alone.
static void mean_field_step(const struct adele_crf_desc *desc, const float *p,
                            const double *spatial, const double *bilateral, const double *q,
                            double *next) {
    size_t n = (size_t)desc->h * (size_t)desc->w;
    for (size_t i = 0; i < n; i++) {
        double best = -INFINITY, sum = 0.0;
        for (int c = 0; c < desc->c; c++) {
            double z = log_p(p[(size_t)c * n + i]);
            for (size_t j = 0; j < n && q != NULL; j++)
                z += (desc->spatial_weight * spatial[i * n + j] +
                      desc->bilateral_weight * bilateral[i * n + j]) *
                     q[(size_t)c * n + j];
            next[(size_t)c * n + i] = z;
            best = z > best ? z : best;
        }
        for (int c = 0; c < desc->c; c++) {
            next[(size_t)c * n + i] = exp(next[(size_t)c * n + i] - best);
            sum += next[(size_t)c * n + i];
        }
        for (int c = 0; c < desc->c; c++)
            next[(size_t)c * n + i] /= sum;
    }
}

static void infer(const struct adele_crf_desc *desc, const float *p, const uint8_t *image,
                  float *dst) {
    size_t count = (size_t)desc->c * (size_t)desc->h * (size_t)desc->w;
    double *spatial = make_kernel(desc, image, desc->spatial_sigma, 0.0);
    double *bilateral = make_kernel(desc, image, desc->bilateral_sigma, desc->colour_sigma);
    double *q = malloc(count * sizeof *q), *next = malloc(count * sizeof *next);
    mean_field_step(desc, p, spatial, bilateral, NULL, q);
    for (int i = 0; i < desc->iterations; i++) {
        mean_field_step(desc, p, spatial, bilateral, q, next);
        double *old = q;
        q = next;
        next = old;
    }
    for (size_t i = 0; i < count; i++)
        dst[i] = (float)q[i];
    free(spatial);
    free(bilateral);
    free(q);
    free(next);
}

void reference_crf_forward(const struct adele_crf_desc *desc, const struct adele_crf_args *args) {
    size_t n = (size_t)desc->h * (size_t)desc->w;
    for (int i = 0; i < desc->n; i++) {
        int i_image = args->sample_ids != NULL ? args->sample_ids[i] : i;
        if (i_image < 0)
            continue;
        size_t row = (size_t)i * (size_t)desc->c * n;
        infer(desc, args->probabilities + row,
              args->images + (size_t)i_image * (size_t)desc->image_c * n, args->dst + row);
    }
}
