// SPDX-License-Identifier: MIT
#include "scores/score_statistics.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

enum { N_RESAMPLES = 10000 };

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of n sorted values, n > 0; interpolated between the two nearest.
static double percentile_of(const double *sorted, int n, double share) {
    double place = share * (n - 1);
    int below = (int)place;
    int above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

static double mean_of(const double *values, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += values[i];
    return sum / n;
}

// Each sample has a stream of its own, so that the number of threads changes nothing.
static double resampled_mean(const double *values, int n, int i_sample) {
    struct random_stream stream;
    double sum = 0.0;
    random_stream_init(&stream, 0, RANDOM_BOOTSTRAP, 0, (uint32_t)i_sample);
    for (int i = 0; i < n; i++)
        sum += values[random_below(&stream, (uint32_t)n)];
    return sum / n;
}

static adele_status bootstrap(const double *values, int n, double *low, double *high) {
    OWNED double *means = NULL;
    TRY(ALLOCATE(&means, N_RESAMPLES));
#pragma omp parallel for schedule(static)
    for (int i = 0; i < N_RESAMPLES; i++)
        means[i] = resampled_mean(values, n, i);
    qsort(means, N_RESAMPLES, sizeof *means, compare_doubles);
    *low = percentile_of(means, N_RESAMPLES, 0.025);
    *high = percentile_of(means, N_RESAMPLES, 0.975);
    return ADELE_OK;
}

adele_status statistic_compute(const double *values, int n, struct statistic *out) {
    OWNED double *sorted = NULL;
    *out = (struct statistic){0, NAN, NAN, NAN, NAN};
    TRY(ALLOCATE(&sorted, (size_t)n + 1));
    for (int i = 0; i < n; i++)
        if (!isnan(values[i]))
            sorted[out->n++] = values[i];
    qsort(sorted, (size_t)out->n, sizeof *sorted, compare_doubles);
    if (out->n > 0) {
        out->mean = mean_of(sorted, out->n);
        out->median = percentile_of(sorted, out->n, 0.5);
    }
    return out->n > 1 ? bootstrap(sorted, out->n, &out->low, &out->high) : ADELE_OK;
}
