// SPDX-License-Identifier: MIT
// Connected components by union-find in one pass over the voxels, then one that numbers them.
#include "scores/surface_distance.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdbool.h>

// parent[i]: 0 outside of the mask, else 1 + a voxel of the same component that is not after i; the
// first voxel of a component is its own parent.
static uint32_t find_first(uint32_t *parent, uint32_t i) {
    while (parent[i] != i + 1) {
        uint32_t above = parent[i] - 1;
        parent[i] = parent[above]; // halves the path for the next search
        i = above;
    }
    return i;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b) {
    a = find_first(parent, a);
    b = find_first(parent, b);
    if (a < b)
        parent[b] = a + 1;
    else
        parent[a] = b + 1;
}

// Joins voxel i at p with its neighbours that come before it.
static void join_before(const struct grid *grid, uint32_t *parent, uint32_t i, const int p[3]) {
    for (int k = 0; k < 13; k++) { // of the 27 voxels around p, in their order, those before p
        int z = p[0] + k / 9 - 1, y = p[1] + k / 3 % 3 - 1, x = p[2] + k % 3 - 1;
        if (z < 0 || y < 0 || x < 0 || y >= grid->n[1] || x >= grid->n[2])
            continue;
        size_t at = ((size_t)z * (size_t)grid->n[1] + (size_t)y) * (size_t)grid->n[2] + (size_t)x;
        if (parent[at] != 0)
            join(parent, (uint32_t)at, i);
    }
}

adele_status components_label(const uint8_t *mask, const struct grid *grid, uint32_t *out,
                              uint32_t *n) {
    size_t size = grid_size(grid);
    uint32_t i = 0;
    int p[3];
    *n = 0;
    if (size >= UINT32_MAX)
        return FAIL(ADELE_DATA, "Cut the volume into parts.",
                    "%d x %d x %d voxels are more than components are searched in", grid->n[2],
                    grid->n[1], grid->n[0]);
    for (p[0] = 0; p[0] < grid->n[0]; p[0]++)
        for (p[1] = 0; p[1] < grid->n[1]; p[1]++)
            for (p[2] = 0; p[2] < grid->n[2]; p[2]++, i++) {
                out[i] = mask[i] != 0 ? i + 1 : 0;
                if (mask[i] != 0)
                    join_before(grid, out, i, p);
            }
    // A parent comes before its voxel, so it has its number already.
    for (i = 0; i < size; i++)
        if (out[i] != 0)
            out[i] = out[i] == i + 1 ? ++*n : out[out[i] - 1];
    return ADELE_OK;
}

// Of the components of `mask`: how many have a voxel of `other`, and how many have none.
static adele_status count_touched(const uint8_t *mask, const uint8_t *other,
                                  const struct grid *grid, uint32_t *labels, int64_t *touched,
                                  int64_t *untouched) {
    uint32_t n = 0;
    OWNED bool *is_touched = NULL;
    TRY(components_label(mask, grid, labels, &n));
    TRY(ALLOCATE(&is_touched, (size_t)n + 1));
    for (size_t i = 0; i < grid_size(grid); i++)
        if (labels[i] != 0 && other[i] != 0)
            is_touched[labels[i]] = true;
    *touched = 0;
    for (uint32_t k = 1; k <= n; k++)
        *touched += is_touched[k];
    *untouched = (int64_t)n - *touched;
    return ADELE_OK;
}

adele_status lesions_count(const uint8_t *truth, const uint8_t *predicted, const struct grid *grid,
                           struct lesion_counts *out) {
    OWNED uint32_t *labels = NULL;
    int64_t n_right = 0; // predicted components that touch the truth; several may touch one
    TRY(ALLOCATE(&labels, grid_size(grid)));
    TRY(count_touched(truth, predicted, grid, labels, &out->found, &out->missed));
    return count_touched(predicted, truth, grid, labels, &n_right, &out->falses);
}
