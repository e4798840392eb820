// SPDX-License-Identifier: MIT
// All four passes, to the grid along x and y and back, are one kernel: sums over pairs of lines
// that lie `stride` floats apart, in the same order with every instruction set.
#include "cpu/crf_gaussian.h"

#include "base/fail.h"
#include "base/memory.h"
#include "cpu/crf_lanes.h"
#include "cpu/team.h"

#include <math.h>

#define LEAST_SIGMA 3.0   // from which on the grid has a point for every other pixel
#define AT_ONCE     8     // vectors whose sums are in registers, to hide the latency of an add
#define SLACK       LANES // floats behind a line that vectors may read and write

// The sum of tap[j] * (plus[j * plus_stride] + minus[j * minus_stride]).
struct series {
    const float *plus, *minus, *tap;
    ptrdiff_t plus_stride, minus_stride;
    int n;
};

// ---- tables -------------------------------------------------------------------------------------

static double tap_at(const struct crf_gaussian *gaussian, int distance) {
    return (double)gaussian->tables.tap[distance < 0 ? -distance : distance];
}

// Points of the grid beside n pixels.
static int count_points(const struct crf_gaussian *gaussian, int n) {
    return (n - 1 + 2 * gaussian->margin) / gaussian->step + 1;
}

// Of a grid of every other pixel: roots[i] = 1 / root of the sum i of the kernel, what it makes of
// n ones. Without a grid the tables have them.
static adele_status make_roots(const struct crf_gaussian *gaussian, int n, float *roots) {
    int n_points = count_points(gaussian, n), reach = gaussian->reach;
    double *points = NULL;
    TRY(ALLOCATE(&points, (size_t)n_points));
    for (int i = 0; i < n_points; i++)
        for (int k = -reach; k <= reach; k++) {
            int pixel = i * gaussian->step - gaussian->margin + k;
            points[i] += pixel >= 0 && pixel < n ? tap_at(gaussian, k) : 0.0;
        }
    for (int i = 0; i < n; i++) {
        double sum = 0.0;
        for (int k = -reach; k <= reach; k++)
            if ((i + gaussian->margin + k) % 2 == 0)
                sum += tap_at(gaussian, k) * points[(i + gaussian->margin + k) / 2];
        roots[i] = (float)(1.0 / sqrt(sum));
    }
    memory_free(points);
    return ADELE_OK;
}

static adele_status make_taps(struct crf_gaussian *gaussian) {
    int reach = gaussian->reach, step = gaussian->step;
    TRY(ALLOCATE(&gaussian->even, (size_t)reach + 2));
    gaussian->n_even = reach / step + 1;
    gaussian->n_odd = step == 2 ? (reach + 1) / 2 : 0;
    gaussian->odd = gaussian->even + gaussian->n_even;
    for (int k = 0; k <= reach; k++)
        (k % step == 0 ? gaussian->even : gaussian->odd)[k / step] = gaussian->tables.tap[k];
    gaussian->even[0] *= 0.5f;
    return ADELE_OK;
}

adele_status crf_gaussian_init(const struct adele_crf_desc *desc, struct crf_gaussian *out) {
    int longest = desc->h > desc->w ? desc->h : desc->w;
    bool is_coarse =
        desc->spatial_sigma >= LEAST_SIGMA && CRF_REACH * desc->spatial_sigma < longest - 1;
    struct adele_crf_desc narrow = *desc;
    if (is_coarse)
        narrow.spatial_sigma *= sqrt(0.5);
    *out = (struct crf_gaussian){.h = desc->h, .w = desc->w, .step = is_coarse ? 2 : 1};
    TRY(crf_spatial_init(&narrow, &out->tables));
    out->reach = is_coarse ? (int)(CRF_REACH * narrow.spatial_sigma) : out->tables.reach;
    out->margin = is_coarse ? (out->reach + 1) / 2 * 2 : 0;
    out->n_rows = count_points(out, desc->h);
    out->n_columns = count_points(out, desc->w);
    TRY(make_taps(out));
    if (!is_coarse)
        return ADELE_OK;
    TRY(make_roots(out, desc->h, out->tables.row));
    return make_roots(out, desc->w, out->tables.column);
}

void crf_gaussian_deinit(struct crf_gaussian *gaussian) {
    crf_spatial_deinit(&gaussian->tables);
    memory_free(gaussian->even);
    gaussian->even = NULL;
}

size_t crf_gaussian_row_floats(const struct crf_gaussian *gaussian, int n_lanes) {
    size_t n = (size_t)gaussian->n_columns * (size_t)n_lanes;
    return (n + LANES - 1) / LANES * LANES + SLACK;
}

// ---- lines of a thread --------------------------------------------------------------------------

// Pixels of a row that are even, or odd, between zeros as wide as the taps reach beyond the grid.
static int line_margin(const struct crf_gaussian *gaussian) {
    return (gaussian->margin + gaussian->reach) / gaussian->step + 1;
}

