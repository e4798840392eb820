// SPDX-License-Identifier: MIT
// Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions" (2012). Squared
// distances add over the axes, so one axis is processed after the other: along a line, the new
// value at x is the minimum over q of (x - q)^2 + f(q), where f is the result of the axes before.
// These parabolas all have one shape, so their lower envelope is found by a single pass.
#include "image/distance_transform.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>

// The parabolas of one line that are part of the lower envelope.
struct envelope {
    double *f;     // (longest axis): the values of the line
    double *begin; // (longest axis): where parabola k becomes the lowest
    int *vertex;   // (longest axis): the place of parabola k on the line
};

size_t grid_size(const struct grid *grid) {
    return (size_t)grid->n[0] * (size_t)grid->n[1] * (size_t)grid->n[2];
}

// Where the parabola with its vertex at q comes below the one at p < q.
static double intersection(const double *f, int p, int q, double spacing) {
    double xp = p * spacing, xq = q * spacing;
    return ((f[q] + xq * xq) - (f[p] + xp * xp)) / (2.0 * (xq - xp));
}

static int build_envelope(struct envelope *e, int n, double spacing) {
    int n_parabolas = 0;
    for (int q = 0; q < n; q++) {
        if (isinf(e->f[q]))
            continue;
        double begin = -INFINITY;
        while (n_parabolas > 0) {
            begin = intersection(e->f, e->vertex[n_parabolas - 1], q, spacing);
            if (begin > e->begin[n_parabolas - 1])
                break;
            n_parabolas--;
        }
        e->begin[n_parabolas] = n_parabolas > 0 ? begin : -INFINITY;
        e->vertex[n_parabolas++] = q;
    }
    return n_parabolas;
}

static void transform_line(float *line, size_t stride, int n, double spacing, struct envelope *e) {
    for (int i = 0; i < n; i++)
        e->f[i] = (double)line[(size_t)i * stride];
    int n_parabolas = build_envelope(e, n, spacing);
    if (n_parabolas == 0)
        return; // no source yet: the line stays infinite
    for (int i = 0, k = 0; i < n; i++) {
        while (k + 1 < n_parabolas && e->begin[k + 1] < i * spacing)
            k++;
        double d = (i - e->vertex[k]) * spacing;
        line[(size_t)i * stride] = (float)(d * d + e->f[e->vertex[k]]);
    }
}

static void transform_axis(const struct grid *grid, int axis, struct envelope *e, float *out) {
    size_t stride = 1, n = (size_t)grid->n[axis];
    for (int i = axis + 1; i < 3; i++)
        stride *= (size_t)grid->n[i];
    for (size_t outer = 0; outer < grid_size(grid); outer += stride * n)
        for (size_t inner = 0; inner < stride; inner++)
            transform_line(out + outer + inner, stride, grid->n[axis], grid->spacing[axis], e);
}

static void envelope_deinit(struct envelope *e) {
    memory_free(e->f);
    memory_free(e->begin);
    memory_free(e->vertex);
}

adele_status distance_transform(const uint8_t *sources, const struct grid *grid, float *out) {
    CLEANUP(envelope_deinit) struct envelope e = {0};
    int longest = 0;
    for (int axis = 0; axis < 3; axis++)
        longest = grid->n[axis] > longest ? grid->n[axis] : longest;
    TRY(ALLOCATE(&e.f, longest));
    TRY(ALLOCATE(&e.begin, longest));
    TRY(ALLOCATE(&e.vertex, longest));
    for (size_t i = 0; i < grid_size(grid); i++)
        out[i] = sources[i] != 0 ? 0.0F : INFINITY;
    for (int axis = 2; axis >= 0; axis--)
        if (grid->n[axis] > 1)
            transform_axis(grid, axis, &e, out);
    return ADELE_OK;
}
