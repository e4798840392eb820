// SPDX-License-Identifier: MIT
#include "device/rescale_axis.h"

#include "base/fail.h"
#include "base/memory.h"

// The coordinate target * (n_in - 1) / (n_out - 1) is split in integers, so the weights carry one
// rounding and the last target pixel meets the last source pixel exactly.
static struct rescale_tap tap_at(int target, int n_in, int n_out) {
    struct rescale_tap tap = {-1, 0.0f, 0.0f};
    if (target < 0 || target >= n_out)
        return tap;
    if (n_out == 1 || n_in == 1) {
        tap.i0 = 0;
        tap.weight0 = 1.0f;
        return tap;
    }
    int64_t position = (int64_t)target * (n_in - 1);
    tap.i0 = (int)(position / (n_out - 1));
    double fraction = (double)(position % (n_out - 1)) / (double)(n_out - 1);
    tap.weight0 = (float)(1.0 - fraction);
    tap.weight1 = (float)fraction;
    return tap;
}

// Taps ascend with the target, so the sweep for a source pixel begins where the one for the pixel
// before it began.
static void collect_readers(const struct rescale_axis *axis) {
    int n_reads = 0, start = 0;
    for (int i = 0; i < axis->n_in; i++) {
        while (start < axis->n_dst && axis->taps[start].i0 < i - 1)
            start++;
        while (start < axis->n_dst && axis->taps[start].i0 < 0) // i - 1 = -1 is no pixel
            start++;
        struct rescale_readers *readers = &axis->readers[i];
        readers->first = n_reads;
        readers->start = start;
        for (int t = start; t < axis->n_dst && axis->taps[t].i0 <= i; t++) {
            const struct rescale_tap *tap = &axis->taps[t];
            struct rescale_read read = {t, tap->i0 == i ? tap->weight0 : tap->weight1};
            if (tap->i0 >= 0 && read.weight != 0.0f)
                axis->reads[n_reads++] = read;
        }
        readers->count = n_reads - readers->first;
    }
}

adele_status rescale_axis_init(struct rescale_axis *axis, int n_in, int n_out, int n_dst,
                               int start) {
    *axis = (struct rescale_axis){.n_in = n_in, .n_dst = n_dst};
    TRY(ALLOCATE(&axis->taps, n_dst));
    TRY(ALLOCATE(&axis->readers, n_in));
    TRY(ALLOCATE(&axis->reads, 2 * (size_t)n_dst));
    for (int i = 0; i < n_dst; i++)
        axis->taps[i] = tap_at(i - start, n_in, n_out);
    collect_readers(axis);
    return ADELE_OK;
}

void rescale_axis_deinit(struct rescale_axis *axis) {
    memory_free(axis->taps);
    memory_free(axis->readers);
    memory_free(axis->reads);
}
