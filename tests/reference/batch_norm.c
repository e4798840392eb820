// SPDX-License-Identifier: MIT
#include "reference/reference.h"

#include <math.h>

// Letters: M = N * H * W values of a channel, visited in the order of memory.
static long value_index(const struct adele_batch_norm_desc *desc, int c, long i) {
    long plane = (long)desc->h * desc->w;
    return (i / plane * desc->c + c) * plane + i % plane;
}

static long values_of(const struct adele_batch_norm_desc *desc) {
    return (long)desc->n * desc->h * desc->w;
}

static void statistics(const struct adele_batch_norm_desc *desc,
                       const struct adele_batch_norm_args *args, int c, double *mean,
                       double *variance) {
    const float *src = args->src;
    long n_values = values_of(desc);
    *mean = args->running_mean[c];
    *variance = args->running_variance[c];
    if (!args->use_batch_statistics)
        return;
    double sum = 0.0, squares = 0.0;
    for (long i = 0; i < n_values; i++)
        sum += src[value_index(desc, c, i)];
    *mean = sum / (double)n_values;
    for (long i = 0; i < n_values; i++)
        squares += pow(src[value_index(desc, c, i)] - *mean, 2.0);
    *variance = squares / (double)n_values;
    double unbiased = n_values > 1 ? squares / (double)(n_values - 1) : *variance;
    args->running_mean[c] =
        (float)((1.0 - desc->momentum) * args->running_mean[c] + desc->momentum * *mean);
    args->running_variance[c] =
        (float)((1.0 - desc->momentum) * args->running_variance[c] + desc->momentum * unbiased);
}

void reference_batch_norm_forward(const struct adele_batch_norm_desc *desc,
                                  const struct adele_batch_norm_args *args) {
    const float *src = args->src, *residual = args->residual;
    float *dst = args->dst;
    for (int c = 0; c < desc->c; c++) {
        double mean, variance;
        statistics(desc, args, c, &mean, &variance);
        double inv_std = 1.0 / sqrt(variance + desc->eps);
        args->saved_mean[c] = (float)mean;
        args->saved_inv_std[c] = (float)inv_std;
        for (long i = 0; i < values_of(desc); i++) {
            long at = value_index(desc, c, i);
            double z = args->scale[c] * (src[at] - mean) * inv_std + args->shift[c];
            if (desc->has_residual)
                z += residual[at];
            dst[at] = (float)(desc->has_relu && z < 0.0 ? 0.0 : z);
        }
    }
}

void reference_batch_norm_backward(const struct adele_batch_norm_desc *desc,
                                   const struct adele_batch_norm_args *args) {
    const float *src = args->src, *dst = args->dst, *d_dst = args->d_dst;
    float *d_src = args->d_src, *d_residual = args->d_residual;
    long n_values = values_of(desc);
    for (int c = 0; c < desc->c; c++) {
        double mean = args->saved_mean[c], inv_std = args->saved_inv_std[c];
        double sum_g = 0.0, sum_gx = 0.0; // of g and of g times the normalized value
        for (long i = 0; i < n_values; i++) {
            long at = value_index(desc, c, i);
            double g = !desc->has_relu || dst[at] > 0.0f ? d_dst[at] : 0.0;
            sum_g += g;
            sum_gx += g * (src[at] - mean) * inv_std;
        }
        args->d_shift[c] = (float)(args->d_shift[c] + sum_g);
        args->d_scale[c] = (float)(args->d_scale[c] + sum_gx);
        for (long i = 0; i < n_values; i++) {
            long at = value_index(desc, c, i);
            double g = !desc->has_relu || dst[at] > 0.0f ? d_dst[at] : 0.0;
            double centred = g;
            if (args->use_batch_statistics)
                centred -= (sum_g + (src[at] - mean) * inv_std * sum_gx) / (double)n_values;
            if (d_residual != NULL)
                d_residual[at] = (float)g;
            d_src[at] = (float)(args->scale[c] * inv_std * centred);
        }
    }
}
