// SPDX-License-Identifier: MIT
#include "support/gradient.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double gradient_dot(const float *weight, const float *value, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)weight[i] * (double)value[i];
    return sum;
}

static void move(float *x, const float *from, size_t n, uint64_t seed, double step) {
    struct random_stream stream;
    random_stream_init(&stream, seed, RANDOM_TEST, 1, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(from[i] + step * random_range(&stream, -1.0, 1.0));
}

bool gradient_agrees(const char *what, double (*f)(const void *context), const void *context,
                     float *x, const float *gradient, size_t n, uint64_t seed, double step,
                     double tolerance) {
    float *kept = malloc(2 * n * sizeof *kept);
    if (kept == NULL)
        return false;
    float *plus = kept + n;
    memcpy(kept, x, n * sizeof *x);
    move(x, kept, n, seed, step);
    memcpy(plus, x, n * sizeof *x);
    double difference = f(context);
    move(x, kept, n, seed, -step);
    difference -= f(context);
    double expected = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        double term = (double)gradient[i] * ((double)plus[i] - (double)x[i]);
        expected += term;
        squares += term * term;
    }
    memcpy(x, kept, n * sizeof *x);
    free(kept);
    bool agrees = fabs(difference - expected) <= tolerance * sqrt(squares);
    if (!agrees)
        fprintf(stderr, "%s: finite difference %.9g, gradient says %.9g (terms of size %.3g)\n",
                what, difference, expected, sqrt(squares));
    return agrees;
}
