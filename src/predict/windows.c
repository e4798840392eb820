// SPDX-License-Identifier: MIT
#include "predict/windows.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static int count_windows(int extent, int window) {
    int step = window > 1 ? window / 2 : 1;
    return extent <= window ? 1 : (extent - window + step - 1) / step + 1;
}

// The distances between neighbours differ by one pixel at most.
static int find_start(const struct window_axis *axis, int i) {
    if (axis->n == 1)
        return -((axis->window - axis->extent) / 2);
    int64_t room = axis->extent - axis->window, gaps = axis->n - 1;
    return (int)((2 * i * room + gaps) / (2 * gaps));
}

adele_status window_axis_init(struct window_axis *out, int extent, int window) {
    OWNED double *sum = NULL;
    *out = (struct window_axis){
        .extent = extent, .window = window, .n = count_windows(extent, window)};
    TRY(ALLOCATE(&out->start, out->n));
    TRY(ALLOCATE(&out->weight, window));
    TRY(ALLOCATE(&out->sum, extent));
    TRY(ALLOCATE(&sum, extent));
    for (int t = 0; t < window; t++) {
        double from_middle = (t - 0.5 * (window - 1)) / (0.125 * window);
        out->weight[t] = (float)exp(-0.5 * from_middle * from_middle);
    }
    for (int i = 0; i < out->n; i++) {
        out->start[i] = find_start(out, i);
        for (int t = 0; t < window; t++) {
            int at = out->start[i] + t;
            if (at >= 0 && at < extent)
                sum[at] += (double)out->weight[t];
        }
    }
    for (int at = 0; at < extent; at++)
        out->sum[at] = (float)sum[at];
    return ADELE_OK;
}

void window_axis_deinit(struct window_axis *axis) {
    memory_free(axis->start);
    memory_free(axis->weight);
    memory_free(axis->sum);
    memset(axis, 0, sizeof *axis);
}