static size_t line_floats(const struct crf_gaussian *gaussian, int n_lanes) {
    size_t n = (size_t)gaussian->w / (size_t)gaussian->step + 1;
    return (n + 2 * (size_t)line_margin(gaussian)) * (size_t)n_lanes + 2 * SLACK;
}

// One of the two lines for the way to the grid or for the way back.
static float *line_of(const struct crf_gaussian *gaussian, int n_lanes, float *lines, int i_line) {
    return lines + (size_t)i_line * line_floats(gaussian, n_lanes);
}

size_t crf_gaussian_line_floats(const struct crf_gaussian *gaussian, int n_lanes) {
    return 4 * line_floats(gaussian, n_lanes) + crf_gaussian_row_floats(gaussian, n_lanes);
}

// ---- passes -------------------------------------------------------------------------------------

// dst = scale * the sum of all series, n floats, rounded up to whole vectors.
CPU_KERNEL(static void, sum_series,
           (const struct series *series, int n_series, float scale, size_t n, float *dst),
           (series, n_series, scale, n, dst)) {
    size_t i = 0;
    for (; i + AT_ONCE * LANES <= n; i += AT_ONCE * LANES) {
        lanes sum[AT_ONCE] = {{0.0f}};
        for (int s = 0; s < n_series; s++) {
            const float *plus = series[s].plus + i, *minus = series[s].minus + i;
            for (int j = 0; j < series[s].n; j++) {
                float tap = series[s].tap[j];
#pragma GCC unroll 8
                for (int v = 0; v < AT_ONCE; v++)
                    sum[v] += tap * (LANES_AT(plus + v * LANES) + LANES_AT(minus + v * LANES));
                plus += series[s].plus_stride;
                minus += series[s].minus_stride;
            }
        }
#pragma GCC unroll 8
        for (int v = 0; v < AT_ONCE; v++)
            LANES_STORE(dst + i + v * LANES, scale * sum[v]);
    }
    for (; i < n; i += LANES) {
        lanes sum = {0.0f};
        for (int s = 0; s < n_series; s++)
            for (int j = 0; j < series[s].n; j++)
                sum +=
                    series[s].tap[j] * (LANES_AT(series[s].plus + j * series[s].plus_stride + i) +
                                        LANES_AT(series[s].minus + j * series[s].minus_stride + i));
        LANES_STORE(dst + i, scale * sum);
    }
}

// The pixels of a row times their roots, to the line of the even or to that of the odd ones.
CRF_INLINE void split_lanes(const float *src, const float *column, int w, int step, float *even,
                            float *odd, const int n_lanes) {
    for (int x = 0; x < w; x++, src += n_lanes) {
        float *dst = (x % step == 0 ? even : odd) + (size_t)(x / step) * (size_t)n_lanes;
        crf_scale(dst, column[x], src, n_lanes);
    }
}

// dst = src + scale * the pixels of both lines times their roots.
CRF_INLINE void join_lanes(const float *src, const float *column, int w, int step,
                           const float *even, const float *odd, float scale, float *dst,
                           const int n_lanes) {
    for (int x = 0; x < w; x++, src += n_lanes, dst += n_lanes) {
        const float *sum = (x % step == 0 ? even : odd) + (size_t)(x / step) * (size_t)n_lanes;
        crf_add_scaled(dst, src, scale * column[x], sum, n_lanes);
    }
}

CPU_KERNEL(static void, split_row,
           (const float *src, const float *column, int w, int step, int n_lanes, float *even,
            float *odd),
           (src, column, w, step, n_lanes, even, odd)) {
    CRF_FOR_LANES(n_lanes, split_lanes, src, column, w, step, even, odd);
}

CPU_KERNEL(static void, join_row,
           (const float *src, const float *column, int w, int step, int n_lanes, const float *even,
            const float *odd, float scale, float *dst),
           (src, column, w, step, n_lanes, even, odd, scale, dst)) {
    CRF_FOR_LANES(n_lanes, join_lanes, src, column, w, step, even, odd, scale, dst);
}

void crf_gaussian_gather(const struct crf_gaussian *gaussian, const struct crf_grid *grid,
                         const float *src, int y, float *lines) {
    int n_lanes = grid->n_lanes, begin = line_margin(gaussian);
    float *even = line_of(gaussian, n_lanes, lines, 0), *odd = line_of(gaussian, n_lanes, lines, 1);
    split_row(src, gaussian->tables.column, gaussian->w, gaussian->step, n_lanes,
              even + (size_t)begin * (size_t)n_lanes, odd + (size_t)begin * (size_t)n_lanes);
    // The first point of the grid lies margin / step pixels of a line before its first pixel.
    ptrdiff_t at = (ptrdiff_t)(begin - gaussian->margin / gaussian->step) * n_lanes;
    const struct series series[] = {
        {even + at, even + at, gaussian->even, n_lanes, -n_lanes, gaussian->n_even},
        {odd + at, odd + at - n_lanes, gaussian->odd, n_lanes, -n_lanes, gaussian->n_odd}};
    size_t stride = crf_gaussian_row_floats(gaussian, n_lanes);
    sum_series(series, gaussian->step, gaussian->tables.row[y],
               (size_t)gaussian->n_columns * (size_t)n_lanes, grid->rows + (size_t)y * stride);
}

