// SPDX-License-Identifier: MIT
#include "scores/surface_distance.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- distances of surfaces ----------------------------------------------------------------------

// Whether the voxel at `index`, place p, has a neighbour along the axis that is not in the mask.
static bool ends_along(const uint8_t *mask, const struct grid *grid, size_t index, const int p[3],
                       int axis, size_t stride) {
    if (grid->n[axis] == 1)
        return false;
    return p[axis] == 0 || p[axis] == grid->n[axis] - 1 || mask[index - stride] == 0 ||
           mask[index + stride] == 0;
}

// Returns the number of voxels of the surface.
static size_t mark_surface(const uint8_t *mask, const struct grid *grid, uint8_t *out) {
    size_t row = (size_t)grid->n[2], slice = row * (size_t)grid->n[1], n = 0, i = 0;
    bool is_single = grid_size(grid) == 1; // no axis to have a neighbour along
    int p[3];
    for (p[0] = 0; p[0] < grid->n[0]; p[0]++)
        for (p[1] = 0; p[1] < grid->n[1]; p[1]++)
            for (p[2] = 0; p[2] < grid->n[2]; p[2]++, i++) {
                out[i] = mask[i] != 0 && (is_single || ends_along(mask, grid, i, p, 2, 1) ||
                                          ends_along(mask, grid, i, p, 1, row) ||
                                          ends_along(mask, grid, i, p, 0, slice));
                n += out[i];
            }
    return n;
}

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Of n sorted squares, n > 0.
static double percentile_of_roots(const float *squares, size_t n, double share) {
    double place = share * (double)(n - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < n ? below + 1 : below;
    double low = sqrt((double)squares[below]), high = sqrt((double)squares[above]);
    return low + (place - (double)below) * (high - low);
}

struct surfaces {
    uint8_t *marks[2];
    size_t n[2];
    float *squares;   // (voxels): of the distances to one surface
    float *distances; // (the larger n): those at the voxels of the other
};

static void surfaces_deinit(struct surfaces *s) {
    memory_free(s->marks[0]);
    memory_free(s->marks[1]);
    memory_free(s->squares);
    memory_free(s->distances);
}

// From the surface `from` to the other one: the 95th percentile, and the sum.
static adele_status measure(const struct grid *grid, struct surfaces *s, int from,
                            double *percentile, double *sum) {
    size_t n = 0;
    TRY(distance_transform(s->marks[1 - from], grid, s->squares));
    for (size_t i = 0; i < grid_size(grid); i++)
        if (s->marks[from][i] != 0)
            s->distances[n++] = s->squares[i];
    qsort(s->distances, n, sizeof *s->distances, compare_floats);
    *percentile = percentile_of_roots(s->distances, n, 0.95);
    *sum = 0.0;
    for (size_t i = 0; i < n; i++)
        *sum += sqrt((double)s->distances[i]);
    return ADELE_OK;
}

adele_status surface_distance(const uint8_t *a, const uint8_t *b, const struct grid *grid,
                              struct surface_distance *out) {
    CLEANUP(surfaces_deinit) struct surfaces s = {0};
    double percentiles[2], sums[2];
    *out = (struct surface_distance){NAN, NAN};
    for (int k = 0; k < 2; k++) {
        TRY(ALLOCATE(&s.marks[k], grid_size(grid)));
        s.n[k] = mark_surface(k == 0 ? a : b, grid, s.marks[k]);
        if (s.n[k] == 0)
            return ADELE_OK;
    }
    TRY(ALLOCATE(&s.squares, grid_size(grid)));
    TRY(ALLOCATE(&s.distances, s.n[0] > s.n[1] ? s.n[0] : s.n[1]));
    for (int k = 0; k < 2; k++)
        TRY(measure(grid, &s, k, &percentiles[k], &sums[k]));
    out->hd95 = percentiles[0] > percentiles[1] ? percentiles[0] : percentiles[1];
    out->mean = (sums[0] + sums[1]) / (double)(s.n[0] + s.n[1]);
    return ADELE_OK;
}

// ---- boundary IoU -------------------------------------------------------------------------------

// What an erosion leaves of a slice. A frame of zeros, because morphology_erode does not count the
// outside.
static adele_status erode_framed(const uint8_t *mask, int h, int w, int width, uint8_t *framed) {
    size_t row = (size_t)w + 2;
    memset(framed, 0, row * ((size_t)h + 2));
    for (int y = 0; y < h; y++)
        memcpy(framed + (size_t)(y + 1) * row + 1, mask + (size_t)y * (size_t)w, (size_t)w);
    return morphology_erode(framed, h + 2, w + 2, width);
}

adele_status boundary_iou(const uint8_t *a, const uint8_t *b, const struct grid *grid, int width,
                          double *out) {
    int h = grid->n[1], w = grid->n[2];
    size_t map = (size_t)h * (size_t)w, framed = ((size_t)h + 2) * ((size_t)w + 2);
    int64_t n_both = 0, n_either = 0;
    OWNED uint8_t *eroded_a = NULL, *eroded_b = NULL;
    *out = NAN;
    TRY(ALLOCATE(&eroded_a, framed));
    TRY(ALLOCATE(&eroded_b, framed));
    for (int z = 0; z < grid->n[0]; z++, a += map, b += map) {
        TRY(erode_framed(a, h, w, width, eroded_a));
        TRY(erode_framed(b, h, w, width, eroded_b));
        for (size_t i = 0; i < map; i++) {
            size_t at = (i / (size_t)w + 1) * ((size_t)w + 2) + i % (size_t)w + 1;
            bool is_in_a = a[i] != 0 && eroded_a[at] == 0;
            bool is_in_b = b[i] != 0 && eroded_b[at] == 0;
            n_both += is_in_a && is_in_b;
            n_either += is_in_a || is_in_b;
        }
    }
    *out = n_either > 0 ? (double)n_both / (double)n_either : NAN;
    return ADELE_OK;
}
