// SPDX-License-Identifier: MIT
#include "reference/reference.h"

void reference_global_pool_forward(const struct adele_global_pool_desc *desc,
                                   const struct adele_global_pool_args *args) {
    const float *src = args->src;
    float *dst = args->dst;
    long n_pixels = (long)desc->h * desc->w;
    for (long p = 0; p < (long)desc->n * desc->c; p++) {
        double sum = 0.0;
        for (long i = 0; i < n_pixels; i++)
            sum += *src++;
        dst[p] = (float)(sum / (double)n_pixels);
    }
}

void reference_global_pool_backward(const struct adele_global_pool_desc *desc,
                                    const struct adele_global_pool_args *args) {
    const float *d_dst = args->d_dst;
    float *d_src = args->d_src;
    long n_pixels = (long)desc->h * desc->w;
    for (long p = 0; p < (long)desc->n * desc->c; p++)
        for (long i = 0; i < n_pixels; i++, d_src++)
            *d_src = (float)((args->accumulate_d_src ? *d_src : 0.0) +
                             (double)d_dst[p] / (double)n_pixels);
}
