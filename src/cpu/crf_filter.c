// SPDX-License-Identifier: MIT
// Every sum has a fixed order: a band adds up its pixels in their order, a corner its bands in
// their order, a pixel its corners.
#include "cpu/crf_lanes.h"
#include "cpu/crf_lattice.h"
#include "cpu/team.h"

#include <math.h>
#include <string.h>

#define RUN          1024      // corners that a thread takes at a time
#define LEAST_FLOATS (1 << 16) // of values that are worth several threads

CRF_INLINE void split_pixels(const struct crf_lattice *lattice, size_t first, float *sums,
                             const float *src, const int n_corners, const int n) {
    const uint32_t *corner = lattice->corner + first * (size_t)n_corners;
    const float *weight = lattice->weight + first * (size_t)n_corners;
    for (int x = 0; x < lattice->w; x++) {
        for (int k = 0; k < n_corners; k++) {
            float *sum = sums + (size_t)corner[k] * (size_t)n;
            for (int at = 0; at + LANES <= n; at += LANES)
                LANES_STORE(sum + at, LANES_AT(sum + at) + weight[k] * LANES_AT(src + at));
            if (n < LANES)
                HALF_STORE(sum, HALF_AT(sum) + weight[k] * HALF_AT(src));
        }
        corner += n_corners;
        weight += n_corners;
        src += n;
    }
}

CRF_INLINE void blend_pixels(const struct crf_lattice *lattice, size_t first,
                             const uint32_t *corner_of, float *dst, const int n_corners,
                             const int n) {
    const uint32_t *corner = lattice->corner + first * (size_t)n_corners;
    const float *weight = lattice->weight + first * (size_t)n_corners;
    for (int x = 0; x < lattice->w; x++) {
        const float *value[LATTICE_MAX_D + 1] = {NULL};
        for (int k = 0; k < n_corners; k++)
            value[k] = lattice->values + (size_t)corner_of[corner[k]] * (size_t)n;
        for (int at = 0; at + LANES <= n; at += LANES) {
            lanes sum = weight[0] * LANES_AT(value[0] + at);
            for (int k = 1; k < n_corners; k++)
                sum += weight[k] * LANES_AT(value[k] + at);
            LANES_STORE(dst + at, LANES_AT(dst + at) + sum);
        }
        if (n < LANES) {
            half_lanes sum = weight[0] * HALF_AT(value[0]);
            for (int k = 1; k < n_corners; k++)
                sum += weight[k] * HALF_AT(value[k]);
            HALF_STORE(dst, HALF_AT(dst) + sum);
        }
        corner += n_corners;
        weight += n_corners;
        dst += n;
    }
}

CRF_INLINE void add_bands(const struct crf_lattice *lattice, uint32_t first, uint32_t end,
                          float weight, const int n) {
    for (uint32_t i = first; i < end; i++) {
        float *value = lattice->values + (size_t)i * (size_t)n;
        const uint32_t *local = lattice->local_of + lattice->start[i];
        uint32_t n_local = lattice->start[i + 1] - lattice->start[i];
        for (int at = 0; at + LANES <= n; at += LANES) {
            lanes sum = LANES_AT(lattice->sums + (size_t)local[0] * (size_t)n + at);
            for (uint32_t k = 1; k < n_local; k++)
                sum += LANES_AT(lattice->sums + (size_t)local[k] * (size_t)n + at);
            LANES_STORE(value + at, weight * sum);
        }
        if (n < LANES) {
            half_lanes sum = HALF_AT(lattice->sums + (size_t)local[0] * (size_t)n);
            for (uint32_t k = 1; k < n_local; k++)
                sum += HALF_AT(lattice->sums + (size_t)local[k] * (size_t)n);
            HALF_STORE(value, weight * sum);
        }
    }
}

CRF_INLINE void blur_corners(const float *src, const uint32_t *next, const uint32_t *back,
                             uint32_t first, uint32_t end, float *dst, const int n) {
    for (uint32_t i = first; i < end; i++) {
        const float *a = src + (size_t)next[i] * (size_t)n, *b = src + (size_t)back[i] * (size_t)n;
        const float *from = src + (size_t)i * (size_t)n;
        float *to = dst + (size_t)i * (size_t)n;
        for (int at = 0; at + LANES <= n; at += LANES)
            LANES_STORE(to + at,
                        0.5f * LANES_AT(from + at) + 0.25f * (LANES_AT(a + at) + LANES_AT(b + at)));
        if (n < LANES)
            HALF_STORE(to, 0.5f * HALF_AT(from) + 0.25f * (HALF_AT(a) + HALF_AT(b)));
    }
}

CPU_KERNEL(static void, split_row,
           (const struct crf_lattice *lattice, size_t first, float *sums, const float *src,
            int n_lanes),
           (lattice, first, sums, src, n_lanes)) {
    if (lattice->d == 5)
        CRF_FOR_LANES(n_lanes, split_pixels, lattice, first, sums, src, 6);
    else
        CRF_FOR_LANES(n_lanes, split_pixels, lattice, first, sums, src, 4);
}

