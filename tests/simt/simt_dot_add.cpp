// SPDX-License-Identifier: MIT
// The arithmetic in whole numbers: significands are multiples of a power of two, and cutting bits
// off is a shift.
#include "simt_dot_add.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define OPERAND_BITS 10 // fractional bits of an operand's significand: TF32's, more than bf16 has
#define FLOAT_BITS   23

// value = significand 2^(exponent - fractional bits). Zero and numbers below 2^-126 have the
// exponent -126.
struct number {
    int32_t significand;
    int exponent;
};

struct operands {
    struct number a[16][16], b[16][8]; // k first
    bool are_finite;
};

static struct number decode(float value, int n_bits) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    int32_t significand = (int32_t)(bits & 0x7fffffu);
    int exponent = (int)(bits >> 23 & 0xffu);
    if (exponent > 0)
        significand |= 0x800000;
    else
        exponent = 1;
    significand >>= FLOAT_BITS - n_bits;
    return {bits >> 31 ? -significand : significand, exponent - 127};
}

static void decode_all(struct operands *out, const float a[][16], const float b[][8], int n_k) {
    out->are_finite = true;
    for (int k = 0; k < n_k; k++) {
        for (int row = 0; row < 16; row++) {
            out->a[k][row] = decode(a[k][row], OPERAND_BITS);
            out->are_finite &= isfinite(a[k][row]) != 0;
        }
        for (int column = 0; column < 8; column++) {
            out->b[k][column] = decode(b[k][column], OPERAND_BITS);
            out->are_finite &= isfinite(b[k][column]) != 0;
        }
    }
}

// The nearest multiple of 2^n_cut towards zero, divided by it.
static inline int64_t cut(int64_t value, int n_cut) {
    if (n_cut > 62)
        return 0;
    return value < 0 ? -(-value >> n_cut) : value >> n_cut;
}

static inline double power_of_two(int exponent) { // of a normal double
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// sum 2^exponent as a float, rounded towards zero.
static float to_float(int64_t sum, int exponent) {
    if (sum == 0)
        return 0.0f;
    int n_bits = 64 - __builtin_clzll((unsigned long long)(sum < 0 ? -sum : sum));
    int n_cut = n_bits - (FLOAT_BITS + 1);
    if (exponent + n_cut < -149) // the step of the smallest floats
        n_cut = -149 - exponent;
    if (n_cut > 0) {
        sum = cut(sum, n_cut);
        exponent += n_cut;
    }
    double value = (double)sum * power_of_two(exponent);
    if (fabs(value) > (double)FLT_MAX)
        return value < 0.0 ? -INFINITY : INFINITY;
    return (float)value;
}

// c and the products of the block [k_first, k_first + n).
static float add_block(const struct operands *all, float c, int row, int column, int k_first, int n,
                       int n_bits) {
    struct number start = decode(c, FLOAT_BITS);
    int largest = start.exponent, n_products = 0, exponents[16];
    int32_t products[16];
    for (int i = 0; i < n; i++) {
        struct number a = all->a[k_first + i][row], b = all->b[k_first + i][column];
        int32_t product = a.significand * b.significand;
        if (product == 0)
            continue;
        products[n_products] = product;
        exponents[n_products++] = a.exponent + b.exponent;
        largest = a.exponent + b.exponent > largest ? a.exponent + b.exponent : largest;
    }
    if (n_products == 0)
        return c + 0.0f; // no negative zero
    int64_t sum =
        cut((int64_t)start.significand * (1 << (n_bits - FLOAT_BITS)), largest - start.exponent);
    for (int i = 0; i < n_products; i++)
        sum +=
            cut((int64_t)products[i] * (1 << (n_bits - 2 * OPERAND_BITS)), largest - exponents[i]);
    return to_float(sum, largest - n_bits);
}

// True when an infinity or a NaN takes part; *out is then the result.
static bool is_not_finite(float c, const float a[][16], const float b[][8], int row, int column,
                          int n_k, float *out) {
    double sum = (double)c;
    for (int k = 0; k < n_k; k++)
        sum += (double)a[k][row] * (double)b[k][column];
    const uint32_t nan_bits = 0x7fffffffu; // the one NaN that tensor cores give
    if (isfinite(sum))
        return false;
    if (isnan(sum))
        memcpy(out, &nan_bits, sizeof nan_bits);
    else
        *out = (float)sum;
    return true;
}

static void add_nearest(float d[16][8], const float a[][16], const float b[][8], int n_k) {
    for (int k = 0; k < n_k; k++)
        for (int row = 0; row < 16; row++)
            for (int column = 0; column < 8; column++)
                d[row][column] += a[k][row] * b[k][column];
}

void simt_dot_add(enum simt_tensor_core tensor_core, float d[16][8], const float a[][16],
                  const float b[][8], int n_k) {
    if (tensor_core == SIMT_TENSOR_CORE_NEAREST) {
        add_nearest(d, a, b, n_k);
        return;
    }
    bool is_hopper = tensor_core == SIMT_TENSOR_CORE_HOPPER;
    int n_bits = is_hopper ? 25 : 24, n_block = is_hopper ? n_k : n_k / 2;
    struct operands all;
    decode_all(&all, a, b, n_k);
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
            float *sum = &d[row][column];
            if ((!all.are_finite || !isfinite(*sum)) &&
                is_not_finite(*sum, a, b, row, column, n_k, sum))
                continue;
            for (int k = 0; k < n_k; k += n_block)
                *sum = add_block(&all, *sum, row, column, k, n_block, n_bits);
        }
}
