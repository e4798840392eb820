// SPDX-License-Identifier: MIT
// Every sum is computed by one thread in a fixed order: a corner adds up its pixels in their order,
// by a list that is sorted once for an image, and a pixel adds up its corners.
#include "cpu/crf_lattice.h"

#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "device/lattice.h"

#include <string.h>

#define RUN 1024 // corners or pixels that a thread takes at a time

static size_t place(char *base, size_t *offset, size_t count, size_t size, void *out) {
    char *address = base != NULL ? base + *offset : NULL;
    memcpy(out, &address, sizeof address);
    *offset += (count * size + 63) / 64 * 64;
    return *offset;
}

size_t crf_lattice_place(struct crf_lattice *lattice, char *base) {
    size_t offset = 0, n = (size_t)lattice->n_entries, d = (size_t)lattice->d;
    place(base, &offset, lattice->n_slots, sizeof(struct crf_slot), &lattice->slots);
    place(base, &offset, n * d, sizeof(int32_t), &lattice->entry_keys);
    place(base, &offset, n, sizeof(uint32_t), &lattice->hashes);
    place(base, &offset, n * d, sizeof(int32_t), &lattice->keys);
    place(base, &offset, n, sizeof(int32_t), &lattice->corner);
    place(base, &offset, n, sizeof(float), &lattice->weight);
    place(base, &offset, n + 2, sizeof(int32_t), &lattice->start);
    place(base, &offset, n, sizeof(int32_t), &lattice->from_pixel);
    place(base, &offset, n, sizeof(float), &lattice->from_weight);
    place(base, &offset, (d + 1) * (n + 1), sizeof(int32_t), &lattice->next);
    place(base, &offset, (d + 1) * (n + 1), sizeof(int32_t), &lattice->back);
    place(base, &offset, (n + 1) * (size_t)lattice->n_lanes, sizeof(float), &lattice->values);
    return place(base, &offset, (n + 1) * (size_t)lattice->n_lanes, sizeof(float),
                 &lattice->blurred);
}

// ---- building -----------------------------------------------------------------------------------

// The entries of the pixels first .. end - 1. `d` is a constant where this is inlined, so that its
// roots and quotients are too.
static inline __attribute__((always_inline)) void embed_pixels(const struct crf_lattice *lattice,
                                                               const int d, const uint8_t *image,
                                                               int64_t first, int64_t end) {
    struct lattice_simplex simplex;
    double feature[LATTICE_MAX_D] = {0.0};
    int64_t entry = first * (d + 1);
    for (int64_t i = first; i < end; i++) {
        lattice_feature(d, image, lattice->n_pixels, i, lattice->w, lattice->position_sigma,
                        lattice->colour_sigma, feature);
        lattice_embed(d, feature, &simplex);
        for (int k = 0; k <= d; k++, entry++) {
            memcpy(lattice->entry_keys + entry * d, simplex.key[k], (size_t)d * sizeof(int32_t));
            lattice->weight[entry] = simplex.weight[k];
            lattice->hashes[entry] = lattice_hash(d, simplex.key[k]);
        }
    }
}

CPU_KERNEL(static void, embed_run,
           (const struct crf_lattice *lattice, const uint8_t *image, int64_t first, int64_t end),
           (lattice, image, first, end)) {
    if (lattice->d == 5)
        embed_pixels(lattice, 5, image, first, end);
    else
        embed_pixels(lattice, lattice->d, image, first, end);
}

// The slot of a key: where it is, or the empty one where it belongs.
static struct crf_slot *find_slot(const struct crf_lattice *lattice, const int32_t *key,
                                  uint32_t hash) {
    uint32_t mask = lattice->n_slots - 1, at = hash & mask;
    size_t d = (size_t)lattice->d;
    for (;; at = (at + 1) & mask) {
        struct crf_slot *slot = &lattice->slots[at];
        if (slot->corner < 0 ||
            (slot->hash == hash &&
             lattice_is_key(lattice->d, key, lattice->keys + (size_t)slot->corner * d)))
            return slot;
    }
}

