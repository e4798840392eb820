// SPDX-License-Identifier: MIT
#include "cpu/window_sums.h"

#include "cpu/vector_math.h"
#include "device/guided_rule.h"

#include <stddef.h>
#include <string.h>

CPU_KERNEL(static void, add_planes,
           (const double *restrict v, const double *restrict w, int n, double sign,
            double *restrict first, double *restrict second),
           (v, w, n, sign, first, second)) {
    for (int x = 0; x < n; x++) {
        first[x] += sign * v[x];
        second[x] += sign * w[x];
    }
}

CPU_KERNEL(static void, add_squares,
           (const double *restrict v, int n, double sign, double *restrict first,
            double *restrict second),
           (v, n, sign, first, second)) {
    for (int x = 0; x < n; x++) {
        first[x] += sign * v[x];
        second[x] += sign * (v[x] * v[x]);
    }
}

CPU_KERNEL(static void, add_products,
           (const float *restrict q, const double *restrict v, int n, double sign,
            double *restrict first, double *restrict second),
           (q, v, n, sign, first, second)) {
    for (int x = 0; x < n; x++) {
        first[x] += sign * (double)q[x];
        second[x] += sign * ((double)q[x] * v[x]);
    }
}

// The columns' sums gain row y of the pair, or lose it with the sign -1.
static void add_row(const struct window_sums *sums, const struct window_pair *pair, int y,
                    double sign) {
    double *first = sums->column[0], *second = sums->column[1];
    int w = sums->w;
    size_t at = (size_t)y * (size_t)w;
    if (pair->q != NULL)
        add_products(pair->q + at, pair->v + at, w, sign, first, second);
    else if (pair->w != NULL)
        add_planes(pair->v + at, pair->w + at, w, sign, first, second);
    else
        add_squares(pair->v + at, w, sign, first, second);
}

// The columns' sums for the window around row y, from those of row y - 1.
static void move_down(const struct window_sums *sums, const struct window_pair *pair, int y) {
    int radius = sums->radius_y;
    if (y == 0) {
        memset(sums->column[0], 0, (size_t)sums->w * sizeof(double));
        memset(sums->column[1], 0, (size_t)sums->w * sizeof(double));
        for (int row = 0; row < radius && row < sums->h; row++)
            add_row(sums, pair, row, 1.0);
    }
    if (y + radius < sums->h)
        add_row(sums, pair, y + radius, 1.0);
    if (y > radius)
        add_row(sums, pair, y - radius - 1, -1.0);
}

// What the window around column x gains and loses, compared with that around x - 1: independent of
// the sums, so that these wait for nothing but one addition.
CPU_KERNEL(static void, find_steps,
           (const double *restrict columns, int w, int radius, double *restrict steps),
           (columns, w, radius, steps)) {
    for (int x = 0; x < w; x++)
        steps[x] = 0.0;
    for (int x = 0; x < w - radius; x++)
        steps[x] = columns[x + radius];
    for (int x = radius + 1; x < w; x++)
        steps[x] -= columns[x - radius - 1];
}

void window_means(const struct window_sums *sums, const struct window_pair *pair, int y) {
    double *first = sums->means[0], *second = sums->means[1];
    double rows = 1.0 / guided_extent(y, sums->radius_y, sums->h), sum = 0.0, other = 0.0;
    move_down(sums, pair, y);
    find_steps(sums->column[0], sums->w, sums->radius_x, first);
    find_steps(sums->column[1], sums->w, sums->radius_x, second);
    for (int x = 0; x < sums->radius_x && x < sums->w; x++) {
        sum += sums->column[0][x];
        other += sums->column[1][x];
    }
    for (int x = 0; x < sums->w; x++) {
        double share = rows * sums->inverse_columns[x];
        sum += first[x];
        other += second[x];
        first[x] = sum * share;
        second[x] = other * share;
    }
}
