// SPDX-License-Identifier: MIT
#include "step/piece_sum.h"

void piece_sum(float *pieces, int n_ranks, int64_t n) {
    for (int apart = 1; apart < n_ranks; apart *= 2)
        for (int r = 0; r < n_ranks; r += 2 * apart) {
            float *to = pieces + r * n;
            const float *from = pieces + (r + apart) * n;
#pragma omp parallel for simd schedule(static)
            for (int64_t i = 0; i < n; i++)
                to[i] += from[i];
        }
}
