// SPDX-License-Identifier: MIT
// The arithmetic of AdamW (training_ops.h) for one parameter, for all devices.
#ifndef ADELE_DEVICE_ADAMW_RULE_H
#define ADELE_DEVICE_ADAMW_RULE_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __CUDACC__
#define ADAMW_FUNCTION static __host__ __device__ inline
#else
#define ADAMW_FUNCTION static inline
#endif

// What all parameters of an update share.
struct adamw_factors {
    float beta1, beta2, rest1, rest2; // rest: 1 - beta
    float correction1, correction2;   // 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
    float rate, eps;
};

// By products alone, so that every device has the same bits.
ADAMW_FUNCTION double adamw_power(double base, int64_t exponent) {
    double power = 1.0;
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2 != 0)
            power *= base;
        base *= base;
    }
    return power;
}

// `t`: the number of this update, from 1. Fills a struct of the caller's, because some versions of
// nvcc translate structs that are returned by value wrongly (tests/ptx/nvcc_slot.cu).
ADAMW_FUNCTION void adamw_prepare(double beta1, double beta2, float rate, float eps, int64_t t,
                                  struct adamw_factors *out) {
    out->beta1 = (float)beta1;
    out->beta2 = (float)beta2;
    out->rest1 = (float)(1.0 - beta1);
    out->rest2 = (float)(1.0 - beta2);
    out->correction1 = (float)(1.0 / (1.0 - adamw_power(beta1, t)));
    out->correction2 = (float)(1.0 / sqrt(1.0 - adamw_power(beta2, t)));
    out->rate = rate;
    out->eps = eps;
}

ADAMW_FUNCTION void adamw_update(const struct adamw_factors *factors, float lr_scale, float decay,
                                 float gradient, float *weight, float *first, float *second) {
    float rate = factors->rate * lr_scale;
    float m = factors->beta1 * *first + factors->rest1 * gradient;
    float v = factors->beta2 * *second + factors->rest2 * (gradient * gradient);
    float size = sqrtf(v) * factors->correction2 + factors->eps;
    *first = m;
    *second = v;
    *weight = (*weight - rate * decay * *weight) - rate * (factors->correction1 * m / size);
}

#ifdef __cplusplus
}
#endif
#endif
