// SPDX-License-Identifier: MIT
#include "mma_sum.h"

#include "lanes.h"

#include <cmath>
#include <string.h>

namespace ptx {

#define PRODUCT_BITS   46 // behind the point of a product of two significands of 23 each
#define LEAST_EXPONENT -126

// Significands of 23 bits behind the point, and exponents, of a matrix.
template <int rows, int columns> struct matrix_parts {
    uint32_t significands[rows][columns];
    int32_t exponents[rows][columns];
    uint32_t signs[rows][columns]; // 0 or 1
};
template <int rows, int columns>
PTX_INLINE void take_apart(const float (*values)[columns],
                           struct matrix_parts<rows, columns> *out) {
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            uint32_t bits;
            memcpy(&bits, &values[r][c], sizeof bits);
            int32_t exponent = (int32_t)(bits >> 23 & 255);
            out->significands[r][c] = (bits & 0x7fffff) | (exponent != 0 ? 0x800000 : 0);
            out->exponents[r][c] = exponent != 0 ? exponent - 127 : LEAST_EXPONENT;
            out->signs[r][c] = bits >> 31;
        }
}

// sum 2^exponent as a float, cut off. The exponents of floats' products are far from those where a
// double ends.
static float float_of(int64_t sum, int exponent) {
    uint64_t magnitude = (uint64_t)(sum < 0 ? -sum : sum);
    if (magnitude == 0)
        return 0.0f;
    int leading = 63 - __builtin_clzll(magnitude) + exponent;
    int last = (leading < LEAST_EXPONENT ? LEAST_EXPONENT : leading) - 23;
    if (last > exponent)
        magnitude = last - exponent > 62 ? 0 : magnitude >> (last - exponent) << (last - exponent);
    uint64_t power_bits = (uint64_t)(exponent + 1023) << 52;
    double power;
    memcpy(&power, &power_bits, sizeof power);
    double value = (double)magnitude * power;
    return (float)(sum < 0 ? -value : value);
}

// One row, one step: n products, from k on, and d, with `bits` behind the point of the largest
// exponent.
PTX_VECTOR static void fused_step(float d[8], const struct matrix_parts<16, 16> &a,
                                  const struct matrix_parts<16, 8> &b, int row, int k, int n,
                                  int bits) {
    struct matrix_parts<1, 8> sum_so_far;
    take_apart<1, 8>((const float(*)[8])d, &sum_so_far);
    int32_t exponents[17][8], largest[8];
    for (int c = 0; c < 8; c++) {
        exponents[n][c] = sum_so_far.exponents[0][c];
        largest[c] = exponents[n][c];
    }
    for (int j = 0; j < n; j++)
        for (int c = 0; c < 8; c++) {
            bool is_zero = a.significands[row][k + j] == 0 || b.significands[k + j][c] == 0;
            int32_t exponent = a.exponents[row][k + j] + b.exponents[k + j][c];
            exponents[j][c] = is_zero ? LEAST_EXPONENT : exponent;
            largest[c] = exponents[j][c] > largest[c] ? exponents[j][c] : largest[c];
        }
    int64_t sums[8] = {};
    for (int j = 0; j <= n; j++)
        for (int c = 0; c < 8; c++) {
            uint32_t x = j < n ? a.significands[row][k + j] : sum_so_far.significands[0][c];
            uint32_t y = j < n ? b.significands[k + j][c] : 0x800000;
            uint32_t is_negative =
                j < n ? a.signs[row][k + j] ^ b.signs[k + j][c] : sum_so_far.signs[0][c];
            int shift = largest[c] - exponents[j][c] + PRODUCT_BITS - bits; // cuts towards zero
            uint64_t term = shift > 62 ? 0 : (uint64_t)x * y >> shift;
            sums[c] += is_negative ? -(int64_t)term : (int64_t)term;
        }
    for (int c = 0; c < 8; c++)
        d[c] = float_of(sums[c], largest[c] - bits);
}

static float cut_to_float(double sum) {
    float rounded = (float)sum;
    bool is_beyond = std::fabs((double)rounded) > std::fabs(sum);
    return is_beyond ? std::nextafter(rounded, 0.0f) : rounded;
}

// T: what the sums are added up in, product after product.
template <class T>
PTX_INLINE void add_up(T sums[16][8], const float a[16][16], const float b[16][8], int n) {
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < n; k++)
            for (int c = 0; c < 8; c++)
                sums[row][c] += (T)a[row][k] * (T)b[k][c];
}
PTX_VECTOR static void add_up_floats(float sums[16][8], const float a[16][16], const float b[16][8],
                                     int n) {
    add_up<float>(sums, a, b, n);
}
PTX_VECTOR static void add_up_doubles(double sums[16][8], const float a[16][16],
                                      const float b[16][8], int n) {
    add_up<double>(sums, a, b, n);
}

static void fused_sums(enum ptx_mma_sum how, float d[16][8], const float a[16][16],
                       const float b[16][8], int n, int operand_bytes) {
    const int step = (how == PTX_MMA_HOPPER ? 32 : 16) / operand_bytes;
    const int bits = how == PTX_MMA_HOPPER ? 25 : 24;
    struct matrix_parts<16, 16> a_parts;
    struct matrix_parts<16, 8> b_parts;
    take_apart<16, 16>(a, &a_parts);
    take_apart<16, 8>(b, &b_parts);
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < n; k += step)
            fused_step(d[row], a_parts, b_parts, row, k, n - k < step ? n - k : step, bits);
}

void mma_sum(enum ptx_mma_sum how, float d[16][8], const float a[16][16], const float b[16][8],
             int n, int operand_bytes) {
    if (how == PTX_MMA_FLOAT) {
        add_up_floats(d, a, b, n);
        return;
    }
    double sums[16][8];
    for (int e = 0; e < 16 * 8; e++)
        sums[e / 8][e % 8] = (double)d[e / 8][e % 8];
    add_up_doubles(sums, a, b, n);
    if (how == PTX_MMA_AMPERE || how == PTX_MMA_HOPPER)
        fused_sums(how, d, a, b, n, operand_bytes);
    for (int e = 0; e < 16 * 8; e++) {
        double sum = sums[e / 8][e % 8];
        if (how == PTX_MMA_EXACT || !std::isfinite(sum))
            d[e / 8][e % 8] = (float)sum;
        else if (how == PTX_MMA_CUT)
            d[e / 8][e % 8] = cut_to_float(sum);
    }
}

} // namespace ptx
