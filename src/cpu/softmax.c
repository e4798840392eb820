// SPDX-License-Identifier: MIT
#include "cpu/softmax.h"

#include "cpu/vector_math.h"
#include <stddef.h>

CPU_INLINE void running_maximum(const float *z, int n, float *maximum) {
    for (int x = 0; x < n; x++)
        maximum[x] = z[x] > maximum[x] ? z[x] : maximum[x];
}

CPU_KERNEL(void, softmax_row,
           (const float *z, int n_categories, int n, int stride, float scale, float *p,
            float *maximum, float *log_sum),
           (z, n_categories, n, stride, scale, p, maximum, log_sum)) {
    for (int x = 0; x < n; x++) {
        maximum[x] = z[x];
        log_sum[x] = 0.0f;
    }
    for (int c = 1; c < n_categories; c++)
        running_maximum(z + (size_t)c * (size_t)stride, n, maximum);
    for (int c = 0; c < n_categories; c++) {
        const float *z_c = z + (size_t)c * (size_t)stride;
        float *p_c = p + (size_t)c * (size_t)stride;
        for (int x = 0; x < n; x++) {
            float e = cpu_exp(scale * (z_c[x] - maximum[x]));
            p_c[x] = e;
            log_sum[x] += e;
        }
    }
    for (int c = 0; c < n_categories; c++) {
        float *p_c = p + (size_t)c * (size_t)stride;
        for (int x = 0; x < n; x++)
            p_c[x] /= log_sum[x];
    }
    for (int x = 0; x < n; x++)
        log_sum[x] = cpu_log(log_sum[x]);
}

CPU_KERNEL(void, argmax_row,
           (const float *z, int n_categories, int n, int stride, float *best, uint8_t *prediction),
           (z, n_categories, n, stride, best, prediction)) {
    for (int x = 0; x < n; x++) {
        best[x] = z[x];
        prediction[x] = 0;
    }
    for (int c = 1; c < n_categories; c++) {
        const float *z_c = z + (size_t)c * (size_t)stride;
        for (int x = 0; x < n; x++) {
            prediction[x] = z_c[x] > best[x] ? (uint8_t)c : prediction[x];
            best[x] = z_c[x] > best[x] ? z_c[x] : best[x];
        }
    }
}

CPU_KERNEL(void, foreground_row,
           (const float *p, int n_categories, int n, int stride, float *confidence),
           (p, n_categories, n, stride, confidence)) {
    for (int x = 0; x < n; x++)
        confidence[x] = n_categories > 1 ? p[(size_t)stride + (size_t)x] : 0.0f;
    for (int c = 2; c < n_categories; c++)
        running_maximum(p + (size_t)c * (size_t)stride, n, confidence);
}
