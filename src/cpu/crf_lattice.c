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
    place(base, &offset, lattice->n_slots, sizeof(int32_t), &lattice->slots);
    place(base, &offset, n * d, sizeof(int32_t), &lattice->keys);
    place(base, &offset, n, sizeof(int32_t), &lattice->corner);
    place(base, &offset, n, sizeof(float), &lattice->weight);
    place(base, &offset, n + 2, sizeof(int32_t), &lattice->start);
    place(base, &offset, n, sizeof(int32_t), &lattice->from_pixel);
    place(base, &offset, n, sizeof(float), &lattice->from_weight);
    place(base, &offset, (d + 1) * (n + 1), sizeof(int32_t), &lattice->next);
    place(base, &offset, (d + 1) * (n + 1), sizeof(int32_t), &lattice->back);
    place(base, &offset, (n + 1) * CRF_LANES, sizeof(float), &lattice->values);
    return place(base, &offset, (n + 1) * CRF_LANES, sizeof(float), &lattice->blurred);
}

// ---- building -----------------------------------------------------------------------------------

// The slot of a key: where it is, or the empty one where it belongs.
static uint32_t find_slot(const struct crf_lattice *lattice, const int32_t *key) {
    uint32_t mask = lattice->n_slots - 1, slot = lattice_hash(lattice->d, key) & mask;
    while (lattice->slots[slot] >= 0 &&
           !lattice_is_key(lattice->d, key,
                           lattice->keys + (size_t)lattice->slots[slot] * (size_t)lattice->d))
        slot = (slot + 1) & mask;
    return slot;
}

static int32_t insert(struct crf_lattice *lattice, const int32_t *key) {
    uint32_t slot = find_slot(lattice, key);
    if (lattice->slots[slot] < 0) {
        size_t d = (size_t)lattice->d, i_corner = (size_t)lattice->n_corners++;
        memcpy(lattice->keys + i_corner * d, key, d * sizeof *key);
        lattice->slots[slot] = (int32_t)i_corner;
    }
    return lattice->slots[slot];
}

static void number_corners(struct crf_lattice *lattice, const uint8_t *image) {
    struct lattice_simplex simplex;
    double feature[LATTICE_MAX_D] = {0.0};
    memset(lattice->slots, 0xff, lattice->n_slots * sizeof *lattice->slots);
    lattice->n_corners = 0;
    int64_t entry = 0;
    for (int64_t i = 0; i < lattice->n_pixels; i++) {
        lattice_feature(lattice->d, image, lattice->n_pixels, i, lattice->w,
                        lattice->position_sigma, lattice->colour_sigma, feature);
        lattice_embed(lattice->d, feature, &simplex);
        for (int k = 0; k <= lattice->d; k++, entry++) {
            lattice->corner[entry] = insert(lattice, simplex.key[k]);
            lattice->weight[entry] = simplex.weight[k];
        }
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

static void find_neighbours(struct crf_lattice *lattice) {
    int d = lattice->d;
    int64_t n = lattice->n_corners, stride = lattice->n_entries + 1;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int axis = 0; axis <= d; axis++)
            lattice->back[axis * stride + i] = (int32_t)n;
            // Each corner is the next of one other at most, so no two threads write the same
            // element.
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int axis = 0; axis <= d; axis++) {
            int32_t key[LATTICE_MAX_D];
            lattice_step(d, lattice->keys + i * d, axis, 1, key);
            int32_t found = lattice->slots[find_slot(lattice, key)];
            lattice->next[axis * stride + i] = found >= 0 ? found : (int32_t)n;
            if (found >= 0)
                lattice->back[axis * stride + found] = (int32_t)i;
        }
}

void crf_lattice_build(struct crf_lattice *lattice, const uint8_t *image) {
    number_corners(lattice, image);
    list_pixels(lattice);
    find_neighbours(lattice);
}

// ---- filtering ----------------------------------------------------------------------------------

CPU_KERNEL(static void, split_run,
           (const struct crf_lattice *lattice, const float *src, const float *norm, int64_t first,
            int64_t end),
           (lattice, src, norm, first, end)) {
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
            for (int lane = 0; lane < CRF_LANES; lane++)
                sum[lane] += weight * value[lane];
        }
        memcpy(lattice->values + i * CRF_LANES, sum, sizeof sum);
    }
}

CPU_KERNEL(static void, blur_run,
           (const float *src, const int32_t *next, const int32_t *back, int64_t first, int64_t end,
            float *dst),
           (src, next, back, first, end, dst)) {
    for (int64_t i = first; i < end; i++) {
        const float *a = src + (size_t)next[i] * CRF_LANES, *b = src + (size_t)back[i] * CRF_LANES;
        for (int lane = 0; lane < CRF_LANES; lane++)
            dst[i * CRF_LANES + lane] =
                0.5f * src[i * CRF_LANES + lane] + 0.25f * (a[lane] + b[lane]);
    }
}

CPU_KERNEL(static void, blend_run,
           (const struct crf_lattice *lattice, const float *norm, float weight, int64_t first,
            int64_t end, float *dst),
           (lattice, norm, weight, first, end, dst)) {
    int n_corners = lattice->d + 1;
    for (int64_t i = first; i < end; i++) {
        float sum[CRF_LANES] = {0.0f};
        for (int k = 0; k < n_corners; k++) {
            float share = lattice->weight[i * n_corners + k];
            const float *value =
                lattice->values + (size_t)lattice->corner[i * n_corners + k] * CRF_LANES;
            for (int lane = 0; lane < CRF_LANES; lane++)
                sum[lane] += share * value[lane];
        }
        float scale = norm != NULL ? weight * norm[i] : weight;
        for (int lane = 0; lane < CRF_LANES; lane++)
            dst[i * CRF_LANES + lane] += scale * sum[lane];
    }
}

static int64_t end_of(int64_t run, int64_t n) {
    return (run + 1) * RUN < n ? (run + 1) * RUN : n;
}

static void blur(struct crf_lattice *lattice) {
    int64_t n = lattice->n_corners, n_runs = (n + RUN - 1) / RUN;
    for (int i_axis = 0; i_axis <= lattice->d; i_axis++) {
        int64_t axis = i_axis * (lattice->n_entries + 1);
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
        for (int64_t run = 0; run < n_runs; run++)
            blur_run(lattice->values, lattice->next + axis, lattice->back + axis, run * RUN,
                     end_of(run, n), lattice->blurred);
        float *values = lattice->values;
        lattice->values = lattice->blurred;
        lattice->blurred = values;
    }
}

void crf_lattice_filter(struct crf_lattice *lattice, const float *src, const float *norm,
                        float weight, float *dst) {
    int64_t n = lattice->n_corners, n_runs = (n + RUN - 1) / RUN;
    memset(lattice->values + n * CRF_LANES, 0, CRF_LANES * sizeof(float));
    memset(lattice->blurred + n * CRF_LANES, 0, CRF_LANES * sizeof(float));
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t run = 0; run < n_runs; run++)
        split_run(lattice, src, norm, run * RUN, end_of(run, n));
    blur(lattice);
    int64_t n_pixel_runs = (lattice->n_pixels + RUN - 1) / RUN;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
    for (int64_t run = 0; run < n_pixel_runs; run++)
        blend_run(lattice, norm, weight, run * RUN, end_of(run, lattice->n_pixels), dst);
}
