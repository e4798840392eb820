// SPDX-License-Identifier: MIT
#include "noise/noise_field.h"

void noise_field_init(struct noise_field *out, struct random_stream *stream) {
    for (int i = 0; i < NOISE_FIELD_GRID; i++)
        for (int j = 0; j < NOISE_FIELD_GRID; j++)
            out->grid[i][j] = random_uniform(stream);
}

double noise_field_at(const struct noise_field *field, double y, double x) {
    double row = y * (NOISE_FIELD_GRID - 1), column = x * (NOISE_FIELD_GRID - 1);
    int i = (int)row, j = (int)column;
    double v = row - i, u = column - j;
    const double(*grid)[NOISE_FIELD_GRID] = field->grid;
    return (1 - v) * ((1 - u) * grid[i][j] + u * grid[i][j + 1]) +
           v * ((1 - u) * grid[i + 1][j] + u * grid[i + 1][j + 1]);
}