CPU_KERNEL(static void, blend_row,
           (const struct crf_lattice *lattice, size_t first, const uint32_t *corner_of, float *dst,
            int n_lanes),
           (lattice, first, corner_of, dst, n_lanes)) {
    if (lattice->d == 5)
        CRF_FOR_LANES(n_lanes, blend_pixels, lattice, first, corner_of, dst, 6);
    else
        CRF_FOR_LANES(n_lanes, blend_pixels, lattice, first, corner_of, dst, 4);
}

CPU_KERNEL(static void, add_run,
           (const struct crf_lattice *lattice, uint32_t first, uint32_t end, float weight,
            int n_lanes),
           (lattice, first, end, weight, n_lanes)) {
    CRF_FOR_LANES(n_lanes, add_bands, lattice, first, end, weight);
}

CPU_KERNEL(static void, blur_run,
           (const float *src, const uint32_t *next, const uint32_t *back, uint32_t first,
            uint32_t end, float *dst, int n_lanes),
           (src, next, back, first, end, dst, n_lanes)) {
    CRF_FOR_LANES(n_lanes, blur_corners, src, next, back, first, end, dst);
}

void crf_lattice_clear(const struct crf_lattice *lattice, int band, int n_lanes) {
    size_t first = lattice->first[band], n = lattice->first[band + 1] - first;
    memset(lattice->sums + first * (size_t)n_lanes, 0, n * (size_t)n_lanes * sizeof(float));
}

void crf_lattice_split(const struct crf_lattice *lattice, int y, const float *src, int n_lanes) {
    size_t row = lattice->first[y / CRF_BAND];
    split_row(lattice, (size_t)y * (size_t)lattice->w, lattice->sums + row * (size_t)n_lanes, src,
              n_lanes);
}

void crf_lattice_blend(const struct crf_lattice *lattice, int y, float *dst, int n_lanes) {
    blend_row(lattice, (size_t)y * (size_t)lattice->w,
              lattice->corner_of + lattice->first[y / CRF_BAND], dst, n_lanes);
}

static uint32_t end_of(uint32_t run, uint32_t n) {
    return n - run * RUN < RUN ? n : (run + 1) * RUN;
}

void crf_lattice_blur(struct crf_lattice *lattice, float weight, int n_lanes) {
    uint32_t n = lattice->n_corners, n_runs = (n - 1) / RUN + 1;
    size_t n_floats = (size_t)n * (size_t)n_lanes;
    int n_threads = n_floats < LEAST_FLOATS ? 1 : team_size(lattice->n_threads);
#pragma omp parallel for num_threads(n_threads) schedule(static)
    for (uint32_t run = 0; run < n_runs; run++)
        add_run(lattice, run * RUN, end_of(run, n), weight, n_lanes);
    memset(lattice->values + n_floats, 0, (size_t)n_lanes * sizeof(float));
    memset(lattice->sums + n_floats, 0, (size_t)n_lanes * sizeof(float));
    for (int axis = 0; axis <= lattice->d; axis++) {
        const uint32_t *next = lattice->neighbours + (size_t)(2 * axis) * n;
        float *values = lattice->values;
#pragma omp parallel for num_threads(n_threads) schedule(static)
        for (uint32_t run = 0; run < n_runs; run++)
            blur_run(values, next, next + n, run * RUN, end_of(run, n), lattice->sums, n_lanes);
        lattice->values = lattice->sums;
        lattice->sums = values;
    }
}

// ---- the kernel's sums --------------------------------------------------------------------------

static void entries_of(const struct crf_lattice *lattice, int band, size_t *first, size_t *end) {
    size_t row = (size_t)lattice->w * (size_t)(lattice->d + 1), y = (size_t)band * CRF_BAND;
    *first = y * row;
    *end = (y + CRF_BAND) * row < (size_t)lattice->n_entries ? (y + CRF_BAND) * row
                                                             : (size_t)lattice->n_entries;
}

static void split_ones(const struct crf_lattice *lattice, int band) {
    size_t first, end;
    float *sums = lattice->sums + (size_t)lattice->first[band] * CRF_HALF;
    entries_of(lattice, band, &first, &end);
    crf_lattice_clear(lattice, band, CRF_HALF);
    for (size_t i = first; i < end; i++)
        sums[(size_t)lattice->corner[i] * CRF_HALF] += lattice->weight[i];
}

static void scale_weights(const struct crf_lattice *lattice, int band) {
    size_t first, end, n_corners = (size_t)lattice->d + 1;
    const uint32_t *corner_of = lattice->corner_of + lattice->first[band];
    entries_of(lattice, band, &first, &end);
    for (size_t i = first; i < end; i += n_corners) {
        float sum = 0.0f;
        for (size_t k = i; k < i + n_corners; k++)
            sum += lattice->weight[k] *
                   lattice->values[(size_t)corner_of[lattice->corner[k]] * CRF_HALF];
        float root = 1.0f / sqrtf(sum + 1e-20f);
        for (size_t k = i; k < i + n_corners; k++)
            lattice->weight[k] *= root;
    }
}

void crf_lattice_normalize(struct crf_lattice *lattice) {
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(dynamic)
    for (int band = 0; band < lattice->n_bands; band++)
        split_ones(lattice, band);
    crf_lattice_blur(lattice, 1.0f, CRF_HALF);
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(dynamic)
    for (int band = 0; band < lattice->n_bands; band++)
        scale_weights(lattice, band);
}
