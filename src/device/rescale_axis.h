// SPDX-License-Identifier: MIT
// Bilinear rescaling along one axis, for all devices: which source pixels a target pixel reads,
// and which target pixels read a source pixel.
#ifndef ADELE_DEVICE_RESCALE_AXIS_H
#define ADELE_DEVICE_RESCALE_AXIS_H

#include "adele/status.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Target pixel i = weight0 source[i0] + weight1 source[i0 + 1]; i0 = -1 outside the image. weight0
// is never 0; where weight1 is, source[i0 + 1] may not exist.
struct rescale_tap {
    int i0;
    float weight0, weight1;
};

// Target pixels that read one source pixel, ascending: reads[first .. first + count). `start` is
// the first target that reads this pixel, the one before it, or a later one; n_dst without any.
struct rescale_read {
    int target;
    float weight;
};
struct rescale_readers {
    int first, count, start;
};

struct rescale_axis {
    int n_in, n_dst;
    struct rescale_tap *taps;        // (n_dst)
    struct rescale_readers *readers; // (n_in)
    struct rescale_read *reads;      // (2 n_dst), of which the readers use the first ones
};

// n_in source pixels become n_out, the first of which lies at `start` of a line of n_dst. After an
// error, rescale_axis_deinit frees what was made.
ADELE_MUST_CHECK adele_status rescale_axis_init(struct rescale_axis *axis, int n_in, int n_out,
                                                int n_dst, int start);
void rescale_axis_deinit(struct rescale_axis *axis); // legal on a zeroed struct

#ifdef __cplusplus
}
#endif
#endif