// One thread alone: what takes long, the keys and their hashes, is there, and the slots of later
// entries are on their way from memory.
static void number_corners(struct crf_lattice *lattice) {
    enum { AHEAD = 16 };
    size_t d = (size_t)lattice->d;
    uint32_t mask = lattice->n_slots - 1;
    memset(lattice->slots, 0xff, lattice->n_slots * sizeof *lattice->slots);
    lattice->n_corners = 0;
    for (int64_t entry = 0; entry < lattice->n_entries; entry++) {
        const int32_t *key = lattice->entry_keys + (size_t)entry * d;
        if (entry + AHEAD < lattice->n_entries)
            __builtin_prefetch(&lattice->slots[lattice->hashes[entry + AHEAD] & mask]);
        struct crf_slot *slot = find_slot(lattice, key, lattice->hashes[entry]);
        if (slot->corner < 0) {
            *slot = (struct crf_slot){lattice->hashes[entry], (int32_t)lattice->n_corners};
            memcpy(lattice->keys + (size_t)lattice->n_corners++ * d, key, d * sizeof *key);
        }
        lattice->corner[entry] = slot->corner;
    }
}

// Entries sorted by corner (counting sort).
static void list_pixels(struct crf_lattice *lattice) {
    int32_t *start = lattice->start;
    memset(start, 0, (size_t)(lattice->n_corners + 2) * sizeof *start);
    for (int64_t entry = 0; entry < lattice->n_entries; entry++)
        start[lattice->corner[entry] + 2]++;
    for (int64_t i = 0; i < lattice->n_corners; i++)
        start[i + 2] += start[i + 1];
    int64_t entry = 0;
    for (int64_t i = 0; i < lattice->n_pixels; i++)
        for (int k = 0; k <= lattice->d; k++, entry++) {
            int32_t at = start[lattice->corner[entry] + 1]++;
            lattice->from_pixel[at] = (int32_t)i;
            lattice->from_weight[at] = lattice->weight[entry];
        }
}

#define AT_ONCE 8 // corners whose slots are on their way from memory

// Of the corners first .. first + n - 1. Each corner is the next of one other at most, so no two
// threads write the same element.
static void find_next(const struct crf_lattice *lattice, int64_t first, int n) {
    int d = lattice->d;
    int64_t stride = lattice->n_entries + 1;
    int32_t keys[AT_ONCE][LATTICE_MAX_D + 1][LATTICE_MAX_D];
    uint32_t hashes[AT_ONCE][LATTICE_MAX_D + 1];
    for (int i = 0; i < n; i++)
        for (int axis = 0; axis <= d; axis++) {
            lattice_step(d, lattice->keys + (first + i) * d, axis, 1, keys[i][axis]);
            hashes[i][axis] = lattice_hash(d, keys[i][axis]);
            __builtin_prefetch(&lattice->slots[hashes[i][axis] & (lattice->n_slots - 1)]);
        }
    for (int i = 0; i < n; i++)
        for (int axis = 0; axis <= d; axis++) {
            int32_t found = find_slot(lattice, keys[i][axis], hashes[i][axis])->corner;
            lattice->next[axis * stride + first + i] =
                found >= 0 ? found : (int32_t)lattice->n_corners;
            if (found >= 0)
                lattice->back[axis * stride + found] = (int32_t)(first + i);
        }
}

static void find_neighbours(struct crf_lattice *lattice) {
    int64_t n = lattice->n_corners, stride = lattice->n_entries + 1;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int axis = 0; axis <= lattice->d; axis++)
            lattice->back[axis * stride + i] = (int32_t)n;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t i = 0; i < n; i += AT_ONCE)
        find_next(lattice, i, n - i < AT_ONCE ? (int)(n - i) : AT_ONCE);
}

static int64_t end_of(int64_t run, int64_t n) {
    return (run + 1) * RUN < n ? (run + 1) * RUN : n;
}

void crf_lattice_build(struct crf_lattice *lattice, const uint8_t *image) {
    int64_t n_runs = (lattice->n_pixels + RUN - 1) / RUN;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t run = 0; run < n_runs; run++)
        embed_run(lattice, image, run * RUN, end_of(run, lattice->n_pixels));
    number_corners(lattice);
    list_pixels(lattice);
    find_neighbours(lattice);
}

// ---- filtering ----------------------------------------------------------------------------------

// `n_lanes` is a constant where the three functions below are inlined.
#define LANES_INLINE static inline __attribute__((always_inline)) void

LANES_INLINE split_lanes(const struct crf_lattice *lattice, const float *src, const float *norm,
                         int64_t first, int64_t end, const int n_lanes) {
    static const float ones[CRF_LANES] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    size_t stride = src != NULL ? CRF_LANES : 0;
    const float *values = src != NULL ? src : ones;
    for (int64_t i = first; i < end; i++) {
        float sum[CRF_LANES] = {0.0f};
        for (int32_t at = lattice->start[i]; at < lattice->start[i + 1]; at++) {
            size_t pixel = (size_t)lattice->from_pixel[at];
            float weight =
                norm != NULL ? lattice->from_weight[at] * norm[pixel] : lattice->from_weight[at];
            const float *value = values + pixel * stride;
            for (int lane = 0; lane < n_lanes; lane++)
                sum[lane] += weight * value[lane];
        }
        memcpy(lattice->values + i * n_lanes, sum, (size_t)n_lanes * sizeof *sum);
    }
}

