// SPDX-License-Identifier: MIT
// The softmax of a CRF: over the categories of a pixel, which lie side by side.
#ifndef ADELE_CPU_CRF_SOFTMAX_H
#define ADELE_CPU_CRF_SOFTMAX_H

#include <stddef.h>

// z (n_groups, n_pixels, n_lanes) = softmax of z over the groups and lanes of each pixel; `group`:
// floats from one group to the next.
void crf_softmax(float *z, int n_groups, size_t group, int n_lanes, size_t n_pixels);
#endif