static bool is_inside(int y, int h) {
    return y >= 0 && y < h;
}

// The pairs of rows y - k and y + k with k = first, first + step, .. reach, of which one or both
// are in the image; the other one is zeros. First come those with both, then those with one.
// Returns how many series there are.
static int pair_rows(const struct crf_gaussian *gaussian, const struct crf_grid *grid, int y,
                     int first, const float *tap, struct series out[2]) {
    ptrdiff_t stride = (ptrdiff_t)crf_gaussian_row_floats(gaussian, grid->n_lanes);
    int h = gaussian->h, step = gaussian->step, n_series = 0;
    int state = 0; // of the last pair: 1 if y - k is inside, and 2 if y + k is
    for (int k = first, j = 0; k <= gaussian->reach; k += step, j++) {
        bool has_above = is_inside(y - k, h), has_below = is_inside(y + k, h);
        int last = state;
        state = has_above + 2 * has_below;
        if (state == 0)
            continue;
        if (state != last)
            out[n_series++] =
                (struct series){.plus = has_below ? grid->rows + (y + k) * stride : grid->zeros,
                                .minus = has_above ? grid->rows + (y - k) * stride : grid->zeros,
                                .tap = tap + j,
                                .plus_stride = has_below ? step * stride : 0,
                                .minus_stride = has_above ? -step * stride : 0};
        out[n_series - 1].n++;
    }
    return n_series;
}

void crf_gaussian_sum(const struct crf_gaussian *gaussian, const struct crf_grid *grid,
                      int n_threads) {
    size_t stride = crf_gaussian_row_floats(gaussian, grid->n_lanes);
    size_t n = (size_t)gaussian->n_columns * (size_t)grid->n_lanes;
#pragma omp parallel for num_threads(team_size(n_threads)) schedule(static)
    for (int i = 0; i < gaussian->n_rows; i++) {
        struct series series[4];
        int y = i * gaussian->step - gaussian->margin;
        int n_series = pair_rows(gaussian, grid, y, 0, gaussian->even, series);
        if (gaussian->n_odd > 0)
            n_series += pair_rows(gaussian, grid, y, 1, gaussian->odd, series + n_series);
        sum_series(series, n_series, 1.0f, n, grid->grid + (size_t)i * stride);
    }
}

// From points of the grid to a pixel between them: `at` is the point at the pixel or before it, and
// `is_odd` says whether the pixel lies between two points.
static struct series pair_points(const struct crf_gaussian *gaussian, const float *at,
                                 ptrdiff_t stride, bool is_odd) {
    if (is_odd)
        return (struct series){at + stride, at, gaussian->odd, stride, -stride, gaussian->n_odd};
    return (struct series){at, at, gaussian->even, stride, -stride, gaussian->n_even};
}

void crf_gaussian_spread(const struct crf_gaussian *gaussian, const struct crf_grid *grid, int y,
                         float weight, const float *src, float *lines, float *dst) {
    int n_lanes = grid->n_lanes, step = gaussian->step, w = gaussian->w;
    size_t stride = crf_gaussian_row_floats(gaussian, n_lanes);
    float scale = weight * gaussian->tables.row[y];
    float *even = line_of(gaussian, n_lanes, lines, 2), *odd = line_of(gaussian, n_lanes, lines, 3);
    float *line = line_of(gaussian, n_lanes, lines, 4);
    const float *row = grid->grid + (size_t)((y + gaussian->margin) / step) * stride;
    if (step == 1) { // the second Gaussian is a single tap of 1
        join_row(src, gaussian->tables.column, w, 1, n_lanes, row, row, scale, dst);
        return;
    }
    struct series series = pair_points(gaussian, row, (ptrdiff_t)stride, y % 2 != 0);
    sum_series(&series, 1, scale, (size_t)gaussian->n_columns * (size_t)n_lanes, line);
    const float *first = line + (size_t)(gaussian->margin / 2) * (size_t)n_lanes;
    series = pair_points(gaussian, first, n_lanes, false);
    sum_series(&series, 1, 1.0f, (size_t)((w + 1) / 2) * (size_t)n_lanes, even);
    series = pair_points(gaussian, first, n_lanes, true);
    sum_series(&series, 1, 1.0f, (size_t)(w / 2) * (size_t)n_lanes, odd);
    join_row(src, gaussian->tables.column, w, 2, n_lanes, even, odd, 1.0f, dst);
}
