// SPDX-License-Identifier: MIT
#include "base/edit_distance.h"

#include <stdbool.h>
#include <string.h>

static int minimum(int a, int b) {
    return a < b ? a : b;
}

int edit_distance(const char *a, const char *b, enum edit_swap swap) {
    const int n_a = (int)strnlen(a, EDIT_DISTANCE_MAX), n_b = (int)strnlen(b, EDIT_DISTANCE_MAX);
    // rows[i % 3][j]: from the first i characters of a to the first j of b. A swap needs the row
    // before the last one.
    int rows[3][EDIT_DISTANCE_MAX + 1];
    for (int j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n_a; i++) {
        int *row = rows[i % 3];
        const int *last = rows[(i + 2) % 3], *before_last = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            row[j] =
                minimum(last[j - 1] + (a[i - 1] != b[j - 1]), 1 + minimum(last[j], row[j - 1]));
            const bool is_swap = swap == EDIT_SWAP_ONE && i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                                 a[i - 2] == b[j - 1];
            if (is_swap)
                row[j] = minimum(row[j], 1 + before_last[j - 2]);
        }
    }
    return rows[n_a % 3][n_b];
}

int edit_distance_least(const char *a, const char *b) {
    const int n_a = (int)strnlen(a, EDIT_DISTANCE_MAX), n_b = (int)strnlen(b, EDIT_DISTANCE_MAX);
    return n_a < n_b ? n_b - n_a : n_a - n_b;
}
