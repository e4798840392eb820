// SPDX-License-Identifier: MIT
#include "mma_sum.h"

#include <cmath>
#include <string.h>

namespace ptx {

#define PRODUCT_BITS   46 // behind the point of a product of two significands of 23 each
#define LEAST_EXPONENT -126

// significand 2^(exponent - 46)
struct term {
    int64_t significand;
    int exponent;
};

static struct term take_apart(float value) { // significand 2^(exponent - 23)
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 23 & 255);
    int64_t significand = bits & 0x7fffff;
    if (exponent != 0)
        significand |= 0x800000;
    return {bits >> 31 ? -significand : significand,
            exponent != 0 ? exponent - 127 : LEAST_EXPONENT};
}

static struct term term_of(float a, float b) {
    struct term x = take_apart(a), y = take_apart(b);
    int64_t significand = x.significand * y.significand;
    return {significand, significand == 0 ? LEAST_EXPONENT : x.exponent + y.exponent};
}

static int64_t cut_off(int64_t value, int n_bits) { // towards zero
    if (n_bits > 62)
        return 0;
    return value < 0 ? -(-value >> n_bits) : value >> n_bits;
}

// sum 2^exponent as a float, cut off.
static float float_of(int64_t sum, int exponent) {
    uint64_t magnitude = (uint64_t)(sum < 0 ? -sum : sum);
    if (magnitude == 0)
        return 0.0f;
    int leading = 63 - __builtin_clzll(magnitude) + exponent;
    int last = (leading < LEAST_EXPONENT ? LEAST_EXPONENT : leading) - 23;
    if (last > exponent)
        magnitude = last - exponent > 62 ? 0 : magnitude >> (last - exponent) << (last - exponent);
    double value = std::ldexp((double)magnitude, exponent);
    return (float)(sum < 0 ? -value : value);
}

// One step: n products and c, with `bits` behind the point of the largest exponent.
static float fused_step(float c, const float *a, const float *b, int n, int bits) {
    struct term terms[17];
    terms[n] = term_of(c, 1.0f);
    int largest = terms[n].exponent;
    for (int k = 0; k < n; k++) {
        terms[k] = term_of(a[k], b[k]);
        largest = terms[k].exponent > largest ? terms[k].exponent : largest;
    }
    int64_t sum = 0;
    for (int k = 0; k <= n; k++)
        sum += cut_off(terms[k].significand, largest - terms[k].exponent + PRODUCT_BITS - bits);
    return float_of(sum, largest - bits);
}

static float cut_to_float(double sum) {
    float rounded = (float)sum;
    bool is_beyond = std::fabs((double)rounded) > std::fabs(sum);
    return is_beyond ? std::nextafter(rounded, 0.0f) : rounded;
}

static float float_sum(float c, const float *a, const float *b, int n) {
    for (int k = 0; k < n; k++)
        c += a[k] * b[k];
    return c;
}

float mma_sum(enum ptx_mma_sum how, float c, const float *a, const float *b, int n,
              int operand_bytes) {
    if (how == PTX_MMA_FLOAT)
        return float_sum(c, a, b, n);
    double sum = (double)c;
    for (int k = 0; k < n; k++)
        sum += (double)a[k] * (double)b[k];
    if (how == PTX_MMA_EXACT || !std::isfinite(sum))
        return (float)sum;
    if (how == PTX_MMA_CUT)
        return cut_to_float(sum);
    int step = (how == PTX_MMA_HOPPER ? 32 : 16) / operand_bytes;
    for (int k = 0; k < n; k += step)
        c = fused_step(c, a + k, b + k, n - k < step ? n - k : step,
                       how == PTX_MMA_HOPPER ? 25 : 24);
    return c;
}

} // namespace ptx
