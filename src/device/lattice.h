// SPDX-License-Identifier: MIT
// The permutohedral lattice (Adams, Baek, Davis 2010) in D dimensions, for all devices. Its
// points are the vectors of D + 1 integers that sum to 0 and have the same remainder modulo D + 1;
// they cut the hyperplane of sum 0 into simplices of D + 1 corners, one of each remainder.
//
// A Gaussian filter on it: every pixel's feature is put on the hyperplane, its value is split among
// the corners of the simplex around it (barycentric weights), the corners are blurred along each of
// the D + 1 axes with the weights 1/4, 1/2, 1/4, and every pixel blends the corners it was split
// among. Split and blend have the variance (D + 1)^2 / 12 each, the blur (D + 1)^2 / 2: features
// are stretched so that the sum is 1. Only corners that hold a pixel exist, and what the blur sends
// elsewhere is lost; therefore a finer lattice with more blurs had larger errors.
//
// How close a CRF comes with it (METHOD section 3, one iteration, tests/device/test_crf.c): 0.001
// off in probability in the mean, more than 0.01 off in 1 to 3 % of the values, up to 0.1 beside
// edges where two categories are nearly even; the same category wins in 99.6 % of the pixels or
// more. Tried against that, on 37 x 41 pixels and 21 categories (worst 0.055): the corners that the
// blur sends to, at 6 times the corners: 0.049; the mean of 8 shifted lattices: 0.033; features
// stretched 1.3 times as far, blurred twice, with two rings of such corners, at 28 times the
// corners: 0.030. It is the lattice's own error.
#ifndef ADELE_DEVICE_LATTICE_H
#define ADELE_DEVICE_LATTICE_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __CUDACC__
#define LATTICE_FUNCTION static __host__ __device__ inline
#else
#define LATTICE_FUNCTION static inline
#endif

#define LATTICE_MAX_D 5 // x, y and three colours

// The simplex around one feature: corner k has the first D coordinates key[k] and the weight[k].
struct lattice_simplex {
    int32_t key[LATTICE_MAX_D + 1][LATTICE_MAX_D];
    float weight[LATTICE_MAX_D + 1];
};

// x[0 .. d], of sum 0: the point of the hyperplane that belongs to feature[0 .. d - 1].
LATTICE_FUNCTION void lattice_elevate(int d, const double *feature, double *x) {
    double stretch = (d + 1) * sqrt(2.0 / 3.0), sum = 0.0;
    // Row i of an orthonormal basis of the hyperplane is
    // (1, .., 1, -i, 0, .., 0) / sqrt(i (i + 1)).
    for (int i = d; i >= 1; i--) {
        double part = feature[i - 1] * stretch / sqrt((double)i * (i + 1));
        x[i] = sum - i * part;
        sum += part;
    }
    x[0] = sum;
}

// base: the nearest point of remainder 0; rank[i]: how many coordinates of x - base are larger than
// the i-th, which says in which simplex around base x lies.
LATTICE_FUNCTION void lattice_locate(int d, const double *x, int32_t *base, int *rank) {
    int excess = 0;
    for (int i = 0; i <= d; i++) {
        int32_t nearest = (int32_t)floor(x[i] / (d + 1) + 0.5);
        base[i] = nearest * (d + 1);
        excess += nearest;
        rank[i] = 0;
    }
    for (int i = 0; i <= d; i++)
        for (int j = i + 1; j <= d; j++) {
            if (x[i] - base[i] < x[j] - base[j])
                rank[i]++;
            else
                rank[j]++;
        }
    // Where the rounded coordinates do not sum to 0, those that were rounded furthest step back.
    for (int i = 0; i <= d; i++) {
        rank[i] += excess;
        if (rank[i] > d) {
            base[i] -= d + 1;
            rank[i] -= d + 1;
        } else if (rank[i] < 0) {
            base[i] += d + 1;
            rank[i] += d + 1;
        }
    }
}

LATTICE_FUNCTION void lattice_embed(int d, const double *feature, struct lattice_simplex *out) {
    double x[LATTICE_MAX_D + 1], sorted[LATTICE_MAX_D + 1] = {0.0};
    int32_t base[LATTICE_MAX_D + 1];
    int rank[LATTICE_MAX_D + 1];
    lattice_elevate(d, feature, x);
    lattice_locate(d, x, base, rank);
    for (int i = 0; i <= d; i++)
        sorted[rank[i]] = (x[i] - base[i]) / (d + 1);
    // Corner k adds k to the coordinates of the d + 1 - k lowest ranks, and k - d - 1 to the
    // others.
    out->weight[0] = (float)(1.0 - sorted[0] + sorted[d]);
    for (int k = 1; k <= d; k++)
        out->weight[k] = (float)(sorted[d - k] - sorted[d + 1 - k]);
    for (int k = 0; k <= d; k++)
        for (int i = 0; i < d; i++)
            out->key[k][i] = base[i] + (rank[i] <= d - k ? k : k - d - 1);
}

// The neighbour one step forward (direction 1) or back (-1) along `axis` of 0 .. d.
LATTICE_FUNCTION void lattice_step(int d, const int32_t *key, int axis, int direction,
                                   int32_t *out) {
    for (int i = 0; i < d; i++)
        out[i] = key[i] + direction * (i == axis ? -d : 1);
}

LATTICE_FUNCTION uint32_t lattice_hash(int d, const int32_t *key) {
    uint64_t hash = 0;
    for (int i = 0; i < d; i++) {
        hash = (hash ^ (uint32_t)key[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32);
}

LATTICE_FUNCTION int lattice_is_key(int d, const int32_t *a, const int32_t *b) {
    for (int i = 0; i < d; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

// The feature of a pixel of a planar image; d = 2 + its channels.
LATTICE_FUNCTION void lattice_feature(int d, const uint8_t *image, int64_t n_pixels, int64_t pixel,
                                      int w, double position_sigma, double colour_sigma,
                                      double *out) {
    out[0] = (double)(pixel % w) / position_sigma;
    out[1] = (double)(pixel / w) / position_sigma;
    for (int i = 2; i < d; i++)
        out[i] = image[(i - 2) * n_pixels + pixel] / colour_sigma;
}

// Slots of a hash table for n keys: a power of two, at most half full.
LATTICE_FUNCTION uint32_t lattice_slots(int64_t n) {
    uint32_t slots = 16;
    while ((int64_t)slots < 2 * n)
        slots *= 2;
    return slots;
}

#ifdef __cplusplus
}
#endif
#endif