LANES_INLINE blur_lanes(const float *src, const int32_t *next, const int32_t *back, int64_t first,
                        int64_t end, float *dst, const int n_lanes) {
    for (int64_t i = first; i < end; i++) {
        const float *a = src + (size_t)next[i] * (size_t)n_lanes;
        const float *b = src + (size_t)back[i] * (size_t)n_lanes;
        for (int lane = 0; lane < n_lanes; lane++)
            dst[i * n_lanes + lane] = 0.5f * src[i * n_lanes + lane] + 0.25f * (a[lane] + b[lane]);
    }
}

LANES_INLINE blend_lanes(const struct crf_lattice *lattice, const float *norm, float weight,
                         int64_t first, int64_t end, float *dst, const int n_lanes) {
    int n_corners = lattice->d + 1;
    for (int64_t i = first; i < end; i++) {
        float sum[CRF_LANES] = {0.0f};
        for (int k = 0; k < n_corners; k++) {
            float share = lattice->weight[i * n_corners + k];
            const float *value =
                lattice->values + (size_t)lattice->corner[i * n_corners + k] * (size_t)n_lanes;
            for (int lane = 0; lane < n_lanes; lane++)
                sum[lane] += share * value[lane];
        }
        float scale = norm != NULL ? weight * norm[i] : weight;
        for (int lane = 0; lane < n_lanes; lane++)
            dst[i * CRF_LANES + lane] += scale * sum[lane];
    }
}

CPU_KERNEL(static void, split_run,
           (const struct crf_lattice *lattice, const float *src, const float *norm, int64_t first,
            int64_t end),
           (lattice, src, norm, first, end)) {
    if (lattice->n_lanes == CRF_LANES)
        split_lanes(lattice, src, norm, first, end, CRF_LANES);
    else
        split_lanes(lattice, src, norm, first, end, CRF_LANES / 2);
}

CPU_KERNEL(static void, blur_run,
           (const float *src, const int32_t *next, const int32_t *back, int64_t first, int64_t end,
            float *dst, int n_lanes),
           (src, next, back, first, end, dst, n_lanes)) {
    if (n_lanes == CRF_LANES)
        blur_lanes(src, next, back, first, end, dst, CRF_LANES);
    else
        blur_lanes(src, next, back, first, end, dst, CRF_LANES / 2);
}

CPU_KERNEL(static void, blend_run,
           (const struct crf_lattice *lattice, const float *norm, float weight, int64_t first,
            int64_t end, float *dst),
           (lattice, norm, weight, first, end, dst)) {
    if (lattice->n_lanes == CRF_LANES)
        blend_lanes(lattice, norm, weight, first, end, dst, CRF_LANES);
    else
        blend_lanes(lattice, norm, weight, first, end, dst, CRF_LANES / 2);
}

static void blur(struct crf_lattice *lattice) {
    int64_t n = lattice->n_corners, n_runs = (n + RUN - 1) / RUN;
    for (int i_axis = 0; i_axis <= lattice->d; i_axis++) {
        int64_t axis = i_axis * (lattice->n_entries + 1);
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
        for (int64_t run = 0; run < n_runs; run++)
            blur_run(lattice->values, lattice->next + axis, lattice->back + axis, run * RUN,
                     end_of(run, n), lattice->blurred, lattice->n_lanes);
        float *values = lattice->values;
        lattice->values = lattice->blurred;
        lattice->blurred = values;
    }
}

void crf_lattice_filter(struct crf_lattice *lattice, const float *src, const float *norm,
                        float weight, float *dst) {
    int64_t n = lattice->n_corners, n_runs = (n + RUN - 1) / RUN;
    memset(lattice->values + n * lattice->n_lanes, 0, (size_t)lattice->n_lanes * sizeof(float));
    memset(lattice->blurred + n * lattice->n_lanes, 0, (size_t)lattice->n_lanes * sizeof(float));
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t run = 0; run < n_runs; run++)
        split_run(lattice, src, norm, run * RUN, end_of(run, n));
    blur(lattice);
    int64_t n_pixel_runs = (lattice->n_pixels + RUN - 1) / RUN;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t run = 0; run < n_pixel_runs; run++)
        blend_run(lattice, norm, weight, run * RUN, end_of(run, lattice->n_pixels), dst);
}
